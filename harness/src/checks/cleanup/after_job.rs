//! # What it verifies
//!
//! The first cleanup after a prepare exits with 0, whatever happened between.
//!
//! # Why it matters
//!
//! The exit code does not change the job, but a failed cleanup is the only sign of something that stays behind. It
//! must not be given without need.
//!
//! # How drivers break it
//!
//! Under errexit, the first object that is already gone, or was never made because the job ended early, stops them
//! half-way.
//!
//! # Example of the fix
//!
//! Try each part, and report at the end what is left:
//!
//! ```text
//!     for part in box network disk; do remove "$part" || left="$left $part"; done
//!     [ -z "$left" ] || { echo "left:$left" >&2; exit "$SYSTEM_FAILURE_EXIT_CODE"; }
//! ```
//!
//! # Clause
//!
//! Must: F3, F6, E4, H6, H16.

use crate::checks::Deviation;
use crate::checks::evidence::{
    after_others, calls, deviation, each, earlier, ending, exit_code, overlapping, planned,
    undisturbed,
};
use crate::contract::stage::Program;
use crate::plan::case::Case;
use crate::trace::{CallIndex, Trace};

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let first = calls(trace).filter(|(index, call)| {
        call.program == Program::Cleanup
            && !overlapping(case)
            && !after_others(case, trace, *index)
            && undisturbed(trace, *index)
            && first_after_prepare(case, trace, *index)
    });
    each(first, |(index, call)| {
        let message = "failed to clean up after a job";
        (exit_code(call) != Some(0))
            .then(|| deviation(trace, index, message, &["exit status 0"], ending(call)))
    })
}

/// There was a prepare, no cleanup since, and the cleanup is not short of `job_env`.
fn first_after_prepare(case: &Case, trace: &Trace, index: CallIndex) -> bool {
    let withheld = planned(case, trace, index).is_some_and(|plan| plan.without_job_env);
    let last = earlier(trace, index)
        .rfind(|(_, call)| matches!(call.program, Program::Prepare | Program::Cleanup));
    !withheld && last.is_some_and(|(_, call)| call.program == Program::Prepare)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{SYSTEM_FAILURE, Scene};

    const ID: &str = "cleanup/after-job";

    #[test]
    fn success_is_fine() {
        Scene::new()
            .call(Program::Prepare, 0)
            .call(Program::Cleanup, 0)
            .expect_clean(ID);
    }

    #[test]
    fn a_failure_is_found_also_after_a_prepare_that_was_ended() {
        Scene::new()
            .call(Program::Prepare, 0)
            .call(Program::Cleanup, SYSTEM_FAILURE)
            .expect(ID, 1);
        Scene::new()
            .call(Program::Prepare, SYSTEM_FAILURE)
            .terminated()
            .call(Program::Cleanup, SYSTEM_FAILURE)
            .expect(ID, 1);
    }

    #[test]
    fn a_second_cleanup_is_not_its_matter() {
        Scene::new()
            .call(Program::Cleanup, SYSTEM_FAILURE)
            .expect_silent(ID);
    }
}
