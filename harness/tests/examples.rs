//! `docs/examples/` holds one real report in every format. `UPDATE_DOCS=1 cargo test --test examples` runs the driver and
//! writes them anew; without it, the formats must be what becomes of the stored report, and the driver must still show
//! the same.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use driver_conformance_reports::model::Report;
use driver_conformance_reports::{FORMATS, format};
use driver_conformance_scenarios::zoo;

/// Set, it makes the tests write the files.
const UPDATE: &str = "UPDATE_DOCS";
/// The driver: what it starts survives the end of its job.
const ANIMAL: &str = "kills-only-the-shell";
/// What it is called in the examples.
const DRIVER: &str = "broken-driver";
/// What is run on it.
const SELECTION: [&str; 6] = [
    "--only",
    "signal/build-script/*/script:heed-term",
    "--only",
    "exit-code/build-script/code:3",
    "--only",
    "cleanup/twice",
];
/// The file of each format.
const FILES: [(&str, &str); 11] = [
    ("json", "report.json"),
    ("jsonl", "report.jsonl"),
    ("junit", "junit.xml"),
    ("sarif", "report.sarif"),
    ("codequality", "codequality.json"),
    ("markdown", "report.md"),
    ("tap", "report.tap"),
    ("html", "report.html"),
    ("text", "report.txt"),
    ("badge", "badge.svg"),
    ("statement", "statement.json"),
];

fn directory() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.expect("a member of the workspace")
        .join("docs/examples")
}

fn stored() -> Report {
    let text =
        fs::read_to_string(directory().join("report.json")).expect("it is in the repository");
    serde_json::from_str(&text).expect("it is the schema")
}

/// The report of a run on this machine.
fn run() -> Report {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let animal = zoo::by_name(ANIMAL).expect("it is there");
    animal.write(&home.path().join(DRIVER)).expect("written");
    let status = support::harness(home.path())
        .arg(DRIVER)
        .args(SELECTION)
        .args(["--report", "json=report.json"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("the binary can be started");
    assert_eq!(status.code(), Some(1), "it is a broken driver");
    let text = fs::read_to_string(home.path().join("report.json")).expect("it was written");
    serde_json::from_str(&text).expect("it is the schema")
}

/// What does not differ from run to run.
fn shown(report: &Report) -> BTreeSet<(String, String, String)> {
    let findings = report.findings.iter();
    findings
        .map(|finding| {
            let place = format!(
                "{} {}",
                finding.call,
                finding.stage.clone().unwrap_or_default()
            );
            (finding.check.clone(), place, finding.fingerprint.clone())
        })
        .collect()
}

#[test]
fn every_format_is_there_and_up_to_date() {
    if std::env::var_os(UPDATE).is_some() {
        let mut report = run();
        "2026-01-01T00:00:00Z".clone_into(&mut report.started);
        fs::create_dir_all(directory()).expect("our own directory");
        for (name, file) in FILES {
            let text = (format(name).expect("a format").render)(&report);
            fs::write(directory().join(file), text).expect("the documentation can be written");
        }
        return;
    }
    let report = stored();
    for (name, file) in FILES {
        let text = (format(name).expect("a format").render)(&report);
        let written = fs::read_to_string(directory().join(file)).unwrap_or_default();
        assert!(
            text == written,
            "docs/examples/{file} is not what the format {name} is; `{UPDATE}=1 cargo test --test examples` writes it anew"
        );
    }
    let names: BTreeSet<&str> = FILES.iter().map(|(name, _)| *name).collect();
    let all: BTreeSet<&str> = FORMATS.iter().map(|format| format.name).collect();
    assert_eq!(names, all);
}

#[test]
fn the_driver_still_shows_what_the_examples_say() {
    if std::env::var_os(UPDATE).is_some() {
        return;
    }
    assert_eq!(shown(&run()), shown(&stored()));
}
