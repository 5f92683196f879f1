//! The first process of a box: makes its namespaces, starts its programs, reaps them, and takes all of them along when
//! it ends. It ends when the backend closes its socket, also by dying.
//!
//! It is this same executable. With namespaces there are two processes: one that enters them, and its child, which is
//! process 1 of the box. Without, the one process adopts all orphans and ends them one by one.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions};

use crate::box_root;
use crate::protocol::{BoxMessage, BoxPlan, Isolation, Order, Status};
use crate::wire;

/// First argument of the process that makes the namespaces.
pub(crate) const OUTER: &str = "__mock-backend-box";
/// First argument of process 1 of a box.
const INNER: &str = "__mock-backend-box-init";

/// How long the processes of a box without namespaces may take to die of SIGKILL.
const DEATH_PATIENCE: Duration = Duration::from_secs(10);
/// How often they are looked at meanwhile.
const DEATH_LOOK: Duration = Duration::from_millis(2);

/// Becomes the first process of a box if this process was started as one.
pub(crate) fn run_if_requested(arguments: &[std::ffi::OsString]) -> Option<ExitCode> {
    let word = arguments.get(1)?;
    let is_inner = word == OsStr::new(INNER);
    if !is_inner && word != OsStr::new(OUTER) {
        return None;
    }
    let plan = arguments.get(2).and_then(|text| text.to_str());
    let plan = plan.and_then(|text| serde_json::from_str::<BoxPlan>(text).ok());
    let done = match plan {
        None => Err(io::ErrorKind::InvalidInput.into()),
        Some(plan) if is_inner || plan.isolation == Isolation::Plain => serve(&plan),
        Some(plan) => enter(&plan),
    };
    Some(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _backend_gone = tell(&BoxMessage::Failed(error.to_string()));
            ExitCode::FAILURE
        }
    })
}

fn tell(message: &BoxMessage) -> io::Result<()> {
    wire::send(rustix::stdio::stdin(), message, b"", &[])
}

/// Makes the namespaces and starts process 1 in them.
fn enter(plan: &BoxPlan) -> io::Result<()> {
    box_root::unshare(plan.isolation)?;
    let status = Command::new("/proc/self/exe")
        .arg(INNER)
        .arg(serde_json::to_string(plan)?)
        .stdin(rustix::io::dup(rustix::stdio::stdin())?)
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!(
            "its first process ended: {status}"
        )))
    }
}

/// Serves the backend until it closes the socket.
fn serve(plan: &BoxPlan) -> io::Result<()> {
    let own = rustix::process::getpid();
    rustix::process::set_child_subreaper(Some(own))?;
    let _leader_already = rustix::process::setsid();
    if plan.isolation == Isolation::Plain {
        std::env::set_current_dir(&plan.root)?;
    } else {
        box_root::enter(plan)?;
    }
    let children = Arc::new(Children::default());
    let reaper = Arc::clone(&children);
    std::thread::Builder::new().spawn(move || reaper.reap_for_ever())?;
    tell(&BoxMessage::Ready)?;
    while let Some(frame) = wire::receive::<Order>(rustix::stdio::stdin())? {
        match frame.message {
            Order::Execute {
                number,
                argv,
                environment,
                directory,
            } => {
                let directory = if plan.isolation == Isolation::Plain {
                    box_root::on_machine(&plan.root, &directory)
                } else {
                    directory
                };
                let command = command(&argv, environment, &directory);
                children.start(number, command, frame.descriptors);
            }
            Order::Signal { number, signal } => children.signal(number, signal),
            Order::FillDisk => box_root::fill_disk()?,
        }
    }
    // Process 1 of a namespace takes all others along.
    if plan.isolation == Isolation::Plain {
        kill_descendants(own);
    }
    Ok(())
}

fn command(argv: &[String], environment: Vec<(String, String)>, directory: &Path) -> Command {
    let mut command = Command::new(argv.first().map_or("", String::as_str));
    command
        .args(argv.iter().skip(1))
        .env_clear()
        .envs(environment)
        .current_dir(directory)
        .process_group(0);
    command
}

/// The programs that were started in the box.
#[derive(Default)]
struct Children {
    state: Mutex<ChildrenState>,
    started: Condvar,
}

#[derive(Default)]
struct ChildrenState {
    by_pid: HashMap<i32, (u64, OwnedFd)>,
}

impl Children {
    fn lock(&self) -> MutexGuard<'_, ChildrenState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a program; the lock is held until it is noted, so that the reaper cannot be quicker.
    fn start(&self, number: u64, mut command: Command, descriptors: Vec<OwnedFd>) {
        let Ok([stdin, stdout, stderr, status]) = <[OwnedFd; 4]>::try_from(descriptors) else {
            return;
        };
        let mut state = self.lock();
        let spawned = command
            .stdin(Stdio::from(stdin))
            .stdout(Stdio::from(stdout))
            .stderr(Stdio::from(stderr))
            .spawn();
        // The command holds the pipes, whose ends must be seen.
        drop(command);
        match spawned {
            Ok(child) => {
                say(&status, Status::Started);
                let pid = i32::try_from(child.id()).unwrap_or_default();
                state.by_pid.insert(pid, (number, status));
                self.started.notify_all();
            }
            Err(error) => say(
                &status,
                Status::NotStarted(error.raw_os_error().unwrap_or(0)),
            ),
        }
    }

    fn signal(&self, number: u64, signal: i32) {
        let state = self.lock();
        let known = state.by_pid.iter().find(|(_, (known, _))| *known == number);
        let group = known.and_then(|(pid, _)| Pid::from_raw(*pid));
        if let (Some(group), Some(signal)) = (group, Signal::from_named_raw(signal)) {
            let _gone_already = rustix::process::kill_process_group(group, signal);
        }
    }

    /// Takes note of every child that has ended. It first waits without reaping: a program that could not be started is
    /// reaped by whoever tried, which is done under the lock.
    fn reap_for_ever(&self) {
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        loop {
            match rustix::process::waitid(WaitId::All, ended) {
                Ok(_) => self.reap(),
                Err(rustix::io::Errno::INTR) => {}
                // No child: wait for the next one.
                Err(_) => {
                    let state = self.lock();
                    if state.by_pid.is_empty() {
                        drop(self.started.wait(state));
                    }
                }
            }
        }
    }
}

impl Children {
    /// Reaps all that have ended.
    fn reap(&self) {
        let mut state = self.lock();
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let entry = state.by_pid.remove(&pid.as_raw_nonzero().get());
            let ending = match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => Status::Exited(code),
                (None, Some(signal)) => Status::Signalled(signal),
                (None, None) => continue,
            };
            if let Some((_, pipe)) = entry {
                say(&pipe, ending);
            }
        }
    }
}

/// Writes a status line; nobody may be there to read it.
fn say(pipe: &OwnedFd, status: Status) {
    if let Ok(copy) = pipe.try_clone() {
        let _nobody_there =
            fs::File::from(copy).write_all(format!("{}\n", status.line()).as_bytes());
    }
}

/// Kills all descendants of this process until none is left. Those whose parent ended are children of this process, so
/// when it has no children there is nobody.
fn kill_descendants(own: Pid) {
    let deadline = Instant::now() + DEATH_PATIENCE;
    while Instant::now() < deadline {
        let children = children_of(own.as_raw_nonzero().get());
        if children.is_empty() {
            return;
        }
        let mut waiting = children;
        while let Some(pid) = waiting.pop() {
            waiting.extend(children_of(pid));
            if let Some(pid) = Pid::from_raw(pid) {
                let _gone_already = rustix::process::kill_process(pid, Signal::KILL);
            }
        }
        // The reaper takes note of them; there is no event for "all are gone" that several threads can wait for.
        std::thread::sleep(DEATH_LOOK);
    }
}

/// Whether a process is the first one of a box, or is about to become a program of it.
pub(crate) fn is_first(pid: i32) -> bool {
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut words = command.split(|byte| *byte == 0).skip(1);
    words.next().is_some_and(|word| word == INNER.as_bytes())
}

/// The children of all threads of a process.
pub(crate) fn children_of(pid: i32) -> Vec<i32> {
    let tasks = fs::read_dir(PathBuf::from(format!("/proc/{pid}/task")));
    let mut found = Vec::new();
    for task in tasks.into_iter().flatten().flatten() {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        found.extend(
            text.split_whitespace()
                .filter_map(|word| word.parse::<i32>().ok()),
        );
    }
    found
}
