//! The zoo: drivers of which it is known what the suite must find in them.
//!
//! A *good* animal is a directory below `drivers/`, and the file `zoo/<name>.toml` of the same name says what it is; or it is a
//! driver that `init` writes, which the file names (`skeleton = { lang = "bash", backend = "ssh" }`). The suite must find nothing in it. A *broken* animal is a file `zoo/<flaw>.toml` alone: it names a good one as its base and
//! the few edits that break it, so that the flaw is what one reads, and exactly the findings that the suite must make.
//!
//! ```toml
//! about = "Exits with a fixed 2 for trouble of its own, whatever the environment says."
//! base = "good-bash"
//! classes = ["fixed-exit-codes"]
//!
//! [[edit]]
//! find = 'exit "$SYSTEM_FAILURE_EXIT_CODE"'
//! replace = 'exit 2'
//!
//! [[finding]]
//! check = "exit-code/literal-exit-codes"
//! call = "run"
//! stage = "build_script"
//! ```
//!
//! What follows from a flaw only at an unlucky moment, such as a signal between two steps, is a `[[consequence]]` (`check`,
//! `call`, `when`): it may be found or not.
//!
//! A flaw may need a file that its base does not have (`[[file]]` with `path`, `text`, `executable`). One that leaves things
//! on the machine says by which shell command they are taken away after a visit (`tidy`). One that asks a service of the
//! machine for something brings that service along (`service`): a shell command that runs in the directory of the driver
//! while it is visited, and that the driver did not start.
//!
//! Applying the edits is pure; [`Animal::write`] puts the result into a directory.

mod classes;
mod edit;
mod file;
mod write;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::SourceFile;
use crate::driver_file::{EmbeddedContent, EmbeddedFile};
use crate::error::ScenarioError;

pub use crate::driver_file::{Content, DriverFile};
pub use classes::{BugClass, bug_classes};
pub use edit::{Edit, Operation};
pub use file::{Consequence, ExpectedFinding, REMARK};

/// All files of animals, sorted by path.
static ANIMAL_FILES: &[SourceFile] = include!(concat!(env!("OUT_DIR"), "/zoo_files.rs"));

/// All files of good drivers, sorted by driver and path.
static DRIVER_FILES: &[EmbeddedFile] = include!(concat!(env!("OUT_DIR"), "/driver_files.rs"));

/// A driver of which it is known what the suite must find in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Animal {
    /// The name of its file: what is wrong with it, or `good-…`.
    pub name: String,
    /// One sentence: what it does.
    pub about: String,
    /// The program in its directory that is the driver, if it is not the directory itself.
    pub program: Option<String>,
    /// Tools beside those of a minimal machine without which it cannot work here.
    pub needs: Vec<String>,
    /// Globs of the cases that show its flaw, for a quick visit; empty: all.
    pub cases: Vec<String>,
    /// The shell command that takes away what it leaves on the machine outside its directories.
    pub tidy: Option<String>,
    /// The shell command that runs beside it in its directory, as a service of the machine would.
    pub service: Option<String>,
    /// The backend in front of which it is run, as `--backend` names it.
    pub backend: Option<String>,
    /// Its flaw shows when its backend fails: it is swept with faults, as by `driver-conformance faults`.
    pub faults: bool,
    /// The flaw; a good animal has none.
    pub flaw: Option<Flaw>,
    /// Its files, edits applied.
    pub files: Vec<DriverFile>,
}

/// How a broken animal differs from a good one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// The good animal it is made from.
    pub base: String,
    /// What kinds of bugs of real drivers it stands for: names of [`bug_classes`].
    pub classes: Vec<String>,
    /// What was changed.
    pub edits: Vec<Edit>,
    /// What the suite must make of it.
    pub expected: Expected,
    /// What may be found too, at an unlucky moment.
    pub consequences: Vec<Consequence>,
}

/// What the suite must make of a broken animal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// These findings, and none of another check.
    Findings(Vec<ExpectedFinding>),
    /// Nothing: the suite is known not to see it, for this reason.
    Survives(String),
}

impl Animal {
    /// The findings that must be made; none for a good animal and for a survivor.
    pub fn findings(&self) -> &[ExpectedFinding] {
        match &self.flaw {
            Some(Flaw {
                expected: Expected::Findings(findings),
                ..
            }) => findings,
            _ => &[],
        }
    }

    /// The findings that may be made too.
    pub fn consequences(&self) -> &[Consequence] {
        self.flaw.as_ref().map_or(&[], |flaw| &flaw.consequences)
    }

    /// Why the suite is known not to see the flaw, if it is.
    pub fn survives(&self) -> Option<&str> {
        match &self.flaw {
            Some(Flaw {
                expected: Expected::Survives(reason),
                ..
            }) => Some(reason),
            _ => None,
        }
    }

    /// Whether it is a driver in which nothing is to be found.
    pub fn is_good(&self) -> bool {
        self.flaw.is_none()
    }
}

/// All animals, sorted by name.
///
/// # Panics
///
/// If a file of the zoo is not valid, which a test rules out.
pub fn all() -> &'static [Animal] {
    static ANIMALS: OnceLock<Vec<Animal>> = OnceLock::new();
    ANIMALS.get_or_init(|| load().unwrap_or_else(|error| panic!("{error}")))
}

/// The animal of this name.
pub fn by_name(name: &str) -> Option<&'static Animal> {
    all().iter().find(|animal| animal.name == name)
}

/// Reads all files of the zoo and applies their edits.
pub fn load() -> Result<Vec<Animal>, ScenarioError> {
    assemble(ANIMAL_FILES, &drivers())
}

/// The files of every good driver, by its name.
type Drivers = BTreeMap<String, Vec<DriverFile>>;

fn drivers() -> Drivers {
    let mut drivers = Drivers::new();
    for file in DRIVER_FILES {
        let files = drivers.entry(file.driver.to_owned()).or_default();
        files.push(file.driver_file());
    }
    drivers
}

/// Good animals first, since they are the bases of the others.
fn assemble(sources: &[SourceFile], drivers: &Drivers) -> Result<Vec<Animal>, ScenarioError> {
    let mut good = BTreeMap::new();
    let mut broken = Vec::new();
    for source in sources {
        let file = file::parse(source)?;
        if file.is_good() {
            let animal = file.good(drivers)?;
            good.insert(animal.name.clone(), animal);
        } else {
            broken.push(file);
        }
    }
    let mut animals = Vec::new();
    for file in &broken {
        animals.push(file.broken(&good)?);
    }
    animals.extend(good.into_values());
    animals.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(animals)
}

#[cfg(test)]
mod tests;
