//! The checklist of a cleanup that may be called at any time, ticked by what a report has seen.

use driver_conformance_reports::model::{CaseResult, ChecklistItem, Report, Status};
use driver_conformance_scenarios::page::{self, Item};
use globset::{GlobBuilder, GlobMatcher};

use crate::document::{Block, Document, Statement};

/// Schema of the checklist as JSON.
const SCHEMA: &str = "driver-conformance/checklist/v1";
/// Most cases that are named as evidence.
const CASES_SHOWN: usize = 4;

/// What is known about an item.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Checks passed in these cases.
    Ticked(Vec<String>),
    /// A check failed in these cases.
    Failed(Vec<String>),
    /// Nothing that was run says anything.
    Untested,
}

/// The checklist; with a report, each item is ticked, failed or untested.
pub fn checklist(report: Option<&Report>) -> Document {
    let items = page::items().iter().map(|item| statement(item, report));
    let mut blocks = Vec::new();
    if report.is_some() {
        let legend = "[x] seen to hold, [!] seen to fail, [ ] not tested by this run";
        blocks.push(Block::Paragraph {
            text: legend.to_owned(),
        });
    }
    blocks.push(Block::Statements {
        items: items.collect(),
    });
    Document {
        schema: SCHEMA,
        name: "checklist".to_owned(),
        title: "Checklist: a cleanup that may be called at any time".to_owned(),
        blocks,
    }
}

/// The same items for the report itself.
pub fn ticked(report: &Report) -> Vec<ChecklistItem> {
    let items = page::items().iter().map(|item| {
        let (status, cases) = match state(item, report) {
            State::Ticked(cases) => (Status::Pass, cases),
            State::Failed(cases) => (Status::Fail, cases),
            State::Untested => (Status::Skip, Vec::new()),
        };
        ChecklistItem {
            sentence: format!("{}.", item.text),
            status,
            checks: item.checks.clone(),
            cases,
        }
    });
    items.collect()
}

fn statement(item: &Item, report: Option<&Report>) -> Statement {
    let mut notes = vec![item.hint.clone()];
    let mark = match report.map(|report| state(item, report)) {
        None => " ",
        Some(State::Ticked(cases)) => {
            notes.push(format!("seen in {}", shortened(&cases)));
            "x"
        }
        Some(State::Failed(cases)) => {
            notes.push(format!("failed in {}", shortened(&cases)));
            "!"
        }
        Some(State::Untested) => {
            notes.push(format!("run: driver-conformance PATH {}", selection(item)));
            " "
        }
    };
    Statement {
        text: format!("{}.", item.text),
        mark: Some(mark),
        clauses: item.clauses.clone(),
        known: item.checks.clone(),
        versions: None,
        notes,
    }
}

fn selection(item: &Item) -> String {
    let only: Vec<String> = item
        .checks
        .iter()
        .map(|check| format!("--only {check}"))
        .collect();
    only.join(" ")
}

fn shortened(cases: &[String]) -> String {
    let shown = cases[..cases.len().min(CASES_SHOWN)].join(", ");
    match cases.len().saturating_sub(CASES_SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Failed if any check failed; ticked if all passed and cases that show it ran.
fn state(item: &Item, report: &Report) -> State {
    let mut failed: Vec<String> = Vec::new();
    for finding in &report.findings {
        if item.checks.contains(&finding.check)
            && matches!(finding.status, Status::Fail | Status::Waived)
        {
            failed.push(finding.case.clone());
            failed.extend(finding.cases.iter().cloned());
        }
    }
    failed.sort();
    failed.dedup();
    if !failed.is_empty() {
        return State::Failed(failed);
    }
    let passed = item.checks.iter().all(|id| {
        let check = report.checks.iter().find(|check| check.id == *id);
        check.is_some_and(|check| check.status == Status::Pass && check.cases > 0)
    });
    let globs: Vec<GlobMatcher> = item.cases.iter().filter_map(|glob| matcher(glob)).collect();
    let shows = |case: &&CaseResult| {
        case.status == Status::Pass && globs.iter().any(|glob| glob.is_match(&case.name))
    };
    let cases: Vec<String> = report
        .cases
        .iter()
        .filter(shows)
        .map(|case| case.name.clone())
        .collect();
    if passed && !cases.is_empty() {
        State::Ticked(cases)
    } else {
        State::Untested
    }
}

fn matcher(glob: &str) -> Option<GlobMatcher> {
    let glob = GlobBuilder::new(glob).literal_separator(true).build();
    glob.ok().map(|glob| glob.compile_matcher())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_glob_is_one() {
        for glob in page::items().iter().flat_map(|item| &item.cases) {
            assert!(matcher(glob).is_some(), "{glob}");
        }
    }

    #[test]
    fn without_a_report_nothing_is_ticked() {
        let text = checklist(None).text();
        assert!(text.contains("[ ] cleanup twice"), "{text}");
        assert!(!text.contains("[x]"), "{text}");
    }
}
