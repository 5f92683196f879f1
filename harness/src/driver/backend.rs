//! The backend that takes the place of the driver's own: `--backend mock:podman`.

use std::path::Path;

use driver_conformance_mock_backend::Personality;
use driver_conformance_mock_backend::client::Wanted;
use driver_conformance_mock_backend::faults::FaultKind;

use super::problem::Problem;

/// What a choice begins with: a mock backend.
const MOCK: &str = "mock:";
/// What a choice begins with: the real tools, called through the shims of a mock backend.
const REAL: &str = "real:";

/// A backend in front of which the driver is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendChoice {
    /// As it is written.
    pub word: String,
    /// A name, or the path of a file.
    pub personality: String,
    /// The real tools are called; requests are recorded, and faults can be injected.
    pub real: bool,
}

impl BackendChoice {
    /// Reads a choice; the path of a personality is relative to `base`.
    pub fn parse(word: &str, base: &Path) -> Result<Self, Problem> {
        let (name, real) = match (word.strip_prefix(MOCK), word.strip_prefix(REAL)) {
            (Some(name), _) => (name, false),
            (None, Some(name)) => (name, true),
            (None, None) => {
                let message = format!("`{word}` is no backend");
                let known = Personality::built_in().map(|name| format!("{MOCK}{name}"));
                let known = known.collect::<Vec<_>>().join(", ");
                let remedy = format!(
                    "write one of {known}; {REAL} instead of {MOCK} calls the real tools and records it"
                );
                return Err(Problem::new(message, remedy));
            }
        };
        let is_path = Path::new(name).extension().is_some_and(|end| end == "toml");
        let personality = if is_path {
            base.join(name).to_string_lossy().into_owned()
        } else {
            name.to_owned()
        };
        if let Err(error) = Personality::find(&personality) {
            let remedy = "docs/mock-backend.md says how a personality is written";
            return Err(Problem::new(error.to_string(), remedy));
        }
        Ok(Self {
            word: word.to_owned(),
            personality,
            real,
        })
    }

    /// Whether a fault can be done to it.
    pub fn can_do(&self, kind: &FaultKind) -> bool {
        let personality = || Personality::find(&self.personality);
        !self.real || personality().is_ok_and(|personality| personality.reaches_real(kind))
    }

    /// What the process of the backend must be told. `path` is the PATH with the real tools.
    pub fn wanted(&self, path: &str) -> Wanted {
        Wanted {
            personality: self.personality.clone(),
            real: self.real.then(|| path.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_names_a_personality_that_there_is() {
        let choice = BackendChoice::parse("mock:podman", Path::new("/x")).expect("known");
        assert_eq!(
            (choice.personality.as_str(), choice.real),
            ("podman", false)
        );
        assert!(
            BackendChoice::parse("real:docker", Path::new("/x"))
                .expect("known")
                .real
        );
        let real = BackendChoice::parse("real:podman", Path::new("/x")).expect("known");
        assert!(real.can_do(&FaultKind::ReplyLost) && choice.can_do(&FaultKind::StaleList));
        assert!(!real.can_do(&FaultKind::StaleList), "the world is not ours");
        for wrong in ["podman", "mock:podmen", "mock:none.toml"] {
            let problem = BackendChoice::parse(wrong, Path::new("/x"));
            assert!(problem.is_err(), "{wrong}");
        }
    }
}
