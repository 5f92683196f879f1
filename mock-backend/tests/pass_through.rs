//! A tool of this machine behind the shims: one that writes down what it is asked, and prints it.

mod bench;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bench::Bench;
use driver_conformance_mock_backend::faults::{FaultKind, Moment};

/// A Podman in this directory that knows nothing.
fn tool(directory: &Path) {
    let path = directory.join("podman");
    let log = directory.join("asked");
    let text = format!(
        "#!/bin/sh\necho \"$*\" >>'{}'\necho \"done: $*\"\nexit 7\n",
        log.display()
    );
    fs::write(&path, text).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
}

#[test]
fn requests_are_passed_on_and_faults_reach_what_they_can() {
    let tools = tempfile::tempdir().expect("a directory");
    tool(tools.path());
    let mut bench = Bench::before("podman", Some(tools.path()));
    let case = bench.case("real");
    let asked = || fs::read_to_string(tools.path().join("asked")).unwrap_or_default();
    assert_eq!(case.run("podman rm a"), (7, "done: rm a".to_owned()));
    // What the personality does not list is the tool's business.
    let unlisted = "podman farm list --new-option";
    assert_eq!(
        case.run(unlisted),
        (7, "done: farm list --new-option".to_owned())
    );

    let mut with = |kind: FaultKind, verb: &str, line: &str| {
        let id = bench.arm("real", kind, verb);
        let output = case.output(line);
        bench.control.disarm(id).expect("off");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let garbled = with(FaultKind::GarbledOutput, "rm", "podman rm b");
    assert!(
        garbled.contains("Bad Gateway") && !garbled.contains("done"),
        "{garbled}"
    );
    let of_script = with(FaultKind::GarbledOutput, "exec", "podman exec a true");
    assert_eq!(of_script, "done: exec a true\n", "it is the script's own");
    let dies = FaultKind::ObjectDies {
        when: Moment::Before,
    };
    with(dies, "exec", "podman exec c true");
    assert!(
        asked().ends_with("kill --signal KILL c\nexec c true\n"),
        "{}",
        asked()
    );
    with(FaultKind::StaleList, "ps", "podman ps");
    let entries = bench.control.entries("real").expect("known");
    let struck: Vec<&str> = entries
        .iter()
        .filter(|entry| entry.effects.iter().any(|effect| effect.what == "fault"))
        .map(|entry| entry.request.verb.as_str())
        .collect();
    assert_eq!(
        struck,
        ["rm", "exec", "exec"],
        "a list of its own world cannot be stale"
    );
}
