//! `show`: one case or one check with its reasons.

use std::fmt::Write as _;

use clap::Args;
use driver_conformance_reports::text::wrap;

use crate::checks::{Check, Level};
use crate::driver::Problem;
use crate::plan::select::near_names;
use crate::suite::Suite;

use super::{ExpectedError, Output};

/// Width of the texts.
const WIDTH: usize = 88;

/// Arguments of `show`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Name of a case or id of a check
    name: String,
}

/// Prints what there is to know.
pub(super) fn execute(
    arguments: &Arguments,
    suite: &dyn Suite,
    output: &mut Output,
) -> Result<u8, ExpectedError> {
    let name = &arguments.name;
    let cases = suite.cases()?;
    let checks = suite.checks();
    let case = cases.iter().find(|case| case.name == *name);
    let check = checks.iter().find(|check| check.id == name);
    let mut text = String::new();
    if let Some(case) = case {
        let _ = writeln!(text, "case {}", case.name);
        field(&mut text, "what", &case.about);
        field(
            &mut text,
            "run it",
            &format!("driver-conformance PATH --only '{}'", case.name),
        );
    }
    if let Some(check) = check {
        describe(&mut text, check);
    }
    if text.is_empty() {
        let names: Vec<&str> = cases
            .iter()
            .map(|case| case.name.as_str())
            .chain(checks.iter().map(|check| check.id))
            .collect();
        let near = near_names(&names, name);
        let remedy = if near.is_empty() {
            "`driver-conformance list` shows every name".to_owned()
        } else {
            format!(
                "near names: {}; `driver-conformance list` shows all",
                near.join(", ")
            )
        };
        let message = format!("there is no case and no check `{name}`");
        return Err(ExpectedError::Usage(Problem::new(message, remedy)));
    }
    output.text(&text);
    Ok(0)
}

fn describe(text: &mut String, check: &Check) {
    let _ = writeln!(text, "check {}", check.id);
    field(text, "requires", check.requirement);
    field(text, "why", check.why);
    field(text, "broken by", check.broken_by);
    field(text, "fix", check.fix);
    field(text, "level", level_name(check.level));
    field(text, "category", check.category.name());
    field(text, "clauses", &check.clauses.join(", "));
}

fn field(text: &mut String, name: &str, content: &str) {
    for (index, line) in wrap(content, WIDTH).iter().enumerate() {
        let label = if index == 0 { name } else { "" };
        let _ = writeln!(text, "  {label:<10} {line}");
    }
}

/// `must`, `should`.
pub(super) fn level_name(level: Level) -> &'static str {
    match level {
        Level::Must => "must",
        Level::Should => "should",
    }
}
