//! # What it verifies
//!
//! A run call that could not run the script, or not to its end, does not report a build failure.
//!
//! # Why it matters
//!
//! The user is told that the script failed, looks for a fault in it, and finds none; the retry of `get_sources` and
//! of the job is decided on a wrong reason.
//!
//! # How drivers break it
//!
//! They take every non-zero status of the tool that runs the script for the status of the script: a container that
//! is gone, a lost connection, a script too large for the command line, a worker of the driver that died under the script.
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
    ScriptRun, code_file_value, deviation, each, ending, exit_code, exit_codes, lone_scripts,
    ran_earlier_script, scripts_without_helpers,
};
use crate::plan::case::Case;
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let not_run = lone_scripts(case, trace).into_iter().filter(|run| {
        !run.started() && exit_code(run.call) != Some(0) && !ran_earlier_script(trace, run.index)
    });
    let not_run = not_run.map(|run| (run, "blamed the user although the script was not run"));
    let cut_off = scripts_without_helpers(trace).into_iter();
    let cut_off = cut_off.filter(|run| !seems_killed(run));
    let cut_off = cut_off.map(|run| (run, "blamed the user when its own helper had died"));
    each(not_run.chain(cut_off), |(run, message)| {
        let (build_failure, system_failure) = exit_codes(case, run.call)?;
        let expected = format!("exit status {system_failure} (SYSTEM_FAILURE_EXIT_CODE)");
        (exit_code(run.call) == Some(build_failure))
            .then(|| deviation(trace, run.index, message, &[&expected], ending(run.call)))
    })
}

/// The code that is told is that of a script which died of a signal, or none is: the environment may have ended with its helper
/// and the script with it, and from outside that looks like a script that was killed for want of memory.
fn seems_killed(run: &ScriptRun<'_>) -> bool {
    let told = run.call.exit_code_file_after.as_deref();
    let code = told.and_then(code_file_value);
    !run.finished() && code.is_none_or(|code| code > SIGNALS_FROM)
}

/// What shells add to the number of the signal that ended a process.
const SIGNALS_FROM: i64 = 128;

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
    fn a_helper_that_dies_is_no_failure_of_the_script() {
        let scene = |told: &[u8], code: i32| {
            Scene::new()
                .run("get_sources", exits(0), code)
                .printing("NONCE:start\n")
                .but(|call| call.exit_code_file_after = Some(told.to_vec()))
                .losing_helpers()
        };
        scene(b"1\n", BUILD_FAILURE).expect(ID, 1);
        scene(b"1\n", SYSTEM_FAILURE).expect_clean(ID);
        scene(b"1\n", 0).expect_clean(ID);
        scene(b"137\n", BUILD_FAILURE).expect_silent(ID);
        scene(b"137\n", BUILD_FAILURE)
            .printing("NONCE:start\nNONCE:end\n")
            .expect(ID, 1);
        let without_file = scene(b"", BUILD_FAILURE);
        without_file
            .but(|call| call.exit_code_file_after = None)
            .expect_silent(ID);
    }

    #[test]
    fn a_script_that_ran_is_not_its_matter() {
        Scene::new()
            .run("build_script", exits(1), BUILD_FAILURE)
            .expect_silent(ID);
    }
}
