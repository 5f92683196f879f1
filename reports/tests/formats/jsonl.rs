//! JSON lines.

use std::collections::BTreeMap;

use driver_conformance_reports::jsonl::{case, closing, opening, render};
use serde_json::Value;

use crate::made_up::{hostile, report, varied};

fn events(text: &str) -> Vec<Value> {
    // Not `str::lines`: some readers take more characters for the end of a line.
    let separators = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
    let lines = text.trim_end_matches('\n').split(separators);
    lines
        .map(|line| serde_json::from_str(line).expect("one object on each line"))
        .collect()
}

#[test]
fn each_line_is_an_object_with_its_event() {
    for made_up in [report(), varied(), hostile()] {
        let events = events(&render(&made_up));
        assert_eq!(events[0]["event"], "run");
        assert_eq!(events[events.len() - 1]["event"], "end");
        let count = |name: &str| events.iter().filter(|event| event["event"] == name).count();
        assert_eq!(count("case"), made_up.cases.len());
        assert_eq!(count("finding"), made_up.findings.len());
        assert_eq!(count("check"), made_up.checks.len());
    }
    insta::assert_snapshot!(render(&varied()));
}

#[test]
fn what_was_told_meanwhile_is_not_told_again_unless_it_changed() {
    let made_up = report();
    let mut told = BTreeMap::new();
    told.insert(made_up.cases[0].name.clone(), made_up.cases[0].clone());
    let mut early = made_up.cases[1].clone();
    early.duration_ms += 1;
    told.insert(early.name.clone(), early.clone());
    let stream = [
        opening(&made_up.driver.path, 2),
        case(&made_up.cases[0]),
        case(&early),
        closing(&made_up, &told),
    ];
    let events = events(&stream.concat());
    let cases: Vec<&Value> = events
        .iter()
        .filter(|event| event["event"] == "case")
        .collect();
    assert_eq!(cases.len(), 3);
    assert_eq!(cases[2]["name"], made_up.cases[1].name.as_str());
}
