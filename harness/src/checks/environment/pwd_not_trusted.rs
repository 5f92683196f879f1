//! # What it verifies
//!
//! A driver writes nothing into the directory that the variable PWD names.
//!
//! # Why it matters
//!
//! The working directory of a call is TMPDIR, but PWD is the runner's own: what is put there is shared by all jobs, and
//! stays.
//!
//! # How drivers break it
//!
//! They read PWD where they mean the working directory. Shells correct the variable by themselves; other languages and
//! env do not.
//!
//! # Example of the fix
//!
//! Ask the system where the program is, or use TMPDIR:
//!
//! ```text
//!     state = pathlib.Path(os.environ["TMPDIR"]) / "state"
//! ```
//!
//! # Clause
//!
//! Must: B3.

use crate::checks::Deviation;
use crate::checks::evidence::{calls, deviation, each};
use crate::plan::case::Case;
use crate::trace::{CallRecord, Trace};

/// Looks at one case.
pub(crate) fn examine(_case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let relevant = calls(trace).filter_map(|(index, call)| Some((index, runner_directory(call)?)));
    each(relevant, |(index, directory)| {
        let strays: Vec<String> = trace
            .appeared_files
            .iter()
            .filter(|file| file.made_by == Some(index) && file.path.starts_with(directory))
            .map(|file| file.path.display().to_string())
            .collect();
        let message = "wrote into the directory in which the runner was started";
        let expected = ["files in its working directory, which is TMPDIR"];
        (!strays.is_empty()).then(|| deviation(trace, index, message, &expected, strays.join(", ")))
    })
}

/// What PWD says, if that is not the working directory.
fn runner_directory(call: &CallRecord) -> Option<&str> {
    let (_, directory) = call.environment.iter().find(|(name, _)| name == "PWD")?;
    let elsewhere = !call.temp_dir.starts_with(directory);
    (elsewhere && !directory.is_empty()).then_some(directory.as_str())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crate::checks::testing::Scene;
    use crate::contract::stage::Program;
    use crate::trace::{CallIndex, LeftFile};

    const ID: &str = "environment/pwd-not-trusted";

    fn scene(path: &str) -> Scene {
        let mut scene = Scene::new().call(Program::Prepare, 0).but(|call| {
            call.environment.push(("PWD".into(), "/srv/runner".into()));
        });
        scene.trace.appeared_files.push(LeftFile {
            path: PathBuf::from(path),
            mode: 0o100_644,
            made_by: Some(CallIndex(0)),
        });
        scene
    }

    #[test]
    fn a_file_there_is_found() {
        scene("/srv/runner/state").expect(ID, 1);
    }

    #[test]
    fn a_file_elsewhere_is_fine() {
        scene("/srv/runners/state").expect_clean(ID);
    }

    #[test]
    fn without_pwd_nothing_can_be_said() {
        Scene::new().call(Program::Prepare, 0).expect_silent(ID);
    }
}
