//! One real job payload through a driver, as a runner would do it: no probes, no shortened pauses.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use driver_conformance_mock_backend::client::{BackendProcess, Wanted};
use serde_json::Value;

use crate::contract::build::{Build, RunnerFacts};
use crate::contract::exit::ExitCodes;
use crate::contract::job::{Job, JobInputs, RUN_PHASE_WAIT, Timing};
use crate::contract::names::NameSource;
use crate::contract::outcome::Outcome;
use crate::contract::payload::JobPayload;
use crate::driver::Driver;
use crate::engine::backend::CaseBackend;
use crate::engine::directories::{CaseDirectories, best_parent};
use crate::engine::mock::{CaseEnvironment, JobLogListener, JobRun, run_case};
use crate::plan::case::JobOrder;
use crate::process::interrupt::Interrupt;

use super::execution::{pass_on, unix_us};
use super::runner_settings;
use super::{Interruption, RunError};

/// Why a payload could not be used.
#[derive(Debug, thiserror::Error)]
pub enum SingleJobError {
    /// The payload makes no sense.
    #[error("{0}")]
    Payload(String),
    /// The job did not come to an end.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Runs the job and returns its outcome. `listener` hears the job log as it is written.
pub fn run_single_job(
    driver: &Driver,
    payload: Value,
    interruption: &Interruption,
    listener: JobLogListener,
) -> Result<Outcome, SingleJobError> {
    let payload = JobPayload::from_value(payload).map_err(SingleJobError::Payload)?;
    let harness = |error: std::io::Error| RunError::Harness(error.to_string());
    let directories = CaseDirectories::new_in(&best_parent()).map_err(harness)?;
    let interrupt = Interrupt::new().map_err(harness)?;
    pass_on(interruption, &interrupt);
    let job_id = u64::try_from(payload.id).unwrap_or_default();
    let build = build(driver, payload, &directories);
    let budget = budget(&build);
    let supervisor = std::env::current_exe().map_err(harness)?;
    let mut host_environment: BTreeMap<String, String> = std::env::vars().collect();
    let backend_root = directories.root().join("backend");
    // After the environment of the case, whose part of it ends first.
    let process = start_backend(driver, &supervisor, &backend_root).map_err(harness)?;
    let open = |process: &BackendProcess| CaseBackend::open(process, "job", false, None);
    let backend = process.as_ref().map(open).transpose().map_err(harness)?;
    if let Some(backend) = &backend {
        host_environment.extend(backend.environment().iter().cloned());
        let path = host_environment.entry("PATH".to_owned()).or_default();
        *path = format!("{}:{path}", backend.shims().display());
    }
    let inputs = JobInputs {
        host_environment: host_environment.into_iter().collect(),
        temp_root: directories.runner_temp(),
        exit_codes: ExitCodes::RUNNER,
        timing: Timing::default(),
        started_at_unix_us: unix_us(),
        names: NameSource::new(unix_us()),
        probes: None,
        build,
    };
    let run = JobRun {
        job_log_listener: Some(listener),
        ..JobRun::plain(job_id, Box::new(Job::new(inputs)))
    };
    let environment = CaseEnvironment {
        budget,
        backend,
        unwatched: vec![backend_root],
        ..CaseEnvironment::new(&supervisor, directories)
    };
    let trace = run_case(&environment, vec![run], JobOrder::Sequential, &interrupt)
        .map_err(|error| RunError::Harness(error.to_string()))?;
    if let Some(signal) = interruption.signal() {
        return Err(RunError::Interrupted(signal).into());
    }
    let outcome = trace.jobs.into_iter().next().and_then(|job| job.outcome);
    Ok(outcome.ok_or_else(|| RunError::Harness("the job did not come to an end".into()))?)
}

/// The mock backend in the place of the driver's own, if there is to be one.
fn start_backend(
    driver: &Driver,
    executable: &Path,
    root: &Path,
) -> std::io::Result<Option<BackendProcess>> {
    let path = std::env::var("PATH").unwrap_or_default();
    let wanted = driver.backend.as_ref().map(|choice| choice.wanted(&path));
    let start = |wanted: Wanted| BackendProcess::start(executable, root, &wanted);
    wanted.map(start).transpose()
}

fn build(driver: &Driver, payload: JobPayload, directories: &CaseDirectories) -> Build {
    let config = runner_settings::complete(
        driver.config.clone(),
        driver.provide_directories,
        directories,
    );
    Build::new(payload, config, RunnerFacts::default(), 0, 0)
}

/// The longest that a job can take by its own settings.
fn budget(build: &Build) -> Duration {
    let custom = build.runner().custom.clone().unwrap_or_default();
    let kill = custom.graceful_kill_timeout() + custom.force_kill_timeout();
    build.job_timeout() + RUN_PHASE_WAIT + (custom.cleanup_exec_timeout() + kill) * 4 + kill
}
