//! The table of symptoms: what one sees, where it comes from, what tells it from others, what to do.

use std::collections::BTreeSet;

use driver_conformance_reports::model::{Report, Status};
use driver_conformance_scenarios::symptom::{self, Subject, Symptom};

use crate::document::{Block, Document};

/// Schema of the table as JSON.
const SCHEMA: &str = "driver-conformance/table/v1";

/// The parts of the table, in order.
const PARTS: [(&str, &[Subject]); 6] = [
    (
        "config_exec and prepare_exec",
        &[Subject::Config, Subject::Prepare],
    ),
    ("run_exec", &[Subject::Run]),
    ("cleanup_exec", &[Subject::Cleanup]),
    ("Any program", &[Subject::Seen]),
    ("Runner and GitLab", &[Subject::Runner, Subject::Gitlab]),
    ("Not the driver", &[Subject::None]),
];

/// The table; with a report, the rows that its findings speak for are marked.
pub fn table(report: Option<&Report>) -> Document {
    let failed: BTreeSet<&str> = report
        .into_iter()
        .flat_map(|report| &report.findings)
        .filter(|finding| finding.status == Status::Fail)
        .map(|finding| finding.check.as_str())
        .collect();
    let mut blocks = Vec::new();
    if report.is_some() {
        blocks.push(Block::Paragraph {
            text: "Rows that findings of the report speak for are marked.".to_owned(),
        });
    }
    for (heading, subjects) in PARTS {
        let symptoms: Vec<&Symptom> = symptom::all()
            .iter()
            .filter(|symptom| subjects.contains(&symptom.call))
            .collect();
        blocks.push(Block::Heading {
            text: heading.to_owned(),
        });
        blocks.push(Block::Table {
            head: [
                "symptom",
                "where",
                "cause",
                "what tells it from others",
                "fix",
            ]
            .map(str::to_owned)
            .to_vec(),
            rows: symptoms.iter().map(|symptom| row(symptom)).collect(),
            marked: if report.is_some() {
                let applies = |symptom: &&Symptom| {
                    symptom
                        .checks
                        .iter()
                        .any(|check| failed.contains(check.as_str()))
                };
                symptoms.iter().map(applies).collect()
            } else {
                Vec::new()
            },
        });
    }
    Document {
        schema: SCHEMA,
        name: "table".to_owned(),
        title: "From symptoms to causes".to_owned(),
        blocks,
    }
}

fn row(symptom: &Symptom) -> Vec<String> {
    vec![
        symptom.symptom.clone(),
        places(symptom),
        format!("{} ({})", symptom.title, symptom.cause),
        symptom.observe.clone(),
        symptom.fix.clone(),
    ]
}

/// Calls and stages at which it is seen.
fn places(symptom: &Symptom) -> String {
    let mut words: Vec<&str> = Vec::new();
    let at = symptom
        .when
        .iter()
        .flat_map(|when| &when.at)
        .map(String::as_str);
    for word in symptom.stage.as_deref().into_iter().chain(at) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    if words.is_empty() {
        words.push(match symptom.call {
            Subject::Seen => "any call",
            other => other.name(),
        });
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_symptom_is_in_one_part() {
        let rows: usize = table(None)
            .blocks
            .iter()
            .map(|block| match block {
                Block::Table { rows, .. } => rows.len(),
                _ => 0,
            })
            .sum();
        assert_eq!(rows, symptom::all().len());
    }
}
