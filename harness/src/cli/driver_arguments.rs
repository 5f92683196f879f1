//! The flags that describe the driver: they win over `driver-conformance.toml`, which wins over what was found.

use std::fmt::Write as _;
use std::path::Path;

use clap::Args;
use driver_conformance_mock_backend::Personality;

use crate::contract::stage::Program;
use crate::driver::tools::shell_quoted;
use crate::driver::{
    BackendChoice, Driver, JobSettings, Overrides, ProgramOverride, TimeoutOverrides, discover,
};

use super::{ExpectedError, SUBCOMMANDS};

/// Flags that describe the driver.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Driver")]
pub struct DriverArguments {
    /// Which runner of the config.toml, if it has several with the Custom executor
    #[arg(long, value_name = "NAME")]
    runner: Option<String>,

    /// Image of the jobs
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,

    /// Service of the jobs; may be repeated
    #[arg(long = "service", value_name = "IMAGE")]
    services: Vec<String>,

    /// CI variable of the jobs; may be repeated
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    variables: Vec<(String, String)>,

    /// Variable of the runner's process, which drivers inherit: a value, or that of this process; may be repeated
    #[arg(long = "host-env", value_name = "NAME[=VALUE]", value_parser = host_variable)]
    host_environment: Vec<HostVariable>,

    /// Shell the scripts are written for: bash or sh
    #[arg(long, value_name = "SHELL")]
    shell: Option<String>,

    /// Where projects are checked out, inside the driver's environment
    #[arg(long, value_name = "DIR")]
    builds_dir: Option<String>,

    /// Where caches are kept, inside the driver's environment
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<String>,

    #[arg(long, value_name = "BACKEND", help = backend_help())]
    backend: Option<String>,

    #[command(flatten)]
    programs: ProgramArguments,

    #[command(flatten)]
    timeouts: TimeoutArguments,
}

/// Flags that name programs.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Programs of the driver")]
struct ProgramArguments {
    /// Program to use as `config_exec`; empty for none
    #[arg(long, value_name = "PROGRAM")]
    config_exec: Option<String>,
    /// One argument of `config_exec`; may be repeated
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    config_args: Vec<String>,
    /// Program to use as `prepare_exec`; empty for none
    #[arg(long, value_name = "PROGRAM")]
    prepare_exec: Option<String>,
    /// One argument of `prepare_exec`; may be repeated
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    prepare_args: Vec<String>,
    /// Program to use as `run_exec`
    #[arg(long, value_name = "PROGRAM")]
    run_exec: Option<String>,
    /// One argument of `run_exec`, before script and stage; may be repeated
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    run_args: Vec<String>,
    /// Program to use as `cleanup_exec`; empty for none
    #[arg(long, value_name = "PROGRAM")]
    cleanup_exec: Option<String>,
    /// One argument of `cleanup_exec`; may be repeated
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    cleanup_args: Vec<String>,
}

/// Flags with the timeouts of `[runners.custom]`.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Timeouts of the runner (0: its default)")]
#[expect(
    clippy::struct_field_names,
    reason = "the names are those of the keys in [runners.custom]"
)]
struct TimeoutArguments {
    /// How long `config_exec` may take
    #[arg(long, value_name = "SECONDS")]
    config_exec_timeout: Option<i64>,
    /// How long `prepare_exec` may take
    #[arg(long, value_name = "SECONDS")]
    prepare_exec_timeout: Option<i64>,
    /// How long `cleanup_exec` may take
    #[arg(long, value_name = "SECONDS")]
    cleanup_exec_timeout: Option<i64>,
    /// Time between SIGTERM and SIGKILL
    #[arg(long, value_name = "SECONDS")]
    graceful_kill_timeout: Option<i64>,
    /// Time between SIGKILL and giving up
    #[arg(long, value_name = "SECONDS")]
    force_kill_timeout: Option<i64>,
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE, for example GREETING=hello".to_owned()),
    }
}

/// A variable of the runner's process.
#[derive(Debug, Clone)]
struct HostVariable {
    name: String,
    value: String,
    /// It was named alone, so that the value need not be shown.
    inherited: bool,
}

fn host_variable(text: &str) -> Result<HostVariable, String> {
    let inherited = !text.contains('=');
    let (name, value) = if inherited {
        let value = std::env::var(text)
            .map_err(|_| format!("there is no variable {text} here; write {text}=VALUE"))?;
        (text.to_owned(), value)
    } else {
        variable(text)?
    };
    Ok(HostVariable {
        name,
        value,
        inherited,
    })
}

impl HostVariable {
    fn pair(&self) -> (String, String) {
        (self.name.clone(), self.value.clone())
    }

    /// As it was given.
    fn typed(&self) -> String {
        if self.inherited {
            self.name.clone()
        } else {
            format!("{}={}", self.name, self.value)
        }
    }
}

fn backend_help() -> String {
    let names: Vec<&str> = Personality::built_in().collect();
    format!(
        "Run the driver in front of this backend instead of its own: mock: and one of {}, or the path of a personality; real: \
         instead of mock: calls the real tools and records it",
        names.join(", ")
    )
}

impl DriverArguments {
    /// Finds the driver at a path and applies the flags.
    pub fn discover(&self, path: &Path) -> Result<Driver, ExpectedError> {
        let text = path.to_string_lossy();
        if !path.exists() && SUBCOMMANDS.iter().any(|name| is_misspelt(&text, name)) {
            let problem = crate::driver::Problem::new(
                format!("there is neither a driver nor a subcommand `{text}`"),
                format!("the subcommands are {}", SUBCOMMANDS.join(", ")),
            );
            return Err(problem.into());
        }
        let mut overrides = self.overrides();
        if let Some(word) = &self.backend {
            overrides.backend = Some(BackendChoice::parse(word, Path::new(""))?);
        }
        Ok(discover(path, self.runner.as_deref(), &overrides)?)
    }

    /// What the flags alone say about jobs.
    pub fn job_settings(&self) -> JobSettings {
        JobSettings {
            image: self.image.clone(),
            services: self.services.clone(),
            variables: self.variables.clone(),
        }
    }

    fn program_arguments(&self) -> [(Program, Option<&String>, &Vec<String>); 4] {
        let programs = &self.programs;
        [
            (
                Program::Config,
                programs.config_exec.as_ref(),
                &programs.config_args,
            ),
            (
                Program::Prepare,
                programs.prepare_exec.as_ref(),
                &programs.prepare_args,
            ),
            (Program::Run, programs.run_exec.as_ref(), &programs.run_args),
            (
                Program::Cleanup,
                programs.cleanup_exec.as_ref(),
                &programs.cleanup_args,
            ),
        ]
    }

    fn timeout_arguments(&self) -> [(&'static str, Option<i64>); 5] {
        let timeouts = &self.timeouts;
        [
            ("--config-exec-timeout", timeouts.config_exec_timeout),
            ("--prepare-exec-timeout", timeouts.prepare_exec_timeout),
            ("--cleanup-exec-timeout", timeouts.cleanup_exec_timeout),
            ("--graceful-kill-timeout", timeouts.graceful_kill_timeout),
            ("--force-kill-timeout", timeouts.force_kill_timeout),
        ]
    }

    fn overrides(&self) -> Overrides {
        let mut overrides = Overrides {
            timeouts: TimeoutOverrides {
                config_exec: self.timeouts.config_exec_timeout,
                prepare_exec: self.timeouts.prepare_exec_timeout,
                cleanup_exec: self.timeouts.cleanup_exec_timeout,
                graceful_kill: self.timeouts.graceful_kill_timeout,
                force_kill: self.timeouts.force_kill_timeout,
            },
            shell: self.shell.clone(),
            builds_dir: self.builds_dir.clone(),
            cache_dir: self.cache_dir.clone(),
            image: self.image.clone(),
            services: (!self.services.is_empty()).then(|| self.services.clone()),
            variables: self.variables.clone(),
            host_environment: self
                .host_environment
                .iter()
                .map(HostVariable::pair)
                .collect(),
            ..Overrides::default()
        };
        for (program, executable, args) in self.program_arguments() {
            if executable.is_some() || !args.is_empty() {
                let replacement = ProgramOverride {
                    executable: executable.cloned(),
                    args: (!args.is_empty()).then(|| args.clone()),
                };
                overrides.programs.insert(program, replacement);
            }
        }
        overrides
    }

    /// The flags as they can be typed again, each with a blank before it.
    pub fn typed(&self) -> String {
        let mut flags: Vec<(String, String)> = Vec::new();
        for (flag, value) in [
            ("--runner", &self.runner),
            ("--image", &self.image),
            ("--shell", &self.shell),
            ("--builds-dir", &self.builds_dir),
            ("--cache-dir", &self.cache_dir),
            ("--backend", &self.backend),
        ] {
            flags.extend(value.iter().map(|value| (flag.to_owned(), value.clone())));
        }
        for service in &self.services {
            flags.push(("--service".to_owned(), service.clone()));
        }
        for (name, value) in &self.variables {
            flags.push(("--var".to_owned(), format!("{name}={value}")));
        }
        for variable in &self.host_environment {
            flags.push(("--host-env".to_owned(), variable.typed()));
        }
        for (program, executable, args) in self.program_arguments() {
            flags.extend(executable.map(|value| (format!("--{program}-exec"), value.clone())));
            flags.extend(
                args.iter()
                    .map(|value| (format!("--{program}-args"), value.clone())),
            );
        }
        for (flag, value) in self.timeout_arguments() {
            flags.extend(value.map(|seconds| (flag.to_owned(), seconds.to_string())));
        }
        let mut typed = String::new();
        for (flag, value) in &flags {
            let _ = write!(typed, " {flag} {}", shell_quoted(value));
        }
        typed
    }
}

/// One letter missing, doubled or swapped in the name of a subcommand; never a path with a slash.
fn is_misspelt(text: &str, name: &str) -> bool {
    !text.contains('/') && crate::driver::similar_name(text, &[name]).is_some()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::DriverArguments;
    use crate::driver::tools::shell_words;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        driver: DriverArguments,
    }

    #[test]
    fn the_flags_can_be_typed_again_without_values_that_were_taken_over() {
        // PATH is always there.
        let flags = " --image a:1 --var 'A=b c' --host-env PATH --host-env X=y";
        let line = Line::try_parse_from(shell_words(&format!("command{flags}")));
        assert_eq!(line.expect("understood").driver.typed(), flags);
    }
}
