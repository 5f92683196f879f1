//! A relative directory for builds or caches: caches are left out without an error.

use super::{Config, LintProblem, Severity, Surroundings};

pub(super) const ID: &str = "relative-directory";

pub(super) fn look(config: &Config, _: &Surroundings<'_>) -> Vec<LintProblem> {
    let mut problems = Vec::new();
    for runner in &config.runners {
        for (key, directory) in [
            ("builds_dir", &runner.builds_dir),
            ("cache_dir", &runner.cache_dir),
        ] {
            let Some(directory) = directory.as_ref().filter(|at| is_relative(&at.value)) else {
                continue;
            };
            problems.push(LintProblem {
                rule: ID,
                severity: Severity::Warning,
                message: format!("`{key}` is a relative path, by which caches are not found"),
                label: "not absolute".to_owned(),
                help: "write an absolute path, as it is inside the environment of the job"
                    .to_owned(),
                span: directory.span.clone(),
                edit: None,
                clauses: &["A5", "A7"],
            });
        }
    }
    problems
}

/// Neither a path from the root, nor one with the letter of a drive, nor one that begins with a variable.
fn is_relative(path: &str) -> bool {
    let begins = |characters: &[char]| path.starts_with(characters);
    !path.is_empty() && !begins(&['/', '\\', '$']) && path.as_bytes().get(1) != Some(&b':')
}
