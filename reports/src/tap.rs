//! TAP version 14: one line for each check, and a YAML block below what is not in order.

use std::fmt::Write as _;

use crate::model::{Finding, Report};
use crate::outcome::{Outcome, Test, tests};
use crate::phrases::{clause, incompleteness, place, verdict};
use crate::text::{visible, visible_line};

/// The report as TAP.
pub fn render(report: &Report) -> String {
    let tests = tests(report);
    let mut text = format!("TAP version 14\n1..{}", tests.len());
    if tests.is_empty() {
        text.push_str(" # SKIP nothing was selected");
    }
    text.push('\n');
    for (index, test) in tests.iter().enumerate() {
        line(&mut text, index + 1, test);
        if let Some((first, others)) = test.findings.split_first() {
            block(&mut text, first, others);
        }
    }
    if let Some(sentence) = incompleteness(report) {
        let _ = writeln!(text, "# {sentence}");
    }
    let (word, remark) = verdict(report);
    let _ = writeln!(text, "# {word}: {remark} (exit code {})", report.exit_code);
    text
}

/// Waived, doubtful and mere advice are `TODO`: they are not in order, and do not fail a test run.
fn line(page: &mut String, number: usize, test: &Test<'_>) {
    let waiver = || {
        test.findings
            .iter()
            .find_map(|finding| finding.waiver.as_deref())
    };
    let (ok, directive) = match test.outcome {
        Outcome::Passed => (true, None),
        Outcome::Skipped => (
            true,
            Some("SKIP no selected case says anything about it".to_owned()),
        ),
        Outcome::Waived => {
            let reason = visible_line(waiver().unwrap_or_default());
            (false, Some(format!("TODO waived: {reason}")))
        }
        Outcome::Advice => (
            false,
            Some("TODO a deviation that fails nothing".to_owned()),
        ),
        // No consumer may take for a pass what could not be judged.
        Outcome::Failed | Outcome::Error | Outcome::Inconclusive => (false, None),
    };
    let ok = if ok { "ok" } else { "not ok" };
    let _ = write!(page, "{ok} {number} - {}", escaped(&test.name));
    if let Some(directive) = directive {
        let _ = write!(page, " # {}", escaped(&directive));
    }
    page.push('\n');
    if test.outcome == Outcome::Error {
        let _ = writeln!(page, "# {}", visible_line(&test.about));
    }
}

/// Escapes what would begin a directive.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('#', "\\#")
}

/// The block of one finding; a test point has one block at most, so that of the others only the places are named.
fn block(text: &mut String, finding: &Finding, others: &[&Finding]) {
    text.push_str("  ---\n");
    let mut field = |name: &str, value: &str| {
        if !value.is_empty() {
            // A string of JSON is one of YAML.
            let value = serde_json::Value::from(visible(value));
            let _ = writeln!(text, "  {name}: {value}");
        }
    };
    field("message", &finding.message);
    field("status", finding.status.name());
    field("severity", finding.level.name());
    field("at", &place(finding));
    let places: Vec<String> = others.iter().map(|other| place(other)).collect();
    field("also", &places.join(", "));
    field("expected", &finding.expected.join("\nor "));
    field("actual", &finding.actual);
    field("clause", &clause(finding));
    field("fix", &finding.fix);
    field("reproduce", &finding.reproduce);
    text.push_str("  ...\n");
}
