//! An entry of `environment` without `=`: the runner drops it without a word.

use super::{Config, LintProblem, Severity, Surroundings};

pub(super) const ID: &str = "environment-entry-dropped";

pub(super) fn look(config: &Config, _: &Surroundings<'_>) -> Vec<LintProblem> {
    let entries = config.runners.iter().flat_map(|runner| &runner.environment);
    entries
        .filter(|entry| !entry.value.contains('='))
        .map(|entry| LintProblem {
            rule: ID,
            severity: Severity::Warning,
            message: format!("`{}` sets no variable; the runner drops it", entry.value),
            label: "no `=`".to_owned(),
            help: "write `NAME=value`".to_owned(),
            span: entry.span.clone(),
            edit: None,
            clauses: &["A5"],
        })
        .collect()
}
