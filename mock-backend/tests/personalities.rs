//! The personalities, each driven by a driver in the shape of those that use it.

mod bench;

use bench::{Bench, Case, Driver, wait_until};

/// The boxes of a case. Whatever the driver has asked for must be emulated.
fn boxes(bench: &mut Bench, tag: &str) -> Vec<String> {
    let content = bench.control.case(tag).expect("known");
    assert_eq!(content.not_emulated, [""; 0]);
    let boxes = content.objects.into_iter();
    let boxes = boxes.filter(|object| object.kind == "box");
    boxes.map(|object| object.name).collect()
}

/// A driver prepares twice, runs scripts that succeed and fail, and cleans up twice.
fn lives(bench: &mut Bench, driver: &Driver<'_>, tag: &str, name: &str) {
    for attempt in ["first", "second"] {
        let (code, text) = driver.call("prepare", 12);
        assert_eq!(code, 0, "the {attempt} prepare says {text}");
    }
    assert_eq!(driver.code("prepare", 1), 0, "another job");
    assert_eq!(
        driver.script(12, "#!/bin/sh\necho out\nexit 0\n"),
        (0, "out".into())
    );
    assert_eq!(driver.script(12, "#!/bin/sh\nexit 7\n").0, 73);
    assert!(boxes(bench, tag).contains(&name.to_owned()));
    for attempt in ["first", "second"] {
        let (code, text) = driver.call("cleanup", 12);
        assert_eq!(code, 0, "the {attempt} cleanup says {text}");
        assert!(!boxes(bench, tag).contains(&name.to_owned()));
    }
    assert_eq!(driver.script(12, "#!/bin/sh\ntrue\n").0, 74, "it is gone");
    assert_eq!(driver.code("cleanup", 1), 0);
    assert_eq!(boxes(bench, tag), [""; 0]);
}

/// A line is refused with a code and words.
fn refused(case: &Case, line: &str, code: i32, words: &str) {
    let output = case.output(line);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{line}: {text}");
    assert!(text.contains(words), "{line}: {text}");
}

#[test]
fn lxc_and_incus() {
    for tool in ["lxc", "incus"] {
        let mut bench = Bench::new(tool);
        let case = bench.case(tool);
        let mut driver = Driver::new(&case, "lxc");
        driver.set("TOOL", tool);
        lives(&mut bench, &driver, tool, "runner-1-job-12");
        let absent = "Failed checking instance exists \"local:a\": Instance not found";
        refused(&case, &format!("{tool} delete -f a"), 1, absent);
        refused(
            &case,
            &format!("{tool} info a"),
            1,
            "Error: Instance not found",
        );
        assert_eq!(case.code(&format!("{tool} launch images:alpine/3 a")), 0);
        let taken = "Instance \"a\" already exists";
        refused(&case, &format!("{tool} launch images:alpine/3 a"), 1, taken);
        refused(&case, &format!("{tool} start a"), 1, "already running");
        refused(
            &case,
            &format!("{tool} delete a"),
            1,
            "stop it first or pass --force",
        );
        refused(
            &case,
            &format!("{tool} exec a -- no-such"),
            127,
            "Command not found",
        );
        assert_eq!(
            case.code(&format!("{tool} exec a --env X=4 -- sh -c 'exit $X'")),
            4
        );
        assert_eq!(
            case.run(&format!("{tool} list -f csv -c ns")),
            (0, "a,RUNNING".into())
        );
        let up = format!("{tool} list --format json | grep -q '\"status\":\"RUNNING\"'");
        assert_eq!(case.code(&up), 0);
        assert_eq!(case.code(&format!("{tool} stop -f a")), 0);
        refused(&case, &format!("{tool} stop a"), 1, "already stopped");
        refused(
            &case,
            &format!("{tool} exec a -- true"),
            1,
            "Instance is not running",
        );
        assert_eq!(case.code(&format!("{tool} copy a b && {tool} start b")), 0);
        refused(&case, &format!("{tool} publish a"), 125, "not emulated");
    }
}

#[test]
fn files_are_pushed_to_instances_and_pulled() {
    let mut bench = Bench::new("incus");
    if !bench.is_isolated() {
        return;
    }
    let case = bench.case("files");
    let directory = tempfile::tempdir().expect("a directory");
    let place = directory.path().display();
    std::fs::write(directory.path().join("a"), "text").expect("written");
    let line = format!(
        "incus launch -e images:alpine/3 a >/dev/null && incus file push {place}/a a/root/b &&
         incus exec a -- cat /root/b && incus file pull a/root/b {place}/c"
    );
    assert_eq!(case.run(&line), (0, "text".into()));
    assert_eq!(case.code("incus stop -f a"), 0);
    assert_eq!(boxes(&mut bench, "files"), [""; 0], "it was ephemeral");
}

#[test]
fn nspawn() {
    let mut bench = Bench::new("nspawn");
    let case = bench.case("nspawn");
    let driver = Driver::new(&case, "nspawn");
    assert_eq!(driver.code("prepare", 12), 0);
    assert_eq!(
        driver.code("prepare", 12),
        74,
        "the machine is there already"
    );
    assert_eq!(driver.script(12, "echo out"), (0, "out".into()));
    assert_eq!(driver.script(12, "exit 7").0, 73);
    assert_eq!(driver.code("cleanup", 12), 0);
    assert_eq!(driver.code("cleanup", 12), 0);
    assert_eq!(driver.script(12, "true").0, 74);
    let unknown = "Could not terminate machine: No machine 'm' known";
    refused(&case, "machinectl terminate m", 1, unknown);
    refused(
        &case,
        "systemd-run --quiet --pipe --wait --machine=m sh",
        1,
        "Host is down",
    );
    refused(
        &case,
        "systemd-run systemd-nspawn -M m -D /no/such -b",
        1,
        "doesn't exist",
    );
    assert_eq!(case.code("sudo systemd-run -q systemd-nspawn -M m -b"), 0);
    assert_eq!(
        case.run("machinectl show m -p State --value"),
        (0, "running".into())
    );
    assert_eq!(case.code("systemd-run -P --wait -M m sh -c 'exit 5'"), 5);
    assert_eq!(case.code("machinectl shell root@m /bin/sh -c 'exit 5'"), 0);
    // It does not wait: the machine is still seen, and its name still taken.
    assert_eq!(
        case.code("machinectl terminate m && machinectl status m"),
        0
    );
    assert_eq!(boxes(&mut bench, "nspawn"), [""; 0], "it is going");
    wait_until("the end", || case.code("machinectl status m") == 1);
    refused(&case, "systemd-run cron", 125, "not emulated");
}

#[test]
fn enroot() {
    let mut bench = Bench::new("enroot");
    let case = bench.case("enroot");
    let driver = Driver::new(&case, "enroot");
    lives(&mut bench, &driver, "enroot", "runner-1-job-12");
    let directory = tempfile::tempdir().expect("a directory");
    let image = directory.path().join("i.sqsh");
    let image = image.display();
    refused(
        &case,
        &format!("enroot create -n a {image}"),
        1,
        "No such file or directory",
    );
    let import = format!("enroot import -o {image} docker://alpine");
    assert_eq!(case.code(&import), 0);
    refused(&case, &import, 1, "File already exists");
    assert_eq!(case.code(&format!("enroot create -n a {image}")), 0);
    refused(
        &case,
        &format!("enroot create -n a {image}"),
        1,
        "File already exists: a",
    );
    assert_eq!(case.code("enroot start a sh -c 'exit 3'"), 3);
    refused(
        &case,
        "enroot start b true",
        1,
        "No such file or directory: b",
    );
    assert_eq!(case.code("enroot remove -f a"), 0);
    refused(&case, "enroot remove -f a", 1, "No such file or directory");
    refused(&case, "enroot exec 1 sh", 125, "not emulated");
}

#[test]
fn what_enroot_keeps_is_on_its_disk_and_its_work_ends_with_it() {
    let mut bench = Bench::new("enroot");
    if !bench.is_isolated() {
        return;
    }
    let case = bench.case("kept");
    assert_eq!(
        case.code("enroot create -n a /etc/passwd && enroot start -w a sh -c 'echo x >/root/kept'"),
        0
    );
    assert_eq!(case.run("enroot start a cat /root/kept"), (0, "x".into()));
    let work = "enroot start a sh -c 'while :; do sleep 0.02; done'";
    let mut client = case
        .command(&format!("exec {work}"))
        .spawn()
        .expect("started");
    let is_up = |bench: &mut Bench| {
        let content = bench.control.case("kept").expect("known");
        content.objects.iter().any(|object| object.state.is_up())
    };
    wait_until("the beginning of the work", || is_up(&mut bench));
    client.kill().expect("killed");
    client.wait().expect("reaped");
    wait_until("the end of the work", || !is_up(&mut bench));
}

#[test]
fn udocker() {
    let mut bench = Bench::new("udocker");
    let case = bench.case("udocker");
    let driver = Driver::new(&case, "udocker");
    lives(&mut bench, &driver, "udocker", "runner-1-job-12");
    refused(&case, "udocker rm -f a", 1, "invalid container id a");
    refused(&case, "udocker run a true", 1, "not available");
    assert_eq!(case.code("udocker create --name=a alpine"), 0);
    refused(
        &case,
        "udocker create --name=a alpine",
        1,
        "container name already exists",
    );
    assert_eq!(case.code("udocker run -e X=4 a sh -c 'exit $X'"), 4);
    assert_eq!(case.code("udocker rm a"), 0);
    refused(&case, "udocker run alpine true", 125, "not emulated");
}

#[test]
fn tart() {
    let mut bench = Bench::new("tart");
    let case = bench.case("tart");
    let driver = Driver::new(&case, "tart");
    lives(&mut bench, &driver, "tart", "runner-1-job-12");
    refused(
        &case,
        "tart delete vm",
        2,
        "the specified VM \"vm\" does not exist",
    );
    refused(&case, "tart ip vm", 2, "does not exist");
    assert_eq!(case.code("tart clone ghcr.io/images/linux vm"), 0);
    refused(
        &case,
        "tart ip vm",
        1,
        "no IP address found, is your VM running?",
    );
    refused(&case, "tart stop vm", 2, "is not running");
    let mut tool = case.command("exec tart run vm").spawn().expect("started");
    wait_until("the address", || case.code("tart ip vm --wait 5") == 0);
    refused(&case, "tart run vm", 2, "already running");
    refused(&case, "tart delete vm", 2, "is running");
    assert_eq!(case.run("tart list --quiet"), (0, "vm".into()));
    assert_eq!(case.code("tart exec vm sh -c 'exit 4'"), 4);
    tool.kill().expect("killed");
    tool.wait().expect("reaped");
    wait_until("the end of the machine", || case.code("tart ip vm") == 1);
    assert_eq!(case.code("tart delete vm"), 0);
}

#[test]
fn slurm() {
    let mut bench = Bench::new("slurm");
    if !bench.is_isolated() {
        return;
    }
    let case = bench.case("slurm");
    let driver = Driver::new(&case, "slurm");
    assert_eq!(driver.code("prepare", 12), 0);
    assert_eq!(driver.script(12, "#!/bin/sh\necho out"), (0, "out".into()));
    assert_eq!(driver.script(12, "#!/bin/sh\nexit 7").0, 73);
    assert_eq!(driver.code("cleanup", 12), 0);
    assert_eq!(
        boxes(&mut bench, "slurm"),
        [""; 0],
        "what has ended is no leak"
    );
    refused(&case, "sbatch /no/such", 1, "Unable to open file /no/such");
    refused(&case, "scancel 7", 1, "Invalid job id specified");
    refused(&case, "squeue -j 7", 1, "Invalid job id specified");
    assert_eq!(case.run("sacct -n -j 7"), (0, String::new()));
    let place = driver.directory().display();
    let submit = format!("cd {place} && sbatch --parsable --wrap 'echo x >seen; sleep 60'");
    let (code, id) = case.run(&submit);
    assert_eq!(code, 0);
    wait_until("the start", || driver.directory().join("seen").exists());
    assert_eq!(
        case.run(&format!("squeue -h -j {id} -o '%i %T'")),
        (0, format!("{id} RUNNING"))
    );
    assert_eq!(case.code(&format!("scancel --quiet {id}")), 0);
    assert_eq!(case.code(&format!("scancel {id}")), 0, "once more");
    let state = format!("sacct -bn -j {id} | head -1 | tr -s ' ' | cut -d' ' -f 2");
    assert_eq!(case.run(&state), (0, "CANCELLED".into()));
    assert_eq!(
        case.code(&format!("cd {place} && sbatch -W --wrap 'exit 3'")),
        3
    );
    assert_eq!(
        case.code(&format!(
            "cd {place} && srun sh -c 'test -e seen && exit 6'"
        )),
        6
    );
    let steps = format!(
        "cd {place} && sbatch -W -o out --wrap 'srun sh -c \"exit 5\" || echo $?' && cat out"
    );
    assert_eq!(case.run(&steps).1.lines().last(), Some("5"));
    refused(&case, "sbatch --burst-buffer x y", 125, "not emulated");
}
