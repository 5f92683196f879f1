//! A tiny emulated runner and tiny drivers for the tests of the mock engine.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "shared by several test programs, each of which uses a part"
)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use driver_conformance::contract::moment::Moment;
use driver_conformance::contract::outcome::Outcome;
use driver_conformance::contract::protocol::{
    Action, CallId, CallSpec, Emulation, Event, KillSignal, ScriptFile, SignalResult,
};
use driver_conformance::contract::stage::{Program, Stage};
use driver_conformance::engine::directories::{CaseDirectories, best_parent};
use driver_conformance::engine::mock::{CallLabel, CaseEnvironment, JobRun, run_case};
use driver_conformance::plan::case::{JobOrder, Stimulus, StimulusAction, Trigger};
use driver_conformance::process::interrupt::Interrupt;
use driver_conformance::trace::{CallRecord, Trace};

/// Nonce of all markers in these tests.
pub const NONCE: &str = "0123456789abcdef";

/// The executable that becomes supervisors.
pub fn supervisor() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_driver-conformance"))
}

/// The command line in this directory, as it is outside of CI: there it keeps evidence in the current directory and folds
/// its output without being asked.
pub fn harness(directory: &Path) -> Command {
    let mut command = Command::new(supervisor());
    command
        .current_dir(directory)
        .env("NO_COLOR", "1")
        .env_remove("CI")
        .env_remove("GITLAB_CI")
        .env_remove("GITHUB_ACTIONS")
        .stdin(Stdio::null());
    command
}

/// An environment with bounds that suit tests.
pub fn environment() -> CaseEnvironment {
    let directories =
        CaseDirectories::new_in(&best_parent()).expect("private directories can be made");
    let mut environment = CaseEnvironment::new(supervisor(), directories);
    environment.survivor_grace = Duration::from_millis(200);
    environment
}

/// Writes a bash driver into the case's directories; `$1` is the program. The text may use `marker WORD`.
pub fn driver(environment: &CaseEnvironment, text: &str) -> String {
    let preamble = format!("#!/bin/bash\nmarker() {{ echo \"driver-conformance:{NONCE}:$1\"; }}\n");
    let path = environment.directories.root().join("driver");
    write_program(&path, &format!("{preamble}{text}\n"));
    path.to_str().expect("UTF-8").to_owned()
}

/// Writes a driver: a good one in `scenarios/drivers` that is one program `box`, with edits. Each place is there once.
pub fn write_edited_driver(directory: &Path, base: &str, edits: &[(&str, &str)]) {
    let drivers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/drivers");
    let program = fs::read_to_string(drivers.join(base).join("box"));
    let mut program = program.expect("the good driver is there");
    for (find, replace) in edits {
        assert_eq!(program.matches(find).count(), 1, "{find}");
        program = program.replace(find, replace);
    }
    fs::create_dir(directory).expect("made");
    write_program(&directory.join("box"), &program);
    for call in ["config", "prepare", "run", "cleanup"] {
        symlink("box", directory.join(call)).expect("linked");
    }
}

/// Writes an executable file, through another process: were it open for writing here, a process that another test starts
/// at that moment would hold it open for a while, and it could not be executed (ETXTBSY).
pub fn write_program(path: &Path, text: &str) {
    let source = path.with_extension("text");
    fs::write(&source, text).expect("written");
    let installed = Command::new("install")
        .args(["-m", "0755"])
        .args([&source, path])
        .status()
        .expect("install runs");
    assert!(installed.success());
    fs::remove_file(source).expect("removed");
}

/// A runner that makes one TMPDIR, makes the calls one after the other whatever they return, and ends. It has the
/// termination protocol of H1 and H3 on cancel; on interrupt it goes to cleanup.
pub struct TinyRunner {
    pub temp_dir: PathBuf,
    pub executable: String,
    pub environment: Vec<(String, String)>,
    pub calls: Vec<(Program, Option<Stage>)>,
    pub graceful: Duration,
    pub force: Duration,
    /// Output is appended to the job log.
    pub log_output: bool,
    position: usize,
    running: Option<CallId>,
    /// When to send SIGKILL, or to abandon.
    deadline: Option<(Moment, bool)>,
}

impl TinyRunner {
    /// All calls of a small job.
    pub fn small_job(environment: &CaseEnvironment, executable: &str, name: u32) -> Self {
        let calls = vec![
            (Program::Config, None),
            (Program::Prepare, None),
            (Program::Run, Some(Stage::GetSources)),
            (Program::Run, Some(Stage::build_script())),
            (Program::Cleanup, None),
        ];
        Self::with_calls(environment, executable, name, calls)
    }

    /// Just these calls.
    pub fn with_calls(
        environment: &CaseEnvironment,
        executable: &str,
        name: u32,
        calls: Vec<(Program, Option<Stage>)>,
    ) -> Self {
        let directories = &environment.directories;
        let temp_dir = directories
            .runner_temp()
            .join(format!("custom-executor{name}"));
        let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        Self {
            environment: vec![
                ("PATH".into(), environment.runner_path.clone()),
                ("HOME".into(), text(&directories.home())),
                ("TMPDIR".into(), text(&temp_dir)),
                (
                    "BUILD_EXIT_CODE_FILE".into(),
                    text(&temp_dir.join("build_exit_code")),
                ),
            ],
            temp_dir,
            executable: executable.to_owned(),
            calls,
            graceful: Duration::from_millis(200),
            force: Duration::from_millis(200),
            log_output: true,
            position: 0,
            running: None,
            deadline: None,
        }
    }

    fn next(&mut self) -> Vec<Action> {
        self.running = None;
        self.deadline = None;
        let Some((program, stage)) = self.calls.get(self.position).cloned() else {
            return vec![
                Action::RemoveTempDir {
                    path: self.temp_dir.clone(),
                },
                Action::Finish(Outcome::Success),
            ];
        };
        let number = u32::try_from(self.position).expect("few calls");
        self.position += 1;
        let id = CallId(number);
        self.running = Some(id);
        let mut args = vec![program.name().to_owned()];
        let script = stage.as_ref().map(|stage| {
            let dir = self.temp_dir.join(format!("script{number}"));
            let text = format!(
                "echo driver-conformance:{NONCE}:start\necho stage {stage}\necho driver-conformance:{NONCE}:end\n"
            );
            let path = dir.join("script");
            args.push(path.to_str().expect("UTF-8").to_owned());
            args.push(stage.driver_name());
            ScriptFile { dir, path, text: text.into() }
        });
        vec![Action::StartCall(Box::new(CallSpec {
            id,
            program,
            stage,
            nth: 1,
            attempt: 1,
            executable: self.executable.clone(),
            args,
            cwd: self.temp_dir.clone(),
            environment: self.environment.clone().into(),
            script,
            exit_code_file: self.temp_dir.join("build_exit_code"),
            read_exit_code_file_on: 1,
            stdout_to_runner: program == Program::Config,
        }))]
    }

    fn terminate(&mut self, now: Moment) -> Vec<Action> {
        let Some(call) = self.running else {
            return Vec::new();
        };
        self.deadline = Some((now + self.graceful, false));
        vec![Action::SignalGroup {
            call,
            signal: KillSignal::Term,
        }]
    }

    fn wake(&mut self, now: Moment) -> Vec<Action> {
        let (Some(call), Some((due, kill_sent))) = (self.running, self.deadline) else {
            return Vec::new();
        };
        if due > now {
            return Vec::new();
        }
        if kill_sent {
            let mut actions = vec![Action::Abandon { call }];
            actions.extend(self.next());
            return actions;
        }
        self.deadline = Some((now + self.force, true));
        vec![Action::SignalGroup {
            call,
            signal: KillSignal::Kill,
        }]
    }
}

impl Emulation for TinyRunner {
    fn handle(&mut self, event: Event, now: Moment) -> Vec<Action> {
        match event {
            Event::Begin => vec![Action::MakeTempDir {
                path: self.temp_dir.clone(),
                response_json: "{}\n".into(),
            }],
            Event::TempDirMade => self.next(),
            Event::CallNotStarted { call, .. } | Event::CallEnded { call, .. }
                if self.running == Some(call) =>
            {
                self.next()
            }
            Event::Output { data, .. } if self.log_output => vec![Action::JobLog(data)],
            Event::Cancel => self.terminate(now),
            Event::Interrupt(_) | Event::Abort => {
                let cleanup = self
                    .calls
                    .iter()
                    .position(|(program, _)| *program == Program::Cleanup);
                self.position = self.position.max(cleanup.unwrap_or(self.calls.len()));
                self.terminate(now)
            }
            Event::SignalSent {
                call,
                signal: KillSignal::Term,
                result: SignalResult::NoSuchProcess,
            } => {
                self.deadline = Some((now + self.graceful + self.force, true));
                vec![Action::SignalGroup {
                    call,
                    signal: KillSignal::Kill,
                }]
            }
            Event::Wake => self.wake(now),
            _ => Vec::new(),
        }
    }

    fn next_wake(&self) -> Option<Moment> {
        self.deadline.map(|(due, _)| due)
    }
}

/// A job whose calls all have [`NONCE`].
pub fn job(runner: TinyRunner, stimuli: Vec<Stimulus>) -> JobRun {
    JobRun {
        stimuli,
        labeller: Box::new(|_| CallLabel {
            nonce: Some(NONCE.to_owned()),
            probe: None,
        }),
        ..JobRun::plain(1, Box::new(runner))
    }
}

/// A stimulus on a marker of the build script.
pub fn on_marker(word: &str, action: StimulusAction) -> Stimulus {
    let when = Trigger::Marker {
        stage: Stage::build_script(),
        word: word.to_owned(),
    };
    Stimulus { when, action }
}

/// Runs one job of a small driver.
pub fn run_small_job(
    environment: &CaseEnvironment,
    driver_text: &str,
    stimuli: Vec<Stimulus>,
) -> Trace {
    let executable = driver(environment, driver_text);
    let runner = TinyRunner::small_job(environment, &executable, 1);
    run(
        environment,
        vec![job(runner, stimuli)],
        JobOrder::Sequential,
    )
}

/// Runs jobs that nobody interrupts.
pub fn run(environment: &CaseEnvironment, jobs: Vec<JobRun>, order: JobOrder) -> Trace {
    let interrupt = Interrupt::new().expect("pipes can be made");
    run_case(environment, jobs, order, &interrupt).expect("the engine works")
}

/// The call of this program, and stage if there is one.
pub fn call<'a>(trace: &'a Trace, program: Program, stage: Option<&Stage>) -> &'a CallRecord {
    trace
        .calls
        .iter()
        .find(|call| call.program == program && call.stage.as_ref() == stage)
        .expect("the call was made")
}

/// The build-script call.
pub fn build_script(trace: &Trace) -> &CallRecord {
    call(trace, Program::Run, Some(&Stage::build_script()))
}

/// Its standard output as text.
pub fn stdout(call: &CallRecord) -> String {
    String::from_utf8_lossy(&call.stdout.bytes).into_owned()
}

/// Whether a process exists and is not just an undead entry of the table.
pub fn is_alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .trim_start()
            .starts_with('Z')
    })
}

/// Waits until `condition` holds; panics with `what` after `patience`.
pub fn wait_until(what: &str, patience: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "{what} did not come true within {patience:?}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}
