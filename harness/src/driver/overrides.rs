//! What replaces the settings that were found: from `driver-conformance.toml`, then from the command line.

use std::collections::BTreeMap;
use std::path::Path;

use crate::contract::config::RunnerConfig;
use crate::contract::stage::Program;

use super::{BackendChoice, Driver, DriverKind, JobSettings};

/// Settings that replace what was found. Everything absent leaves things as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Programs and arguments.
    pub programs: BTreeMap<Program, ProgramOverride>,
    /// Timeouts of calls and signals.
    pub timeouts: TimeoutOverrides,
    /// `shell`.
    pub shell: Option<String>,
    /// `builds_dir`.
    pub builds_dir: Option<String>,
    /// `cache_dir`.
    pub cache_dir: Option<String>,
    /// `environment`: added after what is there.
    pub environment: Vec<String>,
    /// Variables of the process of the runner, added; a later one of the same name wins.
    pub host_environment: Vec<(String, String)>,
    /// Backend in the place of the driver's own.
    pub backend: Option<BackendChoice>,
    /// Image of the jobs.
    pub image: Option<String>,
    /// Services of the jobs; replace all others.
    pub services: Option<Vec<String>>,
    /// Variables of the jobs, added; a later one of the same name wins.
    pub variables: Vec<(String, String)>,
}

/// What replaces one program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProgramOverride {
    /// The program; empty: the driver has none.
    pub executable: Option<String>,
    /// Its arguments.
    pub args: Option<Vec<String>>,
}

/// Seconds, as in `[runners.custom]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeoutOverrides {
    /// `config_exec_timeout`
    pub config_exec: Option<i64>,
    /// `prepare_exec_timeout`
    pub prepare_exec: Option<i64>,
    /// `cleanup_exec_timeout`
    pub cleanup_exec: Option<i64>,
    /// `graceful_kill_timeout`
    pub graceful_kill: Option<i64>,
    /// `force_kill_timeout`
    pub force_kill: Option<i64>,
}

impl Overrides {
    /// Applies everything to a driver. A program with a relative path is looked for in `base`, since a call's working
    /// directory is a temporary one.
    pub fn apply(&self, driver: &mut Driver, base: &Path) {
        self.apply_programs(driver, base);
        self.apply_runner(&mut driver.config);
        self.apply_job(&mut driver.job);
        add_named(&mut driver.host_environment, &self.host_environment);
        if self.backend.is_some() {
            driver.backend.clone_from(&self.backend);
        }
    }

    fn apply_programs(&self, driver: &mut Driver, base: &Path) {
        let custom = driver.config.custom.get_or_insert_default();
        for (program, replacement) in &self.programs {
            let (executable, args) = super::program_slots(custom, *program);
            if let Some(new) = &replacement.executable {
                *executable = resolved(new, base);
                // The subcommand of the one executable belongs to that executable; the arguments in a config.toml
                // are keys of their own and stay.
                if driver.kind != DriverKind::ConfigToml {
                    args.clear();
                }
            }
            if let Some(new) = &replacement.args {
                args.clone_from(new);
            }
        }
        let timeouts = &self.timeouts;
        for (slot, new) in [
            (&mut custom.config_exec_timeout, timeouts.config_exec),
            (&mut custom.prepare_exec_timeout, timeouts.prepare_exec),
            (&mut custom.cleanup_exec_timeout, timeouts.cleanup_exec),
            (&mut custom.graceful_kill_timeout, timeouts.graceful_kill),
            (&mut custom.force_kill_timeout, timeouts.force_kill),
        ] {
            if new.is_some() {
                *slot = new;
            }
        }
    }

    fn apply_runner(&self, runner: &mut RunnerConfig) {
        for (slot, new) in [
            (&mut runner.shell, &self.shell),
            (&mut runner.builds_dir, &self.builds_dir),
            (&mut runner.cache_dir, &self.cache_dir),
        ] {
            if let Some(new) = new {
                slot.clone_from(new);
            }
        }
        runner.environment.extend(self.environment.iter().cloned());
    }

    fn apply_job(&self, job: &mut JobSettings) {
        if self.image.is_some() {
            job.image.clone_from(&self.image);
        }
        if let Some(services) = &self.services {
            job.services.clone_from(services);
        }
        add_named(&mut job.variables, &self.variables);
    }
}

/// Adds variables; one of the same name is replaced.
fn add_named(variables: &mut Vec<(String, String)>, new: &[(String, String)]) {
    for (name, value) in new {
        variables.retain(|(known, _)| known != name);
        variables.push((name.clone(), value.clone()));
    }
}

/// A name without a slash is looked up in PATH and stays; so does an empty one, which means none.
fn resolved(executable: &str, base: &Path) -> String {
    if executable.contains('/') {
        let path = base.join(executable);
        let path = std::path::absolute(&path).unwrap_or(path);
        path.to_string_lossy().into_owned()
    } else {
        executable.to_owned()
    }
}
