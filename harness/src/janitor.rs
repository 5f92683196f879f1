//! Removing what a harness left that was killed: its private directories, the mounts in them, and processes of its calls.
//!
//! Usually nothing is left: the supervisors outlive a harness by a moment, end what is below them and remove its
//! directories. They can be killed as well, though, and then nobody is there who knows of anything.
//!
//! Only what is certain is touched: a directory of our name that belongs to this user and that no living process has
//! locked, and processes whose environment says that they were started by a call in such a directory.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

use crate::engine::directories::best_parent;
use crate::engine::private_directory::lock_orphan;
use crate::leaks::mount_table::{free_for_removal, is_mounted_below};
use crate::process::living_command_line;
use crate::process::supervisor::{ARGUMENT, is_private_directory};

/// Variables that the emulated runner gives to calls and nobody else does, each with a path in a private directory.
const VARIABLES: [&str; 2] = ["BUILD_EXIT_CODE_FILE=", "JOB_RESPONSE_FILE="];
/// Rounds of killing: a process may start another one meanwhile.
const ROUNDS_MAX: usize = 10;

/// Something that was left.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Left {
    /// A process, with its command line.
    Process(i32, String),
    /// Mounts below this directory.
    Mounts(PathBuf),
    /// A directory.
    Directory(PathBuf),
}

/// What was found, and what would not go away.
#[derive(Debug, Default)]
pub struct Found {
    /// What is gone now, or would be.
    pub removed: Vec<Left>,
    /// What is still there, with the reason.
    pub stays: Vec<(Left, String)>,
}

/// Looks in the usual places and removes what was left; `only_look` leaves it there.
pub fn sweep(only_look: bool) -> Found {
    let mut parents = vec![
        best_parent(),
        std::env::temp_dir(),
        PathBuf::from("/tmp"),
        PathBuf::from("/dev/shm"),
    ];
    parents.sort();
    parents.dedup();
    sweep_in(&parents, only_look)
}

/// The same, if there is an orphaned directory at all: what each run begins with.
pub(crate) fn sweep_orphans() -> Found {
    let parent = best_parent();
    if orphans(std::slice::from_ref(&parent)).is_empty() {
        return Found::default();
    }
    sweep_in(&[parent], false)
}

fn sweep_in(parents: &[PathBuf], only_look: bool) -> Found {
    let mut found = Found::default();
    // The locks are held until the end: no other janitor is at it meanwhile.
    let orphans = orphans(parents);
    let places: Vec<&Path> = orphans.iter().map(|(path, _)| path.as_path()).collect();
    end_processes(parents, &places, only_look, &mut found);
    for (directory, _lock) in &orphans {
        remove(directory, only_look, &mut found);
    }
    found
}

/// Private directories of this user without a living owner, locked.
fn orphans(parents: &[PathBuf]) -> Vec<(PathBuf, fs::File)> {
    let own = rustix::process::geteuid().as_raw();
    let entries = parents.iter().filter_map(|parent| parent.read_dir().ok());
    let directories = entries.flatten().flatten().filter(|entry| {
        let ours = |metadata: fs::Metadata| metadata.is_dir() && metadata.uid() == own;
        is_private_directory(&entry.file_name().to_string_lossy())
            && entry.metadata().is_ok_and(ours)
    });
    directories
        .filter_map(|entry| {
            let path = entry.path();
            let lock = lock_orphan(&path)?;
            Some((path, lock))
        })
        .collect()
}

fn end_processes(parents: &[PathBuf], orphans: &[&Path], only_look: bool, found: &mut Found) {
    let mut told: BTreeSet<i32> = BTreeSet::new();
    for _ in 0..ROUNDS_MAX {
        let left = processes_left(parents, orphans);
        if left.is_empty() {
            return;
        }
        for (pid, command) in left {
            let process = Left::Process(pid, command);
            let is_new = told.insert(pid);
            if only_look {
                found.removed.extend(is_new.then_some(process));
                continue;
            }
            match Pid::from_raw(pid).map(|pid| kill_process(pid, Signal::KILL)) {
                Some(Err(error)) if error != rustix::io::Errno::SRCH => {
                    let stays = is_new.then(|| (process, error.to_string()));
                    found.stays.extend(stays);
                }
                _ => found.removed.extend(is_new.then_some(process)),
            }
        }
        if only_look {
            return;
        }
    }
}

/// Processes that calls in a directory without a living owner have started, and supervisors of such.
fn processes_left(parents: &[PathBuf], orphans: &[&Path]) -> Vec<(i32, String)> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let own = std::process::id().cast_signed();
    pids.filter(|pid| *pid != own)
        .filter_map(|pid| {
            let directory = directory_of(pid)?;
            let known = parents.iter().any(|parent| directory.starts_with(parent));
            let owned = directory.exists() && !orphans.contains(&directory.as_path());
            let command = living_command_line(pid)?;
            (known && !owned).then_some((pid, command))
        })
        .collect()
}

/// The outermost private directory that a process was started in, as its environment or, for a supervisor, its command
/// line says.
fn directory_of(pid: i32) -> Option<PathBuf> {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let of_variable = environment.split(|byte| *byte == 0).find_map(|item| {
        let value = VARIABLES
            .iter()
            .find_map(|name| item.strip_prefix(name.as_bytes()))?;
        outermost(Path::new(std::ffi::OsStr::from_bytes(value)))
    });
    of_variable.or_else(|| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = line.split(|byte| *byte == 0);
        let is_supervisor = words.nth(1)? == ARGUMENT.as_bytes();
        let directory = words.next().filter(|_| is_supervisor)?;
        outermost(Path::new(std::ffi::OsStr::from_bytes(directory)))
    })
}

/// The part of a path up to the first private directory in it.
fn outermost(path: &Path) -> Option<PathBuf> {
    let mut place = PathBuf::new();
    for part in path.components() {
        place.push(part);
        if is_private_directory(&part.as_os_str().to_string_lossy()) {
            return Some(place);
        }
    }
    None
}

fn remove(directory: &Path, only_look: bool, found: &mut Found) {
    let left = Left::Directory(directory.to_path_buf());
    if is_mounted_below(directory) {
        let mounts = Left::Mounts(directory.to_path_buf());
        if !only_look && let Err(error) = free_for_removal(directory) {
            // What is mounted there would be emptied with it.
            found.stays.push((mounts, error.to_string()));
            found
                .stays
                .push((left, "something is mounted in it".to_owned()));
            return;
        }
        found.removed.push(mounts);
    }
    if only_look {
        found.removed.push(left);
        return;
    }
    match fs::remove_dir_all(directory) {
        Ok(()) => found.removed.push(left),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => found.stays.push((left, error.to_string())),
    }
}
