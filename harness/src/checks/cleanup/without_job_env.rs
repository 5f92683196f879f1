//! # What it verifies
//!
//! cleanup works without the variables that config put into `job_env`.
//!
//! # Why it matters
//!
//! After a failed config there is no `job_env`. A cleanup that cannot do without leaves the environment of an earlier
//! attempt behind for ever.
//!
//! # How drivers break it
//!
//! They make the name of the environment in config, hand it on through `job_env`, and know no other way to find it.
//!
//! # Example of the fix
//!
//! Derive the name anew in each program:
//!
//! ```text
//!     name="${BOX_NAME:-runner-$CUSTOM_ENV_CI_RUNNER_ID-job-$CUSTOM_ENV_CI_JOB_ID}"
//! ```
//!
//! # Clause
//!
//! Must: C11, F6.

use crate::checks::Deviation;
use crate::checks::evidence::{calls, deviation, each, ending, exit_code, planned, undisturbed};
use crate::contract::stage::Program;
use crate::plan::case::Case;
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let withheld = calls(trace).filter(|(index, call)| {
        call.program == Program::Cleanup
            && undisturbed(trace, *index)
            && planned(case, trace, *index).is_some_and(|plan| plan.without_job_env)
    });
    each(withheld, |(index, call)| {
        let message = "failed without job_env";
        (exit_code(call) != Some(0))
            .then(|| deviation(trace, index, message, &["exit status 0"], ending(call)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{SYSTEM_FAILURE, Scene};

    const ID: &str = "cleanup/without-job-env";

    fn scene(code: i32, withheld: bool) -> Scene {
        Scene::new()
            .call(Program::Prepare, 0)
            .call(Program::Cleanup, code)
            .planned(|calls| calls[1].without_job_env = withheld)
    }

    #[test]
    fn success_is_fine() {
        scene(0, true).expect_clean(ID);
    }

    #[test]
    fn a_failure_is_found() {
        scene(SYSTEM_FAILURE, true).expect(ID, 1);
    }

    #[test]
    fn with_job_env_it_is_not_its_matter() {
        scene(SYSTEM_FAILURE, false).expect_silent(ID);
    }
}
