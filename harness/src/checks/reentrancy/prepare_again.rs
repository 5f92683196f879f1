//! # What it verifies
//!
//! prepare succeeds also if an earlier prepare, of this job or of another one, was not followed by a cleanup.
//!
//! # Why it matters
//!
//! A prepare that was killed half-way, or a runner that crashed, leaves something behind. If that makes prepare
//! fail, every retry fails too, and the slot of the runner is blocked until somebody tidies up by hand.
//!
//! # How drivers break it
//!
//! They create an object without looking whether its name is taken; or they remove a leftover in a way that works
//! only for one in good health.
//!
//! # Example of the fix
//!
//! Remove what is left before making anything, whatever its state:
//!
//! ```text
//!     box rm --force "$name" 2>/dev/null || :
//!     box create "$name"
//! ```
//!
//! # Clause
//!
//! Must: D8, D1, F5, H12.

use crate::checks::Deviation;
use crate::checks::evidence::{
    calls, deviation, each, earlier, ending, exit_code, overlapping, undisturbed,
};
use crate::contract::stage::Program;
use crate::plan::case::Case;
use crate::trace::{CallIndex, Trace};

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    if overlapping(case) {
        return None;
    }
    let again = calls(trace).filter(|(index, call)| {
        call.program == Program::Prepare
            && undisturbed(trace, *index)
            && (left_over(trace, *index) || worked_before(trace, *index))
    });
    each(again, |(index, call)| {
        let message = if left_over(trace, index) {
            "failed because of what an earlier prepare had left"
        } else {
            "failed although an earlier prepare of the job had worked, and was cleaned up"
        };
        (exit_code(call) != Some(0))
            .then(|| deviation(trace, index, message, &["exit status 0"], ending(call)))
    })
}

/// An earlier prepare of the same job worked, and the runner has cleaned up after it, as it does before each new attempt.
fn worked_before(trace: &Trace, index: CallIndex) -> bool {
    let mut before = earlier(trace, index).skip_while(|(earlier, call)| {
        let worked = call.program == Program::Prepare && exit_code(call) == Some(0);
        !worked || !undisturbed(trace, *earlier)
    });
    before.any(|(cleanup, call)| {
        call.program == Program::Cleanup
            && exit_code(call) == Some(0)
            && undisturbed(trace, cleanup)
    })
}

/// An earlier prepare, which worked or was ended from outside, has not been cleaned up. One that failed by itself is not
/// taken into account: the driver may be unable to prepare at all.
fn left_over(trace: &Trace, index: CallIndex) -> bool {
    let before: Vec<_> = calls(trace).take(index.0).collect();
    before
        .iter()
        .enumerate()
        .any(|(position, (earlier, call))| {
            let could = call.program == Program::Prepare
                && (exit_code(call) == Some(0) || !undisturbed(trace, *earlier));
            let cleaned = before[position..]
                .iter()
                .any(|(_, later)| later.program == Program::Cleanup && later.job == call.job);
            could && !cleaned
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{SYSTEM_FAILURE, Scene};
    use crate::contract::protocol::{KillSignal, SignalResult};
    use crate::plan::case::JobOrder;

    const ID: &str = "reentrancy/prepare-again";

    #[test]
    fn what_worked_once_works_after_a_cleanup() {
        let cleaned = || {
            Scene::new()
                .call(Program::Prepare, 0)
                .call(Program::Cleanup, 0)
        };
        cleaned()
            .call(Program::Prepare, SYSTEM_FAILURE)
            .expect(ID, 1);
        cleaned().call(Program::Prepare, 0).expect_clean(ID);
    }

    #[test]
    fn a_second_success_is_fine() {
        Scene::new()
            .call(Program::Prepare, 0)
            .call(Program::Prepare, 0)
            .expect_clean(ID);
    }

    #[test]
    fn a_second_failure_is_found() {
        Scene::new()
            .call(Program::Prepare, 0)
            .call(Program::Prepare, SYSTEM_FAILURE)
            .expect(ID, 1);
    }

    #[test]
    fn a_failure_after_a_killed_prepare_is_found_in_the_next_job_too() {
        Scene::with_jobs(&[12, 123], JobOrder::Sequential)
            .call(Program::Prepare, 137)
            .but(|call| {
                call.signals
                    .push((call.started, KillSignal::Kill, SignalResult::Delivered));
            })
            .call_of(1, Program::Prepare, SYSTEM_FAILURE)
            .expect(ID, 1);
    }

    #[test]
    fn after_a_failure_of_its_own_it_is_not_its_matter() {
        Scene::new()
            .call(Program::Prepare, SYSTEM_FAILURE)
            .call(Program::Cleanup, 0)
            .call(Program::Prepare, SYSTEM_FAILURE)
            .call(Program::Prepare, SYSTEM_FAILURE)
            .expect_silent(ID);
    }
}
