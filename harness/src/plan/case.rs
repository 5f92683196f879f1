//! A case: one scenario with one value of each of its axes, ready to be run by an engine.

use std::collections::BTreeMap;
use std::time::Duration;

use driver_conformance_scenarios::model::Budget;

use crate::contract::config::RunnerConfig;
use crate::contract::exit::ExitCodes;
use crate::contract::protocol::TimeLimit;
use crate::contract::stage::{Program, Stage};
use crate::process::client::TrapMoment;

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    /// Path name: `run/cancel/stage:get_sources/grace:ignored`.
    pub name: String,
    /// One sentence: what is done to the driver and why.
    pub about: String,
    /// One job or several interleaved ones.
    pub jobs: Vec<CaseJob>,
    /// How the jobs of the case follow each other.
    pub order: JobOrder,
    /// With [`JobOrder::Listed`]: all calls in their order, each with the number of its job.
    pub turns: Vec<Turn>,
    /// The smallest budget of a run that it is part of.
    pub budget: Budget,
    /// Ids of the checks that may judge this case; empty: all of them.
    pub only_checks: Vec<String>,
    /// What is special about the place where it runs.
    pub surroundings: Surroundings,
    /// How long it should take with a driver as quick as calibrated: what a budget and the order of cases go by.
    pub estimate: Duration,
}

/// What is special about the place where a case runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Surroundings {
    /// Files of others lie in the directories of the case, and the trace says what became of them.
    pub keepsakes: bool,
    /// Files and command lines are searched for the secrets of the job.
    pub watch_secrets: bool,
    /// The programs that the calls start are followed, and the trace names them.
    pub follow_children: bool,
    /// How the mock backend fails in it.
    pub backend_fault: Option<BackendFault>,
}

/// A failure of the mock backend, in one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackendFault {
    /// The call of the case that it meets, from 0.
    pub call: usize,
    /// Which of the requests of that call, from 1.
    pub nth: u64,
    /// It lasts until the call is over.
    pub lasts: bool,
    /// What goes wrong, by a name of [`crate::faults::fault_kind`].
    pub kind: &'static str,
}

/// How the jobs of a case follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobOrder {
    /// The next one starts when the one before has ended.
    Sequential,
    /// All start together.
    Concurrent,
    /// The jobs take turns, one call each, in the order of the case, and never are two calls alive at once; a job with no
    /// calls left is passed over. Only for raw call sequences: the interleaving is then the same on every machine.
    Turns,
    /// Call by call in the order of [`Case::turns`], and never are two calls alive at once. Only for raw call sequences.
    Listed,
    /// The first job begins, stands still before its `build_script`, and goes on when all others are over, which follow each
    /// other. Only for raw call sequences.
    Around,
    /// The first job goes on until one of its stimuli is due. That waits while the others run, one after the other: they
    /// come and go while a call of the first one is alive, on every machine.
    Beside,
}

/// A call whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Which job of the case, from 0.
    pub job: usize,
    /// Which program.
    pub program: Program,
    /// Which stage, for run.
    pub stage: Option<Stage>,
}

/// One job of a case.
#[derive(Debug, Clone)]
pub struct CaseJob {
    /// Id in GitLab; collides by prefix with its neighbour where isolation is tested.
    pub job_id: u64,
    /// `CI_CONCURRENT_ID` and `CI_CONCURRENT_PROJECT_ID`.
    pub concurrent_id: u32,
    /// Belongs to another project than the other jobs of the case, where it is the first.
    pub own_project: bool,
    /// What calls are made.
    pub sequence: Sequence,
    /// Settings of the runner, timeouts already set from the calibration.
    pub runner: RunnerConfig,
    /// Job timeout (patience).
    pub job_timeout: Duration,
    /// Values of the two exit-code variables.
    pub exit_codes: ExitCodes,
    /// What the script of each stage does; a stage that is absent has [`Probe::default`].
    pub probes: BTreeMap<Stage, Probe>,
    /// The environment that the runner itself has.
    pub host_environment: HostEnvironment,
    /// The path of the runner's temporary directory, and so that of TMPDIR and of all scripts, has a blank in it.
    pub blank_in_temp_dir: bool,
    /// CI variables beyond the usual ones; one of these replaces a usual one of the same name.
    pub variables: Vec<(String, String)>,
    /// `image.name` of the job.
    pub image: Option<String>,
    /// `services[].name` of the job.
    pub services: Vec<String>,
    /// What happens to the job.
    pub stimuli: Vec<Stimulus>,
}

/// The environment that the runner itself has, which every call inherits (B5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HostEnvironment {
    /// PATH, HOME, USER, LANG, and a PWD that is not the working directory.
    #[default]
    Usual,
    /// PATH alone, as under a bare service manager.
    Minimal,
    /// As usual, with a HOME in which nothing can be made: an obstacle that is nobody's fault but the machine's.
    UnusableHome,
}

/// What calls are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sequence {
    /// A job as the runner does it, with these parts.
    Job(JobShape),
    /// Just these calls, in order, each after the end of the one before: what a driver sees over several jobs and
    /// crashes of a runner, where no single job contains it.
    Calls(Vec<PlannedCall>),
}

/// Which optional stages a job has.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each optional stage is there or not, independent of the others"
)]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobShape {
    /// Names of user steps, in order; usually `script`, sometimes `release` after it.
    pub steps: Vec<String>,
    /// Has an `after_script`.
    pub after_script: bool,
    /// Has a cache, so `restore_cache` and `archive_cache`.
    pub cache: bool,
    /// Has a dependency with artifacts, so `download_artifacts`.
    pub dependencies: bool,
    /// Has artifacts, so `upload_artifacts_*`.
    pub artifacts: bool,
    /// `GET_SOURCES_ATTEMPTS` and its siblings.
    pub stage_attempts: Option<u32>,
}

/// One call of a raw sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedCall {
    /// Which program.
    pub program: Program,
    /// Which stage, for run.
    pub stage: Option<Stage>,
    /// Begin a new prepare attempt with a new TMPDIR before this call (without cleaning up the old one's environment).
    pub new_attempt: bool,
    /// Withhold `job_env` from this call, as after a failed config.
    pub without_job_env: bool,
    /// Kill everything that earlier calls of the job left running before it.
    pub helpers_killed: bool,
    /// What its script does, instead of what [`CaseJob::probes`] says for the stage.
    pub probe: Option<Probe>,
}

/// What the script of a stage does when a driver runs it properly. It always prints `start` first, and `end` before it
/// ends by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Probe {
    /// How it ends.
    pub ending: ProbeEnding,
    /// What it prints between start and end.
    pub output: ProbeOutput,
    /// Write this word into a file of the project directory (state for later stages), as (file, word).
    pub remember: Option<(String, String)>,
    /// Print the marker `recalled` if the file of the project directory holds the word, `forgotten` if not.
    pub recall: Option<(String, String)>,
    /// Print the marker `beat-goes-on` if a script that hangs still beats, in the same environment.
    pub listen: bool,
    /// Total size the script text is padded to with comment lines, bytes. 0: not padded.
    pub script_bytes: usize,
    /// A text that stands in the script as the value of a variable, as in a real one.
    pub holds: Option<String>,
    /// Print a marker `lacks-<tool>` for each of these programs that is not there.
    pub look_for: Vec<String>,
}

/// How a probe script ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProbeEnding {
    /// Exit 0.
    #[default]
    Success,
    /// Exit with this code.
    Code(u8),
    /// The shell kills itself with this signal.
    Signal(i32),
    /// It waits until it is ended from outside, printing the marker `beat` with a number every 100 ms; dies by SIGTERM.
    Hang,
    /// The same, but deaf to SIGTERM.
    HangIgnoringTerm,
}

/// What a probe script prints between `start` and `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProbeOutput {
    /// Nothing.
    #[default]
    None,
    /// This many numbered marker lines (`line`) on stdout and as many on stderr (`error-line`).
    Lines(u32),
    /// One last marker (`unterminated`) without a newline, after `end`.
    Unterminated,
    /// Bytes that are not UTF-8 ([`super::probe::BINARY_BYTES`]), between the markers `binary-start` and `binary-end`.
    Binary,
    /// The marker `line` with number 1, a pause of one second, the marker `line` with number 2.
    Paced,
    /// [`super::probe::letters`] between the markers `letters-start` and `letters-end`.
    Letters,
}

/// Something that happens to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stimulus {
    /// When.
    pub when: Trigger,
    /// What.
    pub action: StimulusAction,
}

/// What a stimulus waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// A call of this program and stage has started and `delay` has passed since.
    CallStarted {
        /// Program.
        program: Program,
        /// Stage; `None`: any.
        stage: Option<Stage>,
        /// Which one of them, from 1.
        nth: u32,
        /// How long after.
        delay: Duration,
    },
    /// A marker was seen in the output of a call of this stage.
    Marker {
        /// Stage.
        stage: Stage,
        /// Word of the marker.
        word: String,
    },
    /// A call has come to one of the programs that it starts. Nothing but a signal to the driver can be done there.
    Child {
        /// Program.
        program: Program,
        /// Stage; `None`: any.
        stage: Option<Stage>,
        /// Which one of these calls, from 1.
        nth: u32,
        /// The program that the call starts.
        child: ChildPlace,
    },
}

impl Trigger {
    /// The program whose calls it waits for.
    pub fn program(&self) -> Program {
        match self {
            Self::CallStarted { program, .. } | Self::Child { program, .. } => *program,
            Self::Marker { .. } => Program::Run,
        }
    }
}

/// A moment in the life of a program that a call starts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildPlace {
    /// Its name.
    pub name: String,
    /// Which of those with this name in the call, from 1.
    pub nth: u32,
    /// When.
    pub moment: TrapMoment,
}

/// What a stimulus does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StimulusAction {
    /// GitLab asks for a cancel.
    Cancel,
    /// The job is over in GitLab.
    Abort,
    /// A time limit is up, without the wait for it.
    TimeIsUp(TimeLimit),
    /// The runner process gets SIGTERM.
    RunnerTerm,
    /// It gets two of them: it ends at once, which for the driver is as if it died.
    RunnerTermTwice,
    /// The runner process dies: all pipes to the driver break, nobody is signalled, no cleanup.
    RunnerKill,
    /// The driver's process group gets SIGTERM from outside; no SIGKILL follows.
    DriverTerm,
    /// The driver's process group gets SIGKILL from outside.
    DriverKill,
    /// What earlier calls of the job have left running gets SIGKILL, and nothing else does.
    HelpersKill,
}

impl StimulusAction {
    /// Whether nobody is there afterwards who would wait for the driver or clean up.
    pub fn ends_runner(self) -> bool {
        matches!(self, Self::RunnerTermTwice | Self::RunnerKill)
    }
}
