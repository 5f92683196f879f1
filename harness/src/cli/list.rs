//! `list`: every case and every check, or every clause of the contract.

use std::fmt::Write as _;

use clap::Args;
use driver_conformance_scenarios::contract;
use driver_conformance_scenarios::model::Budget;
use serde_json::json;

use crate::checks::{self, Check};
use crate::plan::select::{Globs, select};
use crate::suite::{CaseEntry, Suite};

use super::{ExpectedError, Output};

/// Arguments of `list`.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only what matches this glob; may be repeated
    #[arg(long, value_name = "GLOB")]
    only: Vec<String>,
    /// Not what matches this glob; may be repeated
    #[arg(long, value_name = "GLOB")]
    skip: Vec<String>,
    /// Only checks
    #[arg(long, conflicts_with = "cases")]
    checks: bool,
    /// Only cases
    #[arg(long)]
    cases: bool,
    /// The clauses of the contract instead
    #[arg(long, conflicts_with_all = ["cases", "checks", "only", "skip"])]
    clauses: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Prints the catalogue.
pub(super) fn execute(
    arguments: &Arguments,
    suite: &dyn Suite,
    output: &mut Output,
) -> Result<u8, ExpectedError> {
    if arguments.clauses {
        let text = if arguments.json {
            clauses_as_json()
        } else {
            clauses_as_text()
        };
        output.text(&text);
        return Ok(0);
    }
    let mut cases = suite.cases()?;
    let mut checks = suite.checks().to_vec();
    let globs = Globs {
        only: arguments.only.clone(),
        skip: arguments.skip.clone(),
    };
    let names: Vec<String> = cases.iter().map(|case| case.name.clone()).collect();
    let ids: Vec<String> = checks.iter().map(|check| check.id.to_owned()).collect();
    let selected = select(&globs, &names, &ids)?;
    cases.retain(|case| !arguments.checks && selected.cases.contains(&case.name));
    checks.retain(|check| !arguments.cases && selected.checks.iter().any(|id| id == check.id));
    let text = if arguments.json {
        as_json(&cases, &checks)
    } else {
        as_text(&cases, &checks)
    };
    output.text(&text);
    Ok(0)
}

fn as_text(cases: &[CaseEntry], checks: &[&'static Check]) -> String {
    let mut text = String::new();
    let width = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or_default();
    if !cases.is_empty() {
        let _ = writeln!(text, "cases ({})", cases.len());
        let column = width(&mut cases.iter().map(|case| case.name.len()));
        for case in cases {
            let budget = match case.budget {
                Budget::Default => String::new(),
                other => format!(" [{}]", other.name()),
            };
            let line = format!("  {:<column$}  {}{budget}", case.name, case.about);
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    if !checks.is_empty() {
        let blank = if text.is_empty() { "" } else { "\n" };
        let _ = writeln!(text, "{blank}checks ({})", checks.len());
        let column = width(&mut checks.iter().map(|check| check.id.len()));
        for check in checks {
            let _ = writeln!(text, "  {:<column$}  {}", check.id, check.requirement);
        }
    }
    text
}

fn as_json(cases: &[CaseEntry], checks: &[&'static Check]) -> String {
    let cases: Vec<_> = cases
        .iter()
        .map(|case| json!({ "name": case.name, "about": case.about, "budget": case.budget.name() }))
        .collect();
    let checks: Vec<_> = checks
        .iter()
        .map(|check| {
            json!({
                "id": check.id,
                "clause": clause_names(check),
                "category": check.category.name(),
                "level": super::show::level_name(check.level),
                "requirement": check.requirement,
            })
        })
        .collect();
    format!("{:#}\n", json!({ "cases": cases, "checks": checks }))
}

fn clause_names(check: &Check) -> Vec<&'static str> {
    check.clauses.iter().map(|id| id.name()).collect()
}

fn clauses_as_text() -> String {
    let mut text = format!("clauses ({})\n", contract::all().len());
    for clause in contract::all() {
        let level = clause.level.name();
        let _ = writeln!(text, "  {:<3}  {level:<6}  {}", clause.id, clause.sentence);
    }
    text
}

fn clauses_as_json() -> String {
    let clauses: Vec<_> = contract::all()
        .iter()
        .map(|clause| {
            let provenance = clause.provenance.iter().map(|known| known.name());
            let checks = checks::of_clause(clause.id).map(|check| check.id);
            json!({
                "id": clause.id.name(),
                "level": clause.level.name(),
                "sentence": clause.sentence,
                "provenance": provenance.collect::<Vec<_>>(),
                "traces": clause.traces,
                "since": clause.since.map(|version| version.to_string()),
                "until": clause.until.map(|version| version.to_string()),
                "link": clause.link,
                "docs_differ": clause.docs_differ,
                "checks": checks.collect::<Vec<_>>(),
                "unchecked": clause.unchecked.map(contract::Unchecked::name),
            })
        })
        .collect();
    format!("{:#}\n", json!({ "clauses": clauses }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clauses_are_listed_one_a_line() {
        let text = clauses_as_text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), contract::all().len() + 1);
        assert!(lines[1].starts_with("  A1   may     "), "{}", lines[1]);
    }

    #[test]
    fn clauses_as_json_name_their_checks() {
        let document: serde_json::Value =
            serde_json::from_str(&clauses_as_json()).expect("it is JSON");
        let clauses = document["clauses"].as_array().expect("a list");
        let entry = clauses.iter().find(|clause| clause["id"] == "F7");
        let entry = entry.expect("it is there");
        assert_eq!(entry["checks"], json!(["cleanup/ends-in-time"]));
        assert_eq!(entry["since"], "13.4");
        assert_eq!(entry["until"], json!(null));
    }
}
