//! `cleanup_file_variables` (E14, E18).

use super::bash::BashWriter;
use super::commands::{
    ENVIRONMENT_FILE, EXTERNAL_GIT_CONFIG, FileVariables, GLOBAL_GIT_CONFIG, exports,
    remove_owner_file,
};
use super::prepare::MASKING_FILE;
use super::sources::{write_git_cleanup, write_reject_credentials};
use crate::contract::build::Build;
use crate::contract::settings::{GitStrategy, SubmoduleStrategy};

/// `cleanup_file_variables`
pub(super) fn write_cleanup(writer: &mut BashWriter, build: &Build) {
    exports(writer, build, FileVariables::NameOnly);
    write_reject_credentials(writer, build);
    for name in [
        ENVIRONMENT_FILE,
        MASKING_FILE,
        EXTERNAL_GIT_CONFIG,
        GLOBAL_GIT_CONFIG,
    ] {
        let file = writer.temporary_file(name);
        writer.remove_file(&file);
    }
    for variable in build
        .all_variables()
        .iter()
        .filter(|variable| variable.file)
    {
        let file = writer.temporary_file(&variable.key);
        writer.remove_file(&file);
    }
    if build.feature("FF_ENABLE_JOB_CLEANUP") {
        write_project_cleanup(writer, build);
    }
    write_git_cleanup(writer, build);
    remove_owner_file(writer, build);
}

fn write_project_cleanup(writer: &mut BashWriter, build: &Build) {
    let settings = build.settings();
    match settings.git.strategy {
        GitStrategy::Clone | GitStrategy::Empty => writer.remove_dir(&build.project_dir()),
        GitStrategy::None => writer.notice("Skipping build directory cleanup step"),
        GitStrategy::Fetch => {
            writer.change_dir(&build.project_dir());
            let mut clean = vec!["clean"];
            clean.extend(settings.git.clean_flags.iter().map(String::as_str));
            let has_clean = clean.len() > 1;
            let reset = ["reset", "--hard"];
            if has_clean {
                writer.command("git", &clean);
            }
            writer.command("git", &reset);
            let each: &[&str] = match settings.submodules() {
                SubmoduleStrategy::Normal => &["submodule", "foreach", "git"],
                SubmoduleStrategy::Recursive => &["submodule", "foreach", "--recursive", "git"],
                SubmoduleStrategy::None | SubmoduleStrategy::Invalid => return,
            };
            if has_clean {
                writer.command("git", &[each, &clean].concat());
            }
            writer.command("git", &[each, &reset].concat());
        }
    }
}
