//! What is judged by time is looked at once more before it is told: a busy machine must not cost a driver its verdict.

use std::path::{Path, PathBuf};

mod support;

use support::write_edited_driver;

/// A good driver with something else at a place of its program.
fn driver(home: &Path, place: &str, instead: &str) -> PathBuf {
    let directory = home.join("driver");
    write_edited_driver(&directory, "good-bash", &[(place, instead)]);
    directory
}

/// Its cleanups with these numbers, counted over all jobs, leave a process of the job behind.
fn leaving(home: &Path, numbers: &str) -> PathBuf {
    let count = home.join("count");
    let leave = format!(
        r#"box_cleanup() {{
    echo cleanup >>"{count}"
    case " {numbers} " in
        *" $(wc -l <"{count}") "*) setsid bash -c 'exec -a "$0" sleep 60' "keeper-$CUSTOM_ENV_CI_JOB_ID" </dev/null >/dev/null 2>&1 & ;;
    esac
"#,
        count = count.display()
    );
    driver(home, "box_cleanup() {\n", &leave)
}

/// Runs one case on a driver.
fn run(driver: &Path, case: &str) -> (Option<i32>, String) {
    run_cases(driver, &[case])
}

fn run_cases(driver: &Path, cases: &[&str]) -> (Option<i32>, String) {
    let home = tempfile::tempdir().expect("a directory");
    let output = support::harness(home.path())
        .arg(driver)
        .args(cases.iter().flat_map(|case| ["--only", case]))
        .output()
        .expect("the binary can be started");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), shown)
}

// The first cleanup is that of the job that is measured, the second that of the case.

#[test]
fn what_does_not_show_again_is_not_told() {
    let home = tempfile::tempdir().expect("a directory");
    let (code, shown) = run(&leaving(home.path(), "2"), "job/failing-sources");
    assert_eq!(code, Some(0), "{shown}");
}

#[test]
fn what_shows_again_is_told() {
    let home = tempfile::tempdir().expect("a directory");
    let (code, shown) = run(&leaving(home.path(), "2 3"), "job/failing-sources");
    assert_eq!(code, Some(1), "{shown}");
    assert!(shown.contains("leak-process/survives-cleanup"), "{shown}");
}

/// Nobody who cancels a job waits longer for it than the driver may take, by default ten minutes.
#[test]
fn a_driver_may_take_some_seconds_to_end_a_script() {
    let home = tempfile::tempdir().expect("a directory");
    let patient = "on_term() {\n    [ \"$program\" != run ] || sleep 4\n";
    let driver = driver(home.path(), "on_term() {\n", patient);
    let (code, shown) = run(&driver, "signal/build-script");
    assert_eq!(code, Some(0), "{shown}");
}

/// The process that this driver starts with each box outlives a case whose runner dies, so the cases that ran beside that one are run
/// again, alone. The one that shows the hang must not be ended early for it.
#[test]
#[ignore = "waits three times for a cleanup that hangs, each time 25 s"]
fn what_hangs_is_told_also_if_its_case_may_have_been_spoilt() {
    let home = tempfile::tempdir().expect("a directory");
    let helper = "box_prepare() {\n    setsid sleep 60 </dev/null >/dev/null 2>&1 &\n";
    let waits = "box_cleanup() {\n    while [ -e \"$box/work.pid\" ]; do sleep 0.1; done\n";
    let edits = [("box_prepare() {\n", helper), ("box_cleanup() {\n", waits)];
    let driver = home.path().join("driver");
    write_edited_driver(&driver, "good-bash", &edits);
    let cases = [
        "reentrancy/next-job-after-kill",
        "signal/job-timeout/script:heed-term",
    ];
    let (code, shown) = run_cases(&driver, &cases);
    assert_eq!(code, Some(1), "{shown}");
    assert!(shown.contains("cleanup/ends-in-time"), "{shown}");
}
