//! The backend as a driver meets it: real shims, real boxes.

mod bench;

use std::path::Path;
use std::process::{Command, Stdio};

use driver_conformance_mock_backend::client::Control;
use driver_conformance_mock_backend::faults::{FaultKind, KillSignal, Moment};
use driver_conformance_mock_backend::ledger::Caller;

use bench::{Bench, Case, wait_until};

#[test]
fn podman_answers_as_the_real_one() {
    let mut bench = Bench::new("podman");
    let case = bench.case("life");
    assert_eq!(case.code("podman exec a true"), 125);
    assert_eq!(case.code("podman run -d --name a alpine"), 0);
    assert_eq!(case.code("podman run -d --name a alpine"), 125);
    assert_eq!(
        case.run("podman exec a sh -c 'echo out; echo err >&2; exit 42'"),
        (42, "out".into())
    );
    assert_eq!(
        case.run("echo 'echo from input' | podman exec -i a sh"),
        (0, "from input".into())
    );
    assert_eq!(case.code("podman exec a no-such-program"), 127);
    assert_eq!(case.code("podman exec a /etc/passwd"), 126);
    assert_eq!(case.code("podman rm a"), 2);
    assert_eq!(
        case.run("podman inspect --format '{{.State.Running}}' a"),
        (0, "true".into())
    );
    assert_eq!(case.run("podman stop a"), (0, "a".into()));
    assert_eq!(case.code("podman kill a"), 125);
    assert_eq!(case.code("podman exec a true"), 255);
    assert_eq!(
        case.run("podman ps --format '{{.Names}}'"),
        (0, String::new())
    );
    assert_eq!(
        case.run("podman ps -a --format '{{.Names}} {{.State}}'"),
        (0, "a exited".into())
    );
    assert_eq!(case.code("podman start a && podman exec a true"), 0);
    assert_eq!(case.run("podman rm -f a"), (0, "a".into()));
    assert_eq!(case.code("podman rm a"), 1);
    assert_eq!(case.code("podman rm -f a"), 0);
    assert_eq!(
        case.run("podman run --rm alpine sh -c 'echo main; exit 3'"),
        (3, "main".into())
    );
    assert_eq!(case.run("podman ps -aq"), (0, String::new()));
    let content = bench.control.case("life").expect("known");
    assert_eq!(content.not_emulated, [""; 0]);
}

#[test]
fn networks_and_volumes_are_kept_while_they_are_used() {
    let mut bench = Bench::new("podman");
    let case = bench.case("objects");
    assert_eq!(
        case.code("podman network create n && podman volume create v"),
        0
    );
    assert_eq!(case.code("podman network create n"), 125);
    assert_eq!(
        case.code("podman run -d --name a --network n -v v:/data alpine"),
        0
    );
    assert_eq!(
        case.code("podman run -d --name b --network none-such alpine"),
        125
    );
    assert_eq!(case.code("podman network rm n"), 2);
    assert_eq!(case.code("podman volume rm v"), 2);
    if bench.is_isolated() {
        assert_eq!(case.code("podman exec a sh -c 'echo kept >/data/x'"), 0);
        assert_eq!(
            case.run("podman run --rm -v v:/there alpine cat /there/x"),
            (0, "kept".into())
        );
    }
    assert_eq!(
        case.code("podman rm -f a && podman network rm n && podman volume rm v"),
        0
    );
    assert_eq!(case.code("podman network exists n"), 1);
    // What is taken for a name here may be the beginning of one.
    assert_eq!(case.code("podman volume create job-123"), 0);
    assert_eq!(case.code("podman volume exists job-12"), 1);
    assert_eq!(case.code("podman volume rm --force job-12"), 0);
    assert_eq!(case.code("podman volume exists job-123"), 1);
}

#[test]
fn a_box_has_files_and_processes_of_its_own() {
    let mut bench = Bench::new("podman");
    if !bench.is_isolated() {
        return;
    }
    let case = bench.case("own");
    assert_eq!(case.code("podman run -d --name a alpine"), 0);
    assert_eq!(
        case.code(
            "podman exec a sh -c 'mkdir -p /builds && echo here >/builds/file && echo x >/tmp/y'"
        ),
        0
    );
    assert_eq!(
        case.run("podman exec a cat /builds/file"),
        (0, "here".into())
    );
    assert!(!Path::new("/builds/file").exists());
    // A job's directories may lie where the machine has its memory; a box that is restarted keeps them.
    let restarted = "podman exec a sh -c 'echo kept >/dev/shm/kept' && podman restart -t 0 a >/dev/null \
                     && podman exec a cat /dev/shm/kept";
    assert_eq!(case.run(restarted), (0, "kept".into()));
    assert!(!Path::new("/dev/shm/kept").exists());
    assert_ne!(case.code("podman exec a touch /usr/bin/mine"), 0);
    assert_eq!(
        case.run("podman exec a sh -c 'kill -0 1 && cat /proc/1/task/1/children | wc -w'"),
        (0, "2".into())
    );
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "copied").expect("written");
    let copy = format!(
        "podman cp {} a:/script && podman exec a cat /script",
        file.path().display()
    );
    assert_eq!(case.run(&copy), (0, "copied".into()));
    let back = format!("podman cp a:/builds/file {}", file.path().display());
    assert_eq!(case.code(&back), 0);
    assert_eq!(
        std::fs::read_to_string(file.path()).expect("read"),
        "here\n"
    );
}

#[test]
fn work_goes_on_when_its_client_is_killed() {
    let mut bench = Bench::new("podman");
    if !bench.is_isolated() {
        return;
    }
    let case = bench.case("killed");
    assert_eq!(case.code("podman run -d --name a alpine"), 0);
    let beat = "podman exec a sh -c 'n=0; while :; do n=$((n+1)); echo $n >/tmp/beat; echo a long line that fills the pipe of a reader that is gone; sleep 0.01; done'";
    let mut client = case
        .command(&format!("exec {beat}"))
        .stdout(Stdio::null())
        .spawn()
        .expect("started");
    wait_until("the first beat", || {
        case.code("podman exec a test -s /tmp/beat") == 0
    });
    client.kill().expect("killed");
    client.wait().expect("reaped");
    let beats = || {
        case.run("podman exec a cat /tmp/beat")
            .1
            .parse::<u64>()
            .unwrap_or(0)
    };
    let then = beats();
    wait_until("a beat after the client's death", || beats() > then + 5);
    assert_eq!(case.code("podman rm -f a"), 0);
}

#[test]
fn nothing_survives_the_backend() {
    let mut bench = Bench::new("podman");
    let case = bench.case("doomed");
    assert_eq!(case.code("podman run -d --name a alpine && podman exec -d a sh -c 'trap \"\" TERM HUP; while :; do sleep 1; done'"), 0);
    let root = bench.backend.root().to_path_buf();
    let mark = root.display().to_string();
    assert!(!living(&mark).is_empty());
    drop(bench);
    wait_until("the end of all processes", || living(&mark).is_empty());
    assert!(!root.exists());
}

#[test]
fn nothing_survives_a_backend_that_is_killed() {
    let mut bench = Bench::new("podman");
    let case = bench.case("doomed");
    assert_eq!(case.code("podman run -d --name a alpine && podman exec -d a sh -c 'trap \"\" TERM HUP; while :; do sleep 1; done'"), 0);
    let mark = bench.backend.root().display().to_string();
    let backend: Vec<i32> = living(&mark)
        .into_iter()
        .filter(|(_, line)| line.contains("__mock-backend\0"))
        .map(|(pid, _)| pid)
        .collect();
    assert_eq!(backend.len(), 1);
    let killed = Command::new("kill")
        .arg("-KILL")
        .arg(backend[0].to_string())
        .status();
    assert!(killed.expect("kill is there").success());
    wait_until("the end of all boxes", || {
        living(&mark).iter().all(|(pid, _)| *pid == backend[0])
    });
}

/// Processes in whose command line or root directory a text is.
fn living(mark: &str) -> Vec<(i32, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("there").flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        if line.contains(mark) && pid != i32::try_from(std::process::id()).unwrap_or(0) {
            found.push((pid, line));
        }
    }
    found
}

#[test]
fn two_hundred_cases_at_once_do_not_meet() {
    const CASES: usize = 200;
    const AT_ONCE: usize = 25;
    let bench = Bench::new("podman");
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let mut control = bench.backend.control().expect("it listens");
                loop {
                    let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if number >= CASES {
                        return;
                    }
                    one_of_many(&mut control, number);
                }
            });
        }
    });
    let marks = bench.backend.root().join("cases");
    let left = std::fs::read_dir(marks).expect("there").count();
    assert_eq!(left, 0, "all cases were closed");
}

fn one_of_many(control: &mut Control, number: usize) {
    let tag = format!("case-{number}");
    let shims = control.open_case(&tag).expect("a case");
    let case = Case { shims };
    // The same names in all cases, and the same port.
    let line = format!(
        "podman run -d --name job alpine >/dev/null &&
         podman exec job sh -c 'echo {number} >/tmp/number' && podman exec job cat /tmp/number"
    );
    assert_eq!(case.run(&line), (0, number.to_string()));
    let content = control.case(&tag).expect("known");
    let boxes = content.objects.iter().filter(|object| object.kind == "box");
    assert_eq!((boxes.count(), content.requests), (1, 3));
    control.close_case(&tag).expect("closed");
}

#[test]
fn the_ledger_names_the_call_that_asked() {
    let mut bench = Bench::new("podman");
    let case = bench.case("blame");
    let caller = Caller {
        call: Some(7),
        job: Some(0),
        program: Some("run".into()),
        stage: Some("build_script".into()),
        ..Caller::default()
    };
    bench.control.call_starts("blame", caller).expect("told");
    let child = case
        .command("sleep 0.01; podman volume create v")
        .stdout(Stdio::null())
        .spawn();
    let mut child = child.expect("started");
    let pid = i32::try_from(child.id()).expect("a pid");
    bench.control.call_started("blame", 7, pid).expect("told");
    assert!(child.wait().expect("ends").success());
    bench.control.call_ended("blame", 7).expect("told");
    let entries = bench.control.entries("blame").expect("known");
    let entry = &entries[0];
    assert_eq!(entry.request.caller.stage.as_deref(), Some("build_script"));
    assert_eq!((entry.code, entry.request.number), (Some(0), 1));
    let content = bench.control.case("blame").expect("known");
    assert_eq!(content.objects[0].made_by, entry.request.sequence);
}

#[test]
fn faults_break_what_they_say_and_nothing_when_they_are_off() {
    let mut bench = Bench::new("podman");
    let case = bench.case("broken");
    let mut with = |kind: FaultKind, verb: &str, line: &str| {
        let id = bench.arm("broken", kind, verb);
        let output = case.output(line);
        bench.control.disarm(id).expect("off");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (
            output.status.code(),
            text,
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    let make = "podman volume create v";
    assert_eq!(
        with(FaultKind::ErrorBeforeEffect, "volume create", make).0,
        Some(125)
    );
    assert_eq!(case.code("podman volume exists v"), 1, "nothing was done");
    assert_eq!(
        with(FaultKind::ReplyLost, "volume create", make).0,
        Some(125)
    );
    assert_eq!(case.code("podman volume rm v"), 0, "it was done");
    let (code, text, _) = with(FaultKind::ToolMissing, "volume create", make);
    assert_eq!(
        (code, text.as_str()),
        (Some(127), "podman: command not found\n")
    );
    let (_, _, output) = with(FaultKind::GarbledOutput, "volume create", make);
    assert!(!output.contains('v') && !output.is_empty(), "{output}");
    assert_eq!(
        with(
            FaultKind::PermissionDenied,
            "volume rm",
            "podman volume rm v"
        )
        .0,
        Some(125)
    );
    let late = FaultKind::LateDelete { ms: 200 };
    assert_eq!(with(late, "volume rm", "podman volume rm v").0, Some(0));
    assert_eq!(
        case.code("podman volume exists v"),
        0,
        "it stays for a while"
    );
    wait_until("the late end", || case.code("podman volume exists v") == 1);
    let (code, text, _) = with(
        FaultKind::Unavailable { retry_after_s: 3 },
        "volume create",
        make,
    );
    assert_eq!(code, Some(125));
    assert!(
        text.contains("503 Service Unavailable, retry after 3 s"),
        "{text}"
    );
    assert_eq!(case.code(make), 0);
}

#[test]
fn a_hang_ends_when_its_fault_is_switched_off() {
    let mut bench = Bench::new("podman");
    let case = bench.case("hang");
    let id = bench.arm("hang", FaultKind::Hang, "volume create");
    let child = case
        .command("podman volume create v")
        .stdout(Stdio::null())
        .spawn();
    let mut child = child.expect("started");
    wait_until("the hang", || {
        bench
            .control
            .faults()
            .expect("told")
            .iter()
            .any(|armed| armed.fired == 1)
    });
    assert!(child.try_wait().expect("asked").is_none());
    bench.control.disarm(id).expect("off");
    assert!(child.wait().expect("ends").success());
}

#[test]
fn a_driver_is_killed_right_before_or_right_after_the_effect() {
    let mut bench = Bench::new("podman");
    let case = bench.case("kill");
    for (when, done) in [(Moment::Before, 1), (Moment::After, 0)] {
        let kind = FaultKind::KillDriver {
            signal: KillSignal::Kill,
            when,
        };
        let id = bench.arm("kill", kind, "volume create");
        let mut command = case.command("podman volume create v; echo survived");
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let output = command.stdin(Stdio::null()).output().expect("started");
        assert_eq!(output.status.code(), None, "it was killed");
        assert!(!String::from_utf8_lossy(&output.stdout).contains("survived"));
        bench.control.disarm(id).expect("off");
        assert_eq!(case.code("podman volume exists v"), done);
    }
}

#[test]
fn a_box_dies_or_runs_full() {
    let mut bench = Bench::new("podman");
    if !bench.is_isolated() {
        return;
    }
    let case = bench.case("box");
    assert_eq!(
        case.code("podman run -d --name a alpine && podman exec a mkdir /builds"),
        0
    );
    let id = bench.arm("box", FaultKind::DiskFull, "exec");
    assert_ne!(case.code("podman exec a sh -c 'echo x >/builds/file'"), 0);
    assert!(
        case.errors("podman exec a sh -c 'echo x >/builds/file'")
            .contains("No space left")
    );
    bench.control.disarm(id).expect("off");
    bench.arm(
        "box",
        FaultKind::ObjectDies {
            when: Moment::Before,
        },
        "exec",
    );
    assert_eq!(case.code("podman exec a true"), 255);
}

#[test]
fn partial_output_ends_with_the_death_of_the_tool() {
    let mut bench = Bench::new("podman");
    let case = bench.case("partial");
    bench.arm(
        "partial",
        FaultKind::PartialOutput { bytes: 3 },
        "volume create",
    );
    let (code, output) = case.run("podman volume create abcdef");
    assert_eq!((code, output.as_str()), (137, "abc"));
}

#[test]
fn docker_has_its_own_words() {
    let mut bench = Bench::new("docker");
    let case = bench.case("docker");
    assert_eq!(case.code("docker run -d --name a alpine"), 0);
    assert_eq!(case.code("docker exec b true"), 1);
    assert_eq!(
        case.errors("docker rm b"),
        "Error response from daemon: No such container: b\n"
    );
    assert_eq!(case.code("docker run -d --name a alpine"), 125);
    assert_eq!(case.code("docker rm -f a"), 0);
}

#[test]
fn the_http_api_makes_machines_that_ssh_reaches() {
    let mut bench = Bench::new("http-vm");
    if !bench.is_isolated() {
        return;
    }
    let opened = bench.control.open("cloud").expect("a case");
    let case = Case {
        shims: opened.shims,
    };
    let variable = |name: &str| {
        let mut all = opened.environment.iter();
        let (_, value) = all.find(|(known, _)| known == name).expect("it is told");
        value.clone()
    };
    let (url, token) = (variable("VM_API_URL"), variable("VM_API_TOKEN"));
    let ask = |method: &str, path: &str, body: &str| {
        let line = format!(
            "curl -s -X {method} -H 'Authorization: Bearer {token}' -d '{body}' -w ' %{{http_code}}' {url}/v1/{path}"
        );
        let (_, answer) = case.run(&line);
        let (body, status) = answer.rsplit_once(' ').expect("a status");
        (status.to_owned(), body.to_owned())
    };
    let instance = r#"{"name": "vm", "image": "debian"}"#;
    let (status, body) = ask("POST", "instances", instance);
    assert_eq!(status, "202", "{body}");
    assert!(body.contains(r#""status":"building""#), "{body}");
    assert_eq!(ask("POST", "instances", instance).0, "409");
    let mut active = String::new();
    wait_until("the machine", || {
        active = ask("GET", "instances/vm", "").1;
        active.contains(r#""status":"active""#)
    });
    let (_, address) = active.split_once(r#""address":""#).expect("it has one");
    let (address, _) = address.split_once('"').expect("it ends");
    assert_eq!(
        case.run(&format!("ssh root@{address} 'echo there; exit 7'")),
        (7, "there".into())
    );
    assert!(
        ask("GET", "instances?per_page=1", "")
            .1
            .contains(r#""total":1"#)
    );
    assert_eq!(
        case.run(&format!(
            "curl -s -o /dev/null -w '%{{http_code}}' {url}/v1/instances"
        ))
        .1,
        "401"
    );
    assert_eq!(ask("DELETE", "instances/vm", "").0, "204");
    assert_eq!(ask("DELETE", "instances/vm", "").0, "404");
    bench.arm(
        "cloud",
        FaultKind::Unavailable { retry_after_s: 3 },
        "GET /v1/instances",
    );
    assert_eq!(ask("GET", "instances", "").0, "503");
    let entries = bench.control.entries("cloud").expect("known");
    assert_eq!(entries[0].request.verb, "POST /v1/instances");
}

#[test]
fn what_is_not_emulated_is_told_loudly_and_remembered() {
    let mut bench = Bench::new("podman");
    let case = bench.case("gap");
    assert!(
        case.errors("podman pod create x")
            .contains("mock backend: not emulated: podman pod")
    );
    assert!(
        case.errors("podman run --gpus all alpine")
            .contains("not emulated: the option --gpus")
    );
    let content = bench.control.case("gap").expect("known");
    assert_eq!(content.not_emulated.len(), 2);
}
