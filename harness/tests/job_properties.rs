//! Properties that hold for every job, whatever the driver does and whatever happens to it: the simulation walks random
//! behaviours and events, and the record of each walk is held against the contract.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use driver_conformance::contract::outcome::{FailureReason, Outcome};
use driver_conformance::contract::protocol::Stream;
use driver_conformance::contract::runner_process::RunnerSignal;
use driver_conformance::contract::stage::{Program, Stage};
use driver_conformance::engine::simulation::behaviour::{Behaviour, Child, OnTerm, Step};
use driver_conformance::engine::simulation::coordinator::Mode;
use driver_conformance::engine::simulation::record::{Record, RecordedCall};
use driver_conformance::engine::simulation::{
    CallPoint, CallSelector, InjectedAction, InjectedEvent, When,
};
use driver_conformance::golden::file::GoldenFile;
use driver_conformance::golden::replay::replay;
use proptest::prelude::*;

/// Walks per property. A walk takes about a millisecond.
const WALKS: u32 = 150;

/// The order in which a job goes through its stages (contract E1). Equal numbers exclude or repeat each other.
fn rank(stage: &Stage) -> u32 {
    match stage {
        Stage::PrepareScript => 1,
        Stage::GetSources | Stage::ClearWorktree => 2,
        Stage::RestoreCache => 3,
        Stage::DownloadArtifacts => 4,
        Stage::Step(_) | Stage::Unknown(_) => 5,
        Stage::AfterScript => 6,
        Stage::ArchiveCache | Stage::ArchiveCacheOnFailure => 7,
        Stage::UploadArtifactsOnSuccess | Stage::UploadArtifactsOnFailure => 8,
        Stage::CleanupFileVariables => 9,
    }
}

/// A job with every stage, in a world without events.
fn full_job() -> GoldenFile {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/traces/19.4/ok_full.json");
    GoldenFile::read(&path).expect("the trace is part of the repository")
}

fn programs() -> impl Strategy<Value = (Program, Option<String>)> {
    let stages = prop::sample::select(vec![
        "prepare_script",
        "get_sources",
        "restore_cache",
        "download_artifacts",
        "build_script",
        "after_script",
        "archive_cache",
        "upload_artifacts_on_success",
        "cleanup_file_variables",
    ]);
    prop_oneof![
        1 => Just((Program::Config, None)),
        1 => Just((Program::Prepare, None)),
        4 => stages.prop_map(|stage| (Program::Run, Some(stage.to_owned()))),
        1 => Just((Program::Cleanup, None)),
    ]
}

fn on_term() -> impl Strategy<Value = OnTerm> {
    prop_oneof![
        Just(OnTerm::Die),
        Just(OnTerm::Ignore),
        (0..4).prop_map(OnTerm::Exit),
        (0..4).prop_map(|code| OnTerm::ExitAfter(Duration::from_secs(1), code)),
    ]
}

fn seconds() -> impl Strategy<Value = Duration> {
    prop::sample::select(vec![0, 1, 5, 40, 700]).prop_map(Duration::from_secs)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let child = (seconds(), any::<bool>(), any::<bool>(), on_term()).prop_map(
        |(life, holds_output, own_session, on_term)| {
            Step::Spawn(Child {
                life,
                holds_output,
                own_session,
                on_term,
                tick: None,
            })
        },
    );
    let sleep = seconds().prop_map(|length| Step::Sleep {
        length,
        tick: Some(Duration::from_secs(1)),
        tick_to: Stream::Stdout,
    });
    let end = prop_oneof![
        (0..4).prop_map(Step::Exit),
        Just(Step::KillSelf(9)),
        Just(Step::ExitWithVariable("BUILD_FAILURE_EXIT_CODE".into())),
        Just(Step::ExitWithVariable("SYSTEM_FAILURE_EXIT_CODE".into())),
    ];
    (
        on_term().prop_map(Step::OnTerm),
        prop::option::of(child),
        prop::option::of(sleep),
        end,
    )
        .prop_map(|(on_term, child, sleep, end)| {
            [Some(on_term), child, sleep, Some(end)]
                .into_iter()
                .flatten()
                .collect()
        })
}

fn behaviours() -> impl Strategy<Value = Vec<Behaviour>> {
    let behaviour = (programs(), prop::collection::vec(1..4_u32, 0..2), steps()).prop_map(
        |((program, stage), nth, steps)| Behaviour {
            program: Some(program),
            stage,
            nth,
            job: None,
            steps,
        },
    );
    prop::collection::vec(behaviour, 0..4)
}

fn events() -> impl Strategy<Value = Vec<InjectedEvent>> {
    let mode = prop::sample::select(vec!["canceling", "canceled", "failed", "403", "404", "500"]);
    let signal = prop::sample::select(vec![
        RunnerSignal::Term,
        RunnerSignal::Interrupt,
        RunnerSignal::Quit,
        RunnerSignal::Kill,
    ]);
    let action = prop_oneof![
        3 => mode.prop_map(|name| {
            InjectedAction::SetMode(Mode { name: name.into(), methods: Vec::new(), job: None })
        }),
        2 => signal.prop_map(InjectedAction::Signal),
    ];
    let point = prop::sample::select(vec![CallPoint::Start, CallPoint::End, CallPoint::Signal]);
    let event = (programs(), point, seconds(), action).prop_map(
        |((program, stage), point, delay, action)| InjectedEvent {
            id: None,
            when: When::Call {
                point,
                call: CallSelector {
                    program,
                    stage,
                    nth: None,
                },
                delay,
            },
            actions: vec![action],
        },
    );
    prop::collection::vec(event, 0..3)
}

fn walk(behaviours: Vec<Behaviour>, events: Vec<InjectedEvent>, attempts: u32) -> Record {
    let mut file = full_job();
    file.world.behaviours = behaviours;
    file.world.events = events;
    let variables = file.payloads[0]["variables"]
        .as_array_mut()
        .expect("a list of variables");
    variables.push(serde_json::json!({
        "key": "GET_SOURCES_ATTEMPTS", "value": attempts.to_string(), "public": true,
    }));
    replay(&file).expect("the inputs make sense")
}

fn stages_of(record: &Record) -> Vec<&Stage> {
    record
        .calls
        .iter()
        .filter_map(|call| call.spec.stage.as_ref())
        .collect()
}

fn by_attempt(record: &Record) -> BTreeMap<u32, Vec<&RecordedCall>> {
    let mut attempts: BTreeMap<u32, Vec<&RecordedCall>> = BTreeMap::new();
    for call in &record.calls {
        attempts.entry(call.spec.attempt).or_default().push(call);
    }
    attempts
}

/// The runner process came to its end by itself, not by a signal or its shutdown timeout.
fn runner_lived(record: &Record) -> bool {
    record.runner_exit.is_some_and(|(code, _)| code == 0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(WALKS))]

    #[test]
    fn every_job_and_its_runner_come_to_an_end(
        behaviours in behaviours(), events in events(), attempts in 1..4_u32,
    ) {
        let record = walk(behaviours, events, attempts);
        prop_assert!(record.runner_exit.is_some());
        if runner_lived(&record) {
            prop_assert!(record.left_directories.is_empty(), "TMPDIR goes with its attempt (F4)");
        }
    }

    #[test]
    fn stages_keep_their_order(
        behaviours in behaviours(), events in events(), attempts in 1..4_u32,
    ) {
        let record = walk(behaviours, events, attempts);
        let ranks: Vec<u32> = stages_of(&record).into_iter().map(rank).collect();
        prop_assert!(ranks.is_sorted(), "{ranks:?}");
        let worktree_clears =
            stages_of(&record).into_iter().filter(|stage| **stage == Stage::ClearWorktree).count();
        prop_assert!(worktree_clears <= 1, "only before the second attempt (E1)");
    }

    #[test]
    fn each_attempt_is_cleaned_up_exactly_once(
        behaviours in behaviours(), events in events(), attempts in 1..4_u32,
    ) {
        let record = walk(behaviours, events, attempts);
        for (number, calls) in by_attempt(&record) {
            prop_assert!(number <= 3, "three prepare attempts at most (D1)");
            let cleanups =
                calls.iter().filter(|call| call.spec.program == Program::Cleanup).count();
            prop_assert!(cleanups <= 1, "attempt {number}: {cleanups} cleanups");
            if runner_lived(&record) {
                prop_assert_eq!(cleanups, 1, "attempt {}", number);
            }
        }
    }

    #[test]
    fn only_a_good_prepare_leads_to_run_stages(
        behaviours in behaviours(), events in events(), attempts in 1..4_u32,
    ) {
        let record = walk(behaviours, events, attempts);
        for calls in by_attempt(&record).values() {
            let runs = calls.iter().any(|call| call.spec.program == Program::Run);
            let prepare = calls.iter().find(|call| call.spec.program == Program::Prepare);
            let how = prepare.and_then(|call| call.end.as_ref()).map(|(_, how)| how.as_str());
            prop_assert!(!runs || how == Some("exit 0"), "run stages after prepare: {how:?}");
        }
    }

    #[test]
    fn an_outcome_is_one_of_those_a_runner_sends(
        behaviours in behaviours(), events in events(), attempts in 1..4_u32,
    ) {
        let record = walk(behaviours, events, attempts);
        if let Some(Outcome::Failed { reason, internal_reason, exit_code }) =
            &record.jobs[0].outcome
        {
            let has_code = *internal_reason == FailureReason::ScriptFailure;
            prop_assert!(has_code || *exit_code == 0, "{internal_reason:?} with {exit_code} (G5)");
            let sent = [
                FailureReason::ScriptFailure,
                FailureReason::RunnerSystemFailure,
                FailureReason::JobExecutionTimeout,
                FailureReason::UnknownFailure,
            ];
            prop_assert!(sent.contains(reason), "this instance does not know {reason:?} (G6)");
        }
    }

    #[test]
    fn the_same_inputs_give_the_same_record(
        behaviours in behaviours(), events in events(), attempts in 1..4_u32,
    ) {
        let one = walk(behaviours.clone(), events.clone(), attempts);
        let other = walk(behaviours, events, attempts);
        prop_assert_eq!(one.jobs[0].log.clone(), other.jobs[0].log.clone());
        prop_assert_eq!(one.runner_log, other.runner_log);
    }
}
