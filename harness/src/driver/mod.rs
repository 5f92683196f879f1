//! Finding out what the driver is: a directory, one executable, or a runner `config.toml`.
//!
//! [`discover`] reads, [`Overrides`] replaces (first from `driver-conformance.toml`, then from the command line), and
//! the programs are looked at before anything is run: most of what can be wrong with a file is told in one paragraph
//! here, instead of as a failure of every call later.

mod backend;
mod digest;
mod directory;
mod list;
mod overrides;
mod problem;
mod programs;
mod runner_config;
mod section;
mod settings;
pub mod tools;

use std::path::{Path, PathBuf};

use crate::contract::config::{CustomConfig, GlobalConfig, RunnerConfig};
use crate::contract::stage::Program;
use crate::leaks::lists::ListCommand;
use crate::plan::waiver::Waiver;

pub use backend::BackendChoice;
pub use overrides::{Overrides, ProgramOverride, TimeoutOverrides};
pub use problem::{Problem, SourceFile};
pub use section::similar_name;
pub use settings::{SETTINGS_FILE, SelectionDefaults, Settings};

/// What kind of thing the driver is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DriverKind {
    /// A directory with one program for each call.
    Directory,
    /// One program with subcommands.
    Executable,
    /// The `config.toml` of a runner.
    ConfigToml,
}

impl DriverKind {
    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Executable => "executable",
            Self::ConfigToml => "config-toml",
        }
    }
}

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The program as the runner gets it: absolute, or a name for PATH, or relative as written in `config.toml`.
    pub executable: String,
    /// Its first arguments; for run, script and stage follow.
    pub args: Vec<String>,
}

/// What the jobs of the suite are given, for drivers that need it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobSettings {
    /// `image.name`
    pub image: Option<String>,
    /// `services[].name`
    pub services: Vec<String>,
    /// CI variables.
    pub variables: Vec<(String, String)>,
}

/// The driver under test with everything known about it.
#[derive(Debug, Clone)]
pub struct Driver {
    /// What kind of thing it is.
    pub kind: DriverKind,
    /// As given by the user.
    pub path: PathBuf,
    /// Settings of the emulated runner; `custom` is always there and names the programs.
    pub config: RunnerConfig,
    /// The top level of `config.toml`, or its defaults.
    pub global: GlobalConfig,
    /// What its jobs are given.
    pub job: JobSettings,
    /// Variables that the process of the runner has beside those that every case gives it.
    pub host_environment: Vec<(String, String)>,
    /// Defaults for flags that are not given.
    pub selection: SelectionDefaults,
    /// Exceptions from checks.
    pub waivers: Vec<Waiver>,
    /// Whether directories of the harness take the place of an empty `builds_dir` and `cache_dir`. In a `config.toml`
    /// their absence is a configuration error of the runner (contract A5), and must show as one.
    pub provide_directories: bool,
    /// `sha256:` and the digest over its files.
    pub digest: String,
    /// What is odd about its configuration, but stops nothing.
    pub notes: Vec<Problem>,
    /// Commands that list the objects of its backend.
    pub lists: Vec<ListCommand>,
    /// The backend in front of which it is run instead of its own.
    pub backend: Option<BackendChoice>,
}

impl Driver {
    /// One of its programs; `None`: it has none, and the runner skips the call.
    pub fn program(&self, program: Program) -> Option<Invocation> {
        let custom = self.config.custom.as_ref()?;
        let (executable, args) = match program {
            Program::Config => (&custom.config_exec, &custom.config_args),
            Program::Prepare => (&custom.prepare_exec, &custom.prepare_args),
            Program::Run => (&custom.run_exec, &custom.run_args),
            Program::Cleanup => (&custom.cleanup_exec, &custom.cleanup_args),
        };
        if executable.is_empty() {
            return None;
        }
        Some(Invocation {
            executable: executable.clone(),
            args: args.clone(),
        })
    }
}

/// Program and arguments of one call in the configuration.
fn program_slots(custom: &mut CustomConfig, program: Program) -> (&mut String, &mut Vec<String>) {
    match program {
        Program::Config => (&mut custom.config_exec, &mut custom.config_args),
        Program::Prepare => (&mut custom.prepare_exec, &mut custom.prepare_args),
        Program::Run => (&mut custom.run_exec, &mut custom.run_args),
        Program::Cleanup => (&mut custom.cleanup_exec, &mut custom.cleanup_args),
    }
}

/// Finds the driver at a path. `runner` chooses among several of a `config.toml`; `flags` win over everything.
pub fn discover(path: &Path, runner: Option<&str>, flags: &Overrides) -> Result<Driver, Problem> {
    let metadata = std::fs::metadata(path).map_err(|error| {
        let message = match error.kind() {
            std::io::ErrorKind::NotFound => format!("there is no {}", path.display()),
            _ => format!("{} cannot be looked at: {error}", path.display()),
        };
        Problem::new(
            message,
            "point at a directory with the program `run`, at one executable with \
             subcommands, or at a runner's config.toml",
        )
    })?;
    let kind = kind_of(path, &metadata)?;
    if runner.is_some() && kind != DriverKind::ConfigToml {
        return Err(Problem::new(
            format!(
                "--runner chooses a runner of a config.toml, but {} is none",
                path.display()
            ),
            "leave --runner out, or point at the config.toml",
        ));
    }
    let mut driver = Driver {
        kind,
        path: path.to_owned(),
        config: RunnerConfig {
            name: "driver-conformance".to_owned(),
            executor: "custom".to_owned(),
            ..RunnerConfig::default()
        },
        global: GlobalConfig::default(),
        job: JobSettings::default(),
        host_environment: Vec::new(),
        selection: SelectionDefaults::default(),
        waivers: Vec::new(),
        provide_directories: kind != DriverKind::ConfigToml,
        digest: String::new(),
        notes: Vec::new(),
        lists: Vec::new(),
        backend: None,
    };
    let absolute = absolute(path)?;
    let places = read_programs(&mut driver, &absolute, runner)?;
    let home = if kind == DriverKind::Directory {
        absolute.as_path()
    } else {
        absolute.parent().unwrap_or(&absolute)
    };
    if let Some(settings) = settings::read(home)? {
        settings.overrides.apply(&mut driver, home);
        driver.selection = settings.selection;
        driver.waivers = settings.waivers;
        driver.lists = settings.lists;
    }
    flags.apply(&mut driver, &absolute_current_directory()?);
    programs::examine(&driver, places.as_ref())?;
    driver.digest = digest::of(&digest_paths(&driver, &absolute));
    Ok(driver)
}

/// Fills in the programs; for a `config.toml` also returns where it names them.
fn read_programs(
    driver: &mut Driver,
    absolute: &Path,
    runner: Option<&str>,
) -> Result<Option<programs::Places>, Problem> {
    match driver.kind {
        DriverKind::Directory => {
            driver.config.custom = Some(directory::programs(absolute)?);
            Ok(None)
        }
        DriverKind::Executable => {
            let mut custom = CustomConfig::default();
            for program in Program::ALL {
                let (executable, args) = program_slots(&mut custom, program);
                *executable = absolute.to_string_lossy().into_owned();
                *args = vec![program.name().to_owned()];
            }
            driver.config.custom = Some(custom);
            Ok(None)
        }
        DriverKind::ConfigToml => {
            // The path as given: it is what the user reads in a message.
            let read = runner_config::read(&driver.path, runner)?;
            driver.config = read.runner;
            driver.global = read.global;
            driver.notes = read.notes;
            Ok(Some(programs::Places {
                file: read.file,
                spans: read.spans,
            }))
        }
    }
}

fn kind_of(path: &Path, metadata: &std::fs::Metadata) -> Result<DriverKind, Problem> {
    if metadata.is_dir() {
        return Ok(DriverKind::Directory);
    }
    if !metadata.is_file() {
        return Err(Problem::new(
            format!("{} is neither a file nor a directory", path.display()),
            "point at a directory, an executable or a config.toml",
        ));
    }
    if path.file_name().is_some_and(|name| name == SETTINGS_FILE) {
        return Err(Problem::new(
            format!(
                "{} holds settings for a driver, but is none",
                path.display()
            ),
            "point at the driver beside it: its directory, its executable or its config.toml",
        ));
    }
    if path
        .extension()
        .is_some_and(|extension| extension == "toml")
    {
        return Ok(DriverKind::ConfigToml);
    }
    Ok(DriverKind::Executable)
}

fn absolute(path: &Path) -> Result<PathBuf, Problem> {
    path.canonicalize().map_err(|error| {
        Problem::new(
            format!("{} cannot be resolved: {error}", path.display()),
            "check the permissions of the directories above it",
        )
    })
}

fn absolute_current_directory() -> Result<PathBuf, Problem> {
    std::env::current_dir().map_err(|error| {
        Problem::new(
            format!("the working directory cannot be found: {error}"),
            "change to a directory that exists",
        )
    })
}

/// The files the digest is made of: the path itself and the programs it names.
fn digest_paths(driver: &Driver, absolute: &Path) -> Vec<PathBuf> {
    let mut paths = vec![absolute.to_owned()];
    for program in Program::ALL {
        if let Some(invocation) = driver.program(program) {
            let executable = PathBuf::from(invocation.executable);
            if executable.is_absolute() && !executable.starts_with(absolute) {
                paths.push(executable);
            }
        }
    }
    paths
}

#[cfg(test)]
mod tests;
