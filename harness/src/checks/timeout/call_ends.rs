//! # What it verifies
//!
//! A call of config, prepare or run that nothing happens to ends by itself, soon after its work is done.
//!
//! # Why it matters
//!
//! A call that never ends holds the job until its timeout, an hour by default, with nothing in the log that says
//! why.
//!
//! # How drivers break it
//!
//! They wait without a limit for an environment to be ready, or read one output stream to its end before the other,
//! so that the script and the driver wait for each other.
//!
//! # Example of the fix
//!
//! Put a limit on every wait, and read both streams at once:
//!
//! ```text
//!     timeout 120 sh -c 'until box ready "$0"; do sleep 1; done' "$name" || exit "$SYSTEM_FAILURE_EXIT_CODE"
//! ```
//!
//! # Clause
//!
//! Must: H8, B14.

use crate::checks::Deviation;
use crate::checks::evidence::{
    backend_failed, calls, deviation, each, earlier, hangs, overlapping, term_sent, terminated,
};
use crate::contract::moment::Moment;
use crate::contract::stage::Program;
use crate::plan::case::{Case, CaseJob, Probe, ProbeEnding};
use crate::trace::{CallIndex, Trace};

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    // A driver that has room for one job alone waits while another one is alive.
    if overlapping(case) {
        return None;
    }
    let quiet = |job: usize| {
        let hanging = calls(trace).any(|(_, call)| call.job == job && hangs(call));
        // A script that is to hang comes with a short timeout of the job, which on a busy machine may come before it.
        let undisturbed = |job: &CaseJob| job.stimuli.is_empty() && !job.probes.values().any(waits);
        case.jobs.get(job).is_some_and(undisturbed) && !hanging
    };
    let relevant = calls(trace).filter(|(index, call)| {
        call.program != Program::Cleanup
            && call.start_failure.is_none()
            && quiet(call.job)
            // How long it waits for a backend that fails is the driver's own affair, and longer than it usually takes.
            && !backend_failed(trace, *index)
    });
    each(relevant, |(index, call)| {
        let sent = term_sent(call)?;
        let message = "did not end before its timeout";
        let actual = format!(
            "still there {:.1} s after its start",
            sent.since(call.started).as_secs_f64()
        );
        (terminated(call) && fills_its_job(trace, index, sent)).then(|| {
            let mut found = deviation(trace, index, message, &["an end of its own"], actual);
            found.judge_by_time(trace);
            found
        })
    })
}

/// The call took at least half of what its job had taken when it was ended. One of many calls in which the timeout of the job
/// comes by chance does not hang: all of them are slow, as on a busy machine. The other programs have timeouts of their own.
fn fills_its_job(trace: &Trace, index: CallIndex, ended: Moment) -> bool {
    let call = &trace.calls[index.0];
    let first = earlier(trace, index).map(|(_, call)| call.started).next();
    let job = ended.since(first.unwrap_or(call.started));
    call.program != Program::Run || ended.since(call.started) * 2 >= job
}

/// The script waits to be ended.
fn waits(probe: &Probe) -> bool {
    matches!(
        probe.ending,
        ProbeEnding::Hang | ProbeEnding::HangIgnoringTerm
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{Scene, exits, hangs as hanging};
    use crate::contract::stage::Stage;
    use crate::plan::case::StimulusAction;
    use crate::trace::BackendRequest;

    const ID: &str = "timeout/call-ends";

    #[test]
    fn a_short_timeout_of_the_job_that_comes_early_explains_it() {
        let mut scene = Scene::new().call(Program::Config, 143).terminated();
        let stage = Stage::build_script();
        scene.case.jobs[0].probes.insert(stage, hanging());
        scene.expect_silent(ID);
    }

    #[test]
    fn a_driver_may_wait_for_another_job_to_end() {
        Scene::with_jobs(&[12, 123], crate::plan::case::JobOrder::Turns)
            .call(Program::Prepare, 0)
            .call_of(1, Program::Prepare, 143)
            .terminated()
            .expect_silent(ID);
    }

    #[test]
    fn a_call_that_ends_is_fine() {
        Scene::new()
            .call(Program::Prepare, 0)
            .run("build_script", exits(0), 0)
            .expect_clean(ID);
    }

    #[test]
    fn a_call_that_had_to_be_ended_is_found() {
        Scene::new()
            .run("build_script", exits(0), 143)
            .terminated()
            .expect(ID, 1);
    }

    #[test]
    fn a_call_may_wait_long_for_a_backend_that_failed() {
        let mut scene = Scene::new().call(Program::Prepare, 143).terminated();
        scene.trace.requests.push(BackendRequest {
            call: Some(CallIndex(0)),
            tool: "virsh".to_owned(),
            verb: "domifaddr".to_owned(),
            struck: true,
        });
        scene.expect_silent(ID);
    }

    #[test]
    fn the_last_of_many_calls_is_not_blamed_for_the_timeout_of_the_job() {
        let many = Scene::new()
            .call(Program::Prepare, 0)
            .run("prepare_script", exits(0), 0)
            .run("get_sources", exits(0), 0)
            .run("build_script", exits(0), 143);
        many.terminated().expect_clean(ID);
        let one = Scene::new()
            .call(Program::Prepare, 0)
            .run("get_sources", exits(0), 143)
            .terminated()
            .but(|call| {
                let later = call.started + std::time::Duration::from_secs(20);
                call.signals[0].0 = later;
                call.leader_exit = call.leader_exit.map(|(_, status)| (later, status));
            });
        one.expect(ID, 1);
    }

    #[test]
    fn a_stimulus_or_a_hanging_script_explains_the_end() {
        let cancelled = Scene::new().call(Program::Prepare, 143).terminated();
        cancelled.stimulus(StimulusAction::Cancel).expect_silent(ID);
        Scene::new()
            .run("build_script", hanging(), 143)
            .terminated()
            .expect_silent(ID);
    }
}
