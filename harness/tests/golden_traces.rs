//! Replays every golden trace of the repository through the simulation.

use std::path::{Path, PathBuf};

use driver_conformance::golden::compare::LineCount;
use driver_conformance::golden::emulate;

/// The directories of traces, and how many each holds: a lost file must not pass for a success.
const TRACES: [(&str, usize); 2] = [("19.4", 338), ("19.4-later", 12)];

fn traces(directory: &str) -> Vec<PathBuf> {
    let traces = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/traces");
    let directory = traces.join(directory);
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
    let mut files = Vec::new();
    for (directory, count) in TRACES {
        let found = traces(directory);
        assert_eq!(found.len(), count, "{directory}");
        files.extend(found);
    }
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
