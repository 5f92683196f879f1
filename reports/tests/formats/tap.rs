//! TAP version 14.

use driver_conformance_reports::tap::render;

use crate::made_up::{hostile, report, varied};

/// Every line is a version, a plan, a comment, a test point with the next number, or within a YAML block.
fn check(text: &str) -> usize {
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("TAP version 14"));
    let plan = lines
        .next()
        .and_then(|line| line.strip_prefix("1.."))
        .expect("a plan");
    let planned: usize = plan
        .split(' ')
        .next()
        .unwrap_or_default()
        .parse()
        .expect("a number");
    let mut seen = 0;
    let mut in_block = false;
    let mut may_have_block = false;
    for line in lines {
        match line {
            "  ---" => {
                assert!(may_have_block, "a second block of one test point");
                (in_block, may_have_block) = (true, false);
            }
            "  ..." => in_block = false,
            field if in_block => {
                let (name, value) = field.trim_start().split_once(": ").expect("a field");
                assert!(name.chars().all(char::is_alphanumeric), "{field}");
                let _text: String = serde_json::from_str(value).expect("a string");
            }
            point if point.starts_with("ok ") || point.starts_with("not ok ") => {
                seen += 1;
                may_have_block = true;
                let point = point.strip_prefix("not ").unwrap_or(point);
                let expected = format!("ok {seen} - ");
                assert!(point.starts_with(&expected), "{point}");
            }
            other => assert!(other.starts_with('#'), "{other}"),
        }
    }
    assert_eq!(seen, planned);
    seen
}

#[test]
fn it_is_the_format() {
    for made_up in [report(), varied(), hostile()] {
        assert!(check(&render(&made_up)) >= made_up.checks.len());
    }
    insta::assert_snapshot!(render(&varied()));
}

#[test]
fn no_text_of_a_driver_makes_a_directive() {
    let mut made_up = hostile();
    made_up.checks[0].id = "a/b # SKIP\nok 99 - c".into();
    let text = render(&made_up);
    assert!(text.contains("- a/b \\# SKIP\\\\nok 99"), "{text}");
    check(&text);
}

#[test]
fn nothing_selected_is_a_plan_of_none() {
    let mut empty = report();
    empty.checks.clear();
    empty.findings.clear();
    assert!(render(&empty).starts_with("TAP version 14\n1..0 # SKIP"));
}
