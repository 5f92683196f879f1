//! The world around real driver processes: a scripted GitLab and a runner process with its signals.
//!
//! Each job of the engine is a [`LabJob`]: the emulated job and its log updates. It sees when a driver has begun, by the
//! line that the driver prints first, and so lets the events of a trace happen when the recording did.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use driver_conformance::contract::config::RunnerConfig;
use driver_conformance::contract::job::Job;
use driver_conformance::contract::log_updates::{Answer, LogUpdates, Request};
use driver_conformance::contract::moment::Moment;
use driver_conformance::contract::outcome::Outcome;
use driver_conformance::contract::protocol::{Action, CallId, CallSpec, Emulation, Event, Stream};
use driver_conformance::contract::runner_process::{ProcessAction, RunnerProcess, RunnerSignal};
use driver_conformance::engine::simulation::coordinator::Coordinator;
use driver_conformance::engine::simulation::{
    CallPoint, CallSelector, InjectedAction, InjectedEvent, JobSource, When,
};
use driver_conformance::golden::file::GoldenFile;
use driver_conformance::golden::replay::GoldenJobs;

/// First line of a scripted driver on stderr.
pub(crate) const BEGUN: &[u8] = b"scripted-driver: begun\n";

/// What the jobs of one trace share.
pub(crate) struct Lab {
    source: GoldenJobs,
    events: Vec<InjectedEvent>,
    /// Whether an event was scheduled.
    scheduled: Vec<bool>,
    /// Scheduled events that have not happened.
    due: Vec<(Duration, usize)>,
    coordinator: Coordinator,
    runner: RunnerProcess,
    workers: u32,
    reloads: u32,
    interrupt: Option<&'static str>,
    /// When the first job was handed out.
    started: Option<Instant>,
    /// Concurrent ids that jobs have.
    taken: Vec<u32>,
    /// Directory with plan and record of each job.
    records: Vec<PathBuf>,
    /// How each job ended.
    pub(crate) outcomes: Vec<Option<Outcome>>,
}

impl Lab {
    /// A lab for the jobs of a file.
    pub(crate) fn new(file: &GoldenFile, source: GoldenJobs, records: Vec<PathBuf>) -> Self {
        let world = &file.world;
        Self {
            source,
            events: world.events.clone(),
            scheduled: vec![false; world.events.len()],
            due: Vec::new(),
            coordinator: Coordinator::new(
                world.modes.clone(),
                world.final_codes.clone(),
                world.update_interval,
            ),
            runner: RunnerProcess::new(world.shutdown_timeout),
            workers: world.concurrent.max(1),
            reloads: 0,
            interrupt: None,
            started: None,
            taken: Vec::new(),
            outcomes: vec![None; records.len()],
            records,
        }
    }

    fn elapsed(&self) -> Duration {
        self.started.map(|at| at.elapsed()).unwrap_or_default()
    }

    /// Makes a job, unless the runner takes no more.
    fn hand_out(&mut self, index: usize) -> Option<(Job, u32)> {
        if self.started.is_none() {
            self.started = Some(Instant::now());
            self.schedule(|when| match when {
                When::At(moment) => Some(*moment),
                _ => None,
            });
        }
        if !self.runner.takes_jobs() {
            return None;
        }
        let concurrent_id = (0..self.workers)
            .find(|id| !self.taken.contains(id))
            .unwrap_or(0);
        self.taken.push(concurrent_id);
        let records = self.records[index].to_string_lossy().into_owned();
        self.source.set_variable("REC_DIR", &records);
        Some((
            self.source.make(index, concurrent_id, self.reloads),
            concurrent_id,
        ))
    }

    /// Schedules the events that are not scheduled yet and to which `delay` gives one.
    fn schedule(&mut self, delay: impl Fn(&When) -> Option<Duration>) {
        let now = self.elapsed();
        for (index, event) in self.events.iter().enumerate() {
            if let (false, Some(delay)) = (self.scheduled[index], delay(&event.when)) {
                self.scheduled[index] = true;
                self.due.push((now + delay, index));
            }
        }
    }

    fn call_reached(&mut self, spec: &CallSpec, reached: CallPoint) {
        self.schedule(|when| match when {
            When::Call { point, call, delay } if *point == reached && selects(call, spec) => {
                Some(*delay)
            }
            _ => None,
        });
    }

    /// Lets everything happen that is due.
    fn catch_up(&mut self) {
        while let Some(position) = self
            .due
            .iter()
            .position(|(moment, _)| *moment <= self.elapsed())
        {
            let (_, index) = self.due.remove(position);
            let event = self.events[index].clone();
            for action in event.actions {
                match action {
                    InjectedAction::SetMode(mode) => self.coordinator.set_mode(mode),
                    InjectedAction::Refuse(refusing) => self.coordinator.refuse(refusing),
                    InjectedAction::Signal(signal) => self.signal(signal),
                    // These are stimuli of the engine, or of the source of the jobs.
                    InjectedAction::KillDriver { .. }
                    | InjectedAction::EditConfig
                    | InjectedAction::WriteProgram { .. } => {}
                }
            }
            let happened = event.id;
            self.schedule(|when| match when {
                When::After { id, delay } if Some(*id) == happened => Some(*delay),
                _ => None,
            });
        }
    }

    fn signal(&mut self, signal: RunnerSignal) {
        let now = Moment::after_start(self.elapsed());
        let actions = self
            .runner
            .signal(signal, now, self.taken.len(), self.workers);
        for action in actions {
            match action {
                ProcessAction::InterruptJobs(word) => self.interrupt = Some(word),
                ProcessAction::ReloadConfig => self.reloads += 1,
                // The end of the runner while a call is running is a stimulus of the engine.
                ProcessAction::Exit { .. } | ProcessAction::Log(_) => {}
            }
        }
    }
}

fn selects(selector: &CallSelector, spec: &CallSpec) -> bool {
    let stage = spec.stage.as_ref().map(ToString::to_string);
    selector.program == spec.program
        && selector
            .stage
            .as_ref()
            .is_none_or(|wanted| stage.as_ref() == Some(wanted))
        && selector.nth.is_none_or(|nth| nth == spec.nth)
}

/// One job in the lab.
pub(crate) struct LabJob {
    lab: Arc<Mutex<Lab>>,
    index: usize,
    job: Option<Job>,
    concurrent_id: u32,
    updates: LogUpdates,
    stored_bytes: u64,
    /// The lab's clock when this job's began.
    offset: Duration,
    interrupted: bool,
    finished: bool,
    /// The runner dies while a call that it gave up goes on: the engine must not end the case before.
    holds_end: bool,
    /// Calls that were started, with whether their driver has begun.
    calls: Vec<(CallSpec, bool)>,
}

impl LabJob {
    /// The job with this index in the file.
    pub(crate) fn new(lab: Arc<Mutex<Lab>>, index: usize, holds_end: bool) -> Self {
        Self {
            lab,
            index,
            job: None,
            concurrent_id: 0,
            updates: LogUpdates::new(Moment::START, &RunnerConfig::default()),
            stored_bytes: 0,
            offset: Duration::ZERO,
            interrupted: false,
            finished: false,
            holds_end,
            calls: Vec::new(),
        }
    }

    fn lab(&self) -> MutexGuard<'_, Lab> {
        self.lab.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&mut self, now: Moment) -> bool {
        let mut lab = self.lab();
        lab.catch_up();
        let handed_out = lab.hand_out(self.index);
        let offset = lab.elapsed().saturating_sub(now.since_start());
        drop(lab);
        self.offset = offset;
        match handed_out {
            None => false,
            Some((job, concurrent_id)) => {
                self.updates = LogUpdates::new(now, job.build().runner());
                self.job = Some(job);
                self.concurrent_id = concurrent_id;
                true
            }
        }
    }

    fn spec(&mut self, call: CallId) -> Option<&mut (CallSpec, bool)> {
        self.calls.iter_mut().find(|(spec, _)| spec.id == call)
    }

    /// Tells the lab what is seen of a call; takes the driver's first line out of its output.
    fn observe(&mut self, event: &mut Event) {
        let (call, point) = match event {
            Event::Output {
                call,
                stream: Stream::Stderr,
                data,
            } => {
                let begins = data.starts_with(BEGUN);
                let Some((_, begun)) = self.spec(*call) else {
                    return;
                };
                if !begins || std::mem::replace(begun, true) {
                    return;
                }
                data.drain(..BEGUN.len());
                (*call, CallPoint::Start)
            }
            Event::CallEnded { call, .. } => (*call, CallPoint::End),
            _ => return,
        };
        if let Some((spec, _)) = self.spec(call).cloned() {
            self.lab().call_reached(&spec, point);
        }
    }

    /// The events that the world has for this job at this moment.
    fn news(&mut self, now: Moment) -> Vec<Event> {
        let mut events = Vec::new();
        let mut lab = self.lab();
        lab.catch_up();
        let interrupt = lab.interrupt;
        drop(lab);
        if let (Some(word), false) = (interrupt, self.interrupted) {
            self.interrupted = true;
            events.push(Event::Interrupt(word));
        }
        while !self.finished
            && let Some(request) = self.due_update(now)
        {
            let answer = self.answer(request);
            let effect = self.updates.answered(request, answer, now);
            events.extend(effect.cancel.then_some(Event::Cancel));
            events.extend(effect.abort.then_some(Event::Abort));
        }
        events
    }

    fn due_update(&mut self, now: Moment) -> Option<Request> {
        let bytes = self.job.as_ref()?.job_log_bytes();
        self.updates.due(now, bytes)
    }

    fn answer(&mut self, request: Request) -> Answer {
        let Some(id) = self.job.as_ref().map(Job::id) else {
            return Answer::Refused;
        };
        let stored = self.stored_bytes;
        let answer = self.lab().coordinator.answer(id, request, stored);
        if let (Request::Patch { to, .. }, Answer::Status { code: 202, .. }) = (request, answer) {
            self.stored_bytes = to;
        }
        answer
    }

    fn finish(&mut self, outcome: &Outcome) {
        self.finished = true;
        let (index, concurrent_id) = (self.index, self.concurrent_id);
        let mut lab = self.lab();
        lab.outcomes[index] = Some(outcome.clone());
        lab.taken.retain(|id| *id != concurrent_id);
    }
}

impl Emulation for LabJob {
    fn handle(&mut self, mut event: Event, now: Moment) -> Vec<Action> {
        if event == Event::Begin && !self.begin(now) {
            return vec![Action::EndSequence];
        }
        self.observe(&mut event);
        let mut events = VecDeque::from([event]);
        let mut actions = Vec::new();
        while let Some(event) = events.pop_front() {
            let Some(job) = self.job.as_mut() else {
                break;
            };
            for action in job.handle(event, now) {
                match &action {
                    Action::StartCall(spec) => self.calls.push((CallSpec::clone(spec), false)),
                    Action::Finish(outcome) => self.finish(outcome),
                    _ => {}
                }
                let is_held = self.holds_end && matches!(action, Action::Finish(_));
                actions.extend((!is_held).then_some(action));
            }
            events.extend(self.news(now));
        }
        actions
    }

    fn next_wake(&self) -> Option<Moment> {
        let job = self.job.as_ref()?;
        if self.finished {
            return job.next_wake();
        }
        let lab = self.lab();
        let own = |moment: Duration| Moment::after_start(moment.saturating_sub(self.offset));
        let due = lab.due.iter().map(|(moment, _)| own(*moment)).min();
        let interrupt = (lab.interrupt.is_some() && !self.interrupted).then_some(Moment::START);
        [job.next_wake(), self.updates.next_wake(), due, interrupt]
            .into_iter()
            .flatten()
            .min()
    }
}
