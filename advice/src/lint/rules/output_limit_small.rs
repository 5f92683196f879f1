//! A log so short that not even the verdict fits in.

use super::{Config, LintProblem, Severity, Surroundings};

pub(super) const ID: &str = "output-limit-small";

/// Below this a usual job is cut, KiB.
const KIB_MIN: i64 = 512;

pub(super) fn look(config: &Config, _: &Surroundings<'_>) -> Vec<LintProblem> {
    let limits = config
        .runners
        .iter()
        .filter_map(|runner| runner.output_limit.as_ref());
    limits
        .filter(|limit| limit.value > 0 && limit.value < KIB_MIN)
        .map(|limit| LintProblem {
            rule: ID,
            severity: Severity::Warning,
            message: format!(
                "job logs are cut after {} KiB, the verdict with them",
                limit.value
            ),
            label: "KiB, not bytes".to_owned(),
            help: "leave it out, or write at least what your longest log has".to_owned(),
            span: limit.span.clone(),
            edit: None,
            clauses: &["B14"],
        })
        .collect()
}
