//! No driver process outlives a harness that was killed.

mod support;

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use driver_conformance::plan::case::JobOrder;

use support::*;

/// Names the directory in which the inner harness leaves process ids; set only for the inner harness.
const INNER: &str = "DRIVER_CONFORMANCE_TEST_INNER";
/// How long starting and dying may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Not a test of its own: the harness that is killed.
#[test]
#[ignore = "started by the other test"]
fn inner_harness() {
    let Ok(directory) = std::env::var(INNER) else {
        return;
    };
    let environment = environment();
    let text = format!(
        r#"cd {directory}
        ( setsid bash -c 'trap "" TERM HUP; echo $$ > daemon.new; mv daemon.new daemon; while true; do sleep 1; done' \
            </dev/null >/dev/null 2>&1 & )
        trap '' TERM HUP
        echo $PPID > supervisor
        echo $$ > leader.new; mv leader.new leader
        while true; do sleep 1; done"#
    );
    let executable = driver(&environment, &text);
    let runner = TinyRunner::small_job(&environment, &executable, 1);
    run(
        &environment,
        vec![job(runner, Vec::new())],
        JobOrder::Sequential,
    );
}

#[test]
fn a_killed_harness_leaves_no_process() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut harness = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "inner_harness", "--ignored"])
        .env(INNER, directory.path())
        // Its private directories go with ours.
        .env("TMPDIR", directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the inner harness starts");
    let pid_of = |name: &str| -> Option<u32> {
        fs::read_to_string(directory.path().join(name))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    wait_until("the driver and its daemon run", PATIENCE, || {
        pid_of("leader").is_some() && pid_of("daemon").is_some()
    });
    let pids = ["leader", "daemon", "supervisor"].map(|name| pid_of(name).expect("written"));
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    harness.kill().expect("killed");
    harness.wait().expect("reaped");
    wait_until("every process has died", PATIENCE, || {
        pids.iter().all(|pid| !is_alive(*pid))
    });
    let left = || {
        fs::read_dir(directory.path())
            .expect("our directory")
            .filter_map(Result::ok)
            .filter(|entry| {
                entry
                    .file_name()
                    .to_string_lossy()
                    .starts_with("driver-conformance-")
            })
            .count()
    };
    wait_until("the private directories are gone", PATIENCE, || left() == 0);
}
