//! Where it hurts: stages against themes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::model::{Call, Finding, Report, Status};
use crate::phrases::{binds, counted, place};

use super::{Page, escape};

/// Most rows: a driver may be blamed for stages with names of its own making.
const ROWS_MAX: usize = 40;
/// Most columns: there are fewer themes, but a stored report may say anything.
const THEMES_MAX: usize = 40;

/// The matrix, if there is anything to show in it.
pub(super) fn section(page: &mut Page, report: &Report) {
    let findings: Vec<&Finding> = report
        .findings
        .iter()
        .filter(|finding| finding.status != Status::UnexpectedPass)
        .collect();
    if findings.is_empty() {
        return;
    }
    let themes = themes(report, &findings);
    let mut rows: BTreeMap<(Call, String), BTreeMap<&str, Vec<&Finding>>> = BTreeMap::new();
    for call in [Call::Config, Call::Prepare, Call::Run, Call::Cleanup] {
        if !findings.iter().any(|finding| finding.call == call) {
            rows.insert((call, call.to_string()), BTreeMap::new());
        }
    }
    for finding in findings {
        let row = rows.entry((finding.call, place(finding))).or_default();
        row.entry(theme(&finding.check)).or_default().push(finding);
    }
    page.add("<h2 id=\"matrix\">Where</h2>\n<p>Findings by lifecycle stage and theme; each number leads to its findings.</p>");
    page.add("<div class=\"scroll matrix\" tabindex=\"0\" role=\"region\" aria-label=\"Findings by stage and theme\"><table><thead><tr><th scope=\"col\">stage</th>");
    for theme in &themes {
        page.add(&format!("<th scope=\"col\">{}</th>", escape(theme)));
    }
    page.add("</tr></thead><tbody>");
    let left_out = rows.len().saturating_sub(ROWS_MAX);
    for ((_, place), cells) in rows.into_iter().take(ROWS_MAX) {
        page.add(&row(report, &place, &themes, &cells));
    }
    page.add("</tbody></table></div>");
    if left_out > 0 {
        page.add(&format!("<p>{} more.</p>", counted(left_out, "stage")));
    }
}

fn row(
    report: &Report,
    place: &str,
    themes: &[&str],
    cells: &BTreeMap<&str, Vec<&Finding>>,
) -> String {
    let mut row = format!("<tr><th scope=\"row\">{}</th>", escape(place));
    for theme in themes {
        let Some(found) = cells.get(theme) else {
            row.push_str("<td class=\"none\"><span aria-label=\"nothing found\">·</span></td>");
            continue;
        };
        let fails =
            |finding: &&&Finding| finding.status == Status::Fail && binds(report, finding.level);
        let (class, sign, word) = if found.iter().any(|finding| fails(&finding)) {
            ("bad", "✗", "fails")
        } else if found.iter().all(|finding| finding.status == Status::Waived) {
            ("note", "○", "waived")
        } else {
            ("warn", "!", "advice or doubt")
        };
        let _ = write!(
            row,
            "<td><a class=\"{class}\" href=\"#{}\" title=\"{word}\">{sign} {}</a></td>",
            super::findings::anchor(&found[0].check, found[0].status),
            found.len()
        );
    }
    row.push_str("</tr>");
    row
}

/// Themes with findings first: a narrow screen shows these without scrolling. Then those that were looked at.
fn themes<'report>(report: &'report Report, findings: &[&'report Finding]) -> Vec<&'report str> {
    let found: BTreeSet<&str> = findings
        .iter()
        .map(|finding| theme(&finding.check))
        .collect();
    let looked_at = report
        .checks
        .iter()
        .filter(|check| check.status != Status::Skip);
    let looked_at: BTreeSet<&str> = looked_at.map(|check| theme(&check.id)).collect();
    let clean = looked_at.difference(&found).copied();
    found
        .iter()
        .copied()
        .chain(clean)
        .take(THEMES_MAX)
        .collect()
}

fn theme(check: &str) -> &str {
    check.split('/').next().unwrap_or(check)
}
