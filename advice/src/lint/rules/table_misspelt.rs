//! A table whose name is nearly one that the runner looks for: it ignores all that is in it.

use super::{Config, LintProblem, Severity, Surroundings};

pub(super) const ID: &str = "table-misspelt";

pub(super) fn look(config: &Config, _: &Surroundings<'_>) -> Vec<LintProblem> {
    let tables = config.misspelt_tables.iter();
    let problems = tables.map(|table| {
        let header = match table.meant {
            "runners" => "[[runners]], or [runners.custom] below it",
            _ => "[runners.custom]",
        };
        LintProblem {
            rule: ID,
            severity: Severity::Error,
            message: format!(
                "there is no table `{}`; the runner ignores all that is in it",
                table.key.value
            ),
            label: format!("is it meant to be `{}`?", table.meant),
            help: format!("write it like this: {header}"),
            span: table.key.key.clone(),
            edit: None,
            clauses: &["A1"],
        }
    });
    problems.collect()
}
