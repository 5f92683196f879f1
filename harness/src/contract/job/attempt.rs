//! What belongs to one prepare attempt: its directory, and what its config said (contract C7, C10, C11).

use std::path::PathBuf;

use super::super::build::ConfigurationError;
use super::super::json_config::ConfigOutput;
use super::Job;

/// One prepare attempt.
#[derive(Debug, Clone, Default)]
pub(super) struct Attempt {
    pub(super) number: u32,
    pub(super) temp_dir: PathBuf,
    pub(super) job_env: Vec<(String, String)>,
    config: ConfigOutput,
}

impl Attempt {
    pub(super) fn new(number: u32, temp_dir: PathBuf) -> Self {
        Self {
            number,
            temp_dir,
            ..Self::default()
        }
    }

    pub(super) fn response_file(&self) -> PathBuf {
        self.temp_dir.join("response.json")
    }

    pub(super) fn exit_code_file(&self) -> PathBuf {
        self.temp_dir.join("build_exit_code")
    }

    /// The line that says which driver is at work; a version without a name is ignored (C10).
    pub(super) fn startup_line(&self) -> String {
        let driver = self.config.driver.clone().unwrap_or_default();
        match (driver.name, driver.version) {
            (None, _) => "Using Custom executor...".into(),
            (Some(name), None) => format!("Using Custom executor with driver {name}..."),
            (Some(name), Some(version)) => {
                format!("Using Custom executor with driver {name} {version}...")
            }
        }
    }
}

impl Job {
    /// Takes what config said: `hostname` for good, the rest for this attempt (C7, C8).
    pub(super) fn apply_config(&mut self, config: ConfigOutput) {
        if let Some(hostname) = &config.hostname {
            self.build.set_hostname(hostname);
        }
        self.attempt.job_env = config.job_env.clone().unwrap_or_default();
        self.attempt.config = config;
    }

    /// Directories of the job, from config or from the runner's settings (A5, A7).
    pub(super) fn start_build(&mut self) -> Result<(), ConfigurationError> {
        let runner = self.build.runner();
        let config = &self.attempt.config;
        let builds_dir = config
            .builds_dir
            .clone()
            .unwrap_or_else(|| runner.builds_dir.clone());
        let cache_dir = config
            .cache_dir
            .clone()
            .unwrap_or_else(|| runner.cache_dir.clone());
        let shared = config.builds_dir_is_shared.unwrap_or(false);
        self.build.start_build(&builds_dir, &cache_dir, shared)
    }

    /// The shell, from config or from the runner's settings; empty means the platform's (A5, C7).
    pub(super) fn choose_shell(&mut self) -> Result<(), String> {
        let shell = self.attempt.config.shell.clone();
        let shell = shell.unwrap_or_else(|| self.build.runner().shell.clone());
        self.build.set_shell(&shell)
    }
}
