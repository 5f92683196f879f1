//! `show`: one case, one check or one clause of the contract with its reasons.

use std::fmt::Write as _;

use clap::Args;
use driver_conformance_reports::text::wrap;
use driver_conformance_scenarios::contract::{Clause, ClauseId};
use driver_conformance_scenarios::page;

use crate::checks::{self, Check, Level};
use crate::driver::Problem;
use crate::plan::select::near_names;
use crate::suite::Suite;
use crate::zoo::example;

use super::{ExpectedError, Output};

/// Width of the texts.
const WIDTH: usize = 88;

/// Arguments of `show`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Name of a case, or id of a check or of a clause
    name: String,
}

/// Prints what there is to know.
pub(super) fn execute(
    arguments: &Arguments,
    suite: &dyn Suite,
    output: &mut Output,
) -> Result<u8, ExpectedError> {
    let name = &arguments.name;
    let Some(text) = page(name, suite)? else {
        return Err(nothing_named(name, suite, &[])?);
    };
    output.text(&text);
    Ok(0)
}

/// What there is to know of a case, a check or a clause; nothing if there is none of this name.
pub(super) fn page(name: &str, suite: &dyn Suite) -> Result<Option<String>, ExpectedError> {
    let cases = suite.cases()?;
    let case = cases.iter().find(|case| case.name == *name);
    let check = suite.checks().iter().find(|check| check.id == name);
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
    if let Some(clause) = ClauseId::from_name(name) {
        describe_clause(&mut text, clause.clause());
    }
    Ok((!text.is_empty()).then_some(text))
}

/// Why a name means nothing; `more` are names that the command knows besides.
pub(super) fn nothing_named(
    name: &str,
    suite: &dyn Suite,
    more: &[&str],
) -> Result<ExpectedError, ExpectedError> {
    let cases = suite.cases()?;
    let names: Vec<&str> = cases
        .iter()
        .map(|case| case.name.as_str())
        .chain(suite.checks().iter().map(|check| check.id))
        .chain(more.iter().copied())
        .collect();
    Ok(ExpectedError::Usage(unknown(
        name,
        &names,
        !more.is_empty(),
    )))
}

/// Shorter words stand on nearly every page.
const SPOKEN_OF_LETTERS_MIN: usize = 4;

fn unknown(name: &str, names: &[&str], has_pages: bool) -> Problem {
    let mut near = near_names(names, name);
    if has_pages && near.is_empty() {
        near.extend(page_about(name).map(str::to_owned));
    }
    let speaking: Vec<&str> = if has_pages && name.len() >= SPOKEN_OF_LETTERS_MIN {
        page::speaking_of(name).map(|page| page.name).collect()
    } else {
        Vec::new()
    };
    let mut help = String::new();
    if !near.is_empty() {
        let _ = write!(help, "near names: {}; ", near.join(", "));
    }
    if !speaking.is_empty() {
        let _ = write!(help, "these pages speak of it: {}; ", speaking.join(", "));
    }
    let (kinds, pages) = if has_pages {
        (
            "no page, no case",
            "`driver-conformance explain --list` shows the pages, ",
        )
    } else {
        ("no case", "")
    };
    let catalogue = "`driver-conformance list` shows all, with --clauses those of the contract";
    Problem::new(
        format!("there is {kinds}, no check and no clause `{name}`"),
        format!("{help}{pages}{catalogue}"),
    )
}

/// The page that is about something of this kind: an exit code, a signal, a variable.
fn page_about(name: &str) -> Option<&'static str> {
    let is_variable = |letter: u8| letter.is_ascii_uppercase() || b"_0123456789".contains(&letter);
    if name.is_empty() {
        None
    } else if name.bytes().all(|byte| byte.is_ascii_digit()) {
        Some("exit-codes")
    } else if name.starts_with("SIG") {
        Some("signals")
    } else {
        name.bytes().all(is_variable).then_some("environment")
    }
}

fn describe(text: &mut String, check: &Check) {
    let _ = writeln!(text, "check {}", check.id);
    field(text, "requires", check.requirement);
    field(text, "why", check.why);
    field(text, "broken by", check.broken_by);
    field(text, "fix", check.fix);
    field(text, "level", level_name(check.level));
    field(text, "category", check.category.name());
    let clauses: Vec<String> = check
        .clauses
        .iter()
        .map(|id| format!("{id}: {}", id.clause().sentence))
        .collect();
    field(text, "clauses", &clauses.join("\n"));
    describe_example(text, check);
}

/// The drivers by which the check is itself tested, and the flaw of one of them.
fn describe_example(text: &mut String, check: &Check) {
    let names: Vec<&str> = example::animals_of(check.id)
        .map(|animal| animal.name.as_str())
        .collect();
    field(text, "shown by", &names.join(", "));
    if let Some((animal, diff)) = example::of_check(check.id) {
        field(
            text,
            "such as",
            &format!("{}: {}", animal.name, animal.about),
        );
        for line in diff.lines() {
            let _ = writeln!(text, "{:13}{line}", "");
        }
    }
}

fn describe_clause(text: &mut String, clause: &Clause) {
    let _ = writeln!(text, "clause {}", clause.id);
    field(text, "says", &clause.sentence);
    let level = format!("{}: {}", clause.level.name(), clause.level.meaning());
    field(text, "level", &level);
    let sources: Vec<&str> = clause.provenance.iter().map(|p| p.meaning()).collect();
    field(text, "known from", &sources.join(", "));
    field(text, "seen in", &clause.traces.join(", "));
    field(
        text,
        "runner",
        clause.versions().as_deref().unwrap_or_default(),
    );
    field(text, "link", clause.link.as_deref().unwrap_or_default());
    let differs = clause.docs_differ.as_deref();
    field(text, "docs", differs.unwrap_or_default());
    let checks: Vec<&str> = checks::of_clause(clause.id).map(|check| check.id).collect();
    field(text, "checks", &checks.join("\n"));
    if let Some(reason) = clause.unchecked {
        field(text, "no check", &format!("{}.", reason.meaning()));
    }
}

fn field(text: &mut String, name: &str, content: &str) {
    if content.is_empty() {
        return;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clause_is_shown_with_its_checks_and_sources() {
        let mut text = String::new();
        describe_clause(&mut text, ClauseId::G3.clause());
        for line in [
            "clause G3\n",
            "  level      must: ",
            "  known from the source of the runner, runs of a real runner\n",
            "  runner     17.9 and later\n",
            "  link       https://docs.gitlab.com/runner/executors/custom/#build-failure\n",
            "  docs       The text has room for ",
            "  checks     exit-code/code-file-format\n",
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
        assert!(!text.contains("no check"), "{text}");
    }

    #[test]
    fn a_clause_without_a_check_says_why() {
        let mut text = String::new();
        describe_clause(&mut text, ClauseId::B15.clause());
        assert!(!text.contains("checks"), "{text}");
        assert!(text.contains("  no check   the runner does it"), "{text}");
    }

    #[test]
    fn a_check_is_shown_with_the_sentences_of_its_clauses() {
        let check = checks::by_id("exit-code/stale-code-file").expect("it is there");
        let mut text = String::new();
        describe(&mut text, check);
        let start = &ClauseId::G3.clause().sentence[..20];
        assert!(
            text.contains(&format!("  clauses    G3: {start}")),
            "{text}"
        );
    }
}
