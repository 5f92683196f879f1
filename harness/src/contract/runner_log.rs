//! The runner's own log: text form of an entry (contract L).

use std::fmt::Write as _;

use super::job_log::ansi;
use super::protocol::{RunnerLogEntry, RunnerLogLevel};

/// Messages are padded to this many columns, prefix included.
const MESSAGE_COLUMNS: usize = 50;

/// One entry as the runner's text format prints it: colours, prefix, padded message, fields sorted by key.
pub fn text_line(entry: &RunnerLogEntry) -> String {
    let (color, prefix) = match entry.level {
        RunnerLogLevel::Debug => ("\u{1b}[37;1m", ""),
        RunnerLogLevel::Info => ("", ""),
        RunnerLogLevel::Warning => (ansi::YELLOW, "WARNING: "),
        RunnerLogLevel::Error => (ansi::BOLD_RED, "ERROR: "),
        RunnerLogLevel::Fatal => (ansi::BOLD_RED, "FATAL: "),
    };
    let columns = MESSAGE_COLUMNS - prefix.len();
    let mut line = format!("{color}{prefix}{:<columns$}{} ", entry.message, ansi::RESET);
    for (key, value) in entry.sorted_fields() {
        let _ = write!(line, " {color}{key}{}={value}", ansi::RESET);
    }
    line
}
