//! How long the default suite takes on good-bash, against what its calls would take if the processors did nothing else: the sum
//! of their own times, one case at a time, divided by the processors.

use std::num::NonZero;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::available_parallelism;

use driver_conformance_reports::model::Report;

/// Rounds of each side, taken in turns; the medians are compared.
const ROUNDS: usize = 5;
/// The goal for the ratio.
const RATIO_GOAL: f64 = 1.5;
/// The goal for the time, seconds.
const SECONDS_GOAL: f64 = 20.0;

/// Runs the suite with these additional arguments.
fn run(arguments: &[&str]) -> Report {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("report.json");
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/drivers/good-bash");
    let status = Command::new(env!("CARGO_BIN_EXE_driver-conformance"))
        .arg(driver)
        .args(arguments)
        .arg("--report")
        .arg(format!("json={}", file.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("runs");
    assert!(status.success(), "good-bash conforms");
    let text = std::fs::read_to_string(file).expect("a report");
    serde_json::from_str(&text).expect("a report")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[expect(
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "the ratio is what this program is for, and times are short"
)]
fn main() {
    let processors = available_parallelism().map_or(1, NonZero::get);
    let (mut whole, mut calls) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        calls.push(run(&["--jobs", "1"]).summary.call_time_ms as f64 / 1000.0);
        whole.push(run(&[]).duration_ms as f64 / 1000.0);
    }
    let (whole, calls) = (median(whole), median(calls));
    let ratio = whole / (calls / processors as f64);
    println!(
        "default suite on good-bash: {whole:.1} s (goal {SECONDS_GOAL} s); its calls one at a time {calls:.1} s; \
         ratio to their share of {processors} processors {ratio:.2} (goal {RATIO_GOAL})"
    );
}
