//! Reading the process tree from `/proc`.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Read as _;
use std::ops::RangeInclusive;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Longest command line that is kept, bytes.
const COMMAND_BYTES_MAX: usize = 300;
/// What is shown for a process that was gone before its command line could be read.
pub(super) const STILL_FORKING: &str = "still forking";

/// One process, as `/proc/<pid>/stat` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) session: i32,
    /// It has ended and waits for its parent to take note.
    pub(super) zombie: bool,
}

/// All living and undead descendants of `root`, parents before their children.
pub(super) fn descendants(root: i32) -> Vec<Process> {
    match children(root) {
        Some(first) => walk(first),
        // A kernel without the `children` file.
        None => descendants_by_parent(root),
    }
}

/// Longest command line that is read whole, bytes: Linux gives one argument no more.
const COMMAND_LINE_BYTES_MAX: u64 = 2 * 128 * 1024;

/// The command lines of all living descendants of `root`, each with NULs between its arguments.
pub(crate) fn command_lines(root: i32) -> Vec<Vec<u8>> {
    let living = descendants(root)
        .into_iter()
        .filter(|process| !process.zombie);
    living
        .filter_map(|process| whole_command_line(process.pid))
        .collect()
}

/// The command line of a process with NULs between its arguments.
pub(super) fn whole_command_line(pid: i32) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    let file = fs::File::open(format!("/proc/{pid}/cmdline")).ok()?;
    file.take(COMMAND_LINE_BYTES_MAX)
        .read_to_end(&mut line)
        .ok()?;
    Some(line)
}

fn walk(first: Vec<i32>) -> Vec<Process> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut waiting = std::collections::VecDeque::from(first);
    while let Some(pid) = waiting.pop_front() {
        if !seen.insert(pid) {
            continue;
        }
        let Some(process) = process(pid) else {
            continue;
        };
        found.push(process);
        waiting.extend(children(pid).unwrap_or_default());
    }
    found
}

fn descendants_by_parent(root: i32) -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let mut by_parent: HashMap<i32, Vec<Process>> = HashMap::new();
    for entry in entries.flatten() {
        let pid = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        if let Some(process) = pid.and_then(process) {
            by_parent.entry(process.parent).or_default().push(process);
        }
    }
    let mut found = Vec::new();
    let mut waiting = vec![root];
    while let Some(parent) = waiting.pop() {
        for process in by_parent.remove(&parent).unwrap_or_default() {
            waiting.push(process.pid);
            found.push(process);
        }
    }
    found
}

/// The children of all threads of a process; `None` if the kernel does not tell.
pub(super) fn children(pid: i32) -> Option<Vec<i32>> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let mut found = Vec::new();
    for task in tasks.flatten() {
        match fs::read_to_string(task.path().join("children")) {
            Ok(text) => found.extend(
                text.split_whitespace()
                    .filter_map(|pid| pid.parse::<i32>().ok()),
            ),
            // The thread has just ended.
            Err(_) if task.path().join("stat").metadata().is_err() => {}
            Err(_) => return None,
        }
    }
    Some(found)
}

fn process(pid: i32) -> Option<Process> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&String::from_utf8_lossy(&text))
}

/// `pid (name) state parent group session …`, where the name may hold anything.
fn parse_stat(text: &str) -> Option<Process> {
    let (pid, _) = text.split_once(' ')?;
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    Some(Process {
        pid: pid.parse().ok()?,
        parent: fields.next()?.parse().ok()?,
        group: fields.next()?.parse().ok()?,
        session: fields.next()?.parse().ok()?,
        zombie: matches!(state, "Z" | "X"),
    })
}

/// Ticks in which the kernel tells times of processes: the same on every Linux that people use.
const TICK_MILLISECONDS: u64 = 10;
/// Most generations that are climbed.
const GENERATIONS_MAX: usize = 1000;

/// Whether a process descends from this one.
pub(crate) fn is_of_this_harness(pid: i32) -> bool {
    let own = std::process::id().cast_signed();
    let mut current = pid;
    for _ in 0..GENERATIONS_MAX {
        if current == own {
            return true;
        }
        match process(current) {
            Some(found) if found.parent > 0 => current = found.parent,
            _ => return false,
        }
    }
    false
}

/// Between which times a process was started, since the Unix epoch. The kernel counts in ticks since it started.
pub(super) fn born(pid: i32) -> Option<RangeInclusive<Duration>> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let ticks = start_ticks(&String::from_utf8_lossy(&text))?;
    let time = |clock| Duration::try_from(clock_gettime(clock)).ok();
    let kernel_started = time(ClockId::Realtime)?.checked_sub(time(ClockId::Boottime)?)?;
    let earliest = kernel_started + Duration::from_millis(ticks.checked_mul(TICK_MILLISECONDS)?);
    Some(earliest..=earliest + Duration::from_millis(TICK_MILLISECONDS))
}

/// The time of the start of a process in a line of `/proc/<pid>/stat`: the twentieth field behind the name.
fn start_ticks(text: &str) -> Option<u64> {
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

/// The command line of a process, unless it is gone, is a zombie or belongs to the kernel.
pub(crate) fn living_command_line(pid: i32) -> Option<String> {
    let is_alive = !process(pid)?.zombie;
    let command = command_line(pid);
    (is_alive && command != STILL_FORKING).then_some(command)
}

/// The command line of a process, in one line.
pub(super) fn command_line(pid: i32) -> String {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = &words[..words.len().min(COMMAND_BYTES_MAX)];
    let text: Vec<_> = words
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(String::from_utf8_lossy)
        .collect();
    if text.is_empty() {
        STILL_FORKING.to_owned()
    } else {
        text.join(" ").replace(['\n', '\r'], " ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_confuse() {
        let process = parse_stat("42 (a) b (c)) S 7 40 39 0 -1 4194560 1").expect("parses");
        assert_eq!(
            process,
            Process {
                pid: 42,
                parent: 7,
                group: 40,
                session: 39,
                zombie: false
            }
        );
    }

    #[test]
    fn a_zombie_is_told_from_the_living() {
        assert!(parse_stat("42 (x) Z 7 40 39").expect("parses").zombie);
    }

    #[test]
    fn a_process_was_born_a_short_while_before_now() {
        let now = Duration::try_from(clock_gettime(ClockId::Realtime)).expect("after 1970");
        let own = born(std::process::id().cast_signed()).expect("it is there");
        assert!(*own.start() <= now, "{own:?} is after {now:?}");
        assert_eq!(start_ticks("42 (x) S 7 40"), None);
    }

    #[test]
    fn cut_text_is_no_process() {
        assert_eq!(parse_stat("42 (x) S 7"), None);
        assert_eq!(parse_stat(""), None);
    }
}
