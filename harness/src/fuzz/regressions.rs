//! The file in which sequences are kept that a driver once failed: beside the driver, and committed with it.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::driver::Problem;

/// Its name.
pub const REGRESSIONS_FILE: &str = "driver-conformance-regressions.toml";

/// What the file begins with.
const HEAD: &str = "\
# Sequences that this driver once failed, found by `driver-conformance fuzz` and made as short as they can be.
# Commit this file with the driver: the sequences are run first each time.
";

/// One sequence.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regression {
    /// Name of its case.
    pub name: String,
    /// The checks that found something.
    pub checks: Vec<String>,
    /// The seed with which it was found.
    pub seed: u64,
    /// The text of its scenario.
    pub scenario: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    regression: Vec<Regression>,
}

/// The file of one driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regressions {
    /// Where it is, or would be.
    pub path: PathBuf,
    /// What is in it.
    pub known: Vec<Regression>,
}

impl Regressions {
    /// Reads the file; one that is not there is empty.
    pub fn read(path: &Path) -> Result<Self, Problem> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                return Err(Problem::new(
                    format!("{} cannot be read: {error}", path.display()),
                    "check its permissions",
                ));
            }
        };
        let document: Document = toml::from_str(&text).map_err(|error| {
            let before = error.span().map_or("", |span| &text[..span.start]);
            let line = before.matches('\n').count() + 1;
            Problem::new(
                format!("{}:{line}: {}", path.display(), error.message()),
                "correct it, or remove the file: it is made anew when something is found",
            )
        })?;
        Ok(Self {
            path: path.to_path_buf(),
            known: document.regression,
        })
    }

    /// Adds a sequence, and writes the file.
    pub fn add(&mut self, new: Regression) -> io::Result<()> {
        self.known.retain(|known| known.name != new.name);
        self.known.push(new);
        std::fs::write(&self.path, self.text())
    }

    fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        for known in &self.known {
            let checks: Vec<String> = known
                .checks
                .iter()
                .map(|check| format!("\"{check}\""))
                .collect();
            let _ = write!(
                text,
                "\n[[regression]]\nname = \"{}\"\nchecks = [{}]\nseed = {}\nscenario = '''\n{}'''\n",
                known.name,
                checks.join(", "),
                known.seed,
                known.scenario
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_read_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(REGRESSIONS_FILE);
        let mut file = Regressions::read(&path).expect("nothing is there");
        assert!(file.known.is_empty());
        let one = Regression {
            name: "fuzz/12ab".to_owned(),
            checks: vec!["cleanup/idempotent".to_owned()],
            seed: 7,
            scenario: "about = \"x\"\ncalls = [\"cleanup\"]\n\n[job]\n".to_owned(),
        };
        file.add(one.clone()).expect("written");
        file.add(one.clone()).expect("written");
        assert_eq!(Regressions::read(&path).expect("readable").known, [one]);
    }

    #[test]
    fn a_mistake_names_its_line() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(REGRESSIONS_FILE);
        std::fs::write(&path, "\n[[regression]]\nnames = 3\n").expect("written");
        let problem = Regressions::read(&path).expect_err("a key is wrong");
        let text = problem.to_string();
        assert!(text.contains(":3: "), "{text}");
    }
}
