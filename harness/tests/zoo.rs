//! The zoo: every driver in `scenarios/drivers/` goes through the whole suite, and the suite must find exactly what the
//! driver's `expect.toml` says. A good driver expects nothing. `cargo test --test zoo good_` runs a part of it.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Condvar, Mutex, PoisonError};

use driver_conformance::driver::tools::find_in_path;
use serde::Deserialize;

/// Drivers at once. Most of a run is waiting for timeouts, so that one driver leaves the processors idle; with too many,
/// cases would be run again because the machine was busy.
const DRIVERS_AT_ONCE: usize = 3;

/// How many more drivers may begin now, and who waits for it.
static TURNS: (Mutex<usize>, Condvar) = (Mutex::new(DRIVERS_AT_ONCE), Condvar::new());

/// The right to run a driver, given back when dropped, also by a test that fails.
struct Turn;

impl Turn {
    fn wait() -> Self {
        let (free, changed) = &TURNS;
        let guard = free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut guard = changed
            .wait_while(guard, |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *guard -= 1;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let (free, changed) = &TURNS;
        *free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        changed.notify_one();
    }
}

/// What the suite must find in a driver.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expectation {
    /// One sentence on the driver.
    about: String,
    /// The program in the directory that is the driver, if it is not the directory itself.
    program: Option<String>,
    /// The findings; empty for a good driver.
    finding: Vec<ExpectedFinding>,
}

/// A finding that must be among those of its check.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedFinding {
    /// Id of the check.
    check: String,
    /// The call to blame.
    call: Option<String>,
    /// The stage to blame.
    stage: Option<String>,
}

/// The part of a report that counts here.
#[derive(Debug, Deserialize)]
struct Report {
    findings: Vec<ReportedFinding>,
}

#[derive(Debug, Deserialize)]
struct ReportedFinding {
    check: String,
    call: String,
    stage: Option<String>,
    status: String,
    #[expect(dead_code, reason = "shown when a comparison fails")]
    case: String,
    #[expect(dead_code, reason = "shown when a comparison fails")]
    message: String,
}

impl ExpectedFinding {
    fn matches(&self, found: &ReportedFinding) -> bool {
        let fits = |wanted: &Option<String>, found: Option<&String>| {
            wanted.is_none() || wanted.as_ref() == found
        };
        self.check == found.check
            && fits(&self.call, Some(&found.call))
            && fits(&self.stage, found.stage.as_ref())
    }
}

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../scenarios/drivers")
        .join(name)
}

fn expectation(name: &str) -> Expectation {
    let path = directory(name).join("expect.toml");
    let text = std::fs::read_to_string(&path).expect("every driver has an expect.toml");
    toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The interpreters in the first lines of a driver's programs that are not on this machine.
fn missing_interpreters(home: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(home).expect("the driver is there");
    entries
        .filter_map(|entry| {
            let text = std::fs::read(entry.ok()?.path()).ok()?;
            let first = text.split(|byte| *byte == b'\n').next()?;
            let line = std::str::from_utf8(first).ok()?.strip_prefix("#!")?;
            let mut words = line.split_whitespace();
            match words.next()? {
                "/usr/bin/env" => words.next().map(str::to_owned),
                path => Some(path.to_owned()),
            }
        })
        .filter(|interpreter| find_in_path(interpreter).is_none())
        .collect()
}

/// Runs the suite on a driver and compares what it found.
fn visit(name: &str) {
    let expected = expectation(name);
    let missing = missing_interpreters(&directory(name));
    if !missing.is_empty() {
        // Not by a macro: the test runner would keep it to itself, and a driver must not be left out silently.
        let _ = writeln!(
            std::io::stderr(),
            "note: {name} is left out: {missing:?} is not on this machine"
        );
        return;
    }
    let _turn = Turn::wait();
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let report_path = scratch.path().join("report.json");
    let home = directory(name);
    let driver = expected
        .program
        .as_ref()
        .map_or(home.clone(), |program| home.join(program));
    let output = Command::new(env!("CARGO_BIN_EXE_driver-conformance"))
        .arg(&driver)
        .arg("--report")
        .arg(format!("json={}", report_path.display()))
        .output()
        .expect("the binary can be started");
    let text = std::fs::read_to_string(&report_path).unwrap_or_else(|error| {
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        panic!(
            "{name}: no report ({error}), {}\n{stdout}{stderr}",
            output.status
        )
    });
    let report: Report = serde_json::from_str(&text).expect("a report is JSON");
    compare(name, &expected, &report);
}

fn compare(name: &str, expected: &Expectation, report: &Report) {
    let failed: Vec<&ReportedFinding> = report
        .findings
        .iter()
        .filter(|finding| finding.status == "fail")
        .collect();
    let wanted: BTreeSet<&str> = expected
        .finding
        .iter()
        .map(|finding| finding.check.as_str())
        .collect();
    let found: BTreeSet<&str> = failed
        .iter()
        .map(|finding| finding.check.as_str())
        .collect();
    let unexpected: Vec<_> = failed
        .iter()
        .filter(|finding| !wanted.contains(finding.check.as_str()))
        .collect();
    assert!(
        unexpected.is_empty(),
        "{name} ({}): not expected: {unexpected:#?}",
        expected.about
    );
    let missed: Vec<_> = wanted.difference(&found).collect();
    assert!(
        missed.is_empty(),
        "{name} ({}): not found: {missed:?}",
        expected.about
    );
    for finding in &expected.finding {
        assert!(
            failed.iter().any(|found| finding.matches(found)),
            "{name}: {finding:?} is blamed on something else: {failed:#?}"
        );
    }
}

#[test]
fn every_check_has_an_animal_or_a_reason() {
    // A driver that cannot start or prepare at all is refused before it is examined, or shows nothing else: the unit tests
    // of these checks say as much.
    let without: BTreeSet<&str> =
        ["environment/programs-start", "environment/prepare-succeeds"].into();
    let drivers = std::fs::read_dir(directory("")).expect("the zoo is there");
    let shown: BTreeSet<String> = drivers
        .map(|entry| {
            entry
                .expect("readable")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .flat_map(|name| expectation(&name).finding)
        .map(|finding| finding.check)
        .collect();
    let ids: BTreeSet<&str> = driver_conformance::checks::all()
        .iter()
        .map(|check| check.id)
        .collect();
    let unknown: Vec<_> = shown
        .iter()
        .filter(|id| !ids.contains(id.as_str()))
        .collect();
    assert!(
        unknown.is_empty(),
        "expect.toml files name checks that do not exist: {unknown:?}"
    );
    let unshown: Vec<_> = ids
        .iter()
        .filter(|id| !shown.contains(**id) && !without.contains(**id))
        .collect();
    assert!(
        unshown.is_empty(),
        "no driver of the zoo breaks {unshown:?}"
    );
}

// One test for each driver: `build.rs` lists the directories.
include!(concat!(env!("OUT_DIR"), "/zoo.rs"));
