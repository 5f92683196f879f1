//! A key that the runner does not know: it is ignored without a word.

use super::super::Edit;
use super::super::config::Runner;
use super::super::near::{self, Meant};
use super::{Config, LintProblem, Severity, Surroundings, without_line};

pub(super) const ID: &str = "unknown-key";

pub(super) fn look(config: &Config, _: &Surroundings<'_>) -> Vec<LintProblem> {
    let mut problems = of_custom(config);
    problems.extend(config.runners.iter().flat_map(of_runner));
    problems
}

/// Other keys of `[[runners]]` are many, and grow: only one that is nearly a known one is taken for a mistake.
fn of_runner(runner: &Runner) -> Vec<LintProblem> {
    let problems = runner.misspelt.iter().map(|misspelt| {
        let (key, meant) = (&misspelt.key.value, misspelt.meant);
        LintProblem {
            rule: ID,
            severity: Severity::Warning,
            message: format!("`{key}` is no key of [[runners]]; the runner ignores it"),
            label: "ignored".to_owned(),
            help: format!("did you mean `{meant}`?"),
            span: misspelt.key.key.clone(),
            edit: None,
            clauses: &["A1"],
        }
    });
    problems.collect()
}

fn of_custom(config: &Config) -> Vec<LintProblem> {
    config
        .customs()
        .flat_map(|custom| custom.unknown.iter().map(move |unknown| (custom, unknown)))
        .map(|(custom, unknown)| {
            let (key, span) = (&unknown.key.value, &unknown.key.key);
            let (help, edit) = match near::meant(key, unknown.found) {
                Meant::RunTimeout => (
                    "there is no timeout for run_exec; the timeout of the job ends it".to_owned(),
                    without_line(&config.text, span, &unknown.key.span),
                ),
                Meant::Key(meant) if custom.has(meant) => {
                    (format!("`{meant}` is there already: remove this one"), None)
                }
                Meant::Key(meant) => {
                    let edit = Edit {
                        span: span.clone(),
                        text: meant.to_owned(),
                    };
                    (format!("did you mean `{meant}`?"), Some(edit))
                }
                Meant::OneOf(keys) => {
                    let keys = keys.iter().map(|key| format!("`{key}`"));
                    let keys: Vec<String> = keys.collect();
                    (
                        format!("remove it, or write one of {}", keys.join(", ")),
                        None,
                    )
                }
                Meant::Unknown => ("remove it".to_owned(), None),
            };
            LintProblem {
                rule: ID,
                severity: Severity::Warning,
                message: format!("`{key}` is no key of [runners.custom]; the runner ignores it"),
                label: "ignored".to_owned(),
                help,
                span: span.clone(),
                edit,
                clauses: &["A1"],
            }
        })
        .collect()
}
