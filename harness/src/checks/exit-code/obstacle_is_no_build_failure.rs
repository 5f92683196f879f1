//! # What it verifies
//!
//! config and prepare that fail because of the machine they run on do not report a build failure.
//!
//! # Why it matters
//!
//! The runner tries a failed prepare again, unless it was the user's fault. A full disk, or a backend that is
//! restarting, then fails the jobs of users, who look for the reason in their own scripts.
//!
//! # How drivers break it
//!
//! They run under set -e without a trap, so that any failed command ends them with 1, or share one error handler with
//! run.
//!
//! # Example of the fix
//!
//! Report everything unexpected as the driver's own trouble:
//!
//! ```text
//!     trap 'exit "$SYSTEM_FAILURE_EXIT_CODE"' ERR
//! ```
//!
//! # Clause
//!
//! Must: D2.

use crate::checks::Deviation;
use crate::checks::evidence::{calls, deviation, each, ending, exit_code, exit_codes, undisturbed};
use crate::contract::stage::Program;
use crate::plan::case::{Case, HostEnvironment};
use crate::trace::Trace;

/// `BUILD_FAILURE_EXIT_CODE` of every runner so far.
const RUNNER_BUILD_FAILURE: i32 = 1;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let hindered = |job: usize| {
        let job = case.jobs.get(job);
        job.is_some_and(|job| job.host_environment == HostEnvironment::UnusableHome)
    };
    let relevant = calls(trace).filter(|(index, call)| {
        hindered(call.job)
            && matches!(call.program, Program::Config | Program::Prepare)
            && undisturbed(trace, *index)
    });
    // What fails after the first failure follows from it.
    let mut failed = false;
    each(relevant, |(index, call)| {
        let (build_failure, system_failure) = exit_codes(case, call)?;
        let code = exit_code(call).filter(|code| *code != 0)?;
        let first = !std::mem::replace(&mut failed, true);
        // Exit code 1 is what the runner of today takes for it, so that a literal means the same.
        let blames_user =
            code == build_failure || (code == RUNNER_BUILD_FAILURE && code != system_failure);
        let message = "blamed the user for a directory of the machine that could not be used";
        let expected = format!("exit status {system_failure} (SYSTEM_FAILURE_EXIT_CODE)");
        (first && blames_user).then(|| deviation(trace, index, message, &[&expected], ending(call)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::checks::testing::{BUILD_FAILURE, SYSTEM_FAILURE, Scene};

    const ID: &str = "exit-code/obstacle-is-no-build-failure";

    fn scene(config: i32, prepare: i32) -> Scene {
        let mut scene = Scene::new()
            .call(Program::Config, config)
            .call(Program::Prepare, prepare);
        scene.case.jobs[0].host_environment = HostEnvironment::UnusableHome;
        scene
    }

    #[test]
    fn the_blame_is_not_the_users() {
        scene(0, BUILD_FAILURE).expect(ID, 1);
        scene(0, 1).expect(ID, 1);
        scene(BUILD_FAILURE, BUILD_FAILURE).expect(ID, 1);
    }

    #[test]
    fn own_trouble_and_no_trouble_are_fine() {
        scene(0, SYSTEM_FAILURE).expect_clean(ID);
        scene(0, 0).expect_clean(ID);
    }

    #[test]
    fn elsewhere_it_says_nothing() {
        Scene::new().call(Program::Prepare, 1).expect_silent(ID);
    }
}
