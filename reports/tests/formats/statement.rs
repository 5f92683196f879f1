//! The statement that can be signed.

use driver_conformance_reports::model::Verdict;
use driver_conformance_reports::statement::render;
use serde_json::Value;

use crate::made_up::{hostile, report, varied};

fn statement(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn it_names_what_was_tested_and_how() {
    insta::assert_snapshot!(render(&varied()));
}

#[test]
fn it_does_not_depend_on_when_and_where() {
    let mut later = report();
    "2031-01-01T00:00:00Z".clone_into(&mut later.started);
    later.duration_ms += 5;
    assert_eq!(render(&report()), render(&later));
}

#[test]
fn only_a_whole_run_that_passes_is_a_pass() {
    let mut made_up = report();
    let result = |text: &str| statement(text)["predicate"]["result"].clone();
    assert_eq!(result(&render(&made_up)), "FAILED");
    made_up.verdict = Verdict::Pass;
    made_up
        .checks
        .retain(|check| check.id.starts_with("cleanup/"));
    assert_eq!(result(&render(&made_up)), "PASSED");
    made_up.partial = varied().partial;
    assert_eq!(result(&render(&made_up)), "FAILED");
    let digest = &statement(&render(&hostile()))["subject"][0]["digest"]["sha256"];
    assert_eq!(*digest, "00");
}
