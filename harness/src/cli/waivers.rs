//! `waivers suggest`: a baseline for a driver that does not conform yet.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use driver_conformance_reports::model::{ExitCode, Finding, Level, Report, Status, Verdict};
use toml::value::Date;

use crate::driver::SETTINGS_FILE;
use crate::suite::{Suite, utc_date};

use super::{ExpectedError, Output, run};

/// How long a suggested waiver holds: a quarter of a year, so that it is looked at before it is forgotten.
const VALIDITY: Duration = Duration::from_hours(90 * 24);

/// Arguments of `waivers`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the suite and print a waiver for each defect that fails it and has none
    Suggest(Box<run::Arguments>),
}

/// Runs the suite and prints waivers.
pub(super) fn execute(
    arguments: &Arguments,
    suite: &dyn Suite,
    output: &mut Output,
) -> Result<u8, ExpectedError> {
    let Command::Suggest(arguments) = &arguments.command;
    let report = run::report(arguments, suite, output)?;
    if report.verdict == Verdict::Error {
        output.text("# The harness failed in some cases; what they would have shown is missing.\n");
    }
    output.text(&suggestion(&report, utc_date(SystemTime::now() + VALIDITY)));
    Ok(match report.verdict {
        Verdict::Error => ExitCode::HARNESS_ERROR,
        Verdict::Pass | Verdict::Fail | Verdict::Inconclusive => ExitCode::CONFORMS,
    })
}

/// One waiver for each defect that fails the run, as text for the settings file.
pub(in crate::cli) fn suggestion(report: &Report, expires: Date) -> String {
    let fails = |finding: &&Finding| {
        let binding = match finding.level {
            Level::Must => true,
            Level::Should => report.strict,
            Level::May => false,
        };
        binding && finding.status == Status::Fail
    };
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for finding in report.findings.iter().filter(fails) {
        let entry = (finding.check.as_str(), finding.message.as_str());
        if !seen.contains(&entry) {
            seen.push(entry);
        }
    }
    if seen.is_empty() {
        return "# Nothing fails that a waiver would have to except.\n".to_owned();
    }
    let mut text = format!(
        "# Add to {SETTINGS_FILE} beside the driver, and give each its own reason and owner.\n"
    );
    for (check, message) in seen {
        // The message as it is: a waiver for it does not except the next defect that the same check finds.
        text.push_str("\n[[waiver]]\n");
        for (key, value) in [
            ("check", check),
            ("message", message),
            ("reason", "known when the suite was introduced"),
            ("owner", "nobody yet"),
        ] {
            let _ = writeln!(text, "{key} = {}", quoted(value));
        }
        let _ = writeln!(text, "expires = {expires}");
    }
    text
}

/// A TOML string on one line. A message may hold what a driver printed: control characters are escaped.
fn quoted(text: &str) -> String {
    let mut string = "\"".to_owned();
    for letter in text.chars() {
        match letter {
            '"' | '\\' => string.extend(['\\', letter]),
            letter if letter.is_control() => {
                let _ = write!(string, "\\u{:04X}", u32::from(letter));
            }
            letter => string.push(letter),
        }
    }
    string.push('"');
    string
}

#[cfg(test)]
mod tests;
