//! JSON lines, schema `driver-conformance/stream/v1`: one object on each line, `event` says of what.
//!
//! `run` comes first and `end` last. In between come `case`s as they end, then `check`s, `finding`s and `leak`s. A case
//! may come twice, when it was run again on a quiet machine or judged late: the last line about it counts.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::model::{CaseResult, Report};

/// The value of `schema` in the first line.
pub const SCHEMA: &str = "driver-conformance/stream/v1";

/// The whole report, as if it had been written while the run went on.
pub fn render(report: &Report) -> String {
    let mut text = opening(&report.driver.path, report.cases.len());
    text.push_str(&closing(report, &BTreeMap::new()));
    text
}

/// The first line, when it is known what will be run.
pub fn opening(driver: &str, cases: usize) -> String {
    line(
        "run",
        &json!({ "schema": SCHEMA, "driver": driver, "cases": cases }),
    )
}

/// The line about one case.
pub fn case(case: &CaseResult) -> String {
    line("case", case)
}

/// Everything behind the lines that are written already: `told` holds the cases of these.
pub fn closing(report: &Report, told: &BTreeMap<String, CaseResult>) -> String {
    let mut text = String::new();
    for result in &report.cases {
        if told.get(&result.name) != Some(result) {
            text.push_str(&case(result));
        }
    }
    for check in &report.checks {
        text.push_str(&line("check", check));
    }
    for finding in &report.findings {
        text.push_str(&line("finding", finding));
    }
    for leak in &report.leaks {
        text.push_str(&line("leak", leak));
    }
    text.push_str(&line("end", &end(report)));
    text
}

/// What the report says as a whole, without its lists.
fn end(report: &Report) -> Value {
    json!({
        "verdict": report.verdict,
        "exit_code": report.exit_code,
        "tool": report.tool,
        "driver": report.driver,
        "profile": report.profile,
        "engine": report.engine,
        "seed": report.seed,
        "strict": report.strict,
        "started": report.started,
        "duration_ms": report.duration_ms,
        "summary": report.summary,
        "partial": report.partial,
        "shard": report.shard,
        "notes": report.notes,
    })
}

/// One line, the kind of event in front. What a driver printed is escaped by JSON; line separators of Unicode as well,
/// since not every reader of lines agrees that they are none.
fn line(event: &str, content: &impl Serialize) -> String {
    let mut object = serde_json::Map::new();
    object.insert("event".to_owned(), event.into());
    if let Ok(Value::Object(content)) = serde_json::to_value(content) {
        object.extend(content);
    }
    let text = Value::Object(object).to_string();
    let text = text
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
        .replace('\u{85}', "\\u0085");
    format!("{text}\n")
}
