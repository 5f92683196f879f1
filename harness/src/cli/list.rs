//! `list`: every case and every check.

use std::fmt::Write as _;

use clap::Args;
use serde_json::json;

use crate::checks::Check;
use crate::plan::select::{Globs, select};
use crate::suite::{CaseEntry, Suite};

use super::{ExpectedError, Output};

/// Arguments of `list`.
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
            let line = format!("  {:<column$}  {}", case.name, case.about);
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
        .map(|case| json!({ "name": case.name, "about": case.about }))
        .collect();
    let checks: Vec<_> = checks
        .iter()
        .map(|check| {
            json!({
                "id": check.id,
                "clause": check.clauses,
                "category": check.category.name(),
                "level": super::show::level_name(check.level),
                "requirement": check.requirement,
            })
        })
        .collect();
    format!("{:#}\n", json!({ "cases": cases, "checks": checks }))
}
