//! The four programs of a driver and the run stages (contract E1).

use std::fmt;

use super::go_text;

/// One of the four programs of a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Program {
    /// `config_exec`: prints JSON.
    Config,
    /// `prepare_exec`: makes the environment.
    Prepare,
    /// `run_exec SCRIPT STAGE`: runs one script in it.
    Run,
    /// `cleanup_exec`: removes it.
    Cleanup,
}

impl Program {
    /// All four, in the order of a job.
    pub const ALL: [Self; 4] = [Self::Config, Self::Prepare, Self::Run, Self::Cleanup];

    /// `config`, `prepare`, `run` or `cleanup`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Prepare => "prepare",
            Self::Run => "run",
            Self::Cleanup => "cleanup",
        }
    }

    /// The key of `[runners.custom]` that names it, for example `run_exec`.
    pub fn config_key(self) -> &'static str {
        match self {
            Self::Config => "config_exec",
            Self::Prepare => "prepare_exec",
            Self::Run => "run_exec",
            Self::Cleanup => "cleanup_exec",
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A run stage.
///
/// The payload step `script` is the stage `step_script` inside the runner and `build_script` toward the driver (E2), so
/// there are two names: [`Stage::driver_name`] and [`Stage::section_name`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// `prepare_script`
    PrepareScript,
    /// `get_sources`
    GetSources,
    /// `clear_worktree`: only before the second `get_sources`
    ClearWorktree,
    /// `restore_cache`
    RestoreCache,
    /// `download_artifacts`
    DownloadArtifacts,
    /// A user step: the payload's step name in lower case, without the `step_` prefix. `script` is the build script.
    Step(String),
    /// `after_script`
    AfterScript,
    /// `archive_cache`
    ArchiveCache,
    /// `archive_cache_on_failure`
    ArchiveCacheOnFailure,
    /// `upload_artifacts_on_success`
    UploadArtifactsOnSuccess,
    /// `upload_artifacts_on_failure`
    UploadArtifactsOnFailure,
    /// `cleanup_file_variables`
    CleanupFileVariables,
    /// A stage no runner of this profile sends; a driver must run its script all the same.
    Unknown(String),
}

impl Stage {
    /// The stage of the payload step `script`.
    pub fn build_script() -> Self {
        Self::Step("script".to_owned())
    }

    /// The stage of a payload step (names are lowered, E1).
    pub fn of_step(name: &str) -> Self {
        Self::Step(go_text::to_lower(name))
    }

    /// The last argument of `run_exec`.
    pub fn driver_name(&self) -> String {
        match self {
            Self::Step(name) if name == "script" => "build_script".to_owned(),
            other => other.section_name(),
        }
    }

    /// The name in job-log sections and in the runner's messages.
    pub fn section_name(&self) -> String {
        match self {
            Self::PrepareScript => "prepare_script".into(),
            Self::GetSources => "get_sources".into(),
            Self::ClearWorktree => "clear_worktree".into(),
            Self::RestoreCache => "restore_cache".into(),
            Self::DownloadArtifacts => "download_artifacts".into(),
            Self::Step(name) => format!("step_{name}"),
            Self::AfterScript => "after_script".into(),
            Self::ArchiveCache => "archive_cache".into(),
            Self::ArchiveCacheOnFailure => "archive_cache_on_failure".into(),
            Self::UploadArtifactsOnSuccess => "upload_artifacts_on_success".into(),
            Self::UploadArtifactsOnFailure => "upload_artifacts_on_failure".into(),
            Self::CleanupFileVariables => "cleanup_file_variables".into(),
            Self::Unknown(name) => name.clone(),
        }
    }

    /// The stage with this [`driver_name`](Self::driver_name).
    pub fn from_driver_name(name: &str) -> Self {
        match name {
            "prepare_script" => Self::PrepareScript,
            "get_sources" => Self::GetSources,
            "clear_worktree" => Self::ClearWorktree,
            "restore_cache" => Self::RestoreCache,
            "download_artifacts" => Self::DownloadArtifacts,
            "build_script" => Self::build_script(),
            "after_script" => Self::AfterScript,
            "archive_cache" => Self::ArchiveCache,
            "archive_cache_on_failure" => Self::ArchiveCacheOnFailure,
            "upload_artifacts_on_success" => Self::UploadArtifactsOnSuccess,
            "upload_artifacts_on_failure" => Self::UploadArtifactsOnFailure,
            "cleanup_file_variables" => Self::CleanupFileVariables,
            other => match other.strip_prefix("step_") {
                Some(step) => Self::Step(step.to_owned()),
                None => Self::Unknown(other.to_owned()),
            },
        }
    }

    /// The heading of the stage in the job log (contract L).
    pub fn description(&self) -> String {
        match self {
            Self::PrepareScript => "Preparing environment".into(),
            Self::GetSources => "Getting source from Git repository".into(),
            Self::ClearWorktree => {
                "Deleting all tracked and untracked files due to source fetch failure".into()
            }
            Self::RestoreCache => "Restoring cache".into(),
            Self::DownloadArtifacts => "Downloading artifacts".into(),
            Self::AfterScript => "Running after_script".into(),
            Self::ArchiveCache => "Saving cache for successful job".into(),
            Self::ArchiveCacheOnFailure => "Saving cache for failed job".into(),
            Self::UploadArtifactsOnSuccess => "Uploading artifacts for successful job".into(),
            Self::UploadArtifactsOnFailure => "Uploading artifacts for failed job".into(),
            Self::CleanupFileVariables => {
                "Cleaning up project directory and file based variables".into()
            }
            Self::Step(_) | Self::Unknown(_) => {
                let name = go_text::quote(&self.section_name());
                format!("Executing {name} stage of the job script")
            }
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.driver_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E1: recorded with a step named in Turkish, where a letter has no lower case of its own length, and with a quote.
    #[test]
    fn names_of_steps_are_lowered_and_quoted_as_go_does() {
        assert_eq!(
            Stage::of_step("İstanbul ΟΔΟΣ").driver_name(),
            "step_istanbul οδοσ"
        );
        assert_eq!(
            Stage::of_step("X\"y").description(),
            "Executing \"step_x\\\"y\" stage of the job script"
        );
    }
}
