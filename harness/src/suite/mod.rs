//! The suite as a whole: what there is to run, how it is run on one driver, and what the result says.
//!
//! The command line knows only this module: [`Suite`] is what it needs, [`Progress`] is what it is told meanwhile. So the
//! command line can be tested without an engine, and an engine can be used without a command line.

mod backend;
mod case_jobs;
mod clock;
pub mod coverage;
pub mod evidence;
mod execution;
mod follow_up;
mod fuzzing;
mod interruption;
pub mod merge;
mod payload;
pub mod report;
mod runner_settings;
mod single_job;
mod stand_alone;
mod suspicions;
mod sweep;

use std::sync::Arc;
use std::time::Duration;

use driver_conformance_reports::model::{CaseOutcome, Report, Status};
use driver_conformance_scenarios::model::Budget;

use crate::checks::{self, Check};
use crate::contract::config::RunnerConfig;
use crate::contract::stage::{Program, Stage};
use crate::driver::Driver;
use crate::driver::tools::{MissingTool, find_in_path, missing_tool};
use crate::leaks::lists::ListFailure;
use crate::plan::shard::Shard;
use crate::plan::waiver::Waivers;
use crate::plan::{Calibration, CaseDefaults, load_cases};
use crate::trace::Trace;

pub use evidence::Evidence;

pub use clock::{utc_date, utc_timestamp};
pub use fuzzing::Fuzzer;
pub use interruption::{InterruptSignal, Interruption};
pub use single_job::{SingleJobError, run_single_job};
pub use stand_alone::StandAlone;
pub use sweep::FaultSweep;

/// The seed of a run that names none: always the same, so that two runs are alike.
pub const SEED_DEFAULT: u64 = 1;

/// One case as the catalogue shows it. Every name exists before anything is run, so that selections can be validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseEntry {
    /// Path name.
    pub name: String,
    /// One sentence: what is done to the driver and why.
    pub about: String,
    /// The smallest budget of a run that it is part of.
    pub budget: Budget,
}

/// What can be run and how.
pub trait Suite {
    /// Every case there is, sorted by name.
    fn cases(&self) -> Result<Vec<CaseEntry>, RunError> {
        // The names do not depend on the driver, so nothing of it is needed to list them.
        let defaults = CaseDefaults {
            runner: RunnerConfig::default(),
            calibration: Calibration::default(),
            variables: Vec::new(),
            image: None,
            services: Vec::new(),
        };
        let cases = load_cases(&defaults).map_err(|error| RunError::Harness(error.to_string()))?;
        let mut entries: Vec<CaseEntry> = cases
            .into_iter()
            .map(|case| CaseEntry {
                name: case.name,
                about: case.about,
                budget: case.budget,
            })
            .collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Every check there is.
    fn checks(&self) -> &'static [&'static Check] {
        checks::all()
    }

    /// Runs the selected cases on a driver. When [`RunOptions::interruption`] is raised, it cleans up and returns a report
    /// of what was judged so far, marked as partial.
    fn run(
        &self,
        driver: &Driver,
        options: &RunOptions,
        progress: &mut dyn Progress,
    ) -> Result<Report, RunError>;
}

/// How a suite is run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Names of the cases to run.
    pub cases: Vec<String>,
    /// Ids of the checks to apply.
    pub checks: Vec<String>,
    /// Seed of everything drawn.
    pub seed: u64,
    /// How many cases are run at once.
    pub jobs: usize,
    /// Whether deviations from a SHOULD fail the run.
    pub strict: bool,
    /// Exceptions.
    pub waivers: Waivers,
    /// The command line without selection, as it can be typed again: `--only CASE` is put behind it.
    pub reproduce: String,
    /// Raised when the user wants to stop.
    pub interruption: Interruption,
    /// Which part of the selection `cases` is, if it was divided, and the names of all that was divided.
    pub shard: Option<(Shard, Vec<String>)>,
    /// Where what failing cases left is kept.
    pub keep: Option<Arc<Evidence>>,
    /// Takes a case out of the run as a script of its own.
    pub stand_alone: Option<Arc<StandAlone>>,
}

/// Why a run has no report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The nominal job failed, because a tool the driver needs is not on this machine.
    #[error("{} needs `{}`, which is not in PATH", call_name(*program, stage.as_ref()), tool.name)]
    MissingTool {
        /// The program that needs it.
        program: Program,
        /// The stage that needs it, for run.
        stage: Option<Stage>,
        /// The tool, and the line that says so.
        tool: MissingTool,
    },
    /// A command that lists the objects of the backend does not work.
    #[error(transparent)]
    List(#[from] ListFailure),
    /// This driver, or this machine, does not allow what was asked for; in a sentence.
    #[error("{0}")]
    Refused(String),
    /// The user stopped the run; everything that was started is gone.
    #[error("interrupted by {}", .0.name())]
    Interrupted(InterruptSignal),
    /// Something of ours failed.
    #[error("{0}")]
    Harness(String),
}

/// `run build_script`, `prepare`.
pub fn call_name(program: Program, stage: Option<&Stage>) -> String {
    match stage {
        Some(stage) => format!("{program} {stage}"),
        None => program.name().to_owned(),
    }
}

/// Whether the nominal job failed for want of a tool: the first failed call decides, since the others follow from it.
pub fn missing_tool_in(trace: &Trace) -> Option<RunError> {
    let (call, status) = trace.calls.iter().find_map(|call| {
        let (_, status) = call.leader_exit?;
        (!status.is_success()).then_some((call, status))
    })?;
    let mut tool = missing_tool(status, &call.stderr.bytes);
    if tool.is_none() && call.program != Program::Config {
        // Some drivers send everything to stdout; that of config is its answer.
        tool = missing_tool(status, &call.stdout.bytes);
    }
    // What is on this machine was missed inside the driver's own environment: that is for the checks to judge.
    let tool = tool.filter(|tool| find_in_path(&tool.name).is_none())?;
    Some(RunError::MissingTool {
        program: call.program,
        stage: call.stage.clone(),
        tool,
    })
}

/// What is told while a suite runs.
pub trait Progress {
    /// The run begins.
    fn started(&mut self, cases: usize);

    /// A case is over.
    fn case_finished(&mut self, case: &FinishedCase<'_>);

    /// Something worth knowing that is no finding, in one sentence.
    fn note(&mut self, text: &str);

    /// The run is over, with or without a report.
    fn finished(&mut self);
}

/// A case that is over.
#[derive(Debug, Clone, Copy)]
pub struct FinishedCase<'run> {
    /// Its name.
    pub name: &'run str,
    /// What became of it.
    pub status: Status,
    /// How long it took.
    pub duration: Duration,
    /// How many calls were made.
    pub calls: usize,
    /// How its first job with an outcome ended.
    pub outcome: Option<&'run CaseOutcome>,
    /// Why it was skipped, or what went wrong.
    pub reason: Option<&'run str>,
    /// Ids of the checks that found something.
    pub findings: &'run [&'static str],
}

/// The suite of this build.
pub fn builtin() -> impl Suite {
    Builtin
}

/// The scenarios and checks that are part of the program.
struct Builtin;

impl Suite for Builtin {
    fn run(
        &self,
        driver: &Driver,
        options: &RunOptions,
        progress: &mut dyn Progress,
    ) -> Result<Report, RunError> {
        execution::run(driver, options, progress)
    }
}
