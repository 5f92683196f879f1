//! What is judged by time is looked at once more before it is told: a busy machine must not cost a driver its verdict.

use std::fs;
use std::path::{Path, PathBuf};

mod support;

use support::write_program;

/// A good driver whose cleanups with these numbers, counted over all jobs, leave a process of the job behind.
fn driver(home: &Path, leaving: &str) -> PathBuf {
    let directory = home.join("driver");
    fs::create_dir(&directory).expect("made");
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/drivers/good-bash/box");
    let program = fs::read_to_string(base).expect("the good driver is there");
    let count = home.join("count");
    let leave = format!(
        r#"box_cleanup() {{
    echo cleanup >>"{count}"
    case " {leaving} " in
        *" $(wc -l <"{count}") "*) setsid bash -c 'exec -a "$0" sleep 60' "keeper-$CUSTOM_ENV_CI_JOB_ID" </dev/null >/dev/null 2>&1 & ;;
    esac
"#,
        count = count.display()
    );
    let changed = program.replace("box_cleanup() {\n", &leave);
    assert_ne!(changed, program);
    write_program(&directory.join("box"), &changed);
    for call in ["config", "prepare", "run", "cleanup"] {
        std::os::unix::fs::symlink("box", directory.join(call)).expect("linked");
    }
    directory
}

/// Runs one case on such a driver. The first cleanup is that of the job that is measured, the second that of the case.
fn run(leaving: &str) -> (Option<i32>, String) {
    let home = tempfile::tempdir().expect("a directory");
    let output = support::harness(home.path())
        .arg(driver(home.path(), leaving))
        .args(["--only", "job/failing-sources"])
        .output()
        .expect("the binary can be started");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), shown)
}

#[test]
fn what_does_not_show_again_is_not_told() {
    let (code, shown) = run("2");
    assert_eq!(code, Some(0), "{shown}");
}

#[test]
fn what_shows_again_is_told() {
    let (code, shown) = run("2 3");
    assert_eq!(code, Some(1), "{shown}");
    assert!(shown.contains("leak-process/survives-cleanup"), "{shown}");
}
