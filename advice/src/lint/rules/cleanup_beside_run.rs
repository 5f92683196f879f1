//! A grace longer than the runner waits: `cleanup_exec` begins while `run_exec` is still alive.

use super::{Config, LintProblem, Severity, Surroundings};

pub(super) const ID: &str = "cleanup-beside-run";

pub(super) fn look(config: &Config, surroundings: &Surroundings<'_>) -> Vec<LintProblem> {
    let times = surroundings.times;
    let mut problems = Vec::new();
    for custom in config.customs() {
        let set = custom.timeout("graceful_kill_timeout");
        let Some(seconds) = custom.seconds("graceful_kill_timeout", times.graceful_kill) else {
            continue;
        };
        if seconds < times.run_wait {
            continue;
        }
        let label = match set {
            Some(_) => "longer than the runner waits".to_owned(),
            None => format!("`graceful_kill_timeout` is not set: {seconds} s"),
        };
        problems.push(LintProblem {
            rule: ID,
            severity: if set.is_some() { Severity::Warning } else { Severity::Hint },
            message: format!(
                "a run_exec that ignores SIGTERM lives for {seconds} s, and cleanup_exec begins after {} s beside it",
                times.run_wait
            ),
            label,
            help: format!("set `graceful_kill_timeout` below {}", times.run_wait),
            span: set.map_or(custom.header.clone(), |timeout| timeout.span.clone()),
            edit: None,
            clauses: &["H6", "H7"],
        });
    }
    problems
}
