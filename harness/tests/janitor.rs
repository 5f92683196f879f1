//! A harness that is killed in the middle of a sweep leaves nothing once the janitor, or the next run, has been there.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use support::wait_until;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

fn command(temporary: &Path, arguments: &[&str]) -> Command {
    let mut command = support::harness(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios"));
    command
        .args(arguments)
        .env("TMPDIR", temporary)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Processes that have the directory in their environment or their command line, without this test.
fn processes(directory: &Path) -> Vec<i32> {
    let wanted = directory.to_str().expect("UTF-8").as_bytes().to_vec();
    let own = std::process::id().cast_signed();
    fs::read_dir("/proc")
        .expect("Linux")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid: &i32| {
            let holds = |file: &str| {
                let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
                text.windows(wanted.len()).any(|part| part == wanted)
            };
            *pid != own && (holds("environ") || holds("cmdline"))
        })
        .collect()
}

fn left(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("our own directory");
    entries
        .map(|entry| entry.expect("readable").path())
        .collect()
}

/// Kills the harness and then all its supervisors, which would tidy up, so that only their children know of anything.
fn kill_with_supervisors(mut harness: Child) {
    let harness_pid = harness.id().cast_signed();
    let children = fs::read_to_string(format!("/proc/{harness_pid}/task/{harness_pid}/children"));
    let supervisors: Vec<i32> = fs::read_dir(format!("/proc/{harness_pid}/task"))
        .expect("it runs")
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok())
        .chain(children)
        .flat_map(|pids| {
            pids.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<i32>>()
        })
        .collect();
    let kill = |pid: i32| {
        if let Some(pid) = Pid::from_raw(pid) {
            let _gone_already = kill_process(pid, Signal::KILL);
        }
    };
    // Stopped first, so that none of them notices that the harness is gone.
    for pid in &supervisors {
        if let Some(pid) = Pid::from_raw(*pid) {
            let _gone_already = kill_process(pid, Signal::STOP);
        }
    }
    kill(harness_pid);
    supervisors.into_iter().for_each(kill);
    harness.wait().expect("our child");
}

fn killed_sweep(temporary: &Path) {
    let harness = command(temporary, &["faults", "drivers/good-slow"])
        .spawn()
        .expect("the binary can be started");
    wait_until("calls are made", PATIENCE, || {
        processes(temporary).len() > 3
    });
    kill_with_supervisors(harness);
    assert!(!left(temporary).is_empty(), "there is nothing to tidy up");
}

#[test]
fn the_janitor_leaves_nothing() {
    let temporary = tempfile::tempdir().expect("a directory");
    killed_sweep(temporary.path());
    let status = command(temporary.path(), &["janitor", "--dry-run"]).status();
    assert!(status.expect("it runs").success());
    assert!(!left(temporary.path()).is_empty(), "it only looked");
    let status = command(temporary.path(), &["janitor"]).status();
    assert!(status.expect("it runs").success());
    wait_until("every process has died", PATIENCE, || {
        processes(temporary.path()).is_empty()
    });
    assert_eq!(left(temporary.path()), Vec::<PathBuf>::new());
}

#[test]
fn the_next_run_leaves_nothing() {
    let temporary = tempfile::tempdir().expect("a directory");
    killed_sweep(temporary.path());
    let arguments = ["drivers/good-bash", "--only", "cleanup/first"];
    let status = command(temporary.path(), &arguments).status();
    assert!(status.expect("it runs").success());
    wait_until("every process has died", PATIENCE, || {
        processes(temporary.path()).is_empty()
    });
    assert_eq!(left(temporary.path()), Vec::<PathBuf>::new());
}
