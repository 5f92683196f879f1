//! # What it verifies
//!
//! The driver works in an environment that holds nothing but PATH and what the runner sets.
//!
//! # Why it matters
//!
//! Under a service manager there is often no HOME, USER or LANG. The driver works at the desk of its author and
//! fails in production.
//!
//! # How drivers break it
//!
//! They read files below HOME, or stop at an unset variable under nounset.
//!
//! # Example of the fix
//!
//! Name a default:
//!
//! ```text
//!     state="${XDG_STATE_HOME:-${HOME:-/var/tmp}/.local/state}"
//! ```
//!
//! # Clause
//!
//! Should: B5.

use crate::checks::Deviation;
use crate::checks::evidence::{calls, deviation, each, ending, exit_code, undisturbed};
use crate::plan::case::{Case, HostEnvironment};
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let bare = |job: usize| {
        case.jobs
            .get(job)
            .is_some_and(|job| job.host_environment == HostEnvironment::Minimal)
    };
    let relevant =
        calls(trace).filter(|(index, call)| bare(call.job) && undisturbed(trace, *index));
    // What fails after the first failure follows from it.
    let mut failed = false;
    each(relevant, |(index, call)| {
        let message = "failed in a runner whose environment holds PATH alone";
        if failed || exit_code(call) == Some(0) {
            return None;
        }
        failed = true;
        Some(deviation(
            trace,
            index,
            message,
            &["exit status 0"],
            ending(call),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Scene;
    use crate::contract::stage::Program;

    const ID: &str = "environment/works-without-home";

    fn bare(mut scene: Scene) -> Scene {
        scene.case.jobs[0].host_environment = HostEnvironment::Minimal;
        scene
    }

    #[test]
    fn a_driver_that_works_is_fine() {
        bare(
            Scene::new()
                .call(Program::Config, 0)
                .call(Program::Prepare, 0),
        )
        .expect_clean(ID);
    }

    #[test]
    fn only_the_first_failure_is_found() {
        bare(
            Scene::new()
                .call(Program::Prepare, 1)
                .call(Program::Cleanup, 1),
        )
        .expect(ID, 1);
    }

    #[test]
    fn a_usual_environment_is_not_its_matter() {
        Scene::new().call(Program::Prepare, 1).expect_silent(ID);
    }
}
