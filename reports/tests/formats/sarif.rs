//! SARIF against the rules of its schema.

use std::collections::BTreeSet;

use driver_conformance_reports::sarif::render;
use serde_json::Value;

use crate::made_up::{hostile, report, varied};
use crate::schema::valid;

const SCHEMA: &str = include_str!("../schemas/sarif.json");

fn results(log: &Value) -> &Vec<Value> {
    log["runs"][0]["results"].as_array().expect("a list")
}

#[test]
fn it_is_the_format() {
    for made_up in [report(), varied(), hostile()] {
        let log = valid(SCHEMA, &render(&made_up));
        assert_eq!(results(&log).len(), made_up.findings.len());
        let rules = log["runs"][0]["tool"]["driver"]["rules"]
            .as_array()
            .expect("a list");
        for result in results(&log) {
            if let Some(index) = result["ruleIndex"].as_u64() {
                let index = usize::try_from(index).expect("small");
                assert_eq!(rules[index]["id"], result["ruleId"]);
            }
        }
    }
    insta::assert_snapshot!(render(&varied()));
}

#[test]
fn waivers_are_suppressions_and_doubt_is_no_failure() {
    let log = valid(SCHEMA, &render(&varied()));
    let suppressed: Vec<&Value> = results(&log)
        .iter()
        .filter(|result| result["suppressions"].is_array())
        .collect();
    assert_eq!(suppressed.len(), 1);
    assert_eq!(suppressed[0]["suppressions"][0]["status"], "accepted");
    let open: Vec<&Value> = results(&log)
        .iter()
        .filter(|result| result["kind"] == "open")
        .collect();
    assert_eq!(open.len(), 1);
    assert_eq!(
        open[0]["level"], "none",
        "the standard demands it where kind is not fail"
    );
}

#[test]
fn a_line_is_there_only_where_it_is_known() {
    let log = valid(SCHEMA, &render(&report()));
    let region = |index: usize| &results(&log)[index]["locations"][0]["physicalLocation"]["region"];
    assert_eq!(region(0)["startLine"], 12);
    assert!(region(1).is_null());
}

#[test]
fn fingerprints_do_not_depend_on_lines_and_times() {
    let prints = |text: &str| -> BTreeSet<String> {
        results(&valid(SCHEMA, text))
            .iter()
            .map(|result| result["partialFingerprints"]["driverConformance/v1"].to_string())
            .collect()
    };
    let mut later = report();
    "2031-01-01T00:00:00Z".clone_into(&mut later.started);
    for finding in &mut later.findings {
        finding.location = None;
    }
    assert_eq!(prints(&render(&report())), prints(&render(&later)));
}
