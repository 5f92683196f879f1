//! Reports of made-up runs.

use driver_conformance_reports::model::timeline::{Instant, Lane, Marked, Span, Timeline, Tone};
use driver_conformance_reports::model::{
    Call, CallDurations, CaseOutcome, CaseResult, Category, CheckResult, DriverIdentity,
    DriverProgram, ExitCode, Finding, Leak, LeakOrigin, Level, Location, Partial, Report, SCHEMA,
    Shard, ShardMethod, Status, Summary, Tool, Verdict, WaiverRecord,
};

pub(crate) fn finding(check: &str, stage: &str, cases: &[&str]) -> Finding {
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
        location: Some(Location {
            file: "scenarios/drivers/literal-codes/run".into(),
            line: (stage == "build_script").then_some(12),
        }),
        fingerprint: format!("0123456789abcdef-{check}-{stage}"),
        reproduce: format!("driver-conformance scenarios/drivers/literal-codes --only '{}'", cases[0]),
        undisturbed: false,
        symptoms: Vec::new(),
        also_seen_as: Vec::new(),
        waiver: None,
    }
}

fn timeline() -> Timeline {
    let span = |lane, label: &str, from_us, to_us, tone| Span {
        lane,
        label: label.into(),
        job: 0,
        from_us,
        to_us,
        tone,
    };
    Timeline {
        case: "run/code:3".into(),
        about: "The script fails with an exit code of its own.".into(),
        end_us: 240_000,
        spans: vec![
            span(
                Lane::Driver,
                "prepare: exit status 0",
                1_000,
                Some(20_000),
                Tone::Plain,
            ),
            span(
                Lane::Driver,
                "run build_script: exit status 1",
                25_000,
                Some(60_000),
                Tone::Failed,
            ),
            span(Lane::Processes, "left: sleep 1000", 1_000, None, Tone::Leak),
            span(
                Lane::Runner,
                "waits for the output of cleanup, held open by sleep 1000",
                100_000,
                Some(240_000),
                Tone::Gap,
            ),
        ],
        moments: vec![Instant {
            lane: Lane::Signals,
            label: "SIGTERM to run build_script (Delivered)".into(),
            job: 0,
            at_us: 50_000,
            tone: Tone::Ended,
        }],
        marked: vec![Marked {
            check: "exit-code/build-failure-value".into(),
            call: Call::Run,
            stage: Some("build_script".into()),
            from_us: 25_000,
            to_us: 60_000,
        }],
        left_out: 0,
    }
}

pub(crate) fn check(id: &str, status: Status) -> CheckResult {
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

pub(crate) fn case(name: &str, status: Status, exit_code: Option<i64>) -> CaseResult {
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

/// A driver with a defect, an advice and something that could not be judged.
pub(crate) fn report() -> Report {
    let mut should = finding("cleanup/quiet-second-time", "", &["cleanup/twice"]);
    should.level = Level::Should;
    should.call = Call::Cleanup;
    should.stage = None;
    let mut busy = finding("signal/exits-in-time", "build_script", &["run/cancel"]);
    busy.status = Status::Inconclusive;
    Report {
        transitions_missing: Vec::new(),
        partial: None,
        shard: None,
        command: "driver-conformance scenarios/drivers/literal-codes".into(),
        evidence: None,
        must_clauses_missing: Vec::new(),
        waivers: Vec::new(),
        durations: vec![
            CallDurations {
                call: Call::Prepare,
                stage: None,
                count: 30,
                p50_ms: 12,
                max_ms: 48,
            },
            CallDurations {
                call: Call::Run,
                stage: Some("build_script".into()),
                count: 28,
                p50_ms: 9,
                max_ms: 2_100,
            },
        ],
        faulty_durations: Vec::new(),
        ending_durations: Vec::new(),
        timelines: vec![timeline()],
        advice: None,
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
            programs: vec![DriverProgram {
                call: Call::Run,
                file: "scenarios/drivers/literal-codes/run".into(),
            }],
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

/// A report in which every text does what it can to get out of its place.
pub(crate) fn hostile() -> Report {
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
    report.notes =
        vec!["<script>alert(1)</script> ``` @all ![x](http://example.org/x.png) ]]> # SKIP".into()];
    let timeline = &mut report.timelines[0];
    timeline.case.clone_from(&report.findings[0].case);
    timeline.spans[0].label = "</title></svg><script>alert(2)</script>\u{202e}&amp;".into();
    report.checks[0].id = "output/complete".into();
    report.checks[0].requirement = "--><img src=x onerror=alert(3)>]]>".into();
    report.leaks[0].what = "\"onmouseover=alert(4) '<b>".into();
    report.findings[0].check = "output/complete".into();
    report.findings[0]
        .message
        .push_str(" @all /close #1 | `code` ```\n/close\n<details> ]]> # SKIP");
    report.findings[0].location = Some(Location {
        file: "a b/\u{e9}%20#x\"<.sh".into(),
        line: Some(7),
    });
    report
}

/// Something of everything: waived, stale, an error of ours, stopped half-way through one shard.
pub(crate) fn varied() -> Report {
    let mut report = report();
    let mut waived = finding("output/complete", "get_sources", &["output/flood"]);
    waived.status = Status::Waived;
    waived.waiver = Some("known, issue 12; owner me; until 2027-01-01".into());
    let mut stale = finding("leak-file/**", "", &[""]);
    stale.status = Status::UnexpectedPass;
    stale.call = Call::Job;
    stale.stage = None;
    stale.location = None;
    stale.message = "The waiver in driver-conformance.toml:3 no longer applies: nothing was found that it excepts.".into();
    stale.waiver = Some("was needed once; until 2027-01-01".into());
    report.findings.extend([waived, stale]);
    report.checks.extend([
        check("output/complete", Status::Waived),
        check("config/valid-json", Status::Skip),
        CheckResult {
            level: Level::Should,
            requirement: "cleanup prints nothing the second time.".into(),
            ..check("cleanup/quiet-second-time", Status::Fail)
        },
    ]);
    let mut broken = case("job/ours", Status::Error, None);
    broken.outcome = None;
    broken.reason = Some("the harness panicked: index out of bounds".into());
    report.cases.push(broken);
    report.waivers = vec![WaiverRecord {
        check: "output/complete".into(),
        case: None,
        reason: "known, issue 12".into(),
        expires: "2027-01-01".into(),
        summary: "known, issue 12; owner me; until 2027-01-01".into(),
        place: "driver-conformance.toml:3".into(),
        used: true,
        expired: false,
        cases_judged: 30,
        cases_total: 30,
    }];
    report.partial = Some(Partial {
        reason: "SIGTERM".into(),
        cases_missing: 4,
    });
    report.shard = Some(Box::new(Shard {
        method: ShardMethod::Slice,
        index: 2,
        count: 8,
        selection: "abc".into(),
        cases_total: 240,
        findings: Vec::new(),
        checks: Vec::new(),
    }));
    report
}
