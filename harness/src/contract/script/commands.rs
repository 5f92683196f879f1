//! Parts that several stages share: exports, user commands, guards (E18).

use super::bash::BashWriter;
use crate::contract::build::Build;
use crate::contract::variables::Variable;

/// Under this name the runner's own binary is called inside the environment (E20).
pub(super) const RUNNER_COMMAND: &str = "gitlab-runner";
/// Variables that user scripts hand to later stages.
pub(super) const ENVIRONMENT_FILE: &str = "gitlab_runner_env";
/// Git configuration that must not lie in the project directory, since it holds credentials.
pub(super) const EXTERNAL_GIT_CONFIG: &str = ".gitlab-runner.ext.conf";
/// Git's global configuration with `FF_GIT_URLS_WITHOUT_TOKENS`.
pub(super) const GLOBAL_GIT_CONFIG: &str = ".glr.gconf";

const OWNER_FILE: &str = ".gitlab-build-uid-gid";

/// Whether file variables are written again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FileVariables {
    Write,
    NameOnly,
}

/// Exports all variables and those of the environment file.
pub(super) fn exports(writer: &mut BashWriter, build: &Build, files: FileVariables) {
    if files == FileVariables::NameOnly {
        write_exports(writer, build, files);
        return;
    }
    // Nearly every stage has them, and they are most of its script.
    let text = build.derivations().exports.get(build.sources(), || {
        let mut writer = BashWriter::new(build);
        write_exports(&mut writer, build, files);
        writer.into_body().into()
    });
    writer.insert(&text);
}

fn write_exports(writer: &mut BashWriter, build: &Build, files: FileVariables) {
    for variable in build.all_variables() {
        if variable.file && files == FileVariables::NameOnly {
            let path = writer.temporary_file(&variable.key);
            writer.export(&variable.key, &path);
        } else {
            writer.variable(variable);
        }
    }
    let environment_file = writer.temporary_file(ENVIRONMENT_FILE);
    writer.variable(&Variable::new("GITLAB_ENV", &environment_file));
    writer.source_environment(&environment_file);
    if build.feature("FF_GIT_URLS_WITHOUT_TOKENS") {
        let file = writer.temporary_file(GLOBAL_GIT_CONFIG);
        writer.export_expanding("GIT_CONFIG_GLOBAL", &file);
    }
}

/// Exports, then changes into the project directory.
pub(super) fn enter_project(writer: &mut BashWriter, build: &Build) {
    exports(writer, build, FileVariables::Write);
    writer.change_dir(&build.project_dir());
}

/// Script lines of the user, each shown before it runs.
pub(super) fn user_commands<'a>(
    writer: &mut BashWriter,
    build: &Build,
    prefix: &str,
    commands: impl IntoIterator<Item = &'a str>,
) {
    for (index, command) in commands.into_iter().enumerate() {
        let command = command.trim();
        match command.split_once('\n') {
            _ if command.is_empty() => writer.empty_line(),
            None => writer.notice(&format!("$ {command}")),
            Some(_)
                if build.feature("FF_SCRIPT_SECTIONS")
                    && build.payload().features.trace_sections =>
            {
                writer.command_section(&format!("{prefix}_{index}"), command);
            }
            Some((first_line, _)) => {
                writer.notice(&format!("$ {first_line} # collapsed multi-line command"));
            }
        }
        writer.line(command);
        writer.check_errors();
    }
}

/// What needs the runner's binary; without it a warning is printed instead.
pub(super) fn guarded(writer: &mut BashWriter, action: &str, write: impl FnOnce(&mut BashWriter)) {
    writer.if_command(RUNNER_COMMAND, &["--version"]);
    write(writer);
    writer.otherwise();
    writer.warning(&format!("Missing {RUNNER_COMMAND}. {action} is disabled."));
    writer.end_if();
}

/// Gives directories to the owner that a kubernetes executor would have noted down; the lines are there for all
/// executors.
pub(super) fn change_owner(writer: &mut BashWriter, build: &Build, dirs: &[&str]) {
    let file = format!("{}/{OWNER_FILE}", build.root_dir());
    let debugs = build.settings().debug_trace || build.settings().debug_services;
    writer.if_file(&file);
    for dir in dirs.iter().filter(|dir| !dir.trim().is_empty()) {
        writer.if_directory(dir);
        writer.line(&format!("chown -R \"$(stat -c '%u:%g' '{file}')\" '{dir}'"));
        if debugs {
            writer.line(&format!(
                "echo \"Setting ownership for {dir} to $(stat -c '%u:%g' '{file}')\""
            ));
        }
        writer.end_if();
    }
    writer.end_if();
}

/// Removes the file that [`change_owner`] looks for.
pub(super) fn remove_owner_file(writer: &mut BashWriter, build: &Build) {
    let file = crate::contract::go_path::join(&[build.root_dir(), OWNER_FILE]);
    writer.remove_file(&file);
}
