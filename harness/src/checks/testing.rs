//! Hand-built cases and traces for the unit tests of checks: a driver that does everything right, changed in one place.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::contract::config::RunnerConfig;
use crate::contract::exit::{ExitCodes, ExitStatus};
use crate::contract::moment::Moment;
use crate::contract::protocol::{KillSignal, SignalResult};
use crate::contract::stage::{Program, Stage};
use crate::plan::case::{
    Case, CaseJob, HostEnvironment, JobOrder, JobShape, PlannedCall, Probe, ProbeEnding, Sequence,
    Stimulus, StimulusAction, Surroundings, Trigger,
};
use crate::trace::{
    CallRecord, Capture, Helpers, JobRecord, Marker, Trace, TraceEvent, TraceEventKind,
};

use super::{Deviation, by_id};

/// Exit code of a build failure in test cases.
pub(crate) const BUILD_FAILURE: i32 = ExitCodes::STRICT.build_failure as i32;
/// Exit code of a system failure in test cases.
pub(crate) const SYSTEM_FAILURE: i32 = ExitCodes::STRICT.system_failure as i32;

/// A case and its trace.
pub(crate) struct Scene {
    pub(crate) case: Case,
    pub(crate) trace: Trace,
    second: u64,
}

/// A job of a test case.
pub(crate) fn job(job_id: u64) -> CaseJob {
    CaseJob {
        job_id,
        concurrent_id: 0,
        own_project: false,
        sequence: Sequence::Job(JobShape::default()),
        runner: RunnerConfig {
            builds_dir: "/data/builds".into(),
            cache_dir: "/data/cache".into(),
            ..RunnerConfig::default()
        },
        job_timeout: Duration::from_secs(20),
        exit_codes: ExitCodes::STRICT,
        probes: BTreeMap::new(),
        host_environment: HostEnvironment::Usual,
        blank_in_temp_dir: false,
        variables: Vec::new(),
        image: None,
        services: Vec::new(),
        stimuli: Vec::new(),
    }
}

impl Scene {
    /// One job without calls.
    pub(crate) fn new() -> Self {
        Self::with_jobs(&[12], JobOrder::Sequential)
    }

    /// Several jobs without calls.
    pub(crate) fn with_jobs(ids: &[u64], order: JobOrder) -> Self {
        let record = |&job_id: &u64| JobRecord {
            job_id,
            outcome: None,
            job_log: Vec::new(),
            runner_log: Vec::new(),
        };
        Self {
            case: Case {
                name: "theme/case".into(),
                about: "A case of a unit test.".into(),
                jobs: ids.iter().map(|&id| job(id)).collect(),
                order,
                budget: driver_conformance_scenarios::model::Budget::Default,
                turns: Vec::new(),
                only_checks: Vec::new(),
                surroundings: Surroundings::default(),
                estimate: Duration::ZERO,
            },
            trace: Trace {
                jobs: ids.iter().map(record).collect(),
                ..Trace::default()
            },
            second: 0,
        }
    }

    /// Adds a call that exits with `code` a second after its start.
    pub(crate) fn call(self, program: Program, code: i32) -> Self {
        self.call_of(0, program, code)
    }

    /// Adds a call of one of several jobs.
    pub(crate) fn call_of(mut self, job: usize, program: Program, code: i32) -> Self {
        let record = self.record(job, program, None, code);
        self.push(record);
        self
    }

    /// Adds a run call whose script ran as its probe says.
    pub(crate) fn run(self, stage: &str, probe: Probe, code: i32) -> Self {
        self.run_of(0, stage, probe, code)
    }

    /// Adds a run call of one of several jobs.
    pub(crate) fn run_of(mut self, job: usize, stage: &str, probe: Probe, code: i32) -> Self {
        let nonce = format!("nonce{}", self.trace.calls.len());
        let mut record = self.record(
            job,
            Program::Run,
            Some(Stage::from_driver_name(stage)),
            code,
        );
        let mut printed = format!("driver-conformance:{nonce}:start\n");
        if !matches!(
            probe.ending,
            ProbeEnding::Hang | ProbeEnding::HangIgnoringTerm
        ) {
            printed += &crate::plan::probe::marker(&nonce, "end");
            printed.push('\n');
        }
        record.nonce = Some(nonce);
        record.probe = Some(probe);
        record.stdout = capture(printed.as_bytes());
        self.push(record);
        self
    }

    /// Changes the call added last.
    pub(crate) fn but(mut self, change: impl FnOnce(&mut CallRecord)) -> Self {
        change(self.trace.calls.last_mut().expect("a call"));
        self
    }

    /// Replaces the output of the call added last; `NONCE` stands for its nonce.
    pub(crate) fn printing(self, text: &str) -> Self {
        self.but(|call| {
            let nonce = call.nonce.clone().unwrap_or_default();
            call.stdout = capture(
                text.replace("NONCE", &format!("driver-conformance:{nonce}"))
                    .as_bytes(),
            );
        })
    }

    /// The call added last was sent SIGTERM half a second after its start.
    pub(crate) fn terminated(self) -> Self {
        self.but(|call| {
            let at = call.started + Duration::from_millis(500);
            call.signals
                .push((at, KillSignal::Term, SignalResult::Delivered));
        })
    }

    /// The call added last was sent SIGTERM and, as it did not end, SIGKILL.
    pub(crate) fn killed(self) -> Self {
        self.terminated().but(|call| {
            let at = call.started + Duration::from_secs(3);
            call.signals
                .push((at, KillSignal::Kill, SignalResult::Delivered));
            call.leader_exit = Some((at, ExitStatus::Signal(9)));
        })
    }

    /// The helpers of its job were killed while the call added last ran.
    pub(crate) fn losing_helpers(self) -> Self {
        self.but(|call| call.helpers = Helpers::KilledMeanwhile)
    }

    /// The job of the call added last is one that something happens to.
    pub(crate) fn stimulus(mut self, action: StimulusAction) -> Self {
        let call = self.trace.calls.last().expect("a call");
        let when = Trigger::CallStarted {
            program: call.program,
            stage: call.stage.clone(),
            nth: 1,
            delay: Duration::ZERO,
        };
        let job = call.job;
        self.case.jobs[job].stimuli.push(Stimulus { when, action });
        self
    }

    /// Makes the calls of the first job a raw sequence; `change` may alter it.
    pub(crate) fn planned(mut self, change: impl FnOnce(&mut Vec<PlannedCall>)) -> Self {
        let mut calls = self
            .trace
            .calls
            .iter()
            .map(|call| PlannedCall {
                program: call.program,
                stage: call.stage.clone(),
                new_attempt: false,
                without_job_env: false,
                helpers_killed: false,
                probe: None,
            })
            .collect();
        change(&mut calls);
        self.case.jobs[0].sequence = Sequence::Calls(calls);
        self
    }

    /// What a check finds.
    pub(crate) fn findings(&self, id: &str) -> Option<Vec<Deviation>> {
        (by_id(id).unwrap_or_else(|| panic!("no check {id}")).examine)(&self.case, &self.trace)
    }

    /// Fails unless a check finds exactly this many deviations.
    #[track_caller]
    pub(crate) fn expect(&self, id: &str, deviations: usize) {
        let found = self.findings(id).unwrap_or_default();
        assert_eq!(found.len(), deviations, "{found:#?}");
    }

    /// Fails unless a check has looked at the case and found nothing.
    #[track_caller]
    pub(crate) fn expect_clean(&self, id: &str) {
        assert_eq!(self.findings(id), Some(Vec::new()));
    }

    /// Fails unless a check has nothing to say about the case.
    #[track_caller]
    pub(crate) fn expect_silent(&self, id: &str) {
        assert_eq!(self.findings(id), None);
    }

    fn record(
        &mut self,
        job: usize,
        program: Program,
        stage: Option<Stage>,
        code: i32,
    ) -> CallRecord {
        let started = Moment::after_start(Duration::from_secs(self.second));
        let ended = started + Duration::from_secs(1);
        self.second += 2;
        let same =
            |call: &&CallRecord| call.job == job && call.program == program && call.stage == stage;
        let nth = self.trace.calls.iter().filter(same).count() + 1;
        CallRecord {
            job,
            program,
            nth: u32::try_from(nth).expect("few calls"),
            attempt: 1,
            argv: vec![program.name().into()],
            environment: Vec::new(),
            temp_dir: PathBuf::from("/data/tmp/custom-executor1"),
            script: None,
            nonce: None,
            probe: None,
            started,
            start_failure: None,
            pid: Some(100),
            leader_exit: Some((ended, ExitStatus::Code(code))),
            stdout_closed: Some(ended),
            stderr_closed: Some(ended),
            ended: Some(ended),
            abandoned: None,
            signals: Vec::new(),
            stdout: Capture::default(),
            stderr: Capture::default(),
            markers: Vec::new(),
            exit_code_file_before: None,
            exit_code_file_after: None,
            temp_dir_lost: false,
            signalled_at_point: false,
            helpers: Helpers::default(),
            stage,
        }
    }

    fn push(&mut self, record: CallRecord) {
        let index = crate::trace::CallIndex(self.trace.calls.len());
        let status = record.leader_exit.expect("exits").1;
        for (at, kind) in [
            (record.started, TraceEventKind::CallStarted(index)),
            (
                record.started + Duration::from_secs(1),
                TraceEventKind::LeaderExited(index, status),
            ),
        ] {
            self.trace.events.push(TraceEvent {
                at,
                job: record.job,
                kind,
            });
        }
        self.trace.calls.push(record);
    }
}

/// A stream that was kept whole.
pub(crate) fn capture(bytes: &[u8]) -> Capture {
    Capture {
        bytes: bytes.to_vec(),
        bytes_total: bytes.len() as u64,
    }
}

/// A probe that ends with a code.
pub(crate) fn exits(code: u8) -> Probe {
    let ending = if code == 0 {
        ProbeEnding::Success
    } else {
        ProbeEnding::Code(code)
    };
    Probe {
        ending,
        ..Probe::default()
    }
}

/// A probe that hangs.
pub(crate) fn hangs() -> Probe {
    Probe {
        ending: ProbeEnding::Hang,
        ..Probe::default()
    }
}

/// A marker seen some milliseconds after a call's start.
pub(crate) fn seen(
    call: &CallRecord,
    milliseconds: u64,
    word: &str,
    number: Option<u64>,
) -> (Moment, Marker) {
    (
        call.started + Duration::from_millis(milliseconds),
        Marker {
            word: word.into(),
            number,
        },
    )
}
