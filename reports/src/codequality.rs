//! GitLab's Code Quality report: what the widget of a merge request shows beside the driver's files.
//!
//! GitLab demands five fields and takes a finding for the same one as long as its fingerprint stays. Waived findings
//! are there with the lowest severity, since the format has no word for them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::{Finding, Level, Report, Status};
use crate::phrases::place;
use crate::text::visible_line;

#[derive(Serialize)]
struct Issue {
    description: String,
    check_name: String,
    fingerprint: String,
    severity: &'static str,
    location: Location,
}

#[derive(Serialize)]
struct Location {
    path: String,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: u32,
}

/// The report for GitLab's Code Quality.
///
/// # Panics
/// Never: every part has a JSON form.
pub fn render(report: &Report) -> String {
    // Of those with one fingerprint, GitLab shows the first alone.
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut issues = Vec::with_capacity(report.findings.len());
    for finding in &report.findings {
        let count = seen.entry(&finding.fingerprint).or_default();
        *count += 1;
        issues.push(issue(report, finding, *count));
    }
    let mut text = serde_json::to_string_pretty(&issues).expect("every part has a JSON form");
    text.push('\n');
    text
}

fn issue(report: &Report, finding: &Finding, nth: usize) -> Issue {
    let fingerprint = visible_line(&finding.fingerprint);
    let (file, line) = match &finding.location {
        Some(location) => (location.file.as_str(), location.line),
        None => (report.driver.path.as_str(), None),
    };
    Issue {
        description: description(finding),
        check_name: visible_line(&finding.check),
        fingerprint: match nth {
            1 => fingerprint,
            _ => format!("{fingerprint}-{nth}"),
        },
        severity: severity(report, finding),
        location: Location {
            path: visible_line(file.strip_prefix("./").unwrap_or(file)),
            // The format has no word for a file as a whole.
            lines: Lines {
                begin: line.unwrap_or(1),
            },
        },
    }
}

/// One line of text: the widget shows no more.
fn description(finding: &Finding) -> String {
    let line = |text: &str| {
        let words: Vec<&str> = text.split_whitespace().collect();
        visible_line(&words.join(" "))
    };
    let message = line(&finding.message);
    let head = format!("{}: {}", place(finding), message.trim_end_matches('.'));
    match (finding.status, &finding.waiver) {
        (Status::Waived, Some(waiver)) => format!("{head}. Waived: {}", line(waiver)),
        (Status::Inconclusive, _) => format!("{head}. Not certain: the machine was too busy."),
        _ => format!("{head}. Fix: {}", line(&finding.fix)),
    }
}

fn severity(report: &Report, finding: &Finding) -> &'static str {
    match (finding.status, finding.level) {
        (Status::Waived | Status::Inconclusive, _) | (_, Level::May) => "info",
        (_, Level::Must) => "critical",
        (_, Level::Should) if report.strict => "major",
        (_, Level::Should) => "minor",
    }
}
