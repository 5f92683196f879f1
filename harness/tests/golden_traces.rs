//! Replays every golden trace of the repository through the simulation.

use std::path::{Path, PathBuf};

use driver_conformance::golden::compare::LineCount;
use driver_conformance::golden::emulate;

/// How many traces the repository holds: a lost file must not pass for a success.
const TRACES: usize = 338;

fn traces() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/traces/19.4");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&directory)
        .expect("the golden traces are part of the repository")
        .map(|entry| entry.expect("the directory can be read").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    files.sort();
    files
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "the share of equal log lines is a figure to read, not a limit"
)]
fn every_golden_trace_is_replayed_equal() {
    let files = traces();
    assert_eq!(files.len(), TRACES);
    let mut failures = Vec::new();
    let mut job_log = LineCount::default();
    let mut runner_log = LineCount::default();
    for path in &files {
        let emulated = emulate(path).unwrap_or_else(|error| panic!("{error}"));
        let comparison = emulated
            .comparison
            .expect("golden traces hold what was recorded");
        job_log.add(comparison.job_log);
        runner_log.add(comparison.runner_log);
        for difference in comparison.differences {
            failures.push(format!("{}: {difference}", emulated.scenario));
        }
    }
    println!(
        "{} traces; job-log lines equal: {}/{} ({:.1} %); runner-log lines equal: {}/{} ({:.1} %)",
        files.len(),
        job_log.equal,
        job_log.recorded,
        job_log.percent(),
        runner_log.equal,
        runner_log.recorded,
        runner_log.percent()
    );
    assert!(
        failures.is_empty(),
        "{} differences:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
