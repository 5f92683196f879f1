//! Problems as a report, so that every format of the suite can write them.

use driver_conformance_reports::model::{ExitCode, Report};
use serde_json::{Value, json};

use super::{LintProblem, Severity, rule_ids};

/// What was looked at: its path, its text and the problems in it.
pub type Looked<'a> = (&'a str, &'a str, &'a [LintProblem]);

/// A report of these files. Errors and warnings are findings of MUST and SHOULD; hints are too, but never fail.
///
/// # Panics
///
/// Never: the model reads what it is given here, which a test sees to.
pub fn report(version: &str, started: &str, files: &[Looked<'_>]) -> Report {
    let worst = files
        .iter()
        .flat_map(|(_, _, problems)| *problems)
        .map(|problem| problem.severity)
        .min();
    let fails = worst == Some(Severity::Error);
    let findings: Vec<Value> = files
        .iter()
        .flat_map(|(path, text, problems)| {
            problems.iter().map(|problem| finding(path, text, problem))
        })
        .collect();
    let checks: Vec<Value> = rule_ids().into_iter().map(|id| check(id, files)).collect();
    let cases: Vec<Value> = files
        .iter()
        .map(|(path, _, problems)| {
            let failed = problems.iter().any(|problem| problem.severity == Severity::Error);
            json!({"name": path, "status": if failed { "fail" } else { "pass" }, "duration_ms": 0, "calls": 0})
        })
        .collect();
    let failed = cases.iter().filter(|case| case["status"] == "fail").count();
    let path = files.first().map_or("", |(path, _, _)| path);
    let report = json!({
        "schema": driver_conformance_reports::model::SCHEMA,
        "verdict": if fails { "fail" } else { "pass" },
        "exit_code": if fails { ExitCode::NONCONFORMING } else { ExitCode::CONFORMS },
        "tool": {"version": version},
        "driver": {"path": path, "kind": "config-toml", "digest": ""},
        "profile": "19.4", "engine": "lint", "seed": 0, "started": started, "duration_ms": 0,
        "summary": {"cases": cases.len(), "passed": cases.len() - failed, "failed": failed, "waived": 0, "skipped": 0,
            "inconclusive": 0, "errors": 0, "calls": 0, "transitions_covered": 0, "transitions_total": 0},
        "checks": checks, "findings": findings, "cases": cases, "leaks": [],
    });
    serde_json::from_value(report).expect("a report has these fields")
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "must",
        Severity::Warning => "should",
        Severity::Hint => "may",
    }
}

fn id_of(rule: &str) -> String {
    format!("lint/{rule}")
}

fn check(rule: &str, files: &[Looked<'_>]) -> Value {
    let mut found = files
        .iter()
        .flat_map(|(_, _, problems)| *problems)
        .filter(|problem| problem.rule == rule);
    let first = found.next();
    json!({
        "id": id_of(rule), "clause": first.map_or(&[][..], |problem| problem.clauses), "category": "config",
        "level": first.map_or("should", |problem| level(problem.severity)),
        "status": if first.is_some() { "fail" } else { "pass" }, "cases": files.len(),
    })
}

fn finding(path: &str, text: &str, problem: &LintProblem) -> Value {
    let line = text[..problem.span.start.min(text.len())]
        .matches('\n')
        .count()
        + 1;
    json!({
        "check": id_of(problem.rule), "clause": problem.clauses, "category": "config",
        "level": level(problem.severity), "call": "job", "case": path, "cases": [path], "status": "fail",
        "message": problem.message, "expected": [], "actual": format!("{path}:{line}: {}", problem.label),
        "fix": problem.help, "evidence": [line, line], "fingerprint": format!("{}-{path}-{line}", problem.rule),
        "reproduce": format!("driver-conformance lint {path}"),
    })
}
