//! Everything that is a list or a table.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::model::{
    CallDurations, CaseResult, Category, CheckResult, ChecklistItem, Leak, LeakOrigin, Report,
    Status, WaiverRecord,
};
use crate::phrases::{counted, duration, outcome};

use super::{Page, escape, escape_lines, escape_sentence, status_mark};

/// Bytes of the rows of each table.
const ROOM: usize = 330_000;
/// Themes whose checks say whether a cleanup may be repeated and leaves nothing.
const CLEANUP: [Category; 7] = [
    Category::Cleanup,
    Category::Reentrancy,
    Category::LeakProcess,
    Category::LeakFile,
    Category::LeakMount,
    Category::LeakNetwork,
    Category::LeakBackend,
];

/// A table with as many rows as there is room for.
fn table<T>(
    page: &mut Page,
    columns: &[&str],
    rows: impl ExactSizeIterator<Item = T>,
    row: impl Fn(T) -> Vec<String>,
) {
    let mut head = String::from("<div class=\"scroll\"><table><thead><tr>");
    for column in columns {
        let _ = write!(head, "<th scope=\"col\">{column}</th>");
    }
    head.push_str("</tr></thead><tbody>");
    page.add(&head);
    let left_out = page.add_within(ROOM, rows, |item| {
        let mut markup = String::from("<tr>");
        for cell in row(item) {
            let _ = write!(markup, "<td>{cell}</td>");
        }
        markup + "</tr>"
    });
    page.add("</tbody></table></div>");
    if left_out > 0 {
        page.add(&format!(
            "<p>{left_out} more rows are not on this page; the JSON report has them.</p>"
        ));
    }
}

fn code(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!("<code>{}</code>", escape(text))
    }
}

fn place(call: crate::model::Call, stage: Option<&str>) -> String {
    match stage {
        Some(stage) => escape(&format!("{call} {stage}")),
        None => call.to_string(),
    }
}

/// What was left behind, and which call made it.
pub(super) fn leaks(page: &mut Page, report: &Report) {
    if report.leaks.is_empty() {
        return;
    }
    page.add("<h2 id=\"leaks\">Left behind</h2>\n<p>What was there when each case was over, and the call that made it.</p>");
    let made_by = |origin: &Option<LeakOrigin>| match origin {
        Some(origin) => place(origin.call, origin.stage.as_deref()),
        None => "not known".to_owned(),
    };
    // The same thing comes again in case after case.
    let mut ledger: BTreeMap<(Category, String, &str), (usize, &str)> = BTreeMap::new();
    for Leak {
        category,
        what,
        made_by: origin,
        case,
    } in &report.leaks
    {
        let entry = ledger
            .entry((*category, made_by(origin), what))
            .or_insert((0, case));
        entry.0 += 1;
    }
    table(
        page,
        &["kind", "what", "made by", "times", "for example in"],
        ledger.into_iter(),
        |((category, made_by, what), (times, case))| {
            vec![
                category.to_string(),
                code(what),
                made_by,
                times.to_string(),
                code(case),
            ]
        },
    );
}

/// What a cleanup that may be repeated must be able to do.
pub(super) fn checklist(page: &mut Page, report: &Report) {
    page.add("<h2 id=\"checklist\">Cleanup checklist</h2>\n<p>What it takes to be cleaned up after, at any time and any number of times. Ticked from what the cases showed.</p>");
    let advised = report
        .advice
        .as_ref()
        .map(|advice| advice.checklist.as_slice());
    let items: Vec<ChecklistItem> = match advised {
        Some(items) if !items.is_empty() => items.to_vec(),
        _ => report
            .checks
            .iter()
            .filter(|check| CLEANUP.contains(&check.category))
            .map(item)
            .collect(),
    };
    page.add("<ul class=\"ticks\">");
    let left_out = page.add_within(ROOM, items.iter(), |item| {
        let mut names: Vec<String> = item.checks.iter().take(5).map(|name| code(name)).collect();
        if let Some(case) = item.cases.first() {
            let more = match item.cases.len() {
                1 => String::new(),
                count => format!(" and {}", counted(count - 1, "more case")),
            };
            names.push(format!("case {}{more}", code(case)));
        }
        format!(
            "<li>{} {} {}</li>",
            status_mark(item.status),
            escape_sentence(&item.sentence),
            names.join(", ")
        )
    });
    page.add("</ul>");
    if left_out > 0 {
        page.add(&format!("<p>{left_out} more.</p>"));
    }
}

fn item(check: &CheckResult) -> ChecklistItem {
    ChecklistItem {
        sentence: match check.requirement.as_str() {
            "" => check.id.clone(),
            requirement => requirement.to_owned(),
        },
        status: check.status,
        checks: vec![check.id.clone()],
        cases: Vec::new(),
    }
}

fn config_toml(report: &Report) -> &str {
    report
        .advice
        .as_ref()
        .map_or("", |advice| advice.config_toml.as_str())
}

/// Whether there is something to say about times.
pub(super) fn has_times(report: &Report) -> bool {
    !report.durations.is_empty() || !config_toml(report).is_empty()
}

/// How long calls took, and what follows for the runner's configuration.
pub(super) fn durations(page: &mut Page, report: &Report) {
    if !has_times(report) {
        return;
    }
    page.add("<h2 id=\"durations\">Times</h2>\n<p>Calls that ended by themselves, while cases ran side by side.</p>");
    table(
        page,
        &["call", "calls", "half were within", "slowest"],
        report.durations.iter(),
        |durations: &CallDurations| {
            let number = |text: String| format!("<span class=\"number\">{text}</span>");
            vec![
                place(durations.call, durations.stage.as_deref()),
                number(durations.count.to_string()),
                number(duration(durations.p50_ms)),
                number(duration(durations.max_ms)),
            ]
        },
    );
    if !config_toml(report).is_empty() {
        let mut block = String::new();
        // Ours, and as long as it has to be: only what is shown of a driver is cut.
        for line in config_toml(report).lines().take(400) {
            let _ = writeln!(block, "{}", escape(line));
        }
        page.add(&format!(
            "<h3>What follows for config.toml</h3>\n<pre>{block}</pre>"
        ));
    }
}

/// How much of the runner this run has shown.
pub(super) fn coverage(page: &mut Page, report: &Report) {
    let summary = &report.summary;
    if summary.transitions_total == 0 {
        return;
    }
    page.add("<h2 id=\"coverage\">Coverage</h2>\n<ul class=\"ticks\">");
    for (name, covered, total) in [
        (
            "transitions of the runner",
            summary.transitions_covered,
            summary.transitions_total,
        ),
        (
            "binding clauses of the contract",
            summary.must_clauses_covered,
            summary.must_clauses_total,
        ),
        (
            "fault points",
            summary.fault_points_covered,
            summary.fault_points_total,
        ),
    ] {
        if total > 0 {
            page.add(&format!(
                "<li><meter min=\"0\" max=\"{total}\" value=\"{covered}\" aria-hidden=\"true\"></meter> {covered} of {total} {name}</li>"
            ));
        }
    }
    page.add("</ul>");
    if !report.must_clauses_missing.is_empty() {
        page.add(&format!(
            "<p>Clauses that no case of this run says anything about: {}</p>",
            escape(&report.must_clauses_missing.join(", "))
        ));
    }
    if report.transitions_missing.is_empty() {
        return;
    }
    page.add(&format!(
        "<details><summary>{} not taken</summary>",
        counted(report.transitions_missing.len(), "transition")
    ));
    table(
        page,
        &["transition", "why not"],
        report.transitions_missing.iter(),
        |missing| vec![escape(&missing.transition), escape(&missing.reason)],
    );
    page.add("</details>");
}

/// Every exception.
pub(super) fn waivers(page: &mut Page, report: &Report) {
    if report.waivers.is_empty() {
        return;
    }
    page.add("<h2 id=\"waivers\">Waivers</h2>");
    table(
        page,
        &["check", "case", "why, who, until when", "used", "where"],
        report.waivers.iter(),
        |waiver: &WaiverRecord| {
            let used = match (waiver.used, waiver.expired) {
                (_, true) => "expired",
                (true, false) => "yes",
                (false, false) => "no",
            };
            vec![
                code(&waiver.check),
                waiver
                    .case
                    .as_deref()
                    .map_or_else(|| "all".to_owned(), code),
                escape(&waiver.summary),
                used.to_owned(),
                code(&waiver.place),
            ]
        },
    );
}

/// Every check.
pub(super) fn checks(page: &mut Page, report: &Report) {
    page.add(&format!(
        "<h2 id=\"checks\">Checks</h2>\n<details><summary>{}</summary>",
        counted(report.checks.len(), "check")
    ));
    table(
        page,
        &["", "check", "demands", "clauses", "level", "cases"],
        report.checks.iter(),
        |check: &CheckResult| {
            vec![
                status_mark(check.status).to_owned(),
                code(&check.id),
                escape_sentence(&check.requirement),
                escape(&check.clause.join(", ")),
                check.level.to_string(),
                check.cases.to_string(),
            ]
        },
    );
    page.add("</details>");
}

/// Every case, those that are not in order first.
pub(super) fn cases(page: &mut Page, report: &Report) {
    page.add(&format!(
        "<h2 id=\"cases\">Cases</h2>\n<details><summary>{}</summary>",
        counted(report.cases.len(), "case")
    ));
    let mut cases: Vec<&CaseResult> = report.cases.iter().collect();
    cases.sort_by_key(|case| match case.status {
        Status::Error => 0,
        Status::Fail | Status::UnexpectedPass => 1,
        Status::Inconclusive => 2,
        Status::Waived => 3,
        Status::Skip => 4,
        Status::Pass => 5,
    });
    table(
        page,
        &["", "case", "job", "calls", "time", "why"],
        cases.into_iter(),
        |case: &CaseResult| {
            vec![
                status_mark(case.status).to_owned(),
                code(&case.name),
                case.outcome
                    .as_ref()
                    .map_or_else(String::new, |result| escape(&outcome(result))),
                case.calls.to_string(),
                duration(case.duration_ms),
                escape(case.reason.as_deref().unwrap_or_default()),
            ]
        },
    );
    page.add("</details>");
}

/// What was run, and how to run it again.
pub(super) fn environment(page: &mut Page, report: &Report) {
    page.add("<h2 id=\"environment\">Environment</h2>\n<dl class=\"pairs\">");
    let mut pair = |name: &str, markup: &str| {
        if !markup.is_empty() {
            page.add(&format!("<dt>{name}</dt><dd>{markup}</dd>"));
        }
    };
    pair(
        "Driver",
        &format!(
            "{} ({})",
            code(&report.driver.path),
            escape(&report.driver.kind)
        ),
    );
    pair("Digest", &code(&report.driver.digest));
    for program in &report.driver.programs {
        pair(program.call.name(), &code(&program.file));
    }
    pair(
        "Emulated",
        &format!(
            "GitLab Runner {}, engine {}",
            escape(&report.profile),
            escape(&report.engine)
        ),
    );
    pair("Seed", &report.seed.to_string());
    pair(
        "Level",
        if report.strict {
            "should (--strict)"
        } else {
            "must"
        },
    );
    pair("Started", &escape(&report.started));
    pair("Calls", &report.summary.calls.to_string());
    pair(
        "Evidence",
        &code(report.evidence.as_deref().unwrap_or_default()),
    );
    page.add("</dl>");
    if !report.command.is_empty() {
        page.add(&format!(
            "<h3>Run it again</h3>\n<pre>{}</pre>",
            escape_lines(&report.command)
        ));
    }
    if !report.notes.is_empty() {
        page.add("<h3>Notes</h3>\n<ul>");
        let left_out = page.add_within(ROOM, report.notes.iter(), |note| {
            format!("<li>{}</li>", escape_sentence(note))
        });
        page.add("</ul>");
        if left_out > 0 {
            page.add(&format!("<p>{left_out} more.</p>"));
        }
    }
}
