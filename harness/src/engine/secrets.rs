//! Where the secrets of a job turn up while a driver is at work: in files, and in the arguments of processes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::directories::CaseDirectories;
use crate::process::supervisor::is_private_directory;
use crate::trace::{CallIndex, SecretArgument, SecretFile};

/// Larger files are not searched.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Most entries that are looked at after one call.
const ENTRIES_MAX: usize = 2_000;
/// Places that all users of a machine have in common, where drivers put what they need for a while.
const SHARED_PLACES: [&str; 4] = ["/tmp", "/var/tmp", "/dev/shm", "/run"];
/// How deep directories in them are looked into.
const SHARED_DEPTH_MAX: usize = 2;
/// How much older than the case a changed file may look: clocks of files tick.
const TICK: Duration = Duration::from_millis(50);
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
    /// No other case and no other run has the same.
    pub drawn: bool,
}

/// Looks for secrets.
#[derive(Debug)]
pub(super) struct SecretWatch {
    secrets: Vec<Secret>,
    root: PathBuf,
    /// When the watch began: what has not changed since in a place that others use is not the driver's.
    since: SystemTime,
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
            since: SystemTime::now(),
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
            self.walk(vec![Place::of_case(&self.root)], call);
            self.walk(SHARED_PLACES.map(Place::shared).to_vec(), call);
        }
    }

    /// Looks at command lines, each with NULs between its arguments.
    pub(super) fn look_at_arguments(&mut self, command_lines: &[Vec<u8>], call: Option<CallIndex>) {
        for line in command_lines {
            let secrets = self.named_in(line);
            let program = line.split(|byte| *byte == 0).next().unwrap_or_default();
            let program = String::from_utf8_lossy(program);
            let found = SecretArgument {
                program: program.rsplit('/').next().unwrap_or_default().to_owned(),
                secrets,
                made_by: call,
            };
            if !found.secrets.is_empty() && !self.arguments.contains(&found) {
                self.arguments.push(found);
            }
        }
    }

    /// What is looked for in the arguments of each program that a call starts, where these can be followed.
    pub(super) fn values(&self) -> Vec<String> {
        let values = self.secrets.iter().map(|secret| secret.value.clone());
        values.collect()
    }

    /// A call started a program with some of these [values](Self::values) in its arguments.
    pub(super) fn program_seen(&mut self, program: &str, held: &[usize], call: CallIndex) {
        let named = held.iter().filter_map(|place| self.secrets.get(*place));
        let found = SecretArgument {
            program: program.to_owned(),
            secrets: named.map(|secret| secret.name.clone()).collect(),
            made_by: Some(call),
        };
        if !found.secrets.is_empty() && !self.arguments.contains(&found) {
            self.arguments.push(found);
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
        named_in(self.secrets.iter(), text)
    }

    fn walk(&mut self, mut waiting: Vec<Place>, call: Option<CallIndex>) {
        let mut count = 0;
        while let Some(place) = waiting.pop() {
            let Ok(entries) = fs::read_dir(&place.directory) else {
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
                    waiting.extend(place.inner(path, passable));
                } else if metadata.is_file()
                    && metadata.len() <= FILE_BYTES_MAX
                    && (!place.is_shared || self.is_new(&metadata))
                {
                    let readable = place.is_open && mode & OTHERS_READ != 0;
                    self.look_at(&path, &place, (mode, readable), call);
                }
            }
        }
    }

    fn is_new(&self, metadata: &fs::Metadata) -> bool {
        let changed = metadata.modified();
        changed.is_ok_and(|changed| changed + TICK >= self.since)
    }

    fn look_at(
        &mut self,
        path: &Path,
        place: &Place,
        (mode, readable): (u32, bool),
        call: Option<CallIndex>,
    ) {
        let Ok(content) = fs::read(path) else { return };
        // In a place that all use may be what another run left.
        let looked_for = self.secrets.iter();
        let looked_for = looked_for.filter(|secret| secret.drawn || !place.is_shared);
        let secrets = named_in(looked_for, &content);
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

/// The names of those secrets that are in a text.
fn named_in<'a>(secrets: impl Iterator<Item = &'a Secret>, text: &[u8]) -> Vec<String> {
    secrets
        .filter(|secret| crate::bytes::contains(text, secret.value.as_bytes()))
        .map(|secret| secret.name.clone())
        .collect()
}

/// A directory that is looked into.
#[derive(Debug, Clone)]
struct Place {
    directory: PathBuf,
    /// Others can reach what is in it.
    is_open: bool,
    /// All users of the machine have it in common.
    is_shared: bool,
    /// How much deeper directories are looked into.
    depth: usize,
}

impl Place {
    fn of_case(root: &Path) -> Self {
        Self {
            directory: root.to_path_buf(),
            is_open: true,
            is_shared: false,
            depth: usize::MAX,
        }
    }

    fn shared(place: &str) -> Self {
        Self {
            directory: PathBuf::from(place),
            is_open: true,
            is_shared: true,
            depth: SHARED_DEPTH_MAX,
        }
    }

    /// A directory in it, unless that is too deep, or another case's.
    fn inner(&self, directory: PathBuf, passable: bool) -> Option<Self> {
        let name = directory.file_name().unwrap_or_default().to_string_lossy();
        let of_a_case = self.is_shared && is_private_directory(&name);
        (self.depth > 0 && !of_a_case).then(|| Self {
            is_open: self.is_open && passable,
            is_shared: self.is_shared,
            depth: self.depth - 1,
            directory,
        })
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
            drawn: true,
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
    fn a_secret_that_is_no_other_cases_is_found_in_places_that_all_use() {
        let directories = CaseDirectories::new_in(&std::env::temp_dir()).expect("directories");
        let mut watch = watch(&directories);
        watch.secrets.push(Secret {
            name: "PASSWORD".into(),
            value: "the-same-in-all-runs".into(),
            drawn: false,
        });
        let place = tempfile::tempdir_in("/tmp").expect("a directory");
        let file = place.path().join("job.env");
        write(&file, "canary-1234 the-same-in-all-runs", 0o600);
        watch.look_at_files(Some(CallIndex(1)));
        let (files, _) = watch.found();
        let found: Vec<_> = files.iter().filter(|found| found.path == file).collect();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].secrets, ["TOKEN"]);
        assert!(found[0].left && !found[0].readable_by_others);
    }

    #[test]
    fn a_program_that_was_followed_counts_like_one_that_was_seen() {
        let directories = CaseDirectories::new_in(&std::env::temp_dir()).expect("directories");
        let mut watch = watch(&directories);
        watch.program_seen("login", &[], CallIndex(0));
        watch.program_seen("login", &[0], CallIndex(0));
        watch.look_at_arguments(&[b"/bin/login\0canary-1234\0".to_vec()], Some(CallIndex(0)));
        assert_eq!(watch.found().1.len(), 1);
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
