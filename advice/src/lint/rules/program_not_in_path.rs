//! A program that is named without its directory, and that no directory of the PATH has.

use super::super::PathState;
use super::{Config, LintProblem, Severity, Surroundings, arguments_in_program};

pub(super) const ID: &str = "program-not-in-path";

pub(super) fn look(config: &Config, surroundings: &Surroundings<'_>) -> Vec<LintProblem> {
    let mut problems = Vec::new();
    for (key, program) in config.customs().flat_map(|custom| &custom.programs) {
        let name = &program.value;
        let has_arguments = arguments_in_program::split(name, surroundings).is_some();
        if name.is_empty() || name.contains('/') || has_arguments {
            continue;
        }
        if (surroundings.path_state)(name) != Some(PathState::Missing) {
            continue;
        }
        problems.push(LintProblem {
            rule: ID,
            severity: Severity::Warning,
            message: format!("`{key}` is a bare name, and no `{name}` is in the PATH"),
            label: "the service of the runner has mostly a shorter PATH than a shell".to_owned(),
            help: "write an absolute path".to_owned(),
            span: program.span.clone(),
            edit: None,
            clauses: &["B2"],
        });
    }
    problems
}
