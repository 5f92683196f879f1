//! The findings: one fold for each check, the gravest first.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::model::timeline::Timeline;
use crate::model::{Finding, Report, Status};
use crate::phrases::{clause, counted, place, status_word};
use crate::text::SHOWN_CHARACTERS_MAX;

use super::{Page, escape, escape_lines, escape_sentence, timeline};

/// Bytes of all findings together.
const ROOM: usize = 2_600_000;
/// Most names in a list of cases or places.
const NAMES_MAX: usize = 40;
/// So many are unfolded from the start.
const OPEN: usize = 1;

/// Findings of one check and status.
struct Group<'report> {
    findings: Vec<&'report Finding>,
    word: &'static str,
    /// The name by which it is linked to; waivers may divide what has one name, of which the first is linked to.
    id: Option<String>,
}

/// The section with all findings.
pub(super) fn section(page: &mut Page, report: &Report) {
    page.add("<h2 id=\"findings\">Findings</h2>");
    let groups = groups(report);
    if groups.is_empty() {
        page.add("<p>Nothing was found.</p>");
        return;
    }
    page.add(
        "<div id=\"tools\" hidden><label>Filter <input type=\"search\" id=\"filter\" \
         placeholder=\"check, stage, text\"></label><button type=\"button\" id=\"open-all\">Open or close all</button>\
         <span id=\"filter-count\" role=\"status\"></span></div>",
    );
    let timelines: BTreeMap<&str, &Timeline> = report
        .timelines
        .iter()
        .map(|timeline| (timeline.case.as_str(), timeline))
        .collect();
    let shown: usize = groups.iter().map(|group| group.findings.len()).sum();
    let count = groups.len();
    let left_out = page.add_within(ROOM, groups.iter().enumerate(), |(index, group)| {
        markup(report, group, &timelines, index < OPEN)
    });
    if left_out > 0 {
        page.add(&format!(
            "<p class=\"banner warn\">⚠ {left_out} of {} with {} in all are not on this page; the JSON report has them.</p>",
            counted(count, "group"),
            counted(shown, "finding")
        ));
    }
}

fn groups(report: &Report) -> Vec<Group<'_>> {
    let mut groups: BTreeMap<(u8, &str, Option<&str>), Group<'_>> = BTreeMap::new();
    for finding in &report.findings {
        let word = status_word(report, finding);
        let rank = match word {
            "FAIL" => 0,
            "STALE WAIVER" => 1,
            "INCONCLUSIVE" => 2,
            "WARN" => 3,
            _ => 4,
        };
        let key = (rank, finding.check.as_str(), finding.waiver.as_deref());
        let group = groups.entry(key).or_insert_with(|| Group {
            findings: Vec::new(),
            word,
            id: None,
        });
        group.findings.push(finding);
    }
    let mut groups: Vec<Group<'_>> = groups.into_values().collect();
    let mut named = BTreeSet::new();
    for group in &mut groups {
        let id = anchor(&group.findings[0].check, group.findings[0].status);
        group.id = named.insert(id.clone()).then_some(id);
        // The stage every author knows stands for the others.
        group
            .findings
            .sort_by_key(|finding| finding.stage.as_deref() != Some("build_script"));
    }
    groups
}

/// The name by which a group is linked to.
pub(super) fn anchor(check: &str, status: Status) -> String {
    let plain = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter
        } else {
            '-'
        }
    };
    let id: String = check
        .chars()
        .take(SHOWN_CHARACTERS_MAX)
        .map(plain)
        .collect();
    format!("{}-{id}", status.name())
}

fn markup(
    report: &Report,
    group: &Group<'_>,
    timelines: &BTreeMap<&str, &Timeline>,
    open: bool,
) -> String {
    let first = group.findings[0];
    let (class, sign) = match group.word {
        "FAIL" | "STALE WAIVER" => ("bad", "✗"),
        "WAIVED" => ("note", "○"),
        "INCONCLUSIVE" => ("warn", "?"),
        _ => ("warn", "!"),
    };
    let mut places: Vec<String> = group
        .findings
        .iter()
        .map(|finding| place(finding))
        .collect();
    places.dedup();
    let more = match places.len() {
        1 => String::new(),
        count => format!(" and {}", counted(count - 1, "more place")),
    };
    let mut text = format!(
        "<details class=\"finding is-{class}\"{}{}><summary><span class=\"word {class}\">{sign} {}</span> \
         <strong>{}</strong> in {}{more}<span class=\"what\">{}</span></summary><div>\n",
        group
            .id
            .as_ref()
            .map_or_else(String::new, |id| format!(" id=\"{id}\"")),
        if open { " open" } else { "" },
        group.word,
        escape(&first.check),
        escape(&places[0]),
        escape(&first.message)
    );
    pairs(&mut text, first, &places, &group.findings);
    let _ = writeln!(
        text,
        "<h3>Fix</h3>\n<pre>{}</pre>",
        escape_lines(&first.fix)
    );
    symptoms(&mut text, first);
    let _ = writeln!(
        text,
        "<h3>Reproduce</h3>\n<pre>{}</pre>",
        escape_lines(&first.reproduce)
    );
    if let Some(evidence) = &report.evidence {
        let _ = writeln!(
            text,
            "<p>What it printed is kept in <code>{}</code>.</p>",
            escape(evidence)
        );
    }
    let drawn = group
        .findings
        .iter()
        .find_map(|finding| timelines.get(finding.case.as_str()));
    if let Some(timeline) = drawn {
        text.push_str(&timeline::markup(timeline, &first.check));
    }
    text.push_str("</div></details>");
    text
}

/// What users may see of it, so that who looks for a broken job finds this page.
fn symptoms(text: &mut String, finding: &Finding) {
    if finding.symptoms.is_empty() {
        return;
    }
    text.push_str("<h3>What users may see</h3>\n<ul>\n");
    for seen in finding.symptoms.iter().take(NAMES_MAX) {
        let _ = writeln!(
            text,
            "<li>{} <code>{}</code></li>",
            escape_sentence(&seen.symptom),
            escape(&seen.cause)
        );
    }
    text.push_str("</ul>\n");
}

fn pairs(text: &mut String, first: &Finding, places: &[String], all: &[&Finding]) {
    text.push_str("<dl class=\"pairs\">\n");
    let mut pair = |name: &str, markup: &str| {
        if !markup.is_empty() {
            let _ = writeln!(text, "<dt>{name}</dt><dd>{markup}</dd>");
        }
    };
    pair(
        "Waiver",
        &escape(first.waiver.as_deref().unwrap_or_default()),
    );
    let expected = escape_lines(&first.expected.join("\nor ")).replace('\n', "<br>");
    pair("Expected", &expected);
    pair("Actual", &escape_lines(&first.actual).replace('\n', "<br>"));
    pair("Demanded", &escape_sentence(&first.requirement));
    pair("Why it matters", &escape_sentence(&first.why));
    pair("Clause", &escape(&clause(first)));
    if let Some(location) = &first.location {
        let line = location
            .line
            .map_or_else(String::new, |line| format!(", line {line}"));
        pair(
            "File",
            &format!("<code>{}</code>{line}", escape(&location.file)),
        );
    }
    if places.len() > 1 {
        pair("Also in", &names(places[1..].iter().map(String::as_str)));
    }
    pair(
        "Also seen as",
        &names(
            all.iter()
                .flat_map(|finding| &finding.also_seen_as)
                .map(String::as_str),
        ),
    );
    let mut cases: Vec<&str> = Vec::new();
    for name in all
        .iter()
        .flat_map(|finding| &finding.cases)
        .take(NAMES_MAX * NAMES_MAX)
    {
        if !cases.contains(&name.as_str()) {
            cases.push(name);
        }
    }
    let total = all.iter().map(|finding| finding.cases.len()).sum::<usize>();
    let title = if total == 1 { "Case" } else { "Cases" };
    pair(title, &names(cases.into_iter()));
    text.push_str("</dl>\n");
}

/// Names in code, the first of them.
fn names<'names>(names: impl Iterator<Item = &'names str>) -> String {
    let names: Vec<&str> = names.collect();
    let mut shown: Vec<String> = names
        .iter()
        .take(NAMES_MAX)
        .map(|name| format!("<code>{}</code>", escape(name)))
        .collect();
    if names.len() > NAMES_MAX {
        shown.push(format!("{} more", names.len() - NAMES_MAX));
    }
    shown.join(", ")
}
