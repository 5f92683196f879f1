//! Where the secrets of a job turn up while a driver is at work: in files, and in the arguments of processes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::directories::CaseDirectories;
use crate::trace::{CallIndex, SecretArgument, SecretFile};

/// Larger files are not searched.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Most entries that are looked at after one call.
const ENTRIES_MAX: usize = 2_000;
/// Read permission, for a file, and search permission, for a directory, of users that are neither owner nor in the group.
const OTHERS_READ: u32 = 0o004;
const OTHERS_SEARCH: u32 = 0o001;

/// A secret of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Name of the variable, as users know it.
    pub name: String,
    /// Its value, unlike any other text.
    pub value: String,
}

/// Looks for secrets.
#[derive(Debug)]
pub(super) struct SecretWatch {
    secrets: Vec<Secret>,
    root: PathBuf,
    /// Directories of the harness: that they are private says nothing about the driver.
    own: BTreeSet<PathBuf>,
    files: BTreeMap<PathBuf, SecretFile>,
    arguments: Vec<SecretArgument>,
}

impl SecretWatch {
    /// A watch for these secrets; with none of them, it does nothing.
    pub(super) fn new(secrets: Vec<Secret>, directories: &CaseDirectories) -> Self {
        Self {
            secrets,
            root: directories.root().to_path_buf(),
            own: directories.all().into_iter().collect(),
            files: BTreeMap::new(),
            arguments: Vec::new(),
        }
    }

    pub(super) fn is_on(&self) -> bool {
        !self.secrets.is_empty()
    }

    /// Looks at all files; new finds are put down to `call`, if it is the only one that may have made them.
    pub(super) fn look_at_files(&mut self, call: Option<CallIndex>) {
        if self.is_on() {
            self.walk(call);
        }
    }

    /// Looks at command lines, each with NULs between its arguments.
    pub(super) fn look_at_arguments(&mut self, command_lines: &[Vec<u8>], call: Option<CallIndex>) {
        for line in command_lines {
            let secrets = self.named_in(line);
            let program = line.split(|byte| *byte == 0).next().unwrap_or_default();
            let found = SecretArgument {
                program: String::from_utf8_lossy(program).into_owned(),
                secrets,
                made_by: call,
            };
            if !found.secrets.is_empty() && !self.arguments.contains(&found) {
                self.arguments.push(found);
            }
        }
    }

    /// What was found, after a last look.
    pub(super) fn found(mut self) -> (Vec<SecretFile>, Vec<SecretArgument>) {
        self.look_at_files(None);
        let mut files: Vec<SecretFile> = self.files.values().cloned().collect();
        for file in &mut files {
            let content = fs::read(&file.path).unwrap_or_default();
            file.left = !self.named_in(&content).is_empty();
        }
        (files, self.arguments)
    }

    fn named_in(&self, text: &[u8]) -> Vec<String> {
        self.secrets
            .iter()
            .filter(|secret| crate::bytes::contains(text, secret.value.as_bytes()))
            .map(|secret| secret.name.clone())
            .collect()
    }

    fn walk(&mut self, call: Option<CallIndex>) {
        let mut count = 0;
        // A directory, and whether others can reach what is in it.
        let mut waiting = vec![(self.root.clone(), true)];
        while let Some((directory, open)) = waiting.pop() {
            let Ok(entries) = fs::read_dir(&directory) else {
                continue;
            };
            for entry in entries.flatten() {
                count += 1;
                if count > ENTRIES_MAX {
                    return;
                }
                let path = entry.path();
                // Of the entry itself: symbolic links are not followed.
                let Ok(metadata) = entry.metadata() else {
                    continue;
                };
                let mode = metadata.mode();
                if metadata.is_dir() {
                    let passable = mode & OTHERS_SEARCH != 0 || self.own.contains(&path);
                    waiting.push((path, open && passable));
                } else if metadata.is_file() && metadata.len() <= FILE_BYTES_MAX {
                    self.look_at(&path, mode, open && mode & OTHERS_READ != 0, call);
                }
            }
        }
    }

    fn look_at(&mut self, path: &Path, mode: u32, readable: bool, call: Option<CallIndex>) {
        let Ok(content) = fs::read(path) else { return };
        let secrets = self.named_in(&content);
        if secrets.is_empty() {
            return;
        }
        let known = self
            .files
            .entry(path.to_path_buf())
            .or_insert_with(|| SecretFile {
                path: path.to_path_buf(),
                mode,
                secrets,
                readable_by_others: false,
                left: false,
                made_by: call,
            });
        if readable && !known.readable_by_others {
            known.readable_by_others = true;
            known.mode = mode;
            known.made_by = call;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn watch(directories: &CaseDirectories) -> SecretWatch {
        let secret = Secret {
            name: "TOKEN".into(),
            value: "canary-1234".into(),
        };
        SecretWatch::new(vec![secret], directories)
    }

    fn write(path: &Path, text: &str, mode: u32) {
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, text).expect("written");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
    }

    #[test]
    fn a_file_with_a_secret_is_found_with_what_others_can_do() {
        let directories = CaseDirectories::new_in(&std::env::temp_dir()).expect("directories");
        let mut watch = watch(&directories);
        write(&directories.home().join("open"), "T=canary-1234", 0o644);
        write(&directories.home().join("closed"), "T=canary-1234", 0o640);
        write(&directories.home().join("none"), "T=1234", 0o644);
        let hidden = directories.home().join("private/file");
        write(&hidden, "canary-1234\n", 0o644);
        let private = hidden.parent().expect("a parent");
        fs::set_permissions(private, fs::Permissions::from_mode(0o700)).expect("set");
        watch.look_at_files(Some(CallIndex(3)));
        fs::remove_file(directories.home().join("open")).expect("removed");
        let (files, _) = watch.found();
        let shown: Vec<_> = files
            .iter()
            .map(|file| (file.readable_by_others, file.left, file.made_by))
            .collect();
        let call = Some(CallIndex(3));
        assert_eq!(
            shown,
            [
                (false, true, call),
                (true, false, call),
                (false, true, call)
            ]
        );
    }

    #[test]
    fn a_secret_argument_is_found_once() {
        let directories = CaseDirectories::new_in(&std::env::temp_dir()).expect("directories");
        let mut watch = watch(&directories);
        let lines = [
            b"login\0--password\0canary-1234\0".to_vec(),
            b"login\0--user\0me\0".to_vec(),
        ];
        watch.look_at_arguments(&lines, Some(CallIndex(0)));
        watch.look_at_arguments(&lines, Some(CallIndex(0)));
        let (_, arguments) = watch.found();
        assert_eq!(arguments.len(), 1);
        assert_eq!(arguments[0].program, "login");
        assert_eq!(arguments[0].secrets, ["TOKEN"]);
    }
}
