//! Reports of real runs: written, kept, joined, compared, and not written.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use driver_conformance_reports::FORMATS;
use driver_conformance_reports::model::{Report, Status};
use driver_conformance_scenarios::zoo;
use tempfile::TempDir;

/// A value that looks like nothing else.
const SECRET: &str = "correct-horse-battery-staple";

/// A directory with the driver `broken` in it, that exits with 1 and 2 whatever the environment says.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().expect("a temporary directory can be made"));
        let animal = zoo::by_name("literal-exit-codes").expect("it is there");
        animal.write(&home.path("broken")).expect("written");
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str], expected: i32) -> Output {
        self.run_with(arguments, &[], expected)
    }

    fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)], expected: i32) -> Output {
        let output = support::harness(self.0.path())
            .args(arguments)
            .envs(variables.iter().copied())
            .output()
            .expect("the binary can be started");
        assert_eq!(
            output.status.code(),
            Some(expected),
            "{arguments:?}\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        output
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("it was written")
    }

    fn report(&self, name: &str) -> Report {
        serde_json::from_str(&self.text(name)).expect("it is the schema")
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Every file below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn a_stored_report_becomes_any_format_again() {
    let home = Home::new();
    let flags: Vec<String> = FORMATS
        .iter()
        .map(|format| format!("--report={0}=direct.{0}", format.name))
        .collect();
    let mut arguments = vec!["broken", "--only", "exit-code/build-script/code:3"];
    arguments.extend(flags.iter().map(String::as_str));
    home.run(&arguments, 1);
    let flags: Vec<String> = FORMATS
        .iter()
        .map(|format| format!("--report={0}=again.{0}", format.name))
        .collect();
    let mut arguments = vec!["report", "direct.json"];
    arguments.extend(flags.iter().map(String::as_str));
    let shown = stdout(&home.run(&arguments, 0));
    assert!(
        shown.contains("FAIL exit-code/literal-exit-codes"),
        "{shown}"
    );
    for format in FORMATS {
        let name = format.name;
        let (direct, again) = (
            home.text(&format!("direct.{name}")),
            home.text(&format!("again.{name}")),
        );
        assert_eq!(direct, again, "{name}");
        assert!(name == "text" || !direct.is_empty(), "{name}");
    }
    let report = home.report("direct.json");
    let location = report.findings[0]
        .location
        .as_ref()
        .expect("the program is known");
    assert_eq!(
        location.file, "broken/box",
        "relative, as a repository has it"
    );
    assert!(!report.timelines.is_empty() && !report.durations.is_empty());
}

#[test]
fn shards_are_joined_and_compared() {
    let home = Home::new();
    let only = "exit-code/build-script";
    home.run(
        &["broken", "--only", only, "--report", "json=whole.json"],
        1,
    );
    let mut flags = Vec::new();
    for shard in ["1/2", "2/2"] {
        let flag = format!("json=part-{}.json", &shard[..1]);
        let arguments = [
            "broken", "--only", only, "--report", &flag, "--shard", shard,
        ];
        home.run(&arguments, 1);
        flags.push(flag);
    }
    home.run(
        &[
            "report",
            "merge",
            "part-2.json",
            "part-1.json",
            "--report",
            "json=merged.json",
        ],
        1,
    );
    let (whole, merged) = (home.report("whole.json"), home.report("merged.json"));
    let names = |report: &Report| -> Vec<String> {
        report.cases.iter().map(|case| case.name.clone()).collect()
    };
    assert_eq!(names(&whole), names(&merged));
    let found = |report: &Report| -> Vec<(String, Vec<String>)> {
        let findings = report.findings.iter();
        findings
            .map(|finding| (finding.fingerprint.clone(), finding.cases.clone()))
            .collect()
    };
    assert_eq!(found(&whole), found(&merged));
    assert_eq!(
        whole.transitions_missing.len(),
        merged.transitions_missing.len()
    );

    let refused = stderr(&home.run(&["report", "merge", "part-1.json"], 2));
    assert!(
        refused.contains("of 2 shards, these are missing: 2"),
        "{refused}"
    );

    let same = stdout(&home.run(&["report", "diff", "whole.json", "merged.json"], 0));
    assert!(same.contains("0 findings new, 0 gone"), "{same}");
    let worse = stdout(&home.run(
        &[
            "report",
            "diff",
            "part-1.json",
            "merged.json",
            "--format",
            "json",
        ],
        0,
    ));
    assert!(
        worse.contains("driver-conformance/difference/v1"),
        "the same defect: {worse}"
    );
}

#[test]
fn only_a_new_finding_fails_a_difference() {
    let home = Home::new();
    let case = "exit-code/build-script/code:3";
    home.run(&["broken", "--only", case, "--report", "json=old.json"], 1);
    // A second defect: it also fails after a script that succeeds.
    let run = fs::read_to_string(home.path("broken/box")).expect("readable");
    let worse = run.replace("exit 2", "kill -9 $$");
    assert_ne!(run, worse);
    fs::write(home.path("broken/box"), worse).expect("our own file");
    home.run(&["broken", "--only", case, "--report", "json=new.json"], 1);
    let same = stdout(&home.run(&["report", "diff", "old.json", "new.json"], 0));
    assert!(same.contains("0 findings new"), "{same}");
    let mut new = home.report("new.json");
    let mut finding = new.findings[0].clone();
    "another".clone_into(&mut finding.fingerprint);
    finding.status = Status::Fail;
    new.findings.push(finding);
    let text = serde_json::to_string(&new).expect("the model is JSON");
    fs::write(home.path("worse.json"), text).expect("our own directory");
    let shown = stdout(&home.run(&["report", "diff", "old.json", "worse.json"], 1));
    assert!(
        shown.contains("WORSE exit-code/literal-exit-codes"),
        "{shown}"
    );
    let back = stdout(&home.run(&["report", "diff", "worse.json", "old.json"], 0));
    assert!(
        back.contains("better exit-code/literal-exit-codes"),
        "{back}"
    );
}

#[test]
fn evidence_of_failing_cases_is_kept_without_secrets() {
    let home = Home::new();
    let password = format!("MY_PASSWORD={SECRET}");
    let arguments = [
        "broken",
        "--var",
        &password,
        "--only",
        "exit-code/build-script/code:3",
        "--only",
        "job/every-stage",
        "--keep",
        "evidence",
        "--report",
        "json=report.json",
    ];
    home.run(&arguments, 1);
    let case = home.path("evidence/exit-code/build-script/code=3");
    for name in ["case.json", "trace.jsonl", "job-1.log"] {
        assert!(case.join(name).is_file(), "{name}");
    }
    let kept = files(&home.path("evidence"));
    let script = |path: &&PathBuf| {
        path.ends_with("script") && path.display().to_string().contains("build_script")
    };
    assert!(kept.iter().any(|path| script(&path)), "{kept:#?}");
    for path in &kept {
        let text = fs::read(path).expect("readable");
        let found = text
            .windows(SECRET.len())
            .any(|part| part == SECRET.as_bytes());
        assert!(!found, "{} holds the secret", path.display());
    }
    let environment = kept
        .iter()
        .find(|path| path.ends_with("environment"))
        .expect("kept");
    let environment = fs::read_to_string(environment).expect("readable");
    assert!(
        environment.contains("CUSTOM_ENV_MY_PASSWORD=[MASKED]"),
        "{environment}"
    );
    assert!(
        !home.path("evidence/job/every-stage").exists(),
        "it did not fail"
    );
    assert_eq!(
        home.report("report.json").evidence.as_deref(),
        Some("evidence")
    );
}

#[test]
fn in_ci_evidence_is_kept_without_being_asked() {
    let home = Home::new();
    let arguments = ["broken", "--only", "exit-code/build-script/code:3"];
    home.run_with(&arguments, &[("CI", "true")], 1);
    assert!(!files(&home.path("driver-conformance-evidence")).is_empty());
    // A driver that conforms leaves nothing.
    let clean = Home::new();
    zoo::by_name("good-bash")
        .expect("it is there")
        .write(&clean.path("good"))
        .expect("written");
    clean.run_with(
        &["good", "--only", "job/failing-script"],
        &[("CI", "true")],
        0,
    );
    assert!(!clean.path("driver-conformance-evidence").exists());
}

#[test]
fn a_report_that_cannot_be_written_is_named_in_every_format() {
    let home = Home::new();
    home.run(
        &[
            "broken",
            "--only",
            "exit-code/build-script/code:3",
            "--report",
            "json=report.json",
        ],
        1,
    );
    for format in FORMATS {
        for (path, reason) in [
            ("/dev/full", "No space left on device"),
            ("no/such/directory/file", "No such file or directory"),
        ] {
            let flag = format!("{}={path}", format.name);
            let message = stderr(&home.run(&["report", "report.json", "--report", &flag], 3));
            let expected = format!("the report {path} cannot be written: {reason}");
            assert!(message.contains(&expected), "{}: {message}", format.name);
        }
    }
}

#[test]
fn a_stream_that_cannot_be_written_on_makes_the_run_red() {
    let home = Home::new();
    let arguments = [
        "broken",
        "--only",
        "exit-code/build-script/code:3",
        "--report",
        "jsonl=/dev/full",
    ];
    let message = stderr(&home.run(&arguments, 3));
    assert!(
        message.contains("the report /dev/full cannot be written"),
        "{message}"
    );
}

#[test]
fn what_is_no_report_is_refused() {
    let home = Home::new();
    for (content, reason) in [
        ("{", "is not JSON"),
        ("{}", "is no report: its schema is"),
        (
            "{\"schema\": \"driver-conformance/report/v1\"}",
            "is no whole report: missing field",
        ),
    ] {
        fs::write(home.path("file.json"), content).expect("our own directory");
        let message = stderr(&home.run(&["report", "file.json"], 2));
        assert!(message.contains(reason), "{message}");
    }
    let message = stderr(&home.run(&["report", "absent.json"], 2));
    assert!(message.contains("absent.json cannot be read"), "{message}");
}
