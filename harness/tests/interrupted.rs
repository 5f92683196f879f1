//! Signals to the running command: it cleans up, says so, and leaves neither a process nor a file.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use driver_conformance_reports::model::{Report, Verdict};
use driver_conformance_scenarios::zoo;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;

use support::wait_until;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

/// The command at work, with a temporary directory of its own.
struct Running {
    child: Child,
    /// What it prints, on either stream.
    lines: Receiver<String>,
    seen: Vec<String>,
    directory: TempDir,
}

impl Running {
    fn begin(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let mut child = support::harness(&scenarios())
            .args(arguments)
            .env("TMPDIR", directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own, as a shell gives to each command.
            .process_group(0)
            .spawn()
            .expect("the binary can be started");
        let (sender, lines) = channel();
        pass_on(child.stdout.take().expect("piped"), sender.clone());
        pass_on(child.stderr.take().expect("piped"), sender);
        Self {
            child,
            lines,
            seen: Vec::new(),
            directory,
        }
    }

    fn wait_for_line(&mut self, text: &str) {
        while !self.seen.last().is_some_and(|line| line.contains(text)) {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no line with {text:?}: {:#?}", self.seen));
            self.seen.push(line);
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits for its end and expects this exit code, this text, and nothing left.
    fn expect_end(mut self, code: i32, text: &str) {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.seen.push(line);
        }
        let status = self.child.wait().expect("our child");
        assert_eq!(status.code(), Some(code), "{:#?}", self.seen);
        assert!(
            self.seen.iter().any(|line| line.contains(text)),
            "{:#?}",
            self.seen
        );
        assert_eq!(processes_below(self.directory.path()), Vec::<u32>::new());
        let left: Vec<_> = fs::read_dir(self.directory.path())
            .expect("our own directory")
            .map(|entry| entry.expect("readable").path())
            .collect();
        assert_eq!(left, Vec::<PathBuf>::new());
    }
}

fn pass_on(stream: impl Read + Send + 'static, sender: Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            if sender
                .send(String::from_utf8_lossy(&line).into_owned())
                .is_err()
            {
                return;
            }
        }
    });
}

/// Every process in whose environment the directory appears: supervisors, drivers, and whatever these have started.
fn processes_below(directory: &Path) -> Vec<u32> {
    let wanted = directory.to_str().expect("UTF-8").as_bytes();
    fs::read_dir("/proc")
        .expect("Linux")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.windows(wanted.len()).any(|part| part == wanted)
        })
        .collect()
}

#[test]
fn control_c_in_the_middle_of_a_suite() {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let path = home.path().join("report.json");
    let flag = format!("json={}", path.display());
    let mut running = Running::begin(&["drivers/good-bash", "-v", "--report", &flag]);
    running.wait_for_line("pass ");
    assert!(processes_below(running.directory.path()).len() > 1);
    // A terminal sends it to all processes of the group.
    kill_process_group(running.pid(), Signal::INT).expect("it runs");
    running.expect_end(130, "stopped by SIGINT");
    let text = fs::read_to_string(path).expect("what was judged is not lost");
    let report: Report = serde_json::from_str(&text).expect("it is the schema");
    let partial = report.partial.expect("it is marked");
    assert_eq!(partial.reason, "SIGINT");
    assert!(!report.cases.is_empty() && partial.cases_missing > 0);
    // What was cut off is no finding: the driver is a good one.
    assert_eq!(report.findings, Vec::new());
    assert_eq!(
        (report.verdict, report.exit_code),
        (Verdict::Inconclusive, 130)
    );
}

/// Stops the command when it is at work, and reads the report of what it was about to do.
fn partial_report(command: &[&str], line: Option<&str>) -> Report {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let path = home.path().join("report.json");
    let flag = format!("json={}", path.display());
    let mut arguments = command.to_vec();
    arguments.extend(["drivers/good-bash", "-v", "--report", &flag]);
    let mut running = Running::begin(&arguments);
    match line {
        Some(line) => running.wait_for_line(line),
        None => wait_until("a driver is called", PATIENCE, || {
            processes_below(running.directory.path()).len() > 2
        }),
    }
    kill_process(running.pid(), Signal::TERM).expect("it runs");
    running.expect_end(143, "stopped by SIGTERM");
    let text = fs::read_to_string(path).expect("what was judged is not lost");
    serde_json::from_str(&text).expect("it is the schema")
}

#[test]
fn sigterm_in_the_middle_of_a_sweep_of_faults() {
    let report = partial_report(&["faults"], Some("pass "));
    let partial = report.partial.expect("it is marked");
    assert_eq!(partial.reason, "SIGTERM");
    assert!(!report.cases.is_empty() && partial.cases_missing > 0);
    // What could not be repeated is no finding beyond doubt: the driver is a good one.
    assert_eq!(
        (report.verdict, report.exit_code),
        (Verdict::Inconclusive, 143)
    );
}

#[test]
fn sigterm_while_sequences_are_drawn() {
    let report = partial_report(&["fuzz"], None);
    assert_eq!(report.partial.expect("it is marked").reason, "SIGTERM");
    assert_eq!(report.findings, Vec::new());
    assert_eq!(
        (report.verdict, report.exit_code),
        (Verdict::Inconclusive, 143)
    );
}

/// A driver that ignores SIGTERM, and the directory that it is in.
fn deaf_driver() -> (TempDir, String) {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let animal = zoo::by_name("term-ignored").expect("it is there");
    let driver = animal.write(home.path()).expect("written");
    (home, driver.display().to_string())
}

#[test]
fn sigterm_while_a_driver_ignores_it() {
    let (_home, driver) = deaf_driver();
    let mut running = Running::begin(&[&driver, "-v", "--only", "signal"]);
    running.wait_for_line("running ");
    wait_until("a driver is called", PATIENCE, || {
        processes_below(running.directory.path()).len() > 2
    });
    kill_process(running.pid(), Signal::TERM).expect("it runs");
    running.expect_end(143, "stopped by SIGTERM");
}

#[test]
fn a_second_signal_is_not_kept_waiting() {
    let (_home, driver) = deaf_driver();
    let mut running = Running::begin(&[&driver, "-v", "--only", "signal"]);
    running.wait_for_line("running ");
    kill_process(running.pid(), Signal::INT).expect("it runs");
    // Two that come close together may be heard as one: the exit code is the same.
    kill_process(running.pid(), Signal::INT).expect("it runs, or is our zombie");
    let status = running.child.wait().expect("our child");
    assert_eq!(status.code(), Some(130));
    wait_until("every process has died", PATIENCE, || {
        processes_below(running.directory.path()).is_empty()
    });
}

#[test]
fn control_c_in_the_middle_of_a_self_test() {
    let running = Running::begin(&["self-test", "--only", "good-bash"]);
    wait_until("a driver is called", PATIENCE, || {
        processes_below(running.directory.path()).len() > 3
    });
    // To the command alone, not to its group: it passes the signal on.
    kill_process(running.pid(), Signal::INT).expect("it runs");
    running.expect_end(130, "stopped by SIGINT");
}

#[test]
fn control_c_while_a_job_hangs() {
    let payload = fs::read_to_string(scenarios().join("jobs/hello.json")).expect("readable");
    let payload = payload.replace("The password is $PASSWORD", "waiting; $(sleep 1000)");
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let file = home.path().join("job.json");
    fs::write(&file, payload).expect("written");
    let file = file.to_str().expect("UTF-8");
    let mut running = Running::begin(&["job", file, "--driver", "drivers/good-bash"]);
    running.wait_for_line("Hello from example/orchard");
    kill_process_group(running.pid(), Signal::INT).expect("it runs");
    running.expect_end(130, "stopped by SIGINT");
}
