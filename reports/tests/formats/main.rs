//! Every format on the same report, one with hostile content.

mod codequality;
mod html;
mod jsonl;
mod junit;
mod made_up;
mod markdown;
mod pictures;
mod sarif;
mod schema;
mod statement;
mod tap;

use driver_conformance_reports::model::Report;
use driver_conformance_reports::terminal::{self, TerminalOptions};
use driver_conformance_reports::{FORMATS, format, json};

use made_up::{hostile, report};

#[test]
fn terminal_shows_one_block_for_each_thing_to_fix_and_the_summary_last() {
    insta::assert_snapshot!(terminal::render(&report(), TerminalOptions::default()));
}

#[test]
fn verbose_terminal_lists_cases_and_evidence() {
    let options = TerminalOptions {
        verbosity: 2,
        ..TerminalOptions::default()
    };
    insta::assert_snapshot!(terminal::render(&report(), options));
}

#[test]
fn narrow_terminal_wraps() {
    let options = TerminalOptions {
        width: 60,
        ..TerminalOptions::default()
    };
    insta::assert_snapshot!(terminal::render(&report(), options));
}

#[test]
fn hostile_strings_reach_no_terminal() {
    let text = terminal::render(&hostile(), TerminalOptions::default());
    let invisible = |character: &char| character.is_control() && *character != '\n';
    assert_eq!(text.chars().find(invisible), None);
    insta::assert_snapshot!(text);
}

#[test]
fn colour_is_only_ours() {
    let options = TerminalOptions {
        color: true,
        ..TerminalOptions::default()
    };
    let text = terminal::render(&hostile(), options);
    for sequence in text.split('\u{1b}').skip(1) {
        let end = sequence.find('m').expect("a colour sequence ends with m");
        let digits = |character: char| character.is_ascii_digit() || character == ';';
        assert!(sequence[1..end].chars().all(digits), "{sequence:?}");
    }
    assert!(text.contains("\u{1b}["));
}

#[test]
fn json_is_the_schema() {
    insta::assert_snapshot!(json::render(&report()));
}

#[test]
fn json_comes_back_as_it_was() {
    let text = json::render(&hostile());
    assert!(text.ends_with("}\n"));
    let back: Report = serde_json::from_str(&text).expect("what was written can be read");
    assert_eq!(back, hostile());
}

/// One snapshot for each format there is, also for one that comes later: a person has read what became of the hostile text.
#[test]
fn hostile_strings_in_every_format() {
    for known in FORMATS {
        let text = (known.render)(&hostile());
        // What does not depend on the report is none of this test's business.
        let text = if known.name == "html" {
            html::without_assets(&text)
        } else {
            text
        };
        insta::with_settings!({ snapshot_suffix => known.name }, {
            insta::assert_snapshot!(text);
        });
    }
}

#[test]
fn formats_are_found_by_name() {
    for known in FORMATS {
        assert_eq!(
            format(known.name).map(|found| found.about),
            Some(known.about)
        );
    }
    assert!(format("yaml").is_none());
}
