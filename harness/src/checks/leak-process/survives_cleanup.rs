//! # What it verifies
//!
//! When cleanup has ended, no process that a call of the job started is alive.
//!
//! # Why it matters
//!
//! What each job leaves adds up: the machine runs out of memory, and old processes disturb new jobs.
//!
//! # How drivers break it
//!
//! They start a helper in the background, in a session of its own, and nothing remembers it; or cleanup stops at an
//! error before it comes to it.
//!
//! # Example of the fix
//!
//! Write down what you start, and end it in cleanup:
//!
//! ```text
//!     setsid helper </dev/null >/dev/null 2>&1 & echo $! > "$state/helper.pid"
//! ```
//!
//! # Clause
//!
//! Must: F6, H2.

use crate::checks::Deviation;
use crate::checks::evidence::{
    calls, cleaned_up_after, deviation, each, killed_outright, term_sent,
};
use crate::contract::stage::Program;
use crate::plan::case::Case;
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(_case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let cleanup = |call: &crate::trace::CallRecord| call.program == Program::Cleanup;
    let relevant = calls(trace).filter(|(index, call)| {
        // Work that a signal should have ended has a check of its own. A call that was killed outright had no chance to
        // write down what it had just started.
        let other = term_sent(call).is_some() || killed_outright(call);
        let over = cleaned_up_after(trace, *index) || (cleanup(call) && call.ended.is_some());
        over && !other
    });
    each(relevant, |(index, _)| {
        let alive: Vec<String> = trace
            .surviving_processes
            .iter()
            .filter(|process| process.made_by == Some(index))
            .map(|process| format!("process {}: {}", process.pid, process.command))
            .collect();
        let message = "started a process that is still alive after cleanup";
        (!alive.is_empty()).then(|| {
            deviation(
                trace,
                index,
                message,
                &["no process of this call"],
                alive.join("; "),
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Scene;
    use crate::trace::{CallIndex, SurvivingProcess};

    const ID: &str = "leak-process/survives-cleanup";

    fn scene() -> Scene {
        let mut scene = Scene::new().call(Program::Prepare, 0);
        scene.trace.surviving_processes.push(SurvivingProcess {
            pid: 7,
            command: "sleep 600".into(),
            made_by: Some(CallIndex(0)),
            own_group: true,
        });
        scene
    }

    #[test]
    fn nothing_left_is_fine() {
        Scene::new()
            .call(Program::Prepare, 0)
            .call(Program::Cleanup, 0)
            .expect_clean(ID);
    }

    #[test]
    fn a_survivor_is_found() {
        scene().call(Program::Cleanup, 0).expect(ID, 1);
    }

    #[test]
    fn without_a_cleanup_it_says_nothing() {
        scene().expect_silent(ID);
    }
}
