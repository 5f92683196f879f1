//! Markdown of a merge request.

use driver_conformance_reports::markdown::render;

use crate::made_up::{finding, hostile, report, varied};

/// GitHub takes no longer comment, in characters.
const COMMENT_MAX: usize = 65_536;

/// The lines that are no code.
fn outside_of_code(text: &str) -> Vec<&str> {
    let mut fence: Option<&str> = None;
    let mut lines = Vec::new();
    for line in text.lines() {
        let ticks = line.len() - line.trim_start_matches('`').len();
        match fence {
            Some(open) if line == open => fence = None,
            None if ticks >= 3 => fence = Some(&line[..ticks]),
            None => lines.push(line),
            Some(_) => {}
        }
    }
    assert_eq!(fence, None, "a block of code that never ends");
    lines
}

#[test]
fn it_reads_well() {
    insta::assert_snapshot!(render(&varied()));
}

#[test]
fn a_driver_mentions_nobody_and_gives_no_commands() {
    let text = render(&hostile());
    for line in outside_of_code(&text) {
        for harm in ["@all", "<script", "![x](", "http://", "<img"] {
            // In a code span it is text.
            let outside: String = line.split('`').step_by(2).collect();
            assert!(!outside.contains(harm), "{line}");
        }
        assert!(!line.starts_with('/'), "a quick action: {line}");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_comment_is_never_too_long() {
    let mut long = report();
    for number in 0..5_000 {
        let mut one = finding(&format!("theme/check-{number}"), "build_script", &["a/b"]);
        one.actual = "x".repeat(9_000);
        one.message = "y".repeat(9_000);
        long.findings.push(one);
    }
    let text = render(&long);
    assert!(
        text.chars().count() < COMMENT_MAX,
        "{}",
        text.chars().count()
    );
    assert!(text.contains(" more, in the full report"));
}
