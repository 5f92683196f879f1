//! The files a simulated driver and runner see: temporary directories and their content.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::contract::exit::ExitCodeFile;
use crate::contract::protocol::ScriptFile;

const DIRECTORY_OF_RUNNER: &str = "040700";
const DIRECTORY_OF_DRIVER: &str = "040755";
const FILE_OF_DRIVER: &str = "100644";

/// All temporary directories.
#[derive(Debug, Default)]
pub(super) struct Files {
    directories: BTreeMap<PathBuf, BTreeMap<PathBuf, Entry>>,
}

#[derive(Debug)]
struct Entry {
    mode: &'static str,
    content: Vec<u8>,
}

impl Files {
    pub(super) fn make_temp_dir(&mut self, path: PathBuf) {
        let response = Entry {
            mode: "100600",
            content: Vec::new(),
        };
        let entries = BTreeMap::from([(PathBuf::from("response.json"), response)]);
        self.directories.insert(path, entries);
    }

    pub(super) fn remove_tree(&mut self, path: &Path) {
        self.directories.remove(path);
    }

    pub(super) fn exists(&self, directory: &Path) -> bool {
        self.directories.contains_key(directory)
    }

    pub(super) fn directories(&self) -> impl Iterator<Item = &PathBuf> {
        self.directories.keys()
    }

    pub(super) fn write_script(&mut self, directory: &Path, script: &ScriptFile) {
        self.put(directory, &script.dir, DIRECTORY_OF_RUNNER, Vec::new());
        self.put(directory, &script.path, "100700", Vec::new());
    }

    pub(super) fn write(&mut self, directory: &Path, path: &Path, content: Vec<u8>) {
        self.put(directory, path, FILE_OF_DRIVER, content);
    }

    pub(super) fn make_directory(&mut self, directory: &Path, path: &Path) {
        self.put(directory, path, DIRECTORY_OF_DRIVER, Vec::new());
    }

    fn put(&mut self, directory: &Path, path: &Path, mode: &'static str, content: Vec<u8>) {
        let Some(entries) = self.directories.get_mut(directory) else {
            return;
        };
        // A path outside the directory is some other place, which nobody looks at.
        if let Ok(relative) = path.strip_prefix(directory) {
            entries.insert(relative.to_owned(), Entry { mode, content });
        }
    }

    pub(super) fn exit_code_file(&self, directory: &Path, path: &Path) -> ExitCodeFile {
        let entry = path
            .strip_prefix(directory)
            .ok()
            .and_then(|relative| self.directories.get(directory)?.get(relative));
        match entry {
            None => ExitCodeFile::Absent,
            Some(entry) if entry.mode == FILE_OF_DRIVER => {
                ExitCodeFile::Content(entry.content.clone())
            }
            Some(_) => ExitCodeFile::Unreadable,
        }
    }

    /// Relative paths and modes of all that is in a directory.
    pub(super) fn listing(&self, directory: &Path) -> Vec<(String, String)> {
        let entries = self.directories.get(directory);
        entries
            .into_iter()
            .flatten()
            .map(|(path, entry)| (path.to_string_lossy().into_owned(), entry.mode.to_owned()))
            .collect()
    }
}
