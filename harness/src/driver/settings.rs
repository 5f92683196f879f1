//! `driver-conformance.toml` beside a driver: what the harness must know about it. Documented in
//! `docs/configuration.md`.

use std::path::{Path, PathBuf};

use crate::contract::stage::Program;
use crate::leaks::lists::ListCommand;
use crate::plan::waiver::Waiver;

use super::backend::BackendChoice;
use super::list;
use super::overrides::{Overrides, ProgramOverride, TimeoutOverrides};
use super::problem::{Problem, SourceFile};
use super::section::{Document, Section};

/// Name of the file.
pub const SETTINGS_FILE: &str = "driver-conformance.toml";

/// What stands in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where it is.
    pub path: PathBuf,
    /// Replacements of what was found.
    pub overrides: Overrides,
    /// Defaults of the command line.
    pub selection: SelectionDefaults,
    /// Exceptions.
    pub waivers: Vec<Waiver>,
    /// Commands that list the objects of the backend.
    pub lists: Vec<ListCommand>,
}

/// Defaults for flags that are not given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SelectionDefaults {
    /// `--only`
    pub only: Vec<String>,
    /// `--skip`
    pub skip: Vec<String>,
    /// `--strict`
    pub strict: bool,
    /// `--seed`
    pub seed: Option<u64>,
    /// `--jobs`
    pub jobs: Option<usize>,
}

/// Reads the settings in this directory, if there are any.
pub(super) fn read(directory: &Path) -> Result<Option<Settings>, Problem> {
    let path = directory.join(SETTINGS_FILE);
    if !path.exists() {
        return Ok(None);
    }
    let file = SourceFile::read(&path)?;
    let document = Document::parse(&file)?;
    let mut root = document.root();
    let mut settings = Settings {
        path,
        ..Settings::default()
    };
    if let Some(word) = root.string("backend")? {
        let span = root.span_of("backend");
        let choice = BackendChoice::parse(&word, directory);
        let choice = choice.map_err(|problem| problem.at(root.file(), span, "this one"))?;
        settings.overrides.backend = Some(choice);
    }
    if let Some(mut custom) = root.section("custom")? {
        read_custom(&mut custom, &mut settings.overrides)?;
        custom.deny_unknown_keys()?;
    }
    if let Some(mut runner) = root.section("runner")? {
        let overrides = &mut settings.overrides;
        overrides.shell = runner.string("shell")?;
        overrides.builds_dir = runner.string("builds_dir")?;
        overrides.cache_dir = runner.string("cache_dir")?;
        overrides.environment = runner.strings("environment")?.unwrap_or_default();
        runner.deny_unknown_keys()?;
    }
    if let Some(mut job) = root.section("job")? {
        let overrides = &mut settings.overrides;
        overrides.image = job.string("image")?;
        overrides.services = job.strings("services")?;
        overrides.variables = job.string_entries("variables")?;
        job.deny_unknown_keys()?;
    }
    if let Some(mut host) = root.section("host")? {
        let inherited = host.strings("inherit")?.unwrap_or_default();
        let inherited = inherited.into_iter().filter_map(|name| {
            let value = std::env::var(&name).ok()?;
            Some((name, value))
        });
        let overrides = &mut settings.overrides;
        overrides.host_environment = inherited.collect();
        overrides
            .host_environment
            .extend(host.string_entries("environment")?);
        host.deny_unknown_keys()?;
    }
    if let Some(mut selection) = root.section("selection")? {
        settings.selection = read_selection(&mut selection)?;
        selection.deny_unknown_keys()?;
    }
    for mut waiver in root.sections("waiver")? {
        settings.waivers.push(read_waiver(&mut waiver)?);
        waiver.deny_unknown_keys()?;
    }
    for mut list in root.sections("list")? {
        settings.lists.extend(list::read(&mut list, directory)?);
        list.deny_unknown_keys()?;
    }
    root.deny_unknown_keys()?;
    Ok(Some(settings))
}

fn read_custom(section: &mut Section<'_>, overrides: &mut Overrides) -> Result<(), Problem> {
    for (program, exec_key, args_key) in [
        (Program::Config, "config_exec", "config_args"),
        (Program::Prepare, "prepare_exec", "prepare_args"),
        (Program::Run, "run_exec", "run_args"),
        (Program::Cleanup, "cleanup_exec", "cleanup_args"),
    ] {
        let replacement = ProgramOverride {
            executable: section.string(exec_key)?,
            args: section.strings(args_key)?,
        };
        if replacement != ProgramOverride::default() {
            overrides.programs.insert(program, replacement);
        }
    }
    overrides.timeouts = TimeoutOverrides {
        config_exec: section.integer("config_exec_timeout")?,
        prepare_exec: section.integer("prepare_exec_timeout")?,
        cleanup_exec: section.integer("cleanup_exec_timeout")?,
        graceful_kill: section.integer("graceful_kill_timeout")?,
        force_kill: section.integer("force_kill_timeout")?,
    };
    Ok(())
}

fn read_selection(section: &mut Section<'_>) -> Result<SelectionDefaults, Problem> {
    let mut positive = |key: &'static str| -> Result<Option<u64>, Problem> {
        let Some(number) = section.integer(key)? else {
            return Ok(None);
        };
        u64::try_from(number).map(Some).map_err(|_| {
            let span = section.span_of(key);
            Problem::new(
                format!("`{key}` in [selection] is negative"),
                format!("write a number from 0, for example `{key} = 1`"),
            )
            .at(section.file(), span, "negative")
        })
    };
    let seed = positive("seed")?;
    let jobs = positive("jobs")?.and_then(|jobs| usize::try_from(jobs).ok());
    Ok(SelectionDefaults {
        only: section.strings("only")?.unwrap_or_default(),
        skip: section.strings("skip")?.unwrap_or_default(),
        strict: section.boolean("strict")?.unwrap_or_default(),
        seed,
        jobs: jobs.filter(|jobs| *jobs > 0),
    })
}

fn read_waiver(section: &mut Section<'_>) -> Result<Waiver, Problem> {
    let (line, _) = section.file().position(section.span().start);
    let (check, reason, expires) = (
        section.string("check")?,
        section.string("reason")?,
        section.date("expires")?,
    );
    let missing = |key: &str, example: &str| {
        let message = format!("a [[waiver]] lacks `{key}`");
        let remedy = format!("add it, for example: {key} = {example}");
        Problem::new(message, remedy).at(section.file(), section.span(), "this one")
    };
    let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let check = given(check).ok_or_else(|| missing("check", "\"output/complete\""))?;
    let reason = given(reason).ok_or_else(|| missing("reason", "\"why it is excepted\""))?;
    let expires = expires.ok_or_else(|| missing("expires", "2027-01-31"))?;
    Ok(Waiver {
        check,
        case: section.string("case")?,
        message: section.string("message")?,
        reason,
        link: section.string("link")?,
        owner: section.string("owner")?,
        expires,
        place: format!("{SETTINGS_FILE}:{line}"),
    })
}
