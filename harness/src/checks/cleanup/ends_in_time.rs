//! # What it verifies
//!
//! cleanup ends by itself, in a time that is a small multiple of what it usually needs.
//!
//! # Why it matters
//!
//! The job is shown as running until cleanup has ended, and its slot stays taken: an hour, by default, if cleanup
//! hangs.
//!
//! # How drivers break it
//!
//! They wait for a machine to go down without a limit, or try to delete again and again.
//!
//! # Example of the fix
//!
//! Put a limit on every wait:
//!
//! ```text
//!     timeout 60 box rm --wait "$name" || exit "$SYSTEM_FAILURE_EXIT_CODE"
//! ```
//!
//! # Clause
//!
//! Must: F2, F7.

use crate::checks::Deviation;
use crate::checks::evidence::{backend_failed, calls, deviation, each};
use crate::contract::protocol::TimeLimit;
use crate::contract::stage::Program;
use crate::plan::case::{Case, StimulusAction};
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    // A case that itself signals cleanups shows nothing here.
    let signals = |job: usize| {
        case.jobs.get(job).is_some_and(|job| {
            job.stimuli.iter().any(|stimulus| {
                let action = matches!(
                    stimulus.action,
                    StimulusAction::TimeIsUp(TimeLimit::Call)
                        | StimulusAction::DriverTerm
                        | StimulusAction::DriverKill
                );
                action && stimulus.when.program() == Program::Cleanup
            })
        })
    };
    let cleanups = calls(trace).filter(|(index, call)| {
        call.program == Program::Cleanup
            && call.start_failure.is_none()
            && !signals(call.job)
            && !backend_failed(trace, *index)
    });
    each(cleanups, |(index, call)| {
        let (at, ..) = call.signals.first()?;
        // A leader that has exited while another process holds its pipe is `timeout/pipe-held-after-exit`.
        let alive = call.leader_exit.is_none_or(|(exit, _)| exit >= *at);
        let message = "did not end before its timeout";
        let actual = format!(
            "still there {:.1} s after its start",
            at.since(call.started).as_secs_f64()
        );
        let mut found = deviation(
            trace,
            index,
            message,
            &["an end before cleanup_exec_timeout"],
            actual,
        );
        found.judge_by_time(trace);
        alive.then_some(found)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::checks::testing::Scene;
    use crate::trace::{BackendRequest, CallIndex};

    const ID: &str = "cleanup/ends-in-time";

    #[test]
    fn a_cleanup_that_nobody_had_to_end_is_fine() {
        Scene::new().call(Program::Cleanup, 0).expect_clean(ID);
    }

    #[test]
    fn a_cleanup_that_ran_into_its_timeout_is_found() {
        Scene::new()
            .call(Program::Cleanup, 143)
            .terminated()
            .expect(ID, 1);
    }

    #[test]
    fn a_stage_that_was_killed_is_no_excuse_and_a_cleanup_that_was_is() {
        let killed = |program| {
            let killed = Scene::new().call(program, 137);
            let killed = killed.stimulus(StimulusAction::DriverKill);
            killed.call(Program::Cleanup, 143).terminated()
        };
        killed(Program::Run).expect(ID, 1);
        killed(Program::Cleanup).expect_silent(ID);
    }

    #[test]
    fn how_long_it_waits_for_a_backend_that_failed_is_its_own_affair() {
        let struck_at = |call: usize| {
            let mut scene = Scene::new()
                .call(Program::Prepare, 0)
                .call(Program::Cleanup, 143)
                .terminated();
            scene.trace.requests.push(BackendRequest {
                call: Some(CallIndex(call)),
                tool: "podman".into(),
                verb: "rm".into(),
                struck: true,
            });
            scene
        };
        struck_at(0).expect(ID, 1);
        struck_at(1).expect_silent(ID);
    }

    #[test]
    fn a_busy_machine_makes_it_inconclusive() {
        let mut scene = Scene::new().call(Program::Cleanup, 143).terminated();
        scene.trace.scheduling_delay_max = Duration::from_secs(2);
        let found = scene.findings(ID).expect("it applies");
        assert!(found[0].inconclusive);
    }
}
