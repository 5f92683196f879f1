//! `emulate`: feeds golden traces to the simulated runner.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use driver_conformance_reports::model::ExitCode;

use crate::driver::Problem;
use crate::golden::compare::{Comparison, LineCount};
use crate::golden::emulate;

use super::{ExpectedError, Output};

/// Most log lines that are shown as different for one trace.
const LOG_LINES_MAX: usize = 20;

/// Arguments of `emulate`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Golden trace: a JSON file with the inputs and what a real runner did
    #[arg(long = "golden", value_name = "FILE", required = true, num_args = 1..)]
    golden: Vec<PathBuf>,

    /// Compare with what the real runner did: exit code 0 equal, 1 different, 2 file not understood
    #[arg(long)]
    check: bool,

    /// With --check: also show the log lines that differ
    #[arg(long, short)]
    verbose: bool,
}

/// Replays the traces and prints the emulated ones or the differences.
pub(super) fn execute(arguments: &Arguments, output: &mut Output) -> Result<u8, ExpectedError> {
    let mut job_log = LineCount::default();
    let mut runner_log = LineCount::default();
    let mut different = 0;
    for path in &arguments.golden {
        let emulated = emulate(path).map_err(|error| {
            Problem::new(
                format!("this golden trace is not understood: {error}"),
                "give a JSON file in the form of scenarios/traces/README.md",
            )
        })?;
        if !arguments.check {
            let text = serde_json::to_string_pretty(&emulated.replayed).unwrap_or_default();
            output.text(&format!("{text}\n"));
            continue;
        }
        let Some(comparison) = emulated.comparison else {
            return Err(nothing_to_compare(path));
        };
        job_log.add(comparison.job_log);
        runner_log.add(comparison.runner_log);
        different += usize::from(!comparison.differences.is_empty());
        output.text(&verdict(&emulated.scenario, &comparison, arguments.verbose));
    }
    if arguments.check {
        output.text(&format!(
            "{} equal, {different} different; job-log lines equal {:.1} %, runner-log lines equal {:.1} %\n",
            arguments.golden.len() - different,
            job_log.percent(),
            runner_log.percent()
        ));
    }
    Ok(if different > 0 {
        ExitCode::NONCONFORMING
    } else {
        ExitCode::CONFORMS
    })
}

fn nothing_to_compare(path: &Path) -> ExpectedError {
    Problem::new(
        format!(
            "{} holds inputs only, so there is nothing to compare with",
            path.display()
        ),
        "leave out --check to see what the emulated runner does",
    )
    .into()
}

fn verdict(scenario: &str, comparison: &Comparison, verbose: bool) -> String {
    let word = if comparison.differences.is_empty() {
        "equal"
    } else {
        "different"
    };
    let mut text = format!(
        "{word} {scenario} (job log {:.1} %, runner log {:.1} %)\n",
        comparison.job_log.percent(),
        comparison.runner_log.percent()
    );
    for difference in &comparison.differences {
        for line in difference.to_string().lines() {
            let _ = writeln!(text, "  {line}");
        }
    }
    if verbose {
        let lines = comparison
            .job_log_differences
            .iter()
            .chain(&comparison.runner_log_differences);
        for line in lines.take(LOG_LINES_MAX) {
            let _ = writeln!(text, "    {}", line.escape_debug());
        }
    }
    text
}
