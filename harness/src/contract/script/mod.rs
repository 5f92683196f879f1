//! The script of each stage as the runner writes it (E17, E18), and which stages have none (E1, E3).

mod artifacts;
mod bash;
mod cache;
mod cleanup;
mod commands;
pub mod escape;
mod powershell;
mod prepare;
mod remote;
mod sources;
mod steps;
mod submodules;

use std::sync::Arc;

pub use bash::FrameOptions;

use bash::BashWriter;

use super::build::Build;
use super::shell::Shell;
use super::stage::Stage;

/// Why the runner has no script for a stage, in its words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// It cannot be written: a system failure of that stage.
    #[error("{0}")]
    Refused(String),
    /// The runner panics over it, which ends the whole run phase.
    #[error("panic: {0}")]
    Panicked(String),
}

impl From<String> for ScriptError {
    fn from(text: String) -> Self {
        Self::Refused(text)
    }
}

/// The runner's real frame around a body of the caller's own, with the runner's default options (E17).
pub fn frame(shell: Shell, body: &str) -> String {
    frame_with(shell, body, FrameOptions::default())
}

/// The runner's real frame around a body of the caller's own (E17).
pub fn frame_with(shell: Shell, body: &str, options: FrameOptions) -> String {
    if shell.is_posix() {
        bash::frame(shell.name(), body, options)
    } else {
        powershell::frame(shell, body, options.trace)
    }
}

impl Build {
    /// The options of the job's scripts' frames.
    pub fn frame_options(&self) -> FrameOptions {
        FrameOptions {
            trace: self.settings().debug_trace,
            legacy_eval: self.feature("FF_USE_LEGACY_BASH_EVAL"),
            posix_escapes: self.feature("FF_POSIXLY_CORRECT_ESCAPES"),
        }
    }

    /// Whether the runner passes over this stage without a call, since there is nothing to do (E1). Says nothing about
    /// stages that are not reached.
    pub fn skips(&self, stage: &Stage) -> bool {
        match stage {
            Stage::PrepareScript | Stage::ClearWorktree | Stage::CleanupFileVariables => false,
            Stage::GetSources => {
                self.feature("FF_SUSPENDABLE_ENVIRONMENTS")
                    && !self
                        .payload()
                        .suspend_options
                        .runtime_environment_key
                        .is_empty()
            }
            Stage::RestoreCache => cache::restored(self).is_empty(),
            Stage::DownloadArtifacts => artifacts::dependencies(self).is_empty(),
            Stage::Step(name) => steps::find_step(self, name).is_none(),
            Stage::AfterScript => steps::find_after_script(self).is_none(),
            Stage::ArchiveCache => cache::archived(self, true).is_empty(),
            Stage::ArchiveCacheOnFailure => cache::archived(self, false).is_empty(),
            Stage::UploadArtifactsOnSuccess => artifacts::uploads(self, true).is_empty(),
            Stage::UploadArtifactsOnFailure => artifacts::uploads(self, false).is_empty(),
            Stage::Unknown(_) => true,
        }
    }

    /// The script of a stage for the job's shell; `None`: the stage is skipped. The error is the runner's.
    pub fn script(&self, stage: &Stage) -> Result<Option<Arc<str>>, ScriptError> {
        let key = (stage.clone(), self.sources());
        self.derivations().scripts.get(key, || {
            let frame = |body: String| frame_with(self.shell(), &body, self.frame_options()).into();
            Ok(self.script_body(stage)?.map(frame))
        })
    }

    /// What is inside the frame of a stage's script; `None`: the stage is skipped.
    pub fn script_body(&self, stage: &Stage) -> Result<Option<String>, ScriptError> {
        if self.skips(stage) {
            return Ok(None);
        }
        if !self.shell().is_posix() {
            return Ok(Some(self.powershell_body(stage)));
        }
        let mut writer = BashWriter::new(self);
        self.write_stage(&mut writer, stage)?;
        Ok(Some(writer.into_body()))
    }

    fn write_stage(&self, writer: &mut BashWriter, stage: &Stage) -> Result<(), ScriptError> {
        match stage {
            Stage::PrepareScript => prepare::write_prepare_script(writer, self),
            Stage::GetSources => sources::write_get_sources(writer, self)?,
            Stage::ClearWorktree => sources::write_clear_worktree(writer, self),
            Stage::RestoreCache => cache::write_restore(writer, self, &cache::restored(self))?,
            Stage::DownloadArtifacts => {
                artifacts::write_downloads(writer, self, &artifacts::dependencies(self));
            }
            Stage::Step(name) => {
                if let Some(step) = steps::find_step(self, name) {
                    steps::write_step(writer, self, step);
                }
            }
            Stage::AfterScript => {
                if let Some(step) = steps::find_after_script(self) {
                    steps::write_after_script(writer, self, step);
                }
            }
            Stage::ArchiveCache => {
                cache::write_archive(writer, self, &cache::archived(self, true))?;
            }
            Stage::ArchiveCacheOnFailure => {
                cache::write_archive(writer, self, &cache::archived(self, false))?;
            }
            Stage::UploadArtifactsOnSuccess => {
                artifacts::write_uploads(writer, self, &artifacts::uploads(self, true));
            }
            Stage::UploadArtifactsOnFailure => {
                artifacts::write_uploads(writer, self, &artifacts::uploads(self, false));
            }
            Stage::CleanupFileVariables => cleanup::write_cleanup(writer, self),
            Stage::Unknown(_) => {}
        }
        Ok(())
    }

    fn powershell_body(&self, stage: &Stage) -> String {
        let commands = match stage {
            Stage::Step(name) => steps::find_step(self, name)
                .map(|step| steps::step_lines(self, step))
                .unwrap_or_default(),
            Stage::AfterScript => steps::find_after_script(self)
                .map(|step| step.script.to_vec())
                .unwrap_or_default(),
            _ => Vec::new(),
        };
        let exports = !matches!(stage, Stage::PrepareScript | Stage::ClearWorktree);
        let content = powershell::Content {
            greets: *stage == Stage::PrepareScript,
            exports,
            enters_project: exports
                && !matches!(stage, Stage::GetSources | Stage::CleanupFileVariables),
            commands,
        };
        powershell::body(self, &content)
    }
}
