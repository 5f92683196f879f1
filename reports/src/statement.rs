//! What a run says about a driver, ready to be signed: an in-toto statement with the predicate `test-result`.
//!
//! The subject is the digest of the driver's files. Nothing in it depends on the machine or the time, so that two runs
//! with the same result have the same statement.

use serde_json::{Value, json};

use crate::model::{Level, Report, Status, Verdict};
use crate::text::visible_line;

/// The statement as canonical, indented JSON.
///
/// # Panics
/// Never: every part has a JSON form.
pub fn render(report: &Report) -> String {
    let digest = report.driver.digest.split_once(':');
    let (algorithm, digest) = digest.unwrap_or(("sha256", &report.driver.digest));
    let with = |wanted: &[Status]| -> Vec<Value> {
        let checks = report.checks.iter();
        let checks = checks.filter(|check| wanted.contains(&check.status));
        checks.map(|check| visible_line(&check.id).into()).collect()
    };
    let binding = |level| level == Level::Must || report.strict && level == Level::Should;
    let failed = |counts: bool| -> Vec<Value> {
        let checks = report.checks.iter();
        let checks = checks.filter(|check| {
            matches!(check.status, Status::Fail | Status::UnexpectedPass)
                && binding(check.level) == counts
        });
        checks.map(|check| visible_line(&check.id).into()).collect()
    };
    let mut warned = with(&[Status::Waived, Status::Inconclusive]);
    warned.extend(failed(false));
    let conforms = report.verdict == Verdict::Pass && report.partial.is_none();
    let result = match (conforms, warned.is_empty()) {
        (true, true) => "PASSED",
        (true, false) => "WARNED",
        (false, _) => "FAILED",
    };
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{
            "name": visible_line(&report.driver.path),
            "digest": { algorithm: visible_line(digest) },
        }],
        "predicateType": "https://in-toto.io/attestation/test-result/v0.1",
        "predicate": {
            "result": result,
            "configuration": [{
                "name": format!("driver-conformance {}", visible_line(&report.tool.version)),
                "uri": format!("pkg:generic/driver-conformance@{}", visible_line(&report.tool.version)),
            }],
            "passedTests": with(&[Status::Pass]),
            "warnedTests": warned,
            "failedTests": failed(true),
            "driverConformance": {
                "verdict": report.verdict,
                "exitCode": report.exit_code,
                "suiteVersion": visible_line(&report.tool.version),
                "profile": visible_line(&report.profile),
                "engine": visible_line(&report.engine),
                "seed": report.seed,
                "level": if report.strict { Level::Should } else { Level::Must },
                "partial": report.partial.is_some() || report.shard.is_some(),
                "cases": report.summary.cases,
                "waivers": waivers(report),
            },
        },
    });
    let mut text = serde_json::to_string_pretty(&statement).expect("every part has a JSON form");
    text.push('\n');
    text
}

fn waivers(report: &Report) -> Vec<Value> {
    let waivers = report.waivers.iter();
    waivers
        .map(|waiver| {
            json!({
                "check": visible_line(&waiver.check),
                "case": waiver.case.as_deref().map(visible_line),
                "reason": visible_line(&waiver.summary),
                "used": waiver.used,
            })
        })
        .collect()
}
