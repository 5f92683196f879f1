//! The simulated world: a queue of occurrences, and everybody who causes or sees them.

mod drivers;
pub use drivers::ENTRY_BYTES_MAX;
mod jobs;
mod updates;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::contract::moment::Moment;
use crate::contract::protocol::{RunnerLogEntry, RunnerLogLevel};
use crate::contract::runner_log;
use crate::contract::runner_process::{ProcessAction, RunnerProcess, RunnerSignal, StartupFacts};

use super::coordinator::Coordinator;
use super::files::Files;
use super::process::{Process, ProcessIndex};
use super::record::Record;
use super::{CallPoint, CallSelector, InjectedAction, JobSource, Scenario, When};
use drivers::{Environment, EnvironmentLimits};
use jobs::RunningJob;

/// How long the driver programs of the recordings need to reach their first instruction. Not a property of the runner:
/// it keeps the moments of the simulation near the recorded ones.
const DRIVER_START: Duration = Duration::from_millis(20);
/// The recordings end this long after the runner has died.
const WATCH_AFTER_RUNNER_EXIT: Duration = Duration::from_millis(6100);
/// The recordings stop an idle runner this long after the last job.
const STOP_AFTER_LAST_JOB: Duration = Duration::from_millis(500);
/// How often the runner looks whether its configuration file was changed.
const CONFIG_LOOK_INTERVAL: Duration = Duration::from_secs(3);
/// More occurrences than any scenario has: a bound against a scripted driver that never ends.
const OCCURRENCES_MAX: u64 = 100_000;

/// Something that is to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Occurrence {
    ProcessContinues(ProcessIndex),
    ProcessLeaves(ProcessIndex),
    Injected(usize),
    HandOut(usize),
    ConfigLookedAt,
    StopRunner,
    EndOfWatch,
}

/// The simulated world.
pub(super) struct World<'a> {
    now: Moment,
    queue: BinaryHeap<Reverse<(Moment, u64, Occurrence)>>,
    queued: u64,
    scenario: Scenario,
    source: &'a mut dyn JobSource,
    jobs: Vec<Option<RunningJob>>,
    next_job: usize,
    /// Jobs that were not handed out yet.
    outstanding: usize,
    reloads: u32,
    /// The configuration file was changed, and the runner has not read it since.
    config_changed: bool,
    processes: Vec<Process>,
    files: Files,
    runner: RunnerProcess,
    interrupt: Option<&'static str>,
    coordinator: Coordinator,
    fired: Vec<bool>,
    stop_scheduled: bool,
    watch_over: bool,
    /// The environment of the last call, and what is wrong with it.
    last_environment: Option<(Environment, EnvironmentLimits)>,
    record: Record,
}

impl<'a> World<'a> {
    pub(super) fn new(scenario: Scenario, source: &'a mut dyn JobSource) -> Self {
        let coordinator = Coordinator::new(
            scenario.modes.clone(),
            scenario.final_codes.clone(),
            scenario.update_interval,
        );
        let is_single = |facts: &StartupFacts| facts.single_job;
        let runner = if scenario.startup.as_ref().is_some_and(is_single) {
            RunnerProcess::run_single()
        } else {
            RunnerProcess::new(scenario.shutdown_timeout)
        };
        let mut record = Record::default();
        for index in 0..source.count() {
            let id = source.id(index);
            record.jobs.push(super::record::RecordedJob {
                id,
                ..Default::default()
            });
        }
        Self {
            now: Moment::START,
            queue: BinaryHeap::new(),
            queued: 0,
            jobs: Vec::new(),
            next_job: 0,
            outstanding: source.count(),
            reloads: 0,
            config_changed: false,
            processes: Vec::new(),
            files: Files::default(),
            runner,
            interrupt: None,
            coordinator,
            fired: vec![false; scenario.events.len()],
            stop_scheduled: false,
            watch_over: false,
            last_environment: None,
            record,
            scenario,
            source,
        }
    }

    pub(super) fn run(mut self) -> Record {
        if let Some(facts) = self.scenario.startup.clone() {
            for entry in RunnerProcess::startup_entries(&facts) {
                self.record_entry(&entry);
            }
            if !facts.single_job {
                let workers = self.scenario.concurrent.max(1);
                for entry in RunnerProcess::configured_entries(workers) {
                    self.log(&entry);
                }
            }
        }
        for index in 0..self.scenario.events.len() {
            if let When::At(moment) = self.scenario.events[index].when {
                self.schedule(moment, Occurrence::Injected(index));
            }
        }
        let workers = self.scenario.concurrent.max(1);
        let jobs = self
            .scenario
            .limit
            .map_or(workers, |limit| limit.min(workers));
        let at_once = (jobs as usize).min(self.source.count());
        for index in 0..at_once {
            self.schedule(Duration::ZERO, Occurrence::HandOut(index));
        }
        self.next_job = at_once;
        let mut occurrences = 0;
        while !self.watch_over && self.step() && occurrences < OCCURRENCES_MAX {
            occurrences += 1;
        }
        self.record.left_directories = self.files.directories().cloned().collect();
        self.record
    }

    fn schedule(&mut self, delay: Duration, occurrence: Occurrence) {
        self.queued += 1;
        self.queue
            .push(Reverse((self.now + delay, self.queued, occurrence)));
    }

    /// Does the next thing; false when nothing is left.
    fn step(&mut self) -> bool {
        let queued = self.queue.peek().map(|Reverse((moment, ..))| *moment);
        let awake = self.next_runner_wake();
        match (queued, awake) {
            (None, None) => false,
            (Some(queued), awake) if awake.is_none_or(|awake| queued <= awake) => {
                if let Some(Reverse((moment, _, occurrence))) = self.queue.pop() {
                    self.now = moment;
                    self.happens(occurrence);
                }
                true
            }
            (_, Some(awake)) => {
                self.now = self.now.max(awake);
                self.wake_runner();
                true
            }
            (Some(_), None) => true,
        }
    }

    fn happens(&mut self, occurrence: Occurrence) {
        match occurrence {
            Occurrence::ProcessContinues(process) => self.process_continues(process),
            Occurrence::ProcessLeaves(process) => self.process_leaves(process),
            Occurrence::Injected(event) => self.inject(event),
            Occurrence::HandOut(job) => self.hand_out(job),
            Occurrence::ConfigLookedAt => self.look_at_config(),
            Occurrence::StopRunner => self.signal_runner(RunnerSignal::Quit),
            Occurrence::EndOfWatch => self.end_watch(),
        }
    }

    fn inject(&mut self, index: usize) {
        let event = self.scenario.events[index].clone();
        for action in event.actions {
            match action {
                InjectedAction::SetMode(mode) => self.coordinator.set_mode(mode),
                InjectedAction::Refuse(refusing) => self.coordinator.refuse(refusing),
                InjectedAction::Signal(signal) => self.signal_runner(signal),
                InjectedAction::KillDriver { signal, call } => self.kill_driver(signal, &call),
                InjectedAction::EditConfig => self.edit_config(),
                InjectedAction::WriteProgram { path, file } => {
                    self.scenario.programs.insert(path, file);
                }
            }
        }
        if let Some(id) = event.id {
            for later in 0..self.scenario.events.len() {
                if let When::After { id: wanted, delay } = self.scenario.events[later].when
                    && wanted == id
                    && !std::mem::replace(&mut self.fired[later], true)
                {
                    self.schedule(delay, Occurrence::Injected(later));
                }
            }
        }
    }

    fn edit_config(&mut self) {
        self.config_changed = true;
        let since = self.now.since_start().as_nanos() % CONFIG_LOOK_INTERVAL.as_nanos();
        let since = Duration::from_nanos(u64::try_from(since).unwrap_or(0));
        let wait = CONFIG_LOOK_INTERVAL.saturating_sub(since);
        self.schedule(wait, Occurrence::ConfigLookedAt);
    }

    /// A file that has changed is read as if SIGHUP had come.
    fn look_at_config(&mut self) {
        if self.config_changed && self.runner.takes_jobs() {
            self.signal_runner(RunnerSignal::Hangup);
        }
    }

    /// Schedules the events that wait for this point of this call.
    fn call_reached(&mut self, record: usize, point: CallPoint) {
        for index in 0..self.scenario.events.len() {
            if self.fired[index] {
                continue;
            }
            let When::Call {
                point: wanted,
                call,
                delay,
            } = self.scenario.events[index].when.clone()
            else {
                continue;
            };
            if wanted == point && self.selects(&call, record) {
                self.fired[index] = true;
                self.schedule(delay, Occurrence::Injected(index));
            }
        }
    }

    fn selects(&self, selector: &CallSelector, record: usize) -> bool {
        let spec = &self.record.calls[record].spec;
        spec.program == selector.program
            && selector.stage.as_ref().is_none_or(|wanted| {
                spec.stage
                    .as_ref()
                    .is_some_and(|stage| stage.driver_name() == *wanted)
            })
            && selector.nth.is_none_or(|nth| nth == spec.nth)
    }

    fn signal_runner(&mut self, signal: RunnerSignal) {
        let (builds, workers) = self.load();
        let actions = self.runner.signal(signal, self.now, builds, workers);
        self.process_actions(actions);
        self.let_runner_end();
    }

    fn load(&self) -> (usize, u32) {
        let builds = self
            .jobs
            .iter()
            .flatten()
            .filter(|job| !job.is_removed())
            .count();
        (builds, self.scenario.concurrent.max(1))
    }

    fn process_actions(&mut self, actions: Vec<ProcessAction>) {
        for action in actions {
            match action {
                ProcessAction::InterruptJobs(word) => self.interrupt_jobs(word),
                ProcessAction::ReloadConfig => {
                    self.config_changed = false;
                    self.reloads += 1;
                }
                ProcessAction::Log(entry) => self.log(&entry),
                ProcessAction::Exit { code } => {
                    self.record.runner_exit = Some((code, self.now));
                    self.schedule(WATCH_AFTER_RUNNER_EXIT, Occurrence::EndOfWatch);
                }
            }
        }
    }

    /// Started as `run-single`: one job, no list of jobs.
    fn is_single(&self) -> bool {
        self.scenario
            .startup
            .as_ref()
            .is_some_and(|facts| facts.single_job)
    }

    fn log(&mut self, entry: &RunnerLogEntry) {
        // A process for one job does not read the level from its configuration.
        let level = if self.is_single() {
            RunnerLogLevel::default()
        } else {
            self.scenario.log_level
        };
        if entry.level >= level {
            self.record_entry(entry);
        }
    }

    fn record_entry(&mut self, entry: &RunnerLogEntry) {
        self.record.runner_log.push(runner_log::text_line(entry));
    }

    /// A stopping runner ends when its last job is done; an idle one is stopped by the recording.
    fn let_runner_end(&mut self) {
        let (builds, workers) = self.load();
        if builds > 0 || self.runner.is_gone() {
            return;
        }
        let is_last = self.is_single() && self.outstanding == 0;
        if self.runner.is_stopping() || is_last {
            let actions = self.runner.jobs_done(workers);
            self.process_actions(actions);
        } else if self.outstanding == 0 && !self.stop_scheduled {
            self.stop_scheduled = true;
            self.schedule(STOP_AFTER_LAST_JOB, Occurrence::StopRunner);
        }
    }
}
