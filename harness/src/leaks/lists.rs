//! Objects of a backend, as commands of the user list them: `podman ps -a`, `virsh list --all`.
//!
//! One line is one object. What was listed before the run is never anybody's. Each command has a bounded time and output,
//! and one that fails before the run is an error of configuration.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, Signal, kill_process_group};

use super::{Object, Watcher};
use crate::process::wait_ready;
use crate::trace::LeakCategory;

/// Name of the detector in leaks.
pub const DETECTOR: &str = "list";
/// How long one command may take.
pub const LIST_PATIENCE: Duration = Duration::from_secs(30);
/// Most bytes of output of one command.
pub const LIST_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long a command that has closed its output may take to end.
const EXIT_PATIENCE: Duration = Duration::from_secs(5);
/// How often that is looked at.
const EXIT_LOOK: Duration = Duration::from_millis(2);
/// Most characters of an error message of a command that are shown.
const ERROR_CHARACTERS_MAX: usize = 300;

/// A command that lists objects, one on each line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListCommand {
    /// What it lists: `podman containers`.
    pub name: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Where it runs.
    pub directory: PathBuf,
    /// Category of what it finds.
    pub category: LeakCategory,
}

impl ListCommand {
    /// A line for the shell.
    pub fn of_shell(name: &str, line: &str, directory: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            argv: vec!["/bin/sh".into(), "-c".into(), line.into()],
            directory,
            category: LeakCategory::Backend,
        }
    }

    /// As it can be read.
    pub fn shown(&self) -> String {
        match self.argv.as_slice() {
            [shell, flag, line] if shell == "/bin/sh" && flag == "-c" => line.clone(),
            words => words.join(" "),
        }
    }
}

/// A backend that is known by name, and the commands that list its objects.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// What is listed, and the line for the shell that does it.
    pub commands: &'static [(&'static str, &'static str)],
}

/// Backends that are known by name.
pub const PRESETS: [Preset; 8] = [
    Preset {
        name: "podman",
        commands: &[
            ("podman containers", "podman ps -a --format '{{.Names}}'"),
            ("podman pods", "podman pod ps --format '{{.Name}}'"),
            ("podman volumes", "podman volume ls --format '{{.Name}}'"),
            ("podman networks", "podman network ls --format '{{.Name}}'"),
        ],
    },
    Preset {
        name: "docker",
        commands: &[
            ("docker containers", "docker ps -a --format '{{.Names}}'"),
            ("docker volumes", "docker volume ls --format '{{.Name}}'"),
            ("docker networks", "docker network ls --format '{{.Name}}'"),
        ],
    },
    Preset {
        name: "lxc",
        commands: &[
            ("lxc instances", "lxc list --format csv --columns n"),
            (
                "lxc networks",
                "lxc network list --format csv | cut -d, -f1",
            ),
        ],
    },
    Preset {
        name: "incus",
        commands: &[
            ("incus instances", "incus list --format csv --columns n"),
            (
                "incus networks",
                "incus network list --format csv | cut -d, -f1",
            ),
        ],
    },
    Preset {
        name: "virsh",
        commands: &[
            ("virsh domains", "virsh list --all --name"),
            ("virsh networks", "virsh net-list --all --name"),
            ("virsh pools", "virsh pool-list --all --name"),
        ],
    },
    Preset {
        name: "machinectl",
        commands: &[
            (
                "machines",
                "machinectl list --no-legend --no-pager | awk '{ print $1 }'",
            ),
            (
                "machine images",
                "machinectl list-images --no-legend --no-pager | awk '{ print $1 }'",
            ),
        ],
    },
    Preset {
        name: "tart",
        commands: &[("tart machines", "tart list --source local --quiet")],
    },
    Preset {
        name: "kubectl",
        commands: &[
            ("pods", "kubectl get pods --output name"),
            ("secrets", "kubectl get secrets --output name"),
            ("config maps", "kubectl get configmaps --output name"),
            ("services", "kubectl get services --output name"),
        ],
    },
];

/// The commands of a preset; `None`: there is none of this name.
pub fn preset(name: &str) -> Option<Vec<ListCommand>> {
    let preset = PRESETS.iter().find(|preset| preset.name == name)?;
    let commands = preset.commands.iter();
    Some(
        commands
            .map(|(name, line)| ListCommand::of_shell(name, line, PathBuf::from("/")))
            .collect(),
    )
}

/// Why a command lists nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the list command `{command}` {reason}")]
pub struct ListFailure {
    /// The command.
    pub command: String,
    /// What it did instead.
    pub reason: String,
}

/// All list commands of a run, and what they showed last.
#[derive(Debug, Default)]
pub struct Lists {
    commands: Vec<ListCommand>,
    latest: Mutex<BTreeSet<Listed>>,
    /// A line without the id of a job appeared during a call.
    anonymous: AtomicBool,
    /// How many lines appeared during calls.
    appeared: AtomicUsize,
    /// The first failure during the run.
    failure: Mutex<Option<ListFailure>>,
}

/// One line of one command.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Listed {
    command: usize,
    line: String,
}

impl Lists {
    /// Runs all commands for the first time: what they show is nobody's.
    pub fn begin(mut commands: Vec<ListCommand>) -> Result<Self, ListFailure> {
        for list in &mut commands {
            // What stands before the colon names the list.
            list.name = list.name.replace(": ", ":");
        }
        let lists = Self {
            commands,
            ..Self::default()
        };
        lists.look()?;
        Ok(lists)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Whether objects appeared during calls that do not carry the id of their job.
    pub fn has_anonymous(&self) -> bool {
        self.anonymous.load(Ordering::Relaxed)
    }

    /// Whether any object appeared during a call.
    pub fn has_appeared(&self) -> bool {
        self.appeared.load(Ordering::Relaxed) > 0
    }

    /// A line appeared during a call.
    pub(crate) fn appears(&self, is_named: bool) {
        self.appeared.fetch_add(1, Ordering::Relaxed);
        if !is_named {
            self.anonymous.store(true, Ordering::Relaxed);
        }
    }

    /// Names of the commands, for notes.
    pub fn names(&self) -> String {
        let names: Vec<&str> = self.commands.iter().map(|list| &*list.name).collect();
        names.join(", ")
    }

    fn look(&self) -> Result<BTreeSet<Listed>, ListFailure> {
        let mut found = BTreeSet::new();
        for (command, list) in self.commands.iter().enumerate() {
            let lines = run(list).inspect_err(|failure| self.note_failure(failure))?;
            found.extend(lines.into_iter().map(|line| Listed { command, line }));
        }
        self.latest().clone_from(&found);
        Ok(found)
    }

    fn note_failure(&self, failure: &ListFailure) {
        let mut known = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        known.get_or_insert_with(|| failure.clone());
    }

    /// The first failure of a command since the run began.
    pub fn failure(&self) -> Option<ListFailure> {
        let known = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    fn latest(&self) -> std::sync::MutexGuard<'_, BTreeSet<Listed>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is listed now, by the identities of [`Objects`](Object).
    pub(crate) fn identities(&self) -> Result<BTreeSet<String>, ListFailure> {
        let found = self.look()?;
        Ok(found.iter().map(|listed| self.identity(listed)).collect())
    }

    fn identity(&self, listed: &Listed) -> String {
        format!("{}: {}", self.commands[listed.command].name, listed.line)
    }

    fn object(&self, listed: &Listed) -> Object {
        let identity = self.identity(listed);
        Object {
            what: identity.clone(),
            identity,
            kind: "object of the backend",
            names: vec![listed.line.clone()],
            creator: None,
            born: None,
        }
    }

    /// The category of a thing with this identity.
    pub(crate) fn category(&self, identity: &str) -> LeakCategory {
        let name = self.list_of(identity);
        let list = self.commands.iter().find(|list| list.name == name);
        list.map_or(LeakCategory::Backend, |list| list.category)
    }

    /// The name of the list that shows a thing with this identity.
    #[expect(
        clippy::unused_self,
        reason = "how an identity is made is this type's business"
    )]
    pub(crate) fn list_of(&self, identity: &str) -> String {
        let name = identity.split_once(": ").map(|(name, _)| name);
        name.unwrap_or_default().to_owned()
    }
}

/// Watches the lists for one case.
pub(crate) struct ListWatcher {
    pub(crate) lists: Arc<Lists>,
    /// Look after every call: for a case that runs alone.
    pub(crate) every_call: bool,
    begun: bool,
}

impl ListWatcher {
    pub(crate) fn new(lists: Arc<Lists>, every_call: bool) -> Self {
        Self {
            lists,
            every_call,
            begun: false,
        }
    }
}

impl Watcher for ListWatcher {
    fn may_have_changed(&mut self) -> bool {
        self.every_call
    }

    /// The first look takes what was listed last by whomever: nothing in it can be of a case that has not begun.
    fn look(&mut self) -> io::Result<Vec<Object>> {
        let listed = if self.begun {
            self.lists.look().map_err(io::Error::other)?
        } else {
            self.lists.latest().clone()
        };
        self.begun = true;
        let listed = listed.iter();
        Ok(listed.map(|listed| self.lists.object(listed)).collect())
    }
}

/// Runs one command and returns its lines.
fn run(list: &ListCommand) -> Result<BTreeSet<String>, ListFailure> {
    let failure = |reason: String| ListFailure {
        command: list.shown(),
        reason,
    };
    let (program, arguments) = list
        .argv
        .split_first()
        .ok_or_else(|| failure("is empty".to_owned()))?;
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(&list.directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| failure(format!("cannot be started: {error}")))?;
    let ended = read_to_end(&mut child);
    if ended.is_err() {
        end(&mut child);
    }
    let (output, errors, status) = ended.map_err(failure)?;
    if !status.success() {
        let said = String::from_utf8_lossy(&errors);
        let said: String = said.trim().chars().take(ERROR_CHARACTERS_MAX).collect();
        return Err(failure(format!("failed ({status}): {said}")));
    }
    let text = String::from_utf8_lossy(&output);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(lines.map(str::to_owned).collect())
}

/// Output, error output and exit of a child; or what it did instead of ending.
fn read_to_end(child: &mut Child) -> Result<(Vec<u8>, Vec<u8>, ExitStatus), String> {
    let deadline = Instant::now() + LIST_PATIENCE;
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    while stdout.is_some() || stderr.is_some() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(format!("took longer than {} s", LIST_PATIENCE.as_secs()));
        }
        let mut watched: Vec<PollFd<'_>> = Vec::new();
        watched.extend(stdout.iter().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        watched.extend(stderr.iter().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        wait_ready(&mut watched, Some(left)).map_err(|error| format!("cannot be read: {error}"))?;
        let ready: Vec<bool> = watched.iter().map(|fd| !fd.revents().is_empty()).collect();
        let stdout_ready = stdout.is_some() && ready[0];
        let stderr_ready = stderr.is_some() && *ready.last().unwrap_or(&false);
        if stdout_ready && !take(stdout.as_ref(), &mut output) {
            stdout = None;
        }
        if stderr_ready && !take(stderr.as_ref(), &mut errors) {
            stderr = None;
        }
        if output.len() > LIST_BYTES_MAX || errors.len() > LIST_BYTES_MAX {
            return Err(format!("printed more than {LIST_BYTES_MAX} bytes"));
        }
    }
    let deadline = Instant::now() + EXIT_PATIENCE;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok((output, errors, status)),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(EXIT_LOOK),
            Ok(None) => return Err("closed its output and did not end".to_owned()),
            Err(error) => return Err(format!("cannot be waited for: {error}")),
        }
    }
}

/// Reads one piece; `false` at the end.
fn take(pipe: Option<&impl AsFd>, into: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 16 * 1024];
    match pipe.map(|pipe| rustix::io::read(pipe, &mut buffer)) {
        Some(Ok(count)) if count > 0 => {
            into.extend_from_slice(&buffer[..count]);
            true
        }
        Some(Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN)) => true,
        _ => false,
    }
}

/// Ends a command that went too far, with all of its group.
fn end(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(group) = group {
        let _gone_already = kill_process_group(group, Signal::KILL);
    }
    // Bounded: it was killed.
    let _status = child.wait();
}

impl fmt::Display for ListCommand {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(line: &str) -> ListCommand {
        ListCommand::of_shell("things", line, PathBuf::from("/"))
    }

    fn failure(line: &str) -> String {
        run(&list(line)).expect_err("it fails").to_string()
    }

    #[test]
    fn each_line_with_something_on_it_is_an_object() {
        let lines = run(&list("printf ' b \\n\\na\\nb\\n'; echo noise >&2")).expect("it lists");
        assert_eq!(lines.into_iter().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_command_that_fails_says_why() {
        assert_eq!(
            failure("echo no daemon >&2; exit 3"),
            "the list command `echo no daemon >&2; exit 3` failed (exit status: 3): no daemon"
        );
        let mut missing = list("");
        missing.argv = vec!["/nowhere/list".to_owned()];
        let error = run(&missing).expect_err("there is no such program");
        assert!(error.reason.starts_with("cannot be started"), "{error}");
    }

    #[test]
    fn a_flood_is_stopped() {
        assert!(failure("yes").ends_with("printed more than 4194304 bytes"));
    }

    #[test]
    fn a_case_sees_what_came_after_the_look_before_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut command = list("ls");
        command.directory = directory.path().to_path_buf();
        std::fs::write(directory.path().join("old"), "").expect("written");
        let lists = Arc::new(Lists::begin(vec![command]).expect("it lists"));
        let mut watcher = ListWatcher::new(Arc::clone(&lists), false);
        std::fs::write(directory.path().join("new"), "").expect("written");
        let mut shown = || -> Vec<String> {
            let objects = watcher.look().expect("it lists").into_iter();
            objects.map(|object| object.what).collect()
        };
        assert_eq!(shown(), ["things: old"]);
        assert_eq!(shown(), ["things: new", "things: old"]);
    }

    #[test]
    fn every_preset_has_commands_and_a_name_of_its_own() {
        let mut names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
        assert!(PRESETS.iter().all(|preset| !preset.commands.is_empty()));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PRESETS.len());
        assert!(preset("podman").is_some_and(|commands| commands.len() == 4));
        assert!(preset("other").is_none());
    }
}
