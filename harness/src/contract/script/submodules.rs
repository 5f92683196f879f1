//! Submodules in `get_sources` (E18).

use super::bash::BashWriter;
use super::sources::EXTERNAL_CONFIG_REFERENCE;
use crate::contract::build::Build;
use crate::contract::go_text::quote_list;
use crate::contract::settings::SubmoduleStrategy;

const EXCLUDE_WITHOUT_PATH: &str = ":(exclude)";

/// The part of `get_sources` about submodules. The error is the runner's.
pub(super) fn write_submodules(writer: &mut BashWriter, build: &Build) -> Result<(), String> {
    match build.settings().submodules() {
        SubmoduleStrategy::None => {
            writer.notice("Skipping Git submodules setup");
            Ok(())
        }
        SubmoduleStrategy::Invalid => Err("unknown GIT_SUBMODULE_STRATEGY".into()),
        SubmoduleStrategy::Normal => write_update(writer, build, false),
        SubmoduleStrategy::Recursive => write_update(writer, build, true),
    }
}

/// The git commands about submodules of one job.
struct Commands {
    sync: Vec<String>,
    update: Vec<String>,
    each: Vec<String>,
    clean: Vec<String>,
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

impl Commands {
    fn new(build: &Build, recursive: bool) -> Result<Self, String> {
        let settings = &build.settings().git;
        if settings
            .submodule_paths
            .iter()
            .any(|path| path == EXCLUDE_WITHOUT_PATH)
        {
            return Err(format!(
                "GIT_SUBMODULE_PATHS: invalid submodule pathspec {}",
                quote_list(&settings.submodule_paths)
            ));
        }
        let mut paths = Vec::new();
        if !settings.submodule_paths.is_empty() {
            paths.push("--".to_owned());
            paths.extend_from_slice(&settings.submodule_paths);
        }
        let recursion = if recursive {
            owned(&["--recursive"])
        } else {
            Vec::new()
        };
        let depth = if settings.submodule_depth > 0 {
            vec!["--depth".to_owned(), settings.submodule_depth.to_string()]
        } else {
            Vec::new()
        };
        let clean_flags = if settings.clean_flags.is_empty() {
            owned(&["-ffdx"])
        } else {
            settings.clean_flags.clone()
        };
        Ok(Self {
            sync: [
                owned(&["submodule", "sync"]),
                recursion.clone(),
                paths.clone(),
            ]
            .concat(),
            update: [
                owned(&["submodule", "update", "--init"]),
                recursion.clone(),
                depth,
                settings.submodule_update_flags.clone(),
                paths,
            ]
            .concat(),
            each: [owned(&["submodule", "foreach"]), recursion].concat(),
            clean: [owned(&["git", "clean"]), clean_flags].concat(),
        })
    }

    fn each_does(&self, command: &[&str]) -> Vec<String> {
        [self.each.clone(), owned(command)].concat()
    }
}

/// Some submodule commands do not read the main repository's configuration, so the credentials are named to them.
fn with_credentials(command: &[String]) -> Vec<String> {
    [
        owned(&["-c", &format!("include.path={EXTERNAL_CONFIG_REFERENCE}")]),
        command.to_vec(),
    ]
    .concat()
}

fn git(writer: &mut BashWriter, command: &[String]) {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    writer.command("git", &words);
}

fn git_expanding(writer: &mut BashWriter, command: &[String]) {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    writer.command_expanding("git", &words);
}

fn write_update(writer: &mut BashWriter, build: &Build, recursive: bool) -> Result<(), String> {
    let settings = &build.settings().git;
    write_notice(writer, recursive, settings.submodule_depth);
    let commands = Commands::new(build, recursive)?;
    let clean = [commands.each.clone(), commands.clean.clone()].concat();
    let reset = commands.each_does(&["git", "reset", "--hard"]);
    writer.command("git", &["submodule", "init"]);
    git(writer, &commands.sync);
    git(writer, &clean);
    git(writer, &reset);
    let update = with_credentials(&commands.update);
    let update_words: Vec<&str> = update.iter().map(String::as_str).collect();
    writer.if_command_expanding("git", &update_words);
    writer.notice("Updated submodules");
    git(writer, &commands.sync);
    writer.otherwise();
    writer.warning("Updating submodules failed. Retrying...");
    if settings
        .submodule_update_flags
        .iter()
        .any(|flag| flag.eq_ignore_ascii_case("--remote"))
    {
        let fetch = commands.each_does(&[
            "git",
            "fetch",
            "origin",
            "+refs/heads/*:refs/remotes/origin/*",
        ]);
        git_expanding(writer, &with_credentials(&fetch));
    }
    git(writer, &commands.sync);
    git_expanding(writer, &update);
    git(writer, &reset);
    writer.end_if();
    git(writer, &clean);
    write_credentials(writer, &commands, recursive);
    if !settings.lfs_skip_smudge {
        writer.if_command("git", &["lfs", "version"]);
        writer.notice("Pulling LFS files...");
        git_expanding(
            writer,
            &with_credentials(&commands.each_does(&["git", "lfs", "pull"])),
        );
        writer.end_if();
    }
    Ok(())
}

fn write_notice(writer: &mut BashWriter, recursive: bool, depth: i64) {
    let how = match (recursive, depth) {
        (true, 1..) => format!(" recursively with git depth set to {depth}"),
        (true, 0) => " recursively".to_owned(),
        (false, 1..) => format!(" with git depth set to {depth}"),
        _ => String::new(),
    };
    writer.notice(&format!("Updating/initializing submodules{how}..."));
}

/// Credentials are given to submodules of all levels, whatever the strategy.
fn write_credentials(writer: &mut BashWriter, commands: &Commands, recursive: bool) {
    writer.notice("Configuring submodules to use parent git credentials...");
    let mut command = commands.each.clone();
    if !recursive {
        command.push("--recursive".into());
    }
    command.extend(owned(&[
        "git",
        "config",
        "--replace-all",
        "include.path",
        EXTERNAL_CONFIG_REFERENCE,
    ]));
    git_expanding(writer, &command);
}
