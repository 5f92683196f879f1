//! The ordered, typed, timestamped record of one case: what every check, report and replay reads.

pub mod marker;

use std::path::PathBuf;
use std::time::Duration;

use crate::contract::exit::{ExitStatus, StartFailure};
use crate::contract::moment::Moment;
use crate::contract::outcome::Outcome;
use crate::contract::protocol::{KillSignal, SignalResult, Stream};
use crate::contract::stage::{Program, Stage};
use crate::plan::case::StimulusAction;
pub use crate::process::client::ChildProgram;

/// Most bytes of one call's one stream that are kept for checks; the rest is counted only.
pub const CAPTURE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Most bytes of an exit-code file that are kept for checks.
pub const EXIT_CODE_FILE_BYTES_MAX: usize = 64 * 1024;

/// Most markers of one call that are kept; a driver that repeats a script's output for ever must not fill the memory.
pub const MARKERS_MAX: usize = 100_000;

/// Most bytes of one job's log that are kept; the emulated runner's own limit is 4 MiB by default (B14).
pub const JOB_LOG_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Most files that are listed as left by one case.
pub const LEFT_FILES_MAX: usize = 10_000;

/// Index of a call in [`Trace::calls`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallIndex(pub usize);

/// The record of one case.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// All events, in the order in which they were seen.
    pub events: Vec<TraceEvent>,
    /// All calls, in the order in which they were started.
    pub calls: Vec<CallRecord>,
    /// The jobs (or raw call sequences) of the case, in the order of the case.
    pub jobs: Vec<JobRecord>,
    /// Processes found alive after the last call of the case and a grace, each with the call it descends from.
    pub surviving_processes: Vec<SurvivingProcess>,
    /// Files that the driver left outside its own temporary directory.
    pub left_files: Vec<LeftFile>,
    /// What the scenario did to the jobs, in the order in which it was done.
    pub stimuli: Vec<AppliedStimulus>,
    /// Files that were there after some call and outside of its temporary directory, whether or not they are left.
    pub appeared_files: Vec<LeftFile>,
    /// Files that held a secret of the job, where the case looks for these.
    pub secret_files: Vec<SecretFile>,
    /// Processes that had a secret of the job in their arguments, where the case looks for these.
    pub secret_arguments: Vec<SecretArgument>,
    /// Files of others that are not as they were, where the case has some.
    pub touched_keepsakes: Vec<TouchedKeepsake>,
    /// Everything else that the driver left on the machine, and that is tied to this case.
    pub leaks: Vec<Leak>,
    /// What appeared on the machine while the case ran, is still there, and is tied to nobody: a reason to look again
    /// when nothing else runs, never to accuse.
    pub suspicions: Vec<Leak>,
    /// What appeared in the user's lists of backend objects and was still there at the end. Judged when the whole run is
    /// over, since backends delete late; without evidence it is a suspicion.
    pub listed: Vec<Leak>,
    /// What was asked of the mock backend, in order.
    pub requests: Vec<BackendRequest>,
    /// The same for a reader: when, with which words, to what effect. The first ones, if there are very many.
    pub ledger: Vec<LedgerEntry>,
    /// What was asked of the mock backend, and is not emulated: the case says nothing about the driver then.
    pub backend_gaps: Vec<String>,
    /// What the processes found alive at the end held open beside their memory.
    pub holdings: Vec<Holding>,
    /// Processes that held the output of a call after its leader had exited.
    pub pipe_holders: Vec<PipeHolder>,
    /// The programs that the calls have started, in their order, where the case follows them.
    pub children: Vec<(CallIndex, ChildProgram)>,
    /// Longest delay between a due wake-up of the harness and its real one, or between the wish to start a program and its
    /// start: how starved the machine was.
    pub scheduling_delay_max: Duration,
    /// Calls to which nothing happened took far longer than when the driver was calibrated: the driver was starved, even if
    /// the harness, which computes little, was not.
    pub driver_slowed_down: bool,
    /// The harness ended the case before its jobs were over; `None`: they ended by themselves.
    pub aborted: Option<Abortion>,
    /// Processes that could not be killed at the end, because they belong to another user or hang in the kernel.
    pub unkillable_processes: Vec<i32>,
    /// Where it was.
    pub place: Place,
}

/// Where a case was run. It is gone when its trace is read.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// The private directory of the case.
    pub root: PathBuf,
    /// Directories that were in it before the first call.
    pub directories: Vec<PathBuf>,
    /// Temporary directories that the runner made for attempts, each with the job's `response.json`.
    pub temp_dirs: Vec<(PathBuf, String)>,
}

impl Trace {
    /// The part before a call: the calls that were over when it was started, and nothing of what came later. What was left
    /// at the end is not known of it.
    #[must_use]
    pub fn before(mut self, call: CallIndex) -> Self {
        let Some(started) = self.calls.get(call.0).map(|call| call.started) else {
            return self;
        };
        let whole = |call: &CallRecord| {
            call.start_failure.is_some() || call.ended.is_some_and(|ended| ended <= started)
        };
        let count = self
            .calls
            .iter()
            .take(call.0)
            .take_while(|call| whole(call))
            .count();
        self.calls.truncate(count);
        let earlier = |made_by: Option<CallIndex>| made_by.is_some_and(|call| call.0 < count);
        let of_the_part = |call: Option<CallIndex>| call.is_none_or(|call| call.0 < count);
        self.events
            .retain(|event| event.at < started && of_the_part(event.kind.call()));
        // What was done to a call that was not over yet is not known to have had an effect.
        self.stimuli
            .retain(|stimulus| stimulus.at < started && of_the_part(stimulus.hit));
        self.requests.retain(|request| of_the_part(request.call));
        self.ledger.retain(|entry| of_the_part(entry.call));
        self.surviving_processes.clear();
        self.left_files.clear();
        self.appeared_files.retain(|file| earlier(file.made_by));
        self.secret_files
            .retain(|file| !file.left && earlier(file.made_by));
        self.secret_arguments.retain(|seen| earlier(seen.made_by));
        self.touched_keepsakes.retain(|file| earlier(file.made_by));
        self.leaks.clear();
        self.suspicions.clear();
        self.listed.clear();
        self.holdings.clear();
        self.children.retain(|(call, _)| call.0 < count);
        self.pipe_holders.retain(|holder| holder.call.0 < count);
        for job in &mut self.jobs {
            job.outcome = None;
            job.job_log.clear();
            job.runner_log.clear();
        }
        self
    }
}

/// Why the harness ended a case early, and killed what was alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Abortion {
    /// The case took longer than its budget.
    CaseBudget(Duration),
    /// A call took so long that it was taken to hang; the jobs were ended as if they were over in GitLab.
    Hang {
        /// The call.
        call: CallIndex,
    },
    /// The harness was asked to stop and the driver's cleanup was given its chance.
    Interrupted,
    /// The supervisor of a job ended, perhaps because the driver killed its parent.
    SupervisorDied {
        /// Which job of the case, from 0.
        job: usize,
    },
}

impl Abortion {
    /// The jobs were brought to their end, cleanup and all.
    pub fn ends_in_order(&self) -> bool {
        matches!(self, Self::Hang { .. })
    }
}

impl std::fmt::Display for Abortion {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::CaseBudget(budget) => {
                write!(
                    formatter,
                    "the case took longer than its budget of {:.1} s",
                    budget.as_secs_f64()
                )
            }
            Self::Hang { call } => write!(formatter, "call {} hangs", call.0),
            Self::Interrupted => formatter.write_str("the harness was asked to stop"),
            Self::SupervisorDied { job } => {
                write!(
                    formatter,
                    "the process that supervised job {job} was killed"
                )
            }
        }
    }
}

/// Something that the scenario did to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppliedStimulus {
    /// When.
    pub at: Moment,
    /// Which job of the case, from 0.
    pub job: usize,
    /// What.
    pub action: StimulusAction,
    /// The call that was alive then; `None`: it came between two calls. On a busy machine this need not be the call that the
    /// scenario aims at.
    pub hit: Option<CallIndex>,
}

/// A request to the mock backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendRequest {
    /// The call that made it, if known.
    pub call: Option<CallIndex>,
    /// Under which name the backend's tool was called.
    pub tool: String,
    /// What it was asked, in the verb's first spelling.
    pub verb: String,
    /// The backend failed at it, as the case wanted.
    pub struck: bool,
}

/// A request to the mock backend, with what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// When it was made.
    pub at: Moment,
    /// When it was answered; `None`: it was not.
    pub answered: Option<Moment>,
    /// The call that made it, if known.
    pub call: Option<CallIndex>,
    /// Tool and verb, in the verb's first spelling.
    pub verb: String,
    /// Tool and arguments as they were given.
    pub command: Vec<String>,
    /// What was done, in order, as short sentences: `make box runner-12`.
    pub effects: Vec<String>,
    /// The backend failed at it, as the case wanted.
    pub struck: bool,
    /// The exit code of the tool, or the HTTP status.
    pub code: Option<i32>,
}

/// One event of a trace.
#[derive(Debug, Clone)]
pub struct TraceEvent {
    /// When, since the start of the case (all jobs of a case share this clock, also in [`CallRecord`]).
    pub at: Moment,
    /// Which job of the case, from 0.
    pub job: usize,
    /// What.
    pub kind: TraceEventKind,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum TraceEventKind {
    /// A call was started.
    CallStarted(CallIndex),
    /// A call could not be started.
    CallNotStarted(CallIndex, StartFailure),
    /// A marker of a probe script was seen in a call's output.
    Marker(CallIndex, Marker),
    /// First byte of a stream.
    FirstOutput(CallIndex, Stream),
    /// The leader of a call exited.
    LeaderExited(CallIndex, ExitStatus),
    /// A pipe of a call was closed by its last holder.
    PipeClosed(CallIndex, Stream),
    /// The runner sent a signal to the call's group.
    SignalSent(CallIndex, KillSignal, SignalResult),
    /// Leader exited and both pipes closed.
    CallEnded(CallIndex),
    /// The runner gave up on the call.
    CallAbandoned(CallIndex),
    /// A stimulus of the scenario was applied, or the harness ended the case early; in words.
    Stimulus(String),
    /// The job was over.
    JobFinished(Outcome),
}

impl TraceEventKind {
    /// The call that it happened to, if it is about one.
    pub fn call(&self) -> Option<CallIndex> {
        match self {
            Self::CallStarted(call)
            | Self::CallNotStarted(call, _)
            | Self::Marker(call, _)
            | Self::FirstOutput(call, _)
            | Self::LeaderExited(call, _)
            | Self::PipeClosed(call, _)
            | Self::SignalSent(call, ..)
            | Self::CallEnded(call)
            | Self::CallAbandoned(call) => Some(*call),
            Self::Stimulus(_) | Self::JobFinished(_) => None,
        }
    }
}

/// A line printed by a probe script: `driver-conformance:<nonce>:<word>[:<number>]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Marker {
    /// What it marks: `start`, `end`, `line` …
    pub word: String,
    /// Its number, if it has one.
    pub number: Option<u64>,
}

/// What a driver printed on one stream of one call.
#[derive(Debug, Clone, Default)]
pub struct Capture {
    /// The first [`CAPTURE_BYTES_MAX`] bytes.
    pub bytes: Vec<u8>,
    /// How many there were in all.
    pub bytes_total: u64,
}

/// One call.
#[derive(Debug, Clone)]
pub struct CallRecord {
    /// Which job of the case it belongs to, from 0.
    pub job: usize,
    /// Which program.
    pub program: Program,
    /// Which stage, for run calls.
    pub stage: Option<Stage>,
    /// How often this program with this stage was called in this job, from 1.
    pub nth: u32,
    /// Prepare attempt, from 1.
    pub attempt: u32,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Environment, complete.
    pub environment: Vec<(String, String)>,
    /// TMPDIR.
    pub temp_dir: PathBuf,
    /// Text of the script, for run calls.
    pub script: Option<String>,
    /// Nonce of the probe in the script, if it has one.
    pub nonce: Option<String>,
    /// What the probe in the script would do when run properly.
    pub probe: Option<crate::plan::case::Probe>,
    /// When its start was asked for.
    pub started: Moment,
    /// Why it was not.
    pub start_failure: Option<StartFailure>,
    /// Process and process group.
    pub pid: Option<u32>,
    /// When the leader exited, and how.
    pub leader_exit: Option<(Moment, ExitStatus)>,
    /// When each pipe was closed.
    pub stdout_closed: Option<Moment>,
    /// When each pipe was closed.
    pub stderr_closed: Option<Moment>,
    /// When leader and pipes were done.
    pub ended: Option<Moment>,
    /// The runner stopped waiting.
    pub abandoned: Option<Moment>,
    /// Signals the runner (or the case, for `kill_driver`) sent to it.
    pub signals: Vec<(Moment, KillSignal, SignalResult)>,
    /// Standard output.
    pub stdout: Capture,
    /// Standard error.
    pub stderr: Capture,
    /// Markers seen on either stream, in order.
    pub markers: Vec<(Moment, Marker)>,
    /// `BUILD_EXIT_CODE_FILE` just before the start, if it existed (at most 64 KiB).
    pub exit_code_file_before: Option<Vec<u8>>,
    /// `BUILD_EXIT_CODE_FILE` right after the end of the call, when the runner reads it, if it existed (at most 64 KiB).
    pub exit_code_file_after: Option<Vec<u8>>,
    /// TMPDIR was there when the call was started, and was not any more when it ended.
    pub temp_dir_lost: bool,
    /// It was signalled at one of the programs that it started, and not at some moment.
    pub signalled_at_point: bool,
    /// What became of everything that earlier calls of its job had left running.
    pub helpers: Helpers,
}

/// What a case did to the processes that earlier calls of a job had left running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Helpers {
    /// Nothing.
    #[default]
    Untouched,
    /// They were killed right before the call, if there were any.
    KilledBefore,
    /// There were some, and they were killed while the call ran.
    KilledMeanwhile,
}

/// One job of a case.
#[derive(Debug, Clone)]
pub struct JobRecord {
    /// Id in GitLab.
    pub job_id: u64,
    /// How it ended; `None`: a raw call sequence, or the runner was killed.
    pub outcome: Option<Outcome>,
    /// Job log as the runner wrote it.
    pub job_log: Vec<u8>,
    /// Runner log, rendered as text lines.
    pub runner_log: Vec<String>,
}

/// A process that outlived its case.
#[derive(Debug, Clone)]
pub struct SurvivingProcess {
    /// Process id; 0 if it forked on too quickly to be caught.
    pub pid: u32,
    /// Command line, or `still forking` if it could not be read.
    pub command: String,
    /// The call that made it, if known.
    pub made_by: Option<CallIndex>,
    /// It left the call's process group.
    pub own_group: bool,
}

/// A file that outlived its case.
#[derive(Debug, Clone)]
pub struct LeftFile {
    /// Where.
    pub path: PathBuf,
    /// `st_mode`: type and permission bits.
    pub mode: u32,
    /// The call during which it appeared, if known.
    pub made_by: Option<CallIndex>,
}

/// A file that held a secret of the job after a call, or while a script ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFile {
    /// Where.
    pub path: PathBuf,
    /// `st_mode`: type and permission bits.
    pub mode: u32,
    /// Names of the variables whose values are in it.
    pub secrets: Vec<String>,
    /// Its mode, and those of the directories that the driver or the runner made around it, let every user of the machine
    /// read it.
    pub readable_by_others: bool,
    /// It still held them at the end of the case.
    pub left: bool,
    /// The call during which it was first seen so, if known.
    pub made_by: Option<CallIndex>,
}

/// A process whose command line, which every user of the machine can read, held a secret of the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretArgument {
    /// The first word of the command line.
    pub program: String,
    /// Names of the variables whose values are in it.
    pub secrets: Vec<String>,
    /// The call that ran, if it was the only one.
    pub made_by: Option<CallIndex>,
}

/// A file of somebody else that is gone or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TouchedKeepsake {
    /// Where.
    pub path: PathBuf,
    /// It is gone; otherwise it has another content.
    pub gone: bool,
    /// The call after which this was first seen, if it was the only one that ran.
    pub made_by: Option<CallIndex>,
}

/// Something that outlived its case and is neither a process of the case nor a file in its directories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    /// Name of the detector that found it.
    pub detector: &'static str,
    /// What sort of thing it is.
    pub category: LeakCategory,
    /// The same for all things of its kind: `network namespace`.
    pub kind: &'static str,
    /// The thing itself, for people.
    pub what: String,
    /// That of no other thing its detector finds while it is there.
    pub identity: String,
    /// The call during which it appeared, if known.
    pub made_by: Option<CallIndex>,
    /// What ties it to the case; `None` for a suspicion.
    pub evidence: Option<Evidence>,
}

/// Which category of findings a leak belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeakCategory {
    /// `leak-process`
    Process,
    /// `leak-file`
    File,
    /// `leak-mount`
    Mount,
    /// `leak-network`
    Network,
    /// `leak-backend`
    Backend,
}

/// What ties a thing on the machine to a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The id of this job of the case is in its name.
    NamesJob(usize),
    /// It lies in, or refers to, a private directory of the case.
    InsideCase,
    /// The kernel, or the ledger of a mock backend, names the program of this call as its maker.
    Maker(CallIndex),
    /// Each time this case ran alone, this call made one, and without the driver none appeared.
    AloneAgain(CallIndex),
    /// The ledger of a mock backend names this call as its maker, and a plain job leaves nothing of its kind: it does not
    /// serve all jobs.
    UnlikePlainJob(CallIndex),
}

/// A process that held the output of a call after its leader had exited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipeHolder {
    /// The call.
    pub call: CallIndex,
    /// The process.
    pub pid: u32,
    /// Its command line.
    pub command: String,
}

/// Something that a process found alive at the end held open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The process, one of [`Trace::surviving_processes`].
    pub pid: u32,
    /// What it did with what: `listens on 127.0.0.1:80`.
    pub what: String,
}

#[cfg(test)]
mod tests {
    use super::{AppliedStimulus, CallIndex};
    use crate::checks::testing::{Scene, exits, hangs};
    use crate::contract::moment::Moment;
    use crate::contract::stage::Program;
    use crate::plan::case::{JobOrder, StimulusAction};

    #[test]
    fn the_part_before_a_call_holds_what_was_over_then() {
        let scene = Scene::new()
            .call(Program::Config, 0)
            .call(Program::Prepare, 0)
            .run("get_sources", exits(0), 0);
        let before = scene.trace.before(CallIndex(2));
        assert_eq!(before.calls.len(), 2);
        assert_eq!(before.events.len(), 4);
    }

    #[test]
    fn a_call_of_another_job_that_was_not_over_is_not_part_of_it() {
        let scene = Scene::with_jobs(&[12, 123], JobOrder::Concurrent)
            .call(Program::Config, 0)
            .call_of(1, Program::Prepare, 0)
            .but(|call| call.ended = None)
            .call(Program::Prepare, 0);
        assert_eq!(scene.trace.before(CallIndex(2)).calls.len(), 1);
    }

    /// A run that SIGTERM does not end is still there when cleanup, which hangs, is started.
    #[test]
    fn nothing_in_it_is_about_a_call_that_is_not() {
        let mut scene = Scene::new()
            .call(Program::Config, 0)
            .run("build_script", hangs(), 143)
            .but(|call| call.ended = None)
            .call(Program::Cleanup, 143);
        scene.trace.stimuli.push(AppliedStimulus {
            at: Moment::START,
            job: 0,
            action: StimulusAction::Abort,
            hit: Some(CallIndex(1)),
        });
        let before = scene.trace.before(CallIndex(2));
        assert_eq!(before.calls.len(), 1);
        let events = before.events.iter().filter_map(|event| event.kind.call());
        let stimuli = before.stimuli.iter().filter_map(|stimulus| stimulus.hit);
        assert!(events.chain(stimuli).all(|call| call == CallIndex(0)));
    }
}
