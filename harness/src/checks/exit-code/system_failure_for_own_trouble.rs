//! # What it verifies
//!
//! A run call that could not run the script does not report a build failure.
//!
//! # Why it matters
//!
//! The user is told that the script failed, looks for a fault in it, and finds none; the retry of `get_sources` and
//! of the job is decided on a wrong reason.
//!
//! # How drivers break it
//!
//! They take every non-zero status of the tool that runs the script for the status of the script: a container that
//! is gone, a lost connection, a script too large for the command line.
//!
//! # Example of the fix
//!
//! Tell the two apart, with a code that the tool keeps for itself or with a marker that the script prints:
//!
//! ```text
//!     box exec "$name" < "$script"; code=$?
//!     [ "$code" -ne 125 ] || exit "$SYSTEM_FAILURE_EXIT_CODE"
//! ```
//!
//! # Clause
//!
//! Must: G8.

use crate::checks::Deviation;
use crate::checks::evidence::{
    deviation, each, ending, exit_code, exit_codes, lone_scripts, ran_earlier_script,
};
use crate::plan::case::Case;
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let not_run = lone_scripts(case, trace).into_iter().filter(|run| {
        !run.started() && exit_code(run.call) != Some(0) && !ran_earlier_script(trace, run.index)
    });
    each(not_run, |run| {
        let (build_failure, system_failure) = exit_codes(case, run.call)?;
        let expected = format!("exit status {system_failure} (SYSTEM_FAILURE_EXIT_CODE)");
        let message = "blamed the user although the script was not run";
        (exit_code(run.call) == Some(build_failure))
            .then(|| deviation(trace, run.index, message, &[&expected], ending(run.call)))
    })
}

#[cfg(test)]
mod tests {
    use crate::checks::testing::{BUILD_FAILURE, SYSTEM_FAILURE, Scene, exits};

    const ID: &str = "exit-code/system-failure-for-own-trouble";

    #[test]
    fn a_system_failure_is_fine() {
        Scene::new()
            .run("build_script", exits(0), SYSTEM_FAILURE)
            .printing("no such box\n")
            .expect_clean(ID);
    }

    #[test]
    fn a_build_failure_without_a_script_is_found() {
        Scene::new()
            .run("build_script", exits(0), BUILD_FAILURE)
            .printing("no such box\n")
            .expect(ID, 1);
    }

    #[test]
    fn a_script_that_ran_is_not_its_matter() {
        Scene::new()
            .run("build_script", exits(1), BUILD_FAILURE)
            .expect_silent(ID);
    }
}
