//! `report`: what can be done with a stored report, without running anything.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use driver_conformance_reports::difference;
use driver_conformance_reports::model::{ExitCode, Report, SCHEMA};
use driver_conformance_reports::terminal;
use serde::Deserialize;
use serde_json::Value;

use crate::driver::Problem;
use crate::suite::merge::merge;

use super::report_target::{self, ReportTarget, write_reports};
use super::{ExpectedError, Output};

/// Arguments of `report`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,

    /// Reports in the format json
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    shown: Shown,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Join the reports of all shards of one run; the exit code is that of the whole run
    Merge(Merge),
    /// Say what became better and worse; the exit code is 1 if something fails that did not
    Diff(Diff),
}

/// How a report is shown and written.
#[derive(Debug, Args)]
struct Shown {
    /// Also write it to a file (- is standard output); may be repeated
    #[arg(long = "report", value_name = "FORMAT=FILE", value_parser = report_target::parse)]
    reports: Vec<ReportTarget>,

    /// Show every case; twice: also where in its trace a finding shows
    #[arg(long, short, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Args)]
struct Merge {
    /// The report of each shard, in the format json
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    shown: Shown,
}

#[derive(Debug, Args)]
struct Diff {
    /// The report to compare with
    old: PathBuf,

    /// The report that is judged
    new: PathBuf,

    /// How the difference is printed
    #[arg(long, value_enum, default_value_t = DiffFormat::Text, value_name = "FORMAT")]
    format: DiffFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DiffFormat {
    /// For a terminal
    Text,
    /// For a merge request
    Markdown,
    /// Schema driver-conformance/difference/v1
    Json,
}

/// Shows, joins or compares reports.
pub(super) fn execute(arguments: &Arguments, output: &mut Output) -> Result<u8, ExpectedError> {
    match &arguments.command {
        Some(Command::Merge(arguments)) => join(arguments, output),
        Some(Command::Diff(arguments)) => compare(arguments, output),
        None => show_all(arguments, output),
    }
}

fn show_all(arguments: &Arguments, output: &mut Output) -> Result<u8, ExpectedError> {
    let several = arguments.files.len() > 1;
    if several && !arguments.shown.reports.is_empty() {
        return Err(ExpectedError::Usage(Problem::new(
            "several reports cannot be written into one file",
            "give one report at a time, or join the shards of a run with `report merge`",
        )));
    }
    for file in &arguments.files {
        let report = read(file)?;
        if several {
            output.text(&format!("{}:\n", file.display()));
        }
        show(&report, &arguments.shown, output)?;
    }
    // What is shown was judged when it was run.
    Ok(ExitCode::CONFORMS)
}

fn show(report: &Report, shown: &Shown, output: &mut Output) -> Result<(), ExpectedError> {
    let targets = report_target::open_all(&shown.reports, output)?;
    let written = write_reports(report, targets, output);
    let options = output.terminal_options(shown.verbose);
    output.text(&terminal::render(report, options));
    written
}

fn join(arguments: &Merge, output: &mut Output) -> Result<u8, ExpectedError> {
    let mut reports = Vec::new();
    for file in &arguments.files {
        reports.push((file.display().to_string(), read(file)?));
    }
    let merged = merge(reports).map_err(|error| {
        ExpectedError::Usage(Problem::new(
            error.to_string(),
            "merge the json reports of all shards of one run, each once",
        ))
    })?;
    show(&merged, &arguments.shown, output)?;
    Ok(merged.exit_code)
}

fn compare(arguments: &Diff, output: &mut Output) -> Result<u8, ExpectedError> {
    let difference = difference::between(&read(&arguments.old)?, &read(&arguments.new)?);
    output.text(&match arguments.format {
        DiffFormat::Text => difference.text(),
        DiffFormat::Markdown => difference.markdown(),
        DiffFormat::Json => difference.json(),
    });
    Ok(difference.exit_code)
}

/// What tells a report from other JSON.
#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    schema: Value,
}

/// Reads a stored report.
fn read(path: &Path) -> Result<Report, ExpectedError> {
    let refused = |message: String| {
        ExpectedError::Usage(Problem::new(
            message,
            "give a file that `driver-conformance PATH --report json=FILE` has written",
        ))
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| refused(format!("{} cannot be read: {error}", path.display())))?;
    // Read twice, since a tree of values would take several times the memory of the report itself.
    let envelope: Envelope = serde_json::from_str(&text).map_err(|error| {
        let what = if error.is_data() {
            "no report"
        } else {
            "not JSON"
        };
        refused(format!("{} is {what}: {error}", path.display()))
    })?;
    let schema = envelope.schema.as_str().unwrap_or_default();
    if schema != SCHEMA {
        return Err(refused(format!(
            "{} is no report: its schema is {schema:?}, not {SCHEMA:?}",
            path.display()
        )));
    }
    serde_json::from_str(&text)
        .map_err(|error| refused(format!("{} is no whole report: {error}", path.display())))
}
