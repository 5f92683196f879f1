//! No program to run: every job fails before anything is started.

use super::{Config, LintProblem, Severity, Surroundings};

pub(super) const ID: &str = "missing-run-exec";

pub(super) fn look(config: &Config, _: &Surroundings<'_>) -> Vec<LintProblem> {
    let mut problems = Vec::new();
    for runner in &config.runners {
        let custom = runner.custom.as_ref();
        let named = custom.and_then(|custom| custom.program("run_exec"));
        let (span, label) = match (named, custom) {
            (Some(run), _) if run.value.is_empty() => (run.span.clone(), "empty"),
            (Some(_), _) => continue,
            // One of the wrong type is there, and told for itself.
            (None, Some(custom)) if custom.has("run_exec") => continue,
            (None, Some(custom)) => (custom.header.clone(), "has no `run_exec`"),
            (None, None) => (runner.header.clone(), "has no [runners.custom]"),
        };
        problems.push(LintProblem {
            rule: ID,
            severity: Severity::Error,
            message: "there is no `run_exec`, so every job fails before any program is started"
                .to_owned(),
            label: label.to_owned(),
            help: "add `run_exec = \"/path/of/the/driver/run\"` to [runners.custom]".to_owned(),
            span,
            edit: None,
            clauses: &["A2"],
        });
    }
    problems
}
