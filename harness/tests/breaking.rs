//! What the terminal shows of `faults`, `fuzz` and `replay`, on drivers so small that a run takes a moment.

mod support;

use std::fs;
use std::path::Path;

use support::write_program;

/// Has one directory, made by prepare and removed by cleanup, which therefore fails where there is none.
const FRAGILE: &str = r#"#!/bin/bash
box=$HOME/box-$CUSTOM_ENV_CI_JOB_ID
case $1 in
    prepare) [ -d "$box" ] || mkdir "$box" || exit "$SYSTEM_FAILURE_EXIT_CODE" ;;
    run) bash "$2" || exit "$BUILD_FAILURE_EXIT_CODE" ;;
    cleanup) rmdir "$box" 2>/dev/null || { echo "there is no box" >&2; exit 1; } ;;
esac
"#;

/// The same, but for what it does if there is no directory.
fn mended() -> String {
    FRAGILE.replace("rmdir \"$box\"", "[ ! -d \"$box\" ] || rmdir \"$box\"")
}

/// Runs a command in a directory; returns the exit code, and what it prints without what differs from run to run.
fn shown(directory: &Path, arguments: &[&str]) -> String {
    let output = support::harness(directory)
        .args(arguments)
        .output()
        .expect("the binary can be started");
    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    let lasting: Vec<&str> = printed.lines().filter(|line| !differs(line)).collect();
    let code = output.status.code();
    format!("{}\nexit code {code:?}\n", lasting.join("\n"))
}

/// Counts and times, and what this machine does not let the harness watch.
fn differs(line: &str) -> bool {
    let counts = ["calls ", "cases ", "checks "];
    let is_note = line.trim_start().starts_with("note: ") && !line.contains(" is kept in ");
    is_note || counts.iter().any(|label| line.starts_with(label))
}

#[test]
fn a_sweep_of_faults() {
    let home = tempfile::tempdir().expect("a directory");
    write_program(&home.path().join("driver"), FRAGILE);
    // The shell itself forks no program before that: at this point nothing is there yet.
    let point = "faults/prepare/mkdir.1/begins";
    let sweep = ["faults", "driver", "--config-exec", "", "--only", point];
    insta::assert_snapshot!("faults", shown(home.path(), &sweep));
}

#[test]
fn a_sequence_is_found_kept_and_replayed() {
    let home = tempfile::tempdir().expect("a directory");
    let driver = home.path().join("driver");
    write_program(&driver, FRAGILE);
    let fuzz = ["fuzz", "driver", "--config-exec", "", "--time", "10m"];
    insta::assert_snapshot!("fuzz", shown(home.path(), &fuzz));
    let kept = "driver-conformance-regressions.toml";
    let text = fs::read_to_string(home.path().join(kept)).expect("a sequence is kept");
    insta::assert_snapshot!("fuzz-kept", text);
    let replay = ["replay", kept, "--driver", "driver", "--config-exec", ""];
    insta::assert_snapshot!("replay-failed", shown(home.path(), &replay));
    write_program(&driver, &mended());
    insta::assert_snapshot!("replay-fixed", shown(home.path(), &replay));
}
