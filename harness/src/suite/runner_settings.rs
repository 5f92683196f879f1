//! The settings of the emulated runner, complete: what a driver's own configuration leaves open.

use std::path::Path;

use crate::contract::config::RunnerConfig;
use crate::engine::directories::CaseDirectories;

/// Name of a runner whose settings give none.
const NAME: &str = "driver-conformance";
/// Address of GitLab of a runner whose settings give none: without one, a runner uploads no artifacts.
pub(super) const URL: &str = "https://gitlab.example.com";
/// Token of a runner whose settings give none: no real runner is without one, and drivers build names of its first part
/// (`CI_RUNNER_SHORT_TOKEN`).
const TOKEN: &str = "glrt-t1_conformance0123456789";

/// Fills in name, address and token; and, if `provide_directories`, private directories for an empty `builds_dir` and `cache_dir`.
pub(super) fn complete(
    mut config: RunnerConfig,
    provide_directories: bool,
    directories: &CaseDirectories,
) -> RunnerConfig {
    if config.name.is_empty() {
        NAME.clone_into(&mut config.name);
    }
    if config.url.is_empty() {
        URL.clone_into(&mut config.url);
    }
    if config.token.is_empty() {
        TOKEN.clone_into(&mut config.token);
    }
    let provide = |setting: &mut String, directory: &Path| {
        if setting.is_empty() && provide_directories {
            *setting = directory.to_string_lossy().into_owned();
        }
    };
    provide(&mut config.builds_dir, &directories.builds());
    provide(&mut config.cache_dir, &directories.cache());
    config
}
