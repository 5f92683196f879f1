//! The memory of the harness while a driver prints without end. A program of its own, so that nothing else grows it.

mod support;

use std::fs;

use driver_conformance::contract::stage::{Program, Stage};
use driver_conformance::plan::case::JobOrder;
use driver_conformance::trace::CAPTURE_BYTES_MAX;

use support::*;

/// What the driver prints, bytes.
const PRINTED: u64 = 1024 * 1024 * 1024;
/// How much the harness may grow meanwhile, KiB.
const GROWTH_KIB_MAX: u64 = 64 * 1024;

/// The most memory this process ever had, KiB.
fn peak_memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("readable");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .expect("VmHWM");
    let number = line.split_whitespace().nth(1).expect("a number");
    number.parse().expect("a number")
}

#[test]
fn one_gibibyte_of_output_does_not_grow_the_harness() {
    let environment = environment();
    let text = format!("[ \"$3\" != build_script ] || yes | head -c {PRINTED}");
    let executable = driver(&environment, &text);
    let mut runner = TinyRunner::with_calls(
        &environment,
        &executable,
        1,
        vec![(Program::Run, Some(Stage::build_script()))],
    );
    // An emulated runner cuts the log at its own limit; this one would not.
    runner.log_output = false;
    let before = peak_memory_kib();
    let trace = run(
        &environment,
        vec![job(runner, Vec::new())],
        JobOrder::Sequential,
    );
    let growth = peak_memory_kib() - before;
    let build = build_script(&trace);
    assert_eq!(build.stdout.bytes_total, PRINTED);
    assert_eq!(build.stdout.bytes.len(), CAPTURE_BYTES_MAX);
    assert!(growth <= GROWTH_KIB_MAX, "grew by {growth} KiB");
}
