//! The personality libvirt, driven by a driver in the shape of those that use it.

mod bench;

use bench::{Bench, Driver, wait_until};

fn objects(bench: &mut Bench, tag: &str) -> Vec<String> {
    let content = bench.control.case(tag).expect("known");
    assert_eq!(content.not_emulated, [""; 0]);
    let kinds = content.objects.iter();
    kinds
        .map(|object| {
            let name = object.name.rsplit('/').next().unwrap_or_default();
            format!("{} {name}", object.kind)
        })
        .collect()
}

#[test]
fn a_driver_makes_a_machine_twice_and_cleans_up_twice() {
    let mut bench = Bench::new("libvirt");
    let case = bench.case("life");
    let driver = Driver::new(&case, "libvirt");
    let prepared = driver.call("prepare", 12);
    assert_eq!(prepared.0, 0, "{}", prepared.1);
    assert!(prepared.1.contains("Domain creation completed."));
    assert_eq!(driver.script(12, "echo here; exit 0"), (0, "here".into()));
    assert_eq!(driver.script(12, "exit 7").0, 73);
    assert_eq!(driver.code("prepare", 12), 0, "once more");
    assert_eq!(
        objects(&mut bench, "life"),
        [
            "disk base.qcow2",
            "disk runner-1-job-12.qcow2",
            "box runner-1-job-12"
        ]
    );
    for _ in 0..2 {
        assert_eq!(driver.call("cleanup", 12).0, 0);
        assert_eq!(objects(&mut bench, "life"), ["disk base.qcow2"]);
    }
}

#[test]
fn a_lost_machine_is_told_from_a_failed_script() {
    let mut bench = Bench::new("libvirt");
    let case = bench.case("lost");
    let driver = Driver::new(&case, "libvirt");
    assert_eq!(driver.code("prepare", 12), 0);
    let child = "virsh destroy runner-1-job-12 >&2";
    assert_eq!(case.code(child), 0);
    assert_eq!(driver.script(12, "true").0, 74);
    assert_eq!(driver.code("cleanup", 12), 0);
}

#[test]
fn wrong_states_are_refused_as_by_the_real_tools() {
    let mut bench = Bench::new("libvirt");
    let case = bench.case("wrong");
    let says = |line: &str, text: &str| {
        assert_eq!(case.code(line), 1, "{line}");
        assert!(case.errors(line).contains(text), "{}", case.errors(line));
    };
    let absent = "Domain not found: no domain with matching name 'vm'";
    for verb in [
        "destroy",
        "shutdown",
        "undefine",
        "domstate",
        "domifaddr",
        "start",
    ] {
        says(&format!("virsh {verb} vm"), absent);
    }
    says(
        "virt-install --name vm --disk none.qcow2 --import",
        "Size must be specified for non existent volume",
    );
    assert_eq!(case.code("virt-install --name vm --import"), 0);
    says(
        "virt-install --name vm --import",
        "Guest name 'vm' is already in use.",
    );
    says("virsh start vm", "Domain is already active");
    assert_eq!(
        case.run("virsh -q domifaddr vm"),
        (0, String::new()),
        "not yet"
    );
    let address = case
        .run("virsh -q domifaddr vm | awk '{print $4}' | cut -d/ -f1")
        .1;
    assert_eq!(
        case.run(&format!("ssh ci@{address} -v 'echo $((1 + 1)); exit 3'")),
        (3, "2".into())
    );
    assert_eq!(case.code("virsh destroy vm"), 0);
    says(
        "virsh destroy vm",
        "Requested operation is not valid: domain is not running",
    );
    says("virsh shutdown vm", "Failed to shutdown domain 'vm'");
    says("virsh domifaddr vm", "domain is not running");
    assert_eq!(case.code(&format!("ssh {address} true")), 255);
    assert_eq!(case.code("ssh nowhere true"), 255);
    assert_eq!(case.code("scp nowhere:/x ."), 255);
    assert_eq!(case.run("virsh list --name"), (0, String::new()));
    assert_eq!(case.run("virsh list --all --name"), (0, "vm".into()));
    assert_eq!(case.run("virsh domstate vm"), (0, "shut off".into()));
    assert_eq!(case.code("virsh undefine vm"), 0);
    assert!(
        case.errors("virsh migrate vm")
            .contains("not emulated: virsh migrate")
    );
}

#[test]
fn shutdown_does_not_wait_and_what_is_undefined_meanwhile_goes_with_its_end() {
    let mut bench = Bench::new("libvirt");
    let case = bench.case("later");
    assert_eq!(case.code("virt-install --name vm --import"), 0);
    assert_eq!(case.code("virsh undefine vm && virsh domstate vm"), 0);
    assert_eq!(case.code("virsh shutdown vm"), 0);
    wait_until("the end of the machine", || {
        case.code("virsh domstate vm") == 1
    });
}

#[test]
fn disks_are_files_and_go_with_their_machine_only_if_that_is_asked() {
    let mut bench = Bench::new("libvirt");
    let case = bench.case("disks");
    let directory = tempfile::tempdir().expect("a directory");
    let disk = directory.path().join("d.qcow2");
    let disk = disk.display();
    let make = format!("qemu-img create -f qcow2 {disk} 1G");
    assert_eq!(case.code(&make), 0);
    assert_eq!(
        case.code(&format!(
            "virt-install --name vm --disk path={disk},bus=virtio --import"
        )),
        0
    );
    assert!(case.errors(&make).contains("Failed to get \"write\" lock"));
    assert_eq!(case.code(&format!("qemu-img info {disk}")), 0);
    assert_eq!(
        case.code(&format!("qemu-img create -b {disk}.none {disk}.x")),
        1
    );
    assert_eq!(case.code("virsh destroy vm && virsh undefine vm"), 0);
    assert_eq!(objects(&mut bench, "disks"), ["disk d.qcow2"], "it stays");
    std::fs::remove_file(directory.path().join("d.qcow2")).expect("there");
    assert_eq!(objects(&mut bench, "disks"), [""; 0]);
    let all =
        format!("{make} && virt-install --name vm --disk {disk} --import && virsh destroy vm");
    assert_eq!(case.code(&all), 0);
    assert_eq!(case.code("virsh undefine vm --remove-all-storage"), 0);
    assert_eq!(objects(&mut bench, "disks"), [""; 0]);
    assert!(!directory.path().join("d.qcow2").exists());
}

#[test]
fn files_go_to_machines_and_back_and_a_machine_that_dies_ends_its_connections() {
    let mut bench = Bench::new("libvirt");
    if !bench.is_isolated() {
        return;
    }
    let case = bench.case("remote");
    let directory = tempfile::tempdir().expect("a directory");
    let place = directory.path().display();
    std::fs::write(directory.path().join("a"), "text").expect("written");
    assert_eq!(
        case.code("virt-install --name vm --import && virsh domifaddr vm"),
        0
    );
    let copy = format!(
        "scp -q {place}/a root@vm:there && ssh vm cat /root/there && scp vm:there {place}/b"
    );
    assert_eq!(case.run(&copy), (0, "text".into()));
    let key = format!("ssh-keygen -q -t ed25519 -N '' -f {place}/key");
    assert_eq!((case.code(&key), case.code(&key)), (0, 1));
    assert_eq!(case.code("ssh-keygen -f known_hosts -R vm"), 0);
    let mut child = case
        .command("exec ssh vm 'echo x >/tmp/started; sleep 60'")
        .spawn()
        .expect("started");
    wait_until("the start", || {
        case.code("ssh vm test -s /tmp/started") == 0
    });
    assert_eq!(case.code("virsh destroy vm"), 0);
    assert_eq!(child.wait().expect("it ends").code(), Some(255));
}
