//! Every format on the same report, one with hostile content.

use driver_conformance_reports::model::{
    Call, CaseOutcome, CaseResult, Category, CheckResult, DriverIdentity, ExitCode, Finding, Leak,
    LeakOrigin, Level, Report, SCHEMA, Status, Summary, Tool, Verdict,
};
use driver_conformance_reports::terminal::{self, TerminalOptions};
use driver_conformance_reports::{FORMATS, format, json};

fn finding(check: &str, stage: &str, cases: &[&str]) -> Finding {
    Finding {
        check: check.into(),
        clause: vec!["G8".into()],
        category: Category::ExitCode,
        level: Level::Must,
        call: Call::Run,
        stage: Some(stage.into()),
        case: cases[0].into(),
        cases: cases.iter().map(|&case| case.into()).collect(),
        status: Status::Fail,
        message: "run ended with exit status 1 after its script had failed with exit code 3.".into(),
        expected: vec!["exit status 73, the value of BUILD_FAILURE_EXIT_CODE".into()],
        actual: "exit status 1".into(),
        requirement: "run exits with the value of BUILD_FAILURE_EXIT_CODE when the script fails.".into(),
        why: "A runner with other values takes the failed job for a broken machine: GitLab retries it, and the \
              author of the job sees no exit code."
            .into(),
        fix: "Write exit \"$BUILD_FAILURE_EXIT_CODE\" instead of exit 1.".into(),
        evidence: (12, 17),
        fingerprint: "0123456789abcdef".into(),
        reproduce: format!("driver-conformance scenarios/drivers/literal-codes --only '{}'", cases[0]),
        also_seen_as: Vec::new(),
        waiver: None,
    }
}

fn check(id: &str, status: Status) -> CheckResult {
    CheckResult {
        id: id.into(),
        clause: vec!["G8".into()],
        category: Category::ExitCode,
        level: Level::Must,
        status,
        cases: 4,
        requirement: String::new(),
    }
}

fn case(name: &str, status: Status, exit_code: Option<i64>) -> CaseResult {
    CaseResult {
        name: name.into(),
        status,
        duration_ms: 240,
        calls: 12,
        outcome: Some(CaseOutcome {
            state: "failed".into(),
            failure_reason: Some("script_failure".into()),
            exit_code,
        }),
        reason: None,
    }
}

fn report() -> Report {
    let mut should = finding("cleanup/quiet-second-time", "", &["cleanup/twice"]);
    should.level = Level::Should;
    should.call = Call::Cleanup;
    should.stage = None;
    let mut busy = finding("signal/exits-in-time", "build_script", &["run/cancel"]);
    busy.status = Status::Inconclusive;
    Report {
        transitions_missing: Vec::new(),
        schema: SCHEMA.into(),
        verdict: Verdict::Fail,
        exit_code: ExitCode::NONCONFORMING,
        tool: Tool {
            version: "0.1.0".into(),
        },
        driver: DriverIdentity {
            path: "scenarios/drivers/literal-codes".into(),
            kind: "directory".into(),
            digest: "sha256:00".into(),
        },
        profile: "19.4".into(),
        engine: "mock".into(),
        seed: 1,
        strict: false,
        started: "2026-01-01T00:00:00Z".into(),
        duration_ms: 4_210,
        summary: Summary {
            cases: 30,
            passed: 26,
            failed: 3,
            inconclusive: 1,
            calls: 312,
            ..Summary::default()
        },
        checks: vec![
            check("exit-code/build-failure-value", Status::Fail),
            check("cleanup/removes-everything", Status::Pass),
            check("signal/exits-in-time", Status::Inconclusive),
        ],
        findings: vec![
            finding(
                "exit-code/build-failure-value",
                "build_script",
                &["run/code:3", "run/code:1", "run/code:125", "run/code:255"],
            ),
            finding(
                "exit-code/build-failure-value",
                "get_sources",
                &["run/sources/code:3"],
            ),
            should,
            busy,
        ],
        cases: vec![
            case("run/code:3", Status::Fail, Some(3)),
            case("cleanup/twice", Status::Pass, None),
        ],
        leaks: vec![Leak {
            category: Category::LeakProcess,
            what: "sleep 1000".into(),
            made_by: Some(LeakOrigin {
                call: Call::Prepare,
                stage: None,
            }),
            case: "run/cancel".into(),
        }],
        notes: vec![
            "`prepare_exec_args` is not a key of [runners.custom]; the runner ignores it.".into(),
        ],
    }
}

fn hostile() -> Report {
    let mut report = report();
    let mut bad = finding(
        "output/complete",
        "build_script",
        &["run/out\u{1b}]0;owned\u{7}put"],
    );
    bad.message = "\u{1b}[2J\u{1b}[31mnothing to see\r here\u{202e}txt.exe".into();
    bad.actual = format!("{}\u{fffd}\u{0}", "A".repeat(5_000));
    bad.expected = vec!["line one\nline two".into(), "\u{9b}1m".into()];
    bad.fix = "日本語 ".repeat(30);
    bad.reproduce = "driver-conformance 'a\nb'".into();
    report.driver.path = "evil\u{1b}[0m\nverdict  PASS".into();
    report.findings = vec![bad];
    report.notes.clear();
    report
}

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
