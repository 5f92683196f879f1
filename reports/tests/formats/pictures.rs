//! The badge.

use driver_conformance_reports::badge::render;
use driver_conformance_reports::model::Verdict;
use roxmltree::Document;

use crate::made_up::{hostile, report, varied};

#[test]
fn it_is_a_picture_that_can_be_read_aloud() {
    for made_up in [report(), varied(), hostile()] {
        let text = render(&made_up);
        let document = Document::parse(&text).expect("XML");
        let root = document.root_element();
        assert_eq!(root.attribute("role"), Some("img"));
        assert!(
            root.attribute("aria-label")
                .is_some_and(|label| label.starts_with("driver conformance: "))
        );
    }
    insta::assert_snapshot!(render(&report()));
}

#[test]
fn a_part_of_a_run_never_looks_like_a_whole_one() {
    let mut part = varied();
    part.verdict = Verdict::Pass;
    assert!(render(&part).contains("(partial)"));
}
