//! A timeout of more seconds than the runner can count in nanoseconds: it becomes negative, and the time is up at once.

use super::super::config::SECONDS_MAX;
use super::{Config, LintProblem, Severity, Surroundings};

pub(super) const ID: &str = "timeout-overflows";

pub(super) fn look(config: &Config, _: &Surroundings<'_>) -> Vec<LintProblem> {
    config
        .customs()
        .flat_map(|custom| &custom.timeouts)
        .filter(|(_, timeout)| timeout.value > SECONDS_MAX)
        .map(|(key, timeout)| LintProblem {
            rule: ID,
            severity: Severity::Error,
            message: format!("`{key}` is so long that its time is up at once"),
            label: format!("the runner counts to {SECONDS_MAX} s and goes on below zero"),
            help: "write the seconds that you mean; there is no value for \"never\"".to_owned(),
            span: timeout.span.clone(),
            edit: None,
            clauses: &["A4"],
        })
        .collect()
}
