//! The private directories of a case, and what is left in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::leaks::mount_table;
use crate::trace::{CallIndex, LEFT_FILES_MAX, LeftFile};

use super::private_directory::PrivateDirectory;

/// Most entries for which the directories are walked after every call; with more, only at the end, and files are then
/// not attributed to calls.
const ENTRIES_PER_CALL_MAX: usize = 2_000;

/// Directories that belong to one case alone, so that whatever appears in them comes from its calls. Removed with all
/// they hold when dropped.
#[derive(Debug)]
pub struct CaseDirectories {
    root: PrivateDirectory,
}

impl CaseDirectories {
    /// Makes them below `parent`, all with mode 0700. Fails with the system's error when one cannot be made.
    pub fn new_in(parent: &Path) -> io::Result<Self> {
        let root = PrivateDirectory::new_in(parent)?;
        let directories = Self { root };
        for path in directories.all() {
            make_private_directory(&path)?;
        }
        fs::write(directories.no_directory(), "")?;
        Ok(directories)
    }

    /// All of them but the root.
    pub(super) fn all(&self) -> [PathBuf; 7] {
        [
            self.runner_temp(),
            self.blank_temp(),
            self.home(),
            self.builds(),
            self.cache(),
            self.start_directory(),
            self.keepsakes(),
        ]
    }

    /// The directory that holds the others.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// The runner's own temporary directory, parent of each attempt's `custom-executor<digits>` (B4).
    pub fn runner_temp(&self) -> PathBuf {
        self.root().join("tmp")
    }

    /// A temporary directory of the runner with a blank in its path.
    pub fn blank_temp(&self) -> PathBuf {
        self.runner_temp().join("temporary files")
    }

    /// HOME of the runner.
    pub fn home(&self) -> PathBuf {
        self.root().join("home")
    }

    /// A file where a directory should be: nobody can make anything in it, whatever rights they have.
    pub fn no_directory(&self) -> PathBuf {
        self.root().join("no-directory")
    }

    /// `builds_dir`, for drivers that run scripts on this machine.
    pub fn builds(&self) -> PathBuf {
        self.root().join("builds")
    }

    /// `cache_dir`, for drivers that run scripts on this machine.
    pub fn cache(&self) -> PathBuf {
        self.root().join("cache")
    }

    /// Where the runner was started: what its PWD says, and no call's working directory (B3).
    pub fn start_directory(&self) -> PathBuf {
        self.root().join("runner")
    }

    /// A directory of somebody else.
    pub fn keepsakes(&self) -> PathBuf {
        self.root().join("keepsakes")
    }
}

impl Drop for CaseDirectories {
    fn drop(&mut self) {
        // A driver that mounts a directory of the machine here and forgets it must not lose what is in it by our cleaning.
        if mount_table::free_for_removal(self.root.path()).is_err() {
            self.root.keep();
        }
    }
}

/// Where private directories are best made: in TMPDIR if that is set, else in memory if programs may run there, else in
/// the system's temporary directory. A job makes and removes some forty files and directories, which on a disk takes as
/// long as its calls.
pub fn best_parent() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let is_set = std::env::var_os("TMPDIR").is_some_and(|value| !value.is_empty());
    if !is_set && programs_may_run_in(memory) {
        memory.to_path_buf()
    } else {
        std::env::temp_dir()
    }
}

fn programs_may_run_in(directory: &Path) -> bool {
    use rustix::fs::{Access, StatVfsMountFlags, access, statvfs};
    let mounted =
        statvfs(directory).is_ok_and(|system| !system.f_flag.contains(StatVfsMountFlags::NOEXEC));
    mounted && access(directory, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

/// Makes a directory with mode 0700 minus the umask.
pub(super) fn make_private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Notes what appears below a directory, and during which call.
#[derive(Debug)]
pub(super) struct FileWatch {
    root: PathBuf,
    /// The file system it is on: others that are mounted below are not looked into.
    device: Option<u64>,
    /// Not looked into: what the runner itself makes and removes, and what the case says.
    unwatched: BTreeSet<PathBuf>,
    /// Places where something is mounted, of this file system or another: not looked into either.
    mounts: BTreeSet<PathBuf>,
    /// What was there before the first call.
    before: BTreeSet<PathBuf>,
    /// Mode when it appeared last, and the call after which that was.
    appeared: BTreeMap<PathBuf, (u32, Option<CallIndex>)>,
    /// What was there after the call before.
    present: BTreeSet<PathBuf>,
    too_many: bool,
}

impl FileWatch {
    /// Begins to watch: what is there now is nobody's.
    pub(super) fn begin(root: &Path, unwatched: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut watch = Self {
            root: root.to_path_buf(),
            device: fs::metadata(root).ok().map(|metadata| metadata.dev()),
            unwatched: unwatched.into_iter().collect(),
            mounts: BTreeSet::new(),
            before: BTreeSet::new(),
            appeared: BTreeMap::new(),
            present: BTreeSet::new(),
            too_many: false,
        };
        watch.before = watch
            .walk(usize::MAX)
            .into_iter()
            .map(|(path, _)| path)
            .collect();
        watch
    }

    /// The runner made this directory: what is in it is not left by the driver.
    pub(super) fn runner_made(&mut self, path: &Path) {
        self.unwatched.insert(path.to_path_buf());
    }

    /// The runner removed it: if it is there later, somebody else made it, or it could not be removed.
    pub(super) fn runner_removed(&mut self, path: &Path) {
        self.unwatched.remove(path);
    }

    /// These places have something mounted on them, which is what is left there: the place goes with it.
    pub(super) fn mounted(&mut self, points: impl IntoIterator<Item = PathBuf>) {
        self.mounts = points.into_iter().collect();
    }

    /// A call has ended; `alone` if no other call of the case was running. New files are attributed to it then.
    pub(super) fn call_ended(&mut self, call: CallIndex, alone: bool) {
        if self.too_many {
            return;
        }
        let found = self.walk(ENTRIES_PER_CALL_MAX);
        if found.len() >= ENTRIES_PER_CALL_MAX {
            self.too_many = true;
            return;
        }
        let was_there = std::mem::replace(
            &mut self.present,
            found.iter().map(|(path, _)| path.clone()).collect(),
        );
        for (path, mode) in found {
            // What was removed and is there again was made by whoever made it last.
            if !self.before.contains(&path) && !was_there.contains(&path) {
                self.appeared.insert(path, (mode, alone.then_some(call)));
            }
        }
    }

    /// What is there now and was not at the beginning, at most [`LEFT_FILES_MAX`] of them.
    pub(super) fn left(&self) -> Vec<LeftFile> {
        self.walk(LEFT_FILES_MAX.saturating_add(self.before.len()))
            .into_iter()
            .filter(|(path, _)| !self.before.contains(path))
            .take(LEFT_FILES_MAX)
            .map(|(path, mode)| {
                // What was not there after the last call was made since then, maybe by a call that outlived its runner.
                let seen = self
                    .appeared
                    .get(&path)
                    .filter(|_| self.present.contains(&path));
                let made_by = seen.and_then(|(_, call)| *call);
                LeftFile {
                    path,
                    mode,
                    made_by,
                }
            })
            .collect()
    }

    /// What was there after some call and not at the beginning, whether or not it is there still.
    pub(super) fn appeared(&self) -> Vec<LeftFile> {
        let seen = self.appeared.iter().take(LEFT_FILES_MAX);
        seen.map(|(path, (mode, made_by))| LeftFile {
            path: path.clone(),
            mode: *mode,
            made_by: *made_by,
        })
        .collect()
    }

    /// All entries below the root with their modes, at most `entries_max`. Symbolic links are not followed.
    fn walk(&self, entries_max: usize) -> Vec<(PathBuf, u32)> {
        let mut found = Vec::new();
        let mut waiting = vec![self.root.clone()];
        while let Some(directory) = waiting.pop() {
            // A directory that cannot be read is itself in the list.
            let Ok(entries) = fs::read_dir(&directory) else {
                continue;
            };
            for entry in entries.flatten() {
                let path = entry.path();
                if self.unwatched.contains(&path) || self.mounts.contains(&path) {
                    continue;
                }
                if found.len() >= entries_max {
                    return found;
                }
                let Ok(metadata) = entry.metadata() else {
                    continue;
                };
                let mounted = self.device.is_some_and(|device| device != metadata.dev());
                if metadata.is_dir() && !mounted {
                    waiting.push(path.clone());
                }
                found.push((path, metadata.mode()));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directories() -> CaseDirectories {
        CaseDirectories::new_in(&std::env::temp_dir()).expect("a directory can be made")
    }

    #[test]
    fn new_files_are_attributed_and_old_ones_ignored() {
        let directories = directories();
        fs::write(directories.home().join("old"), "").expect("written");
        let mut watch = FileWatch::begin(directories.root(), []);
        fs::write(directories.home().join("first"), "").expect("written");
        watch.call_ended(CallIndex(0), true);
        fs::write(directories.home().join("second"), "").expect("written");
        watch.call_ended(CallIndex(1), false);
        fs::write(directories.home().join("late"), "").expect("written");
        let mut left: Vec<_> = watch
            .left()
            .into_iter()
            .map(|file| {
                (
                    file.path.file_name().expect("named").to_owned(),
                    file.made_by,
                )
            })
            .collect();
        left.sort();
        assert_eq!(
            left,
            [
                ("first".into(), Some(CallIndex(0))),
                ("late".into(), None),
                ("second".into(), None)
            ]
        );
    }

    #[test]
    fn what_is_made_again_is_attributed_to_its_last_maker() {
        let directories = directories();
        let mut watch = FileWatch::begin(directories.root(), []);
        let path = directories.home().join("box");
        for call in 0..2 {
            fs::write(&path, "").expect("written");
            watch.call_ended(CallIndex(3 * call), true);
            watch.call_ended(CallIndex(3 * call + 1), true);
            if call == 0 {
                fs::remove_file(&path).expect("removed");
                watch.call_ended(CallIndex(2), true);
            }
        }
        assert_eq!(watch.left()[0].made_by, Some(CallIndex(3)));
    }

    #[test]
    fn what_is_made_again_after_the_last_call_is_attributed_to_nobody() {
        let directories = directories();
        let mut watch = FileWatch::begin(directories.root(), []);
        let path = directories.home().join("box");
        fs::write(&path, "").expect("written");
        watch.call_ended(CallIndex(0), true);
        fs::remove_file(&path).expect("removed");
        watch.call_ended(CallIndex(1), true);
        // By a call whose runner was killed, which nobody saw end.
        fs::write(&path, "").expect("written");
        assert_eq!(watch.left()[0].made_by, None);
    }

    #[test]
    fn the_attempt_directory_counts_only_after_the_runner_removed_it() {
        let directories = directories();
        let mut watch = FileWatch::begin(directories.root(), []);
        let attempt = directories.runner_temp().join("custom-executor1");
        make_private_directory(&attempt).expect("made");
        watch.runner_made(&attempt);
        fs::write(attempt.join("state"), "").expect("written");
        assert!(watch.left().is_empty());
        watch.runner_removed(&attempt);
        assert_eq!(watch.left().len(), 2);
    }

    #[test]
    fn the_random_part_is_what_tells_them_from_others() {
        use crate::process::supervisor::is_private_directory;
        let name = |path: &Path| {
            path.file_name()
                .expect("named")
                .to_string_lossy()
                .into_owned()
        };
        assert!(is_private_directory(&name(directories().root())));
        for other in [
            "driver-conformance-",
            "driver-conformance-zoo-vms",
            "driver-conformance-report",
        ] {
            assert!(!is_private_directory(other), "{other}");
        }
    }

    #[test]
    fn they_go_with_their_owner() {
        let directories = directories();
        let root = directories.root().to_path_buf();
        drop(directories);
        assert!(!root.exists());
    }
}
