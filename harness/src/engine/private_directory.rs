//! A directory of the harness that says whether its owner is alive.
//!
//! The owner keeps it locked. A lock goes with the process that holds it, however that ends, and cannot be taken for that
//! of another process with the same number: so a directory that nobody has locked is nobody's.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use crate::process::supervisor::{DIRECTORY_PREFIX, DIRECTORY_RANDOM};

/// How often a directory is made that a janitor takes away before it is locked.
const TRIES_MAX: u32 = 10;

/// A directory that is locked while it lives, and removed when it is dropped.
#[derive(Debug)]
pub struct PrivateDirectory {
    directory: TempDir,
    _lock: File,
}

impl PrivateDirectory {
    /// Makes one with a name of its own.
    pub fn new_in(parent: &Path) -> io::Result<Self> {
        for _ in 0..TRIES_MAX {
            let directory = tempfile::Builder::new()
                .prefix(DIRECTORY_PREFIX)
                .rand_bytes(DIRECTORY_RANDOM)
                .tempdir_in(parent)?;
            let lock = match File::open(directory.path()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            flock(&lock, FlockOperation::LockExclusive)?;
            // A janitor may have found it in the moment before it was locked.
            if lock.metadata()?.nlink() > 0 && directory.path().exists() {
                return Ok(Self {
                    directory,
                    _lock: lock,
                });
            }
        }
        Err(io::Error::other("something removes each directory at once"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Leaves it where it is when it is dropped.
    pub fn keep(&mut self) {
        self.directory.disable_cleanup(true);
    }
}

/// Locks the directory of another process, if that does not live any more.
pub(crate) fn lock_orphan(directory: &Path) -> Option<File> {
    let lock = File::open(directory).ok()?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(lock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_an_orphan_as_soon_as_its_owner_is_gone() {
        let parent = tempfile::tempdir().expect("a directory");
        let mut directory = PrivateDirectory::new_in(parent.path()).expect("made");
        let path = directory.path().to_path_buf();
        assert!(lock_orphan(&path).is_none(), "it has an owner");
        directory.keep();
        drop(directory);
        assert!(path.exists());
        assert!(lock_orphan(&path).is_some());
    }
}
