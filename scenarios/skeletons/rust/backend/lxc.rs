//! The backend: where jobs run. To run them elsewhere, replace what is in this file.
//!
//! Here a box is one of LXD's instances, made from the image that the job names; the image has to have bash, git and setsid.

use std::process::{Command, Stdio};

use crate::{Failure, client, variable};

const IMAGE_DEFAULT: &str = "ubuntu:24.04";

pub struct JobBox {
    pub name: String,
    pub builds_dir: String,
    pub cache_dir: String,
    /// In the box, for the driver.
    pub notes: String,
}

impl JobBox {
    pub fn named(name: String) -> Self {
        Self {
            name,
            builds_dir: "/builds".to_owned(),
            cache_dir: "/cache".to_owned(),
            notes: "/run/my-driver".to_owned(),
        }
    }

    /// Whether the box is there. Whoever cannot tell must not guess, but fail. All names are looked at, since LXD takes a name that it
    /// is asked for as the beginning of one: of job 12 and job 123.
    pub fn exists(&self) -> Result<bool, Failure> {
        let names = output(&["lxc", "list", "--format", "csv", "--columns", "n"])?;
        Ok(names.lines().any(|name| name == self.name))
    }

    pub fn create(&self) -> Result<(), Failure> {
        let image = match variable("CI_JOB_IMAGE") {
            image if image.is_empty() => IMAGE_DEFAULT.to_owned(),
            image => image,
        };
        // The job chooses this word: it must not be an option of LXD's.
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "._/:@-".contains(letter);
        if !image.starts_with(|letter: char| letter.is_ascii_alphanumeric())
            || !image.chars().all(plain)
        {
            return Err(Failure::system("no name of an image", image));
        }
        let name = &self.name;
        output(&["lxc", "launch", &image, name])?;
        output(&[
            "lxc",
            "exec",
            name,
            "--",
            "mkdir",
            "-p",
            &self.builds_dir,
            &self.cache_dir,
            &self.notes,
        ])?;
        Ok(())
    }

    /// Removes the box with all that runs in it; succeeds if there is none.
    pub fn remove(&self) -> Result<(), Failure> {
        if self.exists()? {
            output(&["lxc", "delete", "--force", &self.name])?;
        }
        Ok(())
    }

    /// What is to be started for a command in the box, with its standard input, output and exit code.
    pub fn command(&self, words: &[&str]) -> Result<Command, Failure> {
        let mut command = Command::new("lxc");
        command.args(["exec", &self.name, "--"]).args(words);
        Ok(command)
    }
}

/// What a program prints; that it fails is a failure.
fn output(words: &[&str]) -> Result<String, Failure> {
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let ended = client::run(&mut command)?;
    if ended.succeeded() {
        return Ok(ended.output);
    }
    Err(Failure::System(format!("{} has failed", words.join(" "))))
}
