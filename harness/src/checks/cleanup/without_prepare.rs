//! # What it verifies
//!
//! cleanup exits with 0 when nothing was ever prepared.
//!
//! # Why it matters
//!
//! The runner calls cleanup also when config failed or prepare never came. An error then is noise in the log of the
//! runner, which nobody reads any more when it matters.
//!
//! # How drivers break it
//!
//! They read a state file that prepare would have written, or remove what was never made, under errexit.
//!
//! # Example of the fix
//!
//! Begin with what may be missing:
//!
//! ```text
//!     [ -e "$state" ] || exit 0
//! ```
//!
//! # Clause
//!
//! Must: F6, A6.

use crate::checks::Deviation;
use crate::checks::evidence::{
    calls, deviation, each, earlier, ending, exit_code, planned, undisturbed,
};
use crate::contract::stage::Program;
use crate::plan::case::Case;
use crate::trace::{CallIndex, Trace};

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let first = calls(trace).filter(|(index, call)| {
        call.program == Program::Cleanup
            && undisturbed(trace, *index)
            && untouched(case, trace, *index)
    });
    each(first, |(index, call)| {
        let message = "failed although there was nothing to clean up";
        (exit_code(call) != Some(0))
            .then(|| deviation(trace, index, message, &["exit status 0"], ending(call)))
    })
}

/// No call but config came before, and the cleanup is not short of `job_env`.
fn untouched(case: &Case, trace: &Trace, index: CallIndex) -> bool {
    let withheld = planned(case, trace, index).is_some_and(|plan| plan.without_job_env);
    !withheld && earlier(trace, index).all(|(_, call)| call.program == Program::Config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{SYSTEM_FAILURE, Scene};

    const ID: &str = "cleanup/without-prepare";

    #[test]
    fn a_quiet_cleanup_is_fine() {
        Scene::new()
            .call(Program::Config, 0)
            .call(Program::Cleanup, 0)
            .expect_clean(ID);
    }

    #[test]
    fn a_failure_is_found() {
        Scene::new()
            .call(Program::Cleanup, SYSTEM_FAILURE)
            .expect(ID, 1);
    }

    #[test]
    fn a_cleanup_after_a_prepare_is_not_its_matter() {
        Scene::new()
            .call(Program::Prepare, 0)
            .call(Program::Cleanup, SYSTEM_FAILURE)
            .expect_silent(ID);
    }
}
