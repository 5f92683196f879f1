//! What drivers leave on the machine, found in real processes; and that the harness leaves nothing itself.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use driver_conformance::contract::stage::Program;
use driver_conformance::engine::mock::CaseEnvironment;
use driver_conformance::plan::case::JobOrder;
use driver_conformance::trace::{CallIndex, Evidence, LeakCategory, Trace};

use support::*;

/// How many cases run at once with daemons that escape; `LEAK_STRESS_CASES` replaces it.
const STRESS_CASES: usize = 24;

/// Whether a shell command succeeds: what it needs may be forbidden here.
fn works(command: &str) -> bool {
    let status = Command::new("sh")
        .args(["-c", command])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// Says on the terminal, past the test runner, that a test did nothing.
fn left_out(test: &str) {
    let _ = writeln!(
        std::io::stderr(),
        "note: {test} is left out: mounting is not allowed on this machine"
    );
}

fn may_mount() -> bool {
    works(
        "place=$(mktemp -d) && mount -t tmpfs none \"$place\" && umount \"$place\" && rmdir \"$place\"",
    )
}

fn is_mounted_below(directory: &Path) -> bool {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("readable");
    table.contains(&*directory.to_string_lossy())
}

fn prepare_of(trace: &Trace) -> CallIndex {
    let found = trace
        .calls
        .iter()
        .position(|call| call.program == Program::Prepare);
    CallIndex(found.expect("there is a prepare"))
}

#[test]
fn a_mount_in_the_case_is_told_and_its_content_outlives_our_cleaning() {
    if !may_mount() {
        return left_out("a mount in the case");
    }
    let machine = tempfile::tempdir().expect("a directory");
    let precious = machine.path().join("precious");
    fs::write(&precious, "kept").expect("written");
    let environment = environment();
    let root = environment.directories.root().to_path_buf();
    let text = format!(
        "case $1 in prepare)\nmkdir \"$HOME/host\" \"$TMPDIR/host\"\nmount --bind {0} \"$HOME/host\"\nmount --bind {0} \"$TMPDIR/host\";;\nrun) exec bash \"$2\";; esac",
        machine.path().display()
    );
    let trace = run_small_job(&environment, &text, Vec::new());
    let mounts: Vec<_> = trace
        .leaks
        .iter()
        .filter(|leak| leak.category == LeakCategory::Mount)
        .collect();
    assert_eq!(mounts.len(), 2, "{:#?}", trace.leaks);
    for mount in mounts {
        assert_eq!(mount.made_by, Some(prepare_of(&trace)));
        assert_eq!(mount.evidence, Some(Evidence::InsideCase));
    }
    let found_inside = trace
        .left_files
        .iter()
        .any(|file| file.path.ends_with("precious"));
    assert!(!found_inside, "what is mounted is no file of the case");
    drop(environment);
    assert!(!is_mounted_below(&root), "everything is unmounted");
    assert!(!root.exists(), "the private directories are gone");
    assert_eq!(fs::read_to_string(precious).expect("still there"), "kept");
}

#[test]
fn an_unmounted_file_system_is_no_leak() {
    if !may_mount() {
        return left_out("an unmounted file system");
    }
    let environment = environment();
    let text = "case $1 in prepare) mkdir \"$HOME/x\"; mount -t tmpfs none \"$HOME/x\";;\n\
                run) exec bash \"$2\";; cleanup) umount \"$HOME/x\"; rmdir \"$HOME/x\";; esac";
    let trace = run_small_job(&environment, text, Vec::new());
    assert_eq!(trace.leaks, []);
}

#[test]
fn what_a_survivor_holds_is_told() {
    let environment = environment();
    let text = "case $1 in prepare) setsid python3 -c 'import socket, time\n\
                s = socket.socket(); s.bind((\"127.0.0.1\", 0)); s.listen()\n\
                u = socket.socket(socket.AF_UNIX); u.bind(\"\\0box-of-a-test\"); u.listen()\n\
                open(\"up\", \"w\"); time.sleep(600)' </dev/null >/dev/null 2>&1 &\n\
                while [ ! -e up ]; do sleep 0.01; done;;\nrun) exec bash \"$2\";; esac";
    if !works("python3 -c ''") {
        return;
    }
    let trace = run_small_job(&environment, text, Vec::new());
    let held: Vec<&str> = trace
        .holdings
        .iter()
        .map(|holding| &*holding.what)
        .collect();
    assert!(
        held.iter()
            .any(|what| what.starts_with("listens on TCP port ")),
        "{held:?}"
    );
    assert!(
        held.contains(&"listens on the unix socket @box-of-a-test"),
        "{held:?}"
    );
}

/// A service of the machine: for each line that is written into a pipe it starts a process of that name, once.
fn start_service(pipe: &Path) {
    let text = "mkfifo \"$1\"\nsetsid bash -c 'read -r name <\"$1\"; (exec -a \"$name\" sleep 600) & ' service \"$1\" \
                </dev/null >/dev/null 2>&1 &";
    let status = Command::new("bash")
        .args(["-c", text, "start"])
        .arg(pipe)
        .status();
    assert!(status.expect("starts").success());
}

#[test]
fn a_process_that_a_service_started_for_the_job_is_told() {
    let environment = environment();
    let pipe = environment.directories.root().join("service");
    start_service(&pipe);
    let text = format!(
        "case $1 in prepare) echo \"machine of $HOME\" >'{}'\n\
         until grep -aqs \"[m]achine of $HOME\" /proc/[0-9]*/cmdline; do sleep 0.01; done;;\n\
         run) exec bash \"$2\";; esac",
        pipe.display()
    );
    let trace = run_small_job(&environment, &text, Vec::new());
    let left: Vec<_> = trace
        .leaks
        .iter()
        .filter(|leak| leak.detector == "distant-processes")
        .collect();
    for leak in &left {
        works(&format!("kill {}", leak.identity));
    }
    assert_eq!(left.len(), 1, "{:#?}", trace.leaks);
    assert_eq!(left[0].evidence, Some(Evidence::InsideCase));
    assert!(trace.surviving_processes.is_empty());
}

#[test]
fn who_holds_the_output_of_a_call_is_told() {
    let environment = environment();
    let text = "case $1 in prepare) setsid sleep 1.5 & ;; run) exec bash \"$2\";; esac";
    let trace = run_small_job(&environment, text, Vec::new());
    let holders: Vec<_> = trace
        .pipe_holders
        .iter()
        .map(|holder| (holder.call, &*holder.command))
        .collect();
    assert_eq!(holders, [(prepare_of(&trace), "sleep 1.5")]);
}

/// Ways of a helper to get away, each in the call that its name says.
const ESCAPES: [(&str, Program); 5] = [
    ("setsid sh -c 'exec -a TAG sleep 600' &", Program::Prepare),
    (
        "(setsid bash -c '(exec -a TAG sleep 600 &) &' &)",
        Program::Prepare,
    ),
    (
        "(setsid env -i bash -c 'trap \"\" TERM HUP; cd /; (exec -a TAG sleep 600 &) &' &)",
        Program::Config,
    ),
    (
        "(setsid env -i bash -c 'cd /; exec 0<&- 1>&- 2>&-; (exec -a TAG sleep 600 &) &' &)",
        Program::Prepare,
    ),
    (
        "(setsid bash -c 'exec -a TAG sleep 600' & )",
        Program::Cleanup,
    ),
];

fn escape(tag: &str, number: usize) -> (String, Program) {
    let (command, program) = ESCAPES[number % ESCAPES.len()];
    let command = command
        .replace("setsid sh -c", "setsid bash -c")
        .replace("TAG", tag);
    // The call ends when the helper is there, so that it cannot be late for the grace.
    let text = format!(
        "if [ $1 = {program} ]; then\n( {command} ) </dev/null >/dev/null 2>&1\n\
         until grep -qz '^{tag}$' /proc/[0-9]*/cmdline 2>/dev/null; do sleep 0.02; done\nfi\n[ $1 != run ] || exec bash \"$2\""
    );
    (text, program)
}

fn stress_case(number: usize, prefix: &str) -> (String, Program, CaseEnvironment) {
    let tag = format!("{prefix}-{number}-");
    let (text, program) = escape(&tag, number);
    let environment = environment();
    let executable = driver(&environment, &text);
    (executable, program, environment)
}

/// Names of processes that are alive.
fn alive(prefix: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc")
        .expect("there are processes")
        .flatten();
    processes
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let words = fs::read(entry.path().join("cmdline")).ok()?;
            let name = String::from_utf8_lossy(words.split(|byte| *byte == 0).next()?).into_owned();
            (name.starts_with(prefix) && is_alive(pid)).then_some(name)
        })
        .collect()
}

#[test]
fn each_of_many_daemons_is_blamed_on_its_case_and_none_is_left() {
    let cases = std::env::var("LEAK_STRESS_CASES");
    let cases = cases
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(STRESS_CASES);
    let prefix = format!("escapee-{}", std::process::id());
    let ready: Vec<_> = (0..cases)
        .map(|number| stress_case(number, &prefix))
        .collect();
    let started = Instant::now();
    let traces: BTreeMap<usize, Trace> = std::thread::scope(|scope| {
        let running: Vec<_> = ready
            .iter()
            .enumerate()
            .map(|(number, (executable, _, environment))| {
                scope.spawn(move || {
                    let runner = TinyRunner::small_job(environment, executable, 1);
                    let jobs = vec![job(runner, Vec::new())];
                    (number, run(environment, jobs, JobOrder::Sequential))
                })
            })
            .collect();
        running
            .into_iter()
            .map(|case| case.join().expect("no case panics"))
            .collect()
    });
    let took = started.elapsed();
    let mut right = 0;
    for (number, trace) in &traces {
        let names: Vec<_> = trace
            .surviving_processes
            .iter()
            .map(|process| {
                process
                    .command
                    .split(' ')
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect();
        assert_eq!(names, [format!("{prefix}-{number}-")], "case {number}");
        let maker = trace.surviving_processes[0].made_by.expect("known");
        assert_eq!(
            trace.calls[maker.0].program, ready[*number].1,
            "case {number}"
        );
        assert_eq!(trace.aborted, None);
        assert_eq!(trace.unkillable_processes, Vec::<i32>::new());
        right += 1;
    }
    assert_eq!(alive(&prefix), Vec::<String>::new(), "none is left");
    let _ = writeln!(
        std::io::stderr(),
        "note: {right} of {cases} escaped daemons blamed on the right case and call in {:.2} s",
        took.as_secs_f64()
    );
}

/// Runs the suite on a good driver with a list command and returns the exit code and what was printed.
fn suite_with_list(list: &str) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let animal = driver_conformance_scenarios::zoo::by_name("good-bash").expect("it is there");
    let driver = animal.write(directory.path()).expect("written");
    let output = Command::new(supervisor())
        .arg(driver)
        .args(["--only", "job/every-stage", "--list", list])
        .output()
        .expect("it can be started");
    let printed = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&printed).into_owned(),
    )
}

#[test]
fn what_was_listed_before_is_nobodys_and_a_list_without_news_is_remarked_on() {
    let (code, printed) = suite_with_list("printf 'old-12\\nold-123\\n'");
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("listed nothing new"), "{printed}");
}

#[test]
fn a_list_command_that_fails_is_an_error_of_configuration() {
    let (code, printed) = suite_with_list("echo no daemon is running >&2; false");
    assert_eq!(code, Some(2), "{printed}");
    assert!(printed.contains("no daemon is running"), "{printed}");
}

#[test]
fn a_case_without_leaks_is_quiet_beside_a_leaking_one() {
    let environment = environment();
    let trace = run_small_job(
        &environment,
        "[ $1 != run ] || exec bash \"$2\"",
        Vec::new(),
    );
    assert_eq!(trace.leaks, []);
    assert_eq!(trace.holdings, []);
    assert!(trace.scheduling_delay_max < Duration::from_mins(1));
}
