//! # What it verifies
//!
//! After SIGTERM ended a call, its script is over before the next stage, all else with cleanup.
//!
//! # Why it matters
//!
//! A cancelled job that goes on deploys what was to be stopped, holds its licence and its port, and slows down the
//! jobs that come after it.
//!
//! # How drivers break it
//!
//! The signal reaches the process group of the driver only. What runs in a container, in a virtual machine or
//! behind ssh, or in a session of its own, never hears of it.
//!
//! # Example of the fix
//!
//! End the script on the other side, but not the box, which later stages need:
//!
//! ```text
//!     trap 'box exec "$name" pkill bash; exit "$SYSTEM_FAILURE_EXIT_CODE"' TERM
//! ```
//!
//! # Clause
//!
//! Must: H2, H9.

use crate::checks::Deviation;
use crate::checks::evidence::{
    calls, cleaned_up_after, deviation, each, hangs, kill_sent, names_number, printed,
    script_outlived, terminated,
};
use crate::contract::stage::{Program, Stage};
use crate::plan::case::Case;
use crate::trace::{CallIndex, CallRecord, Trace};

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let cleaned = |index| cleaned_up_after(trace, index);
    let signalled = calls(trace).filter(|(index, call)| {
        terminated(call) && (cleaned(*index) || script_outlived(call).is_some())
    });
    each(signalled, |(index, call)| {
        let alive: Vec<String> = trace
            .surviving_processes
            .iter()
            .filter(|process| cleaned(index) && process.made_by == Some(index))
            .filter(|process| is_work(case, call, &process.command))
            .map(|process| format!("process {}: {}", process.pid, process.command))
            .collect();
        if !alive.is_empty() {
            let message = "left work running that neither SIGTERM nor cleanup ended";
            let expected = ["no process of this call"];
            let mut found = deviation(trace, index, message, &expected, alive.join("; "));
            found.judge_by_time(trace);
            return Some(found);
        }
        if let Some(stage) = heard_by(trace, index) {
            let message = "ended on SIGTERM and left its script running beside the later stages";
            let expected = ["the end of the script, before the end of the call"];
            let actual = format!("{stage}, which came after it, saw the script go on");
            return Some(deviation(trace, index, message, &expected, actual));
        }
        // The runner waits for it: a call is not over before its pipes are closed.
        let outlived = script_outlived(call)?.as_secs_f64();
        let message = "ended on SIGTERM and left its script running, with the output still open";
        let actual = format!("the script went on printing for {outlived:.1} s");
        let expected = ["the end of the script, before the end of the call"];
        let mut found = deviation(trace, index, message, &expected, actual);
        found.judge_by_time(trace);
        Some(found)
    })
}

/// The later stage of the job that saw the script of a call go on. A driver that had to be killed could end nothing.
fn heard_by(trace: &Trace, index: CallIndex) -> Option<&Stage> {
    let call = &trace.calls[index.0];
    if !hangs(call) || kill_sent(call).is_some() {
        return None;
    }
    calls(trace)
        .skip(index.0 + 1)
        .filter(|(_, later)| later.job == call.job)
        .take_while(|(_, later)| later.program == Program::Run)
        .find(|(_, later)| {
            let nonce = later.nonce.as_deref().unwrap_or_default();
            printed(later, nonce, "beat-goes-on")
        })
        .and_then(|(_, later)| later.stage.as_ref())
}

/// What a run call leaves is the script. config, prepare and cleanup may start something that serves all jobs, and leave
/// it running rightly, unless it names the job.
fn is_work(case: &Case, call: &CallRecord, command: &str) -> bool {
    let id = case.jobs.get(call.job).map(|job| job.job_id);
    call.program == Program::Run || id.is_some_and(|id| names_number(command, id))
}

#[cfg(test)]
mod tests {
    use crate::checks::testing::{Scene, exits, hangs, seen};
    use crate::contract::stage::Program;
    use crate::trace::{CallIndex, SurvivingProcess};

    const ID: &str = "signal/term-ends-work";

    fn scene(made_by: usize) -> Scene {
        let mut scene = Scene::new()
            .call(Program::Prepare, 0)
            .run("build_script", hangs(), 74)
            .terminated()
            .call(Program::Cleanup, 0);
        scene.trace.surviving_processes.push(SurvivingProcess {
            pid: 7,
            command: "sh script".into(),
            made_by: Some(CallIndex(made_by)),
            own_group: true,
        });
        scene
    }

    #[test]
    fn work_that_goes_on_is_found() {
        scene(1).expect(ID, 1);
    }

    #[test]
    fn what_a_terminated_prepare_leaves_counts_if_it_names_the_job() {
        let left = |command: &str| {
            let mut scene = Scene::new()
                .call(Program::Prepare, 74)
                .terminated()
                .call(Program::Cleanup, 0);
            scene.trace.surviving_processes.push(SurvivingProcess {
                pid: 7,
                command: command.to_owned(),
                made_by: Some(CallIndex(0)),
                own_group: true,
            });
            scene
        };
        left("box start job-12").expect(ID, 1);
        left("key-agent").expect_clean(ID);
    }

    #[test]
    fn a_script_that_goes_on_printing_after_the_driver_is_found() {
        let outlived = |milliseconds| {
            Scene::new()
                .run("build_script", hangs(), 74)
                .terminated()
                .but(|call| call.markers = vec![seen(call, milliseconds, "beat", Some(9))])
        };
        outlived(4000).expect(ID, 1);
        outlived(4000).expect_silent("timeout/pipe-held-after-exit");
        outlived(1300).expect_silent(ID);
    }

    #[test]
    fn a_script_that_a_later_stage_sees_go_on_is_found() {
        let later = |words: &'static [&'static str]| {
            Scene::new()
                .run("build_script", hangs(), 74)
                .terminated()
                .run("after_script", exits(0), 0)
                .but(|call| {
                    let heard = words.iter().map(|word| seen(call, 10, word, None));
                    let heard: Vec<_> = heard.collect();
                    call.markers.extend(heard);
                })
                .call(Program::Cleanup, 0)
        };
        later(&["beat-goes-on"]).expect(ID, 1);
        later(&[]).expect_clean(ID);
    }

    #[test]
    fn a_process_of_another_call_is_not_its_matter() {
        scene(0).expect_clean(ID);
    }

    #[test]
    fn without_a_cleanup_it_says_nothing() {
        Scene::new()
            .run("build_script", hangs(), 74)
            .terminated()
            .expect_silent(ID);
    }
}
