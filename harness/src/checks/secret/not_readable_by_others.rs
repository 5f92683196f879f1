//! # What it verifies
//!
//! While a job runs, what a driver writes with a secret of the job in it can be read by its own user alone.
//!
//! # Why it matters
//!
//! Every user of the machine can take the token of a running job, and with it the rights of whoever started the job.
//!
//! # How drivers break it
//!
//! They write environment, script or login state with the usual umask, into a directory that everybody may enter.
//!
//! # Example of the fix
//!
//! Take the rights away before the first byte is written, not after the last:
//!
//! ```text
//!     umask 077
//! ```
//!
//! # Clause
//!
//! Should: I2.

use crate::checks::Deviation;
use crate::checks::evidence::{deviation, in_builds_or_cache};
use crate::plan::case::Case;
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    if !case.surroundings.watch_secrets {
        return None;
    }
    // What is left is graver, and has a check of its own.
    let open = trace
        .secret_files
        .iter()
        .filter(|file| file.readable_by_others && !file.left);
    let found = open
        .filter(|file| !in_builds_or_cache(case, trace, &file.path))
        .filter_map(|file| {
            let index = file.made_by?;
            let message = "let every user of the machine read a secret of the job";
            let actual = format!(
                "{} in {}, mode {:04o}",
                file.secrets.join(", "),
                file.path.display(),
                file.mode & 0o7777
            );
            let expected = ["a file, or a directory around it, for its own user alone"];
            Some(deviation(trace, index, message, &expected, actual))
        });
    Some(found.collect())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crate::checks::testing::Scene;
    use crate::contract::stage::Program;
    use crate::trace::{CallIndex, SecretFile};

    const ID: &str = "secret/not-readable-by-others";

    fn scene(readable: bool, left: bool) -> Scene {
        let mut scene = Scene::new().call(Program::Prepare, 0);
        scene.case.surroundings.watch_secrets = true;
        scene.trace.secret_files.push(SecretFile {
            path: PathBuf::from("/home/ci/boxes/12/env"),
            mode: 0o100_644,
            secrets: vec!["CI_JOB_TOKEN".into()],
            readable_by_others: readable,
            left,
            made_by: Some(CallIndex(0)),
        });
        scene
    }

    #[test]
    fn a_file_for_everybody_is_found() {
        scene(true, false).expect(ID, 1);
    }

    #[test]
    fn a_private_file_is_fine_and_one_that_stays_is_another_matter() {
        scene(false, false).expect_clean(ID);
        scene(true, true).expect_clean(ID);
    }

    #[test]
    fn a_case_that_does_not_look_says_nothing() {
        let mut scene = scene(true, false);
        scene.case.surroundings.watch_secrets = false;
        scene.expect_silent(ID);
    }
}
