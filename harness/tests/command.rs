//! The whole command with real drivers: what a user types, sees and gets.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use driver_conformance::driver::tools::find_in_path;
use serde_json::Value;
use tempfile::TempDir;

use support::write_program;

/// Most memory of the harness while a driver prints without end, KiB.
const MEMORY_KIB_MAX: u64 = 64 * 1024;
/// Most bytes of a job log by default (`output_limit`), and the sentence that says it was cut.
const JOB_LOG_BYTES_MAX: usize = 4096 * 1024 + 4096;

/// The command in the directory with the scenarios, as a user without colours runs it.
fn command() -> std::process::Command {
    let mut command = support::harness(&scenarios());
    command.env("COLUMNS", "100");
    command
}

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory can be made")
}

/// With a home of its own, where drivers keep their boxes: the same job may run in several tests at the same time.
fn run(arguments: &[&str]) -> Output {
    let home = directory();
    command()
        .env("HOME", home.path())
        .env_remove("XDG_STATE_HOME")
        .args(arguments)
        .output()
        .expect("the binary can be started")
}

fn expect_code(output: &Output, code: i32) {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stdout}{stderr}");
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The lines of a job log without their time stamps, and without the moments of the sections.
fn without_times(log: &str) -> String {
    let mut text = String::new();
    for line in log.lines() {
        let (stamp, line) = line.split_at(line.len().min(28));
        assert!(stamp.ends_with("Z "), "no time stamp: {stamp}{line}");
        let line = match line.split_once("section_") {
            Some((before, section)) => {
                let mut parts: Vec<&str> = section.split(':').collect();
                parts[1] = "TIME";
                format!("{before}section_{}", parts.join(":"))
            }
            None => line.to_owned(),
        };
        text.push_str(&line.escape_debug().to_string());
        text.push('\n');
    }
    text
}

#[test]
fn help_tells_everything() {
    let output = run(&["--help"]);
    expect_code(&output, 0);
    insta::assert_snapshot!("help", stdout(&output));
    for subcommand in [
        "list",
        "show",
        "emulate",
        "job",
        "diagnose",
        "explain",
        "table",
        "checklist",
        "lint",
        "init",
    ] {
        let output = run(&[subcommand, "--help"]);
        expect_code(&output, 0);
        insta::assert_snapshot!(format!("help-{subcommand}"), stdout(&output));
    }
}

#[test]
fn list_names_cases_and_checks() {
    let output = run(&["list", "--only", "cleanup", "--only", "signal"]);
    expect_code(&output, 0);
    insta::assert_snapshot!("list", stdout(&output));
    let output = run(&["list", "--json"]);
    expect_code(&output, 0);
    let list: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(
        list["cases"]
            .as_array()
            .is_some_and(|cases| cases.len() > 60)
    );
}

#[test]
fn show_tells_the_reasons() {
    let output = run(&["show", "exit-code/literal-exit-codes"]);
    expect_code(&output, 0);
    insta::assert_snapshot!("show", stdout(&output));
}

#[test]
fn a_job_log_is_printed_as_the_runner_writes_it() {
    let output = run(&["job", "jobs/hello.json", "--driver", "drivers/good-bash"]);
    expect_code(&output, 0);
    insta::assert_snapshot!("job-log", without_times(&stdout(&output)));
    assert_eq!(stderr(&output), "");
}

#[test]
fn a_job_that_fails_ends_with_exit_code_1() {
    let home = directory();
    let payload = fs::read_to_string(scenarios().join("jobs/hello.json")).expect("readable");
    let payload = payload.replace("echo \\\"The password is $PASSWORD\\\"", "exit 42");
    let file = home.path().join("job.json");
    fs::write(&file, payload).expect("written");
    let file = file.to_str().expect("UTF-8");
    let output = run(&["job", file, "--driver", "drivers/good-bash"]);
    expect_code(&output, 1);
    assert!(stdout(&output).contains("ERROR: Job failed: exit status 42"));
}

#[test]
fn the_job_log_of_a_chatty_job_is_cut_as_the_runner_cuts_it() {
    let home = directory();
    let payload = fs::read_to_string(scenarios().join("jobs/hello.json")).expect("readable");
    let payload = payload.replace(
        "echo \\\"The password is $PASSWORD\\\"",
        "yes | head -c 400000 || true",
    );
    let file = home.path().join("job.json");
    fs::write(&file, payload).expect("written");
    let file = file.to_str().expect("UTF-8");
    let output = run(&["job", file, "--driver", "drivers/good-minimal"]);
    expect_code(&output, 0);
    assert!(
        output.stdout.len() < JOB_LOG_BYTES_MAX,
        "{}",
        output.stdout.len()
    );
    assert!(stdout(&output).contains("Job's log exceeded limit of 4194304 bytes."));
}

#[test]
fn payloads_that_are_no_jobs() {
    let home = directory();
    let file = home.path().join("job.json");
    for (text, reason) in [
        ("[]", "it is not a JSON object"),
        ("{}", "it has no `id`, so it is no job"),
        ("{\"id\": 1}", "it has no `steps`, so it is no job"),
        (
            "{\"id\": \"one\", \"steps\": []}",
            "invalid type: string \"one\"",
        ),
        ("{\"id\": 1, \"steps\": 3}", "invalid type: integer `3`"),
    ] {
        fs::write(&file, text).expect("written");
        let path = file.to_str().expect("UTF-8");
        let output = run(&["job", path, "--driver", "drivers/good-bash"]);
        expect_code(&output, 2);
        let message = stderr(&output);
        assert!(
            message.contains(&format!("job.json cannot be used: {reason}")),
            "{message}"
        );
        assert!(
            message.contains("help: give the JSON object that GitLab answers"),
            "{message}"
        );
    }
}

#[test]
fn traces_that_are_not_understood() {
    let home = directory();
    let file = home.path().join("trace.json");
    for (text, reason) in [
        ("127.0.0.1 localhost", "not JSON"),
        ("{\"a\": 1}", "no `inputs`: this is not a golden trace"),
        ("{\"inputs\": 5}", "trace.json"),
    ] {
        fs::write(&file, text).expect("written");
        let path = file.to_str().expect("UTF-8");
        let output = run(&["emulate", "--golden", path, "--check"]);
        expect_code(&output, 2);
        let message = stderr(&output);
        assert!(
            message.contains("this golden trace is not understood"),
            "{message}"
        );
        assert!(message.contains(reason), "{message}");
    }
    let output = run(&["emulate", "--golden", "gone.json", "--check"]);
    expect_code(&output, 2);
}

#[test]
fn a_trace_that_differs_is_told_line_by_line() {
    let home = directory();
    let golden = scenarios().join("traces/19.4/ok_minimal.json");
    let text = fs::read_to_string(golden).expect("readable");
    let mut trace: Value = serde_json::from_str(&text).expect("JSON");
    trace["outcome"]["state"] = "failed".into();
    trace["calls"][4]["argv"][1] = "other".into();
    trace["sequence"][3] = "restore_cache".into();
    let file = home.path().join("trace.json");
    fs::write(&file, trace.to_string()).expect("written");
    let path = file.to_str().expect("UTF-8");
    let output = run(&["emulate", "--golden", path, "--check"]);
    expect_code(&output, 1);
    insta::assert_snapshot!("emulate-different", stdout(&output));
}

#[test]
fn a_trace_without_a_recording_has_nothing_to_compare_with() {
    let home = directory();
    let golden = scenarios().join("traces/19.4/ok_minimal.json");
    let text = fs::read_to_string(golden).expect("readable");
    let trace: Value = serde_json::from_str(&text).expect("JSON");
    let inputs = serde_json::json!({ "scenario": "inputs only", "inputs": trace["inputs"] });
    let file = home.path().join("trace.json");
    fs::write(&file, inputs.to_string()).expect("written");
    let path = file.to_str().expect("UTF-8");
    let output = run(&["emulate", "--golden", path, "--check"]);
    expect_code(&output, 2);
    assert!(stderr(&output).contains("holds inputs only"));
    let output = run(&["emulate", "--golden", path]);
    expect_code(&output, 0);
    let emulated: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(emulated["outcome"]["state"], "success");
}

/// The four bash files of the documentation's examples: each calls a command-line tool.
#[test]
fn a_tool_that_is_not_here_is_named_with_its_call() {
    let home = directory();
    let bash = find_in_path("bash").expect("the drivers of this repository need it, too");
    // A PATH with nothing but bash: on this machine the tool may be there.
    let programs = home.path().join("programs");
    fs::create_dir(&programs).expect("made");
    std::os::unix::fs::symlink(bash, programs.join("bash")).expect("linked");
    let driver = home.path().join("driver");
    fs::create_dir(&driver).expect("made");
    let head = "#!/usr/bin/env bash\nset -eo pipefail\n\
                trap 'exit \"$SYSTEM_FAILURE_EXIT_CODE\"' ERR\nbox=\"job-$CUSTOM_ENV_CI_JOB_ID\"\n";
    for (name, text) in [
        (
            "config",
            "echo '{\"builds_dir\": \"/builds\", \"cache_dir\": \"/cache\"}'",
        ),
        ("prepare", "lxc launch ubuntu:24.04 \"$box\""),
        ("run", "lxc exec \"$box\" -- /bin/bash < \"$1\""),
        ("cleanup", "lxc delete -f \"$box\""),
    ] {
        write_program(&driver.join(name), &format!("{head}{text}\n"));
    }
    let output = command()
        .arg(&driver)
        .env("PATH", &programs)
        .output()
        .expect("the binary can be started");
    expect_code(&output, 2);
    let message = stderr(&output);
    for text in [
        "error: prepare needs `lxc`, which is not in PATH",
        "help: install `lxc` on this machine",
    ] {
        assert!(message.contains(text), "{message}");
    }
    assert!(!message.contains("panicked"), "{message}");
    // The same driver where only the script's call needs it.
    write_program(&driver.join("prepare"), &format!("{head}true\n"));
    let output = command()
        .arg(&driver)
        .env("PATH", &programs)
        .output()
        .expect("the binary can be started");
    expect_code(&output, 2);
    let message = stderr(&output);
    assert!(
        message.contains("error: run prepare_script needs `lxc`"),
        "{message}"
    );
}

#[test]
fn a_full_disk_costs_one_report_and_not_the_verdict() {
    let home = directory();
    let kept = home.path().join("report.json");
    let output = run(&[
        "drivers/good-bash",
        "--only",
        "job/failing-script",
        "--report",
        "text=/dev/full",
        "--report",
        &format!("json={}", kept.display()),
    ]);
    expect_code(&output, 3);
    let message = stderr(&output);
    assert!(
        message.contains("the report /dev/full cannot be written: No space left on device"),
        "{message}"
    );
    assert!(stdout(&output).contains("verdict"), "{}", stdout(&output));
    let report: Value =
        serde_json::from_str(&fs::read_to_string(kept).expect("written")).expect("JSON");
    assert_eq!(report["verdict"], "pass");
}

#[test]
fn standard_output_that_is_full_or_gone_is_no_panic() {
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("Linux has it");
    let output = command()
        .arg("list")
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .expect("the binary can be started");
    assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
    let mut child = command()
        .arg("list")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary can be started");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("our child");
    assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
}

#[test]
fn a_driver_that_prints_without_end_does_not_grow_the_harness() {
    let home = directory();
    let driver = home.path().join("driver");
    fs::create_dir(&driver).expect("made");
    write_program(
        &driver.join("run"),
        "#!/bin/sh\n[ \"$2\" != build_script ] || yes chatter | head -c 100000000\nexec \"$1\"\n",
    );
    let mut child = command()
        .arg(&driver)
        .args(["--only", "job/every-stage"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary can be started");
    let mut peak = 0;
    while child.try_wait().expect("our child").is_none() {
        peak = peak_memory_kib(child.id()).unwrap_or(peak);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(peak > 0, "it ran long enough to be looked at");
    assert!(peak <= MEMORY_KIB_MAX, "{peak} KiB");
}

/// The most memory a process ever had, KiB; `None` when it is gone.
fn peak_memory_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
