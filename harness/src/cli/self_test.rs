//! `self-test`: runs the suite on drivers of which it is known what it must find.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};

use clap::Args;
use driver_conformance_reports::model::ExitCode;
use driver_conformance_scenarios::contract;
use driver_conformance_scenarios::zoo::{self, Animal};

use crate::driver::Problem;
use crate::plan::select::{Globs, near_names, select};
use crate::suite::{Interruption, Suite};
use crate::zoo::{ANIMALS_AT_ONCE, Keeper, Result as AnimalResult, SelfTest, flaw, matrix, upkeep};

use super::report_target::{self, ReportTarget};
use super::{ExpectedError, Output, signals};

/// The only format of `--report` here.
const FORMAT: &str = "json";

/// Arguments of `self-test`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only the drivers whose name matches this glob; may be repeated
    #[arg(long, value_name = "GLOB")]
    only: Vec<String>,

    /// Of each driver that names the cases which show its flaw, run only these and a few of each kind
    #[arg(long)]
    quick: bool,

    /// How many drivers to examine at once
    #[arg(long, short, value_name = "NUMBER", value_parser = super::run::jobs, default_value_t = ANIMALS_AT_ONCE)]
    jobs: usize,

    /// Also write the result to a file (- is standard output)
    #[arg(long = "report", value_name = "json=FILE", value_parser = report_target::parse)]
    report: Option<ReportTarget>,

    /// Write one of the drivers into a new directory, and show what is wrong with it
    #[arg(long, num_args = 2, value_names = ["NAME", "DIRECTORY"], conflicts_with_all = ["only", "quick", "report"])]
    write: Vec<String>,
}

/// Examines the drivers and shows the matrix, or writes one of them.
pub(super) fn execute(
    arguments: &Arguments,
    suite: &dyn Suite,
    output: &mut Output,
) -> Result<u8, ExpectedError> {
    if let [name, directory] = &arguments.write[..] {
        return write(name, directory, output);
    }
    let animals = chosen(&arguments.only)?;
    let cases: Vec<String> = suite.cases()?.into_iter().map(|case| case.name).collect();
    let target = match &arguments.report {
        Some(target) if target.format_name() != FORMAT => {
            return Err(ExpectedError::Usage(Problem::new(
                "the result of a self-test is written as JSON only",
                "write --report json=FILE",
            )));
        }
        Some(target) => Some(target.open()?),
        None => None,
    };
    if arguments
        .report
        .as_ref()
        .is_some_and(ReportTarget::is_standard_output)
    {
        output.keep_out_for_report();
    }
    let interruption = Interruption::default();
    signals::listen(&interruption)?;
    let keeper = Keeper {
        program: program()?,
        quick: arguments.quick,
        interruption,
    };
    let mut results = visits(&keeper, animals, arguments.jobs, output);
    if let Some(signal) = keeper.interruption.signal() {
        return Err(ExpectedError::Interrupted(signal));
    }
    results.sort_by(|a, b| a.animal.name.cmp(&b.animal.name));
    let test = SelfTest {
        results,
        upkeep: upkeep::shortcomings(zoo::all(), suite.checks(), contract::all(), &cases),
    };
    output.text(&format!("\n{}", matrix::summary(&test)));
    if let Some(target) = target {
        target.write_text(&matrix::json(&test), output)?;
    }
    Ok(if test.passed() {
        ExitCode::CONFORMS
    } else {
        ExitCode::NONCONFORMING
    })
}

fn program() -> Result<PathBuf, ExpectedError> {
    std::env::current_exe().map_err(|error| {
        ExpectedError::Harness(Problem::new(
            format!("the path of this program is not known: {error}"),
            "start it by its full path",
        ))
    })
}

fn chosen(only: &[String]) -> Result<Vec<&'static Animal>, ExpectedError> {
    let names: Vec<String> = zoo::all()
        .iter()
        .map(|animal| animal.name.clone())
        .collect();
    let globs = Globs {
        only: only.to_vec(),
        skip: Vec::new(),
    };
    let selected = select(&globs, &names, &[]).map_err(|error| unknown(&error.to_string()))?;
    Ok(zoo::all()
        .iter()
        .filter(|animal| selected.cases.contains(&animal.name))
        .collect())
}

fn unknown(problem: &str) -> ExpectedError {
    ExpectedError::Usage(Problem::new(
        problem,
        "docs/checks.md says which driver shows which check",
    ))
}

/// Visits all animals, several at once, and shows each as soon as it is done.
fn visits(
    keeper: &Keeper,
    animals: Vec<&'static Animal>,
    at_once: usize,
    output: &mut Output,
) -> Vec<AnimalResult> {
    let count = animals.len();
    let queue = Mutex::new(VecDeque::from(animals));
    let mut results = Vec::with_capacity(count);
    std::thread::scope(|scope| {
        let (sender, receiver) = channel();
        for _ in 0..at_once.min(count) {
            let sender = sender.clone();
            let queue = &queue;
            scope.spawn(move || work(keeper, queue, &sender));
        }
        drop(sender);
        for result in receiver {
            if keeper.interruption.signal().is_none() {
                output.text(&matrix::row(&result));
            }
            results.push(result);
        }
    });
    results
}

fn work(keeper: &Keeper, queue: &Mutex<VecDeque<&'static Animal>>, sender: &Sender<AnimalResult>) {
    while keeper.interruption.signal().is_none() {
        let next = queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front();
        let Some(animal) = next else { return };
        let result = AnimalResult::of(animal, keeper.visit(animal));
        if sender.send(result).is_err() {
            return;
        }
    }
}

/// Writes a driver and shows its flaw.
fn write(name: &str, directory: &str, output: &mut Output) -> Result<u8, ExpectedError> {
    let Some(animal) = zoo::by_name(name) else {
        let names: Vec<&str> = zoo::all()
            .iter()
            .map(|animal| animal.name.as_str())
            .collect();
        let near = near_names(&names, name);
        let near = if near.is_empty() {
            String::new()
        } else {
            format!(" (near names: {})", near.join(", "))
        };
        return Err(unknown(&format!("there is no driver `{name}`{near}")));
    };
    let driver = animal.write(directory.as_ref()).map_err(|error| {
        ExpectedError::NotWritten(Problem::new(
            format!("{directory}: {name} cannot be written: {error}"),
            "name a directory that does not exist yet",
        ))
    })?;
    output.text(&format!(
        "{}: {}\n{}",
        driver.display(),
        animal.about,
        flaw::diff(animal)
    ));
    Ok(ExitCode::CONFORMS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn animals_are_chosen_by_globs_over_their_names() {
        let names = |only: &[&str]| -> Vec<&str> {
            let only: Vec<String> = only.iter().map(|&glob| glob.to_owned()).collect();
            let animals = chosen(&only).expect("the globs match");
            animals.iter().map(|animal| animal.name.as_str()).collect()
        };
        assert_eq!(names(&[]).len(), zoo::all().len());
        assert_eq!(
            names(&["good-ba*", "stderr-lost"]),
            ["good-bash", "stderr-lost"]
        );
        let error = chosen(&["good-bish".to_owned()]).expect_err("there is none");
        assert_eq!(error.exit_code(), ExitCode::USAGE);
    }
}
