//! A timeout of zero or below: the runner takes its default.

use super::{Config, LintProblem, Severity, Surroundings, without_line};

pub(super) const ID: &str = "timeout-not-positive";

pub(super) fn look(config: &Config, _: &Surroundings<'_>) -> Vec<LintProblem> {
    config
        .customs()
        .flat_map(|custom| &custom.timeouts)
        .filter(|(_, timeout)| timeout.value <= 0)
        .map(|(key, timeout)| LintProblem {
            rule: ID,
            severity: Severity::Warning,
            message: format!(
                "`{key} = {}` does not switch the timeout off: the runner takes its default",
                timeout.value
            ),
            label: "the default is used".to_owned(),
            help: "write the seconds that you mean, or remove the line".to_owned(),
            span: timeout.span.clone(),
            edit: without_line(&config.text, &timeout.key, &timeout.span),
            clauses: &["A4"],
        })
        .collect()
}
