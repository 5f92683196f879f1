//! The commands that give advice, as a user calls them: pages, table, checklist, lint, advise.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use driver_conformance_reports::model::Category;
use driver_conformance_scenarios::page;
use driver_conformance_scenarios::symptom;
use serde_json::{Value, json};
use tempfile::TempDir;

fn run_in(directory: &Path, arguments: &[&str]) -> Output {
    support::harness(directory)
        .args(arguments)
        .output()
        .expect("the binary can be started")
}

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

/// What it prints, where it must succeed.
fn printed(arguments: &[&str]) -> String {
    let output = run_in(&scenarios(), arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{arguments:?}: {text}{errors}"
    );
    text
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory can be made")
}

#[test]
fn every_page_can_be_reached_from_the_list() {
    let list = printed(&["explain", "--list"]);
    let categories = Category::ALL.iter().map(|category| category.name());
    for name in page::all().iter().map(|page| page.name).chain(categories) {
        assert!(list.contains(name), "{name} is not in the list");
        let text = printed(&["explain", name]);
        assert!(
            !text.contains("{prepare") && text.lines().count() > 4,
            "{text}"
        );
    }
    for alias in [
        "build_script",
        "step_release",
        "timeouts",
        "json",
        "cleanup/idempotent",
        "G8",
    ] {
        printed(&["explain", alias]);
    }
    let document: Value =
        serde_json::from_str(&printed(&["explain", "prepare", "--format", "json"]))
            .expect("it is JSON");
    assert_eq!(document["schema"], "driver-conformance/page/v1");
    let unknown = run_in(&scenarios(), &["explain", "lifecicle"]);
    assert_eq!(unknown.status.code(), Some(2));
}

#[test]
fn pages_look_like_this() {
    for name in ["lifecycle", "exit-codes", "prepare", "leak-file"] {
        insta::assert_snapshot!(format!("explain-{name}"), printed(&["explain", name]));
    }
    insta::assert_snapshot!(
        "explain-md",
        printed(&["explain", "signals", "--format", "md"])
    );
}

#[test]
fn a_sequence_has_the_calls_of_the_job() {
    let text = printed(&[
        "explain",
        "--sequence",
        "jobs/hello.json",
        "--fails",
        "get_sources",
    ]);
    insta::assert_snapshot!("explain-sequence", text);
    let output = run_in(
        &scenarios(),
        &[
            "explain",
            "--sequence",
            "jobs/hello.json",
            "--fails",
            "lint",
        ],
    );
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(
        errors.contains("no stage `lint`") && errors.contains("build_script"),
        "{errors}"
    );
}

/// A report in which one check failed and another passed.
fn report() -> Value {
    json!({
        "schema": "driver-conformance/report/v1", "verdict": "fail", "exit_code": 1,
        "tool": {"version": "0"}, "driver": {"path": "x", "kind": "directory", "digest": ""},
        "profile": "19.4", "engine": "mock", "seed": 1, "started": "2026-11-25T00:00:00Z", "duration_ms": 1,
        "summary": {"cases": 2, "passed": 1, "failed": 1, "waived": 0, "skipped": 0, "inconclusive": 0, "errors": 0,
            "calls": 4, "transitions_covered": 0, "transitions_total": 0},
        "checks": [
            {"id": "cleanup/idempotent", "clause": ["F6"], "category": "cleanup", "level": "must", "status": "fail", "cases": 1},
            {"id": "cleanup/without-job-env", "clause": ["C11"], "category": "cleanup", "level": "must", "status": "pass", "cases": 1},
        ],
        "findings": [{"check": "cleanup/idempotent", "clause": ["F6"], "category": "cleanup", "level": "must",
            "call": "cleanup", "case": "cleanup/twice", "cases": ["cleanup/twice"], "status": "fail",
            "message": "the second cleanup fails", "expected": ["exit status 0"], "actual": "exit status 1", "fix": "Mend it.",
            "evidence": [1, 2], "fingerprint": "f", "reproduce": "driver-conformance x"}],
        "cases": [
            {"name": "cleanup/twice", "status": "fail", "duration_ms": 1, "calls": 2},
            {"name": "cleanup/without-job-env", "status": "pass", "duration_ms": 1, "calls": 2},
        ],
        "leaks": [],
        "durations": [{"call": "prepare", "count": 3, "p50_ms": 900, "max_ms": 21_000}],
        "faulty_durations": [{"call": "prepare", "count": 2, "p50_ms": 900, "max_ms": 32_000}],
        "ending_durations": [{"call": "run", "stage": "build_script", "count": 2, "p50_ms": 900, "max_ms": 9_000}],
        "advice": {"checklist": [], "config_toml": "[[runners]]\n[runners.custom]\nrun_exec = \"/opt/x/driver\"\nrun_args = [\"run\"]\n"},
    })
}

/// Whoever meets a problem in a log, in a table, on a page or in a report meets the same words.
#[test]
fn texts_of_a_symptom_have_one_source() {
    let symptom = symptom::of_cause("cleanup-failed").expect("there is such a symptom");
    let home = directory();
    let log = home.path().join("job.log");
    let text = "Preparing the \"custom\" executor\nUsing Custom executor...\nWARNING: Cleanup script failed: exit status 2\nJob succeeded\n";
    fs::write(&log, text).expect("it can be written");
    let document = |arguments: &[&str]| -> Value {
        serde_json::from_str(&printed(arguments)).expect("it is JSON")
    };
    let diagnosis = document(&["diagnose", &log.to_string_lossy(), "--format", "json"]);
    let problem = &diagnosis["problems"][0];
    assert_eq!(problem["cause"], symptom.cause);
    assert_eq!(problem["title"], symptom.title.as_str());
    assert_eq!(problem["observe"], symptom.observe.as_str());
    assert_eq!(problem["fix"], symptom.fix.as_str());
    let table = document(&["table", "--format", "json"]).to_string();
    let page = document(&["explain", "cleanup", "--format", "json"]).to_string();
    for (place, shown, words) in [
        (
            "table",
            &table,
            vec![&symptom.symptom, &symptom.observe, &symptom.fix],
        ),
        ("page", &page, vec![&symptom.title, &symptom.fix]),
    ] {
        for text in words {
            let quoted = serde_json::to_string(text).expect("a text");
            assert!(shown.contains(quoted.trim_matches('"')), "{place}: {text}");
        }
    }
    let driver = home.path().join("broken-driver");
    let driver = driver.to_string_lossy();
    printed(&["self-test", "--write", "cleanup-fails-second-time", &driver]);
    let report = home.path().join("report.json");
    let target = format!("json={}", report.display());
    let output = run_in(
        home.path(),
        &[&driver, "--only", "cleanup/idempotent", "--report", &target],
    );
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report = fs::read_to_string(&report).expect("there is a report");
    let quoted = serde_json::to_string(&symptom.symptom).expect("a text");
    assert!(report.contains(&quoted), "{report}");
    let html = format!("html={}", home.path().join("report.html").display());
    run_in(home.path(), &["report", "report.json", "--report", &html]);
    let html = fs::read_to_string(home.path().join("report.html")).expect("there is a page");
    assert!(html.contains(symptom.cause), "no symptom in the page");
}

#[test]
fn a_report_ticks_the_checklist_and_marks_the_table() {
    let home = directory();
    let path = home.path().join("report.json");
    fs::write(&path, report().to_string()).expect("it can be written");
    let path = path.to_string_lossy().into_owned();
    let checklist = printed(&["checklist", "--report", &path]);
    assert!(
        checklist.contains("[!] cleanup twice") && checklist.contains("failed in cleanup/twice"),
        "{checklist}"
    );
    assert!(
        checklist.contains("[x] cleanup works without job_env"),
        "{checklist}"
    );
    assert!(checklist.contains("[ ] no mount is left"), "{checklist}");
    let table: Value =
        serde_json::from_str(&printed(&["table", "--report", &path, "--format", "json"]))
            .expect("it is JSON");
    let marked = table["blocks"].as_array().into_iter().flatten();
    let marked = marked
        .filter_map(|block| block["marked"].as_array())
        .flatten();
    assert!(marked.clone().any(|mark| mark == true) && marked.clone().any(|mark| mark == false));
    let html = printed(&["table", "--report", &path, "--format", "html"]);
    assert!(html.starts_with("<!doctype html>") && html.contains("class=\"applies\""));
    let diagnosis = printed(&["diagnose", &path, "--format", "json"]);
    assert!(
        diagnosis.contains("\"cause\": \"cleanup-idempotent\""),
        "{diagnosis}"
    );
    let block = printed(&["advise", "config", "--report", &path]);
    assert!(
        block.contains("prepare_exec_timeout = 130")
            && block.contains("every measured call fits")
            && block.contains("run_exec = \"/opt/x/driver\""),
        "{block}"
    );
    // A second report, as that of `faults`, adds its measurements.
    let mut slower = report();
    slower["faulty_durations"][0]["max_ms"] = json!(40_000);
    let second = home.path().join("faults.json");
    fs::write(&second, slower.to_string()).expect("it can be written");
    let second = second.to_string_lossy().into_owned();
    let block = printed(&["advise", "config", "--report", &path, "--report", &second]);
    assert!(
        block.contains("prepare_exec_timeout = 160")
            && block.contains("6 that went well, 4 that failed"),
        "{block}"
    );
}

#[test]
fn lint_looks_mends_and_reports() {
    let home = directory();
    let bad = "[[runners]]\n  executor = \"custom\"\n  shell = \"/bin/bash\"\n  builds_dir = \"/b\"\n  cache_dir = \"/c\"\n  [runners.custom]\n    run_exec = \"/bin/sh\"\n    run_exec_args = [\"x\"]\n";
    fs::write(home.path().join("config.toml"), bad).expect("it can be written");
    let output = run_in(
        home.path(),
        &["lint", "config.toml", "--report", "json=lint.json"],
    );
    assert_eq!(output.status.code(), Some(1));
    let report = fs::read_to_string(home.path().join("lint.json")).expect("there is a report");
    assert!(report.contains("lint/unknown-shell"), "{report}");
    let output = run_in(home.path(), &["lint", "config.toml", "--fix"]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let mended = fs::read_to_string(home.path().join("config.toml")).expect("it is there");
    assert!(
        mended.contains("shell = \"bash\"") && mended.contains("run_args = [\"x\"]"),
        "{mended}"
    );
    assert!(printed(&["lint", "drivers"]).ends_with("0 errors, 0 warnings, 0 hints\n"));
}

#[test]
fn lint_says_what_it_could_not_look_at() {
    let home = directory();
    let write = |name: &str, text: &str| {
        fs::write(home.path().join(name), text).expect("it can be written");
    };
    write("docker.toml", "[[runners]]\nexecutor = \"docker\"\n");
    let mut lint = support::harness(home.path());
    let piped = fs::File::open(home.path().join("docker.toml")).expect("it is there");
    let output = lint.args(["lint", "-"]).stdin(piped).output();
    let text = String::from_utf8(output.expect("it starts").stdout).expect("UTF-8");
    assert!(text.contains("standard input: no runner"), "{text}");
    write("run.py", "#!/usr/bin/env python3\nimport sys\n");
    let output = run_in(home.path(), &["lint", "docker.toml"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("nothing to look at"), "{text}");
    let output = run_in(home.path(), &["lint", "run.py"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("a script for python3"), "{errors}");
}

#[test]
fn explain_leads_from_codes_and_variables_to_their_pages() {
    for (name, page) in [
        ("143", "exit-codes"),
        ("SIGHUP", "signals"),
        ("TMPDIR", "environment"),
    ] {
        let output = run_in(&scenarios(), &["explain", name]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(&format!("near names: {page}")), "{errors}");
    }
    let output = run_in(&scenarios(), &["explain", "graceful_kill_timeout"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("these pages speak of it"), "{errors}");
    let page = printed(&["explain", "raw-exit-code"]);
    assert!(page.contains("exit-code/no-raw-codes"), "{page}");
}
