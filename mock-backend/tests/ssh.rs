//! The personality ssh: a host that is there from the beginning.

mod bench;

use bench::{Bench, wait_until};
use driver_conformance_mock_backend::faults::{FaultKind, Moment};
use driver_conformance_mock_backend::{HOST_DIRECTORY, HOST_FILE, HOST_PROCESS, Object};

/// What is left on the host: kind, name, and the number of the request that made it, counted from the first one.
fn left(bench: &mut Bench, tag: &str) -> Vec<(String, String, usize)> {
    let content = bench.control.case(tag).expect("known");
    assert_eq!(content.not_emulated, [""; 0]);
    let entries = bench.control.entries(tag).expect("known");
    let number = |made_by| {
        let mut entries = entries.iter();
        let found = entries.position(|entry| entry.request.sequence == made_by);
        found.map_or(0, |at| at + 1)
    };
    let left = content.objects.into_iter();
    let left = left.filter(|object| object.kind.starts_with("host-"));
    left.map(|object| (object.kind, object.name, number(object.made_by)))
        .collect()
}

#[test]
fn the_host_is_named_to_the_driver_and_there_before_anybody_makes_it() {
    let mut bench = Bench::new("ssh");
    let opened = bench.control.open("told").expect("a case");
    let variable = ("SSH_HOST".to_owned(), "build-host".to_owned());
    assert_eq!(opened.environment, [variable]);
    let case = bench.case("told");
    assert_eq!(
        case.run("ssh build-host 'echo $((1 + 1)); exit 3'"),
        (3, "2".into())
    );
    let joined = r#"ssh ci@build-host echo 'a   b' '"c   d"'"#;
    assert_eq!(case.run(joined), (0, "a b c   d".into()));
    let options = "-MT -S /x -o ControlMaster=auto -oControlPersist=60";
    let shared = format!("ssh {options} ssh://ci@build-host:22 true && ssh -O exit build-host");
    assert_eq!(case.code(&shared), 0);
    assert_eq!(case.code("ssh other-host true"), 255);
    assert_eq!(case.code("scp other-host:x ."), 255);
    assert!(left(&mut bench, "told").is_empty(), "as it was");
    let content = bench.control.case("told").expect("known");
    assert!(content.objects.iter().all(Object::is_foreign));
}

#[test]
fn what_stays_on_the_host_is_put_down_to_the_request_that_made_it() {
    let mut bench = Bench::new("ssh");
    if !bench.is_isolated() {
        return;
    }
    let case = bench.case("left");
    assert_eq!(case.code("ssh build-host true"), 0);
    let makes = "ssh build-host 'mkdir -p /var/lib/ci/job-1 && echo x >/var/lib/ci/job-1/x'";
    assert_eq!(case.code(makes), 0);
    let starts = "ssh build-host 'cd /var/lib/ci; setsid sleep 61 >/dev/null 2>&1 </dev/null &'";
    assert_eq!(case.code(starts), 0);
    let told = |kind: &str, name: &str, made_by| (kind.to_owned(), name.to_owned(), made_by);
    assert_eq!(
        left(&mut bench, "left"),
        [
            told(HOST_PROCESS, "`sleep 61` in /var/lib/ci", 3),
            told(HOST_DIRECTORY, "/var/lib/ci", 2),
            told(HOST_DIRECTORY, "/var/lib/ci/job-1", 2),
            told(HOST_FILE, "/var/lib/ci/job-1/x", 2),
        ]
    );
    let ends = "ssh build-host 'kill -s KILL $(pgrep -x sleep) && rm -r /var/lib/ci'";
    assert_eq!(case.code(ends), 0);
    assert!(left(&mut bench, "left").is_empty());
    let other = bench.case("other");
    assert_eq!(
        other.code("ssh build-host test -e /var/lib/ci"),
        1,
        "another host"
    );
}

#[test]
fn a_host_that_went_down_comes_up_again_with_its_files() {
    let mut bench = Bench::new("ssh");
    if !bench.is_isolated() {
        return;
    }
    let case = bench.case("down");
    let makes = "ssh build-host 'echo x | tee /root/x /tmp/x'";
    assert_eq!(case.code(makes), 0);
    let fault = bench.arm(
        "down",
        FaultKind::ObjectDies {
            when: Moment::After,
        },
        "",
    );
    assert_eq!(case.code("ssh build-host true"), 0);
    bench.control.disarm(fault).expect("it was on");
    let content = bench.control.case("down").expect("known");
    assert!(!content.objects[0].state.is_up());
    assert_eq!(
        case.run("ssh build-host 'ls /tmp; cat /root/x'"),
        (0, "x".into())
    );
}

#[test]
fn a_command_outlives_its_client_and_a_full_disk_takes_no_more() {
    let mut bench = Bench::new("ssh");
    if !bench.is_isolated() {
        return;
    }
    let case = bench.case("lives");
    let line = "exec ssh build-host 'echo >/root/begun; until test -e /root/go; do sleep 0.01; done; echo >/root/done'";
    let mut client = case.command(line).spawn().expect("started");
    let there = |name: &str| case.code(&format!("ssh build-host test -e /root/{name}")) == 0;
    wait_until("the beginning", || there("begun"));
    client.kill().expect("it lives");
    client.wait().expect("it ends");
    assert_eq!(case.code("ssh build-host touch /root/go"), 0);
    wait_until("the end", || there("done"));
    let fault = bench.arm("lives", FaultKind::DiskFull, "");
    let writes = "ssh build-host 'echo x >/root/more'";
    assert_ne!(case.code(writes), 0);
    assert_eq!(case.code("ssh build-host rm /root/begun"), 0);
    bench.control.disarm(fault).expect("it was on");
    assert_eq!(case.code(writes), 0);
}
