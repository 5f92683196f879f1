//! `job`: runs one job through a driver and prints the job log like the runner.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use driver_conformance_reports::model::ExitCode;

use crate::contract::outcome::Outcome;
use crate::suite::{Interruption, SingleJobError, run_single_job};

use super::{DriverArguments, ExpectedError, Output, job_file, signals};

/// Arguments of `job`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The job: `.gitlab-ci.yml:NAME`, or a file with the payload that GitLab sends to a runner
    #[arg(value_name = "JOB")]
    job: String,

    /// The driver: a directory, an executable, or a runner's config.toml
    #[arg(value_name = "PATH", required_unless_present = "path_by_flag")]
    path: Option<PathBuf>,

    /// The same as PATH
    #[arg(long = "driver", value_name = "PATH", conflicts_with = "path")]
    path_by_flag: Option<PathBuf>,

    /// Let a job of a pipeline fetch the commit that is checked out here from this repository; without, it fetches nothing
    #[arg(long, value_name = "URL")]
    repository: Option<String>,

    #[command(flatten)]
    driver: DriverArguments,
}

/// Runs the job.
pub(super) fn execute(arguments: &Arguments, output: &mut Output) -> Result<u8, ExpectedError> {
    let job = job_file::read(&arguments.job, arguments.repository.as_deref())?;
    let path = arguments.path.as_ref().or(arguments.path_by_flag.as_ref());
    let driver = arguments
        .driver
        .discover(path.map_or(Path::new("."), PathBuf::as_path))?;
    for note in driver.notes.iter().chain(&job.notes) {
        output.warning(note);
    }
    let flags = arguments.driver.job_settings();
    let payload = job_file::with_settings(job.payload, &driver.job, &flags);
    let interruption = Interruption::default();
    signals::listen(&interruption)?;
    let outcome = run_single_job(&driver, payload, &interruption, Box::new(write_job_log))
        .map_err(|error| failure(error, &arguments.job))?;
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

fn failure(error: SingleJobError, job: &str) -> ExpectedError {
    match error {
        SingleJobError::Payload(reason) => job_file::unusable(Path::new(job), &reason).into(),
        SingleJobError::Run(error) => error.into(),
    }
}
