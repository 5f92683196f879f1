//! The good driver for Podman on the real Podman, called through the shims that record it, also with faults; and one that
//! leaks.
//!
//! It takes root, Podman, runc, netavark and iptables. Elsewhere it says that it was left out, and why. Containers, images and
//! settings are its own: nothing of the machine's Podman is touched.

mod support;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use driver_conformance::driver::tools::find_in_path;
use driver_conformance_reports::model::{Report, Verdict};

/// The image of the jobs: a shell and what scripts of the suite use.
const IMAGE: &str = "localhost/driver-conformance-shell:latest";
/// What the image holds beside a shell.
const TOOLS: [&str; 30] = [
    "bash", "basename", "cat", "chmod", "cp", "cut", "date", "dd", "dirname", "env", "grep",
    "head", "id", "ln", "ls", "mkdir", "mktemp", "mv", "readlink", "rm", "sed", "seq", "setsid",
    "sleep", "stat", "tail", "touch", "tr", "uname", "wc",
];
/// Limits are low: where they cannot be raised, containers with higher ones do not start.
const CONTAINERS_CONF: &str = r#"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
netns = "none"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
"#;
/// What lists containers, and nothing else: each look takes its time. Volumes and networks are counted here.
const LIST: &str = "podman ps --all --format '{{.Names}}'";
/// The cases that are run: containers are slow to start.
const CASES: [&str; 2] = [
    "job/failing-script",
    "signal/build-script/action:cancel/script:heed-term",
];
/// The fault points that are tried, one of each sort that takes a backend of its own: the tool fails although a container was
/// made, the driver is killed while a script runs in one, a container ends by itself, and one is not removed at first. Each
/// lets the driver clean up twice.
const POINTS: [&str; 4] = [
    "faults/prepare/*-podman-run/reply-lost",
    "faults/run-build_script/3-podman-exec/kill-after",
    "faults/run-build_script/3-podman-exec/object-dies",
    "faults/cleanup/1-podman-rm/error-before-effect",
];

/// A Podman of its own.
struct Podman {
    directory: tempfile::TempDir,
}

impl Podman {
    /// `Err`: why there is none.
    fn new() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("it takes root".to_owned());
        }
        let absent = ["podman", "runc", "iptables", "tar"]
            .into_iter()
            .find(|tool| find_in_path(tool).is_none());
        if let Some(tool) = absent {
            return Err(format!("{tool} is not on this machine"));
        }
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let podman = Self { directory };
        fs::write(podman.path("containers.conf"), CONTAINERS_CONF).expect("written");
        fs::write(podman.path("storage.conf"), podman.storage()).expect("written");
        podman.import()?;
        let tried = podman.run(&["run", "--rm", IMAGE, "true"]);
        let why = String::from_utf8_lossy(&tried.stderr).into_owned();
        tried.status.success().then_some(podman).ok_or(why)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn storage(&self) -> String {
        format!(
            "[storage]\ndriver = \"vfs\"\nrunroot = \"{}\"\ngraphroot = \"{}\"\n",
            self.path("run").display(),
            self.path("graph").display()
        )
    }

    /// What tells Podman where its things are.
    fn environment(&self) -> [(&'static str, PathBuf); 2] {
        [
            ("CONTAINERS_CONF", self.path("containers.conf")),
            ("CONTAINERS_STORAGE_CONF", self.path("storage.conf")),
        ]
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new("podman")
            .args(arguments)
            .envs(self.environment())
            .stdin(Stdio::null())
            .output()
            .expect("podman can be started")
    }

    /// Makes the image from programs of this machine and their libraries.
    fn import(&self) -> Result<(), String> {
        let root = self.path("root");
        for place in ["bin", "tmp", "etc", "root", "usr", "var/tmp"] {
            fs::create_dir_all(root.join(place)).expect("made");
        }
        for (target, link) in [("bash", "bin/sh"), ("../bin", "usr/bin"), ("bin", "sbin")] {
            symlink(target, root.join(link)).expect("made");
        }
        for tool in TOOLS.iter().chain(&["true"]) {
            copy_with_libraries(tool, &root);
        }
        let archive = self.path("image.tar");
        let mut pack = Command::new("tar");
        pack.arg("-C").arg(&root).arg("-cf").arg(&archive).arg(".");
        let packed = succeeds(&mut pack);
        let imported = self.run(&["import", &archive.to_string_lossy(), IMAGE]);
        let why = String::from_utf8_lossy(&imported.stderr).into_owned();
        (packed && imported.status.success())
            .then_some(())
            .ok_or(why)
    }

    /// Everything that a driver may leave.
    fn objects(&self) -> Vec<String> {
        let lists = [
            vec!["ps", "--all", "--quiet"],
            vec!["volume", "ls", "--quiet"],
            vec!["network", "ls", "--quiet"],
        ];
        let shown = lists.iter().map(|list| self.run(list).stdout);
        let text: Vec<u8> = shown.flatten().collect();
        String::from_utf8_lossy(&text)
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Runs the suite on a driver, or a subcommand.
    fn judged(&self, subcommand: Option<&str>, driver: &Path, cases: &[&str]) -> Report {
        let file = self.path("report.json");
        let mut command = support::harness(self.directory.path());
        command
            .args(subcommand)
            .arg(driver)
            .args(["--backend", "real:podman", "--list", LIST])
            .args(["--image", IMAGE, "--jobs", "1"])
            .envs(self.environment());
        for (name, _) in self.environment() {
            command.args(["--host-env", name]);
        }
        command.args(cases.iter().flat_map(|case| ["--only", case]));
        command
            .arg("--report")
            .arg(format!("json={}", file.display()));
        let output = command.output().expect("runs");
        let text = fs::read_to_string(&file);
        let text = text.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        serde_json::from_str(&text).expect("a report")
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        self.run(&["rm", "--all", "--force", "--time", "0"]);
        self.run(&["volume", "prune", "--force"]);
        self.run(&["network", "prune", "--force"]);
    }
}

fn succeeds(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}

/// Copies a program of this machine, and the libraries that it says it needs.
fn copy_with_libraries(tool: &str, root: &Path) {
    let Some(program) = find_in_path(tool) else {
        return;
    };
    fs::copy(&program, root.join("bin").join(tool)).expect("copied");
    let listed = Command::new("ldd").arg(&program).output();
    let text = listed.map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let libraries = text.split_whitespace().filter(|word| word.starts_with('/'));
    for library in libraries {
        let target = root.join(library.trim_start_matches('/'));
        fs::create_dir_all(target.parent().expect("below the root")).expect("made");
        fs::copy(library, target).expect("copied");
    }
}

fn good_driver() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/drivers/good-podman")
}

/// The good driver, but for containers and networks that stay.
fn leaking_driver(directory: &Path) {
    let text = fs::read_to_string(good_driver().join("pod")).expect("readable");
    let removal = "podman rm --force --time 0 --volumes \"$name\" >/dev/null || code=1";
    assert_eq!(text.matches(removal).count(), 1, "the driver has changed");
    let checked = "! exists container ||";
    let text = text.replace(removal, ":").replace(checked, "true ||");
    let text = text.replace("    remove_volume ||", "    true ||");
    let text = text.replace("podman network rm --force", ": podman network rm --force");
    fs::create_dir(directory).expect("made");
    fs::write(directory.join("pod"), text).expect("written");
    succeeds(Command::new("chmod").arg("+x").arg(directory.join("pod")));
    for program in ["config", "prepare", "run", "cleanup"] {
        symlink("pod", directory.join(program)).expect("made");
    }
}

#[test]
fn the_good_driver_conforms_on_the_real_podman_also_with_faults_and_a_leak_is_found_there() {
    let podman = match Podman::new() {
        Ok(podman) => podman,
        Err(reason) => {
            // Past the test runner: nobody should take this for a success.
            let _ = writeln!(
                std::io::stderr(),
                "note: the test on the real Podman is left out: {reason}"
            );
            return;
        }
    };
    let before = podman.objects();
    let report = podman.judged(None, &good_driver(), &CASES);
    assert_eq!(report.verdict, Verdict::Pass, "{:#?}", report.findings);
    assert_eq!(report.summary.passed, CASES.len());
    assert_eq!(podman.objects(), before, "nothing is left");

    let report = podman.judged(Some("faults"), &good_driver(), &POINTS);
    assert_eq!(report.verdict, Verdict::Pass, "{:#?}", report.findings);
    let summary = &report.summary;
    let points = (summary.fault_points_covered, summary.fault_points_total);
    assert_eq!(points, (POINTS.len(), POINTS.len()));
    // Nothing else is noted, such as that two jobs do not work side by side.
    let recorded = "the real podman was called through shims that recorded it";
    let left_out =
        "what only a mock backend can do is left out: disk-full, late-delete, stale-list";
    assert_eq!(report.notes, [recorded, left_out]);
    assert_eq!(podman.objects(), before, "nothing is left after faults");

    let leaking = podman.path("leaking");
    leaking_driver(&leaking);
    let report = podman.judged(None, &leaking, &["cleanup/no-stage"]);
    let found: Vec<&str> = report
        .findings
        .iter()
        .map(|finding| finding.check.as_str())
        .collect();
    assert!(
        found.contains(&"leak-backend/left-after-cleanup"),
        "{:#?}",
        report.findings
    );
    assert_ne!(podman.objects(), before, "it is really there");
}
