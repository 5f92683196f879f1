//! GitLab's Code Quality against what its documentation demands.

use std::collections::BTreeSet;

use driver_conformance_reports::codequality::render;

use crate::made_up::{hostile, report, varied};
use crate::schema::valid;

const SCHEMA: &str = include_str!("../schemas/codequality.json");

#[test]
fn it_is_the_format_and_no_two_findings_share_a_fingerprint() {
    for made_up in [report(), varied(), hostile()] {
        let mut made_up = made_up;
        // The same defect, waived in some of its cases.
        made_up.findings.push(made_up.findings[0].clone());
        let issues = valid(SCHEMA, &render(&made_up));
        let issues = issues.as_array().expect("a list");
        assert_eq!(issues.len(), made_up.findings.len());
        let prints: BTreeSet<String> = issues
            .iter()
            .map(|issue| issue["fingerprint"].to_string())
            .collect();
        assert_eq!(prints.len(), issues.len());
    }
    insta::assert_snapshot!(render(&varied()));
}

#[test]
fn nothing_found_is_an_empty_list() {
    let mut clean = report();
    clean.findings.clear();
    assert_eq!(render(&clean), "[]\n");
}
