//! A long wait after SIGKILL, as one page of the public documentation has it for the default.

use super::{Config, LintProblem, Severity, Surroundings};

pub(super) const ID: &str = "force-kill-long";

/// From here on it is a wait for something that will not come.
const SECONDS_MAX: i64 = 60;

pub(super) fn look(config: &Config, surroundings: &Surroundings<'_>) -> Vec<LintProblem> {
    config
        .customs()
        .filter_map(|custom| custom.timeout("force_kill_timeout"))
        .filter(|timeout| timeout.value > SECONDS_MAX)
        .map(|timeout| LintProblem {
            rule: ID,
            severity: Severity::Warning,
            message: format!(
                "the runner waits {} s for a process that SIGKILL did not end",
                timeout.value
            ),
            label: "what SIGKILL does not end at once hangs in the kernel".to_owned(),
            help: format!(
                "the default is {} s, whatever the public documentation says; leave it out",
                surroundings.times.force_kill
            ),
            span: timeout.span.clone(),
            edit: None,
            clauses: &["A4", "H1"],
        })
        .collect()
}
