//! Files of somebody else in the directories of a case: nothing that a driver does may touch them.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use super::directories::CaseDirectories;
use crate::trace::{CallIndex, TouchedKeepsake};

/// What is in each of them.
const CONTENT: &str = "This belongs to somebody else.\n";

/// The files, and what became of them so far.
#[derive(Debug, Clone, Default)]
pub struct Keepsakes {
    /// Those that are still as they were.
    untouched: Vec<PathBuf>,
    touched: Vec<TouchedKeepsake>,
}

impl Keepsakes {
    /// Lays the files into places that a driver may come to: where other programs keep their state, where another runner
    /// keeps its jobs, where the runner was started, and where a job may point a variable to. Fails with the system's
    /// error when one cannot be written.
    pub fn lay_out(directories: &CaseDirectories) -> io::Result<Self> {
        let home = directories.home();
        let temp = directories.runner_temp();
        let places = [
            home.clone(),
            home.join(".local/state/another-tool"),
            home.join(".config/another-tool"),
            home.join(".cache/another-tool"),
            temp.clone(),
            temp.join("custom-executor-of-another-runner"),
            directories.start_directory(),
            directories.keepsakes(),
        ];
        let mut untouched = Vec::new();
        for place in places {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&place)?;
            let path = place.join("keepsake");
            fs::write(&path, CONTENT)?;
            untouched.push(path);
        }
        Ok(Self {
            untouched,
            touched: Vec::new(),
        })
    }

    /// A call has ended; `call` if no other one was running. What is not as it was is put down to it.
    pub(super) fn call_ended(&mut self, call: Option<CallIndex>) {
        let touched = &mut self.touched;
        self.untouched.retain(|path| {
            let content = fs::read(path);
            let same = content
                .as_ref()
                .is_ok_and(|content| content == CONTENT.as_bytes());
            if !same {
                touched.push(TouchedKeepsake {
                    path: path.clone(),
                    gone: content.is_err(),
                    made_by: call,
                });
            }
            same
        });
    }

    /// What became of them.
    pub(super) fn touched(self) -> Vec<TouchedKeepsake> {
        self.touched
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed_or_changed_is_put_down_to_its_call_once() {
        let directories = CaseDirectories::new_in(&std::env::temp_dir()).expect("directories");
        let mut keepsakes = Keepsakes::lay_out(&directories).expect("written");
        keepsakes.call_ended(Some(CallIndex(0)));
        fs::remove_dir_all(directories.keepsakes()).expect("removed");
        keepsakes.call_ended(Some(CallIndex(1)));
        fs::write(directories.home().join("keepsake"), "mine now").expect("written");
        keepsakes.call_ended(Some(CallIndex(2)));
        let touched: Vec<_> = keepsakes
            .touched()
            .into_iter()
            .map(|file| (file.gone, file.made_by))
            .collect();
        assert_eq!(
            touched,
            [(true, Some(CallIndex(1))), (false, Some(CallIndex(2)))]
        );
    }
}
