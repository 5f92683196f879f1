//! # What it verifies
//!
//! When the program of a call has exited, no other process keeps its standard output or standard error open.
//!
//! # Why it matters
//!
//! A call ends only when its pipes are closed. A process in the background that inherited them makes the runner
//! wait until that process ends, or until the timeout of the job.
//!
//! # How drivers break it
//!
//! They start a helper, a virtual machine, a tail of a log, in the background without redirecting its output.
//!
//! # Example of the fix
//!
//! Give what stays its own streams:
//!
//! ```text
//!     box start "$name" </dev/null >>"$log" 2>&1 &
//! ```
//!
//! # Clause
//!
//! Must: B16, H8, H3.

use crate::checks::Deviation;
use crate::checks::evidence::{
    HELD, calls, deviation, each, kill_sent, pipes_closed, script_outlived, undisturbed_pipes,
};
use crate::plan::case::{Case, ProbeEnding};
use crate::trace::{CallIndex, CallRecord, Trace};

/// Looks at one case.
pub(crate) fn examine(_: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let exited = calls(trace).filter(|(index, call)| {
        call.leader_exit.is_some()
            && !leader_was_killed(call)
            // The script itself, which SIGTERM should have ended, is `signal/term-ends-work`.
            && script_outlived(call).is_none()
            && undisturbed_pipes(trace, *index)
    });
    each(exited, |(index, call)| {
        let (exit, _) = call.leader_exit?;
        let until = match pipes_closed(call) {
            Some(closed) => closed,
            None => last_seen(call, trace)?,
        };
        let held = until.since(exit);
        // A script that is deaf to SIGTERM is ended by the SIGKILL of the runner, pipe and all.
        let deaf = call
            .probe
            .as_ref()
            .is_some_and(|probe| probe.ending == ProbeEnding::HangIgnoringTerm);
        let excused = deaf && call.abandoned.is_none();
        let message = "exited while another process held its output open";
        let actual = format!(
            "a pipe was open for {:.1} s after the exit{}",
            held.as_secs_f64(),
            holders(trace, index)
        );
        (held > HELD && !excused).then(|| {
            let mut found = deviation(
                trace,
                index,
                message,
                &["both pipes closed with the exit"],
                actual,
            );
            found.judge_by_time(trace);
            found
        })
    })
}

/// The processes that were seen to hold it.
fn holders(trace: &Trace, index: CallIndex) -> String {
    let holders = trace.pipe_holders.iter();
    let holders: Vec<String> = holders
        .filter(|holder| holder.call == index)
        .map(|holder| format!("process {} ({})", holder.pid, holder.command))
        .collect();
    if holders.is_empty() {
        String::new()
    } else {
        format!(", held by {}", holders.join(", "))
    }
}

/// SIGKILL ended the leader, which then could not see to anything any more.
fn leader_was_killed(call: &CallRecord) -> bool {
    let exit = call.leader_exit.map(|(at, _)| at);
    kill_sent(call).is_some_and(|kill| exit.is_none_or(|exit| exit >= kill))
}

/// The last moment at which the pipe of a call was known to be open.
fn last_seen(call: &CallRecord, trace: &Trace) -> Option<crate::contract::moment::Moment> {
    call.abandoned
        .or_else(|| trace.events.last().map(|event| event.at))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::checks::testing::Scene;
    use crate::contract::stage::Program;

    const ID: &str = "timeout/pipe-held-after-exit";

    fn held(milliseconds: u64) -> Scene {
        Scene::new().call(Program::Prepare, 0).but(|call| {
            call.stdout_closed = call
                .stdout_closed
                .map(|at| at + Duration::from_millis(milliseconds));
        })
    }

    #[test]
    fn a_pipe_that_closes_soon_is_fine() {
        held(0).expect_clean(ID);
        held(300).expect_clean(ID);
    }

    #[test]
    fn a_pipe_that_is_held_is_found() {
        held(5000).expect(ID, 1);
    }

    #[test]
    fn a_pipe_that_never_closed_is_found() {
        Scene::new()
            .call(Program::Prepare, 0)
            .but(|call| {
                call.stdout_closed = None;
                call.abandoned = call.leader_exit.map(|(at, _)| at + Duration::from_secs(20));
            })
            .expect(ID, 1);
    }

    #[test]
    fn a_driver_that_was_killed_outright_is_not_its_matter() {
        use crate::contract::protocol::{KillSignal, SignalResult};
        held(5000)
            .but(|call| {
                call.signals
                    .push((call.started, KillSignal::Kill, SignalResult::Delivered));
            })
            .expect_silent(ID);
    }
}
