//! What goes into the emulated runner and what comes out of it.
//!
//! An emulation ([`Emulation`]) never acts: it is told what happened ([`Event`]) and when, and answers with what to do
//! ([`Action`]). An engine does it and reports back. Between two events it may ask when to call again
//! ([`Emulation::next_wake`]).

use std::path::PathBuf;
use std::sync::Arc;

use super::exit::{ExitCodeFile, ExitStatus, StartFailure};
use super::moment::Moment;
use super::outcome::Outcome;
use super::stage::{Program, Stage};

/// One call of a driver program within one emulation, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u32);

/// One of the two pipes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A signal the runner sends to a driver's process group (H1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KillSignal {
    /// SIGTERM
    Term,
    /// SIGKILL
    Kill,
}

/// What became of a signal to a process group (H3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignalResult {
    /// At least one process got it.
    Delivered,
    /// ESRCH: the group is gone, although a pipe is still held.
    NoSuchProcess,
    /// EPERM: a process of another user.
    NotPermitted,
}

/// The script of one run call: `dir` (0700) is made, then `path` (0700) with `text` (B4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptFile {
    /// `TMPDIR/script<digits>`
    pub dir: PathBuf,
    /// `script` or `script.ps1` in it.
    pub path: PathBuf,
    /// Its text.
    pub text: Arc<str>,
}

/// Everything needed to start one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallSpec {
    /// Its number in this emulation.
    pub id: CallId,
    /// Which of the four programs.
    pub program: Program,
    /// The stage, for run calls.
    pub stage: Option<Stage>,
    /// How often this program with this stage has been called in this job, from 1.
    pub nth: u32,
    /// Prepare attempt it belongs to, from 1.
    pub attempt: u32,
    /// Program as configured (B2: no shell, no expansion; a name without slash is looked up in PATH).
    pub executable: String,
    /// Its arguments, without the program's name.
    pub args: Vec<String>,
    /// Working directory: TMPDIR of the attempt (B3).
    pub cwd: PathBuf,
    /// Complete environment: no duplicates, sorted by nothing in particular (B5). Most calls of a job share one.
    pub environment: Arc<[(String, String)]>,
    /// Written before the start.
    pub script: Option<ScriptFile>,
    /// `BUILD_EXIT_CODE_FILE`: read by the engine when the call exits with `read_exit_code_file_on`.
    pub exit_code_file: PathBuf,
    /// The exit code that makes the engine read `exit_code_file` (G3).
    pub read_exit_code_file_on: i32,
    /// Whether stdout is kept for the runner itself (config) instead of being logged.
    pub stdout_to_runner: bool,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The job was handed out. First event of every emulation.
    Begin,
    /// Answer to [`Action::MakeTempDir`].
    TempDirMade,
    /// Answer to [`Action::MakeTempDir`]: it failed, with the system's words.
    TempDirFailed(String),
    /// Answer to [`Action::StartCall`].
    CallStarted {
        /// The call.
        call: CallId,
        /// Process and process group.
        pid: u32,
    },
    /// Answer to [`Action::StartCall`]: no process was made.
    CallNotStarted {
        /// The call.
        call: CallId,
        /// Why.
        failure: StartFailure,
    },
    /// A driver printed something.
    Output {
        /// The call.
        call: CallId,
        /// On which pipe.
        stream: Stream,
        /// What; chunks are as they were read.
        data: Vec<u8>,
    },
    /// The leader exited and both pipes are closed (B16).
    CallEnded {
        /// The call.
        call: CallId,
        /// How the leader ended.
        status: ExitStatus,
        /// What the exit-code file held, if it was to be read.
        exit_code_file: ExitCodeFile,
    },
    /// Answer to [`Action::SignalGroup`].
    SignalSent {
        /// The call.
        call: CallId,
        /// Which signal.
        signal: KillSignal,
        /// What became of it.
        result: SignalResult,
    },
    /// The runner learned that the job is being cancelled (`Job-Status: canceling`, H5).
    Cancel,
    /// The runner learned that the job is over on the server (H6).
    Abort,
    /// The runner process got SIGTERM or SIGINT (H12); the text is Go's word, `terminated` or `interrupt`.
    Interrupt(&'static str),
    /// A time limit is up, before its moment has come: what an hour would bring, without the hour.
    TimeIsUp(TimeLimit),
    /// Nothing but time: a moment given by [`Emulation::next_wake`] has come.
    Wake,
}

/// How long something may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimeLimit {
    /// The limit that is only for the calls that are running: their exec timeout (C, D, F), or that of their stage (D7, E9
    /// to E11). Where there is none, nothing happens.
    Call,
    /// The job's timeout (H7).
    Job,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Make the attempt's temporary directory (0700) with `response.json` (0600) in it (B4).
    MakeTempDir {
        /// The directory; its parent exists.
        path: PathBuf,
        /// Content of `response.json` (I2).
        response_json: String,
    },
    /// Write the script if there is one, then start the program in an own process group with /dev/null and two pipes.
    StartCall(Box<CallSpec>),
    /// Send a signal to the call's process group.
    SignalGroup {
        /// The call.
        call: CallId,
        /// Which signal.
        signal: KillSignal,
    },
    /// Both kill timeouts passed: nobody waits for this call any longer, but its pipes are still drained (H9).
    Abandon {
        /// The call.
        call: CallId,
    },
    /// Append to the job log.
    JobLog(Vec<u8>),
    /// Write a runner-log entry.
    RunnerLog(RunnerLogEntry),
    /// Remove an attempt's temporary directory with all it holds.
    RemoveTempDir {
        /// The directory.
        path: PathBuf,
    },
    /// What calls that are over have left running is killed: nothing that a runner does, but a restart of the machine.
    KillHelpers,
    /// The job is over. Last action of an emulation, except of a call that was abandoned.
    Finish(Outcome),
    /// A raw sequence of calls is over; it has no outcome.
    EndSequence,
}

/// Severity of a runner-log entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum RunnerLogLevel {
    /// Shown only with `log_level = "debug"`.
    Debug,
    /// Shown by default.
    #[default]
    Info,
    /// Prefix `WARNING: `.
    Warning,
    /// Prefix `ERROR: `.
    Error,
    /// Prefix `FATAL: `.
    Fatal,
}

/// One entry of the runner's own log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerLogEntry {
    /// Severity.
    pub level: RunnerLogLevel,
    /// Text.
    pub message: String,
    /// Fields that all entries about one job have.
    pub job_fields: Arc<[(String, String)]>,
    /// Fields of this entry alone.
    pub fields: Vec<(String, String)>,
}

impl RunnerLogEntry {
    /// All fields, sorted by key, as they are printed.
    pub fn sorted_fields(&self) -> Vec<&(String, String)> {
        let mut fields: Vec<_> = self.job_fields.iter().chain(&self.fields).collect();
        fields.sort();
        fields
    }
}

/// An emulated job or an emulated sequence of calls.
pub trait Emulation: Send {
    /// Takes one event at its moment and answers with what to do, in order.
    fn handle(&mut self, event: Event, now: Moment) -> Vec<Action>;

    /// When to send [`Event::Wake`] if nothing else happens before; `None`: only something else can go on.
    fn next_wake(&self) -> Option<Moment>;
}
