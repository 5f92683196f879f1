//! `job`: runs one job payload through a driver and prints the job log like the runner.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use driver_conformance_reports::model::ExitCode;
use serde_json::Value;

use crate::contract::outcome::Outcome;
use crate::driver::Problem;
use crate::suite::{Interruption, SingleJobError, run_single_job};

use super::{DriverArguments, ExpectedError, Output, signals};

/// Arguments of `job`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The job payload, as GitLab sends it to a runner
    file: PathBuf,

    /// The driver: a directory, an executable, or a runner's config.toml
    #[arg(long = "driver", value_name = "PATH")]
    path: PathBuf,

    #[command(flatten)]
    driver: DriverArguments,
}

/// Runs the job.
pub(super) fn execute(arguments: &Arguments, output: &mut Output) -> Result<u8, ExpectedError> {
    let payload = read_payload(&arguments.file)?;
    let driver = arguments.driver.discover(&arguments.path)?;
    for note in &driver.notes {
        output.warning(note);
    }
    let interruption = Interruption::default();
    signals::listen(&interruption)?;
    let outcome = run_single_job(&driver, payload, &interruption, Box::new(write_job_log))
        .map_err(|error| failure(error, &arguments.file))?;
    Ok(match outcome {
        Outcome::Success => ExitCode::CONFORMS,
        Outcome::Failed { .. } => ExitCode::NONCONFORMING,
    })
}

/// The job log is bytes of the driver, for a pipe as they are; a reader that is gone ends nothing.
fn write_job_log(data: &[u8]) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(data).and_then(|()| out.flush());
}

fn failure(error: SingleJobError, file: &Path) -> ExpectedError {
    match error {
        SingleJobError::Payload(reason) => unusable(file, &reason).into(),
        SingleJobError::Run(error) => error.into(),
    }
}

fn unusable(file: &Path, reason: &str) -> Problem {
    Problem::new(
        format!(
            "the job payload {} cannot be used: {reason}",
            file.display()
        ),
        "give the JSON object that GitLab answers to a runner's request for a job, as in scenarios/jobs/",
    )
}

/// The payload, which must be a JSON object.
fn read_payload(file: &Path) -> Result<Value, ExpectedError> {
    let bytes = std::fs::read(file).map_err(|error| unusable(file, &error.to_string()))?;
    let payload: Value =
        serde_json::from_slice(&bytes).map_err(|error| unusable(file, &error.to_string()))?;
    if !payload.is_object() {
        return Err(unusable(file, "it is not a JSON object").into());
    }
    // GitLab never sends a job without these two; a runner would make something of it that nobody meant.
    for member in ["id", "steps"] {
        if payload.get(member).is_none_or(Value::is_null) {
            return Err(unusable(file, &format!("it has no `{member}`, so it is no job")).into());
        }
    }
    Ok(payload)
}
