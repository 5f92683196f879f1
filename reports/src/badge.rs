//! A badge for a README: the verdict as a small picture.

use crate::model::{Report, Verdict};
use crate::phrases::{counted, verdict};
use crate::text::visible_line;

/// Height of the picture.
const HEIGHT: usize = 20;
/// Width of a letter, on average: fonts differ, so that there is room to spare.
const LETTER: usize = 7;
/// Room on each side of a text.
const MARGIN: usize = 8;
/// What is on the left.
const SUBJECT: &str = "driver conformance";

/// The badge as SVG.
pub fn render(report: &Report) -> String {
    let (word, remark) = verdict(report);
    let result = match report.verdict {
        Verdict::Pass if report.summary.waived > 0 || waived(report) > 0 => {
            format!("pass, {} waived", waived(report))
        }
        Verdict::Pass => format!("pass, {}", counted(report.summary.passed, "case")),
        Verdict::Fail => format!("fail, {remark}"),
        Verdict::Inconclusive | Verdict::Error => word.to_lowercase(),
    };
    let result = if report.partial.is_some() || report.shard.is_some() {
        format!("{result} (partial)")
    } else {
        result
    };
    // White on each of these has a contrast of at least 4.5 to 1.
    let color = match report.verdict {
        Verdict::Pass if report.partial.is_none() => "#2b7a2f",
        Verdict::Pass | Verdict::Inconclusive => "#8a5a00",
        Verdict::Fail | Verdict::Error => "#b3261e",
    };
    let left = SUBJECT.len() * LETTER + 2 * MARGIN;
    let right = result.chars().count() * LETTER + 2 * MARGIN;
    let width = left + right;
    let title = format!(
        "{SUBJECT}: {result}, GitLab Runner {}",
        visible_line(&report.profile)
    );
    let (title, result) = (escaped(&title), escaped(&result));
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT}" role="img" aria-label="{title}">
<title>{title}</title>
<rect width="{width}" height="{HEIGHT}" rx="3" fill="#444"/>
<path d="M{left} 0h{body}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-{body}z" fill="{color}"/>
<g fill="#fff" font-family="DejaVu Sans,Verdana,sans-serif" font-size="11" text-anchor="middle">
<text x="{left_middle}" y="14">{SUBJECT}</text>
<text x="{right_middle}" y="14">{result}</text>
</g>
</svg>
"##,
        body = right - 3,
        left_middle = left / 2,
        right_middle = left + right / 2,
    )
}

fn waived(report: &Report) -> usize {
    let waived = |finding: &&crate::model::Finding| finding.status == crate::model::Status::Waived;
    report.findings.iter().filter(waived).count()
}

/// Text for an attribute or an element.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
