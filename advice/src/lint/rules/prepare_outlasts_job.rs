//! Attempts to prepare that together take longer than a job may.

use super::{Config, LintProblem, Severity, Surroundings};

pub(super) const ID: &str = "prepare-outlasts-job";

/// What GitLab gives to a job unless a project says otherwise, seconds.
const JOB_TIMEOUT_USUAL: i64 = 3600;

pub(super) fn look(config: &Config, surroundings: &Surroundings<'_>) -> Vec<LintProblem> {
    let times = surroundings.times;
    let mut problems = Vec::new();
    for custom in config.customs() {
        if custom.program("prepare_exec").is_none() {
            continue;
        }
        let set = custom.timeout("prepare_exec_timeout");
        let Some(seconds) = custom.seconds("prepare_exec_timeout", times.exec) else {
            continue;
        };
        let all = times.prepare_attempts * (seconds + times.prepare_pause);
        if all <= JOB_TIMEOUT_USUAL {
            continue;
        }
        problems.push(LintProblem {
            rule: ID,
            severity: if set.is_some() { Severity::Warning } else { Severity::Hint },
            message: format!(
                "{} attempts to prepare may take {all} s, more than the {JOB_TIMEOUT_USUAL} s of a usual job",
                times.prepare_attempts
            ),
            label: match set {
                Some(_) => "for each attempt".to_owned(),
                None => format!("`prepare_exec_timeout` is not set: {seconds} s"),
            },
            help: format!(
                "set `prepare_exec_timeout` to what a slow start takes, at most {}",
                JOB_TIMEOUT_USUAL / times.prepare_attempts - times.prepare_pause
            ),
            span: set.map_or(custom.header.clone(), |timeout| timeout.span.clone()),
            edit: None,
            clauses: &["D1", "D3", "D7"],
        });
    }
    problems
}
