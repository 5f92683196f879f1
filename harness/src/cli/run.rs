//! The default command: runs the suite on a driver.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::SystemTime;

use clap::{ArgAction, Args};
use driver_conformance_reports::model::Report;
use driver_conformance_reports::terminal;
use driver_conformance_scenarios::model::Budget;

use crate::driver::tools::shell_quoted;
use crate::driver::{Driver, Problem};
use crate::leaks::lists::{ListCommand, preset};
use crate::plan::select::{Globs, Selected, escaped, select};
use crate::plan::shard::Shard;
use crate::plan::waiver::{Names, Waivers};
use crate::suite::report::PROFILE;
use crate::suite::{
    CaseEntry, Evidence, Interruption, RunError, RunOptions, SEED_DEFAULT, StandAlone, Suite,
    utc_date,
};

use super::report_target::{self, OpenTarget, ReportTarget, Streaming, write_reports};
use super::{DriverArguments, ExpectedError, Output, progress, signals};

/// Cases run at once for each processor: a case waits for timeouts far longer than it computes.
const CASES_PER_PROCESSOR: usize = 3;

/// Where evidence is kept in CI if nothing else is said.
const EVIDENCE_DIRECTORY: &str = "driver-conformance-evidence";

/// Arguments of the default command.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The driver: a directory, an executable, or a runner's config.toml
    path: Option<PathBuf>,

    /// Run only what matches this glob over names of cases and checks; may be repeated
    #[arg(long, value_name = "GLOB", help_heading = "Selection")]
    only: Vec<String>,

    /// Leave out what matches this glob; may be repeated
    #[arg(long, value_name = "GLOB", help_heading = "Selection")]
    skip: Vec<String>,

    /// Only the cases for the worst defects: for a driver that takes its time
    #[arg(long, conflicts_with = "exhaustive", help_heading = "Selection")]
    quick: bool,

    /// Also the cases that lead the driver into every transition there is
    #[arg(long, help_heading = "Selection")]
    exhaustive: bool,

    /// Only one part of the selected cases: INDEX/COUNT from 1, `slice:2/8` or `hash:2/8`; `ci` takes them from
    /// `CI_NODE_INDEX` and `CI_NODE_TOTAL`. `report merge` joins the parts
    #[arg(long, value_name = "PART", value_parser = shard, help_heading = "Selection")]
    shard: Option<Shard>,

    /// Version of GitLab Runner to emulate
    #[arg(long, value_name = "VERSION", default_value = PROFILE, value_parser = [PROFILE], help_heading = "Running")]
    profile: String,

    #[command(flatten)]
    shared: SharedArguments,

    /// The word between the command and the driver, where another command runs a suite of its own.
    #[arg(skip)]
    subcommand: Option<&'static str>,

    /// Takes a case out of the run as a script.
    #[arg(skip)]
    pub(super) stand_alone: Option<Arc<StandAlone>>,
}

/// What every command that runs a driver is told about the run, whichever suite it is.
#[derive(Debug, Clone, Args)]
pub(super) struct SharedArguments {
    /// Let deviations from a SHOULD fail the run, too
    #[arg(long, help_heading = "Selection")]
    strict: bool,

    /// Seed of everything drawn
    #[arg(long, value_name = "NUMBER", help_heading = "Running")]
    seed: Option<u64>,

    /// How many cases to run at once; three for each processor if not given
    #[arg(long, short, value_name = "NUMBER", value_parser = jobs, help_heading = "Running")]
    jobs: Option<usize>,

    /// Command that lists the objects of the driver's backend, one on each line, or the name of a preset (podman, docker,
    /// lxc, incus, virsh, machinectl, tart, kubectl); may be repeated
    #[arg(long = "list", value_name = "COMMAND", help_heading = "Running")]
    lists: Vec<String>,

    /// Also write the report to a file (- is standard output); may be repeated
    #[arg(long = "report", value_name = "FORMAT=FILE", value_parser = report_target::parse, help_heading = "Output")]
    reports: Vec<ReportTarget>,

    /// Keep trace, output, environment and scripts of failing cases in this directory, with secrets masked. In CI this is
    /// done without being asked, in `driver-conformance-evidence`
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    keep: Option<PathBuf>,

    /// Show every case; twice: also where in its trace a finding shows
    #[arg(long, short, action = ArgAction::Count, help_heading = "Output")]
    verbose: u8,

    #[command(flatten)]
    driver: DriverArguments,
}

impl Arguments {
    /// Arguments of a subcommand that runs a suite of its own.
    pub(super) fn of(subcommand: &'static str, path: &Path, shared: &SharedArguments) -> Self {
        Self {
            path: Some(path.to_owned()),
            only: Vec::new(),
            skip: Vec::new(),
            quick: false,
            exhaustive: false,
            profile: PROFILE.to_owned(),
            shard: None,
            shared: shared.clone(),
            subcommand: Some(subcommand),
            stand_alone: None,
        }
    }
}

/// Reads a number of things to do at once.
pub(super) fn jobs(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("write a whole number from 1".to_owned()),
        Ok(jobs) => Ok(jobs),
    }
}

/// Reads a part of a run.
fn shard(text: &str) -> Result<Shard, String> {
    Shard::parse(text, |name| std::env::var(name).ok())
}

/// Finds the driver, runs the suite, shows and writes the report.
pub(super) fn execute(
    arguments: &Arguments,
    suite: &dyn Suite,
    output: &mut Output,
) -> Result<u8, ExpectedError> {
    let interruption = Interruption::default();
    signals::listen(&interruption)?;
    run(arguments, suite, &interruption, output)
}

/// Runs the suite for another command and writes the reports that were asked for, but shows nothing.
pub(super) fn report(
    arguments: &Arguments,
    suite: &dyn Suite,
    output: &mut Output,
) -> Result<Report, ExpectedError> {
    let interruption = Interruption::default();
    signals::listen(&interruption)?;
    let Examined {
        report, targets, ..
    } = examine(arguments, suite, interruption.clone(), output)?;
    write_reports(&report, targets, output)?;
    match interruption.signal() {
        Some(signal) => Err(RunError::Interrupted(signal).into()),
        None => Ok(report),
    }
}

/// The same as [`execute`] with an interruption from anywhere.
fn run(
    arguments: &Arguments,
    suite: &dyn Suite,
    interruption: &Interruption,
    output: &mut Output,
) -> Result<u8, ExpectedError> {
    let examined = examine(arguments, suite, interruption.clone(), output)?;
    let code = finish(examined, arguments.shared.verbose, output)?;
    match interruption.signal() {
        Some(signal) => Err(RunError::Interrupted(signal).into()),
        None => Ok(code),
    }
}

/// A run that is over.
struct Examined {
    report: Report,
    /// Where the report is to be written.
    targets: Vec<OpenTarget>,
    keep: Option<Arc<Evidence>>,
}

/// Runs the suite.
fn examine(
    arguments: &Arguments,
    suite: &dyn Suite,
    interruption: Interruption,
    output: &mut Output,
) -> Result<Examined, ExpectedError> {
    let Some(path) = &arguments.path else {
        return Err(ExpectedError::Usage(Problem::new(
            "no driver is given",
            "write `driver-conformance PATH`; `driver-conformance --help` shows everything else",
        )));
    };
    let mut driver = arguments.shared.driver.discover(path)?;
    driver.lists.extend(arguments.list_commands());
    for note in &driver.notes {
        output.warning(note);
    }
    if arguments.stand_alone.is_some() && driver.backend.is_some() {
        return Err(ExpectedError::Usage(Problem::new(
            "a script of its own cannot take the mock backend along, in front of which this driver runs",
            "leave --script out: `replay` shows the case again",
        )));
    }
    let mut options = arguments.options(&driver, suite, interruption)?;
    let mut targets = report_target::open_all(&arguments.shared.reports, output)?;
    options.keep = arguments.keep_directory()?;

    let mut progress = progress::for_standard_error(arguments.shared.verbose);
    let result = {
        let mut streaming = Streaming::new(progress.as_mut(), &mut targets, &driver);
        suite.run(&driver, &options, &mut streaming)
    };
    progress.finished();
    Ok(Examined {
        report: result?,
        targets,
        keep: options.keep,
    })
}

/// Writes the reports, then shows the one for people: its summary is what the user sees last.
fn finish(examined: Examined, verbosity: u8, output: &mut Output) -> Result<u8, ExpectedError> {
    let Examined {
        report,
        targets,
        keep,
    } = examined;
    let written = write_reports(&report, targets, output);
    let options = output.terminal_options(verbosity);
    output.text(&terminal::render(&report, options));
    written?;
    match keep.and_then(|keep| keep.failure()) {
        Some(failure) => Err(not_kept(&failure)),
        None => Ok(report.exit_code),
    }
}

/// Why there is no evidence.
fn not_kept(failure: &str) -> ExpectedError {
    ExpectedError::NotWritten(Problem::new(
        format!("the evidence of failing cases cannot be kept in {failure}"),
        "give --keep a directory that you may write to, on a disk with room",
    ))
}

/// Drops what is beyond the budget. A case that is asked for by its name stays: it is how a finding is seen again.
fn keep_within(budget: Budget, catalogue: &[CaseEntry], globs: &Globs, selected: &mut Selected) {
    let stays = |case: &CaseEntry| {
        let named = |glob: &String| *glob == case.name || *glob == escaped(&case.name);
        case.budget <= budget || globs.only.iter().any(named)
    };
    let kept: BTreeSet<&str> = catalogue
        .iter()
        .filter(|case| stays(case))
        .map(|case| case.name.as_str())
        .collect();
    selected.cases.retain(|name| kept.contains(name.as_str()));
}

impl Arguments {
    fn budget(&self) -> Budget {
        match (self.quick, self.exhaustive) {
            (true, _) => Budget::Quick,
            (_, true) => Budget::Exhaustive,
            _ => Budget::Default,
        }
    }

    fn options(
        &self,
        driver: &Driver,
        suite: &dyn Suite,
        interruption: Interruption,
    ) -> Result<RunOptions, ExpectedError> {
        let defaults = &driver.selection;
        // A selection on the command line replaces that of the file: it is how one case is run again.
        let or_default = |given: &Vec<String>, default: &Vec<String>| {
            if given.is_empty() {
                default.clone()
            } else {
                given.clone()
            }
        };
        let globs = Globs {
            only: or_default(&self.only, &defaults.only),
            skip: or_default(&self.skip, &defaults.skip),
        };
        let catalogue = suite.cases()?;
        let cases: Vec<String> = catalogue.iter().map(|case| case.name.clone()).collect();
        let checks: Vec<String> = suite
            .checks()
            .iter()
            .map(|check| check.id.to_owned())
            .collect();
        let mut selected = select(&globs, &cases, &checks)?;
        keep_within(self.budget(), &catalogue, &globs, &mut selected);
        if selected.cases.is_empty() || selected.checks.is_empty() {
            return Err(ExpectedError::NothingSelected);
        }
        let shard = self.shard.map(|shard| {
            let part = shard.part_of(&selected.cases);
            (shard, std::mem::replace(&mut selected.cases, part))
        });
        if let Some((shard, all)) = &shard
            && selected.cases.is_empty()
        {
            return Err(ExpectedError::EmptyShard(shard.typed(), all.len()));
        }
        let waivers = Waivers::prepare(
            &driver.waivers,
            Names {
                all: &checks,
                selected: &selected.checks,
            },
            Names {
                all: &cases,
                selected: &selected.cases,
            },
            utc_date(SystemTime::now()),
        )?;
        let seed = self.shared.seed.or(defaults.seed).unwrap_or(SEED_DEFAULT);
        let at_once = CASES_PER_PROCESSOR * available_parallelism().map_or(1, usize::from);
        Ok(RunOptions {
            cases: selected.cases,
            checks: selected.checks,
            seed,
            jobs: self.shared.jobs.or(defaults.jobs).unwrap_or(at_once),
            strict: self.shared.strict || defaults.strict,
            waivers,
            reproduce: self.typed(driver, seed),
            interruption,
            shard,
            keep: None,
            stand_alone: self.stand_alone.clone(),
        })
    }

    /// What `--list` names: presets, or lines for the shell.
    fn list_commands(&self) -> impl Iterator<Item = ListCommand> {
        let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        self.shared.lists.iter().flat_map(move |text| {
            preset(text).unwrap_or_else(|| vec![ListCommand::of_shell(text, text, here.clone())])
        })
    }

    /// The command without selection and output, as it can be typed again.
    fn typed(&self, driver: &Driver, seed: u64) -> String {
        let mut command = "driver-conformance ".to_owned();
        if let Some(subcommand) = self.subcommand {
            command.push_str(subcommand);
            command.push(' ');
        }
        command.push_str(&shell_quoted(&driver.path.to_string_lossy()));
        command.push_str(&self.shared.driver.typed());
        if self.profile != PROFILE {
            let _ = write!(command, " --profile {}", shell_quoted(&self.profile));
        }
        if seed != SEED_DEFAULT {
            let _ = write!(command, " --seed {seed}");
        }
        if self.shared.strict {
            command.push_str(" --strict");
        }
        for list in &self.shared.lists {
            let _ = write!(command, " --list {}", shell_quoted(list));
        }
        command
    }

    /// Where evidence is kept, made ready for it.
    fn keep_directory(&self) -> Result<Option<Arc<Evidence>>, ExpectedError> {
        // CI systems set it; what a machine that is gone tomorrow saw is lost otherwise.
        let in_ci =
            || std::env::var("CI").is_ok_and(|value| matches!(value.as_str(), "true" | "1"));
        let directory = match &self.shared.keep {
            Some(directory) => directory.clone(),
            None if in_ci() => PathBuf::from(EVIDENCE_DIRECTORY),
            None => return Ok(None),
        };
        let begun = Evidence::begin(&directory);
        let evidence = begun.map_err(|error| {
            not_kept(&format!(
                "{}: {}",
                directory.display(),
                report_target::reason(&error)
            ))
        })?;
        Ok(Some(Arc::new(evidence)))
    }
}

#[cfg(test)]
mod tests;
