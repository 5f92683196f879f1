//! A relative path: the runner looks for it in the temporary directory of the job.

use super::{Config, LintProblem, Severity, Surroundings};

pub(super) const ID: &str = "relative-program";

pub(super) fn look(config: &Config, _: &Surroundings<'_>) -> Vec<LintProblem> {
    config
        .customs()
        .flat_map(|custom| &custom.programs)
        .filter(|(_, program)| program.value.contains('/') && !program.value.starts_with('/'))
        .map(|(key, program)| LintProblem {
            rule: ID,
            severity: Severity::Error,
            message: format!("`{key}` is a relative path, which cannot be found"),
            label: if program.value.starts_with(['$', '~']) {
                "taken as it is: the runner starts programs without a shell".to_owned()
            } else {
                "looked up in a directory that is new in every job".to_owned()
            },
            help: "write an absolute path".to_owned(),
            span: program.span.clone(),
            edit: None,
            clauses: &["B2"],
        })
        .collect()
}
