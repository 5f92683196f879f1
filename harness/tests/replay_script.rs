//! What `replay --script` writes needs no harness: it shows what a broken driver does, and that a good one does it not.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use driver_conformance_scenarios::zoo;

fn good_driver() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/drivers/good-bash")
}

fn replay(arguments: &[&str]) -> Output {
    let home = tempfile::tempdir().expect("a directory");
    support::harness(home.path())
        .arg("replay")
        .args(arguments)
        .output()
        .expect("the binary can be started")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Runs the script on a driver, and returns its exit code and what it prints.
fn run(script: &Path, driver: &Path) -> (Option<i32>, String) {
    let output = Command::new("bash")
        .arg(script)
        .arg(driver)
        .stdin(Stdio::null())
        .output()
        .expect("bash can be started");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), shown + &errors)
}

/// Writes the script of a case on an animal, and expects it to show this line, and another end on a good driver.
fn expect_shown(animal: &str, case: &str, line: &str) {
    let home = tempfile::tempdir().expect("a directory");
    let animal = zoo::by_name(animal).expect("it is there");
    let driver = animal.write(home.path()).expect("written");
    let script = home.path().join("case.bash");
    let replayed = replay(&[case, "--driver", text(&driver), "--script", text(&script)]);
    let shown = String::from_utf8_lossy(&replayed.stdout);
    assert_eq!(replayed.status.code(), Some(1), "{shown}");
    assert!(shown.contains("FAILED"), "{shown}");
    let (code, shown) = run(&script, &driver);
    assert!(code == Some(0) && shown.contains(line), "{code:?} {shown}");
    let (code, shown) = run(&script, &good_driver());
    assert!(code == Some(1) && !shown.contains(line), "{code:?} {shown}");
}

#[test]
fn a_wrong_exit_code_is_shown() {
    let line = "call 5 ends with 1, as recorded";
    expect_shown("literal-exit-codes", "exit-code/build-script/code:2", line);
}

#[test]
fn a_cancelled_job_is_shown() {
    let case = "signal/build-script/action:cancel/script:heed-term";
    expect_shown("term-ignored", case, "call 5 ends with 137, as recorded");
}

/// A sequence as the fuzzer keeps it.
const REGRESSIONS: &str = r#"
[[regression]]
name = "fuzz/three"
checks = ["cleanup/idempotent"]
seed = 1
scenario = '''
about = "Cleans up three times."
calls = ["config", "prepare", "cleanup", "cleanup", "cleanup"]

[job]
'''
"#;

#[test]
fn a_sequence_of_the_fuzzer_is_shown() {
    let home = tempfile::tempdir().expect("a directory");
    let driver = home.path().join("driver");
    let copied = Command::new("cp")
        .arg("-r")
        .args([&good_driver(), &driver])
        .status()
        .expect("cp runs");
    assert!(copied.success());
    let program = fs::read_to_string(driver.join("box")).expect("the good driver");
    let broken = program.replace(
        "box_cleanup() {\n",
        "box_cleanup() {\n    mkdir -p \"$store\"\n    echo 1 >>\"$store/$name.cleanups\"\n    \
         [ \"$(wc -l <\"$store/$name.cleanups\")\" -le 2 ] || die_system \"nothing is left\"\n",
    );
    assert_ne!(program, broken);
    fs::write(driver.join("box"), broken).expect("written");
    let file = driver.join("driver-conformance-regressions.toml");
    fs::write(&file, REGRESSIONS).expect("written");
    let script = home.path().join("case.bash");
    let replayed = replay(&[text(&file), "--script", text(&script)]);
    let shown = String::from_utf8_lossy(&replayed.stdout);
    assert_eq!(replayed.status.code(), Some(1), "{shown}");
    let (code, shown) = run(&script, &driver);
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("err: cleanup: nothing is left"), "{shown}");
    assert_eq!(run(&script, &good_driver()).0, Some(1));
}

#[test]
fn a_moment_inside_of_a_call_is_refused() {
    let driver = good_driver();
    let refused = replay(&[
        "faults/prepare/mkdir.1/ends/kill",
        "--driver",
        text(&driver),
        "--script",
        "-",
    ]);
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("no script can meet"), "{said}");
}
