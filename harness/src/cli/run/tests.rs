//! The default command around a suite that does what a test tells it.

use std::cell::RefCell;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use clap::Parser;
use driver_conformance_reports::model::{ExitCode, Report};
use driver_conformance_scenarios::contract::ClauseId;
use tempfile::TempDir;

use super::*;
use crate::checks::verdict::CaseResult;
use crate::checks::{self, Check, Deviation};
use crate::contract::exit::ExitStatus;
use crate::contract::moment::Moment;
use crate::contract::stage::Program;
use crate::plan::case::{Case, JobOrder, Surroundings};
use crate::suite::report::{CaseRun, assemble};
use crate::suite::{CaseEntry, InterruptSignal, Progress, RunError, missing_tool_in};
use crate::trace::{CallRecord, Capture, Trace};

static WRONG: Check = Check {
    id: "exit-code/wrong",
    clauses: &[ClauseId::G8],
    category: checks::Category::ExitCode,
    level: checks::Level::Must,
    requirement: "r",
    why: "w",
    broken_by: "b",
    fix: "f",
    examine: |case, _| {
        let deviation = Deviation {
            call: None,
            message: "it was wrong.".to_owned(),
            expected: vec!["right".to_owned()],
            actual: "wrong".to_owned(),
            evidence: (0, 0),
            inconclusive: false,
            by_time: false,
        };
        Some(if case.name.contains("bad") {
            vec![deviation]
        } else {
            Vec::new()
        })
    },
};

/// What the suite does when it is run.
enum Behaviour {
    Judge,
    Interrupted,
    ToolMissing,
}

struct Scripted(Behaviour);

impl Suite for Scripted {
    fn cases(&self) -> Result<Vec<CaseEntry>, RunError> {
        let entry = |name: &str| CaseEntry {
            name: name.to_owned(),
            about: String::new(),
            budget: Budget::Default,
        };
        Ok(vec![entry("a/bad"), entry("a/good")])
    }

    fn checks(&self) -> &'static [&'static Check] {
        static ALL: [&Check; 1] = [&WRONG];
        &ALL
    }

    fn run(
        &self,
        driver: &Driver,
        options: &RunOptions,
        progress: &mut dyn Progress,
    ) -> Result<Report, RunError> {
        match self.0 {
            Behaviour::Interrupted => {
                options.interruption.raise(InterruptSignal::Terminate);
                options.interruption.raise(InterruptSignal::Interrupt);
            }
            Behaviour::ToolMissing => {
                let trace = Trace {
                    calls: vec![failed_call()],
                    ..Trace::default()
                };
                return Err(missing_tool_in(&trace).expect("the call says so"));
            }
            Behaviour::Judge => {}
        }
        progress.started(options.cases.len());
        let mut runs = Vec::new();
        // A run that is stopped has judged the first case.
        let stopped = options.interruption.signal().is_some();
        let count = if stopped { 1 } else { options.cases.len() };
        for name in options.cases.iter().take(count) {
            let case = Case {
                name: name.clone(),
                about: String::new(),
                jobs: Vec::new(),
                order: JobOrder::Sequential,
                budget: driver_conformance_scenarios::model::Budget::Default,
                turns: Vec::new(),
                only_checks: Vec::new(),
                surroundings: Surroundings::default(),
                estimate: Duration::ZERO,
            };
            let result = CaseResult::Done(Box::default());
            let run = CaseRun::judge(case, &result, Duration::ZERO, self.checks(), options);
            run.announce(options, progress);
            runs.push(run);
        }
        let times = (SystemTime::UNIX_EPOCH, Duration::ZERO);
        Ok(assemble(
            driver,
            options,
            self.checks(),
            runs,
            times,
            Vec::new(),
        ))
    }
}

/// A call of prepare that misses a tool no machine has.
fn failed_call() -> CallRecord {
    let stderr = b"/x/prepare.sh: line 3: no-such-backend: command not found\n".to_vec();
    CallRecord {
        job: 0,
        program: Program::Prepare,
        stage: None,
        nth: 1,
        attempt: 1,
        argv: Vec::new(),
        environment: Vec::new(),
        temp_dir: PathBuf::new(),
        script: None,
        nonce: None,
        probe: None,
        started: Moment::START,
        start_failure: None,
        pid: None,
        leader_exit: Some((Moment::START, ExitStatus::Code(74))),
        stdout_closed: None,
        stderr_closed: None,
        ended: None,
        abandoned: None,
        signals: Vec::new(),
        stdout: Capture::default(),
        stderr: Capture {
            bytes_total: stderr.len() as u64,
            bytes: stderr,
        },
        markers: Vec::new(),
        exit_code_file_before: None,
        exit_code_file_after: None,
        temp_dir_lost: false,
        signalled_at_point: false,
        helpers: crate::trace::Helpers::default(),
    }
}

/// A stream whose content can be looked at.
#[derive(Clone, Default)]
struct Kept(Rc<RefCell<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Kept {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.borrow()).into_owned()
    }
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

/// Exit code, standard output, standard error.
fn run_with(behaviour: Behaviour, home: &TempDir, flags: &[&str]) -> (u8, String, String) {
    let driver = home.path().join("driver");
    let run_program = driver.join("run");
    fs::create_dir_all(&driver).expect("our own directory");
    fs::write(&run_program, "#!/bin/sh\n").expect("our own directory");
    fs::set_permissions(&run_program, fs::Permissions::from_mode(0o755)).expect("our own file");
    let mut words = vec![
        "driver-conformance".to_owned(),
        driver.display().to_string(),
    ];
    words.extend(flags.iter().map(|&flag| flag.to_owned()));
    let line = Line::try_parse_from(words).expect("the test gives valid flags");
    let (out, err) = (Kept::default(), Kept::default());
    let mut output = Output::captured(out.clone(), err.clone());
    let result = run(
        &line.arguments,
        &Scripted(behaviour),
        &Interruption::default(),
        &mut output,
    );
    let code = result.unwrap_or_else(|error| {
        output.error(&error);
        error.exit_code()
    });
    (code, out.text(), err.text())
}

fn home() -> TempDir {
    tempfile::tempdir().expect("a temporary directory can be made")
}

#[test]
fn a_finding_ends_with_one_and_the_verdict_last() {
    let (code, out, err) = run_with(
        Behaviour::Judge,
        &home(),
        &["--seed", "7", "--var", "A=b c"],
    );
    assert_eq!((code, err.as_str()), (ExitCode::NONCONFORMING, ""));
    assert!(out.contains("FAIL exit-code/wrong whole job"), "{out}");
    assert!(
        out.contains(" --var 'A=b c' --seed 7 --only a/bad\n"),
        "{out}"
    );
    assert!(
        out.trim_end()
            .ends_with("verdict  FAIL: 1 check to fix (exit code 1)"),
        "{out}"
    );
}

#[test]
fn selecting_the_good_case_is_a_pass() {
    let (code, out, _) = run_with(Behaviour::Judge, &home(), &["--only", "a/good"]);
    assert_eq!(code, ExitCode::CONFORMS);
    assert!(out.contains("cases    1: 1 passed"), "{out}");
}

#[test]
fn selecting_nothing_has_its_own_code() {
    let (code, _, err) = run_with(Behaviour::Judge, &home(), &["--skip", "a"]);
    assert_eq!(code, ExitCode::NOTHING_SELECTED);
    assert!(err.contains("loosen --only and --skip"), "{err}");
}

#[test]
fn settings_beside_the_driver_are_defaults() {
    let home = home();
    let settings = home.path().join("driver/driver-conformance.toml");
    fs::create_dir_all(home.path().join("driver")).expect("our own directory");
    fs::write(settings, "[selection]\nonly = [\"a/good\"]\nseed = 9\n").expect("our own directory");
    let (code, out, _) = run_with(Behaviour::Judge, &home, &[]);
    assert_eq!(code, ExitCode::CONFORMS);
    assert!(out.contains("seed 9"), "{out}");
    let (code, ..) = run_with(Behaviour::Judge, &home, &["--only", "a/bad"]);
    assert_eq!(code, ExitCode::NONCONFORMING, "flags win");
}

#[test]
fn a_missing_tool_is_one_clear_error() {
    let (code, out, err) = run_with(Behaviour::ToolMissing, &home(), &[]);
    assert_eq!((code, out.as_str()), (ExitCode::USAGE, ""));
    assert!(
        err.contains("prepare needs `no-such-backend`, which is not in PATH"),
        "{err}"
    );
    assert!(err.contains("install `no-such-backend`"), "{err}");
}

#[test]
fn an_interruption_ends_with_the_code_of_its_first_signal() {
    let home = home();
    let report = home.path().join("report.json");
    let flag = format!("json={}", report.display());
    let (code, _, err) = run_with(Behaviour::Interrupted, &home, &["--report", &flag]);
    assert_eq!(code, ExitCode::TERMINATED);
    assert!(err.contains("stopped by SIGTERM"), "{err}");
    let text = fs::read_to_string(report).expect("what was judged is not lost");
    let report: Report = serde_json::from_str(&text).expect("it is the schema");
    assert_eq!(report.exit_code, ExitCode::TERMINATED);
    let partial = report.partial.expect("it is marked");
    assert_eq!(
        (partial.reason.as_str(), partial.cases_missing),
        ("SIGTERM", 1)
    );
}

#[test]
fn a_shard_runs_its_part_and_says_so() {
    let home = home();
    let path = home.path().join("report.json");
    let flag = format!("json={}", path.display());
    let arguments = ["--report", &flag, "--shard", "2/2"];
    let (code, out, _) = run_with(Behaviour::Judge, &home, &arguments);
    assert_eq!(
        code,
        ExitCode::CONFORMS,
        "the bad one is in the other shard"
    );
    assert!(out.contains("shard 2 of 2 (slice)"), "{out}");
    let text = fs::read_to_string(&path).expect("it was written");
    let report: Report = serde_json::from_str(&text).expect("it is the schema");
    assert_eq!(report.cases.len(), 1);
    assert_eq!(report.cases[0].name, "a/good");
}

#[test]
fn a_shard_without_a_case_is_no_pass() {
    let (code, _, err) = run_with(Behaviour::Judge, &home(), &["--shard", "1/3"]);
    assert_eq!(code, ExitCode::NOTHING_SELECTED);
    assert!(
        err.contains("shard slice:1/3 has no case to run, of 2"),
        "{err}"
    );
}

#[test]
fn a_stream_has_a_line_for_each_case_and_its_end() {
    let home = home();
    let path = home.path().join("report.jsonl");
    let flag = format!("jsonl={}", path.display());
    let (code, ..) = run_with(Behaviour::Judge, &home, &["--report", &flag]);
    assert_eq!(code, ExitCode::NONCONFORMING);
    let text = fs::read_to_string(&path).expect("it was written");
    let events: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object"))
        .collect();
    let kinds: Vec<&str> = events
        .iter()
        .filter_map(|event| event["event"].as_str())
        .collect();
    assert_eq!(kinds, ["run", "case", "case", "check", "finding", "end"]);
}

#[test]
fn evidence_that_cannot_be_kept_ends_the_command_before_the_run() {
    let home = home();
    let file = home.path().join("file");
    fs::write(&file, "").expect("our own directory");
    let directory = file.join("below").display().to_string();
    let (code, _, err) = run_with(Behaviour::Judge, &home, &["--keep", &directory]);
    assert_eq!(code, ExitCode::HARNESS_ERROR);
    assert!(
        err.contains("evidence of failing cases cannot be kept in"),
        "{err}"
    );
    assert!(err.contains(&directory), "{err}");
}

#[test]
fn reports_are_written_and_replace_old_ones() {
    let home = home();
    let path = home.path().join("report.json");
    fs::write(&path, "old").expect("our own directory");
    let flag = format!("json={}", path.display());
    let (code, ..) = run_with(Behaviour::Judge, &home, &["--report", &flag]);
    assert_eq!(code, ExitCode::NONCONFORMING);
    let text = fs::read_to_string(&path).expect("it was written");
    let report: Report = serde_json::from_str(&text).expect("it is the schema");
    assert_eq!(report.findings.len(), 1);
}

#[test]
fn a_report_on_standard_output_is_alone_there() {
    let (_, out, err) = run_with(Behaviour::Judge, &home(), &["--report", "json=-"]);
    let report: Report = serde_json::from_str(&out).expect("nothing else is on standard output");
    assert_eq!(report.exit_code, ExitCode::NONCONFORMING);
    assert!(err.contains("verdict  FAIL"), "{err}");
}

#[test]
fn a_report_that_fails_late_does_not_hide_the_findings() {
    let (code, out, err) = run_with(Behaviour::Judge, &home(), &["--report", "json=/dev/full"]);
    assert_eq!(code, ExitCode::HARNESS_ERROR);
    assert!(
        err.contains("the report /dev/full cannot be written: No space left"),
        "{err}"
    );
    assert!(out.contains("verdict  FAIL"), "{out}");
}

/// A home whose driver has these waivers.
fn waived(waivers: &str) -> TempDir {
    let home = home();
    let driver = home.path().join("driver");
    fs::create_dir_all(&driver).expect("our own directory");
    fs::write(driver.join("driver-conformance.toml"), waivers).expect("our own directory");
    home
}

const FAR: &str = "[[waiver]]\nreason = \"The old pool\"\nexpires = 9999-12-31\n";

#[test]
fn a_waived_finding_is_reported_and_fails_nothing() {
    let home = waived(&format!(
        "{FAR}check = \"exit-code/*\"\nowner = \"fleet\"\n"
    ));
    let report = home.path().join("report.json");
    let flag = format!("json={}", report.display());
    let (code, out, err) = run_with(Behaviour::Judge, &home, &["--report", &flag]);
    assert_eq!(code, ExitCode::CONFORMS, "{out}{err}");
    assert!(out.contains("WAIVED exit-code/wrong"), "{out}");
    assert!(
        out.contains("The old pool; owner fleet; until 9999-12-31"),
        "{out}"
    );
    let text = fs::read_to_string(report).expect("it was written");
    let report: Report = serde_json::from_str(&text).expect("it is a report");
    assert_eq!((report.summary.waived, report.summary.failed), (1, 0));
    assert_eq!(report.checks[0].status.name(), "waived");
}

#[test]
fn a_waiver_for_another_message_or_case_changes_nothing() {
    for narrow in ["message = \"it was slow\"", "case = \"a/good\""] {
        let home = waived(&format!("{FAR}check = \"exit-code/wrong\"\n{narrow}\n"));
        let (code, out, _) = run_with(Behaviour::Judge, &home, &[]);
        assert_eq!(code, ExitCode::NONCONFORMING);
        assert!(out.contains("FAIL exit-code/wrong"), "{out}");
        assert!(out.contains("STALE WAIVER exit-code/wrong"), "{out}");
    }
}

#[test]
fn a_waiver_that_nothing_needs_fails_the_run() {
    let home = waived(&format!(
        "{FAR}check = \"exit-code/wrong\"\ncase = \"a/good\"\n"
    ));
    let (code, out, _) = run_with(Behaviour::Judge, &home, &["--only", "a/good"]);
    assert_eq!(code, ExitCode::NONCONFORMING);
    assert!(
        out.contains("The waiver in driver-conformance.toml:1 no longer applies"),
        "{out}"
    );
    assert!(
        out.contains("verdict  FAIL: 1 waiver to remove or renew"),
        "{out}"
    );
    // Where a part of what it is for is left out, nobody can tell.
    let home = waived(&format!("{FAR}check = \"exit-code/wrong\"\n"));
    let (code, out, _) = run_with(Behaviour::Judge, &home, &["--only", "a/good"]);
    assert_eq!(code, ExitCode::CONFORMS, "{out}");
}

#[test]
fn an_expired_waiver_fails_the_run() {
    let old = FAR.replace("9999", "2020");
    let home = waived(&format!("{old}check = \"exit-code/wrong\"\n"));
    let (code, out, _) = run_with(Behaviour::Judge, &home, &[]);
    assert_eq!(code, ExitCode::NONCONFORMING);
    assert!(out.contains("FAIL exit-code/wrong"), "{out}");
    assert!(
        out.contains("The waiver in driver-conformance.toml:1 has expired"),
        "{out}"
    );
}

#[test]
fn a_waiver_that_is_wrong_is_wrong_usage() {
    for (waiver, expected) in [
        (
            format!("{FAR}check = \"exit-code/wrnog\"\n"),
            "near names: exit-code/wrong",
        ),
        (
            format!("{FAR}case = \"a/bad\"\n"),
            "a [[waiver]] lacks `check`",
        ),
        (
            format!("{FAR}check = \"x\"\nresaon = \"x\"\n"),
            "did you mean `reason`?",
        ),
        (
            FAR.replace("9999-12-31", "\"9999-12-31\""),
            "`expires` in [waiver] must be a date without quotes",
        ),
    ] {
        let (code, _, err) = run_with(Behaviour::Judge, &waived(&waiver), &[]);
        assert_eq!(code, ExitCode::USAGE);
        assert!(err.contains(expected), "{err}");
    }
}

#[test]
fn suggested_waivers_let_the_same_run_pass() {
    let suggested = |home: &TempDir| {
        let path = home.path().join("report.json");
        let flag = format!("json={}", path.display());
        run_with(Behaviour::Judge, home, &["--report", &flag]);
        let text = fs::read_to_string(path).expect("it was written");
        let report: Report = serde_json::from_str(&text).expect("it is a report");
        let expires = utc_date(SystemTime::now());
        crate::cli::waivers::suggestion(&report, expires)
    };
    let text = suggested(&home());
    assert!(text.contains("check = \"exit-code/wrong\"\n"), "{text}");
    let home = waived(&text);
    let (code, out, err) = run_with(Behaviour::Judge, &home, &[]);
    assert_eq!(code, ExitCode::CONFORMS, "{out}{err}");
    assert!(suggested(&home).starts_with("# Nothing fails"));
}
