//! A report of the suite as a source: each finding is a problem.

use driver_conformance_reports::model::{SCHEMA, Status};
use driver_conformance_scenarios::symptom;
use serde::Deserialize;
use serde_json::Value;

use crate::model::{EvidenceLine, Problem};
use crate::text::Input;

/// What a diagnosis needs of a report. A report that was cut down, or comes from another version, has it as well.
#[derive(Deserialize)]
pub(crate) struct Report {
    findings: Vec<Finding>,
}

#[derive(Deserialize)]
struct Finding {
    check: String,
    call: String,
    #[serde(default)]
    stage: Option<String>,
    #[serde(default)]
    case: String,
    status: Status,
    #[serde(default)]
    message: String,
    #[serde(default)]
    actual: String,
    #[serde(default)]
    fix: String,
}

/// The report that a file holds, if it is one; the reason if it is one that cannot be read.
pub(crate) fn parse(input: &Input) -> Option<Result<Report, String>> {
    let text = input.text();
    if !text.trim_start().starts_with('{') || !text.contains(SCHEMA) {
        return None;
    }
    match serde_json::from_str(&text) {
        Ok(report) => Some(Ok(report)),
        Err(error) => {
            let document: Value = serde_json::from_str(&text).ok()?;
            // Another document may quote a report.
            let is_meant = document["schema"] == SCHEMA;
            is_meant.then(|| Err(error.to_string()))
        }
    }
}

/// The problems that it tells of; those a waiver excepts are not among them.
pub(crate) fn problems(report: &Report, input: &Input) -> Vec<Problem> {
    let text = input.text();
    report
        .findings
        .iter()
        .filter(|finding| finding.status == Status::Fail)
        .map(|finding| problem(finding, &text))
        .collect()
}

fn problem(finding: &Finding, text: &str) -> Problem {
    let symptom = symptom::of_check(&finding.check).next();
    let quoted = format!("\"{}\"", finding.check);
    let is_finding = |line: &str| line.contains("\"check\"") && line.contains(&quoted);
    let line = text
        .lines()
        .position(is_finding)
        .map_or(1, |index| index + 1);
    Problem {
        call: finding.call.clone(),
        stage: finding.stage.clone(),
        cause: finding.check.replace('/', "-"),
        title: finding
            .message
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned(),
        confidence: 1.0,
        decisive: true,
        evidence: vec![EvidenceLine {
            line,
            text: format!("{}: {}", finding.case, finding.actual),
            file: None,
        }],
        checks: vec![finding.check.clone()],
        observe: symptom
            .map(|symptom| symptom.symptom.clone())
            .unwrap_or_default(),
        fix: finding.fix.clone(),
        jobs: Vec::new(),
    }
}
