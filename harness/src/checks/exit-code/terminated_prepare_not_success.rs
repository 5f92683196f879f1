//! # What it verifies
//!
//! A call of prepare that is ended by SIGTERM does not report a build failure, and reports success only if the
//! environment works.
//!
//! # Why it matters
//!
//! The runner believes the exit code also after SIGTERM: it goes on with stages in an environment that is not
//! there, or blames the user for a job that was cancelled or ran out of time.
//!
//! # How drivers break it
//!
//! They end with "trap exit 0 TERM", or with a trap on EXIT whose last command succeeds; or their general error
//! handler exits with the build-failure code.
//!
//! # Example of the fix
//!
//! Undo what was begun and say that it was the system:
//!
//! ```text
//!     trap 'undo; exit "$SYSTEM_FAILURE_EXIT_CODE"' TERM
//! ```
//!
//! # Clause
//!
//! Must: D5, D4, H10.

use crate::checks::Deviation;
use crate::checks::evidence::{
    calls, deviation, each, ending, exit_code, exit_codes, printed, terminated, undisturbed,
};
use crate::contract::stage::Program;
use crate::plan::case::Case;
use crate::trace::{CallIndex, Trace};

/// `BUILD_FAILURE_EXIT_CODE` of every runner so far.
const RUNNER_BUILD_FAILURE: i32 = 1;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let terminated = calls(trace).filter(|(_, call)| {
        matches!(call.program, Program::Config | Program::Prepare) && terminated(call)
    });
    each(terminated, |(index, call)| {
        let (build_failure, system_failure) = exit_codes(case, call)?;
        let code = exit_code(call)?;
        // Exit code 1 is what the runner of today takes for it, so that a literal or an uncaught error means the same.
        let blames_user =
            code == build_failure || (code == RUNNER_BUILD_FAILURE && code != system_failure);
        let message = if blames_user {
            "reported a failure of the user when it was terminated"
        } else if code == 0 && call.program == Program::Prepare && stage_failed_after(trace, index)
        {
            "reported success when it was terminated, and no stage could run after it"
        } else {
            return None;
        };
        let expected = format!("exit status {system_failure} (SYSTEM_FAILURE_EXIT_CODE)");
        Some(deviation(trace, index, message, &[&expected], ending(call)))
    })
}

/// The next call of the job was an undisturbed run whose script did not start. Only this shows that a success was none: a
/// driver may well have been ready when the signal came.
fn stage_failed_after(trace: &Trace, prepare: CallIndex) -> bool {
    let job = trace.calls[prepare.0].job;
    let next = calls(trace)
        .skip(prepare.0 + 1)
        .find(|(_, call)| call.job == job);
    next.is_some_and(|(index, call)| {
        let nonce = call.nonce.as_deref();
        undisturbed(trace, index) && nonce.is_some_and(|nonce| !printed(call, nonce, "start"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{BUILD_FAILURE, SYSTEM_FAILURE, Scene, exits};

    const ID: &str = "exit-code/terminated-prepare-not-success";

    #[test]
    fn the_literal_value_is_found_too() {
        Scene::new()
            .call(Program::Prepare, 1)
            .terminated()
            .expect(ID, 1);
    }

    #[test]
    fn a_system_failure_or_a_death_by_the_signal_is_fine() {
        Scene::new()
            .call(Program::Prepare, SYSTEM_FAILURE)
            .terminated()
            .expect_clean(ID);
        Scene::new()
            .call(Program::Prepare, 143)
            .terminated()
            .expect_clean(ID);
    }

    #[test]
    fn a_build_failure_is_found() {
        Scene::new()
            .call(Program::Prepare, BUILD_FAILURE)
            .terminated()
            .expect(ID, 1);
    }

    #[test]
    fn success_counts_only_against_a_driver_whose_environment_does_not_work() {
        let ready = Scene::new().call(Program::Prepare, 0).terminated();
        ready.run("get_sources", exits(0), 0).expect_clean(ID);
        let broken = Scene::new().call(Program::Prepare, 0).terminated();
        broken
            .run("get_sources", exits(0), SYSTEM_FAILURE)
            .printing("no environment\n")
            .expect(ID, 1);
    }

    #[test]
    fn a_prepare_that_nobody_ended_is_not_its_matter() {
        Scene::new()
            .call(Program::Prepare, BUILD_FAILURE)
            .expect_silent(ID);
    }
}
