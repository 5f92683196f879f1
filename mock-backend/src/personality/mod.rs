//! Personalities: which tool of a backend the shims are, as data.
//!
//! A TOML file lists programs, verbs, options, and what is printed; each verb names an operation of the [runtime]
//! (`operations/`). What a file does not list is *not emulated*: the shim fails loudly, and the case is an error of ours,
//! never a finding about the driver.
//!
//! [runtime]: crate::runtime

pub(crate) mod arguments;
mod file;
pub(crate) mod operations;
pub(crate) mod text;

use std::collections::BTreeMap;
use std::path::Path;

use crate::faults::FaultKind;
use crate::runtime::world::{Refusal, State, state_word};

pub(crate) use self::arguments::{Misunderstood, Parameters};
use self::file::{File, Host, Http, Options};
pub(crate) use self::file::{Route, Said, Shows, Verb};
use self::text::{Fields, fill};

/// The personalities that come with the program.
const BUILT_IN: [(&str, &str); 12] = [
    ("podman", include_str!("../../personalities/podman.toml")),
    ("docker", include_str!("../../personalities/docker.toml")),
    ("libvirt", include_str!("../../personalities/libvirt.toml")),
    ("lxc", include_str!("../../personalities/lxc.toml")),
    ("incus", include_str!("../../personalities/incus.toml")),
    ("nspawn", include_str!("../../personalities/nspawn.toml")),
    ("enroot", include_str!("../../personalities/enroot.toml")),
    ("udocker", include_str!("../../personalities/udocker.toml")),
    ("tart", include_str!("../../personalities/tart.toml")),
    ("slurm", include_str!("../../personalities/slurm.toml")),
    ("http-vm", include_str!("../../personalities/http-vm.toml")),
    ("ssh", include_str!("../../personalities/ssh.toml")),
];

/// Why there is no such personality.
#[derive(Debug, thiserror::Error)]
pub enum PersonalityError {
    /// Neither built in nor a file.
    #[error(
        "there is no personality {name:?}; there are {known}, and a path that ends in .toml names a file of your own"
    )]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The file cannot be read.
    #[error("the personality {path} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is wrong.
    #[error("the personality {path} is not understood: {problem}")]
    Wrong {
        /// The file.
        path: String,
        /// What is wrong with it, and where.
        problem: String,
    },
}

/// A tool that shims can be.
#[derive(Debug, Clone)]
pub struct Personality {
    name: String,
    about: String,
    programs: Vec<String>,
    failure: Said,
    failures: BTreeMap<String, Said>,
    options: Options,
    ready_after_polls: u32,
    end_box: Vec<String>,
    states: BTreeMap<String, String>,
    refusals: BTreeMap<String, Said>,
    documents: BTreeMap<String, toml::Value>,
    environment: BTreeMap<String, String>,
    guest: BTreeMap<String, String>,
    verbs: Vec<Verb>,
    host: Option<Host>,
    http: Option<Http>,
    routes: Vec<Route>,
}

impl Personality {
    /// The names of those that come with the program.
    pub fn built_in() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// Finds one by its name, or by the path of its file.
    pub fn find(name: &str) -> Result<Self, PersonalityError> {
        if let Some((name, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
            return Self::parse(&format!("{name}.toml"), text);
        }
        let is_path = Path::new(name).extension().is_some_and(|end| end == "toml");
        if !is_path {
            return Err(PersonalityError::Unknown {
                name: name.to_owned(),
                known: Self::built_in().collect::<Vec<_>>().join(", "),
            });
        }
        let text =
            std::fs::read_to_string(name).map_err(|source| PersonalityError::Unreadable {
                path: name.to_owned(),
                source,
            })?;
        Self::parse(name, &text)
    }

    fn parse(path: &str, text: &str) -> Result<Self, PersonalityError> {
        let wrong = |problem: String| PersonalityError::Wrong {
            path: path.to_owned(),
            problem,
        };
        let file: File = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        if file.like.as_deref() == Some(file.name.as_str()) {
            return Err(wrong("it is like itself".to_owned()));
        }
        let base = file.like.as_deref().map(Self::find).transpose()?;
        let made = Self::over(base, file);
        for verb in &made.verbs {
            if !operations::is_known(&verb.operation) {
                let (words, operation) = (verb.words.join(", "), &verb.operation);
                let known = operations::names().join(", ");
                return Err(wrong(format!(
                    "verb {words}: there is no operation {operation}; there are {known}"
                )));
            }
        }
        Ok(made)
    }

    /// What a file says, over what it is like.
    fn over(base: Option<Self>, file: File) -> Self {
        let base = base.unwrap_or_else(|| Self {
            name: String::new(),
            about: String::new(),
            programs: Vec::new(),
            failure: Said {
                code: 1,
                text: "{program}: {message}\n".to_owned(),
                output: String::new(),
            },
            failures: BTreeMap::new(),
            options: Options::default(),
            ready_after_polls: 0,
            end_box: Vec::new(),
            states: BTreeMap::new(),
            refusals: BTreeMap::new(),
            documents: BTreeMap::new(),
            environment: BTreeMap::new(),
            guest: BTreeMap::new(),
            verbs: Vec::new(),
            host: None,
            http: None,
            routes: Vec::new(),
        });
        let mut made = Self {
            name: file.name,
            about: file.about,
            programs: file.programs,
            failure: file.failure.unwrap_or(base.failure),
            ready_after_polls: file.ready_after_polls.unwrap_or(base.ready_after_polls),
            end_box: file.end_box.unwrap_or(base.end_box),
            ..base
        };
        made.options.flags.extend(file.options.flags);
        made.options.values.extend(file.options.values);
        made.failures.extend(file.failures);
        made.states.extend(file.states);
        made.refusals.extend(file.refusals);
        made.documents.extend(file.documents);
        made.environment.extend(file.environment);
        made.guest.extend(file.guest);
        // The first that fits is taken.
        made.verbs.splice(0..0, file.verb);
        made.routes.splice(0..0, file.route);
        made.host = file.host.or(made.host);
        made.http = file.http.or(made.http);
        made
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it stands for.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// The programs that are put on PATH.
    pub fn programs(&self) -> &[String] {
        &self.programs
    }

    /// The host that is there from the beginning, if there is one.
    pub(crate) fn host(&self) -> Option<&Host> {
        self.host.as_ref()
    }

    /// How drivers learn where its HTTP API is, if it has one.
    pub(crate) fn http(&self) -> Option<&Http> {
        self.http.as_ref()
    }

    /// What its HTTP API answers.
    pub(crate) fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Whether a fault can be done to the real tool.
    pub fn reaches_real(&self, kind: &FaultKind) -> bool {
        kind.reaches_real(!self.end_box.is_empty())
    }

    /// With what arguments the real tool ends a box, if it is known.
    pub(crate) fn end_box(&self, name: &str) -> Option<Vec<String>> {
        let words = self.end_box.iter();
        let fields: Fields = [("name".to_owned(), name.to_owned())].into();
        let words: Vec<String> = words.map(|word| fill(word, &fields)).collect();
        (!words.is_empty()).then_some(words)
    }

    pub(crate) fn ready_after_polls(&self) -> u32 {
        self.ready_after_polls
    }

    pub(crate) fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// Programs of boxes, by name.
    pub(crate) fn guest(&self) -> &BTreeMap<String, String> {
        &self.guest
    }

    pub(crate) fn document(&self, name: &str) -> Option<&toml::Value> {
        self.documents.get(name)
    }

    /// The tool's own word for a state.
    pub(crate) fn state_word(&self, state: State) -> String {
        let word = state_word(state);
        let of_code = match state {
            State::Stopped { code } => self.states.get(&format!("{word} {code}")),
            _ => None,
        };
        let own = of_code.or_else(|| self.states.get(word));
        own.map_or(word, String::as_str).to_owned()
    }

    /// Finds the verb of a command line and takes the line apart.
    pub(crate) fn understand(
        &self,
        program: &str,
        words: &[String],
    ) -> Result<(&Verb, Parameters), Misunderstood> {
        let mut parameters = Parameters::default();
        // A program without verbs has options of its own, and a verb may look like an option: `--version`.
        let begins = |verb: &Verb| {
            verb.is_whole(program)
                || (verb.is_of(program) && verb.length_in(words).is_some_and(|length| length > 0))
        };
        let words = if self.verbs.iter().any(begins) {
            words
        } else {
            arguments::before_verb(&self.options, words, &mut parameters)?
        };
        let spelled = self.verbs.iter().filter(|verb| verb.is_of(program));
        let fitting = spelled.filter_map(|verb| Some((verb, verb.length_in(words)?)));
        let Some((verb, length)) = fitting.rev().max_by_key(|(_, length)| *length) else {
            let word = words.first().map_or("no verb", String::as_str);
            return Err(Misunderstood::NotEmulated(format!("{program} {word}")));
        };
        arguments::after_verb(verb, &words[length..], &mut parameters)
            .map_err(|problem| problem.of(&format!("{program} {}", words[..length].join(" "))))?;
        Ok((verb, parameters))
    }

    /// What the tool says when it has trouble of its own.
    pub(crate) fn failure(&self, program: &str, message: &str) -> Said {
        let fields = [("program", program), ("message", message)];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let said = self.failures.get(program).unwrap_or(&self.failure);
        filled(said, &fields.into())
    }

    /// What the tool says when it refuses something.
    pub(crate) fn refusal(&self, verb: &Verb, program: &str, refusal: &Refusal) -> Said {
        let by_kind = format!("{}.{}", refusal.kind, refusal.reason);
        let said = verb
            .refusals
            .get(refusal.reason)
            .or_else(|| self.refusals.get(&by_kind))
            .or_else(|| self.refusals.get(refusal.reason));
        match said {
            Some(said) => filled(said, &refusal.fields(program)),
            None => self.failure(program, &refusal.to_string()),
        }
    }
}

impl Misunderstood {
    fn of(self, verb: &str) -> Self {
        match self {
            Self::NotEmulated(what) => Self::NotEmulated(format!("{what} of {verb}")),
            usage @ Self::Usage(_) => usage,
        }
    }
}

fn filled(said: &Said, fields: &Fields) -> Said {
    Said {
        code: said.code,
        text: fill(&said.text, fields),
        output: fill(&said.output, fields),
    }
}

impl Verb {
    /// What a personality does not list, by the word that tells it.
    pub(crate) fn unlisted(words: &[String]) -> Self {
        Self {
            words: words.first().cloned().into_iter().collect(),
            ..Self::default()
        }
    }

    fn is_of(&self, program: &str) -> bool {
        self.program.as_deref().is_none_or(|own| own == program)
    }

    /// The program has no verbs: it is one.
    fn is_whole(&self, program: &str) -> bool {
        self.program.as_deref() == Some(program) && self.words.iter().any(String::is_empty)
    }

    /// How many words its longest spelling has at the beginning of a line, if it is there.
    fn length_in(&self, words: &[String]) -> Option<usize> {
        let fits = |spelling: &String| {
            let spelled: Vec<&str> = spelling.split_whitespace().collect();
            let beginning = words.iter().take(spelled.len());
            beginning.eq(spelled.iter()).then_some(spelled.len())
        };
        self.words.iter().filter_map(fits).max()
    }

    /// Its first spelling, for people and for the triggers of faults.
    pub(crate) fn name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_personalities_are_understood_and_name_documents_that_there_are() {
        for name in Personality::built_in() {
            let personality = Personality::find(name).expect("it is sound");
            assert_eq!(personality.name(), name);
            assert!(!personality.about().is_empty() && !personality.programs().is_empty());
            for document in personality
                .verbs
                .iter()
                .filter_map(|verb| verb.document.as_ref())
            {
                assert!(
                    personality.document(document).is_some(),
                    "{name}: {document}"
                );
            }
        }
    }

    #[test]
    fn a_wrong_file_says_what_is_wrong() {
        let problem = |text: &str| {
            Personality::parse("x.toml", text)
                .expect_err("wrong")
                .to_string()
        };
        let start = "name = 'x'\nabout = 'x'\nprograms = ['x']\n";
        let verb = format!("{start}[[verb]]\nwords = ['go']\noperation = 'fly'\n");
        assert!(problem(&verb).starts_with(
            "the personality x.toml is not understood: verb go: there is no operation fly"
        ));
        assert!(problem("nmae = 'x'").contains("nmae"));
        let unknown = Personality::find("podmen")
            .expect_err("there is none")
            .to_string();
        assert!(
            unknown.contains("\"podmen\"; there are podman, docker"),
            "{unknown}"
        );
    }

    #[test]
    fn the_longest_spelling_counts() {
        let podman = Personality::find("podman").expect("it is sound");
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let (verb, _) = podman
            .understand("podman", &words("--log-level error network rm x"))
            .expect("known");
        assert_eq!(verb.name(), "network rm");
        let (verb, _) = podman
            .understand("podman", &words("--version"))
            .expect("known");
        assert_eq!(verb.name(), "--version");
        let unknown = podman.understand("podman", &words("teleport x"));
        assert_eq!(
            unknown.err(),
            Some(Misunderstood::NotEmulated("podman teleport".into()))
        );
    }
}
