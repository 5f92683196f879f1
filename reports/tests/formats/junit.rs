//! The XML of `JUnit`, read by a parser that takes nothing but XML, and against the rules that Jenkins and GitLab go by.

use driver_conformance_reports::junit::render;
use roxmltree::{Document, Node};

use crate::made_up::{hostile, report, varied};

/// The elements there may be, with their attributes and the elements within them. An attribute with `!` must be there.
const RULES: [(&str, &[&str], &[&str]); 9] = [
    (
        "testsuites",
        &[
            "!name",
            "!tests",
            "!failures",
            "!errors",
            "time",
            "timestamp",
            "uuid",
            "skipped",
        ],
        &["testsuite"],
    ),
    (
        "testsuite",
        &[
            "!name",
            "!tests",
            "!failures",
            "!errors",
            "skipped",
            "disabled",
            "time",
            "timestamp",
        ],
        &["properties", "testcase"],
    ),
    ("properties", &[], &["property"]),
    ("property", &["!name", "!value"], &[]),
    (
        "testcase",
        &["!name", "!classname", "time", "file"],
        &["failure", "error", "skipped"],
    ),
    ("failure", &["message", "type"], &[]),
    ("error", &["message", "type"], &[]),
    ("skipped", &["message", "type"], &[]),
    ("system-out", &[], &[]),
];

fn check(node: Node<'_, '_>) {
    let name = node.tag_name().name();
    let rule = RULES.iter().find(|(known, ..)| *known == name);
    let (_, attributes, children) = rule.unwrap_or_else(|| panic!("there is no element {name}"));
    for attribute in node.attributes() {
        let known = attributes
            .iter()
            .any(|known| known.trim_start_matches('!') == attribute.name());
        assert!(known, "{name} has no attribute {}", attribute.name());
    }
    for needed in attributes
        .iter()
        .filter_map(|known| known.strip_prefix('!'))
    {
        assert!(node.has_attribute(needed), "{name} lacks {needed}");
    }
    for child in node.children().filter(Node::is_element) {
        assert!(
            children.contains(&child.tag_name().name()),
            "{name} holds {:?}",
            child.tag_name()
        );
        check(child);
    }
    for (attribute, wanted) in [
        ("failures", "failure"),
        ("errors", "error"),
        ("skipped", "skipped"),
        ("tests", "testcase"),
    ] {
        if let Some(count) = node.attribute(attribute) {
            let found = node
                .descendants()
                .filter(|below| below.tag_name().name() == wanted)
                .count();
            assert_eq!(
                count,
                found.to_string(),
                "{name} counts its {attribute} wrongly"
            );
        }
    }
}

#[test]
fn a_strict_parser_accepts_it() {
    for made_up in [report(), varied(), hostile()] {
        let text = render(&made_up);
        let document = Document::parse(&text).expect("XML");
        check(document.root_element());
    }
    insta::assert_snapshot!(render(&varied()));
}

#[test]
fn hostile_text_arrives_as_text() {
    let text = render(&hostile());
    let document = Document::parse(&text).expect("XML");
    let failure = document
        .descendants()
        .find(|node| node.has_tag_name("failure"))
        .expect("one failed");
    let message = failure.attribute("message").expect("it has one");
    assert!(
        message.contains("\\x1b[31m") && message.contains("]]> # SKIP"),
        "{message}"
    );
    assert!(!text.contains("<script>"));
}

#[test]
fn a_run_that_passes_has_no_red_test() {
    let mut advised = report();
    advised
        .findings
        .retain(|finding| finding.check.starts_with("cleanup/"));
    advised.checks = vec![crate::made_up::check(
        "cleanup/removes-everything",
        driver_conformance_reports::model::Status::Pass,
    )];
    let document_text = render(&advised);
    let document = Document::parse(&document_text).expect("XML");
    assert_eq!(document.root_element().attribute("failures"), Some("0"));
    assert_eq!(document.root_element().attribute("errors"), Some("0"));
}
