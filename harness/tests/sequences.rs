//! The fuzzer finds bugs that need a sequence of calls to show, and makes the sequence short.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use support::write_edited_driver;

/// A driver with such a bug: edits of a good one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bug {
    #[serde(rename = "about")]
    _about: String,
    base: String,
    /// The checks that may find it: which one does depends on the sequence.
    checks: Vec<String>,
    edit: Vec<Edit>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    find: String,
    replace: String,
}

/// Most events that a sequence may have when it is told.
const EVENTS_MAX: usize = 6;

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

/// Writes the driver with the bug, and returns what it is.
fn write(name: &str, directory: &Path) -> Bug {
    let file = scenarios().join("sequences").join(format!("{name}.toml"));
    let text = fs::read_to_string(&file).expect("it is there");
    let bug: Bug = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let edits = bug.edit.iter();
    let edits: Vec<(&str, &str)> = edits
        .map(|edit| (edit.find.as_str(), edit.replace.as_str()))
        .collect();
    write_edited_driver(directory, &bug.base, &edits);
    bug
}

/// Fuzzes until something is found and expects the bug, in a short sequence that is kept. What is drawn depends on the seed
/// alone; the time is for machines that are busy.
fn expect_found(name: &str) {
    let home = tempfile::tempdir().expect("a directory");
    let driver = home.path().join("driver");
    let bug = write(name, &driver);
    let report = home.path().join("report.json");
    let output = support::harness(home.path())
        .arg("fuzz")
        .arg(&driver)
        .args(["--time", "10m"])
        .arg(format!("--report=json={}", report.display()))
        .output()
        .expect("the binary can be started");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{name}: {shown}");
    let report: Value =
        serde_json::from_str(&fs::read_to_string(report).expect("written")).expect("a JSON report");
    let found: Vec<&str> = report["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|finding| finding["check"].as_str())
        .collect();
    let is_expected = bug
        .checks
        .iter()
        .any(|check| found.contains(&check.as_str()));
    assert!(is_expected, "{name}: {found:?}");
    let notes = report["notes"].to_string();
    let events: usize = notes
        .split_once(" has ")
        .and_then(|(_, rest)| rest.split(' ').next()?.parse().ok())
        .unwrap_or_else(|| panic!("{name}: {notes}"));
    assert!(events <= EVENTS_MAX, "{name}: {notes}");
    let kept = driver.join("driver-conformance-regressions.toml");
    let kept = fs::read_to_string(kept).expect("the sequence is kept");
    assert!(
        bug.checks.iter().any(|check| kept.contains(check)),
        "{name}: {kept}"
    );
}

#[test]
fn a_third_attempt_is_found() {
    expect_found("third-attempt-refused");
}

#[test]
fn a_stage_that_is_skipped_the_second_time_is_found() {
    expect_found("repeated-sources-skipped");
}

/// All of them take many minutes; some need more sequences than a minute has room for on a small machine: `cargo test --test sequences -- --ignored`.
#[test]
#[ignore = "takes minutes; two of them are tested always"]
fn each_is_found() {
    let entries = fs::read_dir(scenarios().join("sequences")).expect("a directory");
    let mut names: Vec<String> = entries
        .map(|entry| {
            let path = entry.expect("readable").path();
            path.file_stem()
                .expect("named")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    assert!(names.len() >= 10, "{names:?}");
    for name in &names {
        expect_found(name);
    }
}
