//! Judging made-up traces.

use std::path::PathBuf;

use super::*;
use crate::contract::config::{GlobalConfig, RunnerConfig};
use crate::driver::{DriverKind, JobSettings, SelectionDefaults};
use crate::plan::case::JobOrder;
use crate::suite::Interruption;

fn driver() -> Driver {
    Driver {
        kind: DriverKind::Directory,
        path: PathBuf::from("./driver"),
        config: RunnerConfig::default(),
        global: GlobalConfig::default(),
        job: JobSettings::default(),
        selection: SelectionDefaults::default(),
        provide_directories: true,
        digest: "sha256:0".into(),
        notes: Vec::new(),
    }
}

fn options(strict: bool) -> RunOptions {
    RunOptions {
        cases: vec!["one".into(), "two/x y".into()],
        checks: Vec::new(),
        seed: 1,
        jobs: 1,
        strict,
        reproduce: "driver-conformance ./driver".into(),
        interruption: Interruption::default(),
    }
}

fn case(name: &str) -> Case {
    Case {
        name: name.into(),
        about: String::new(),
        jobs: Vec::new(),
        order: JobOrder::Sequential,
    }
}

fn deviation(inconclusive: bool) -> Deviation {
    Deviation {
        call: None,
        message: "it did.".into(),
        expected: vec!["not so".into()],
        actual: "so".into(),
        evidence: (0, 1),
        inconclusive,
    }
}

const fn check(
    id: &'static str,
    level: checks::Level,
    examine: fn(&Case, &Trace) -> Option<Vec<Deviation>>,
) -> Check {
    Check {
        id,
        clauses: &["G8"],
        category: checks::Category::ExitCode,
        level,
        requirement: "r",
        why: "w",
        fix: "f",
        examine,
    }
}

static FINE: Check = check("a/fine", checks::Level::Must, |_, _| Some(Vec::new()));
static SILENT: Check = check("a/silent", checks::Level::Must, |_, _| None);
static WRONG: Check = check("b/wrong", checks::Level::Must, |_, _| {
    Some(vec![deviation(false)])
});
static DOUBTFUL: Check = check("b/doubtful", checks::Level::Must, |_, _| {
    Some(vec![deviation(true)])
});
static ADVICE: Check = check("c/advice", checks::Level::Should, |_, _| {
    Some(vec![deviation(false)])
});
static BROKEN: Check = check("d/broken", checks::Level::Must, |_, _| {
    panic!("a bug of ours")
});

fn judged(checks: &[&'static Check], strict: bool) -> Report {
    let examined = ["two/x y", "one"]
        .map(|name| {
            examine(
                &case(name),
                &Trace::default(),
                checks,
                Duration::from_millis(5),
            )
        })
        .to_vec();
    let times = (SystemTime::UNIX_EPOCH, Duration::from_millis(9));
    assemble(&driver(), &options(strict), checks, examined, times)
}

#[test]
fn every_category_has_its_word_in_the_report() {
    use checks::Category::{
        Cleanup, Config, Environment, ExitCode, Isolation, LeakBackend, LeakFile, LeakMount,
        LeakNetwork, LeakProcess, Output, Reentrancy, Secret, Signal, Timeout,
    };
    let ours = [
        ExitCode,
        Reentrancy,
        Cleanup,
        LeakProcess,
        LeakFile,
        LeakMount,
        LeakNetwork,
        LeakBackend,
        Signal,
        Timeout,
        Output,
        Config,
        Isolation,
        Environment,
        Secret,
    ];
    let ours: Vec<&str> = ours.iter().map(|category| category.name()).collect();
    let theirs: Vec<&str> = Category::ALL
        .iter()
        .map(|category| category.name())
        .collect();
    assert_eq!(ours, theirs);
}

#[test]
fn nothing_found_is_a_pass() {
    let report = judged(&[&FINE, &SILENT], false);
    assert_eq!((report.verdict, report.exit_code), (Verdict::Pass, 0));
    assert_eq!(report.checks[0].status, Status::Pass);
    assert_eq!(report.checks[1].status, Status::Skip);
    assert_eq!(
        report.cases[0].name, "one",
        "cases are in the order of the selection"
    );
}

#[test]
fn the_same_deviation_in_two_cases_is_one_finding() {
    let report = judged(&[&FINE, &WRONG], false);
    assert_eq!((report.verdict, report.exit_code), (Verdict::Fail, 1));
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.findings[0].cases, ["one", "two/x y"]);
    assert_eq!(
        report.findings[0].reproduce,
        "driver-conformance ./driver --only one"
    );
    assert_eq!(report.summary.failed, 2);
}

#[test]
fn a_should_counts_only_when_strict() {
    assert_eq!(judged(&[&ADVICE], false).exit_code, 0);
    assert_eq!(judged(&[&ADVICE], true).exit_code, 1);
    assert_eq!(judged(&[&ADVICE], false).findings.len(), 1);
}

#[test]
fn doubt_is_neither_pass_nor_fail() {
    let report = judged(&[&DOUBTFUL], false);
    assert_eq!(
        (report.verdict, report.exit_code),
        (Verdict::Inconclusive, 4)
    );
    assert_eq!(judged(&[&DOUBTFUL, &WRONG], false).exit_code, 1);
}

#[test]
fn a_check_that_panics_is_an_error_of_ours() {
    let report = judged(&[&BROKEN, &FINE], false);
    assert_eq!((report.verdict, report.exit_code), (Verdict::Error, 3));
    assert_eq!(report.summary.errors, 2);
}
