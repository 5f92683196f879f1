//! Several jobs at once with a driver whose jobs disturb each other.

use super::super::Edit;
use super::{Config, LintProblem, Severity, Surroundings};

pub(super) const ID: &str = "concurrent-without-isolation";

pub(super) fn look(config: &Config, surroundings: &Surroundings<'_>) -> Vec<LintProblem> {
    let several = config
        .concurrent
        .as_ref()
        .filter(|concurrent| concurrent.value > 1);
    let Some(concurrent) =
        several.filter(|_| surroundings.isolation_fails && !config.runners.is_empty())
    else {
        return Vec::new();
    };
    vec![LintProblem {
        rule: ID,
        severity: Severity::Error,
        message: format!(
            "{} jobs at once, with a driver whose jobs disturb each other",
            concurrent.value
        ),
        label: "the report has findings of the category isolation".to_owned(),
        help: "set `concurrent = 1` until these findings are mended".to_owned(),
        span: concurrent.span.clone(),
        edit: Some(Edit {
            span: concurrent.span.clone(),
            text: "1".to_owned(),
        }),
        clauses: &["B17"],
    }]
}
