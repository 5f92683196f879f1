//! The rules for `config.toml`, one file each.

mod cleanup_beside_run;
mod concurrent_without_isolation;
mod force_kill_long;
mod missing_directories;
mod missing_run_exec;
mod output_limit_small;
mod prepare_outlasts_job;
mod program_not_executable;
mod relative_program;
mod shutdown_too_short;
mod timeout_not_positive;
mod unknown_key;
mod unknown_shell;

use std::ops::Range;

use super::config::Config;
use super::{Edit, LintProblem, Severity, Surroundings};

/// A rule.
pub(super) type Rule = fn(&Config, &Surroundings<'_>) -> Vec<LintProblem>;

/// Every rule.
pub(super) const ALL: &[Rule] = &[
    cleanup_beside_run::look,
    concurrent_without_isolation::look,
    force_kill_long::look,
    missing_directories::look,
    missing_run_exec::look,
    output_limit_small::look,
    prepare_outlasts_job::look,
    program_not_executable::look,
    relative_program::look,
    shutdown_too_short::look,
    timeout_not_positive::look,
    unknown_key::look,
    unknown_shell::look,
];

/// Their ids.
pub(super) const IDS: &[&str] = &[
    cleanup_beside_run::ID,
    concurrent_without_isolation::ID,
    force_kill_long::ID,
    missing_directories::ID,
    missing_run_exec::ID,
    output_limit_small::ID,
    prepare_outlasts_job::ID,
    program_not_executable::ID,
    relative_program::ID,
    shutdown_too_short::ID,
    timeout_not_positive::ID,
    unknown_key::ID,
    unknown_shell::ID,
];

/// An edit that takes the line of a key away.
fn without_line(text: &str, key: &Range<usize>) -> Edit {
    let start = text[..key.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[key.end..]
        .find('\n')
        .map_or(text.len(), |at| key.end + at + 1);
    Edit {
        span: start..end,
        text: String::new(),
    }
}
