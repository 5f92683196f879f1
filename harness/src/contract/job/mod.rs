//! One emulated job: the runner's control flow as a state machine.
//!
//! Two activities share a job, as in the runner: the `supervisor` (prepare attempts, waiting, cleanup, final state) and
//! the `run_phase` (the run stages). The run phase may outlive the supervisor's patience with it (contract H6, H7), so
//! each has a state of its own. Both start `calls` and hang them on contexts ([`super::context`]).

mod attempt;
mod calls;
mod cleanup_output;
mod facts;
mod finish;
mod logging;
mod run_phase;
mod sequence;
mod supervisor;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::build::Build;
use super::config::CustomConfig;
use super::context::{ContextId, Contexts};
use super::exit::ExitCodes;
use super::job_log::{LimitedLog, LogOptions, LogWriter};
use super::moment::Moment;
use super::names::NameSource;
use super::protocol::{Action, CallId, Emulation, Event, TimeLimit};
use super::stage::{Program, Stage};

use attempt::Attempt;
use calls::Call;
pub use calls::classify;
use run_phase::RunPhase;
pub use run_phase::{AFTER_SCRIPT_TIMEOUT, BACKOFF};
pub use sequence::{CallSequence, SequenceCall};
use supervisor::Supervisor;
pub use supervisor::{PREPARE_ATTEMPTS, PREPARE_RETRY_PAUSE};

/// How long the runner waits for the run phase to end after an abort, a job timeout or a signal (K, H6).
pub const RUN_PHASE_WAIT: Duration = Duration::from_mins(5);

/// Factors on the runner's own times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The runner's pauses (3 s between prepare attempts, stage backoff) are divided by this.
    pub pace_divisor: u32,
    /// [`RUN_PHASE_WAIT`], or less where a case brings the overlap forward.
    pub run_phase_wait: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            pace_divisor: 1,
            run_phase_wait: RUN_PHASE_WAIT,
        }
    }
}

impl Timing {
    fn pace(self, pause: Duration) -> Duration {
        pause / self.pace_divisor.max(1)
    }
}

/// What a job is made of.
pub struct JobInputs {
    /// Payload, configuration and variables.
    pub build: Build,
    /// Environment of the runner process.
    pub host_environment: Arc<[(String, String)]>,
    /// Directory in which temporary directories are made.
    pub temp_root: PathBuf,
    /// Values of the two exit-code variables.
    pub exit_codes: ExitCodes,
    /// Factors on the runner's own times.
    pub timing: Timing,
    /// Wall clock when the job was handed out, microseconds since the Unix epoch.
    pub started_at_unix_us: u64,
    /// Digits in directory names.
    pub names: NameSource,
    /// Replaces the runner's own script of each stage; `None`: the scripts are the runner's.
    pub probes: Option<Box<dyn ProbeScripts>>,
}

/// Bodies that take the place of the runner's own scripts; they are put into the runner's frame (E17).
pub trait ProbeScripts: Send {
    /// The body for a call of run: its stage, how often that stage was called before in this job plus one, and the
    /// project directory as the environment knows it.
    fn body(&self, stage: &Stage, nth: u32, project_dir: &str) -> String;
}

/// One emulated job. See [`Emulation`].
pub struct Job {
    build: Build,
    custom: CustomConfig,
    host_environment: Arc<[(String, String)]>,
    temp_root: PathBuf,
    exit_codes: ExitCodes,
    timing: Timing,
    names: NameSource,
    probes: Option<Box<dyn ProbeScripts>>,

    contexts: Contexts,
    context: ContextId,
    prepare_context: ContextId,
    cancel_target: Option<ContextId>,
    abort_target: Option<ContextId>,
    interrupt: Option<&'static str>,

    supervisor: Supervisor,
    run: RunPhase,
    attempt: Attempt,
    calls: BTreeMap<CallId, Call>,
    next_call: u32,
    call_counts: BTreeMap<(Program, Option<String>), u32>,

    log_options: LogOptions,
    log: LimitedLog,
    log_closed: bool,
    writer: LogWriter,
    failure: Option<JobFailure>,
    started: Moment,
    now: Moment,
    actions: Vec<Action>,
}

/// What a failed job ended with, for what the runner's process says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFailure {
    /// The error.
    pub message: String,
    /// It is the build's matter, not the runner's.
    pub is_build_error: bool,
}

impl Job {
    /// A job that has not begun.
    pub fn new(inputs: JobInputs) -> Self {
        let mut contexts = Contexts::default();
        let background = contexts.background();
        let log_options = logging::options(&inputs.build, inputs.started_at_unix_us);
        Self {
            log: LimitedLog::new(inputs.build.runner().output_limit),
            log_closed: false,
            writer: logging::runner_writer(&log_options),
            log_options,
            custom: inputs.build.runner().custom.clone().unwrap_or_default(),
            build: inputs.build,
            host_environment: inputs.host_environment,
            temp_root: inputs.temp_root,
            exit_codes: inputs.exit_codes,
            timing: inputs.timing,
            names: inputs.names,
            probes: inputs.probes,
            contexts,
            context: background,
            prepare_context: background,
            cancel_target: None,
            abort_target: None,
            interrupt: None,
            supervisor: Supervisor::NotStarted,
            run: RunPhase::new(background),
            attempt: Attempt::default(),
            calls: BTreeMap::new(),
            next_call: 0,
            call_counts: BTreeMap::new(),
            failure: None,
            started: Moment::START,
            now: Moment::START,
            actions: Vec::new(),
        }
    }

    /// The job's id in GitLab.
    pub fn id(&self) -> i64 {
        self.build.payload().id
    }

    /// Bytes in the job log so far: what a log update to GitLab has to send.
    pub fn job_log_bytes(&self) -> u64 {
        self.log.written_bytes()
    }

    /// Payload, configuration and variables.
    pub fn build(&self) -> &Build {
        &self.build
    }

    /// Fields of the runner's entries that say when it takes and drops the job.
    pub fn processing_fields(&self) -> Vec<(String, String)> {
        facts::processing_fields(&self.build)
    }

    /// URL of the repository without credentials.
    pub fn clean_repository_url(&self) -> String {
        facts::clean_repository_url(&self.build)
    }

    /// The error that a finished job ended with.
    pub fn failure(&self) -> Option<&JobFailure> {
        self.failure.as_ref()
    }

    /// Whether the final state was reached. Calls that were given up may go on.
    pub fn is_finished(&self) -> bool {
        matches!(self.supervisor, Supervisor::Finished)
    }

    fn take_event(&mut self, event: Event) {
        match event {
            Event::Begin => self.begin(),
            Event::TempDirMade => self.temp_dir_made(),
            Event::TempDirFailed(error) => self.temp_dir_failed(error),
            Event::CallStarted { call, pid } => self.call_started(call, pid),
            Event::CallNotStarted { call, failure } => self.call_not_started(call, &failure),
            Event::Output { call, stream, data } => self.call_output(call, stream, &data),
            Event::CallEnded {
                call,
                status,
                exit_code_file,
            } => {
                self.call_ended(call, status, &exit_code_file);
            }
            Event::SignalSent {
                call,
                signal,
                result,
            } => self.signal_sent(call, signal, result),
            Event::Cancel => {
                if let Some(target) = self.cancel_target.take() {
                    self.contexts.cancel(target);
                }
            }
            Event::Abort => {
                self.cancel_target = None;
                if let Some(target) = self.abort_target.take() {
                    self.contexts.cancel(target);
                }
            }
            Event::Interrupt(signal) => self.interrupt = Some(signal),
            Event::TimeIsUp(limit) => self.time_is_up(limit),
            Event::Wake => {}
        }
    }

    fn time_is_up(&mut self, limit: TimeLimit) {
        match limit {
            TimeLimit::Job => self.contexts.expire(self.context),
            TimeLimit::Call => {
                for context in self.calls.values().filter_map(Call::context_while_alive) {
                    self.contexts.expire(context);
                }
            }
        }
    }
}

impl Emulation for Job {
    fn handle(&mut self, event: Event, now: Moment) -> Vec<Action> {
        self.now = now;
        self.contexts.advance(now);
        self.take_event(event);
        loop {
            let calls_moved = self.poll_calls();
            let run_moved = self.poll_run_phase();
            let supervisor_moved = self.poll_supervisor();
            if !(calls_moved || run_moved || supervisor_moved) {
                break;
            }
        }
        std::mem::take(&mut self.actions)
    }

    fn next_wake(&self) -> Option<Moment> {
        let calls = self
            .calls
            .values()
            .filter_map(|call| call.next_wake(&self.contexts));
        let others = [self.supervisor_wake(), self.run_phase_wake()];
        calls.chain(others.into_iter().flatten()).min()
    }
}
