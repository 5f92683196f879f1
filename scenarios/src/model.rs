//! What a scenario file may say. Every key is documented here; an unknown key is an error.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A scenario with the values of its axes put in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// One sentence: what is done to the driver and why.
    pub about: String,
    /// The smallest budget of a run that this scenario is part of.
    #[serde(default)]
    pub budget: Budget,
    /// How several jobs follow each other.
    #[serde(default)]
    pub order: Order,
    /// Ids of the checks that may judge this scenario; empty: all. For settings under which a sound driver may fail in
    /// other respects.
    #[serde(default)]
    pub only_checks: Vec<String>,
    /// What is special about the place where the case runs.
    #[serde(default)]
    pub surroundings: Surroundings,
    /// `[job]`, or several `[[job]]`.
    pub job: OneOrMany,
    /// Calls of a raw sequence. If a job has none, it is run as the runner does it.
    #[serde(default)]
    pub calls: Vec<Call>,
    /// What the scripts of stages do.
    #[serde(default)]
    pub probe: Vec<StageProbe>,
    /// What happens to a job.
    #[serde(default)]
    pub stimulus: Vec<Stimulus>,
}

/// What is special about the place where a case runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Surroundings {
    /// Files of others lie in the directories of the case. In a variable, `@keepsakes@` stands for a directory of them.
    pub keepsakes: bool,
    /// Files and command lines are searched for the secrets of the job.
    pub watch_secrets: bool,
}

/// How much a run may cost. A larger budget has all that a smaller one has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Budget {
    /// The worst defects only: for each push to a driver that boots machines.
    Quick,
    /// What a driver should pass before a release.
    #[default]
    Default,
    /// Every transition that the runner can lead a driver into.
    Exhaustive,
}

impl Budget {
    /// The word in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Default => "default",
            Self::Exhaustive => "exhaustive",
        }
    }
}

/// One table or a list of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "toml::Value")]
pub struct OneOrMany(Vec<Job>);

impl TryFrom<toml::Value> for OneOrMany {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        let jobs = match value {
            toml::Value::Array(_) => value.try_into(),
            one => one.try_into().map(|job| vec![job]),
        };
        jobs.map(Self)
            .map_err(|error: toml::de::Error| error.message().to_owned())
    }
}

impl OneOrMany {
    /// The jobs, in order.
    pub fn jobs(&self) -> &[Job] {
        &self.0
    }
}

/// How several jobs follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// One after the other.
    #[default]
    Sequential,
    /// All at once.
    Concurrent,
    /// Call by call in turn, never two calls at once.
    Turns,
    /// Call by call in the order of `calls`, never two calls at once.
    Listed,
    /// The first job begins, stands still before its `build_script`, and goes on when all others are over.
    Around,
    /// The others run, one after the other, while a call of the first one goes on: from when its stimuli are triggered
    /// until the others are over, when they take effect.
    Beside,
}

/// One job.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of its own in a file"
)]
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Job {
    /// Id in GitLab, without the digits that keep it apart from those of other cases. What two ids of a case have in common,
    /// how they begin (12 and 123) or how they end (912 and 12), they still have with these.
    pub id: u64,
    /// `CI_CONCURRENT_ID` and `CI_CONCURRENT_PROJECT_ID`.
    pub concurrent_id: u32,
    /// Belongs to a project of its own: `CI_CONCURRENT_PROJECT_ID` is that of the case's first job, in another project, whose
    /// id begins like that of the first one. For one job of a case.
    pub own_project: bool,
    /// Names of user steps, in order.
    pub steps: Vec<String>,
    /// Has an `after_script`.
    pub after_script: bool,
    /// Has a cache.
    pub cache: bool,
    /// Has a dependency with artifacts.
    pub dependencies: bool,
    /// Has artifacts.
    pub artifacts: bool,
    /// `GET_SOURCES_ATTEMPTS` and its siblings.
    pub stage_attempts: Option<u32>,
    /// Values of the two exit-code variables.
    pub exit_codes: ExitCodeValues,
    /// How long the job may take.
    pub timeout: Timeout,
    /// The runner's own environment.
    pub environment: Environment,
    /// The path of the runner's temporary directory, and so that of TMPDIR and of all scripts, has a blank in it.
    pub blank_in_temp_dir: bool,
    /// CI variables beyond the usual ones.
    pub variables: BTreeMap<String, String>,
    /// Size of the value of one more variable, `LARGE_VALUE`, bytes; 0: there is none.
    pub large_value_bytes: usize,
    /// Limits that the runner's administrator or the job has set, each a second shorter than the job's.
    pub limits: Vec<Limit>,
    /// `image.name`, instead of the default.
    pub image: Option<String>,
    /// `services[].name`, instead of the default.
    pub services: Option<Vec<String>>,
}

impl Default for Job {
    fn default() -> Self {
        Self {
            id: 12,
            concurrent_id: 0,
            own_project: false,
            steps: vec!["script".to_owned()],
            after_script: false,
            cache: false,
            dependencies: false,
            artifacts: false,
            stage_attempts: None,
            exit_codes: ExitCodeValues::default(),
            timeout: Timeout::default(),
            environment: Environment::default(),
            blank_in_temp_dir: false,
            variables: BTreeMap::new(),
            large_value_bytes: 0,
            limits: Vec::new(),
            image: None,
            services: None,
        }
    }
}

/// Values of the two exit-code variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExitCodeValues {
    /// Others than the runner's, so that literals are found out.
    #[default]
    Strict,
    /// 1 and 2.
    Runner,
}

/// How long a job may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Timeout {
    /// Far longer than the driver needs.
    #[default]
    Long,
    /// Long enough for the driver to reach the build script, which then hangs until the timeout.
    Short,
}

/// A limit that is not there unless it is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// `prepare_timeout` in the runner's settings (D7).
    Prepare,
    /// `get_sources_timeout` in the runner's settings (E9).
    GetSources,
    /// `RUNNER_SCRIPT_TIMEOUT` in the job's variables (E10).
    Script,
    /// `RUNNER_AFTER_SCRIPT_TIMEOUT` in the job's variables (E11).
    AfterScript,
}

/// The environment the runner itself has, which every call inherits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Environment {
    /// With HOME, USER and the like.
    #[default]
    Usual,
    /// PATH alone.
    Minimal,
    /// With a HOME in which nothing can be made.
    UnusableHome,
}

/// One call of a raw sequence: `"prepare"`, `"run get_sources"`, or a table with more.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "toml::Value")]
pub struct Call {
    /// Id of the job it belongs to; the first one if absent.
    pub job: Option<u64>,
    /// Program and stage: `config`, `prepare`, `cleanup`, or `run <stage>`.
    pub call: String,
    /// Begin a new prepare attempt before it.
    pub new_attempt: bool,
    /// Withhold `job_env`.
    pub without_job_env: bool,
    /// Kill everything that earlier calls of the job left running before it, as a restart of the machine does.
    pub helpers_killed: bool,
    /// What its script does, if not what `[[probe]]` says.
    pub does: Option<Probe>,
}

/// The long form of a call.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallTable {
    job: Option<u64>,
    call: String,
    #[serde(default)]
    new_attempt: bool,
    #[serde(default)]
    without_job_env: bool,
    #[serde(default)]
    helpers_killed: bool,
    does: Option<Probe>,
}

impl TryFrom<toml::Value> for Call {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        if let toml::Value::String(call) = value {
            return Ok(Self {
                job: None,
                call,
                new_attempt: false,
                without_job_env: false,
                helpers_killed: false,
                does: None,
            });
        }
        let CallTable {
            job,
            call,
            new_attempt,
            without_job_env,
            helpers_killed,
            does,
        } = value
            .try_into()
            .map_err(|error: toml::de::Error| error.message().to_owned())?;
        Ok(Self {
            job,
            call,
            new_attempt,
            without_job_env,
            helpers_killed,
            does,
        })
    }
}

/// What the script of one stage does.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageProbe {
    /// Id of the job; all of them if absent.
    pub job: Option<u64>,
    /// Stage, as the driver is told it.
    pub stage: String,
    /// What it does.
    pub does: Probe,
}

/// What a script does between its start and its end.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Probe {
    /// Exit with this code.
    pub exit: Option<ExitValue>,
    /// Die of this signal.
    pub signal: Option<i32>,
    /// Wait until ended from outside.
    pub hang: Option<Hang>,
    /// What it prints.
    pub output: Output,
    /// How many lines on each stream, for `output = "lines"`.
    pub lines: u32,
    /// Leave this word for later stages.
    pub remember: Option<String>,
    /// Look for the word an earlier stage left.
    pub recall: Option<String>,
    /// Tell whether a script of an earlier stage, which was ended, goes on.
    pub listen: bool,
    /// Size of the script text.
    pub script_bytes: usize,
    /// A text that the script holds without doing anything with it, as a real one holds the values of variables.
    pub holds: Option<String>,
    /// Tell which of the tools that the scripts of real jobs need are missing.
    pub look_for_tools: bool,
}

/// The exit code of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum ExitValue {
    /// This one.
    Code(u8),
    /// One that means something to the driver.
    Named(NamedExit),
}

/// An exit code named by what it means to the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamedExit {
    /// The value of `SYSTEM_FAILURE_EXIT_CODE`.
    SystemFailure,
    /// The value of `BUILD_FAILURE_EXIT_CODE`.
    BuildFailure,
}

/// How a script waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hang {
    /// It dies by SIGTERM.
    HeedTerm,
    /// It is deaf to SIGTERM.
    IgnoreTerm,
}

/// What a script prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Output {
    /// Nothing but its markers.
    #[default]
    None,
    /// Numbered lines on both streams.
    Lines,
    /// A last line without a newline.
    Unterminated,
    /// Bytes that are not UTF-8.
    Binary,
    /// Two lines with a pause of a second between them.
    Paced,
    /// Lines of letters that have several bytes each, more than any buffer holds.
    Letters,
}

/// Something that happens to a job.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stimulus {
    /// Id of the job; the first one if absent.
    pub job: Option<u64>,
    /// What.
    pub action: Action,
    /// The call during which: `config`, `prepare`, `cleanup`, or `run <stage>`.
    pub during: String,
    /// Which of these calls, from 1.
    #[serde(default = "first")]
    pub nth: u32,
    /// When the script has printed this marker; for run calls only.
    pub marker: Option<String>,
    /// At one of the programs that the call starts, and not before; for `driver-term` and `driver-kill` only.
    pub child: Option<Child>,
    /// How long after the start, as a share in percent of the call's usual duration; 0 if nothing else is given.
    #[serde(default)]
    pub after_percent: u32,
}

/// A program that a call starts, itself or by another one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Child {
    /// Its name.
    pub name: String,
    /// Which of those with this name in the call, from 1.
    #[serde(default = "first")]
    pub nth: u32,
    /// When.
    pub moment: ChildMoment,
}

/// A moment in the life of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChildMoment {
    /// It is there and has not done anything yet.
    Begins,
    /// It has done everything, and whoever waits for it does not know yet.
    Ends,
}

fn first() -> u32 {
    1
}

/// What a stimulus does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// GitLab asks for a cancel.
    Cancel,
    /// The job is over in GitLab.
    Abort,
    /// The time of the call, or that of its stage, is up.
    CallTimeout,
    /// The time of the job is up.
    JobTimeout,
    /// The runner gets SIGTERM.
    RunnerTerm,
    /// The runner gets SIGTERM, and a second one at once: it ends without waiting for anything.
    RunnerTermTwice,
    /// The runner dies.
    RunnerKill,
    /// The driver's process group gets SIGTERM.
    DriverTerm,
    /// The driver's process group gets SIGKILL.
    DriverKill,
    /// What earlier calls of the job have left running gets SIGKILL; the call, and what it has started, does not.
    HelpersKill,
}
