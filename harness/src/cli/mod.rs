//! The command line: one file per subcommand.
//!
//! Only this module prints. Reports and lists go to standard output, progress and errors to standard error.

mod advise;
mod checklist;
mod ci;
mod diagnose;
mod driver_arguments;
mod emulate;
mod error;
mod explain;
mod faults;
mod fuzz;
mod init;
mod janitor;
mod job;
mod job_file;
mod lint;
mod list;
mod output;
mod progress;
mod replay;
mod report;
mod report_target;
mod run;
mod self_test;
mod show;
mod signals;
mod table;
mod waivers;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::panic::catch_unwind;
use std::process;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use driver_conformance_reports::model::ExitCode;

use crate::driver::Problem;
use crate::suite;

pub use driver_arguments::DriverArguments;
pub use error::ExpectedError;
pub use output::{ColorWhen, Output};

/// Says whether a GitLab Runner Custom executor driver is safe to put behind a runner.
///
/// PATH is a directory with the programs config, prepare, run and cleanup (only run is required), one executable that
/// takes these words as its first argument, or a runner's config.toml.
#[derive(Debug, Parser)]
#[command(name = "driver-conformance", version, disable_help_subcommand = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    run: run::Arguments,

    /// Colour of the output; `NO_COLOR` is honoured
    #[arg(
        long,
        value_enum,
        default_value_t = ColorWhen::Auto,
        global = true,
        value_name = "WHEN",
        help_heading = "Output"
    )]
    color: ColorWhen,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List every case and every check, or every clause of the contract
    List(list::Arguments),
    /// Show one case, one check or one clause of the contract with its reasons
    Show(show::Arguments),
    /// Feed golden traces to the simulated runner
    Emulate(emulate::Arguments),
    /// Run one job, also of a `.gitlab-ci.yml`, through a driver and print the job log
    Job(Box<job::Arguments>),
    /// Say from the logs of a job what went wrong, and whether the driver is to blame
    Diagnose(diagnose::Arguments),
    /// Explain calls, stages, exit codes, signals, variables, checks and clauses
    Explain(explain::Arguments),
    /// The table from symptoms to causes
    Table(table::Arguments),
    /// The checklist of a cleanup that may be called at any time
    Checklist(checklist::Arguments),
    /// Look at a runner's config.toml and at the shell scripts of a driver, without running them
    Lint(lint::Arguments),
    /// Advice that is reckoned from measurements
    Advise(Box<advise::Arguments>),
    /// Write a new driver that passes the suite
    Init(init::Arguments),
    /// Exceptions for a driver that does not conform yet
    Waivers(waivers::Arguments),
    /// Show stored reports in any format, join those of shards, compare two
    Report(report::Arguments),
    /// Print what puts the suite into a pipeline
    Ci(Box<ci::Arguments>),
    /// Run the suite on drivers of which it is known what it must find
    SelfTest(self_test::Arguments),
    /// Hit a driver at every program that its calls start, and see whether it recovers
    Faults(Box<faults::Arguments>),
    /// Lead a driver through random sequences of what a runner can do, and shrink what fails
    Fuzz(Box<fuzz::Arguments>),
    /// Run again what failed, and say whether it still does
    Replay(Box<replay::Arguments>),
    /// Remove what a run left that was killed: processes, mounts, directories
    Janitor(janitor::Arguments),
}

/// Names of the subcommands, for the hint when a misspelt one is taken for a path.
const SUBCOMMANDS: [&str; 19] = [
    "list",
    "show",
    "emulate",
    "job",
    "diagnose",
    "explain",
    "table",
    "checklist",
    "lint",
    "advise",
    "init",
    "waivers",
    "report",
    "ci",
    "self-test",
    "faults",
    "fuzz",
    "replay",
    "janitor",
];

/// Runs the command line and returns the process exit code.
pub fn main() -> process::ExitCode {
    // A panic is a bug of ours and must not look like a verdict on the driver (101 is nobody's exit code).
    let code = catch_unwind(|| run_arguments(std::env::args_os().collect()))
        .unwrap_or(ExitCode::HARNESS_ERROR);
    process::ExitCode::from(code)
}

fn run_arguments(arguments: Vec<OsString>) -> u8 {
    let matches = match CommandLine::command()
        .after_help(exit_code_help())
        .try_get_matches_from(arguments)
    {
        Ok(matches) => matches,
        Err(error) => return print_clap_error(&error),
    };
    let command_line = match CommandLine::from_arg_matches(&matches) {
        Ok(command_line) => command_line,
        Err(error) => return print_clap_error(&error),
    };
    let mut output = Output::new(command_line.color);
    let result = refuse_mixed(&matches).and_then(|()| dispatch(&command_line, &mut output));
    match result {
        Ok(code) => code,
        Err(error) => {
            output.error(&error);
            error.exit_code()
        }
    }
}

/// Options of the default command in front of a subcommand would be silently ignored. Clap's own setting for this takes
/// every subcommand behind an option, also behind `--color`, for a path.
fn refuse_mixed(matches: &ArgMatches) -> Result<(), ExpectedError> {
    let Some(subcommand) = matches.subcommand_name() else {
        return Ok(());
    };
    let command = CommandLine::command();
    let given = command.get_arguments().find(|argument| {
        let id = argument.get_id().as_str();
        id != "color" && matches.value_source(id) == Some(ValueSource::CommandLine)
    });
    let Some(argument) = given else {
        return Ok(());
    };
    let name = match argument.get_long() {
        Some(long) => format!("--{long}"),
        None => "PATH".to_owned(),
    };
    let problem = Problem::new(
        format!("{name} belongs to a run of the suite, but `{subcommand}` is a subcommand"),
        format!(
            "write what is for `{subcommand}` behind it; a driver of this name is ./{subcommand}"
        ),
    );
    Err(problem.into())
}

fn dispatch(command_line: &CommandLine, output: &mut Output) -> Result<u8, ExpectedError> {
    let suite = suite::builtin();
    match &command_line.command {
        None => run::execute(&command_line.run, &suite, output),
        Some(Command::List(arguments)) => list::execute(arguments, &suite, output),
        Some(Command::Show(arguments)) => show::execute(arguments, &suite, output),
        Some(Command::Emulate(arguments)) => emulate::execute(arguments, output),
        Some(Command::Job(arguments)) => job::execute(arguments, output),
        Some(Command::Diagnose(arguments)) => diagnose::execute(arguments, output),
        Some(Command::Explain(arguments)) => explain::execute(arguments, &suite, output),
        Some(Command::Table(arguments)) => table::execute(arguments, output),
        Some(Command::Checklist(arguments)) => checklist::execute(arguments, output),
        Some(Command::Lint(arguments)) => lint::execute(arguments, output),
        Some(Command::Advise(arguments)) => advise::execute(arguments, &suite, output),
        Some(Command::Init(arguments)) => init::execute(arguments, output),
        Some(Command::Waivers(arguments)) => waivers::execute(arguments, &suite, output),
        Some(Command::Report(arguments)) => report::execute(arguments, output),
        Some(Command::Ci(arguments)) => ci::execute(arguments, output),
        Some(Command::SelfTest(arguments)) => self_test::execute(arguments, &suite, output),
        Some(Command::Faults(arguments)) => faults::execute(arguments, output),
        Some(Command::Fuzz(arguments)) => fuzz::execute(arguments, output),
        Some(Command::Replay(arguments)) => replay::execute(arguments, output),
        Some(Command::Janitor(arguments)) => Ok(janitor::execute(arguments, output)),
    }
}

/// Help and version go to standard output with exit code 0, everything else is wrong usage.
fn print_clap_error(error: &clap::Error) -> u8 {
    // Nothing sensible is left to do when the terminal is gone.
    let _ = error.print();
    if error.use_stderr() {
        ExitCode::USAGE
    } else {
        ExitCode::CONFORMS
    }
}

fn exit_code_help() -> String {
    let mut text = "Exit codes:\n".to_owned();
    for (code, sentence) in ExitCode::TABLE {
        let _ = writeln!(text, "  {code:<4} {sentence}");
    }
    text.push_str("\nFormats of --report:\n");
    for format in driver_conformance_reports::FORMATS {
        let _ = writeln!(text, "  {:<11} {}", format.name, format.about);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_subcommand_is_offered_as_a_hint() {
        let command = CommandLine::command();
        let names: Vec<&str> = command
            .get_subcommands()
            .map(clap::Command::get_name)
            .collect();
        assert_eq!(names, SUBCOMMANDS);
    }
}
