//! # What it verifies
//!
//! Jobs that are alive at the same time do not touch each other: every call works as if the other job were not
//! there, and shows nothing of it.
//!
//! # Why it matters
//!
//! One job ends another one, or runs in its environment with its secrets. It happens only under load, and nobody
//! finds out why.
//!
//! # How drivers break it
//!
//! Names of environments lack an id, so that two jobs have the same; or cleanup removes everything whose name
//! begins like its own: job 12 takes job 123 along.
//!
//! # Example of the fix
//!
//! Name with all ids, and match names as a whole:
//!
//! ```text
//!     name="runner-$CUSTOM_ENV_CI_RUNNER_ID-project-$CUSTOM_ENV_CI_PROJECT_ID-job-$CUSTOM_ENV_CI_JOB_ID"
//!     box list | grep -Fx "$name"
//! ```
//!
//! # Clause
//!
//! Must: B17, D8.

use crate::checks::Deviation;
use crate::checks::evidence::{
    ScriptRun, after_others, calls, config_document, configs, deviation, earlier, ending,
    exit_code, overlapping, prepared, printed, undisturbed, undisturbed_scripts,
};
use crate::contract::stage::Program;
use crate::plan::case::{Case, JobOrder, ProbeEnding};
use crate::trace::{CallIndex, CallRecord, Trace};

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    if case.jobs.len() < 2 {
        return None;
    }
    let mut found = foreign_output(trace);
    let shared = overlapping(case) || case.order == JobOrder::Around;
    if shared && able_to_prepare(trace) {
        found.extend(failed_calls(case, trace));
    }
    Some(found)
}

/// The first config and the first prepare worked. A driver that cannot prepare at all is not disturbed by another job.
fn able_to_prepare(trace: &Trace) -> bool {
    [Program::Config, Program::Prepare].iter().all(|program| {
        let first = calls(trace).find(|(_, call)| call.program == *program);
        first.is_none_or(|(_, call)| exit_code(call) == Some(0))
    })
}

/// Output of one job in a call of another one.
fn foreign_output(trace: &Trace) -> Vec<Deviation> {
    let shows = |run: &ScriptRun<'_>| {
        calls(trace)
            .filter(|(_, other)| other.job != run.call.job)
            .filter_map(|(_, other)| other.nonce.as_deref())
            .any(|nonce| printed(run.call, nonce, "start"))
    };
    let message = "showed the output of another job";
    undisturbed_scripts(trace)
        .iter()
        .filter(|run| shows(run))
        .map(|run| {
            deviation(
                trace,
                run.index,
                message,
                &["output of its own job alone"],
                "both".to_owned(),
            )
        })
        .collect()
}

/// Calls that do not work while another job is alive.
fn failed_calls(case: &Case, trace: &Trace) -> Vec<Deviation> {
    let scripts = undisturbed_scripts(trace);
    let own_environment = calls(trace).any(|(_, call)| call.program == Program::Prepare)
        && configs(trace)
            .iter()
            .all(|(_, call)| chooses_directory(call))
        && configs(trace).len() >= case.jobs.len();
    calls(trace)
        .filter(|(index, call)| undisturbed(trace, *index) && !after_the_end(trace, call))
        .filter(|(index, _)| overlapping(case) || after_others(case, trace, *index))
        // Where prepare failed, or was ended from outside, no script can run: that is shown once.
        .filter(|(index, call)| call.program != Program::Run || prepared(trace, *index))
        // Whether a second cleanup of a job works is another matter; what it does to the other job shows there.
        .filter(|(index, call)| call.program != Program::Cleanup || !cleaned_up(trace, *index))
        .filter_map(|(index, call)| {
            let script = scripts.iter().find(|run| run.index == index);
            let message = match (call.program, script) {
                (Program::Run, Some(run)) if !run.started() => {
                    "did not run a script while another job was alive"
                }
                // Without prepare a driver has no environments of its own to keep apart; and where config names no
                // directory, all jobs have the one that the runner is set to, maybe on this very machine.
                (Program::Run, Some(run))
                    if own_environment && run.printed("forgotten") && remembered(trace, run) =>
                {
                    "lost files of a job while another one was alive"
                }
                // What its own script has brought about.
                (Program::Run, Some(run)) if fails_by_itself(run) => return None,
                _ if exit_code(call) != Some(0) => "failed while another job was alive",
                _ => return None,
            };
            let expected = ["the same as without the other job"];
            Some(deviation(trace, index, message, &expected, ending(call)))
        })
        .collect()
}

/// The script is one that fails, whatever becomes of other jobs. One that hangs does not: somebody else ended it.
fn fails_by_itself(run: &ScriptRun<'_>) -> bool {
    match run.probe.ending {
        ProbeEnding::Code(code) => code != 0,
        ProbeEnding::Signal(_) => true,
        ProbeEnding::Success | ProbeEnding::Hang | ProbeEnding::HangIgnoringTerm => false,
    }
}

/// Nothing of the job is there any more: its last prepare, if there was one, was followed by a cleanup.
fn cleaned_up(trace: &Trace, index: CallIndex) -> bool {
    earlier(trace, index)
        .rfind(|(_, call)| matches!(call.program, Program::Prepare | Program::Cleanup))
        .is_some_and(|(_, call)| call.program == Program::Cleanup)
}

/// Something was done to the job before this call: how a driver copes with that is another matter.
fn after_the_end(trace: &Trace, call: &CallRecord) -> bool {
    let mut applied = trace.stimuli.iter();
    applied.any(|stimulus| stimulus.job == call.job && stimulus.at <= call.started)
}

/// A stage of the same environment left the word that the script looks for.
fn remembered(trace: &Trace, run: &ScriptRun<'_>) -> bool {
    let mut same_environment = earlier(trace, run.index)
        .rev()
        .take_while(|(_, call)| call.program == Program::Run);
    same_environment.any(|(_, call)| {
        let left = call.probe.as_ref();
        let left = left.and_then(|probe| probe.remember.as_ref());
        let nonce = call.nonce.as_deref().unwrap_or_default();
        left.is_some() && left == run.probe.recall.as_ref() && printed(call, nonce, "remembered")
    })
}

/// config named the directory for builds.
fn chooses_directory(call: &CallRecord) -> bool {
    let chosen = |document: serde_json::Value| {
        let directory = document.get("builds_dir")?.as_str()?;
        Some(!directory.is_empty())
    };
    let document = config_document(call).ok().flatten();
    document.and_then(chosen).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{BUILD_FAILURE, SYSTEM_FAILURE, Scene, capture, exits, hangs};
    use crate::contract::exit::ExitStatus;
    use crate::plan::case::{JobOrder, Probe, StimulusAction};
    use crate::trace::AppliedStimulus;

    const ID: &str = "isolation/jobs-do-not-disturb";

    fn two_jobs(order: JobOrder) -> Scene {
        with_output_of_config(order, r#"{"builds_dir": "/builds"}"#)
    }

    fn with_output_of_config(order: JobOrder, output: &str) -> Scene {
        Scene::with_jobs(&[12, 123], order)
            .call(Program::Config, 0)
            .but(|call| call.stdout = capture(output.as_bytes()))
            .call_of(1, Program::Config, 0)
            .but(|call| call.stdout = capture(output.as_bytes()))
            .call(Program::Prepare, 0)
            .call_of(1, Program::Prepare, 0)
    }

    #[test]
    fn two_jobs_that_work_are_fine() {
        two_jobs(JobOrder::Turns)
            .call(Program::Cleanup, 0)
            .run_of(1, "build_script", exits(0), 0)
            .expect_clean(ID);
    }

    #[test]
    fn a_job_that_loses_its_environment_is_found() {
        let word = Some(("memory".to_owned(), "plum".to_owned()));
        let remembers = Probe {
            remember: word.clone(),
            ..exits(0)
        };
        let recalls = Probe {
            recall: word,
            ..exits(0)
        };
        two_jobs(JobOrder::Turns)
            .call(Program::Cleanup, 0)
            .run_of(1, "get_sources", remembers, 0)
            .printing("NONCE:start\nNONCE:remembered\nNONCE:end\n")
            .run_of(1, "build_script", exits(0), SYSTEM_FAILURE)
            .printing("no box\n")
            .run_of(1, "after_script", recalls, 0)
            .printing("NONCE:start\nNONCE:forgotten\nNONCE:end\n")
            .run_of(1, "archive_cache", exits(3), BUILD_FAILURE)
            .expect(ID, 2);
    }

    #[test]
    fn a_stage_that_a_call_of_another_job_ends_is_found() {
        let killed = |call: &mut CallRecord| {
            let at = call.leader_exit.expect("it has exited").0;
            call.leader_exit = Some((at, ExitStatus::Signal(9)));
        };
        two_jobs(JobOrder::Beside)
            .call_of(1, Program::Cleanup, 0)
            .run_of(0, "build_script", hangs(), 0)
            .but(killed)
            .expect(ID, 1);
    }

    #[test]
    fn a_second_cleanup_is_judged_by_what_it_does_to_the_other_job() {
        let cleaned = two_jobs(JobOrder::Turns).call(Program::Cleanup, 0);
        let again = cleaned.call(Program::Cleanup, SYSTEM_FAILURE);
        again.expect_clean(ID);
        two_jobs(JobOrder::Turns)
            .call(Program::Cleanup, SYSTEM_FAILURE)
            .expect(ID, 1);
    }

    #[test]
    fn what_comes_after_the_end_of_a_job_is_another_matter() {
        let mut scene = two_jobs(JobOrder::Beside)
            .call_of(1, Program::Cleanup, 0)
            .run_of(0, "build_script", hangs(), SYSTEM_FAILURE)
            .terminated()
            .call(Program::Cleanup, SYSTEM_FAILURE);
        let cleanup = scene.trace.calls.last().expect("a call").started;
        scene.trace.stimuli.push(AppliedStimulus {
            at: cleanup,
            job: 0,
            action: StimulusAction::Abort,
            hit: None,
        });
        scene.expect_clean(ID);
    }

    #[test]
    fn a_directory_that_the_driver_did_not_choose_may_be_shared() {
        for output in ["", r#"{"builds_dir": ""}"#, r#"{"driver": {"name": "d"}}"#] {
            with_output_of_config(JobOrder::Turns, output)
                .run_of(1, "build_script", exits(0), 0)
                .printing("NONCE:start\nNONCE:forgotten\nNONCE:end\n")
                .expect_clean(ID);
        }
    }

    #[test]
    fn a_driver_that_can_never_prepare_is_not_disturbed() {
        Scene::with_jobs(&[12, 123], JobOrder::Turns)
            .call(Program::Prepare, SYSTEM_FAILURE)
            .call_of(1, Program::Prepare, SYSTEM_FAILURE)
            .expect_clean(ID);
        Scene::with_jobs(&[12, 123], JobOrder::Turns)
            .call(Program::Prepare, 0)
            .call_of(1, Program::Prepare, SYSTEM_FAILURE)
            .expect(ID, 1);
    }

    #[test]
    fn output_of_the_other_job_is_found_in_any_order() {
        two_jobs(JobOrder::Sequential)
            .run_of(0, "build_script", exits(0), 0)
            .run_of(1, "build_script", exits(0), 0)
            .but(|call| {
                call.stdout
                    .bytes
                    .extend_from_slice(b"driver-conformance:nonce4:start\n");
            })
            .expect(ID, 1);
    }

    #[test]
    fn one_job_alone_says_nothing() {
        Scene::new()
            .call(Program::Prepare, SYSTEM_FAILURE)
            .expect_silent(ID);
    }
}
