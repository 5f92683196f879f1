//! Reports of made-up runs.

use std::path::PathBuf;

use driver_conformance_scenarios::contract::ClauseId;

use super::*;
use crate::checks::Deviation;
use crate::contract::config::{GlobalConfig, RunnerConfig};
use crate::contract::moment::Moment;
use crate::driver::{DriverKind, JobSettings, SelectionDefaults};
use crate::plan::case::{JobOrder, StimulusAction, Surroundings};
use crate::plan::waiver::Waivers;
use crate::suite::Interruption;
use crate::trace::AppliedStimulus;

pub(in crate::suite) fn driver() -> Driver {
    Driver {
        kind: DriverKind::Directory,
        path: PathBuf::from("./driver"),
        config: RunnerConfig::default(),
        global: GlobalConfig::default(),
        job: JobSettings::default(),
        host_environment: Vec::new(),
        selection: SelectionDefaults::default(),
        waivers: Vec::new(),
        provide_directories: true,
        digest: "sha256:0".into(),
        notes: Vec::new(),
        lists: Vec::new(),
        backend: None,
    }
}

fn run(name: &str, result: verdict::CaseResult) -> (Case, verdict::CaseResult) {
    (
        Case {
            name: name.into(),
            about: String::new(),
            jobs: Vec::new(),
            order: JobOrder::Sequential,
            budget: driver_conformance_scenarios::model::Budget::Default,
            turns: Vec::new(),
            only_checks: Vec::new(),
            surroundings: Surroundings::default(),
            estimate: Duration::ZERO,
        },
        result,
    )
}

fn done() -> verdict::CaseResult {
    verdict::CaseResult::Done(Box::default())
}

fn deviation(inconclusive: bool) -> Deviation {
    Deviation {
        call: None,
        message: "it did.".into(),
        expected: vec!["not so".into()],
        actual: "so".into(),
        evidence: (0, 1),
        inconclusive,
        by_time: false,
    }
}

const fn check(
    id: &'static str,
    level: checks::Level,
    examine: fn(&Case, &Trace) -> Option<Vec<Deviation>>,
) -> Check {
    Check {
        id,
        clauses: &[ClauseId::G8],
        category: checks::Category::ExitCode,
        level,
        requirement: "r",
        why: "w",
        broken_by: "b",
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

fn report_of(
    checks: &[&'static Check],
    strict: bool,
    runs: Vec<(Case, verdict::CaseResult)>,
) -> Report {
    let options = RunOptions {
        cases: Vec::new(),
        checks: Vec::new(),
        seed: 1,
        jobs: 1,
        strict,
        waivers: Waivers::default(),
        reproduce: "driver-conformance ./driver".into(),
        interruption: Interruption::default(),
        shard: None,
        keep: None,
        stand_alone: None,
    };
    let took = Duration::from_millis(5);
    let runs = runs
        .into_iter()
        .map(|(case, result)| CaseRun::judge(case, &result, took, checks, &options))
        .collect();
    let times = (SystemTime::UNIX_EPOCH, Duration::from_millis(9));
    assemble(&driver(), &options, checks, runs, times, Vec::new())
}

fn report(checks: &[&'static Check], strict: bool) -> Report {
    report_of(
        checks,
        strict,
        vec![run("two/x y", done()), run("one", done())],
    )
}

#[test]
fn nothing_found_is_a_pass() {
    let report = report(&[&FINE, &SILENT], false);
    assert_eq!((report.verdict, report.exit_code), (Verdict::Pass, 0));
    assert_eq!(report.checks[0].status, Status::Pass);
    assert_eq!(report.checks[1].status, Status::Skip);
    assert_eq!(report.cases[0].name, "one", "cases are sorted");
}

#[test]
fn a_finding_names_its_cases_and_how_to_see_it_again() {
    let report = report(&[&FINE, &WRONG], false);
    assert_eq!((report.verdict, report.exit_code), (Verdict::Fail, 1));
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.findings[0].cases, ["one", "two/x y"]);
    let command = "driver-conformance ./driver --only one";
    assert_eq!(report.findings[0].reproduce, command);
    assert_eq!(report.summary.failed, 2);
}

#[test]
fn a_should_counts_only_when_strict() {
    let lenient = report(&[&ADVICE], false);
    assert_eq!((lenient.exit_code, lenient.summary.failed), (0, 0));
    assert_eq!(lenient.findings.len(), 1, "it is shown all the same");
    let strict = report(&[&ADVICE], true);
    assert_eq!((strict.exit_code, strict.summary.failed), (1, 2));
}

#[test]
fn doubt_is_neither_pass_nor_fail() {
    let doubtful = report(&[&DOUBTFUL], false);
    assert_eq!(doubtful.verdict, Verdict::Inconclusive);
    assert_eq!(doubtful.exit_code, 4);
    assert_eq!(report(&[&DOUBTFUL, &WRONG], false).exit_code, 1);
}

#[test]
fn an_error_of_ours_has_its_own_code_and_says_why() {
    let failed = verdict::CaseResult::Failed("no more processes".into());
    let skipped = verdict::CaseResult::Skipped("it has no prepare".into());
    let runs = vec![run("one", failed), run("two", skipped)];
    let report = report_of(&[&FINE], false, runs);
    assert_eq!((report.verdict, report.exit_code), (Verdict::Error, 3));
    assert_eq!((report.summary.errors, report.summary.skipped), (1, 1));
    assert_eq!(report.notes[0], "case one: no more processes");
}

/// Its stimulus names a call that was never made, which is beyond what a trace may say.
#[test]
fn a_trace_that_nobody_reckoned_with_costs_its_case_alone() {
    let mut trace = Trace::default();
    trace.stimuli.push(AppliedStimulus {
        at: Moment::START,
        job: 0,
        action: StimulusAction::Cancel,
        hit: Some(CallIndex(7)),
    });
    let beyond = verdict::CaseResult::Done(Box::new(trace));
    let report = report_of(
        &[&FINE],
        false,
        vec![run("one", beyond), run("two", done())],
    );
    assert_eq!(report.verdict, Verdict::Error);
    let reason = report.cases[0].reason.as_deref().unwrap_or_default();
    assert!(reason.contains("panicked while it judged"), "{reason}");
    assert_eq!(report.cases[1].status, Status::Pass);
}

#[test]
fn where_nothing_could_be_judged_nothing_is_known() {
    let skipped = verdict::CaseResult::Skipped("no config".into());
    let report = report_of(&[&FINE], false, vec![run("one", skipped)]);
    assert_eq!(report.verdict, Verdict::Inconclusive);
    assert_eq!(report.exit_code, ExitCode::INCONCLUSIVE);
}
