//! The mock engine: runs emulated jobs with real driver processes, and records all of it.
//!
//! One case is one thread in one `poll` loop over the supervisors of its jobs, the pipes of its calls and its deadlines.
//! There is no async runtime in it: a runtime costs more per call than starting the driver does, and a loop that reads
//! one piece per turn bounds the memory by itself. Several cases run on several threads.
//!
//! Nothing here decides what a runner does. It performs each [`Action`](crate::contract::protocol::Action) of an
//! [`Emulation`] and tells it what happened.

mod actions;
mod calls;
mod conclusion;
mod files;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};

use self::calls::Call;
use super::backend::CaseBackend;
use super::directories::{CaseDirectories, FileWatch};
use super::keepsakes::Keepsakes;
use super::secrets::{Secret, SecretWatch};
use super::stimuli::StimulusBoard;
use crate::contract::exit::StartFailure;
use crate::contract::moment::Moment;
use crate::contract::protocol::{CallId, CallSpec, Emulation, Event, Stream};
use crate::contract::stage::{Program, Stage};
use crate::leaks::LeakWatch;
use crate::leaks::lists::Lists;
use crate::plan::case::{JobOrder, Probe, Stimulus, Turn};
use crate::plan::hang::Watch;
use crate::process::client::Supervised;
use crate::process::interrupt::{Interrupt, Urgency};
use crate::process::{command_lines, wait_ready};
use crate::trace::{Abortion, CallIndex, JobRecord, Place, Trace, TraceEvent, TraceEventKind};

/// Default of [`CaseEnvironment::budget`].
pub const CASE_BUDGET_DEFAULT: Duration = Duration::from_mins(2);
/// Default of [`CaseEnvironment::survivor_grace`].
pub const SURVIVOR_GRACE_DEFAULT: Duration = Duration::from_millis(500);
/// Default of [`CaseEnvironment::interrupt_patience`].
pub const INTERRUPT_PATIENCE_DEFAULT: Duration = Duration::from_secs(10);

/// How often the engine wakes at least, to measure how late it is woken.
const TICK: Duration = Duration::from_millis(10);
/// How often command lines are looked at, where a case looks for secrets in them: a program that a shell starts lives for
/// a millisecond or more.
const COMMAND_LINE_INTERVAL: Duration = Duration::from_micros(200);
/// Bytes read from a pipe at once: the capacity of a pipe.
const READ_BYTES: usize = 64 * 1024;

/// Where and within which bounds a case runs.
#[derive(Debug)]
pub struct CaseEnvironment {
    /// The executable that becomes the supervisors: `driver-conformance` itself
    /// ([`own_executable`](crate::process::supervisor::own_executable)); tests name it, being other programs.
    pub supervisor: PathBuf,
    /// The private directories of the case.
    pub directories: CaseDirectories,
    /// Paths in them that are not looked at for left files, for example a mock backend's own.
    pub unwatched: Vec<PathBuf>,
    /// Files of somebody else in the directories of the case.
    pub keepsakes: Keepsakes,
    /// Secrets of the job that files and command lines are searched for. With any, the engine wakes so often that it
    /// should not run beside much else.
    pub secrets: Vec<Secret>,
    /// PATH of the runner, in which a driver's name without slash is looked up (B2).
    pub runner_path: String,
    /// How long all jobs of the case may take together before everything is killed ([`Abortion::CaseBudget`]).
    pub budget: Duration,
    /// When a call counts as hanging, so that the case is ended ([`Abortion::Hang`]); `None`: never.
    pub watch: Option<Watch>,
    /// How long processes may take to end by themselves after the last call before they count as left.
    pub survivor_grace: Duration,
    /// How long the driver may take to clean up after the harness was asked to stop ([`Abortion::Interrupted`]).
    pub interrupt_patience: Duration,
    /// Commands that list the objects of the driver's backend.
    pub lists: Option<BackendLists>,
    /// Follow the programs that all calls start ([`Trace::children`]).
    pub follow_children: bool,
    /// The case's part of a mock backend.
    pub backend: Option<CaseBackend>,
    /// With [`JobOrder::Listed`]: all calls in their order.
    pub turns: Vec<Turn>,
}

/// The commands that list the objects of a backend, and how often a case runs them.
#[derive(Debug, Clone)]
pub struct BackendLists {
    /// The commands.
    pub lists: Arc<Lists>,
    /// After every call, which tells the call that made an object; otherwise once, when the case is over.
    pub every_call: bool,
}

impl CaseEnvironment {
    /// An environment with the default bounds and this process's own PATH.
    pub fn new(supervisor: &Path, directories: CaseDirectories) -> Self {
        Self {
            supervisor: supervisor.to_path_buf(),
            directories,
            unwatched: Vec::new(),
            keepsakes: Keepsakes::default(),
            secrets: Vec::new(),
            runner_path: std::env::var("PATH").unwrap_or_default(),
            budget: CASE_BUDGET_DEFAULT,
            watch: None,
            survivor_grace: SURVIVOR_GRACE_DEFAULT,
            interrupt_patience: INTERRUPT_PATIENCE_DEFAULT,
            lists: None,
            follow_children: false,
            backend: None,
            turns: Vec::new(),
        }
    }
}

/// What the trace says about a call beyond its [`CallSpec`].
#[derive(Debug, Clone, Default)]
pub struct CallLabel {
    /// Nonce of the probe in the call's script, by which its markers are known.
    pub nonce: Option<String>,
    /// What the probe does when run properly.
    pub probe: Option<Probe>,
}

/// Tells the label of a call just before it is started.
pub type Labeller = Box<dyn FnMut(&CallSpec) -> CallLabel + Send>;

/// Hears every piece of a job log as it is written.
pub type JobLogListener = Box<dyn FnMut(&[u8]) + Send>;

/// One job of a case, ready to run.
pub struct JobRun {
    /// Id in GitLab, for the trace.
    pub job_id: u64,
    /// The emulated runner at work on it.
    pub emulation: Box<dyn Emulation>,
    /// What happens to it.
    pub stimuli: Vec<Stimulus>,
    /// Labels of its calls.
    pub labeller: Labeller,
    /// Hears its log, where somebody watches.
    pub job_log_listener: Option<JobLogListener>,
}

impl JobRun {
    /// A job to which nothing happens and whose calls have no labels.
    pub fn plain(job_id: u64, emulation: Box<dyn Emulation>) -> Self {
        Self {
            job_id,
            emulation,
            stimuli: Vec::new(),
            labeller: Box::new(|_| CallLabel::default()),
            job_log_listener: None,
        }
    }
}

/// Why a case could not be run: a fault of the harness or its surroundings, never of the driver.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No supervisor process.
    #[error("the supervisor {} could not be started: {source}", program.display())]
    SupervisorStart {
        /// The executable.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A supervisor says what cannot be, or cannot be reached.
    #[error("the supervisor of job {job} broke down: {source}")]
    Supervisor {
        /// Which job of the case, from 0.
        job: usize,
        /// Why.
        source: io::Error,
    },
    /// The system does not let the calls of a driver be traced.
    #[error("this machine does not let a process trace the programs that it starts (ptrace: {0})")]
    NotTraced(String),
    /// The mock backend cannot be reached.
    #[error("the mock backend broke down: {0}")]
    Backend(io::Error),
    /// Waiting failed.
    #[error("waiting for the driver failed: {0}")]
    Wait(io::Error),
    /// The emulation wants to make or remove a path that is not its own.
    #[error("{} is not below the runner's temporary directory {}", path.display(), runner_temp.display())]
    OutsideRunnerTemp {
        /// The path.
        path: PathBuf,
        /// Where it must be.
        runner_temp: PathBuf,
    },
}

/// Runs the jobs of one case in this thread and returns the record. Afterwards no process of the case is alive, except
/// [`Trace::unkillable_processes`].
///
/// When `interrupt` is asked, running jobs get the event that a runner's SIGTERM is (H12), so that the driver's cleanup
/// runs; calls other than cleanup are killed after half of [`CaseEnvironment::interrupt_patience`], everything after all
/// of it. Asked a second time, everything is killed at once. [`Trace::aborted`] says so.
pub fn run_case(
    environment: &CaseEnvironment,
    jobs: Vec<JobRun>,
    order: JobOrder,
    interrupt: &Interrupt,
) -> Result<Trace, EngineError> {
    Engine::new(environment, jobs, order, interrupt).run()
}

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not begun.
    Waiting,
    /// The emulation is at work.
    Running,
    /// It is over; its supervisor still watches.
    Settled,
    /// The runner was killed: the emulation is not asked any more.
    RunnerKilled,
}

struct Job {
    emulation: Box<dyn Emulation>,
    labeller: Labeller,
    log_listener: Option<JobLogListener>,
    board: StimulusBoard,
    phase: Phase,
    /// The emulation said `Finish`.
    finished: bool,
    /// When it was handed out.
    begun: Instant,
    supervisor: Option<Supervised>,
    /// Its calls, by their index in the trace.
    calls: BTreeMap<CallIndex, Call>,
    /// The same, by the emulation's number.
    numbers: BTreeMap<CallId, CallIndex>,
    /// What its earlier calls left running was killed, and no call has started since.
    helpers_killed: bool,
    /// A call that waits for the job's turn.
    held: Option<Box<CallSpec>>,
    /// The supervisor has listed what was left, and now kills it.
    survivors_listed: bool,
}

impl Job {
    fn moment(&self) -> Moment {
        Moment::after_start(self.begun.elapsed())
    }

    fn has_running_call(&self) -> bool {
        self.calls.values().any(Call::is_running)
    }

    /// A call is running that the emulation waits for.
    fn has_awaited_call(&self) -> bool {
        self.calls
            .values()
            .any(|call| call.is_running() && !call.abandoned)
    }

    /// Over: nothing is going on that the emulation still waits for.
    fn is_over(&self) -> bool {
        self.finished && (!self.has_awaited_call() || self.emulation.next_wake().is_none())
    }
}

/// What became ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Interrupt,
    Supervisor(usize),
    Pipe(usize, CallIndex, Stream),
}

/// Measures how late this thread is woken.
#[derive(Debug)]
struct Ticker {
    due: Instant,
    worst: Duration,
}

impl Ticker {
    fn note(&mut self, now: Instant) {
        if now >= self.due {
            self.worst = self.worst.max(now - self.due);
            self.due = now + TICK;
        }
    }
}

struct Engine<'a> {
    environment: &'a CaseEnvironment,
    order: JobOrder,
    interrupt: &'a Interrupt,
    urgency: Urgency,
    /// When the harness was asked to stop.
    asked_to_stop: Option<Instant>,
    calls_killed: bool,
    /// Calls that hang, and how far their end has got.
    given_up: Vec<watch::GivenUp>,
    started: Instant,
    jobs: Vec<Job>,
    /// With [`JobOrder::Turns`]: whose turn it is.
    turn: usize,
    /// With [`JobOrder::Listed`]: the turns that were given.
    given: BTreeSet<usize>,
    files: FileWatch,
    keepsakes: Keepsakes,
    secrets: SecretWatch,
    leaks: LeakWatch,
    ticker: Ticker,
    buffer: Vec<u8>,
    trace: Trace,
}

impl<'a> Engine<'a> {
    fn new(
        environment: &'a CaseEnvironment,
        runs: Vec<JobRun>,
        order: JobOrder,
        interrupt: &'a Interrupt,
    ) -> Self {
        let started = Instant::now();
        let mut trace = Trace {
            place: Place {
                root: environment.directories.root().to_path_buf(),
                directories: environment.directories.all().into(),
                temp_dirs: Vec::new(),
            },
            ..Trace::default()
        };
        let mut jobs = Vec::with_capacity(runs.len());
        for run in runs {
            trace.jobs.push(JobRecord {
                job_id: run.job_id,
                outcome: None,
                job_log: Vec::new(),
                runner_log: Vec::new(),
            });
            jobs.push(Job {
                emulation: run.emulation,
                labeller: run.labeller,
                log_listener: run.job_log_listener,
                board: StimulusBoard::new(run.stimuli),
                helpers_killed: false,
                phase: Phase::Waiting,
                finished: false,
                begun: started,
                supervisor: None,
                calls: BTreeMap::new(),
                numbers: BTreeMap::new(),
                held: None,
                survivors_listed: false,
            });
        }
        let root = environment.directories.root();
        let job_ids = trace.jobs.iter().map(|job| job.job_id);
        let mut leaks = LeakWatch::begin(root, job_ids);
        if let Some(backend) = &environment.lists {
            leaks.add_lists(&backend.lists, backend.every_call);
        }
        let unwatched = environment.unwatched.iter().cloned();
        Self {
            environment,
            order,
            interrupt,
            urgency: Urgency::None,
            asked_to_stop: None,
            calls_killed: false,
            given_up: Vec::new(),
            started,
            jobs,
            turn: 0,
            given: BTreeSet::new(),
            keepsakes: environment.keepsakes.clone(),
            secrets: SecretWatch::new(environment.secrets.clone(), &environment.directories),
            files: FileWatch::begin(root, unwatched),
            leaks,
            ticker: Ticker {
                due: started + TICK,
                worst: Duration::ZERO,
            },
            buffer: vec![0; READ_BYTES],
            trace,
        }
    }

    fn run(mut self) -> Result<Trace, EngineError> {
        self.heed_interrupt()?;
        self.go_on()?;
        while !self.is_done() {
            for source in self.wait(self.patience())? {
                self.serve(source)?;
            }
            self.fire_due()?;
            self.go_on()?;
        }
        self.conclude()
    }

    fn is_done(&self) -> bool {
        let over = |job: &Job| matches!(job.phase, Phase::Settled | Phase::RunnerKilled);
        self.must_stop_now() || self.jobs.iter().all(over)
    }

    /// Everything is to be killed without further ado.
    fn must_stop_now(&self) -> bool {
        match self.trace.aborted {
            None | Some(Abortion::Hang { .. }) => false,
            Some(Abortion::Interrupted) => {
                let patience = self.environment.interrupt_patience;
                self.urgency == Urgency::AtOnce
                    || self
                        .asked_to_stop
                        .is_none_or(|asked| asked.elapsed() >= patience)
            }
            Some(_) => true,
        }
    }

    fn now(&self) -> Moment {
        Moment::after_start(self.started.elapsed())
    }

    fn record(&mut self, job: usize, kind: TraceEventKind) {
        let at = self.now();
        self.trace.events.push(TraceEvent { at, job, kind });
    }

    fn abort(&mut self, job: usize, abortion: Abortion) {
        if self.trace.aborted.is_none() {
            self.record(
                job,
                TraceEventKind::Stimulus(format!("the harness ended the case: {abortion}")),
            );
            self.trace.aborted = Some(abortion);
        }
    }

    /// How long nothing can become due.
    fn patience(&self) -> Duration {
        let now = Instant::now();
        let mut next = self.ticker.due;
        let running = |job: &Job| job.phase == Phase::Running;
        for (number, job) in self.jobs.iter().enumerate().filter(|(_, job)| running(job)) {
            if let Some(wake) = job.emulation.next_wake() {
                next = next.min(job.begun + wake.since_start().min(self.environment.budget));
            }
            let due = job.board.next_due();
            if let Some(due) = due.filter(|_| !self.waits_for_others(number)) {
                next = next.min(self.started + due.since_start());
            }
        }
        next.saturating_duration_since(now)
    }

    /// Waits for anything to become ready, at most for `patience`.
    fn wait(&mut self, patience: Duration) -> Result<Vec<Source>, EngineError> {
        let (sources, mut watched) = self.watched();
        let looks = self.secrets.is_on() && self.jobs.iter().any(Job::has_running_call);
        let patience = if looks {
            patience.min(COMMAND_LINE_INTERVAL)
        } else {
            patience
        };
        wait_ready(&mut watched, Some(patience)).map_err(EngineError::Wait)?;
        let is_ready = |watched: &PollFd<'_>| !watched.revents().is_empty();
        let ready = sources
            .into_iter()
            .zip(&watched)
            .filter_map(|(source, watched)| is_ready(watched).then_some(source))
            .collect();
        self.ticker.note(Instant::now());
        if looks {
            self.look_at_command_lines();
        }
        Ok(ready)
    }

    /// Looks for secrets in the command lines of all that the calls have started.
    fn look_at_command_lines(&mut self) {
        let call = self.only_running_call();
        let supervisors = self.jobs.iter().filter_map(|job| job.supervisor.as_ref());
        for pid in supervisors.filter_map(|supervisor| i32::try_from(supervisor.pid()).ok()) {
            let lines = command_lines(pid);
            self.secrets.look_at_arguments(&lines, call);
        }
    }

    /// The one call of the case that is running; `None` if there is none, or another one beside it.
    fn only_running_call(&self) -> Option<CallIndex> {
        let calls = self.jobs.iter().flat_map(|job| &job.calls);
        let mut running = calls.filter(|(_, call)| call.is_running());
        let (index, _) = running.next()?;
        running.next().is_none().then_some(*index)
    }

    fn watched(&self) -> (Vec<Source>, Vec<PollFd<'_>>) {
        let mut sources = Vec::new();
        let mut watched = Vec::new();
        let mut watch = |source: Source, descriptor| {
            sources.push(source);
            watched.push(PollFd::from_borrowed_fd(descriptor, PollFlags::IN));
        };
        if let Some(bell) = self.interrupt.bell_after(self.urgency) {
            watch(Source::Interrupt, bell);
        }
        for (index, job) in self.jobs.iter().enumerate() {
            if let Some(supervisor) = &job.supervisor {
                watch(Source::Supervisor(index), supervisor.as_fd());
            }
            for (call, stream, pipe) in calls::open_pipes(&job.calls) {
                watch(Source::Pipe(index, call, stream), pipe);
            }
        }
        (sources, watched)
    }

    fn serve(&mut self, source: Source) -> Result<(), EngineError> {
        match source {
            Source::Interrupt => self.heed_interrupt(),
            Source::Supervisor(job) => self.hear_supervisor(job),
            Source::Pipe(job, call, stream) => self.read_pipe(job, call, stream),
        }
    }

    /// Applies everything that is due: bounds of the case, wake-ups of the emulations, stimuli.
    fn fire_due(&mut self) -> Result<(), EngineError> {
        if self.started.elapsed() >= self.environment.budget {
            self.abort(0, Abortion::CaseBudget(self.environment.budget));
        }
        self.kill_calls_that_outlast_an_interrupt()?;
        self.watch_calls()?;
        for job in 0..self.jobs.len() {
            if self.jobs[job].phase != Phase::Running {
                continue;
            }
            self.name_pipe_holders(job);
            let now = self.jobs[job].moment();
            if self.jobs[job]
                .emulation
                .next_wake()
                .is_some_and(|wake| wake <= now)
            {
                self.deliver(job, Event::Wake)?;
            }
            let now = self.now();
            while !self.waits_for_others(job)
                && let Some(due) = self.jobs[job].board.take_due(now)
            {
                self.apply(job, due)?;
            }
        }
        Ok(())
    }

    /// Settles jobs that are over and begins those whose time has come.
    fn go_on(&mut self) -> Result<(), EngineError> {
        loop {
            for job in &mut self.jobs {
                if job.phase == Phase::Running && job.is_over() {
                    job.phase = Phase::Settled;
                }
                // Nothing new is begun once the harness was asked to stop or has given a call up.
                let stopping = self.urgency != Urgency::None || !self.given_up.is_empty();
                if job.phase == Phase::Waiting && stopping {
                    job.phase = Phase::Settled;
                }
            }
            if !self.may_begin_another() {
                return Ok(());
            }
            match self.jobs.iter().position(|job| job.phase == Phase::Waiting) {
                Some(job) => self.begin(job)?,
                None if !self.give_turn()? => return Ok(()),
                None => {}
            }
        }
    }

    /// The order of the case lets the next job begin now.
    fn may_begin_another(&self) -> bool {
        let mut running = self.jobs.iter().filter(|job| job.phase == Phase::Running);
        match self.order {
            JobOrder::Concurrent | JobOrder::Turns | JobOrder::Listed => true,
            // The one around the others stands still meanwhile.
            JobOrder::Around if self.stands_still() => {
                let mut others = self.jobs.iter().skip(1);
                others.all(|job| job.phase != Phase::Running)
            }
            JobOrder::Around | JobOrder::Sequential => running.next().is_none(),
            // Beside the first job, but no other one, and only once something is due to happen to it.
            JobOrder::Beside => {
                let reached =
                    |first: &Job| first.board.next_due().is_some_and(|due| due <= self.now());
                let first = self
                    .jobs
                    .first()
                    .filter(|first| first.phase == Phase::Running);
                running.count() == usize::from(first.is_some()) && first.is_none_or(reached)
            }
        }
    }

    /// With [`JobOrder::Beside`]: what is due to happen to the first job waits until the others are over.
    fn waits_for_others(&self, job: usize) -> bool {
        let over = |job: &Job| matches!(job.phase, Phase::Settled | Phase::RunnerKilled);
        self.order == JobOrder::Beside && job == 0 && !self.jobs[1..].iter().all(over)
    }

    fn begin(&mut self, job: usize) -> Result<(), EngineError> {
        let program = &self.environment.supervisor;
        let directory = self.environment.directories.root();
        let supervisor =
            Supervised::new(program, directory).map_err(|source| EngineError::SupervisorStart {
                program: program.clone(),
                source,
            })?;
        let now = Instant::now();
        let job_state = &mut self.jobs[job];
        job_state.supervisor = Some(supervisor);
        job_state.phase = Phase::Running;
        job_state.begun = now;
        self.deliver(job, Event::Begin)
    }

    /// With [`JobOrder::Around`]: the first job has come to the call before which it lets the others go.
    fn stands_still(&self) -> bool {
        self.jobs.first().is_some_and(|job| job.held.is_some())
    }

    /// A call is to wait until it is given its turn.
    fn is_held(&self, job: usize, spec: &CallSpec) -> bool {
        match self.order {
            JobOrder::Turns | JobOrder::Listed => true,
            JobOrder::Around => {
                job == 0 && spec.stage == Some(Stage::build_script()) && spec.nth == 1
            }
            JobOrder::Sequential | JobOrder::Concurrent | JobOrder::Beside => false,
        }
    }

    /// With [`JobOrder::Turns`]: starts the held call of the job whose turn it is, unless a call is alive; with
    /// [`JobOrder::Around`], that of the first job when the others are over. Returns whether it tried to.
    fn give_turn(&mut self) -> Result<bool, EngineError> {
        let around = self.order == JobOrder::Around
            && self.stands_still()
            && !self.jobs[1..].iter().any(|job| job.phase == Phase::Running);
        if around {
            return self.start_held(0);
        }
        if self.order == JobOrder::Listed {
            return self.give_listed_turn();
        }
        if self.order != JobOrder::Turns || self.jobs.iter().any(Job::has_awaited_call) {
            return Ok(false);
        }
        let count = self.jobs.len();
        let turn = (0..count)
            .map(|step| (self.turn + step) % count)
            .find(|job| self.jobs[*job].phase == Phase::Running);
        let Some(job) = turn else { return Ok(false) };
        self.turn = (job + 1) % count;
        self.start_held(job)
    }

    /// With [`JobOrder::Listed`]: starts the held call that comes first in the list. A call that the driver has no program
    /// for is in the list, too, and never held.
    fn give_listed_turn(&mut self) -> Result<bool, EngineError> {
        if self.jobs.iter().any(Job::has_awaited_call) {
            return Ok(false);
        }
        let is_held = |turn: &Turn| {
            let held = self.jobs.get(turn.job).and_then(|job| job.held.as_ref());
            held.is_some_and(|held| held.program == turn.program && held.stage == turn.stage)
        };
        let turns = &self.environment.turns;
        let next =
            (0..turns.len()).find(|place| !self.given.contains(place) && is_held(&turns[*place]));
        match next {
            Some(place) => {
                self.given.insert(place);
                self.start_held(self.environment.turns[place].job)
            }
            // One that is in no list, as the cleanup of a job that is stopped.
            None => match self.jobs.iter().position(|job| job.held.is_some()) {
                Some(job) => self.start_held(job),
                None => Ok(false),
            },
        }
    }

    fn start_held(&mut self, job: usize) -> Result<bool, EngineError> {
        let Some(spec) = self.jobs[job].held.take() else {
            return Ok(false);
        };
        if let Some(event) = self.start_call(job, &spec)? {
            self.deliver(job, event)?;
        }
        Ok(true)
    }

    /// Reacts to the harness being asked to stop.
    fn heed_interrupt(&mut self) -> Result<(), EngineError> {
        let before = std::mem::replace(&mut self.urgency, self.interrupt.urgency());
        if before != Urgency::None || self.urgency == Urgency::None {
            return Ok(());
        }
        self.asked_to_stop = Some(Instant::now());
        self.abort(0, Abortion::Interrupted);
        self.stop_jobs(&Event::Interrupt("terminated"))
    }

    /// Tells all jobs that they are to stop.
    fn stop_jobs(&mut self, event: &Event) -> Result<(), EngineError> {
        for job in 0..self.jobs.len() {
            if self.jobs[job].phase == Phase::Running {
                self.deliver(job, event.clone())?;
            }
            // A call that still waits for its turn can be neither signalled nor awaited.
            if let Some(spec) = self.jobs[job].held.take() {
                let failure = StartFailure::Other("the harness was asked to stop".into());
                let call = spec.id;
                self.deliver(job, Event::CallNotStarted { call, failure })?;
            }
        }
        Ok(())
    }

    /// A runner lets a call go on that it may not interrupt (H13); a person who pressed Ctrl-C does not wait for that.
    fn kill_calls_that_outlast_an_interrupt(&mut self) -> Result<(), EngineError> {
        let patience = self.environment.interrupt_patience / 2;
        let outlasted = self
            .asked_to_stop
            .is_some_and(|asked| asked.elapsed() >= patience);
        if !outlasted || self.calls_killed {
            return Ok(());
        }
        self.calls_killed = true;
        for job in 0..self.jobs.len() {
            let to_kill: Vec<CallIndex> = self.jobs[job]
                .calls
                .iter()
                .filter(|(_, call)| call.is_running() && call.program != Program::Cleanup)
                .map(|(index, _)| *index)
                .collect();
            for call in to_kill {
                self.kill_from_outside(job, call, crate::contract::protocol::KillSignal::Kill)?;
            }
        }
        Ok(())
    }
}
