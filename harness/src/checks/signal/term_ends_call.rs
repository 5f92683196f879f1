//! # What it verifies
//!
//! A call that gets SIGTERM ends, with its pipes closed, before the runner has to send SIGKILL.
//!
//! # Why it matters
//!
//! Whoever cancels a job waits for it: ten minutes by default. The driver is then killed in the middle of its work,
//! and cleanup may start while it is still alive.
//!
//! # How drivers break it
//!
//! They ignore SIGTERM or only log it; in a shell, the trap waits for the command in the foreground; or they listen
//! for SIGINT, which the runner does not send.
//!
//! # Example of the fix
//!
//! Run the work in the background and wait for it, since only then the trap is run at once:
//!
//! ```text
//!     trap 'kill "$work"; exit "$SYSTEM_FAILURE_EXIT_CODE"' TERM
//!     box exec "$name" < "$script" & work=$!
//!     wait "$work"
//! ```
//!
//! # Clause
//!
//! Must: H1, H7, H16.

use crate::checks::Deviation;
use crate::checks::evidence::{calls, deviation, each, kill_sent, term_sent};
use crate::plan::case::{Case, ProbeEnding};
use crate::trace::{CallRecord, Trace};

/// Looks at one case.
pub(crate) fn examine(_case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let terminated =
        calls(trace).filter(|(_, call)| term_sent(call).is_some() && !deaf_script(call));
    each(terminated, |(index, call)| {
        let (term, kill) = (term_sent(call)?, kill_sent(call)?);
        // A leader that has exited while another process holds its pipe is `timeout/pipe-held-after-exit`.
        let alive = call.leader_exit.is_none_or(|(exit, _)| exit >= kill);
        let message = "did not end after SIGTERM";
        let actual = format!(
            "still there {:.1} s after SIGTERM",
            kill.since(term).as_secs_f64()
        );
        alive.then(|| {
            let mut found = deviation(
                trace,
                index,
                message,
                &["an end before graceful_kill_timeout"],
                actual,
            );
            found.judge_by_time(trace);
            found
        })
    })
}

/// The script itself is deaf to SIGTERM: to leave it to the SIGKILL of the runner is in order.
fn deaf_script(call: &CallRecord) -> bool {
    call.probe
        .as_ref()
        .is_some_and(|probe| probe.ending == ProbeEnding::HangIgnoringTerm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::checks::testing::{Scene, hangs};
    use crate::contract::stage::Program;
    use crate::plan::case::Probe;

    const ID: &str = "signal/term-ends-call";

    #[test]
    fn an_end_after_the_signal_is_fine() {
        Scene::new()
            .run("build_script", hangs(), 74)
            .terminated()
            .expect_clean(ID);
    }

    #[test]
    fn a_call_that_had_to_be_killed_is_found() {
        Scene::new()
            .run("build_script", hangs(), 0)
            .killed()
            .call(Program::Prepare, 0)
            .killed()
            .expect(ID, 2);
    }

    #[test]
    fn a_deaf_script_excuses_and_a_busy_machine_casts_doubt() {
        let deaf = Probe {
            ending: ProbeEnding::HangIgnoringTerm,
            ..Probe::default()
        };
        Scene::new()
            .run("build_script", deaf, 0)
            .killed()
            .expect_silent(ID);
        let mut scene = Scene::new().run("build_script", hangs(), 0).killed();
        scene.trace.scheduling_delay_max = Duration::from_secs(2);
        assert!(scene.findings(ID).expect("it applies")[0].inconclusive);
    }
}
