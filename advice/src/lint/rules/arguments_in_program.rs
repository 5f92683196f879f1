//! Arguments behind the name of a program: the runner takes all of it for the name.

use super::super::PathState;
use super::{Config, LintProblem, Severity, Surroundings};

pub(super) const ID: &str = "arguments-in-program";

pub(super) fn look(config: &Config, surroundings: &Surroundings<'_>) -> Vec<LintProblem> {
    let programs = config.customs().flat_map(|custom| &custom.programs);
    let problems = programs.filter_map(|(key, program)| {
        let (name, arguments) = split(&program.value, surroundings)?;
        let arguments: Vec<String> = arguments
            .split_whitespace()
            .map(|argument| format!("{argument:?}"))
            .collect();
        let list = key.replace("_exec", "_args");
        Some(LintProblem {
            rule: ID,
            severity: Severity::Error,
            message: format!("`{key}` is one program; there are no arguments in it"),
            label: "all of it is taken for the name of a file".to_owned(),
            help: format!(
                "write them apart: `{key} = {name:?}` and `{list} = [{}]`",
                arguments.join(", ")
            ),
            span: program.span.clone(),
            edit: None,
            clauses: &["A1", "B2"],
        })
    });
    problems.collect()
}

/// A program and its arguments, unless it may be a file with blanks in its name.
pub(super) fn split<'text>(
    text: &'text str,
    surroundings: &Surroundings<'_>,
) -> Option<(&'text str, &'text str)> {
    let (name, arguments) = text.trim().split_once(char::is_whitespace)?;
    let is_program = |path: &str| (surroundings.path_state)(path) == Some(PathState::Program);
    let has_option = arguments
        .split_whitespace()
        .any(|word| word.starts_with('-'));
    let whole_is_there =
        (surroundings.path_state)(text).is_some_and(|state| state != PathState::Missing);
    (!whole_is_there && (has_option || is_program(name))).then_some((name, arguments))
}
