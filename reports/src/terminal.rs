//! The report for a person at a terminal: one block for each thing to fix, the summary last.
//!
//! A pure function from a report to text; whether colour is wanted and how wide the terminal is, is decided outside.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::model::{CaseResult, Finding, Level, Report, Status, Verdict};
use crate::phrases::{self, clause, counted, duration, parts, place};
use crate::text::{visible, visible_line, wrap};

/// Narrowest text column that still reads well; below it lines are left to the terminal.
const WIDTH_MIN: usize = 40;
/// Widest line, whatever the terminal: longer ones are hard to read.
const WIDTH_MAX: usize = 110;
/// Column where the text of a block's fields begins.
const FIELD_WIDTH: usize = 12;
/// Most names of cases or places in one line of a block without `-v`.
const NAMES_SHOWN_MAX: usize = 3;

/// How to show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalOptions {
    /// With ANSI colours.
    pub color: bool,
    /// Columns of the terminal.
    pub width: usize,
    /// How often `-v` was given: 1 lists every case, 2 also the evidence of findings.
    pub verbosity: u8,
}

impl Default for TerminalOptions {
    fn default() -> Self {
        Self {
            color: false,
            width: 100,
            verbosity: 0,
        }
    }
}

/// The report without colour, for a file.
pub fn render_plain(report: &Report) -> String {
    render(report, TerminalOptions::default())
}

/// The report as text.
pub fn render(report: &Report, options: TerminalOptions) -> String {
    let mut page = Page {
        text: String::new(),
        options,
        width: options.width.clamp(WIDTH_MIN, WIDTH_MAX),
    };
    if options.verbosity >= 1 {
        page.cases(report);
    }
    for group in groups(report) {
        page.block(report, &group);
    }
    page.notes(report);
    page.summary(report);
    page.text
}

/// Findings of one check with one status and one waiver: one block, since they are one thing to fix.
fn groups(report: &Report) -> Vec<Vec<&Finding>> {
    let mut groups: BTreeMap<(u8, &str, Option<&str>), Vec<&Finding>> = BTreeMap::new();
    for finding in &report.findings {
        let rank = match (finding.status, finding.level) {
            (Status::Waived, _) => 0,
            (Status::Inconclusive, _) => 1,
            (Status::UnexpectedPass, _) => 5,
            (_, Level::May) => 2,
            (_, Level::Should) => 3,
            (_, Level::Must) => 4,
        };
        groups
            .entry((rank, &finding.check, finding.waiver.as_deref()))
            .or_default()
            .push(finding);
    }
    let mut groups: Vec<Vec<&Finding>> = groups.into_values().collect();
    for group in &mut groups {
        // The stage every author knows stands for the others.
        group.sort_by_key(|finding| finding.stage.as_deref() != Some("build_script"));
    }
    // The gravest come last, next to the summary, where the reader's eye is.
    groups
}

/// The first names and how many more there are.
fn shortened(names: &[String], all: bool) -> String {
    let shown = if all { names.len() } else { NAMES_SHOWN_MAX };
    let mut text = names
        .iter()
        .take(shown)
        .map(|name| visible_line(name))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > shown {
        let _ = write!(text, " and {} more", names.len() - shown);
    }
    text
}

/// The text so far and how to write it.
struct Page {
    text: String,
    options: TerminalOptions,
    width: usize,
}

impl Page {
    fn styled(&self, style: Style, text: &str) -> String {
        if self.options.color {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    fn colored(&self, color: AnsiColor, text: &str) -> String {
        self.styled(color.on_default().bold(), text)
    }

    /// One line, as it is.
    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// A sentence of a block, indented and wrapped.
    fn sentence(&mut self, text: &str) {
        for line in wrap(&visible(text), self.width - 2) {
            let _ = writeln!(self.text, "  {line}");
        }
    }

    /// A named field of a block: the name in its column, the text wrapped beside it.
    fn field(&mut self, name: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        let lines = wrap(&visible(text), self.width - FIELD_WIDTH - 2);
        for (index, line) in lines.iter().enumerate() {
            let label = format!("{:<FIELD_WIDTH$}", if index == 0 { name } else { "" });
            let label = self.styled(Style::new().dimmed(), &label);
            let _ = writeln!(self.text, "  {label}{line}");
        }
    }

    fn block(&mut self, report: &Report, group: &[&Finding]) {
        let Some(first) = group.first() else {
            return;
        };
        let head = self.headline(report, first);
        let mut places: Vec<String> = group.iter().map(|finding| place(finding)).collect();
        places.dedup();
        let mut headline = format!("{head} {}", self.styled(Style::new().bold(), &places[0]));
        if places.len() > 1 {
            let _ = write!(
                headline,
                " (and {})",
                counted(places.len() - 1, "more place")
            );
        }
        self.line(&headline);
        self.sentence(&first.message);
        self.field("waiver", first.waiver.as_deref().unwrap_or_default());
        if matches!(first.status, Status::Waived) && self.options.verbosity == 0 {
            self.line("");
            return;
        }
        self.field("expected", &first.expected.join("\nor "));
        self.field("actual", &first.actual);
        self.field("why", &first.why);
        self.field("fix", &first.fix);
        self.field("clause", &clause(first));
        let all = self.options.verbosity >= 1;
        if places.len() > 1 {
            self.field("also in", &shortened(&places[1..], all));
        }
        let mut cases: Vec<String> = Vec::new();
        for name in group.iter().flat_map(|finding| &finding.cases) {
            if !cases.contains(name) {
                cases.push(name.clone());
            }
        }
        let mut checks: Vec<String> = Vec::new();
        for check in group.iter().flat_map(|finding| &finding.also_seen_as) {
            if !checks.contains(check) {
                checks.push(check.clone());
            }
        }
        if !checks.is_empty() {
            self.field("also as", &shortened(&checks, all));
        }
        if cases.len() > 1 {
            let text = format!("{}: {}", cases.len(), shortened(&cases, all));
            self.field("cases", &text);
        }
        if self.options.verbosity >= 2 {
            let (from, to) = first.evidence;
            self.field(
                "evidence",
                &format!("events {from} to {to} of {}", first.case),
            );
        }
        // Not wrapped: it is there to be copied.
        let label = self.styled(Style::new().dimmed(), "reproduce:");
        let command = visible_line(&first.reproduce);
        self.line(&format!("  {label} {command}"));
        self.line("");
    }

    fn headline(&self, report: &Report, finding: &Finding) -> String {
        let word = phrases::status_word(report, finding);
        let color = match word {
            "FAIL" | "STALE WAIVER" => AnsiColor::Red,
            "WAIVED" => AnsiColor::Cyan,
            _ => AnsiColor::Yellow,
        };
        let word = self.colored(color, word);
        format!("{word} {}", visible_line(&finding.check))
    }

    fn cases(&mut self, report: &Report) {
        for case in &report.cases {
            let CaseResult { name, status, .. } = case;
            let color = match status {
                Status::Pass => AnsiColor::Green,
                Status::Fail | Status::Error | Status::UnexpectedPass => AnsiColor::Red,
                Status::Waived | Status::Skip | Status::Inconclusive => AnsiColor::Yellow,
            };
            let word = self.colored(color, &format!("{:>12}", status.name()));
            let line = format!(
                "{word} {} ({}, {}{})",
                visible_line(name),
                counted(case.calls, "call"),
                duration(case.duration_ms),
                case.outcome.as_ref().map_or_else(String::new, |outcome| {
                    format!(", job {}", phrases::outcome(outcome))
                })
            );
            self.line(&line);
        }
        if !report.cases.is_empty() {
            self.line("");
        }
    }

    fn notes(&mut self, report: &Report) {
        for note in &report.notes {
            self.sentence(&format!("note: {note}"));
        }
        if !report.notes.is_empty() {
            self.line("");
        }
    }

    fn summary(&mut self, report: &Report) {
        let driver = format!(
            "{} ({}), GitLab Runner {}, engine {}, seed {}",
            visible_line(&report.driver.path),
            report.driver.kind,
            report.profile,
            report.engine,
            report.seed
        );
        self.line(&format!("driver   {driver}"));
        let with = |status: Status| {
            let is = |check: &&crate::model::CheckResult| check.status == status;
            report.checks.iter().filter(is).count()
        };
        let checks = parts(&[
            (with(Status::Pass), "passed"),
            (with(Status::Fail), "failed"),
            (with(Status::Waived), "waived"),
            (with(Status::UnexpectedPass), "unexpectedly passed"),
            (with(Status::Inconclusive), "inconclusive"),
            (with(Status::Skip), "skipped"),
        ]);
        self.line(&format!("checks   {}: {checks}", report.checks.len()));
        let summary = &report.summary;
        let cases = parts(&[
            (summary.passed, "passed"),
            (summary.failed, "failed"),
            (summary.waived, "waived"),
            (summary.inconclusive, "inconclusive"),
            (summary.skipped, "skipped"),
            (summary.errors, "with harness errors"),
        ]);
        self.line(&format!("cases    {}: {cases}", summary.cases));
        let calls = format!(
            "calls    {} in {}",
            summary.calls,
            duration(report.duration_ms)
        );
        self.line(&calls);
        if summary.fault_points_total > 0 {
            self.line(&format!(
                "faults   fault points covered {}/{}",
                summary.fault_points_covered, summary.fault_points_total
            ));
        }
        if summary.transitions_total > 0 {
            let covered = format!(
                "covered  {} of {} transitions, {} of {} must clauses",
                summary.transitions_covered,
                summary.transitions_total,
                summary.must_clauses_covered,
                summary.must_clauses_total
            );
            self.line(&covered);
        }
        if let Some(sentence) = phrases::incompleteness(report) {
            self.line(&format!("partial  {sentence}"));
        }
        let verdict = self.verdict(report);
        self.line(&format!("verdict  {verdict}"));
    }

    fn verdict(&self, report: &Report) -> String {
        let (word, remark) = phrases::verdict(report);
        let color = match report.verdict {
            Verdict::Pass => AnsiColor::Green,
            Verdict::Inconclusive => AnsiColor::Yellow,
            Verdict::Fail | Verdict::Error => AnsiColor::Red,
        };
        format!(
            "{}: {remark} (exit code {})",
            self.colored(color, word),
            report.exit_code
        )
    }
}
