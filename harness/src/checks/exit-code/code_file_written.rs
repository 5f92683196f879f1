//! # What it verifies
//!
//! A run call that reports a failed script leaves the code of the script in `BUILD_EXIT_CODE_FILE`.
//!
//! # Why it matters
//!
//! Without the file GitLab is told exit code 1 for every failure, and `allow_failure`: `exit_codes` and retry:
//! `exit_codes` never match.
//!
//! # How drivers break it
//!
//! They do not know the file, which came later than the rest of the contract.
//!
//! # Example of the fix
//!
//! Write the code before exiting, if the runner named a file:
//!
//! ```text
//!     [ -z "${BUILD_EXIT_CODE_FILE:-}" ] || printf '%s\n' "$code" > "$BUILD_EXIT_CODE_FILE"
//!     exit "$BUILD_FAILURE_EXIT_CODE"
//! ```
//!
//! # Clause
//!
//! Should: G3.

use crate::checks::Deviation;
use crate::checks::evidence::{deviation, each, exit_code, exit_codes, lone_scripts};
use crate::plan::case::Case;
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let reported = lone_scripts(case, trace).into_iter().filter(|run| {
        let build_failure = exit_codes(case, run.call).map(|(code, _)| code);
        run.finished() && run.script_code() != Some(0) && exit_code(run.call) == build_failure
    });
    each(reported, |run| {
        let code = run.script_code()?;
        let message = "reported a failed script without its code";
        run.call.exit_code_file_after.is_none().then(|| {
            let expected = format!("{code} in BUILD_EXIT_CODE_FILE");
            deviation(
                trace,
                run.index,
                message,
                &[&expected],
                "no file".to_owned(),
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use crate::checks::testing::{BUILD_FAILURE, SYSTEM_FAILURE, Scene, exits};

    const ID: &str = "exit-code/code-file-written";

    #[test]
    fn a_written_file_is_fine() {
        Scene::new()
            .run("build_script", exits(42), BUILD_FAILURE)
            .but(|call| call.exit_code_file_after = Some(b"42\n".to_vec()))
            .expect_clean(ID);
    }

    #[test]
    fn a_missing_file_is_found() {
        Scene::new()
            .run("build_script", exits(42), BUILD_FAILURE)
            .expect(ID, 1);
    }

    #[test]
    fn success_and_system_failure_need_no_file() {
        Scene::new()
            .run("get_sources", exits(0), 0)
            .run("build_script", exits(2), SYSTEM_FAILURE)
            .expect_silent(ID);
    }
}
