//! The runner's settings that reach a driver: the keys of `config.toml` as the runner reads them (contract A1, A4, A5).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::log_updates::FINAL_UPDATE_TRIES;

/// Default of `config_exec_timeout`, `prepare_exec_timeout` and `cleanup_exec_timeout` (A4).
pub const EXEC_TIMEOUT_DEFAULT: Duration = Duration::from_hours(1);
/// Default of `graceful_kill_timeout` (A4).
pub const GRACEFUL_KILL_TIMEOUT_DEFAULT: Duration = Duration::from_mins(10);
/// Default of `force_kill_timeout` (A4).
pub const FORCE_KILL_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// Default of `shutdown_timeout` (K).
pub const SHUTDOWN_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// `[runners.custom]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CustomConfig {
    /// Program that prints the job's configuration as JSON. Empty: skipped.
    pub config_exec: String,
    /// Its arguments.
    pub config_args: Vec<String>,
    /// Seconds; 0 or negative means the default.
    pub config_exec_timeout: Option<i64>,
    /// Program that makes the environment. Empty: skipped.
    pub prepare_exec: String,
    /// Its arguments.
    pub prepare_args: Vec<String>,
    /// Seconds; 0 or negative means the default.
    pub prepare_exec_timeout: Option<i64>,
    /// Program that runs a script in the environment. Empty: the job fails without any call (A2).
    pub run_exec: String,
    /// Its first arguments; script path and stage follow.
    pub run_args: Vec<String>,
    /// Program that removes the environment. Empty: skipped.
    pub cleanup_exec: String,
    /// Its arguments.
    pub cleanup_args: Vec<String>,
    /// Seconds; 0 or negative means the default.
    pub cleanup_exec_timeout: Option<i64>,
    /// Seconds between SIGTERM and SIGKILL; 0 or negative means the default.
    pub graceful_kill_timeout: Option<i64>,
    /// Seconds between SIGKILL and giving up; 0 or negative means the default.
    pub force_kill_timeout: Option<i64>,
}

fn seconds_or(value: Option<i64>, default: Duration) -> Duration {
    match value {
        Some(seconds) if seconds > 0 => Duration::from_secs(seconds.unsigned_abs()),
        _ => default,
    }
}

impl CustomConfig {
    /// How long `config_exec` may run (A4).
    pub fn config_exec_timeout(&self) -> Duration {
        seconds_or(self.config_exec_timeout, EXEC_TIMEOUT_DEFAULT)
    }
    /// How long `prepare_exec` may run (A4).
    pub fn prepare_exec_timeout(&self) -> Duration {
        seconds_or(self.prepare_exec_timeout, EXEC_TIMEOUT_DEFAULT)
    }
    /// How long `cleanup_exec` may run (A4).
    pub fn cleanup_exec_timeout(&self) -> Duration {
        seconds_or(self.cleanup_exec_timeout, EXEC_TIMEOUT_DEFAULT)
    }
    /// Wait between SIGTERM and SIGKILL (A4, H1).
    pub fn graceful_kill_timeout(&self) -> Duration {
        seconds_or(self.graceful_kill_timeout, GRACEFUL_KILL_TIMEOUT_DEFAULT)
    }
    /// Wait between SIGKILL and giving up (A4, H1).
    pub fn force_kill_timeout(&self) -> Duration {
        seconds_or(self.force_kill_timeout, FORCE_KILL_TIMEOUT_DEFAULT)
    }
}

/// One `[[runners]]` section.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunnerConfig {
    /// Name of the runner in GitLab.
    pub name: String,
    /// Its id.
    pub id: i64,
    /// URL of the GitLab instance.
    pub url: String,
    /// Authentication token.
    pub token: String,
    /// `custom`.
    pub executor: String,
    /// `bash`, `sh`, `pwsh`, `powershell`; empty means the platform's default.
    pub shell: String,
    /// Where projects are checked out, inside the environment.
    pub builds_dir: String,
    /// Where caches are kept, inside the environment.
    pub cache_dir: String,
    /// `K=V` items that become CI variables.
    pub environment: Vec<String>,
    /// Feature flags; win over job variables.
    pub feature_flags: std::collections::BTreeMap<String, bool>,
    /// Script text before the sources are fetched.
    pub pre_get_sources_script: String,
    /// Script text after the sources are fetched.
    pub post_get_sources_script: String,
    /// Script text before each user step.
    pub pre_build_script: String,
    /// Script text after each user step.
    pub post_build_script: String,
    /// URL to clone from instead of the instance's.
    pub clone_url: String,
    /// Remove git configuration left in the project directory; `None`: the default of the executor.
    pub clean_git_config: Option<bool>,
    /// Make git trust the project directory whoever owns it; `None`: off, the default of the executor.
    pub safe_directory_checkout: Option<bool>,
    /// `[runners.artifact]`.
    pub artifact: ArtifactConfig,
    /// `custom_build_dir.enabled`: whether `GIT_CLONE_PATH` is allowed (A6).
    pub custom_build_dir: CustomBuildDir,
    /// Go duration text, covers config, prepare and `prepare_script` (D7).
    pub prepare_timeout: Option<String>,
    /// Go duration text, covers `get_sources` with its waits (E9).
    pub get_sources_timeout: Option<String>,
    /// Job-log limit in KiB; 0 means 4096.
    pub output_limit: i64,
    /// Refuse `CI_DEBUG_TRACE`.
    pub debug_trace_disabled: bool,
    /// Most jobs of this runner at once; 0 or less: as many as `concurrent` allows.
    pub limit: i64,
    /// How often the final state of a job is sent while GitLab does not take it; less than 1 means 10.
    pub job_status_final_update_retry_limit: i64,
    /// `[runners.custom]`; absent means: executor not configured (A2).
    pub custom: Option<CustomConfig>,
}

impl RunnerConfig {
    /// How often the final state of a job is sent while GitLab does not take it (H15).
    pub fn final_update_tries(&self) -> u32 {
        match u32::try_from(self.job_status_final_update_retry_limit) {
            Ok(0) | Err(_) => FINAL_UPDATE_TRIES,
            Ok(tries) => tries,
        }
    }
}

/// `[runners.artifact]`: Go duration texts that reach the upload script (E18).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ArtifactConfig {
    /// Default one hour.
    pub upload_timeout: Option<String>,
    /// Default ten minutes.
    pub response_header_timeout: Option<String>,
}

/// `[runners.custom_build_dir]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CustomBuildDir {
    /// Whether `GIT_CLONE_PATH` is allowed.
    pub enabled: bool,
}

/// The top level of `config.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GlobalConfig {
    /// Jobs at once.
    pub concurrent: u32,
    /// Seconds between two requests for jobs.
    pub check_interval: u32,
    /// Seconds a forced shutdown may take; 0 means 30.
    pub shutdown_timeout: i64,
    /// `debug`, `info`, `warn`, `error`, `fatal`, `panic`.
    pub log_level: String,
}

impl Default for GlobalConfig {
    fn default() -> Self {
        Self {
            concurrent: 1,
            check_interval: 3,
            shutdown_timeout: 0,
            log_level: "info".into(),
        }
    }
}

impl GlobalConfig {
    /// How long a forced shutdown may take (H12).
    pub fn shutdown_timeout(&self) -> Duration {
        seconds_or(Some(self.shutdown_timeout), SHUTDOWN_TIMEOUT_DEFAULT)
    }
}
