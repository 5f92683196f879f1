//! `advise`: advice that is reckoned from measurements of a driver.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use driver_conformance_advice::config_block::{
    Basis, Measured, ProgramLine, config_block, programs_of,
};
use driver_conformance_reports::model::{CallDurations, Report};

use crate::advice;
use crate::driver::{Driver, Problem};
use crate::plan::select::{Globs, select};
use crate::plan::waiver::Waivers;
use crate::suite::merge::joined_durations;
use crate::suite::{Interruption, RunOptions, SEED_DEFAULT, Suite};

use super::table::read_report;
use super::{DriverArguments, ExpectedError, Output, progress, signals};

/// Cases that are run to measure a driver: whole jobs that go well, fail, are cancelled and time out, in prepare and later.
const MEASURED: [&str; 4] = [
    "job",
    "signal/build-script",
    "signal/prepare",
    "reentrancy/prepare-again",
];

/// Arguments of `advise`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print a block for config.toml with timeouts that fit the driver, and the reasons as comments
    Config(ConfigArguments),
}

#[derive(Debug, Args)]
struct ConfigArguments {
    /// The driver, which is measured; without, defaults are explained
    path: Option<PathBuf>,

    /// A report (JSON) of the driver: its measurements are taken, and nothing is run; may be repeated, for those of `faults`
    #[arg(long = "report", value_name = "FILE")]
    reports: Vec<PathBuf>,

    #[command(flatten)]
    driver: DriverArguments,
}

/// Measures and prints.
pub(super) fn execute(
    arguments: &Arguments,
    suite: &dyn Suite,
    output: &mut Output,
) -> Result<u8, ExpectedError> {
    let What::Config(arguments) = &arguments.what;
    let driver = match &arguments.path {
        Some(path) => Some(arguments.driver.discover(path)?),
        None => None,
    };
    let reports = match &driver {
        Some(driver) if arguments.reports.is_empty() => vec![measure(driver, suite)?],
        _ => measured_before(&arguments.reports)?,
    };
    let joined = |of: fn(&Report) -> &Vec<CallDurations>| joined_durations(&reports, of);
    let nominal = joined(|report| &report.durations);
    let faulty = joined(|report| &report.faulty_durations);
    let endings = joined(|report| &report.ending_durations);
    let programs = match &driver {
        Some(driver) => advice::programs(driver),
        None => programs_of_reports(&reports),
    };
    let basis = Basis {
        programs: &programs,
        measured: Measured {
            nominal: &nominal,
            faulty: &faulty,
            endings: &endings,
        },
        times: advice::times(),
    };
    output.text(&config_block(&basis));
    Ok(0)
}

/// The programs that the first report names which names any.
fn programs_of_reports(reports: &[Report]) -> Vec<ProgramLine> {
    let blocks = reports.iter().filter_map(|report| report.advice.as_ref());
    let mut programs = blocks.map(|advice| programs_of(&advice.config_toml));
    programs
        .find(|programs| !programs.is_empty())
        .unwrap_or_default()
}

fn measured_before(paths: &[PathBuf]) -> Result<Vec<Report>, Problem> {
    let read = |path: &PathBuf| {
        let report = read_report(path)?;
        if report.durations.is_empty() {
            return Err(Problem::new(
                format!("{} has no measurements of calls", path.display()),
                "write one anew with `driver-conformance PATH --report json=FILE`",
            ));
        }
        Ok(report)
    };
    paths.iter().map(read).collect()
}

/// Runs some jobs, one after the other: what is measured is the driver, not the crowd.
fn measure(driver: &Driver, suite: &dyn Suite) -> Result<Report, ExpectedError> {
    let interruption = Interruption::default();
    signals::listen(&interruption)?;
    let cases: Vec<String> = suite.cases()?.into_iter().map(|case| case.name).collect();
    let checks: Vec<String> = suite
        .checks()
        .iter()
        .map(|check| check.id.to_owned())
        .collect();
    let globs = Globs {
        only: MEASURED.map(str::to_owned).to_vec(),
        skip: Vec::new(),
    };
    let selected = select(&globs, &cases, &checks)?;
    let options = RunOptions {
        cases: selected.cases,
        checks,
        seed: SEED_DEFAULT,
        jobs: 1,
        strict: false,
        waivers: Waivers::default(),
        reproduce: String::new(),
        interruption,
        shard: None,
        keep: None,
        stand_alone: None,
    };
    let mut progress = progress::for_standard_error(0);
    let report = suite.run(driver, &options, progress.as_mut());
    progress.finished();
    Ok(report?)
}
