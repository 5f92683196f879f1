//! The backend: where jobs run. To run them elsewhere, replace what is in this file.
//!
//! Here a box is a directory of this machine, private to a job, but no border: its scripts run as the user of the runner.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

use crate::{Failure, client, end_work};

pub struct JobBox {
    pub name: String,
    pub builds_dir: String,
    pub cache_dir: String,
    /// In the box, for the driver.
    pub notes: String,
    place: PathBuf,
}

impl JobBox {
    pub fn named(name: String) -> Self {
        let state = env::var("XDG_STATE_HOME").unwrap_or_else(|_| {
            let home = env::var("HOME").unwrap_or_else(|_| "/tmp".to_owned());
            format!("{home}/.local/state")
        });
        let place = Path::new(&state).join("my-driver").join(&name);
        let below = |directory: &str| place.join(directory).to_string_lossy().into_owned();
        Self {
            builds_dir: below("builds"),
            cache_dir: below("cache"),
            notes: below("notes"),
            name,
            place,
        }
    }

    /// Whether the box is there. Whoever cannot tell must not guess, but fail.
    pub fn exists(&self) -> Result<bool, Failure> {
        Ok(Path::new(&self.notes).is_dir())
    }

    pub fn create(&self) -> Result<(), Failure> {
        // The last directory says that the box is whole.
        for directory in [&self.builds_dir, &self.cache_dir, &self.notes] {
            fs::create_dir_all(directory).map_err(|error| Failure::system(directory, error))?;
        }
        Ok(())
    }

    /// Removes the box with all that runs in it; succeeds if there is none.
    pub fn remove(&self) -> Result<(), Failure> {
        if self.exists()? {
            client::run(&mut end_work(self, "stop")?)?;
        }
        match fs::remove_dir_all(&self.place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Failure::system(self.place.display(), error))
            }
            _ => Ok(()),
        }
    }

    /// What is to be started for a command in the box, with its standard input, output and exit code.
    pub fn command(&self, words: &[&str]) -> Result<Command, Failure> {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        Ok(command)
    }
}
