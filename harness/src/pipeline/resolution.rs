//! From the files of a pipeline to one job with everything it takes from elsewhere, in GitLab's order: `include`, `extends`,
//! `!reference`, `default`.

use std::sync::Arc;

use crate::driver::{Problem, SourceFile, similar_name};

use super::document::{self, Kind, Node, Place};

/// Most files that a pipeline may include (GitLab's default).
const INCLUDES_MAX: usize = 150;
/// Most steps from a job along `extends` (GitLab's limit).
const EXTENDS_MAX: usize = 11;
/// Most references inside of references (GitLab's limit).
const REFERENCES_MAX: usize = 10;

/// Top-level keys that are no jobs.
const GLOBAL_KEYS: [&str; 11] = [
    "default",
    "variables",
    "stages",
    "include",
    "workflow",
    "image",
    "services",
    "before_script",
    "after_script",
    "cache",
    "spec",
];

/// Keys of a job that a runner hears of; what a job says beside them is GitLab's.
const JOB_KEYS: [&str; 14] = [
    "after_script",
    "artifacts",
    "before_script",
    "cache",
    "hooks",
    "image",
    "inherit",
    "run",
    "script",
    "services",
    "stage",
    "timeout",
    "trigger",
    "variables",
];
/// Most names of jobs in a message.
const NAMES_MAX: usize = 12;

/// What a job takes from `default`, and the older form: keys at the top.
const DEFAULT_KEYS: [&str; 8] = [
    "image",
    "services",
    "before_script",
    "after_script",
    "artifacts",
    "cache",
    "hooks",
    "timeout",
];

/// Reads the file of an `include: local`, whose path begins at the directory of the pipeline.
pub(super) type ReadLocal<'a> = &'a dyn Fn(&str) -> Result<SourceFile, Problem>;

/// All files of a pipeline as one table.
pub(super) struct Pipeline {
    top: Node,
    /// What was left out.
    pub(super) notes: Vec<Problem>,
}

/// One job, with nothing left that stands elsewhere.
pub(super) struct ResolvedJob {
    /// Name in the file.
    pub(super) name: String,
    /// Its keys, with the defaults.
    pub(super) keys: Node,
    /// Variables of the pipeline and of the job; later ones win.
    pub(super) variables: Vec<(String, Node)>,
}

/// Reads a pipeline with all it includes.
pub(super) fn read(file: SourceFile, read_local: ReadLocal<'_>) -> Result<Pipeline, Problem> {
    let mut notes = Vec::new();
    let mut files = 0;
    let top = with_includes(&Arc::new(file), read_local, &mut files, &mut notes)?;
    Ok(Pipeline { top, notes })
}

fn with_includes(
    file: &Arc<SourceFile>,
    read_local: ReadLocal<'_>,
    files: &mut usize,
    notes: &mut Vec<Problem>,
) -> Result<Node, Problem> {
    let top = document::read(file)?
        .filter(Node::is_mapping)
        .ok_or_else(|| {
            Problem::new(
                format!("{} holds no table of jobs", file.path.display()),
                "write jobs as `name:` with their keys below",
            )
        })?;
    let Some(include) = top.get("include") else {
        return Ok(top);
    };
    let entries = match &include.kind {
        Kind::Sequence(entries) => entries.clone(),
        _ => vec![include.clone()],
    };
    let mut merged: Option<Node> = None;
    for entry in &entries {
        let local = entry.text().or_else(|| entry.get("local")?.text());
        let Some(path) = local.filter(|path| !path.contains("://") && !path.contains('*')) else {
            let message = "this include is left out: only files of this repository are read";
            let remedy = "write its content into a file beside this one, if the job needs it";
            notes.push(entry.place.problem(message, remedy));
            continue;
        };
        *files += 1;
        if *files > INCLUDES_MAX {
            let message = format!("more than {INCLUDES_MAX} files are included");
            let remedy = "look for a file that includes itself";
            return Err(entry.place.problem(message, remedy));
        }
        let included = Arc::new(read_local(path.trim_start_matches('/'))?);
        let included = with_includes(&included, read_local, files, notes)?;
        merged = Some(match merged {
            Some(before) => over(&before, &included),
            None => included,
        });
    }
    Ok(merged.map_or(top.clone(), |before| over(&before, &top)))
}

/// Tables are joined key by key; of everything else the later wins.
fn over(base: &Node, later: &Node) -> Node {
    let (Kind::Mapping(base_entries), Kind::Mapping(entries)) = (&base.kind, &later.kind) else {
        return later.clone();
    };
    let mut joined = base_entries.clone();
    for (key, node) in entries {
        match joined.iter_mut().find(|(known, _)| known == key) {
            Some((_, known)) => *known = over(known, node),
            None => joined.push((key.clone(), node.clone())),
        }
    }
    Node {
        kind: Kind::Mapping(joined),
        place: later.place.clone(),
    }
}

impl Pipeline {
    /// Names of the jobs that a pipeline can run.
    fn job_names(&self) -> impl Iterator<Item = &str> {
        let entries = self.top.entries().iter();
        entries
            .filter(|(name, node)| {
                node.is_mapping() && !name.starts_with('.') && !GLOBAL_KEYS.contains(&name.as_str())
            })
            .map(|(name, _)| name.as_str())
    }

    /// The job of this name; without a name the only one there is.
    pub(super) fn job(&self, name: Option<&str>) -> Result<ResolvedJob, Problem> {
        let name = match name {
            Some(name) => self.known_name(name)?,
            None => self.only_name()?,
        };
        let own = only(&self.extended(name, &self.top.place, 0)?, &JOB_KEYS);
        let own = self.dereferenced(&own, 0)?;
        // A reference inside of a job that nobody asked for must not stop this one.
        let top = self.dereferenced(&only(&self.top, &GLOBAL_KEYS), 0)?;
        let mut keys = own.entries().to_vec();
        for key in DEFAULT_KEYS {
            let default = top.get("default").and_then(|default| default.get(key));
            if let Some(default) = default.or_else(|| top.get(key))
                && own.get(key).is_none()
                && inherits(&own, "default", key)
            {
                keys.push((key.to_owned(), default.clone()));
            }
        }
        let global = top.get("variables").map(Node::entries).unwrap_or_default();
        let global = global
            .iter()
            .filter(|(key, _)| inherits(&own, "variables", key));
        let of_job = own.get("variables").map(Node::entries).unwrap_or_default();
        Ok(ResolvedJob {
            name: name.to_owned(),
            variables: global.chain(of_job).cloned().collect(),
            keys: Node {
                kind: Kind::Mapping(keys),
                place: own.place,
            },
        })
    }

    fn known_name(&self, name: &str) -> Result<&str, Problem> {
        if let Some(known) = self.job_names().find(|known| *known == name) {
            return Ok(known);
        }
        let names: Vec<&str> = self.job_names().collect();
        let remedy = match similar_name(name, &names) {
            Some(similar) => format!("did you mean `{similar}`?"),
            None => one_of(&names),
        };
        Err(Problem::new(format!("there is no job `{name}`"), remedy))
    }

    fn only_name(&self) -> Result<&str, Problem> {
        let names: Vec<&str> = self.job_names().collect();
        match names.as_slice() {
            [only] => Ok(only),
            [] => Err(Problem::new(
                "there is no job",
                "a job is a key at the top with a `script` below it, whose name has no dot in front",
            )),
            _ => Err(Problem::new(
                format!("there are {} jobs", names.len()),
                one_of(&names),
            )),
        }
    }

    /// Whether this may stand in a file that is not read; the note about that file is the warning.
    fn is_out_of_sight(&self, name: &str) -> bool {
        !self.notes.is_empty() && self.top.get(name).is_none()
    }

    /// A job over what it extends.
    fn extended(&self, name: &str, asked: &Place, depth: usize) -> Result<Node, Problem> {
        let Some(job) = self.top.get(name).filter(|job| job.is_mapping()) else {
            let remedy =
                "write it, or give the file that has it; includes from elsewhere are not read";
            return Err(asked.problem(format!("there is no `{name}` to extend"), remedy));
        };
        if depth > EXTENDS_MAX {
            let remedy = "look for jobs that extend each other";
            let message = format!("`extends` leads over more than {EXTENDS_MAX} jobs");
            return Err(job.place.problem(message, remedy));
        }
        let Some(extends) = job.get("extends") else {
            return Ok(job.clone());
        };
        let mut base: Option<Node> = None;
        for parent in items(extends) {
            let name = parent.text().unwrap_or_default();
            if self.is_out_of_sight(name) {
                continue;
            }
            let parent = self.extended(name, &parent.place, depth + 1)?;
            base = Some(match base {
                Some(before) => over(&before, &parent),
                None => parent,
            });
        }
        Ok(base.map_or(job.clone(), |base| over(&base, job)))
    }

    /// All references replaced by what they name. Inside of a list, a list that is named is spread later, with those that are
    /// written in it.
    fn dereferenced(&self, node: &Node, depth: usize) -> Result<Node, Problem> {
        let kind = match &node.kind {
            Kind::Reference(path) => return self.referred(path, &node.place, depth),
            Kind::Sequence(items) => {
                let items = items.iter().map(|item| self.dereferenced(item, depth));
                Kind::Sequence(items.collect::<Result<_, _>>()?)
            }
            Kind::Mapping(entries) => {
                let entries = entries
                    .iter()
                    .map(|(key, node)| Ok((key.clone(), self.dereferenced(node, depth)?)));
                Kind::Mapping(entries.collect::<Result<_, Problem>>()?)
            }
            other => other.clone(),
        };
        Ok(Node {
            kind,
            place: node.place.clone(),
        })
    }

    fn referred(&self, path: &[String], place: &Place, depth: usize) -> Result<Node, Problem> {
        let written = format!("!reference [{}]", path.join(", "));
        if depth >= REFERENCES_MAX {
            let message = format!("{written} leads over more than {REFERENCES_MAX} references");
            return Err(place.problem(message, "look for references that name each other"));
        }
        let Some((job, keys)) = path.split_first() else {
            return Err(place.problem(
                "this reference names nothing",
                "write !reference [job, key]",
            ));
        };
        let mut node = match self.top.get(job) {
            Some(node) if node.get("extends").is_some() => Some(self.extended(job, place, 0)?),
            other => other.cloned(),
        };
        for key in keys {
            node = node.and_then(|node| node.get(key).cloned());
        }
        let Some(node) = node else {
            if self.is_out_of_sight(job) {
                return Ok(Node {
                    kind: Kind::Null,
                    place: place.clone(),
                });
            }
            let remedy = "name a job of these files and a key that it has";
            return Err(place.problem(format!("{written} names nothing that is there"), remedy));
        };
        self.dereferenced(&node, depth + 1)
    }
}

/// Some keys of a table.
fn only(table: &Node, keys: &[&str]) -> Node {
    let entries = table.entries().iter();
    let kept = entries.filter(|(key, _)| keys.contains(&key.as_str()));
    Node {
        kind: Kind::Mapping(kept.cloned().collect()),
        place: table.place.clone(),
    }
}

/// `inherit:` lets a job refuse what is not its own, all of it or all but what it lists.
fn inherits(job: &Node, group: &str, key: &str) -> bool {
    let Some(rule) = job.get("inherit").and_then(|inherit| inherit.get(group)) else {
        return true;
    };
    match rule.text() {
        Some(text) => text != "false",
        None => document::texts(items(rule)).any(|name| name == key),
    }
}

/// The elements of a list; a single value is a list of one.
pub(super) fn items(node: &Node) -> &[Node] {
    match &node.kind {
        Kind::Sequence(items) => items,
        _ => std::slice::from_ref(node),
    }
}

fn one_of(names: &[&str]) -> String {
    let (shown, more) = names.split_at(names.len().min(NAMES_MAX));
    let more = match more.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "write one of these behind the file and a colon: {}{more}",
        shown.join(", ")
    )
}
