//! The files a runner makes for a driver and reads from it (B4, G3).

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path};

use crate::contract::exit::{EXIT_CODE_FILE_LINE_BYTES_MAX, ExitCodeFile};
use crate::contract::protocol::ScriptFile;
use crate::leaks::mount_table::is_mounted_below;
use crate::process::client::{system_words, write_executables};
use crate::trace::EXIT_CODE_FILE_BYTES_MAX;

/// Makes an attempt's temporary directory (0700) with `response.json` (0600); the error is worded like Go's.
pub(super) fn make_temp_dir(path: &Path, response_json: &str) -> Result<(), String> {
    DirBuilder::new()
        .mode(0o700)
        .create(path)
        .map_err(|error| go_error("mkdir", path, &error))?;
    write_new(&path.join("response.json"), 0o600, response_json)
}

/// Makes a script's directory (0700) and the script (0700) in it; the error is worded like Go's.
pub(super) fn write_script(script: &ScriptFile) -> Result<(), String> {
    let directory = &script.dir;
    DirBuilder::new()
        .mode(0o700)
        .create(directory)
        .map_err(|error| go_error("mkdir", directory, &error))?;
    write_new(&script.path, 0o700, &script.text)
}

fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), String> {
    let write = || {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
    };
    write_executables(write).map_err(|error| go_error("open", path, &error))
}

fn go_error(operation: &str, path: &Path, error: &io::Error) -> String {
    format!("{operation} {}: {}", path.display(), system_words(error))
}

/// Whether `path` lies strictly below `directory`, without `..` in it.
pub(super) fn is_below(path: &Path, directory: &Path) -> bool {
    path.strip_prefix(directory).is_ok_and(|rest| {
        let mut components = rest.components().peekable();
        components.peek().is_some()
            && components.all(|component| matches!(component, Component::Normal(_)))
    })
}

/// Removes a directory with all it holds, as far as that is possible, like Go's `RemoveAll` whose error the runner does
/// not look at. Unlike the runner, it stops where a driver has mounted something: that may be a directory of the machine.
pub(super) fn remove_temp_dir(path: &Path) {
    if is_mounted_below(path) {
        return;
    }
    let _what_is_left_is_found_later = fs::remove_dir_all(path);
}

/// What is in the exit-code file.
pub(super) fn read_exit_code_file(path: &Path) -> ExitCodeFile {
    // Not blocking: the driver may have put a FIFO there.
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path);
    let Ok(file) = opened else {
        return ExitCodeFile::Absent;
    };
    let most = u64::try_from(EXIT_CODE_FILE_LINE_BYTES_MAX + 1).unwrap_or(u64::MAX);
    let mut content = Vec::new();
    match file.take(most).read_to_end(&mut content) {
        Ok(_) => ExitCodeFile::Content(content),
        Err(_) => ExitCodeFile::Unreadable,
    }
}

/// The part of it that the trace keeps.
pub(super) fn kept(content: &ExitCodeFile) -> Option<Vec<u8>> {
    match content {
        ExitCodeFile::Content(bytes) => {
            Some(bytes[..bytes.len().min(EXIT_CODE_FILE_BYTES_MAX)].to_vec())
        }
        ExitCodeFile::Absent | ExitCodeFile::Unreadable => None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("exists").permissions().mode() & 0o7777
    }

    #[test]
    fn directory_response_and_script_are_private() {
        let parent = tempfile::tempdir().expect("a directory");
        let attempt = parent.path().join("custom-executor1");
        make_temp_dir(&attempt, "{}\n").expect("made");
        assert_eq!(mode(&attempt), 0o700);
        assert_eq!(mode(&attempt.join("response.json")), 0o600);
        let dir = attempt.join("script2");
        let script = ScriptFile {
            path: dir.join("script"),
            dir,
            text: "true".into(),
        };
        write_script(&script).expect("written");
        assert_eq!((mode(&script.dir), mode(&script.path)), (0o700, 0o700));
        let gone = ScriptFile {
            dir: "/nowhere/x".into(),
            path: "/nowhere/x/script".into(),
            text: "".into(),
        };
        assert_eq!(
            write_script(&gone),
            Err("mkdir /nowhere/x: no such file or directory".to_owned())
        );
    }

    #[test]
    fn whatever_lies_at_the_exit_code_path_is_told_without_waiting() {
        let parent = tempfile::tempdir().expect("a directory");
        let path = parent.path().join("build_exit_code");
        assert_eq!(read_exit_code_file(&path), ExitCodeFile::Absent);
        fs::write(&path, "42\n").expect("written");
        assert_eq!(
            read_exit_code_file(&path),
            ExitCodeFile::Content(b"42\n".to_vec())
        );
        fs::write(&path, vec![b'1'; 100_000]).expect("written");
        let content = read_exit_code_file(&path);
        assert!(matches!(&content, ExitCodeFile::Content(bytes) if bytes.len() == 65_537));
        assert_eq!(kept(&content).map(|bytes| bytes.len()), Some(65_536));
        assert_eq!(read_exit_code_file(parent.path()), ExitCodeFile::Unreadable);
        let fifo = parent.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).expect("a FIFO");
        assert_eq!(
            read_exit_code_file(&fifo),
            ExitCodeFile::Content(Vec::new())
        );
    }

    #[test]
    fn only_paths_strictly_below_are_below() {
        let directory = Path::new("/case/tmp");
        assert!(is_below(Path::new("/case/tmp/custom-executor1"), directory));
        for path in [
            "/case/tmp",
            "/case",
            "/case/tmp/../home",
            "/case/tmpfoo",
            "tmp/x",
        ] {
            assert!(!is_below(Path::new(path), directory), "{path}");
        }
    }
}
