//! Files in places that all users of the machine share: those with the id of a job of the case in their path; and, as a
//! suspicion, whatever is new while a case with several jobs runs.
//!
//! Looked for when the case is over; the time of birth that the file system notes tells the call. A directory that is as
//! old as when some case looked last need not be read again: what is in it is kept for all cases.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, CWD, Statx, StatxFlags, statx};

use crate::leaks::evidence::CaseMarks;
use crate::leaks::{Detector, Object, Watcher, mount_table};
use crate::process::supervisor::is_private_directory;
use crate::trace::LeakCategory;

pub(super) static DETECTOR: Detector = Detector {
    name: "shared-files",
    category: LeakCategory::File,
    unseen_without_privileges: "files in directories that only their owner may list",
    watcher: |marks| {
        Box::new(SharedFiles {
            marks: marks.clone(),
            since: None,
        })
    },
};

/// Where drivers keep state that is to outlive a call.
const PLACES: [&str; 9] = [
    "/tmp",
    "/var/tmp",
    "/dev/shm",
    "/run",
    "/var/lib",
    "/var/cache",
    "/mnt",
    "/srv",
    "/opt",
];
/// How deep directories are looked into: `/var/lib/driver/boxes/NAME` is found.
const DEPTH_MAX: usize = 3;
/// A directory with more directories in it than this holds data, and is not looked into.
const DIRECTORIES_IN_ONE_MAX: usize = 200;
/// Most directories that are looked at for one case.
const DIRECTORIES_MAX: usize = 3_000;
/// How much older than the case a changed file may look: clocks of files tick.
const TICK: Duration = Duration::from_millis(50);

struct SharedFiles {
    marks: CaseMarks,
    since: Option<Duration>,
}

impl Watcher for SharedFiles {
    fn may_have_changed(&mut self) -> bool {
        false
    }

    /// The first look only notes the time: ids of jobs are drawn anew in each run, so nothing older can be meant.
    fn look(&mut self) -> io::Result<Vec<Object>> {
        let Some(since) = self.since else {
            self.since = Some(unix_time().saturating_sub(TICK));
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        let mut waiting: Vec<(PathBuf, usize)> = places().map(|place| (place, 0)).collect();
        let mut looked_at = 0;
        while let Some((directory, depth)) = waiting.pop() {
            looked_at += 1;
            let Some(listing) = listing(&directory).filter(|_| looked_at <= DIRECTORIES_MAX) else {
                continue;
            };
            if listing.changed >= since {
                let entries = listing.entries.iter();
                let paths = entries.map(|entry| directory.join(&entry.name));
                found.extend(paths.filter_map(|path| self.found(&path, since)));
            }
            if depth < DEPTH_MAX && listing.directories <= DIRECTORIES_IN_ONE_MAX {
                let inner = listing.entries.iter().filter(|entry| entry.is_directory);
                let inner = inner.map(|entry| directory.join(&entry.name));
                waiting.extend(
                    inner
                        .filter(|path| self.marks.job_in(&path.to_string_lossy()).is_none())
                        .map(|path| (path, depth + 1)),
                );
            }
        }
        self.leave_out_contents(&mut found);
        Ok(without_mounts(found))
    }
}

impl SharedFiles {
    /// A file that is a leak or may be one. What only has changed may be anybody's, but for what a job's name is on; and one
    /// job alone does not show that each makes another one.
    fn found(&self, path: &Path, since: Duration) -> Option<Object> {
        if self.marks.job_in(&path.to_string_lossy()).is_some() {
            return object(path, since);
        }
        let object = (self.marks.jobs() > 1).then(|| object(path, since))??;
        let is_new = object
            .born
            .as_ref()
            .is_some_and(|born| *born.start() >= since);
        is_new.then_some(object)
    }

    /// What is in a new directory is no news beside it, unless a job's name is on it.
    fn leave_out_contents(&self, found: &mut Vec<Object>) {
        let all: BTreeSet<PathBuf> = found
            .iter()
            .map(|object| PathBuf::from(&object.identity))
            .collect();
        found.retain(|object| {
            let mut around = Path::new(&object.identity).ancestors().skip(1);
            self.marks.job_in(&object.identity).is_some() || !around.any(|path| all.contains(path))
        });
    }
}

/// What a file that is nobody's is called: what appears in one of the places meanwhile says nothing about another.
fn kind(path: &Path) -> &'static str {
    const KINDS: [(&str, &str); 4] = [
        ("/tmp", "file in /tmp"),
        ("/var/tmp", "file in /var/tmp"),
        ("/dev/shm", "file in /dev/shm"),
        ("/run", "file in /run"),
    ];
    let known = KINDS.iter().find(|(place, _)| path.starts_with(place));
    known.map_or("file", |(_, kind)| kind)
}

/// What is mounted is a leak of another sort, and the place where it is mounted cannot go before it.
fn without_mounts(mut found: Vec<Object>) -> Vec<Object> {
    if !found.is_empty() {
        let mounts = mount_table::read().unwrap_or_default();
        found.retain(|object| {
            let place = Path::new(&object.identity);
            mounts.iter().all(|mount| mount.point != place)
        });
    }
    found
}

fn places() -> impl Iterator<Item = PathBuf> {
    PLACES.iter().map(PathBuf::from)
}

/// What is in a directory.
struct Listing {
    /// When something was last added or removed, since the Unix epoch.
    changed: Duration,
    entries: Vec<Entry>,
    directories: usize,
}

struct Entry {
    name: std::ffi::OsString,
    is_directory: bool,
}

/// Listings that are still true, shared by all cases of this process.
static LISTINGS: Mutex<Option<HashMap<PathBuf, Arc<Listing>>>> = Mutex::new(None);

/// What is in a directory, without our own private ones.
fn listing(directory: &Path) -> Option<Arc<Listing>> {
    let changed = modified(&fs::symlink_metadata(directory).ok()?)?;
    let mut guard = LISTINGS.lock().unwrap_or_else(PoisonError::into_inner);
    let known = guard.get_or_insert_default();
    if let Some(listing) = known.get(directory)
        && listing.changed == changed
    {
        return Some(Arc::clone(listing));
    }
    let read_at = unix_time();
    let entries: Vec<Entry> = fs::read_dir(directory)
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let ours = is_private_directory(&name.to_string_lossy());
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            (!ours).then_some(Entry { name, is_directory })
        })
        .collect();
    let listing = Arc::new(Listing {
        changed,
        directories: entries.iter().filter(|entry| entry.is_directory).count(),
        entries,
    });
    // Within one tick of the clock, more may come without another time of change.
    if changed + TICK < read_at {
        known.insert(directory.to_path_buf(), Arc::clone(&listing));
    }
    Some(listing)
}

fn modified(metadata: &fs::Metadata) -> Option<Duration> {
    let modified = metadata.modified().ok()?;
    modified.duration_since(UNIX_EPOCH).ok()
}

fn unix_time() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// The file, unless it is older than the case.
fn object(path: &Path, since: Duration) -> Option<Object> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    let status = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, wanted).ok()?;
    let changed = time(status.stx_ctime.tv_sec, status.stx_ctime.tv_nsec)?;
    if changed < since {
        return None;
    }
    let path = path.to_string_lossy().into_owned();
    Some(Object {
        identity: path.clone(),
        kind: kind(Path::new(&path)),
        what: path.clone(),
        names: vec![path],
        creator: None,
        born: birth(&status).map(|born| born..=born),
    })
}

fn birth(status: &Statx) -> Option<Duration> {
    let known = status.stx_mask & StatxFlags::BTIME.bits() != 0;
    known.then(|| time(status.stx_btime.tv_sec, status.stx_btime.tv_nsec))?
}

fn time(seconds: i64, nanoseconds: u32) -> Option<Duration> {
    Some(Duration::new(u64::try_from(seconds).ok()?, nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_carries_the_id_of_a_job_is_found() {
        // A directory in a shared place, as a driver makes them; its name is no mark.
        let state = tempfile::Builder::new()
            .prefix("boxes-of-a-test-")
            .tempdir_in("/tmp")
            .expect("a directory");
        let id = 100_000_000 + u64::from(std::process::id());
        let marks = CaseMarks::new(Path::new("/nowhere"), [id]);
        let mut watcher = (DETECTOR.watcher)(&marks);
        assert!(watcher.look().expect("it may look").is_empty());
        let box_of_job = state.path().join(format!("box-{id}"));
        fs::create_dir(&box_of_job).expect("made");
        fs::write(box_of_job.join("disk"), "").expect("written");
        fs::write(state.path().join(format!("box-{id}0")), "").expect("written");
        let found = watcher.look().expect("it may look");
        let paths: Vec<&str> = found.iter().map(|object| &*object.identity).collect();
        assert_eq!(paths, [box_of_job.to_str().expect("UTF-8")]);
    }

    #[test]
    fn what_is_new_is_a_suspicion_while_several_jobs_run() {
        let marks = |ids: &[u64]| CaseMarks::new(Path::new("/nowhere"), ids.iter().copied());
        let mut watchers = [marks(&[1]), marks(&[1, 2])].map(|marks| (DETECTOR.watcher)(&marks));
        for watcher in &mut watchers {
            assert!(watcher.look().expect("it may look").is_empty());
        }
        // Its name says nothing, its time does.
        let state = tempfile::Builder::new()
            .prefix("boxes-of-a-test-")
            .tempdir_in("/tmp")
            .expect("a directory");
        fs::write(state.path().join("inside"), "").expect("written");
        let [of_one, of_two] = watchers.map(|mut watcher| {
            let found = watcher.look().expect("it may look");
            let here = |object: &Object| Path::new(&object.identity).starts_with(state.path());
            let found = found.into_iter().filter(here);
            found
                .map(|object| (object.identity, object.kind))
                .collect::<Vec<_>>()
        });
        assert_eq!(of_one, []);
        assert_eq!(
            of_two,
            [(state.path().display().to_string(), "file in /tmp")]
        );
    }
}
