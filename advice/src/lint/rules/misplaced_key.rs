//! A key in another table than the one that it belongs to: it is ignored there without a word.

use super::{Config, LintProblem, Severity, Surroundings};

pub(super) const ID: &str = "misplaced-key";

pub(super) fn look(config: &Config, _: &Surroundings<'_>) -> Vec<LintProblem> {
    let problems = config.misplaced.iter().map(|misplaced| {
        let (key, table) = (&misplaced.key.value, misplaced.table.name());
        LintProblem {
            rule: ID,
            severity: Severity::Warning,
            message: format!("`{key}` is no key of {table}; the runner ignores it"),
            label: format!("belongs to {}", misplaced.home.name()),
            help: misplaced.home.remedy(key),
            span: misplaced.key.key.clone(),
            edit: None,
            clauses: &["A1"],
        }
    });
    problems.collect()
}
