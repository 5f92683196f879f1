//! No directory for builds or caches: an error, unless there is a `config_exec`, which must name one then.

use super::{Config, LintProblem, Severity, Surroundings};

pub(super) const ID: &str = "missing-directories";

pub(super) fn look(config: &Config, _: &Surroundings<'_>) -> Vec<LintProblem> {
    let mut problems = Vec::new();
    for runner in &config.runners {
        let custom = runner.custom.as_ref();
        let config_exec = custom.and_then(|custom| custom.program("config_exec"));
        let may_be_printed = config_exec.is_some_and(|program| !program.value.is_empty());
        for (key, directory) in [
            ("builds_dir", &runner.builds_dir),
            ("cache_dir", &runner.cache_dir),
        ] {
            if directory
                .as_ref()
                .is_some_and(|directory| !directory.value.is_empty())
            {
                continue;
            }
            let span = directory
                .as_ref()
                .map_or(runner.header.clone(), |directory| directory.span.clone());
            problems.push(LintProblem {
                rule: ID,
                severity: if may_be_printed { Severity::Hint } else { Severity::Error },
                message: if may_be_printed {
                    format!("only `config_exec` can name the {key}; a job for which it prints none fails")
                } else {
                    format!("nothing names the {key}, so every job fails")
                },
                label: if may_be_printed {
                    format!("no `{key}`")
                } else {
                    format!("no `{key}`, and no `config_exec` that could print it")
                },
                help: format!(
                    "add `{key} = \"/path\"`: a directory inside the environment of the job"
                ),
                span,
                edit: None,
                clauses: &["A5"],
            });
        }
    }
    problems
}
