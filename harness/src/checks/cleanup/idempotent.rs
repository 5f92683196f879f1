//! # What it verifies
//!
//! A cleanup that follows a successful cleanup of the same job exits with 0.
//!
//! # Why it matters
//!
//! The runner cleans up after each attempt, and operators run cleanup by hand. A failure that means nothing hides
//! the failures that mean something.
//!
//! # How drivers break it
//!
//! They remove an object without looking whether it is there, under errexit.
//!
//! # Example of the fix
//!
//! Removing what is not there is a success:
//!
//! ```text
//!     box rm "$name" 2>/dev/null || ! box exists "$name"
//! ```
//!
//! # Clause
//!
//! Must: F6.

use crate::checks::Deviation;
use crate::checks::evidence::{
    calls, deviation, each, earlier, ending, exit_code, planned, undisturbed,
};
use crate::contract::stage::Program;
use crate::plan::case::Case;
use crate::trace::{CallIndex, Trace};

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let again = calls(trace).filter(|(index, call)| {
        call.program == Program::Cleanup
            && undisturbed(trace, *index)
            && cleaned(case, trace, *index)
    });
    each(again, |(index, call)| {
        let message = "failed although an earlier cleanup had left nothing to do";
        (exit_code(call) != Some(0))
            .then(|| deviation(trace, index, message, &["exit status 0"], ending(call)))
    })
}

/// The last thing that happened to the environment was a successful cleanup, and this one is not short of `job_env`.
fn cleaned(case: &Case, trace: &Trace, index: CallIndex) -> bool {
    let withheld = planned(case, trace, index).is_some_and(|plan| plan.without_job_env);
    let last = earlier(trace, index)
        .rfind(|(_, call)| matches!(call.program, Program::Prepare | Program::Cleanup));
    !withheld
        && last
            .is_some_and(|(_, call)| call.program == Program::Cleanup && exit_code(call) == Some(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{SYSTEM_FAILURE, Scene};

    const ID: &str = "cleanup/idempotent";

    #[test]
    fn a_quiet_second_cleanup_is_fine() {
        Scene::new()
            .call(Program::Prepare, 0)
            .call(Program::Cleanup, 0)
            .call(Program::Cleanup, 0)
            .expect_clean(ID);
    }

    #[test]
    fn a_failing_second_cleanup_is_found() {
        Scene::new()
            .call(Program::Prepare, 0)
            .call(Program::Cleanup, 0)
            .call(Program::Cleanup, SYSTEM_FAILURE)
            .expect(ID, 1);
    }

    #[test]
    fn a_cleanup_that_has_something_to_do_is_not_its_matter() {
        Scene::new()
            .call(Program::Prepare, 0)
            .call(Program::Cleanup, SYSTEM_FAILURE)
            .expect_silent(ID);
    }
}
