//! A program that is not there, or may not be executed.

use super::super::PathState;
use super::{Config, LintProblem, Severity, Surroundings, arguments_in_program};

pub(super) const ID: &str = "program-not-executable";

pub(super) fn look(config: &Config, surroundings: &Surroundings<'_>) -> Vec<LintProblem> {
    let mut problems = Vec::new();
    for (key, program) in config.customs().flat_map(|custom| &custom.programs) {
        let has_arguments = arguments_in_program::split(&program.value, surroundings).is_some();
        if !program.value.starts_with('/') || has_arguments {
            continue;
        }
        let (label, help) = match (surroundings.path_state)(&program.value) {
            Some(PathState::Missing) => (
                "there is no such file",
                "correct the path, or install the driver",
            ),
            Some(PathState::NotExecutable) => {
                ("not executable", "`chmod +x` it; a directory is no program")
            }
            Some(PathState::Program) | None => continue,
        };
        problems.push(LintProblem {
            rule: ID,
            severity: Severity::Error,
            message: format!("`{key}` cannot be started"),
            label: label.to_owned(),
            help: help.to_owned(),
            span: program.span.clone(),
            edit: None,
            clauses: &["B2"],
        });
    }
    problems
}
