//! A recording driver: does in each call what a golden trace's `inputs.behaviours` say, and records what it saw.
//!
//! Started under the name of one of the four programs (`run_exec` …, a symbolic link). The directory in `REC_DIR` holds
//! `plan.json` (`job`, `behaviours`), and gets `record.jsonl`: one JSON object a line for the start of a call, each
//! SIGTERM, and its end. A call that was killed has no end.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::future::Future;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use driver_conformance::contract::protocol::Stream;
use driver_conformance::contract::stage::{Program, Stage};
use driver_conformance::engine::simulation::behaviour::{
    Child, OnTerm, Step, parse_behaviours, parse_program,
};
use serde_json::{Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

/// First line on stderr: the call has begun, its handler for SIGTERM stands, and its start is recorded.
const BEGUN: &str = "scripted-driver: begun\n";
/// First argument of a child process.
const CHILD: &str = "scripted-driver-child";

fn main() -> io::Result<()> {
    // Whoever runs the tests may have another one; the recordings had this.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|first| first == CHILD) {
        return runtime.block_on(child(&arguments[2..]));
    }
    runtime.block_on(call(arguments))
}

/// The process of one call.
struct Driver {
    program: Program,
    stage: Option<Stage>,
    nth: u32,
    record: PathBuf,
    term: Signal,
    on_term: OnTerm,
}

/// Plays one call to its end.
async fn call(argv: Vec<String>) -> io::Result<()> {
    let term = signal(SignalKind::terminate())?;
    let home = PathBuf::from(std::env::var_os("REC_DIR").unwrap_or_default());
    let name = Path::new(&argv[0]).file_name().and_then(OsStr::to_str);
    let program = name
        .and_then(parse_program)
        .ok_or_else(|| io::Error::other("not started under the name of a program"))?;
    let is_run = program == Program::Run;
    let stage = argv
        .last()
        .filter(|_| is_run)
        .map(|name| Stage::from_driver_name(name));
    let plan: Value = serde_json::from_slice(&std::fs::read(home.join("plan.json"))?)?;
    let record = home.join("record.jsonl");
    let nth = 1 + earlier_calls(&record, program, stage.as_ref());
    let behaviours = parse_behaviours(&plan["behaviours"]).map_err(io::Error::other)?;
    let job = plan["job"].as_i64().unwrap_or_default();
    let rule = behaviours
        .iter()
        .find(|rule| rule.fits(program, stage.as_ref(), nth, job));
    let steps = match rule {
        Some(rule) => rule.steps.clone(),
        None if matches!(program, Program::Prepare | Program::Run) => vec![Step::Hello],
        None => Vec::new(),
    };
    let mut driver = Driver {
        program,
        stage,
        nth,
        record,
        term,
        on_term: OnTerm::Die,
    };
    driver.note(&driver.start(&argv));
    driver.print(BEGUN.as_bytes(), Stream::Stderr);
    for step in steps {
        driver.perform(step).await;
    }
    driver.exit(0)
}

/// How many calls of the same program and stage the record knows.
fn earlier_calls(record: &Path, program: Program, stage: Option<&Stage>) -> u32 {
    let text = std::fs::read_to_string(record).unwrap_or_default();
    let stage = stage.map(ToString::to_string);
    let same = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|entry| {
            entry["event"] == "start"
                && entry["exec"] == program.name()
                && entry["stage"].as_str() == stage.as_deref()
        });
    u32::try_from(same.count()).unwrap_or(u32::MAX)
}

impl Driver {
    fn note(&self, entry: &Value) {
        let line = format!("{entry}\n");
        let opened = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.record);
        // Without a record the comparison fails, which says it better than anything here could.
        let _written = opened.and_then(|mut file| file.write_all(line.as_bytes()));
    }

    fn note_signal(&self) {
        self.note(
            &json!({"event": "signal", "pid": std::process::id(), "sig": "SIGTERM", "t": now()}),
        );
    }

    fn note_end(&self, how: &str) {
        self.note(&json!({"event": "end", "pid": std::process::id(), "how": how, "t": now()}));
    }

    /// What a call sees at its first instruction.
    fn start(&self, argv: &[String]) -> Value {
        let block = environment_block();
        let environment: BTreeMap<String, String> = block.iter().cloned().collect();
        let temp_dir = environment.get("TMPDIR").cloned().unwrap_or_default();
        let response = environment.get("JOB_RESPONSE_FILE").map(Path::new);
        let script = (self.program == Program::Run && argv.len() >= 3)
            .then(|| script(Path::new(&argv[argv.len() - 2])));
        let cwd = std::env::current_dir().map(|path| lossy(path.as_os_str()));
        let own = rustix::process::getpid();
        let session = |pid| rustix::process::getsid(pid).ok();
        json!({
            "event": "start",
            "pid": std::process::id(),
            "t": now(),
            "exec": self.program.name(),
            "stage": self.stage.as_ref().map(ToString::to_string),
            "nth": self.nth,
            "argv": argv,
            "cwd": cwd.unwrap_or_default(),
            "environment": environment,
            "env_dups": duplicated(&block),
            "tmp_listing": listing(Path::new(&temp_dir)),
            "tmp_mode": mode(Path::new(&temp_dir)),
            "fds": descriptors(),
            "stdout_is_stderr": same_file("/proc/self/fd/1", "/proc/self/fd/2"),
            "own_group": rustix::process::getpgid(None).ok() == Some(own),
            "same_session_as_runner": session(None) == session(rustix::process::getppid()),
            "script": script,
            "job_response": response.map(job_response),
        })
    }

    async fn perform(&mut self, step: Step) {
        match step {
            Step::Hello => {
                let line = self.hello_line();
                self.print(line.as_bytes(), Stream::Stdout);
            }
            Step::Print { text, times, to } => self.print(&text.repeat(times as usize), to),
            Step::Sleep {
                length,
                tick,
                tick_to,
            } => self.sleep(length, tick, tick_to).await,
            Step::OnTerm(on_term) => self.on_term = on_term,
            Step::WriteExitFile(text) => write(&variable_path("BUILD_EXIT_CODE_FILE"), &text),
            Step::MakeExitDirectory => {
                let _there_already = std::fs::create_dir(variable_path("BUILD_EXIT_CODE_FILE"));
            }
            Step::Touch(name) => write(&variable_path("TMPDIR").join(name), ""),
            Step::RemoveTree(variable) => {
                let _gone_already = std::fs::remove_dir_all(variable_path(&variable));
            }
            Step::Close(descriptors) => close(&descriptors),
            Step::Spawn(child) => spawn(&child),
            Step::RunScript => self.run_script(),
            Step::KillSelf(signal) => self.die(&format!("kill self {signal}"), signal, "$$"),
            Step::KillGroup(signal) => self.die(&format!("kill group {signal}"), signal, "0"),
            Step::ExitWithVariable(name) => {
                let code = std::env::var(name).ok().and_then(|code| code.parse().ok());
                self.exit(code.unwrap_or(0));
            }
            Step::Exit(code) => self.exit(code),
        }
    }

    fn hello_line(&self) -> String {
        let stage = self
            .stage
            .as_ref()
            .map_or_else(|| "-".to_owned(), ToString::to_string);
        format!(
            "[drv] {} {stage} #{}\n",
            self.program.config_key(),
            self.nth
        )
    }

    fn print(&self, data: &[u8], stream: Stream) {
        if put(data, stream).is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
            && self.on_term == OnTerm::Die
        {
            self.die("dies by SIGPIPE", libc::SIGPIPE, "$$");
        }
    }

    async fn sleep(&mut self, length: Duration, tick: Option<Duration>, to: Stream) {
        let until = Instant::now() + length;
        let every = tick.filter(|every| !every.is_zero());
        let mut next_tick = every.map(|every| Instant::now() + every);
        loop {
            let next = next_tick.map_or(until, |tick| tick.min(until));
            tokio::select! {
                _ = self.term.recv() => self.terminated().await,
                () = tokio::time::sleep_until(next) => {
                    if next >= until {
                        return;
                    }
                    self.print(b"tick\n", to);
                    next_tick = every.map(|every| next + every);
                }
            }
        }
    }

    async fn terminated(&mut self) {
        self.note_signal();
        match self.on_term {
            OnTerm::Ignore => {}
            OnTerm::Die => self.die("dies by SIGTERM", libc::SIGTERM, "$$"),
            OnTerm::Exit(code) => self.exit(code),
            OnTerm::ExitAfter(wait, code) => {
                let until = Instant::now() + wait;
                while signalled_before(&mut self.term, tokio::time::sleep_until(until)).await {
                    self.note_signal();
                }
                self.exit(code)
            }
        }
    }

    fn run_script(&self) {
        let Some(script) = std::env::args().rev().nth(1) else {
            return;
        };
        let status = Command::new(&script).status();
        let code = status.ok().and_then(|status| status.code()).unwrap_or(1);
        if code != 0 {
            write(&variable_path("BUILD_EXIT_CODE_FILE"), &format!("{code}\n"));
            let failure = std::env::var("BUILD_FAILURE_EXIT_CODE");
            self.exit(failure.ok().and_then(|code| code.parse().ok()).unwrap_or(1));
        }
    }

    fn exit(&self, code: i32) -> ! {
        self.note_end(&format!("exit {code}"));
        std::process::exit(code)
    }

    /// Dies of a signal. A shell does it in this process: starting it takes the handlers away.
    fn die(&self, how: &str, signal: i32, target: &str) -> ! {
        self.note_end(how);
        let text = format!("kill -{signal} {target}");
        let error = Command::new("/bin/sh").args(["-c", &text]).exec();
        self.note_end(&format!("{how}, but there is no shell: {error}"));
        std::process::exit(99)
    }
}

/// Whether SIGTERM comes before something else.
async fn signalled_before(term: &mut Signal, other: impl Future<Output = ()>) -> bool {
    tokio::select! {
        _ = term.recv() => true,
        () = other => false,
    }
}

/// A child of a call: `hold` or `free`, session, life, tick, behaviour on SIGTERM.
async fn child(arguments: &[String]) -> io::Result<()> {
    let number = |index: usize| arguments[index].parse::<f64>().unwrap_or_default();
    let mut term = signal(SignalKind::terminate())?;
    if arguments[0] == "own-session" {
        rustix::process::setsid()?;
    }
    // The parent waits for this.
    rustix::io::write(rustix::stdio::stdin(), b"r")?;
    let until = Instant::now() + Duration::from_secs_f64(number(1));
    let every = Some(number(2))
        .filter(|every| *every > 0.0)
        .map(Duration::from_secs_f64);
    let is_deaf = arguments[3] == "deaf";
    let mut next_tick = every.map(|every| Instant::now() + every);
    loop {
        let next = next_tick.map_or(until, |tick| tick.min(until));
        if signalled_before(&mut term, tokio::time::sleep_until(next)).await {
            if is_deaf {
                continue;
            }
            return Ok(());
        }
        if next >= until || (put(b"child output\n", Stream::Stdout).is_err() && !is_deaf) {
            return Ok(());
        }
        next_tick = every.map(|every| next + every);
    }
}

/// Starts a child and waits until it is in the group where it will stay.
fn spawn(child: &Child) {
    let session = if child.own_session {
        "own-session"
    } else {
        "same-session"
    };
    let seconds = |length: Duration| length.as_secs_f64().to_string();
    let ears = if child.on_term == OnTerm::Die {
        "hearing"
    } else {
        "deaf"
    };
    let Ok((mut ours, theirs)) = UnixStream::pair() else {
        return;
    };
    let output = || {
        if child.holds_output {
            Stdio::inherit()
        } else {
            Stdio::null()
        }
    };
    let started = Command::new("/proc/self/exe")
        .args([CHILD, session, &seconds(child.life)])
        .args([&seconds(child.tick.unwrap_or_default()), ears])
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
        .stdout(output())
        .stderr(output())
        .spawn();
    if started.is_ok() {
        let _ready = io::Read::read(&mut ours, &mut [0]);
    }
}

/// Writes past the buffers of the standard library: every print is seen at once.
fn put(data: &[u8], stream: Stream) -> io::Result<()> {
    let mut rest = data;
    while !rest.is_empty() {
        let written = match stream {
            Stream::Stdout => rustix::io::write(rustix::stdio::stdout(), rest),
            Stream::Stderr => rustix::io::write(rustix::stdio::stderr(), rest),
        };
        match written {
            Ok(count) => rest = &rest[count..],
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Lets go of pipes: the descriptors lead nowhere then, which is the same to their readers.
fn close(descriptors: &[u32]) {
    let Ok(nowhere) = OpenOptions::new().read(true).write(true).open("/dev/null") else {
        return;
    };
    for descriptor in descriptors {
        let _closed = match descriptor {
            1 => rustix::stdio::dup2_stdout(&nowhere),
            2 => rustix::stdio::dup2_stderr(&nowhere),
            _ => Ok(()),
        };
    }
}

/// A driver does not look at whether it could write.
fn write(path: &Path, text: &str) {
    let _written = std::fs::write(path, text);
}

fn variable_path(name: &str) -> PathBuf {
    PathBuf::from(std::env::var_os(name).unwrap_or_default())
}

fn lossy(text: &OsStr) -> String {
    text.to_string_lossy().into_owned()
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}

/// Permission bits in octal; null where there is nothing.
fn mode(path: &Path) -> Value {
    std::fs::metadata(path)
        .map(|metadata| Value::from(format!("{:o}", metadata.mode() & 0o7777)))
        .unwrap_or_default()
}

fn script(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap_or_default();
    let head = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    json!({
        "path": path,
        "mode": mode(path),
        "dirmode": path.parent().map(mode),
        "head": lossy(OsStr::from_bytes(head)),
    })
}

fn job_response(path: &Path) -> Value {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) => return json!({"error": error.to_string()}),
    };
    let response: Value = serde_json::from_slice(&text).unwrap_or_default();
    let mut keys: Vec<&String> = response
        .as_object()
        .map(|object| object.keys().collect())
        .unwrap_or_default();
    keys.sort();
    json!({"mode": mode(path), "keys": keys, "id": response["id"], "token": response["token"]})
}

/// All that is in a directory: relative path, type and mode in octal.
fn listing(root: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![root.to_path_buf()];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let path = entry.path();
            let relative = path.strip_prefix(root).unwrap_or(&path);
            found.push((
                lossy(relative.as_os_str()),
                format!("{:06o}", metadata.mode()),
            ));
            if metadata.is_dir() {
                waiting.push(path);
            }
        }
    }
    found
}

/// What the three standard descriptors are.
fn descriptors() -> BTreeMap<String, String> {
    let kind = |descriptor: u32| {
        let path = format!("/proc/self/fd/{descriptor}");
        let is_pipe = std::fs::metadata(&path).is_ok_and(|data| data.file_type().is_fifo());
        if is_pipe {
            return "pipe".to_owned();
        }
        std::fs::read_link(path)
            .map_or_else(|error| error.to_string(), |path| lossy(path.as_os_str()))
    };
    (0..3)
        .map(|descriptor| (descriptor.to_string(), kind(descriptor)))
        .collect()
}

fn same_file(one: &str, other: &str) -> bool {
    let identity = |path| {
        std::fs::metadata(path)
            .ok()
            .map(|data| (data.dev(), data.ino()))
    };
    identity(one) == identity(other)
}

/// Name and value of every entry of the environment block. The standard library leaves out entries without a name.
fn environment_block() -> Vec<(String, String)> {
    let block = std::fs::read("/proc/self/environ").unwrap_or_default();
    block
        .split(|byte| *byte == 0)
        .filter(|entry| !entry.is_empty())
        .map(|entry| {
            let at = entry.iter().position(|byte| *byte == b'=');
            let at = at.unwrap_or(entry.len());
            let value = entry.get(at + 1..).unwrap_or_default();
            let text = |bytes| lossy(OsStr::from_bytes(bytes));
            (text(&entry[..at]), text(value))
        })
        .collect()
}

/// Names that are there more than once.
fn duplicated(block: &[(String, String)]) -> Vec<&String> {
    let mut seen: BTreeMap<&String, u32> = BTreeMap::new();
    for (name, _) in block {
        *seen.entry(name).or_default() += 1;
    }
    seen.into_iter()
        .filter(|(_, count)| *count > 1)
        .map(|(name, _)| name)
        .collect()
}
