//! What a job's logs look like when something went wrong, and what it means: the files of `symptoms/`, and their loader.
//!
//! One file is one cause; its name is the id of the cause. Patterns look at what the runner itself writes and at where it
//! stands; what a driver prints in its own words is at most a hint.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::SourceFile;
use crate::error::{ScenarioError, line_of};

/// The embedded files, sorted by name.
pub static FILES: &[SourceFile] = include!(concat!(env!("OUT_DIR"), "/symptom_files.rs"));

static SYMPTOMS: LazyLock<Vec<Symptom>> =
    LazyLock::new(|| load().expect("the embedded symptoms are valid: a test loads them"));

/// Which call a symptom speaks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// The call at which the symptom was seen.
    Seen,
    /// `config_exec`
    Config,
    /// `prepare_exec`
    Prepare,
    /// `run_exec`
    Run,
    /// `cleanup_exec`
    Cleanup,
    /// The runner itself, or its configuration.
    Runner,
    /// GitLab, or the network to it.
    Gitlab,
    /// Nothing of these: the job itself.
    None,
}

impl Subject {
    /// The word in reports; [`Subject::Seen`] has none.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::Config => "config",
            Self::Prepare => "prepare",
            Self::Run => "run",
            Self::Cleanup => "cleanup",
            Self::Runner => "runner",
            Self::Gitlab => "gitlab",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// How a job's log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// With success.
    Success,
    /// With a failure.
    Failed,
    /// Without a verdict.
    Missing,
}

/// Of which kind a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureClass {
    /// A system failure.
    System,
    /// Everything else: the failure of a script, a timeout, a cancelled job.
    Script,
}

/// One way in which a cause shows. Everything that is given must hold.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// A pattern for the error of a failed call, without what the runner puts around it.
    pub failure: Option<String>,
    /// A pattern for a warning of the runner, in the job log or in its own.
    pub warning: Option<String>,
    /// A pattern for a line that a driver or a script printed; at the failed call, if there is a `failure`.
    pub output: Option<String>,
    /// Whether `output` counts only among the last lines of the failed call; without a `failure`, among those of a stage that the
    /// runner took for done.
    #[serde(default)]
    pub last: bool,
    /// Where `output` counts, if not wherever the call printed something.
    pub scope: Option<Scope>,
    /// A pattern for a message of the runner's own log.
    pub entry: Option<String>,
    /// Patterns for fields of this message.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    /// Where it is seen: `config`, `prepare`, `run`, `cleanup`, or a run stage; `step` is any step of the job.
    #[serde(default)]
    pub at: Vec<String>,
    /// How the job's log ends.
    pub ending: Option<Ending>,
    /// Of which kind the failure is.
    pub class: Option<FailureClass>,
    /// What the structure of the log must show.
    #[serde(default)]
    pub facts: Vec<Fact>,
    /// What it must not show.
    #[serde(default)]
    pub without: Vec<Fact>,
    /// Whether this explains how the job ended; a `failure` of the verdict always does.
    #[serde(default)]
    pub decisive: bool,
    /// How sure one can be, from 0 to 1.
    pub confidence: f64,
}

/// Which lines of a call, or around it, count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Those of the stages behind the failed one in which no command of a script was echoed.
    Later,
    /// Those that came before a command of a script was echoed in the stage: what comes then is the script's affair.
    Unscripted,
}

/// What the structure of a log shows, apart from any message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    /// A command of the script was echoed in the stage.
    Echoed,
    /// The last command that was echoed in the stage is itself a client of another machine or of an engine.
    CommandIsClient,
    /// Something was printed in the stage.
    Printed,
    /// `Running on …` was printed: the first script really ran.
    RanFirstScript,
    /// GitLab told the runner that the job is cancelled.
    Canceled,
    /// Preparing took the default timeout, or a multiple, to the second.
    LastedDefaultTimeout,
    /// The stage went on printing until it was ended.
    StillPrinting,
    /// The last lines of the stage are all the same: it waits for something, and does no work.
    Repeating,
    /// The stage had printed nothing for minutes when it was ended.
    FellSilent,
    /// Every section is closed, the last one that a runner opens among them.
    SectionsClosed,
    /// The log was cut at the runner's limit.
    LogLimit,
    /// The runner itself stopped while the job ran.
    RunnerStopped,
    /// Minutes passed between the last section and the verdict.
    LongAfterSections,
    /// The job has a section of a step, and nothing at all was printed in it.
    EmptyStep,
    /// Another attempt of the call followed and worked.
    Recovered,
    /// The log of the runner says that the script of the job was begun.
    StepReached,
    /// The failed stage is known for sure.
    StageKnown,
    /// The last words of the stage are a trace through files of the driver.
    DriverTrace,
    /// The last words of the stage are a trace through files of the job.
    JobTrace,
    /// The stage after the failed step printed something, but no script of it ran.
    NextStageCouldNotRun,
    /// The last words of the stage are a complaint in the voice in which the driver spoke while it prepared the job.
    DriverSpokeLast,
}

/// A cause with everything there is to say about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Symptom {
    /// Id of the cause: the name of the file.
    pub cause: &'static str,
    /// One sentence without full stop: what is wrong.
    pub title: String,
    /// What somebody sees who looks at the job.
    pub symptom: String,
    /// What tells this cause from others.
    pub observe: String,
    /// What to do.
    pub fix: String,
    /// Who is to blame.
    pub call: Subject,
    /// The stage to blame, if it is always the same.
    pub stage: Option<String>,
    /// Checks that prove it.
    pub checks: Vec<String>,
    /// Clauses of the contract behind it.
    pub clauses: Vec<String>,
    /// How it is known.
    pub source: String,
    /// Golden traces that show it.
    pub traces: Vec<String>,
    /// Whether it is only told where nothing else explains the same failure.
    pub fallback: bool,
    /// Causes of which this is only a consequence.
    pub unless: Vec<String>,
    /// How it shows.
    pub when: Vec<When>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    title: String,
    symptom: String,
    observe: String,
    fix: String,
    call: Subject,
    stage: Option<String>,
    #[serde(default)]
    checks: Vec<String>,
    #[serde(default)]
    clauses: Vec<String>,
    source: String,
    #[serde(default)]
    traces: Vec<String>,
    #[serde(default)]
    fallback: bool,
    #[serde(default)]
    unless: Vec<String>,
    when: Vec<When>,
}

/// Every symptom, sorted by cause.
///
/// # Panics
///
/// If an embedded symptom is invalid, which a test rules out.
pub fn all() -> &'static [Symptom] {
    &SYMPTOMS
}

/// The symptom of a cause.
pub fn of_cause(cause: &str) -> Option<&'static Symptom> {
    all().iter().find(|symptom| symptom.cause == cause)
}

/// The symptoms that a check proves.
pub fn of_check(check: &str) -> impl Iterator<Item = &'static Symptom> {
    all()
        .iter()
        .filter(move |symptom| symptom.checks.iter().any(|named| named == check))
}

/// Reads the embedded symptoms.
pub fn load() -> Result<Vec<Symptom>, ScenarioError> {
    let mut symptoms: Vec<Symptom> = FILES
        .iter()
        .map(|file| parse(file.path, file.text))
        .collect::<Result<_, _>>()?;
    // Names of files sort otherwise than names of causes, which have no `.toml`.
    symptoms.sort_by_key(|symptom| symptom.cause);
    Ok(symptoms)
}

/// Reads one file.
pub fn parse(path: &'static str, text: &str) -> Result<Symptom, ScenarioError> {
    let entry: Entry = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        let remedy = "see the keys that scenarios/src/symptom.rs documents";
        ScenarioError::new(path, line, error.message(), remedy)
    })?;
    let problem = |message: &str, remedy: &str| Err(ScenarioError::new(path, 1, message, remedy));
    if entry.title.ends_with('.') || entry.title.is_empty() {
        return problem("`title` is no sentence without full stop", "write one");
    }
    for text in [&entry.symptom, &entry.observe, &entry.fix, &entry.source] {
        if !text.ends_with('.') {
            return problem(
                "`symptom`, `observe`, `fix` and `source` are sentences",
                "end them with a full stop",
            );
        }
    }
    if entry.when.is_empty() {
        return problem("nothing shows it", "write at least one [[when]]");
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    Ok(Symptom {
        cause: name.strip_suffix(".toml").unwrap_or(name),
        title: entry.title,
        symptom: entry.symptom,
        observe: entry.observe,
        fix: entry.fix,
        call: entry.call,
        stage: entry.stage,
        checks: entry.checks,
        clauses: entry.clauses,
        source: entry.source,
        traces: entry.traces,
        fallback: entry.fallback,
        unless: entry.unless,
        when: entry.when,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::contract::ClauseId;

    #[test]
    fn every_embedded_symptom_loads() {
        let symptoms = load().unwrap_or_else(|error| panic!("{error}"));
        assert!(symptoms.is_sorted_by_key(|symptom| symptom.cause));
        let traces = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/19.4");
        for symptom in &symptoms {
            for clause in &symptom.clauses {
                let known = ClauseId::from_name(clause).is_some();
                assert!(known, "{}: no clause {clause}", symptom.cause);
            }
            for trace in &symptom.traces {
                let file = traces.join(format!("{trace}.json"));
                assert!(file.is_file(), "{}: no trace {trace}", symptom.cause);
            }
            for cause in &symptom.unless {
                let known = symptoms.iter().any(|other| other.cause == cause);
                assert!(known, "{}: no cause {cause}", symptom.cause);
            }
            for when in &symptom.when {
                let sure = (0.05..=1.0).contains(&when.confidence);
                assert!(sure, "{}: confidence is from 0 to 1", symptom.cause);
            }
        }
    }

    #[test]
    fn a_symptom_without_sentences_is_refused() {
        let text = "title = \"x\"\nsymptom = \"x\"\nobserve = \"x.\"\nfix = \"x.\"\ncall = \"run\"\nsource = \"x.\"\n[[when]]\nconfidence = 0.5\n";
        let error = parse("symptoms/x.toml", text).expect_err("no full stop");
        assert!(error.to_string().contains("full stop"), "{error}");
    }
}
