//! Markdown for a comment on a merge request or the summary of a CI step.
//!
//! What comes from a driver stands in code, where it can neither mention somebody, nor close an issue, nor load a
//! picture; our own sentences are escaped as well, since they quote it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::model::{Finding, Report, Status, Verdict};
use crate::phrases::{
    clause, counted, duration, incompleteness, parts, place, status_word, verdict,
};
use crate::text::{visible, visible_line};

/// Most findings that are written out: GitHub takes no comment longer than 65 536 characters.
const FINDINGS_MAX: usize = 12;
/// Most rows of the table.
const ROWS_MAX: usize = 60;
/// Most cases named for one finding.
const CASES_MAX: usize = 5;

/// The report as Markdown.
pub fn render(report: &Report) -> String {
    let (word, remark) = verdict(report);
    let sign = match report.verdict {
        Verdict::Pass => "✅",
        Verdict::Fail => "❌",
        Verdict::Inconclusive => "❔",
        Verdict::Error => "⚠️",
    };
    let mut text = format!("## {sign} Driver conformance: {word}\n\n");
    let driver = code(&report.driver.path);
    let _ = writeln!(
        text,
        "{driver}: {remark}. {} in {}.\n",
        cases(report),
        duration(report.duration_ms)
    );
    if let Some(sentence) = incompleteness(report) {
        let _ = writeln!(text, "**Partial:** {}\n", prose(&sentence));
    }
    let findings = sorted(report);
    table(&mut text, report, &findings);
    for finding in findings.iter().take(FINDINGS_MAX) {
        section(&mut text, report, finding);
    }
    if findings.len() > FINDINGS_MAX {
        let _ = writeln!(
            text,
            "The other {} stand in the table or in the full report.\n",
            findings.len() - FINDINGS_MAX
        );
    }
    footer(&mut text, report);
    text
}

fn cases(report: &Report) -> String {
    let summary = &report.summary;
    let counts = parts(&[
        (summary.passed, "passed"),
        (summary.failed, "failed"),
        (summary.waived, "waived"),
        (summary.inconclusive, "inconclusive"),
        (summary.skipped, "skipped"),
        (summary.errors, "with harness errors"),
    ]);
    format!("{}: {counts}", counted(summary.cases, "case"))
}

/// The gravest first; within a check, the stage that every author knows stands for the others.
fn sorted(report: &Report) -> Vec<&Finding> {
    let rank = |finding: &Finding| match status_word(report, finding) {
        "FAIL" => 0,
        "STALE WAIVER" => 1,
        "WARN" => 2,
        "INCONCLUSIVE" => 3,
        _ => 4,
    };
    // One section for each check and kind of status: the other places are named in it.
    let mut heads: BTreeMap<(u8, &str), &Finding> = BTreeMap::new();
    for finding in &report.findings {
        let known = heads
            .entry((rank(finding), &finding.check))
            .or_insert(finding);
        if finding.stage.as_deref() == Some("build_script") {
            *known = finding;
        }
    }
    heads.into_values().collect()
}

fn table(text: &mut String, report: &Report, findings: &[&Finding]) {
    if findings.is_empty() {
        return;
    }
    text.push_str("| | check | where | what | clause |\n|---|---|---|---|---|\n");
    for finding in findings.iter().take(ROWS_MAX) {
        let places = places(report, finding);
        let more = match places.len() {
            0 | 1 => String::new(),
            count => format!(" and {}", counted(count - 1, "more place")),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {}{more} | {} | {} |",
            status_word(report, finding),
            cell(&code(&finding.check)),
            cell(&prose(&place(finding))),
            cell(&prose(&finding.message)),
            cell(&prose(&clause(finding))),
        );
    }
    if findings.len() > ROWS_MAX {
        let _ = writeln!(
            text,
            "| | {} more, in the full report | | | |",
            findings.len() - ROWS_MAX
        );
    }
    text.push('\n');
}

fn places(report: &Report, finding: &Finding) -> Vec<String> {
    let same = report
        .findings
        .iter()
        .filter(|other| other.check == finding.check && other.status == finding.status);
    let mut places: Vec<String> = same.map(place).collect();
    places.sort();
    places.dedup();
    places
}

fn section(text: &mut String, report: &Report, finding: &Finding) {
    let _ = writeln!(
        text,
        "<details><summary>{} <code>{}</code> in {}</summary>\n",
        status_word(report, finding),
        html(&finding.check),
        html(&place(finding)),
    );
    let _ = writeln!(text, "{}\n", prose(&finding.message));
    if let (Status::Waived | Status::UnexpectedPass, Some(waiver)) =
        (finding.status, &finding.waiver)
    {
        let _ = writeln!(text, "**Waiver:** {}\n", prose(waiver));
    }
    let mut field = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "**{name}:**\n\n{}\n", fenced(value));
        }
    };
    field("Expected", &finding.expected.join("\nor "));
    field("Actual", &finding.actual);
    if !finding.why.is_empty() {
        let _ = writeln!(text, "**Why it matters:** {}\n", prose(&finding.why));
    }
    let _ = writeln!(text, "**Fix:**\n\n{}\n", fenced(&finding.fix));
    if let Some(location) = &finding.location {
        let line = location
            .line
            .map_or_else(String::new, |line| format!(":{line}"));
        let _ = writeln!(
            text,
            "**File:** {}\n",
            code(&format!("{}{line}", location.file))
        );
    }
    let mut cases: Vec<String> = finding
        .cases
        .iter()
        .take(CASES_MAX)
        .map(|name| code(name))
        .collect();
    if finding.cases.len() > CASES_MAX {
        cases.push(format!("{} more", finding.cases.len() - CASES_MAX));
    }
    if !cases.is_empty() {
        let _ = writeln!(text, "**Cases:** {}\n", cases.join(", "));
    }
    let _ = writeln!(
        text,
        "**Reproduce:**\n\n{}\n\n</details>\n",
        fenced(&finding.reproduce)
    );
}

fn footer(text: &mut String, report: &Report) {
    for note in report.notes.iter().take(ROWS_MAX) {
        let _ = writeln!(text, "- {}", prose(note));
    }
    if !report.notes.is_empty() {
        text.push('\n');
    }
    let _ = writeln!(
        text,
        "driver-conformance {}, GitLab Runner {}, seed {}, {}, exit code {}",
        prose(&report.tool.version),
        prose(&report.profile),
        report.seed,
        code(&report.driver.digest),
        report.exit_code
    );
}

/// A code span; no number of backticks in the text ends it.
fn code(text: &str) -> String {
    let text = visible_line(text);
    let fence = "`".repeat(longest_run(&text, '`') + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') {
        " "
    } else {
        ""
    };
    if text.is_empty() {
        return String::new();
    }
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// A block of code; no number of backticks in the text ends it.
fn fenced(text: &str) -> String {
    let text = visible(text);
    let fence = "`".repeat((longest_run(&text, '`') + 1).max(3));
    format!("{fence}text\n{text}\n{fence}")
}

fn longest_run(text: &str, wanted: char) -> usize {
    let mut longest = 0;
    let mut current = 0;
    for character in text.chars() {
        current = if character == wanted { current + 1 } else { 0 };
        longest = longest.max(current);
    }
    longest
}

/// Text that is read as text: markup is escaped, and nobody is mentioned.
fn prose(text: &str) -> String {
    let mut escaped = String::new();
    let shown = visible_line(text);
    let mut characters = shown.chars().peekable();
    while let Some(character) = characters.next() {
        let next = characters.peek().copied().unwrap_or(' ');
        match character {
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '|' | '~' => {
                escaped.push('\\');
                escaped.push(character);
            }
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            other => escaped.push(other),
        }
        // A word joiner between: it looks the same and mentions nobody, refers to nothing, is no address and no command.
        let refers = matches!(character, '@' | '#' | '!' | '$' | '%') && next.is_alphanumeric()
            || character == ':' && next == '/'
            || character == '/' && escaped.len() == 1;
        if refers {
            escaped.push('\u{2060}');
        }
    }
    escaped
}

/// A text inside a table: a bar would end its cell, in code as well.
fn cell(text: &str) -> String {
    text.replace("\\|", "|").replace('|', "\\|")
}

/// Text inside an HTML element.
fn html(text: &str) -> String {
    visible_line(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('@', "&#64;\u{2060}")
}
