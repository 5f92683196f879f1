//! # What it verifies
//!
//! When cleanup has ended, no process is alive that a call of the job started for this job alone.
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
    calls, cleaned_up_after, deviation, each, killed_outright, names_number, terminated,
};
use crate::contract::stage::Program;
use crate::plan::case::Case;
use crate::trace::{CallIndex, CallRecord, Trace};

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let cleanup = |call: &CallRecord| call.program == Program::Cleanup;
    let relevant = calls(trace).filter(|(index, call)| {
        // Work that a signal should have ended has a check of its own. A call that was killed outright had no chance to
        // write down what it had just started.
        let other = terminated(call) || killed_outright(call);
        let over = cleaned_up_after(trace, *index) || (cleanup(call) && call.ended.is_some());
        over && !other
    });
    each(relevant, |(index, _)| {
        let alive: Vec<String> = trace
            .surviving_processes
            .iter()
            .filter(|process| process.made_by == Some(index))
            .filter(|process| {
                names_job(case, trace, index, &process.command)
                    || grows(trace, index)
                    || is_script(&trace.calls[index.0])
            })
            .map(|process| {
                let holds = holdings(trace, process.pid);
                format!("process {}: {}{holds}", process.pid, process.command)
            })
            .collect();
        let message = "started a process that is still alive after cleanup";
        (!alive.is_empty()).then(|| {
            let expected = ["no process of this call"];
            let mut found = deviation(trace, index, message, &expected, alive.join("; "));
            // On a busy machine a process that was killed may take longer to be gone than it is waited for.
            found.judge_by_time(trace);
            found
        })
    })
}

/// What a process holds open, in brackets.
fn holdings(trace: &Trace, pid: u32) -> String {
    let held = trace.holdings.iter().filter(|holding| holding.pid == pid);
    let held: Vec<&str> = held.map(|holding| holding.what.as_str()).collect();
    if held.is_empty() {
        String::new()
    } else {
        format!(" ({})", held.join(", "))
    }
}

/// What a run call that was killed at a chosen point leaves is the script.
fn is_script(call: &CallRecord) -> bool {
    call.program == Program::Run && call.signalled_at_point
}

/// The command line holds the id of the job.
fn names_job(case: &Case, trace: &Trace, index: CallIndex, command: &str) -> bool {
    let job = case.jobs.get(trace.calls[index.0].job);
    job.is_some_and(|job| names_number(command, job.job_id))
}

/// A job before this one left processes too, and cleaned up. One that is started once and serves all jobs, such as an
/// agent for keys, is no leak: the second job finds it running.
fn grows(trace: &Trace, index: CallIndex) -> bool {
    let job = trace.calls[index.0].job;
    trace
        .surviving_processes
        .iter()
        .filter_map(|process| process.made_by)
        .any(|maker| trace.calls[maker.0].job < job && cleaned_up_after(trace, maker))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Scene;
    use crate::plan::case::JobOrder;
    use crate::trace::SurvivingProcess;

    const ID: &str = "leak-process/survives-cleanup";

    fn scene(survivors: &[(usize, &str)]) -> Scene {
        let mut scene = Scene::with_jobs(&[12, 123], JobOrder::Sequential)
            .call(Program::Prepare, 0)
            .call(Program::Cleanup, 0)
            .call_of(1, Program::Prepare, 0)
            .call_of(1, Program::Cleanup, 0);
        for (call, command) in survivors {
            scene.trace.surviving_processes.push(SurvivingProcess {
                pid: 7,
                command: (*command).to_owned(),
                made_by: Some(CallIndex(*call)),
                own_group: true,
            });
        }
        scene
    }

    #[test]
    fn nothing_left_is_fine() {
        scene(&[]).expect_clean(ID);
    }

    #[test]
    fn a_process_for_each_job_is_found() {
        scene(&[(0, "sleep 600"), (2, "sleep 600")]).expect(ID, 1);
    }

    #[test]
    fn a_process_named_for_the_job_is_found() {
        scene(&[(0, "monitor --box job-12")]).expect(ID, 1);
    }

    #[test]
    fn what_it_holds_is_told() {
        let mut scene = scene(&[(0, "monitor --box job-12")]);
        scene.trace.holdings.push(crate::trace::Holding {
            pid: 7,
            what: "listens on TCP port 80".to_owned(),
        });
        let found = scene.findings(ID).expect("there is a cleanup");
        assert_eq!(
            found[0].actual,
            "process 7: monitor --box job-12 (listens on TCP port 80)"
        );
    }

    #[test]
    fn one_that_serves_all_jobs_is_fine() {
        scene(&[(0, "key-agent --daemon")]).expect_clean(ID);
    }

    #[test]
    fn without_a_cleanup_it_says_nothing() {
        Scene::new().call(Program::Prepare, 0).expect_silent(ID);
    }
}
