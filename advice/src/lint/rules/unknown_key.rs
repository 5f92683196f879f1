//! A key that the runner does not know: it is ignored without a word.

use super::super::Edit;
use super::super::config::{ARGUMENTS, PROGRAMS, TIMEOUTS};
use super::{Config, LintProblem, Severity, Surroundings, without_line};

pub(super) const ID: &str = "unknown-key";

pub(super) fn look(config: &Config, _: &Surroundings<'_>) -> Vec<LintProblem> {
    config
        .customs()
        .flat_map(|custom| custom.unknown.iter().map(move |unknown| (custom, unknown)))
        .map(|(custom, unknown)| {
            let (key, span) = (&unknown.value, &unknown.key);
            let meant = meant(key).filter(|meant| !custom.has(meant));
            let (help, edit) = if key == "run_exec_timeout" {
                let help = "there is no timeout for run_exec; the timeout of the job ends it";
                (
                    help.to_owned(),
                    without_line(&config.text, span, &unknown.span),
                )
            } else if let Some(meant) = meant {
                let edit = Edit {
                    span: span.clone(),
                    text: meant.clone(),
                };
                (format!("did you mean `{meant}`?"), Some(edit))
            } else {
                ("remove it".to_owned(), None)
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

/// The key that was probably meant: one that the public documentation misspells, or that differs by one letter.
fn meant(key: &str) -> Option<String> {
    if let Some(program) = key.strip_suffix("_exec_args") {
        let meant = format!("{program}_args");
        return ARGUMENTS.contains(&meant.as_str()).then_some(meant);
    }
    let known = PROGRAMS.iter().chain(&TIMEOUTS).chain(&ARGUMENTS);
    let mut near = known.filter(|known| differs_by_one(key, known));
    near.next().map(|known| (*known).to_owned())
}

/// Whether one letter more, less or other, or two exchanged ones, make the difference.
fn differs_by_one(a: &str, b: &str) -> bool {
    let start = a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a.as_bytes()[start..], &b.as_bytes()[start..]);
    let end = a
        .iter()
        .rev()
        .zip(b.iter().rev())
        .take_while(|(x, y)| x == y)
        .count();
    let (a, b) = (&a[..a.len() - end], &b[..b.len() - end]);
    let exchanged = a.len() == 2 && b.len() == 2 && a[0] == b[1] && a[1] == b[0];
    (a.len() <= 1 && b.len() <= 1) || exchanged
}
