//! The name of the executor in other letters: the runner knows it in small ones only.

use super::super::Edit;
use super::{Config, LintProblem, Severity, Surroundings};

pub(super) const ID: &str = "executor-misspelt";

pub(super) fn look(config: &Config, _: &Surroundings<'_>) -> Vec<LintProblem> {
    let executors = config.misspelt_executors.iter();
    let problems = executors.map(|executor| LintProblem {
        rule: ID,
        severity: Severity::Error,
        message: format!(
            "there is no executor \"{}\"; no job can run",
            executor.value
        ),
        label: "not known by this name".to_owned(),
        help: "write it like this: `executor = \"custom\"`".to_owned(),
        span: executor.span.clone(),
        edit: Some(Edit {
            span: executor.span.clone(),
            text: "\"custom\"".to_owned(),
        }),
        clauses: &["A1"],
    });
    problems.collect()
}
