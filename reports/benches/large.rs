//! How long each format takes for a large report: 1 000 cases, 100 000 findings.

use criterion::{Criterion, criterion_group, criterion_main};
use driver_conformance_reports::FORMATS;
use driver_conformance_reports::model::Report;
use serde_json::{Value, json};

/// How many.
const CASES: usize = 1_000;
/// How many.
const FINDINGS: usize = 100_000;
/// About as many as the suite has.
const CHECKS: usize = 90;

fn large() -> Report {
    let check = |number: usize| format!("theme-{}/check-{number}", number % 15);
    let case = |number: usize| format!("theme/case-{number}");
    let checks: Vec<Value> = (0..CHECKS)
        .map(|number| {
            json!({ "id": check(number), "clause": ["G8"], "category": "exit-code", "level": "must", "status": "fail", "cases": 11 })
        })
        .collect();
    let findings: Vec<Value> = (0..FINDINGS)
        .map(|number| {
            json!({
                "check": check(number % CHECKS), "clause": ["G8"], "category": "exit-code", "level": "must",
                "call": "run", "stage": "build_script", "case": case(number % CASES), "cases": [case(number % CASES)],
                "status": "fail", "message": format!("exited with {number}"), "expected": ["exit status 73"],
                "actual": "exit status 1", "fix": "Read the variable.", "evidence": [3, 9],
                "fingerprint": format!("{number:064x}"), "reproduce": "driver-conformance ./driver --only theme",
            })
        })
        .collect();
    let cases: Vec<Value> = (0..CASES)
        .map(|number| json!({ "name": case(number), "status": "fail", "duration_ms": 240, "calls": 12 }))
        .collect();
    let report = json!({
        "schema": "driver-conformance/report/v1", "verdict": "fail", "exit_code": 1,
        "tool": { "version": "0.1.0" }, "driver": { "path": "./driver", "kind": "directory", "digest": "sha256:00" },
        "profile": "19.4", "engine": "mock", "seed": 1, "started": "2026-01-01T00:00:00Z", "duration_ms": 4210,
        "summary": {
            "cases": CASES, "passed": 0, "failed": CASES, "waived": 0, "skipped": 0, "inconclusive": 0, "errors": 0,
            "calls": 12_000, "transitions_covered": 10, "transitions_total": 217,
        },
        "checks": checks, "findings": findings, "cases": cases, "leaks": [],
    });
    serde_json::from_value(report).expect("the schema")
}

fn formats(criterion: &mut Criterion) {
    let report = large();
    let mut group = criterion.benchmark_group("large report");
    group.sample_size(10);
    for format in FORMATS {
        group.bench_function(format.name, |bencher| {
            bencher.iter(|| (format.render)(&report).len());
        });
    }
}

criterion_group!(benches, formats);
criterion_main!(benches);
