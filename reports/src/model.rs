//! The stable data model of a report: schema `driver-conformance/report/v1`. Additive changes only.
//!
//! The words of the enums are part of the format, since waivers, dashboards and pipelines match on them.

use serde::{Deserialize, Serialize};

/// The value of [`Report::schema`] that this model writes.
pub const SCHEMA: &str = "driver-conformance/report/v1";

/// Exit codes of the process: a name space for constants, so that code, tests and documentation share one list.
#[derive(Debug, Clone, Copy)]
pub enum ExitCode {}

impl ExitCode {
    /// The driver conforms.
    pub const CONFORMS: u8 = 0;
    /// A deviation from a MUST (with `--strict` also from a SHOULD), or a waiver that no longer applies.
    pub const NONCONFORMING: u8 = 1;
    /// Wrong usage or configuration, including a tool the driver needs that is not on this machine.
    pub const USAGE: u8 = 2;
    /// The harness itself failed; a report that could not be written counts as this.
    pub const HARNESS_ERROR: u8 = 3;
    /// Nothing failed, but something could not be judged: the machine was too busy, or no check had anything to look at.
    pub const INCONCLUSIVE: u8 = 4;
    /// The selection left nothing to run.
    pub const NOTHING_SELECTED: u8 = 5;
    /// Interrupted by SIGINT, after cleaning up.
    pub const INTERRUPTED: u8 = 130;
    /// Ended by SIGTERM, after cleaning up.
    pub const TERMINATED: u8 = 143;

    /// Every exit code with its sentence, for `--help` and the documentation.
    pub const TABLE: [(u8, &'static str); 8] = [
        (Self::CONFORMS, "the driver conforms"),
        (
            Self::NONCONFORMING,
            "a deviation from a MUST (with --strict also from a SHOULD), or a waiver that no longer applies",
        ),
        (
            Self::USAGE,
            "wrong usage or configuration, or a tool the driver needs is not on this machine",
        ),
        (
            Self::HARNESS_ERROR,
            "the harness itself failed, or a report could not be written",
        ),
        (
            Self::INCONCLUSIVE,
            "nothing failed, but something could not be judged: on a busy machine, or because no check had anything to look at",
        ),
        (Self::NOTHING_SELECTED, "the selection left nothing to run"),
        (
            Self::INTERRUPTED,
            "interrupted by SIGINT, after cleaning up",
        ),
        (Self::TERMINATED, "ended by SIGTERM, after cleaning up"),
    ];
}

/// Defines an enum whose words are part of the report format, with its name function and its inverse.
macro_rules! words {
    ($(#[$enum_doc:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$enum_doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$doc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// All values, in the order of this list.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in the report.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The value with this word.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.pad(self.name())
            }
        }
    };
}

pub mod timeline;

use timeline::Timeline;

words! {
    /// What the whole run says about the driver.
    Verdict {
        /// The driver conforms.
        Pass = "pass",
        /// The driver does not conform.
        Fail = "fail",
        /// Nothing failed, but something could not be judged.
        Inconclusive = "inconclusive",
        /// The harness failed.
        Error = "error",
    }
}

impl Verdict {
    /// The exit code of a run with this verdict.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Pass => ExitCode::CONFORMS,
            Self::Fail => ExitCode::NONCONFORMING,
            Self::Inconclusive => ExitCode::INCONCLUSIVE,
            Self::Error => ExitCode::HARNESS_ERROR,
        }
    }
}

words! {
    /// What became of one check, one finding or one case.
    Status {
        /// As required.
        Pass = "pass",
        /// Not as required.
        Fail = "fail",
        /// Not as required, but excepted by a waiver.
        Waived = "waived",
        /// As required, although a waiver says otherwise: the waiver is stale.
        UnexpectedPass = "unexpected-pass",
        /// Not looked at: the driver does not offer the capability, or no selected case says anything about it.
        Skip = "skip",
        /// The machine was too busy to tell.
        Inconclusive = "inconclusive",
        /// The harness failed.
        Error = "error",
    }
}

words! {
    /// How binding a clause is.
    Level {
        /// A deviation fails the run.
        Must = "must",
        /// A deviation fails the run with `--strict`.
        Should = "should",
        /// Never fails the run.
        May = "may",
    }
}

words! {
    /// Which call is to blame.
    Call {
        /// The program `config_exec`.
        Config = "config",
        /// The program `prepare_exec`.
        Prepare = "prepare",
        /// The program `run_exec`.
        Run = "run",
        /// The program `cleanup_exec`.
        Cleanup = "cleanup",
        /// No single call: a property of the whole sequence.
        Job = "job",
    }
}

words! {
    /// Category of a finding.
    Category {
        /// Wrong exit code or exit-code file.
        ExitCode = "exit-code",
        /// A repeated call trips over the one before.
        Reentrancy = "reentrancy",
        /// Cleanup fails, or not twice, or not alone.
        Cleanup = "cleanup",
        /// A process is left.
        LeakProcess = "leak-process",
        /// A file is left.
        LeakFile = "leak-file",
        /// A mount is left.
        LeakMount = "leak-mount",
        /// A network object is left.
        LeakNetwork = "leak-network",
        /// A backend object is left.
        LeakBackend = "leak-backend",
        /// A signal is not heeded.
        Signal = "signal",
        /// Something takes too long.
        Timeout = "timeout",
        /// Output lost, late or changed.
        Output = "output",
        /// The JSON of config.
        Config = "config",
        /// Jobs disturb each other.
        Isolation = "isolation",
        /// Variables, working directory, tools.
        Environment = "environment",
        /// Secrets shown or left.
        Secret = "secret",
    }
}

/// One run of the suite on one driver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// What the run says about the driver.
    pub verdict: Verdict,
    /// Exit code of the process.
    pub exit_code: u8,
    /// What made the report.
    pub tool: Tool,
    /// What was tested.
    pub driver: DriverIdentity,
    /// The runner versions that were emulated, for example `19.4`.
    pub profile: String,
    /// Which engine made the traces: `mock`, `gitlab-runner`, `simulation`.
    pub engine: String,
    /// Seed of everything drawn.
    pub seed: u64,
    /// Whether deviations from a SHOULD fail the run.
    #[serde(default)]
    pub strict: bool,
    /// When the run started: RFC 3339, UTC.
    pub started: String,
    /// How long it took.
    pub duration_ms: u64,
    /// Counts.
    pub summary: Summary,
    /// Every selected check, passed or not.
    pub checks: Vec<CheckResult>,
    /// Deviations, gathered by check, call and stage.
    pub findings: Vec<Finding>,
    /// Every case that was run.
    pub cases: Vec<CaseResult>,
    /// What was left behind, thing by thing.
    pub leaks: Vec<Leak>,
    /// Transitions that were not taken, each with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transitions_missing: Vec<MissingTransition>,
    /// What is missing, if the run was stopped before its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial: Option<Partial>,
    /// Which part of a run this is, if it was divided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Box<Shard>>,
    /// The command without a selection, as it can be typed again.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
    /// Directory in which the traces and the output of failing cases were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// Clauses that bind, that a check stands on, and that no check of this run had something to look at for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub must_clauses_missing: Vec<String>,
    /// Every waiver, used or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waivers: Vec<WaiverRecord>,
    /// How long the driver's calls took where nothing was done to them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub durations: Vec<CallDurations>,
    /// How long calls of config, prepare and cleanup took that failed by themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faulty_durations: Vec<CallDurations>,
    /// How long calls took to end after SIGTERM.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ending_durations: Vec<CallDurations>,
    /// What happened in the cases that stand for findings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timelines: Vec<Timeline>,
    /// What follows from the results for whoever runs the driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<Advice>,
    /// Remarks on the driver's configuration that are no findings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What a run that was stopped did not do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partial {
    /// What stopped it: `SIGINT`, `SIGTERM`.
    pub reason: String,
    /// How many selected cases were not run, or not to their end.
    pub cases_missing: usize,
}

words! {
    /// How a run is divided into shards.
    ShardMethod {
        /// Consecutive cases, in the order of their names.
        Slice = "slice",
        /// By a digest of each name: a case stays in its shard when others come or go.
        Hash = "hash",
    }
}

/// One part of a divided run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// How it is divided.
    pub method: ShardMethod,
    /// Which part, from 1.
    pub index: usize,
    /// Of how many.
    pub count: usize,
    /// Digest over the names of all cases that were divided: those of one run are the same.
    pub selection: String,
    /// How many cases were divided.
    pub cases_total: usize,
    /// What its cases showed before it was asked which finding follows from which: that can be told only of all parts
    /// together.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// The same of the checks.
    #[serde(default)]
    pub checks: Vec<CheckResult>,
}

/// A waiver, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaiverRecord {
    /// Glob over ids of checks.
    pub check: String,
    /// Glob over names of cases; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    /// Why the exception is made.
    pub reason: String,
    /// The last day it holds.
    pub expires: String,
    /// Reason, owner, link and last day.
    pub summary: String,
    /// File and line.
    pub place: String,
    /// Whether something was found that it excepts.
    pub used: bool,
    /// Its last day is over.
    #[serde(default)]
    pub expired: bool,
    /// How many of the cases that it is for were judged.
    #[serde(default)]
    pub cases_judged: usize,
    /// How many cases it is for; 0 if not all the checks it is for were selected.
    #[serde(default)]
    pub cases_total: usize,
}

/// How long the calls of one program and stage took: only those that ended by themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallDurations {
    /// The program.
    pub call: Call,
    /// The stage, for run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// How many calls.
    pub count: usize,
    /// Half of them were quicker; of a divided run, the middle of the parts' middles.
    pub p50_ms: u64,
    /// The slowest.
    pub max_ms: u64,
}

/// What follows from the results for whoever runs the driver.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advice {
    /// What a cleanup that may be repeated must be able to do, ticked from evidence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checklist: Vec<ChecklistItem>,
    /// A block for the runner's `config.toml`, with reasons as comments.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub config_toml: String,
}

/// One item of a checklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChecklistItem {
    /// The item.
    pub sentence: String,
    /// `pass`: shown by the evidence; `skip`: not tested.
    pub status: Status,
    /// The checks that it rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<String>,
    /// Cases that show it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cases: Vec<String>,
}

/// A transition into which the run has not led the driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingTransition {
    /// The call and what would have become of it.
    pub transition: String,
    /// Why it was not taken.
    pub reason: String,
}

/// What made the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// Version of `driver-conformance`.
    pub version: String,
}

/// What was tested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverIdentity {
    /// As given on the command line.
    pub path: String,
    /// `directory`, `executable` or `config-toml`.
    pub kind: String,
    /// `sha256:` and the digest of the driver's files.
    pub digest: String,
    /// The file of each program.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<DriverProgram>,
}

/// One program of the driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverProgram {
    /// The call it is started for.
    pub call: Call,
    /// Its file: relative to the directory the run was started in, if it lies below it.
    pub file: String,
}

/// Counts of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Cases run.
    pub cases: usize,
    /// Cases without a finding.
    pub passed: usize,
    /// Cases with a finding that counts.
    pub failed: usize,
    /// Cases whose findings are all waived.
    pub waived: usize,
    /// Cases not run.
    pub skipped: usize,
    /// Cases that could not be judged.
    pub inconclusive: usize,
    /// Cases in which the harness failed.
    pub errors: usize,
    /// Calls of the driver's programs.
    pub calls: usize,
    /// How long the calls took, added up, milliseconds. Several may run at the same time.
    #[serde(default)]
    pub call_time_ms: u64,
    /// Transitions of the emulated runner that were taken.
    pub transitions_covered: usize,
    /// Transitions there are for this driver.
    pub transitions_total: usize,
    /// Clauses that bind, and that a check of this run had something to look at for.
    #[serde(default)]
    pub must_clauses_covered: usize,
    /// Clauses that bind, and for which there is a check.
    #[serde(default)]
    pub must_clauses_total: usize,
    /// Places at which the backend or the driver was broken.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fault_points_covered: usize,
    /// Places there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fault_points_total: usize,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde asks for"
)]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// What became of one check over all cases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// `theme/kebab-name`.
    pub id: String,
    /// Clauses of the contract it stands on.
    pub clause: Vec<String>,
    /// Category of its findings.
    pub category: Category,
    /// How binding it is.
    pub level: Level,
    /// Over all cases.
    pub status: Status,
    /// How many cases said something about it.
    pub cases: usize,
    /// What a conforming driver does.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub requirement: String,
}

/// One deviation: a check, a call and a stage, with every case that showed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Id of the check.
    pub check: String,
    /// Clauses of the contract.
    pub clause: Vec<String>,
    /// Category.
    pub category: Category,
    /// How binding the check is.
    pub level: Level,
    /// The call to blame.
    pub call: Call,
    /// The stage to blame, for run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stage: Option<String>,
    /// The first case that showed it; [`Finding::reproduce`] runs this one.
    pub case: String,
    /// Every case that showed it.
    #[serde(default)]
    pub cases: Vec<String>,
    /// A case in which nothing is done to the jobs shows it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undisturbed: bool,
    /// Other checks that the same defect shows in, with the stage where there is one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_seen_as: Vec<String>,
    /// `fail`, `waived`, `unexpected-pass` or `inconclusive`.
    pub status: Status,
    /// One sentence: what the driver did.
    pub message: String,
    /// What would have been right; alternatives.
    pub expected: Vec<String>,
    /// What it was.
    pub actual: String,
    /// What a conforming driver does, in one sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub requirement: String,
    /// What goes wrong in production.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// What to change in the driver.
    pub fix: String,
    /// What users may see of it in the logs of their jobs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub symptoms: Vec<SeenSymptom>,
    /// First and last event of the case's trace that show it.
    pub evidence: (usize, usize),
    /// Where in the driver it is, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// Stays the same between runs while check, call and stage do.
    pub fingerprint: String,
    /// Command that shows it again.
    pub reproduce: String,
    /// For `waived`: the waiver's reason, owner, link and last day. For `unexpected-pass`: those of the waiver that has
    /// expired or that nothing matches any more; [`Finding::check`] and [`Finding::case`] are then its globs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiver: Option<String>,
}

/// What users may see of a deviation, in the words of `table` and `diagnose`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenSymptom {
    /// Id of the cause, as `diagnose` has it.
    pub cause: String,
    /// What they see.
    pub symptom: String,
}

/// A place in the driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// The file, as in [`DriverProgram::file`].
    pub file: String,
    /// The line that ran, where the driver itself said so: in an error message or a trace of its shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// One case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseResult {
    /// Path name.
    pub name: String,
    /// What became of it.
    pub status: Status,
    /// How long it took.
    pub duration_ms: u64,
    /// Calls of the driver's programs.
    pub calls: usize,
    /// How the (first) job ended; absent for raw call sequences.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub outcome: Option<CaseOutcome>,
    /// Why it was skipped, or what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How a job ended, as sent to GitLab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseOutcome {
    /// `success` or `failed`.
    pub state: String,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failure_reason: Option<String>,
    /// Exit code of the user's script, as GitLab shows it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exit_code: Option<i64>,
}

/// One thing left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leak {
    /// One of the `leak-…` categories.
    pub category: Category,
    /// What it is.
    pub what: String,
    /// The call it came from, if known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub made_by: Option<LeakOrigin>,
    /// The case that showed it.
    pub case: String,
}

/// The call that made a leaked thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeakOrigin {
    /// Which call.
    pub call: Call,
    /// Which stage, for run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stage: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_names_its_value() {
        for category in Category::ALL {
            assert_eq!(Category::from_name(category.name()), Some(*category));
            let word = serde_json::to_string(category).expect("a unit variant has a JSON form");
            assert_eq!(word, format!("\"{}\"", category.name()));
        }
        assert_eq!(
            Status::from_name("unexpected-pass"),
            Some(Status::UnexpectedPass)
        );
        assert_eq!(Status::from_name("passed"), None);
    }

    #[test]
    fn exit_codes_in_the_table_are_distinct() {
        let mut codes: Vec<u8> = ExitCode::TABLE.iter().map(|(code, _)| *code).collect();
        codes.dedup();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 130, 143]);
    }
}
