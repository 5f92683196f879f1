//! A report of the suite as a source: each finding is a problem.

use driver_conformance_reports::model::{Finding, Report, Status};
use driver_conformance_scenarios::symptom;

use crate::model::{EvidenceLine, Problem};
use crate::text::Input;

/// The report that a file holds, if it is one.
pub(crate) fn parse(input: &Input) -> Option<Report> {
    let text = input.text();
    if !text.trim_start().starts_with('{') || !text.contains("driver-conformance/report/v1") {
        return None;
    }
    serde_json::from_str(&text).ok()
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
        call: finding.call.name().to_owned(),
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
