//! Processes that another process than the driver started for a job: a service of the machine that makes virtual machines,
//! a container engine, a manager of services.
//!
//! What descends from the driver's calls is found exactly, elsewhere. Here a process counts only if its command line
//! carries a mark of the case.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::leaks::evidence::CaseMarks;
use crate::leaks::{Detector, Object, Watcher};
use crate::process::{distant_process, is_of_this_harness, listens_on};
use crate::trace::LeakCategory;

pub(super) static DETECTOR: Detector = Detector {
    name: NAME,
    category: LeakCategory::Process,
    unseen_without_privileges: "",
    watcher: |marks| Box::new(DistantProcesses::of(marks)),
};

/// Name of the detector in leaks.
pub(crate) const NAME: &str = "distant-processes";
/// Where the kernel lists processes.
const TABLE: &str = "/proc";

/// How long a process that is about to end may take to be gone.
const GOODBYE_PATIENCE: Duration = Duration::from_millis(500);
/// How often that is looked at.
const GOODBYE_LOOK: Duration = Duration::from_millis(20);

/// Remembers which processes were there at the first look: only new ones are read.
struct DistantProcesses {
    marks: CaseMarks,
    before: Option<BTreeSet<i32>>,
}

impl DistantProcesses {
    fn of(marks: &CaseMarks) -> Self {
        Self {
            marks: marks.clone(),
            before: None,
        }
    }

    /// Those of the case among the processes that were not there at the first look.
    fn new_ones(&self, before: &BTreeSet<i32>) -> io::Result<Vec<Object>> {
        let now = processes()?;
        let new = now.difference(before).copied();
        Ok(new
            .filter(|pid| !is_of_this_harness(*pid))
            .filter_map(|pid| Some((pid, object(pid)?)))
            // Processes come and go: a stranger is not even a suspicion.
            .filter(|(_, object)| self.marks.evidence(object, &[]).is_some())
            .map(|(pid, object)| with_holdings(pid, object))
            .collect())
    }
}

impl Watcher for DistantProcesses {
    fn may_have_changed(&mut self) -> bool {
        // There are many processes, and seldom is one of them a driver's: the last look has to do.
        false
    }

    fn look(&mut self) -> io::Result<Vec<Object>> {
        let Some(before) = &self.before else {
            self.before = Some(processes()?);
            return Ok(Vec::new());
        };
        let deadline = Instant::now() + GOODBYE_PATIENCE;
        loop {
            let found = self.new_ones(before)?;
            if found.is_empty() || Instant::now() >= deadline {
                return Ok(found);
            }
            sleep(GOODBYE_LOOK);
        }
    }
}

/// The numbers of all processes.
fn processes() -> io::Result<BTreeSet<i32>> {
    let numbers = fs::read_dir(TABLE)?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(numbers.collect())
}

fn object(pid: i32) -> Option<Object> {
    let process = distant_process(pid)?;
    let command = process.command;
    let what = format!("process {pid}: {command}");
    Some(Object {
        born: process.born,
        ..Object::named(pid.to_string(), "process of another", what, command)
    })
}

fn with_holdings(pid: i32, mut object: Object) -> Object {
    let holds = listens_on(pid);
    if !holds.is_empty() {
        object.what = format!("{} ({})", object.what, holds.join(", "));
    }
    object
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    #[test]
    fn what_carries_no_mark_and_what_the_harness_started_do_not_count() {
        let marks = CaseMarks::new(Path::new("/nowhere"), [987_654_321]);
        let mut watcher = DistantProcesses::of(&marks);
        assert_eq!(watcher.look().expect("readable"), []);
        let mut own = Command::new("sleep")
            .args(["600", "0.987654321"])
            .spawn()
            .expect("starts");
        let found = watcher.look();
        own.kill().expect("killed");
        own.wait().expect("over");
        assert_eq!(found.expect("readable"), []);
    }
}
