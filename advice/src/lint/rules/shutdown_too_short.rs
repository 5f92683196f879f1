//! A runner that leaves before a driver has ended: no `cleanup_exec`, no final state.

use super::{Config, LintProblem, Severity, Surroundings};

pub(super) const ID: &str = "shutdown-too-short";

pub(super) fn look(config: &Config, surroundings: &Surroundings<'_>) -> Vec<LintProblem> {
    let times = surroundings.times;
    let set = config
        .shutdown_timeout
        .as_ref()
        .filter(|timeout| timeout.value > 0);
    let shutdown = set.map_or(times.shutdown, |timeout| timeout.value);
    let mut problems = Vec::new();
    for custom in config.customs() {
        // Nobody waits a whole default timeout for cleanup; what is set is meant.
        let (Some(graceful), Some(cleanup)) = (
            custom.seconds("graceful_kill_timeout", times.graceful_kill),
            custom.seconds("cleanup_exec_timeout", 0),
        ) else {
            continue;
        };
        let fits = match cleanup {
            // Without a time of its own it needs some all the same.
            0 => shutdown > graceful,
            _ => shutdown >= graceful + cleanup,
        };
        if fits {
            continue;
        }
        let span = set.map_or(custom.header.clone(), |timeout| timeout.span.clone());
        problems.push(LintProblem {
            rule: ID,
            severity: if set.is_some() { Severity::Warning } else { Severity::Hint },
            message: format!(
                "a runner that is stopped leaves after {shutdown} s, a driver may need {} s: cleanup_exec would not run",
                graceful + cleanup
            ),
            label: match cleanup {
                0 => format!("graceful_kill_timeout {graceful} s does not fit in"),
                _ => format!("graceful_kill_timeout {graceful} s and cleanup_exec_timeout {cleanup} s do not fit in"),
            },
            help: match cleanup {
                0 => format!("set `shutdown_timeout` at the top of the file to {graceful} and the time that cleanup_exec takes, or shorten graceful_kill_timeout"),
                _ => format!("set `shutdown_timeout = {}` at the top of the file, or shorten the others", graceful + cleanup),
            },
            span,
            edit: None,
            clauses: &["H12", "F5"],
        });
        // One setting for all runners: once is enough.
        break;
    }
    problems
}
