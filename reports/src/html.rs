//! The report as one page: it needs no network, no other file and no scripts, which only add a filter.
//!
//! What is worst comes first. Long lists are folded and, past a bound, counted instead of written, so that a page stays
//! below [`BYTES_MAX`] whatever was found. Everything from a driver passes through `escape`, and each colour has a
//! word or a pattern beside it.

mod findings;
mod lists;
mod matrix;
mod timeline;

use std::fmt::Write as _;

use crate::model::{Report, Status, Verdict};
use crate::phrases::{counted, duration, incompleteness, verdict};
use crate::text::{visible, visible_line};

/// Larger pages are slow to open where CI shows them.
pub const BYTES_MAX: usize = 5_000_000;

/// The page so far.
#[derive(Default)]
pub(crate) struct Page {
    text: String,
}

impl Page {
    /// Adds markup as it is.
    pub(crate) fn add(&mut self, markup: &str) {
        self.text.push_str(markup);
        self.text.push('\n');
    }

    /// Adds items until they take more bytes than there is room for them; returns how many were left out.
    pub(crate) fn add_within<T>(
        &mut self,
        room: usize,
        items: impl ExactSizeIterator<Item = T>,
        markup: impl Fn(T) -> String,
    ) -> usize {
        let end = self.text.len() + room;
        let count = items.len();
        for (index, item) in items.enumerate() {
            let markup = markup(item);
            if self.text.len() + markup.len() > end {
                return count - index;
            }
            self.add(&markup);
        }
        0
    }
}

/// Text on one line, for an element or an attribute.
pub(crate) fn escape(text: &str) -> String {
    escape_markup(&visible_line(text))
}

/// The same with its line breaks, for `pre`.
pub(crate) fn escape_lines(text: &str) -> String {
    escape_markup(&visible(text))
}

/// The same for a sentence of ours, in which backticks stand around code.
pub(crate) fn escape_sentence(text: &str) -> String {
    let escaped = escape(text);
    if escaped.matches('`').count() % 2 == 1 {
        return escaped;
    }
    let mut markup = String::new();
    for (index, part) in escaped.split('`').enumerate() {
        if index > 0 {
            markup.push_str(if index % 2 == 1 { "<code>" } else { "</code>" });
        }
        markup.push_str(part);
    }
    markup
}

fn escape_markup(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            plain => escaped.push(plain),
        }
    }
    escaped
}

/// A status as a word with a sign, in its colour.
pub(crate) fn status_mark(status: Status) -> &'static str {
    match status {
        Status::Pass => "<span class=\"word good\">✓ pass</span>",
        Status::Fail => "<span class=\"word bad\">✗ fail</span>",
        Status::Error => "<span class=\"word bad\">‼ error</span>",
        Status::UnexpectedPass => "<span class=\"word bad\">✗ stale waiver</span>",
        Status::Waived => "<span class=\"word note\">○ waived</span>",
        Status::Inconclusive => "<span class=\"word warn\">? inconclusive</span>",
        Status::Skip => "<span class=\"word none\">– not tested</span>",
    }
}

/// The report as a page.
pub fn render(report: &Report) -> String {
    let mut page = Page::default();
    head(&mut page, report);
    summary(&mut page, report);
    navigation(&mut page, report);
    page.add("<main id=\"content\">");
    matrix::section(&mut page, report);
    findings::section(&mut page, report);
    lists::leaks(&mut page, report);
    lists::checklist(&mut page, report);
    lists::durations(&mut page, report);
    lists::coverage(&mut page, report);
    lists::waivers(&mut page, report);
    lists::checks(&mut page, report);
    lists::cases(&mut page, report);
    lists::environment(&mut page, report);
    page.add("</main>");
    page.add(&format!(
        "<footer>driver-conformance {}</footer>\n<script>\n{}</script>\n</body>\n</html>",
        escape(&report.tool.version),
        include_str!("html/script.js")
    ));
    page.text
}

fn head(page: &mut Page, report: &Report) {
    let (word, _) = verdict(report);
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
    page.add("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">");
    page.add("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    page.add("<meta name=\"color-scheme\" content=\"light dark\">");
    page.add(&format!(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">"
    ));
    page.add(&format!(
        "<title>{word}: {}</title>",
        escape(&report.driver.path)
    ));
    page.add(&format!(
        "<style>\n{}</style>\n</head>\n<body>",
        include_str!("html/style.css")
    ));
    page.add("<a class=\"skip\" href=\"#content\">To the findings</a>");
    page.add(timeline::PATTERNS);
}

fn summary(page: &mut Page, report: &Report) {
    let (word, remark) = verdict(report);
    let (class, sign) = match report.verdict {
        Verdict::Pass => ("good", "✓"),
        Verdict::Inconclusive => ("warn", "?"),
        Verdict::Fail | Verdict::Error => ("bad", "✗"),
    };
    page.add("<header>");
    page.add(&format!(
        "<h1><span class=\"verdict {class}\">{sign} {word}</span> {}</h1>\n<p><strong>{}</strong> (exit code {})</p>",
        escape(&report.driver.path),
        escape(&remark),
        report.exit_code
    ));
    if let Some(sentence) = incompleteness(report) {
        page.add(&format!(
            "<p class=\"banner warn\">⚠ Partial: {}</p>",
            escape(&sentence)
        ));
    }
    let with = |status: Status| {
        report
            .checks
            .iter()
            .filter(|check| check.status == status)
            .count()
    };
    let judged = report.checks.len() - with(Status::Skip);
    page.add("<dl class=\"facts\">");
    let mut fact = |name: &str, value: &str| {
        page.add(&format!("<div><dt>{name}</dt><dd>{value}</dd></div>"));
    };
    fact(
        "Score",
        &format!("{} of {judged} checks pass", with(Status::Pass)),
    );
    fact("Findings", &report.findings.len().to_string());
    fact("Left behind", &counted(report.leaks.len(), "thing"));
    let cases = &report.summary;
    fact(
        "Cases",
        &format!("{} of {} pass", cases.passed, cases.cases),
    );
    fact("Time", &duration(report.duration_ms));
    fact("GitLab Runner", &escape(&report.profile));
    page.add("</dl>\n</header>");
}

fn navigation(page: &mut Page, report: &Report) {
    let mut list = String::from("<header><nav aria-label=\"Contents\"><ul>");
    for (id, title, there) in [
        ("matrix", "Where", !report.findings.is_empty()),
        ("findings", "Findings", true),
        ("leaks", "Left behind", !report.leaks.is_empty()),
        ("checklist", "Cleanup checklist", true),
        ("durations", "Times", lists::has_times(report)),
        ("coverage", "Coverage", report.summary.transitions_total > 0),
        ("waivers", "Waivers", !report.waivers.is_empty()),
        ("checks", "Checks", true),
        ("cases", "Cases", true),
        ("environment", "Environment", true),
    ] {
        if there {
            let _ = write!(list, "<li><a href=\"#{id}\">{title}</a></li>");
        }
    }
    list.push_str("</ul></nav></header>");
    page.add(&list);
}
