//! A shell that the runner does not know.

use super::super::Edit;
use super::{Config, LintProblem, Severity, Surroundings};

pub(super) const ID: &str = "unknown-shell";

/// The shells that are registered in the runner; empty means the default of the platform.
const SHELLS: [&str; 5] = ["", "bash", "sh", "pwsh", "powershell"];

pub(super) fn look(config: &Config, _: &Surroundings<'_>) -> Vec<LintProblem> {
    let shells = config
        .runners
        .iter()
        .filter_map(|runner| runner.shell.as_ref());
    shells
        .filter(|shell| !SHELLS.contains(&shell.value.as_str()))
        .map(|shell| {
            let name = shell.value.rsplit('/').next().unwrap_or_default();
            let known = SHELLS.contains(&name) && !name.is_empty();
            LintProblem {
                rule: ID,
                severity: Severity::Error,
                message: format!("the runner knows no shell `{}`", shell.value),
                label: "each attempt to prepare a job fails".to_owned(),
                help: "name one of bash, sh, pwsh, powershell; a name, not a path".to_owned(),
                span: shell.span.clone(),
                edit: known.then(|| Edit {
                    span: shell.span.clone(),
                    text: format!("\"{name}\""),
                }),
                clauses: &["C7"],
            }
        })
        .collect()
}
