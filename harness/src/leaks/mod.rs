//! What a driver leaves on the machine: one file per detector, each a snapshot of one sort of thing.
//!
//! `LeakWatch` compares snapshots: before the first call of a case, after each call, and when the case is over and its
//! processes are gone. What appeared and is still there belongs to the case if it carries evidence of it (`evidence`);
//! otherwise it is a suspicion, which the suite follows up with the machine to itself.
//!
//! Two sorts of leaks are found elsewhere, because they are exact there: processes by the supervisor of each job
//! (`process/`), which also tells what they hold open, and files in the private directories by `engine::directories`.
//!
//! A detector is the file `detectors/<name>.rs` with its record `DETECTOR`; `build.rs` finds it, so adding one touches
//! nothing else. It must be quick (tens of microseconds): it looks after each call.

pub(crate) mod evidence;
pub mod lists;
pub(crate) mod mount_table;
mod watch;

use std::io;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use crate::trace::LeakCategory;

use evidence::CaseMarks;
pub(crate) use watch::{EndedCall, LeakWatch};

/// A sort of thing that a driver may leave.
pub struct Detector {
    /// Its name, in kebab-case.
    pub name: &'static str,
    /// The category of what it finds.
    pub category: LeakCategory,
    /// What it cannot see without privileges, as part of a sentence; empty: nothing that matters.
    pub unseen_without_privileges: &'static str,
    /// A watcher of its own for each case, which may know the marks of the case.
    pub(crate) watcher: fn(&CaseMarks) -> Box<dyn Watcher>,
}

impl std::fmt::Debug for Detector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name)
    }
}

/// Takes snapshots.
pub(crate) trait Watcher: Send {
    /// Whether there may be something new since the last look. Asked after each call, so that most looks are spared.
    fn may_have_changed(&mut self) -> bool {
        true
    }

    /// Everything of its sort that is there now. An error of permission means that this machine does not show it.
    fn look(&mut self) -> io::Result<Vec<Object>>;
}

/// One thing on the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    /// That of no other thing of its sort while this one is there.
    pub(crate) identity: String,
    /// The same for all things of its kind: `network namespace`.
    pub(crate) kind: &'static str,
    /// The thing itself, for people.
    pub(crate) what: String,
    /// Names, paths and options of it, in which a mark of a case may be.
    pub(crate) names: Vec<String>,
    /// The process that made it, where the kernel tells.
    pub(crate) creator: Option<u32>,
    /// Between which times it was made, since the Unix epoch, where the kernel tells.
    pub(crate) born: Option<RangeInclusive<Duration>>,
}

impl Object {
    /// A thing of which no more is known than one name.
    pub(crate) fn named(identity: String, kind: &'static str, what: String, name: String) -> Self {
        Self {
            identity,
            kind,
            what,
            names: vec![name],
            creator: None,
            born: None,
        }
    }
}

/// All detectors, sorted by name.
pub fn all() -> &'static [&'static Detector] {
    registry::ALL
}

/// Whether a leak is a process that does not descend from the driver's calls.
pub(crate) fn is_distant_process(leak: &crate::trace::Leak) -> bool {
    leak.detector == registry::distant_processes::NAME
}

/// What `build.rs` found.
mod registry {
    include!(concat!(env!("OUT_DIR"), "/detectors.rs"));
}

/// What this machine does not let this process watch, each in a sentence that says so. Looked at once in a run.
pub fn not_watched() -> Vec<String> {
    let marks = CaseMarks::new(Path::new("/"), []);
    let privileged = rustix::process::geteuid().is_root();
    let refused = all().iter().filter_map(|detector| {
        let error = (detector.watcher)(&marks).look().err()?;
        Some(format!(
            "leaks: {} are not watched: {error}",
            words(detector)
        ))
    });
    let mut notes: Vec<String> = refused.collect();
    let unseen: Vec<&str> = all()
        .iter()
        .map(|detector| detector.unseen_without_privileges)
        .filter(|unseen| !privileged && !unseen.is_empty())
        .collect();
    if !unseen.is_empty() {
        notes.push(format!(
            "leaks: without privileges this is not watched: {}",
            unseen.join("; ")
        ));
    }
    notes
}

fn words(detector: &Detector) -> String {
    detector.name.replace('-', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_sorted() {
        let names: Vec<&str> = all().iter().map(|detector| detector.name).collect();
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
    }

    #[test]
    fn every_detector_can_look_at_this_machine() {
        let marks = CaseMarks::new(Path::new("/nowhere"), []);
        for detector in all() {
            let mut watcher = (detector.watcher)(&marks);
            match watcher.look() {
                Ok(objects) => {
                    let mut identities: Vec<&str> =
                        objects.iter().map(|object| &*object.identity).collect();
                    identities.sort_unstable();
                    identities.dedup();
                    assert_eq!(identities.len(), objects.len(), "{}", detector.name);
                }
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied),
            }
        }
    }
}
