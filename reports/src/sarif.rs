//! SARIF 2.1.0, for code scanning: each finding is a result in the driver's file.
//!
//! Only what this report says is written, in the form of the OASIS schema; `tests/schemas/sarif.json` holds the rules of
//! that schema for these parts. A line is given only where the driver itself named it.

use std::fmt::Write as _;

use serde::Serialize;

use crate::model::{Finding, Level, Report, Status, Verdict};
use crate::phrases::{clause, counted, place};
use crate::text::{visible, visible_line};

/// Where the schema of the format is.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
/// The directory that relative files are relative to.
const ROOT: &str = "%SRCROOT%";

#[derive(Serialize)]
struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    automation_details: AutomationDetails,
    invocations: [Invocation; 1],
    column_kind: &'static str,
    results: Vec<SarifResult>,
}

#[derive(Serialize)]
struct Tool {
    driver: Component,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Component {
    name: &'static str,
    semantic_version: String,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: String,
    short_description: Text,
    default_configuration: Configuration,
    properties: RuleProperties,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Serialize)]
struct RuleProperties {
    tags: Vec<String>,
}

#[derive(Serialize)]
struct AutomationDetails {
    id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    exit_code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time_utc: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifResult {
    rule_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_index: Option<usize>,
    kind: &'static str,
    level: &'static str,
    message: Text,
    locations: [ResultLocation; 1],
    partial_fingerprints: Fingerprints,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suppressions: Vec<Suppression>,
}

#[derive(Serialize)]
struct Text {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultLocation {
    physical_location: PhysicalLocation,
    logical_locations: [LogicalLocation; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactLocation {
    uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri_base_id: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogicalLocation {
    fully_qualified_name: String,
    kind: &'static str,
}

/// Consumers compare fingerprints of one name only.
#[derive(Serialize)]
struct Fingerprints {
    #[serde(rename = "driverConformance/v1")]
    ours: String,
}

#[derive(Serialize)]
struct Suppression {
    kind: &'static str,
    status: &'static str,
    justification: String,
}

/// The report as SARIF.
///
/// # Panics
/// Never: every part has a JSON form.
pub fn render(report: &Report) -> String {
    let log = Log {
        schema: SCHEMA,
        version: "2.1.0",
        runs: [Run {
            tool: Tool {
                driver: Component {
                    name: "driver-conformance",
                    semantic_version: visible_line(&report.tool.version),
                    rules: rules(report),
                },
            },
            automation_details: AutomationDetails {
                id: format!(
                    "driver-conformance/{}/{}",
                    visible_line(&report.driver.path),
                    visible_line(&report.profile)
                ),
            },
            invocations: [Invocation {
                execution_successful: report.verdict != Verdict::Error && report.partial.is_none(),
                exit_code: report.exit_code,
                start_time_utc: Some(report.started.clone()).filter(|text| !text.is_empty()),
            }],
            column_kind: "unicodeCodePoints",
            results: report
                .findings
                .iter()
                .map(|finding| result(report, finding))
                .collect(),
        }],
    };
    let mut text = serde_json::to_string_pretty(&log).expect("every part has a JSON form");
    text.push('\n');
    text
}

fn rules(report: &Report) -> Vec<Rule> {
    let rule = |check: &crate::model::CheckResult| Rule {
        id: visible_line(&check.id),
        short_description: Text {
            text: match check.requirement.as_str() {
                "" => visible_line(&check.id),
                requirement => visible_line(requirement),
            },
        },
        default_configuration: Configuration {
            level: level(check.level),
        },
        properties: RuleProperties {
            // No two tags may be the same.
            tags: std::iter::once(check.category.name().to_owned())
                .chain(
                    check
                        .clause
                        .iter()
                        .map(|id| format!("clause/{}", visible_line(id))),
                )
                .collect(),
        },
    };
    report.checks.iter().map(rule).collect()
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Must => "error",
        Level::Should => "warning",
        Level::May => "note",
    }
}

fn result(report: &Report, finding: &Finding) -> SarifResult {
    let checks = report.checks.iter();
    let rule_index = checks.clone().position(|check| check.id == finding.check);
    // What is no plain failure has the level `none`.
    let (kind, level) = match finding.status {
        Status::Inconclusive => ("open", "none"),
        Status::UnexpectedPass => ("fail", "error"),
        _ => ("fail", level(finding.level)),
    };
    SarifResult {
        rule_id: visible_line(&finding.check),
        rule_index,
        kind,
        level,
        message: Text {
            text: message(finding),
        },
        locations: [ResultLocation {
            physical_location: physical_location(report, finding),
            logical_locations: [LogicalLocation {
                fully_qualified_name: place(finding),
                kind: "function",
            }],
        }],
        partial_fingerprints: Fingerprints {
            ours: visible_line(&finding.fingerprint),
        },
        suppressions: match (finding.status, &finding.waiver) {
            (Status::Waived, Some(waiver)) => vec![Suppression {
                kind: "external",
                status: "accepted",
                justification: visible_line(waiver),
            }],
            _ => Vec::new(),
        },
    }
}

fn message(finding: &Finding) -> String {
    let mut text = visible(&finding.message);
    let mut field = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = write!(text, "\n{name}: {}", visible(value));
        }
    };
    field("Expected", &finding.expected.join("\nor "));
    field("Actual", &finding.actual);
    field("Why", &finding.why);
    field("Fix", &finding.fix);
    field("Clause", &clause(finding));
    if finding.cases.len() > 1 {
        field("Shown by", &counted(finding.cases.len(), "case"));
    }
    field("Reproduce", &finding.reproduce);
    text
}

fn physical_location(report: &Report, finding: &Finding) -> PhysicalLocation {
    let (file, line) = match &finding.location {
        Some(location) => (location.file.as_str(), location.line),
        None => (report.driver.path.as_str(), None),
    };
    let absolute = file.starts_with('/');
    let path = uri_path(file);
    PhysicalLocation {
        artifact_location: ArtifactLocation {
            uri: if absolute {
                format!("file://{path}")
            } else {
                path
            },
            uri_base_id: (!absolute).then_some(ROOT),
        },
        region: line.map(|start_line| Region { start_line }),
    }
}

/// A path as a URI reference: everything but unreserved characters and slashes is escaped.
fn uri_path(path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            _ => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri
}
