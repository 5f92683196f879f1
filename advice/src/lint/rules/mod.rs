//! The rules for `config.toml`, one file each.

mod arguments_in_program;
mod cleanup_beside_run;
mod concurrent_without_isolation;
mod environment_entry_dropped;
mod executor_misspelt;
mod force_kill_long;
mod misplaced_key;
mod missing_directories;
mod missing_run_exec;
mod output_limit_small;
mod prepare_outlasts_job;
mod program_not_executable;
mod program_not_in_path;
mod relative_directory;
mod relative_program;
mod shutdown_too_short;
mod table_misspelt;
mod timeout_not_positive;
mod timeout_overflows;
mod unknown_key;
mod unknown_shell;

use std::ops::Range;

use super::config::Config;
use super::{Edit, LintProblem, Severity, Surroundings};

/// A rule: its id, and what looks for it.
pub(super) type Rule = (
    &'static str,
    fn(&Config, &Surroundings<'_>) -> Vec<LintProblem>,
);

/// Every rule.
pub(super) const ALL: &[Rule] = &[
    (arguments_in_program::ID, arguments_in_program::look),
    (cleanup_beside_run::ID, cleanup_beside_run::look),
    (
        concurrent_without_isolation::ID,
        concurrent_without_isolation::look,
    ),
    (
        environment_entry_dropped::ID,
        environment_entry_dropped::look,
    ),
    (executor_misspelt::ID, executor_misspelt::look),
    (force_kill_long::ID, force_kill_long::look),
    (misplaced_key::ID, misplaced_key::look),
    (missing_directories::ID, missing_directories::look),
    (missing_run_exec::ID, missing_run_exec::look),
    (output_limit_small::ID, output_limit_small::look),
    (prepare_outlasts_job::ID, prepare_outlasts_job::look),
    (program_not_executable::ID, program_not_executable::look),
    (program_not_in_path::ID, program_not_in_path::look),
    (relative_directory::ID, relative_directory::look),
    (relative_program::ID, relative_program::look),
    (shutdown_too_short::ID, shutdown_too_short::look),
    (table_misspelt::ID, table_misspelt::look),
    (timeout_not_positive::ID, timeout_not_positive::look),
    (timeout_overflows::ID, timeout_overflows::look),
    (unknown_key::ID, unknown_key::look),
    (unknown_shell::ID, unknown_shell::look),
];

/// An edit that takes the line of a key away; none where the line holds more than this key and its value.
fn without_line(text: &str, key: &Range<usize>, value: &Range<usize>) -> Option<Edit> {
    let start = text[..key.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[value.end..]
        .find('\n')
        .map_or(text.len(), |at| value.end + at + 1);
    // A dotted key names its tables before it.
    let is_of_key = |c: char| c.is_alphanumeric() || c.is_whitespace() || "._-".contains(c);
    let behind = text[value.end..end].trim_start();
    let alone = text[start..key.start].chars().all(is_of_key)
        && (behind.is_empty() || behind.starts_with('#'));
    alone.then(|| Edit {
        span: start..end,
        text: String::new(),
    })
}
