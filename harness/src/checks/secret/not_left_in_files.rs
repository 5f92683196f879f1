//! # What it verifies
//!
//! After cleanup, no file outside of the directories for builds and caches holds a secret of the job.
//!
//! # Why it matters
//!
//! The next job on the machine, and whoever gets hold of its disk, can read the token or password of a job that is long
//! over.
//!
//! # How drivers break it
//!
//! They log in with a password of the job and keep the state of the login, or write environment or script into a file
//! for later stages and forget it.
//!
//! # Example of the fix
//!
//! Keep what holds a secret in TMPDIR, which the runner removes, or in the directory that cleanup removes:
//!
//! ```text
//!     umask 077
//!     podman login --authfile "$TMPDIR/auth.json" --username "$user" --password-stdin
//! ```
//!
//! # Clause
//!
//! Must: I2.

use crate::checks::Deviation;
use crate::checks::evidence::{cleaned_up_after, deviation, in_builds_or_cache, killed_outright};
use crate::plan::case::Case;
use crate::trace::{CallIndex, SecretFile, Trace};

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let cleaned = (0..trace.calls.len()).any(|index| cleaned_up_after(trace, CallIndex(index)));
    if !case.surroundings.watch_secrets || !cleaned {
        return None;
    }
    let left = trace.secret_files.iter().filter(|file| file.left);
    let found = left.filter_map(|file| {
        let index = file.made_by?;
        let message = "left a secret of the job in a file";
        let counts = cleaned_up_after(trace, index)
            && !killed_outright(&trace.calls[index.0])
            && !in_builds_or_cache(case, trace, &file.path)
            && !of_the_runner(trace, file);
        counts.then(|| {
            let actual = format!("{} in {}", file.secrets.join(", "), file.path.display());
            deviation(
                trace,
                index,
                message,
                &["no such file after cleanup"],
                actual,
            )
        })
    });
    Some(found.collect())
}

/// The runner removes its own temporary directories with all that is in them.
fn of_the_runner(trace: &Trace, file: &SecretFile) -> bool {
    let mut calls = trace.calls.iter();
    calls.any(|call| file.path.starts_with(&call.temp_dir))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    use crate::checks::testing::Scene;
    use crate::contract::stage::Program;

    const ID: &str = "secret/not-left-in-files";

    fn scene(path: &str, left: bool) -> Scene {
        let mut scene = Scene::new()
            .call(Program::Prepare, 0)
            .call(Program::Cleanup, 0);
        scene.case.surroundings.watch_secrets = true;
        scene.trace.secret_files.push(SecretFile {
            path: PathBuf::from(path),
            mode: 0o100_600,
            secrets: vec!["CI_JOB_TOKEN".into()],
            readable_by_others: false,
            left,
            made_by: Some(CallIndex(0)),
        });
        scene
    }

    #[test]
    fn a_file_that_stays_is_found() {
        scene("/home/ci/.boxrc", true).expect(ID, 1);
    }

    #[test]
    fn a_file_that_cleanup_removed_is_fine() {
        scene("/home/ci/.boxrc", false).expect_clean(ID);
    }

    #[test]
    fn builds_and_the_directory_of_the_runner_are_not_the_drivers() {
        scene("/data/builds/project/.netrc", true).expect_clean(ID);
        scene("/data/tmp/custom-executor1/auth.json", true).expect_clean(ID);
    }

    #[test]
    fn without_cleanup_nothing_can_be_said() {
        let mut scene = scene("/home/ci/.boxrc", true);
        scene.trace.calls.pop();
        scene.expect_silent(ID);
    }
}
