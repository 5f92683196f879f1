//! A backend and its cases, for tests.
#![allow(dead_code, reason = "each test file uses another part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use driver_conformance_mock_backend::Isolation;
use driver_conformance_mock_backend::client::{BackendProcess, Control, Wanted};
use driver_conformance_mock_backend::faults::{Fault, FaultKind, Trigger};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Bench {
    // Before the directory, so that it ends first.
    pub(crate) backend: BackendProcess,
    pub(crate) control: Control,
    _directory: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new(personality: &str) -> Self {
        Self::before(personality, None)
    }

    /// In front of the tools in this directory.
    pub(crate) fn before(personality: &str, tools: Option<&Path>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let wanted = Wanted {
            personality: personality.to_owned(),
            real: tools.map(|tools| tools.to_string_lossy().into_owned()),
        };
        let root = directory.path().join("backend");
        let backend = BackendProcess::start(executable(), &root, &wanted).expect("it starts");
        let control = backend.control().expect("it listens");
        Self {
            backend,
            control,
            _directory: directory,
        }
    }

    pub(crate) fn case(&mut self, tag: &str) -> Case {
        let shims = self.control.open_case(tag).expect("a case");
        Case { shims }
    }

    /// Whether boxes are kept from this machine; else most of what happens in them cannot be tested.
    #[expect(clippy::print_stderr, reason = "whoever runs the tests must see it")]
    pub(crate) fn is_isolated(&self) -> bool {
        let isolated = self.backend.status().isolation != Isolation::Plain;
        if !isolated {
            eprintln!("not tested: this machine allows no namespaces");
        }
        isolated
    }

    pub(crate) fn arm(&mut self, tag: &str, kind: FaultKind, verb: &str) -> u64 {
        let trigger = Trigger {
            tag: Some(tag.to_owned()),
            verb: Some(verb.to_owned()),
            ..Trigger::default()
        };
        self.control.arm(&Fault { kind, trigger }).expect("armed")
    }
}

fn executable() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_mock-backend"))
}

pub(crate) struct Case {
    pub(crate) shims: PathBuf,
}

impl Case {
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new("sh");
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .arg("-c")
            .arg(line)
            .env("PATH", format!("{}:{path}", self.shims.display()));
        command
    }

    pub(crate) fn output(&self, line: &str) -> Output {
        let mut command = self.command(line);
        command.stdin(Stdio::null()).output().expect("sh is there")
    }

    /// Code and output of a line of shell.
    pub(crate) fn run(&self, line: &str) -> (i32, String) {
        let output = self.output(line);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (
            output.status.code().unwrap_or(-1),
            text.trim_end().to_owned(),
        )
    }

    pub(crate) fn code(&self, line: &str) -> i32 {
        self.run(line).0
    }

    pub(crate) fn errors(&self, line: &str) -> String {
        String::from_utf8_lossy(&self.output(line).stderr).into_owned()
    }
}

pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} does not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A driver of the tests: one program with the subcommands prepare, run and cleanup, in a case of its own.
pub(crate) struct Driver<'a> {
    case: &'a Case,
    script: PathBuf,
    /// For its files; it is its working directory.
    directory: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

impl<'a> Driver<'a> {
    /// Takes the driver `tests/drivers/NAME.sh`.
    pub(crate) fn new(case: &'a Case, name: &str) -> Self {
        let drivers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drivers");
        Self {
            case,
            script: drivers.join(name).with_extension("sh"),
            directory: tempfile::tempdir().expect("a directory"),
            environment: Vec::new(),
        }
    }

    /// Gives it a variable.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// The driver's files.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Calls it for a job; code and all output.
    pub(crate) fn call(&self, subcommand: &str, job: u32) -> (i32, String) {
        let line = format!("exec sh {} {subcommand} 2>&1", self.script.display());
        let mut command = self.case.command(&line);
        command
            .env("JOB", job.to_string())
            .envs(self.environment.iter().cloned())
            .current_dir(self.directory.path());
        let output = command.stdin(Stdio::null()).output().expect("sh is there");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code().unwrap_or(-1), text)
    }

    /// The code of a call.
    pub(crate) fn code(&self, subcommand: &str, job: u32) -> i32 {
        self.call(subcommand, job).0
    }

    /// Has it run a script; code and all output.
    pub(crate) fn script(&self, job: u32, script: &str) -> (i32, String) {
        let path = self.directory.path().join("script");
        std::fs::write(&path, script).expect("written");
        let (code, text) = self.call(&format!("run {}", path.display()), job);
        (code, text.trim_end().to_owned())
    }
}
