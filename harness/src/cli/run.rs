//! The default command: runs the suite on a driver.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
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
use crate::plan::waiver::{Names, Waivers};
use crate::suite::{CaseEntry, Interruption, RunOptions, SEED_DEFAULT, Suite, utc_date};

use super::report_target::{self, OpenTarget, ReportTarget};
use super::{DriverArguments, ExpectedError, Output, progress, signals};

/// Cases run at once for each processor: a case waits for timeouts far longer than it computes.
const CASES_PER_PROCESSOR: usize = 3;

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

    /// Show every case; twice: also where in its trace a finding shows
    #[arg(long, short, action = ArgAction::Count, help_heading = "Output")]
    verbose: u8,

    #[command(flatten)]
    driver: DriverArguments,
}

/// Reads a number of things to do at once.
pub(super) fn jobs(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("write a whole number from 1".to_owned()),
        Ok(jobs) => Ok(jobs),
    }
}

/// Finds the driver, runs the suite, shows and writes the report.
pub(super) fn execute(
    arguments: &Arguments,
    suite: &dyn Suite,
    output: &mut Output,
) -> Result<u8, ExpectedError> {
    let interruption = Interruption::default();
    signals::listen(&interruption)?;
    run(arguments, suite, interruption, output)
}

/// Runs the suite for another command and writes the reports that were asked for, but shows nothing.
pub(super) fn report(
    arguments: &Arguments,
    suite: &dyn Suite,
    output: &mut Output,
) -> Result<Report, ExpectedError> {
    let interruption = Interruption::default();
    signals::listen(&interruption)?;
    let (report, targets) = examine(arguments, suite, interruption, output)?;
    write_reports(&report, targets, output)?;
    Ok(report)
}

/// The same as [`execute`] with an interruption from anywhere.
fn run(
    arguments: &Arguments,
    suite: &dyn Suite,
    interruption: Interruption,
    output: &mut Output,
) -> Result<u8, ExpectedError> {
    let (report, targets) = examine(arguments, suite, interruption, output)?;
    finish(&report, arguments.verbose, targets, output)
}

/// The report, and where it is to be written.
fn examine(
    arguments: &Arguments,
    suite: &dyn Suite,
    interruption: Interruption,
    output: &mut Output,
) -> Result<(Report, Vec<OpenTarget>), ExpectedError> {
    let Some(path) = &arguments.path else {
        return Err(ExpectedError::Usage(Problem::new(
            "no driver is given",
            "write `driver-conformance PATH`; `driver-conformance --help` shows everything else",
        )));
    };
    let mut driver = arguments.driver.discover(path)?;
    driver.lists.extend(arguments.list_commands());
    for note in &driver.notes {
        output.warning(note);
    }
    let options = arguments.options(&driver, suite, interruption)?;
    let targets = arguments.open_reports(output)?;

    let mut progress = progress::for_standard_error(arguments.verbose);
    let result = suite.run(&driver, &options, progress.as_mut());
    progress.finished();
    Ok((result?, targets))
}

/// Writes the reports, then shows the one for people: its summary is what the user sees last.
fn finish(
    report: &Report,
    verbosity: u8,
    targets: Vec<OpenTarget>,
    output: &mut Output,
) -> Result<u8, ExpectedError> {
    let written = write_reports(report, targets, output);
    let options = output.terminal_options(verbosity);
    output.text(&terminal::render(report, options));
    written.map(|()| report.exit_code)
}

/// One report that cannot be written must not cost the others.
fn write_reports(
    report: &Report,
    targets: Vec<OpenTarget>,
    output: &mut Output,
) -> Result<(), ExpectedError> {
    let mut not_written = None;
    for target in targets {
        if let Err(error) = target.write(report, output) {
            not_written.get_or_insert(error);
        }
    }
    not_written.map_or(Ok(()), Err)
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
        let seed = self.seed.or(defaults.seed).unwrap_or(SEED_DEFAULT);
        let at_once = CASES_PER_PROCESSOR * available_parallelism().map_or(1, usize::from);
        Ok(RunOptions {
            cases: selected.cases,
            checks: selected.checks,
            seed,
            jobs: self.jobs.or(defaults.jobs).unwrap_or(at_once),
            strict: self.strict || defaults.strict,
            waivers,
            reproduce: self.typed(driver, seed),
            interruption,
        })
    }

    /// What `--list` names: presets, or lines for the shell.
    fn list_commands(&self) -> impl Iterator<Item = ListCommand> {
        let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        self.lists.iter().flat_map(move |text| {
            preset(text).unwrap_or_else(|| vec![ListCommand::of_shell(text, text, here.clone())])
        })
    }

    /// The command without selection and output, as it can be typed again.
    fn typed(&self, driver: &Driver, seed: u64) -> String {
        let mut command = "driver-conformance ".to_owned();
        command.push_str(&shell_quoted(&driver.path.to_string_lossy()));
        command.push_str(&self.driver.typed());
        if seed != SEED_DEFAULT {
            let _ = write!(command, " --seed {seed}");
        }
        if self.strict {
            command.push_str(" --strict");
        }
        for list in &self.lists {
            let _ = write!(command, " --list {}", shell_quoted(list));
        }
        command
    }

    fn open_reports(&self, output: &mut Output) -> Result<Vec<OpenTarget>, ExpectedError> {
        let to_output = self
            .reports
            .iter()
            .filter(|target| target.is_standard_output())
            .count();
        if to_output > 1 {
            return Err(ExpectedError::Usage(Problem::new(
                "several reports are to go to standard output",
                "give all but one of them a file",
            )));
        }
        if to_output == 1 {
            output.keep_out_for_report();
        }
        self.reports.iter().map(ReportTarget::open).collect()
    }
}

#[cfg(test)]
mod tests;
