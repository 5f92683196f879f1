//! # What it verifies
//!
//! When SIGTERM ends the script of a step because the job is cancelled or the time for its script is up, the
//! environment stays for the stages that come after it.
//!
//! # Why it matters
//!
//! `after_script`, which is there to tidy up after a cancelled job, cannot do so, and caches and artifacts of the job are
//! lost.
//!
//! # How drivers break it
//!
//! They take SIGTERM for the end of the job and remove the environment at once, which is the work of cleanup.
//!
//! # Example of the fix
//!
//! On SIGTERM, end the script and nothing else:
//!
//! ```text
//!     on_term() { kill_work; exit "$SYSTEM_FAILURE_EXIT_CODE"; }
//! ```
//!
//! # Clause
//!
//! Must: H5, E10.

use crate::checks::Deviation;
use crate::checks::evidence::{
    calls, deviation, each, earlier, hangs, kill_sent, overlapping, printed, term_sent, terminated,
    undisturbed,
};
use crate::contract::stage::Program;
use crate::plan::case::Case;
use crate::trace::{CallIndex, CallRecord, Trace};

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    if overlapping(case) {
        return None;
    }
    let ended = calls(trace).filter(|(index, call)| {
        ended_in_time(call) && stages_after(trace, *index).next().is_some()
    });
    each(ended, |(index, _)| {
        let (after, call) =
            stages_after(trace, index).find(|(after, _)| undisturbed(trace, *after))?;
        let nonce = call.nonce.as_deref()?;
        let stage = call.stage.as_ref()?;
        let actual = if !printed(call, nonce, "start") {
            format!("{stage} after it ran no script")
        } else if printed(call, nonce, "forgotten") && remembered(trace, after) {
            format!("{stage} after it found an environment without the files of the job")
        } else {
            return None;
        };
        let message = "gave the environment up when its script was ended";
        let expected = ["an environment in which the later stages run"];
        Some(deviation(trace, index, message, &expected, actual))
    })
}

/// The script ran, was ended by SIGTERM, and the driver ended by itself: one that had to be killed could keep nothing.
fn ended_in_time(call: &CallRecord) -> bool {
    let nonce = call.nonce.as_deref().unwrap_or_default();
    call.program == Program::Run
        && hangs(call)
        && term_sent(call).is_some()
        && terminated(call)
        && kill_sent(call).is_none()
        && call.ended.is_some()
        && printed(call, nonce, "start")
}

/// The stages of the same environment after a call.
fn stages_after(trace: &Trace, index: CallIndex) -> impl Iterator<Item = (CallIndex, &CallRecord)> {
    let job = trace.calls[index.0].job;
    calls(trace)
        .skip(index.0 + 1)
        .filter(move |(_, call)| call.job == job)
        .take_while(|(_, call)| call.program == Program::Run)
}

/// An earlier stage of the job left the word that this one looks for.
fn remembered(trace: &Trace, index: CallIndex) -> bool {
    let word = trace.calls[index.0].probe.as_ref();
    let word = word.and_then(|probe| probe.recall.as_ref());
    earlier(trace, index).any(|(_, call)| {
        let left = call.probe.as_ref();
        let left = left.and_then(|probe| probe.remember.as_ref());
        let nonce = call.nonce.as_deref().unwrap_or_default();
        left.is_some() && left == word && printed(call, nonce, "remembered")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::checks::testing::{Scene, exits, hangs};
    use crate::plan::case::Probe;

    const ID: &str = "environment/survives-terminated-script";

    fn remembering() -> Probe {
        Probe {
            remember: Some(("memory".into(), "fig".into())),
            ..Probe::default()
        }
    }

    fn recalling() -> Probe {
        Probe {
            recall: Some(("memory".into(), "fig".into())),
            ..Probe::default()
        }
    }

    #[test]
    fn a_later_stage_that_runs_is_fine() {
        Scene::new()
            .run("build_script", hangs(), 74)
            .terminated()
            .run("after_script", exits(0), 0)
            .expect_clean(ID);
    }

    #[test]
    fn a_later_stage_that_cannot_run_is_found() {
        Scene::new()
            .run("build_script", hangs(), 74)
            .terminated()
            .run("after_script", exits(0), 74)
            .printing("no such box\n")
            .expect(ID, 1);
    }

    #[test]
    fn a_new_environment_is_not_the_same_one() {
        Scene::new()
            .run("get_sources", remembering(), 0)
            .printing("NONCE:start\nNONCE:remembered\nNONCE:end\n")
            .run("build_script", hangs(), 74)
            .terminated()
            .run("after_script", recalling(), 0)
            .printing("NONCE:start\nNONCE:forgotten\nNONCE:end\n")
            .expect(ID, 1);
    }

    #[test]
    fn after_sigkill_and_without_later_stages_nothing_can_be_said() {
        Scene::new()
            .run("build_script", hangs(), 74)
            .killed()
            .run("after_script", exits(0), 74)
            .printing("no such box\n")
            .expect_silent(ID);
        Scene::new()
            .run("build_script", hangs(), 74)
            .terminated()
            .call(Program::Cleanup, 0)
            .expect_silent(ID);
    }
}
