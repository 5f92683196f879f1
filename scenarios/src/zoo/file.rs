//! The file of one animal, read and checked.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::SourceFile;
use crate::error::{ScenarioError, line_of};
use crate::skeleton::{self, Backend, Language};

use super::edit::{Edit, Operation};
use super::{Animal, Content, DriverFile, Drivers, Expected, Flaw, bug_classes};

/// What the first line of a program begins with.
const INTERPRETER_LINE: &str = "#!";
/// What the comment begins with that says of an edited file that it is broken on purpose.
pub const REMARK: &str = "# Broken on purpose, a copy of ";

/// A finding that the suite must make.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedFinding {
    /// Id of the check.
    pub check: String,
    /// The call to blame; any if not given.
    pub call: Option<String>,
    /// The stage to blame; any if not given.
    pub stage: Option<String>,
}

/// A finding that may be made too: what follows from the flaw, but only if something strikes at the right moment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consequence {
    /// Id of the check.
    pub check: String,
    /// The call to blame.
    pub call: String,
    /// When it is made, in a few words.
    pub when: String,
}

/// The keys of a file, as they are written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    about: String,
    base: Option<Spanned<String>>,
    program: Option<String>,
    skeleton: Option<Spanned<SkeletonEntry>>,
    #[serde(default)]
    needs: Vec<String>,
    #[serde(default)]
    cases: Vec<String>,
    #[serde(default)]
    classes: Vec<Spanned<String>>,
    #[serde(default)]
    file: Vec<FileEntry>,
    tidy: Option<String>,
    service: Option<String>,
    backend: Option<String>,
    #[serde(default)]
    faults: bool,
    #[serde(default)]
    edit: Vec<Spanned<EditEntry>>,
    #[serde(default)]
    finding: Vec<ExpectedFinding>,
    #[serde(default)]
    consequence: Vec<Consequence>,
    survives: Option<String>,
}

/// The driver that `init` writes for a language and a backend, in the place of a directory of its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SkeletonEntry {
    lang: String,
    backend: String,
}

impl SkeletonEntry {
    fn files(&self) -> Option<Vec<DriverFile>> {
        let language = Language::from_name(&self.lang)?;
        let skeleton = skeleton::of(language, Backend::from_name(&self.backend)?)?;
        Some(skeleton.files)
    }
}

/// A `[[file]]` that the base does not have.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileEntry {
    path: String,
    text: String,
    #[serde(default)]
    executable: bool,
}

impl FileEntry {
    fn driver_file(&self) -> DriverFile {
        DriverFile {
            path: self.path.clone(),
            content: Content::Text {
                text: self.text.clone(),
                executable: self.executable,
            },
        }
    }
}

/// An `[[edit]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EditEntry {
    file: Option<String>,
    find: Option<String>,
    replace: Option<String>,
    after: Option<String>,
    before: Option<String>,
    insert: Option<String>,
    remove: Option<String>,
}

/// The file of one animal.
#[derive(Debug)]
pub(super) struct AnimalFile<'source> {
    source: &'source SourceFile,
    name: String,
    document: Document,
}

/// Reads a file.
pub(super) fn parse(source: &SourceFile) -> Result<AnimalFile<'_>, ScenarioError> {
    let document = toml::from_str(source.text).map_err(|error: toml::de::Error| {
        let line = error
            .span()
            .map_or(1, |span| line_of(source.text, span.start));
        ScenarioError::new(
            source.path,
            line,
            error.message(),
            "see the keys that scenarios/src/zoo/file.rs documents",
        )
    })?;
    let name = source.path.rsplit('/').next().unwrap_or(source.path);
    Ok(AnimalFile {
        source,
        name: name.trim_end_matches(".toml").to_owned(),
        document,
    })
}

impl AnimalFile<'_> {
    /// Whether it tells of a driver without a flaw.
    pub(super) fn is_good(&self) -> bool {
        self.document.base.is_none()
    }

    /// The good animal.
    pub(super) fn good(&self, drivers: &Drivers) -> Result<Animal, ScenarioError> {
        let document = &self.document;
        let is_broken = !document.edit.is_empty()
            || !document.finding.is_empty()
            || !document.consequence.is_empty()
            || !document.classes.is_empty()
            || !document.file.is_empty()
            || document.survives.is_some();
        if is_broken {
            return Err(self.error(
                1,
                "a driver with a flaw has a base",
                "name the good driver that the edits change: base = \"good-bash\"",
            ));
        }
        let files = match &document.skeleton {
            Some(skeleton) => self.files_of_skeleton(skeleton)?,
            None => self.files_of_directory(drivers)?,
        };
        Ok(self.animal(document.program.clone(), files, None))
    }

    fn files_of_directory(&self, drivers: &Drivers) -> Result<Vec<DriverFile>, ScenarioError> {
        let files = drivers.get(&self.name);
        files.cloned().ok_or_else(|| {
            self.error(
                1,
                &format!("there is no directory drivers/{}", self.name),
                "make it, or name a base if this is a driver with a flaw",
            )
        })
    }

    fn files_of_skeleton(
        &self,
        skeleton: &Spanned<SkeletonEntry>,
    ) -> Result<Vec<DriverFile>, ScenarioError> {
        skeleton.get_ref().files().ok_or_else(|| {
            self.error(
                line_of(self.source.text, skeleton.span().start),
                "`init` writes no such driver",
                "name a language and a backend that it offers: { lang = \"bash\", backend = \"ssh\" }",
            )
        })
    }

    /// The broken animal.
    pub(super) fn broken(&self, good: &BTreeMap<String, Animal>) -> Result<Animal, ScenarioError> {
        let document = &self.document;
        let base = self.base(good)?;
        let mut files = base.files.clone();
        let mut edits = Vec::new();
        for entry in &document.edit {
            let edit = self.edit(entry, base)?;
            let at = line_of(self.source.text, entry.span().start);
            self.apply(&edit, at, &mut files)?;
            edits.push(edit);
        }
        if edits.is_empty() {
            return Err(self.error(1, "nothing is broken", "add an [[edit]]"));
        }
        tell(&document.about, &base.name, &edits, &mut files);
        files.extend(document.file.iter().map(FileEntry::driver_file));
        let flaw = Flaw {
            base: base.name.clone(),
            classes: self.classes()?,
            edits,
            expected: self.expected()?,
            consequences: document.consequence.clone(),
        };
        let program = document.program.clone().or_else(|| base.program.clone());
        let mut animal = self.animal(program, files, Some(flaw));
        animal.needs.extend(base.needs.iter().cloned());
        animal.backend = animal.backend.or_else(|| base.backend.clone());
        Ok(animal)
    }

    fn animal(
        &self,
        program: Option<String>,
        files: Vec<DriverFile>,
        flaw: Option<Flaw>,
    ) -> Animal {
        Animal {
            name: self.name.clone(),
            about: self.document.about.clone(),
            program,
            needs: self.document.needs.clone(),
            cases: self.document.cases.clone(),
            tidy: self.document.tidy.clone(),
            service: self.document.service.clone(),
            backend: self.document.backend.clone(),
            faults: self.document.faults,
            flaw,
            files,
        }
    }

    fn base<'zoo>(
        &self,
        good: &'zoo BTreeMap<String, Animal>,
    ) -> Result<&'zoo Animal, ScenarioError> {
        let (name, line) = match &self.document.base {
            Some(base) => (
                base.get_ref().as_str(),
                line_of(self.source.text, base.span().start),
            ),
            None => ("", 1),
        };
        good.get(name).ok_or_else(|| {
            let names: Vec<&str> = good.keys().map(String::as_str).collect();
            self.error(
                line,
                &format!("there is no good driver `{name}`"),
                &format!("choose one of {}", names.join(", ")),
            )
        })
    }

    fn classes(&self) -> Result<Vec<String>, ScenarioError> {
        let known = |name: &str| bug_classes().iter().any(|class| class.name == name);
        for class in &self.document.classes {
            if !known(class.get_ref()) {
                return Err(self.error(
                    line_of(self.source.text, class.span().start),
                    &format!("there is no class of bugs `{}`", class.get_ref()),
                    "choose from scenarios/bug_classes.toml, or add it there",
                ));
            }
        }
        let classes = self.document.classes.iter();
        Ok(classes.map(|class| class.get_ref().clone()).collect())
    }

    fn expected(&self) -> Result<Expected, ScenarioError> {
        match (&self.document.survives, self.document.finding.is_empty()) {
            (None, false) => Ok(Expected::Findings(self.document.finding.clone())),
            (Some(reason), true) => Ok(Expected::Survives(reason.clone())),
            (None, true) => Err(self.error(
                1,
                "it does not say what the suite must find",
                "add a [[finding]], or the reason why it survives: survives = \"…\"",
            )),
            (Some(_), false) => Err(self.error(
                1,
                "a driver that survives is one in which nothing is found",
                "keep either `survives` or the findings",
            )),
        }
    }

    fn edit(&self, entry: &Spanned<EditEntry>, base: &Animal) -> Result<Edit, ScenarioError> {
        let at = line_of(self.source.text, entry.span().start);
        let entry = entry.get_ref();
        let operation = operation(entry).ok_or_else(|| {
            self.error(
                at,
                "it is not clear what this edit does",
                "write `find` and `replace`, `after` and `insert`, `before` and `insert`, or `remove` alone",
            )
        })?;
        let file = match &entry.file {
            Some(file) => file.clone(),
            None => only_text(base).ok_or_else(|| {
                self.error(
                    at,
                    &format!("{} has several files", base.name),
                    "name the one to edit: file = \"…\"",
                )
            })?,
        };
        Ok(Edit { file, operation })
    }

    /// Makes one edit in the file it names.
    fn apply(
        &self,
        edit: &Edit,
        line: usize,
        files: &mut [DriverFile],
    ) -> Result<(), ScenarioError> {
        let wanted = files.iter_mut().find(|file| file.path == edit.file);
        let Some(Content::Text { text, .. }) = wanted.map(|file| &mut file.content) else {
            return Err(self.error(
                line,
                &format!("the base has no file `{}`", edit.file),
                "name a file that is not a link",
            ));
        };
        *text = edit.operation.apply(text).map_err(|problem| {
            self.error(
                line,
                &format!("edit of `{}`: {problem}", edit.file),
                "quote a text that is in the file, as edited so far, exactly once",
            )
        })?;
        Ok(())
    }

    fn error(&self, line: usize, problem: &str, remedy: &str) -> ScenarioError {
        ScenarioError::new(self.source.path, line, problem, remedy)
    }
}

/// What an entry does, if it has exactly the keys of one operation.
fn operation(entry: &EditEntry) -> Option<Operation> {
    let EditEntry {
        file: _,
        find,
        replace,
        after,
        before,
        insert,
        remove,
    } = entry;
    match (find, replace, after, before, insert, remove) {
        (Some(find), Some(replace), None, None, None, None) => Some(Operation::Replace {
            find: find.clone(),
            replace: replace.clone(),
        }),
        (None, None, Some(after), None, Some(insert), None) => Some(Operation::InsertAfter {
            after: after.clone(),
            insert: insert.clone(),
        }),
        (None, None, None, Some(before), Some(insert), None) => Some(Operation::InsertBefore {
            before: before.clone(),
            insert: insert.clone(),
        }),
        (None, None, None, None, None, Some(remove)) => Some(Operation::Remove {
            remove: remove.clone(),
        }),
        _ => None,
    }
}

/// The only file of a driver that is not a link.
fn only_text(animal: &Animal) -> Option<String> {
    let mut texts = animal
        .files
        .iter()
        .filter(|file| matches!(file.content, Content::Text { .. }));
    match (texts.next(), texts.next()) {
        (Some(file), None) => Some(file.path.clone()),
        _ => None,
    }
}

/// Says in each file that was edited that it is broken on purpose, for whoever finds it.
fn tell(about: &str, base: &str, edits: &[Edit], files: &mut [DriverFile]) {
    let comment = format!("{REMARK}{base}: {about}\n");
    for file in files {
        if let Content::Text { text, .. } = &mut file.content
            && edits.iter().any(|edit| edit.file == file.path)
        {
            let at = if text.starts_with(INTERPRETER_LINE) {
                text.find('\n').map_or(text.len(), |newline| newline + 1)
            } else {
                0
            };
            text.insert_str(at, &comment);
        }
    }
}
