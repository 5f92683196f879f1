//! The page.

use std::collections::BTreeSet;

use driver_conformance_reports::html::{BYTES_MAX, render};
use driver_conformance_reports::model::{Advice, ChecklistItem, Status};
use roxmltree::Document;

use crate::made_up::{case, finding, hostile, report, varied};

/// Elements that have no end tag in HTML.
const VOID: [&str; 5] = ["meta", "input", "br", "link", "img"];

/// The elements of a page in their order, with their attributes; fails if they are not nested properly or if something
/// is not quoted. Our own pages are regular enough for so little.
fn elements(page: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let mut rest = page
        .strip_prefix("<!doctype html>")
        .expect("a page of today");
    while let Some(at) = rest.find('<') {
        let tag = &rest[at + 1..];
        let end = tag.find('>').expect("a tag ends");
        let inside = &tag[..end];
        rest = &tag[end + 1..];
        if let Some(name) = inside.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "before {rest:.80}");
            continue;
        }
        let (name, attributes) = inside.split_once([' ', '\n']).unwrap_or((inside, ""));
        let closed = attributes.ends_with('/') || inside.ends_with('/');
        let name = name.trim_end_matches('/').to_owned();
        assert!(name.chars().all(char::is_alphanumeric), "{inside:?}");
        found.push((name.clone(), attributes.to_owned()));
        if matches!(name.as_str(), "script" | "style") {
            let end = rest.find(&format!("</{name}>")).expect("it ends");
            rest = &rest[end + name.len() + 3..];
        } else if !closed && !VOID.contains(&name.as_str()) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
    found
}

#[test]
fn it_is_a_page_by_itself() {
    for made_up in [report(), varied(), hostile()] {
        let page = render(&made_up);
        for (name, attributes) in elements(&page) {
            assert!(
                !matches!(name.as_str(), "link" | "img" | "iframe" | "object"),
                "{name}"
            );
            assert!(
                !attributes.contains(" src=") && !attributes.contains("http:"),
                "{attributes}"
            );
            assert!(!attributes.contains(" on"), "{attributes}");
        }
        let scripts = page.matches("<script").count();
        assert_eq!(scripts, 1, "ours alone");
    }
    insta::assert_snapshot!(without_assets(&render(&varied())));
}

/// The page without what does not depend on the report.
pub(crate) fn without_assets(page: &str) -> String {
    let mut text = page.to_owned();
    for name in ["style", "script"] {
        let begin = text.find(&format!("<{name}>")).expect("it is there") + name.len() + 2;
        let end = text.find(&format!("</{name}>")).expect("it is there");
        text.replace_range(begin..end, "…");
    }
    text
}

#[test]
fn every_link_leads_somewhere_and_every_name_is_there_once() {
    let mut made_up = varied();
    // One check, two waivers.
    let mut again = made_up
        .findings
        .iter()
        .find(|finding| finding.status == Status::Waived)
        .cloned()
        .expect("there is one");
    again.waiver = Some("another reason".into());
    made_up.findings.push(again);
    let page = render(&made_up);
    let value = |attributes: &str, name: &str| -> Option<String> {
        let attributes = format!(" {attributes}");
        let (_, after) = attributes.split_once(&format!(" {name}=\""))?;
        Some(after.split('"').next()?.to_owned())
    };
    let all = elements(&page);
    let ids: Vec<String> = all
        .iter()
        .filter_map(|(_, attributes)| value(attributes, "id"))
        .collect();
    let distinct: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(ids.len(), distinct.len(), "{ids:?}");
    for target in all
        .iter()
        .filter_map(|(_, attributes)| value(attributes, "href"))
    {
        let id = target.strip_prefix('#').expect("within the page");
        assert!(ids.iter().any(|known| known == id), "{target}");
    }
}

#[test]
fn what_a_driver_prints_is_text() {
    let page = render(&hostile());
    for harm in [
        "<script>alert",
        "<img",
        "onmouseover=alert(4) '<b>",
        "\u{202e}",
        "\u{1b}",
        "\u{0}",
    ] {
        assert!(!page.contains(harm), "{harm:?}");
    }
    assert!(
        page.contains("&lt;script&gt;alert(2)&lt;/script&gt;"),
        "it is shown all the same"
    );
}

#[test]
fn a_drawing_is_a_picture_and_a_text() {
    let page = render(&report());
    let begin = page.find("<svg viewBox").expect("there is one");
    let end = page[begin..].find("</svg>").expect("it ends") + begin + "</svg>".len();
    let drawing = Document::parse(&page[begin..end]).expect("XML");
    let with = |class: &str| {
        drawing
            .descendants()
            .filter(|node| node.attribute("class") == Some(class))
            .count()
    };
    assert_eq!(
        (with("leak"), with("gap"), with("failed"), with("marked")),
        (1, 1, 1, 1)
    );
    for text in [
        "left: sleep 1000",
        "still there at the end",
        "SIGTERM to run build_script",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn nothing_is_told_by_colour_alone() {
    let page = render(&varied());
    for sign in [
        "✗ FAIL",
        "✗ STALE WAIVER",
        "? INCONCLUSIVE",
        "! WARN",
        "○ WAIVED",
        "✓ pass",
        "– not tested",
        "‼ error",
    ] {
        assert!(page.contains(sign), "{sign}");
    }
}

#[test]
fn advice_is_shown_where_there_is_some() {
    let mut advised = report();
    advised.advice = Some(Advice {
        checklist: vec![ChecklistItem {
            sentence: "cleanup works without `job_env`".into(),
            status: Status::Skip,
            checks: vec!["cleanup/without-job-env".into()],
            cases: vec!["cleanup/twice".into()],
        }],
        config_toml: "[runners.custom]\n  prepare_exec_timeout = 30 # measured: <12 s".into(),
    });
    advised.summary.transitions_total = 217;
    advised.summary.fault_points_covered = 143;
    advised.summary.fault_points_total = 143;
    let page = render(&advised);
    for text in [
        "cleanup works without <code>job_env</code>",
        "prepare_exec_timeout = 30 # measured: &lt;12 s",
        "143 of 143 fault points",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn a_hundred_thousand_findings_stay_below_the_bound() {
    let mut large = report();
    let stages = ["get_sources", "build_script", "after_script"];
    large.findings = (0..100_000)
        .map(|number| {
            let check = format!("theme-{}/check-{}", number % 15, number % 5_000);
            let mut one = finding(
                &check,
                stages[number % 3],
                &[&format!("theme/case-{}", number % 1_000)],
            );
            one.actual = "<&\"'>".repeat(120);
            one.message = format!("{number} {}", "'".repeat(590));
            one
        })
        .collect();
    large.cases = (0..1_000)
        .map(|number| case(&format!("theme/case-{number}"), Status::Fail, Some(3)))
        .collect();
    large.timelines = (0..1_000)
        .map(|number| {
            let mut timeline = report().timelines.remove(0);
            timeline.case = format!("theme/case-{number}");
            timeline.spans = vec![timeline.spans[1].clone(); 5_000];
            timeline
        })
        .collect();
    large.leaks = vec![large.leaks[0].clone(); 100_000];
    let page = render(&large);
    assert!(page.len() < BYTES_MAX, "{} bytes", page.len());
    assert!(page.contains("are not on this page; the JSON report has them"));
    assert!(page.ends_with("</html>\n"), "it is whole");
}
