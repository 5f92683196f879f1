//! The backend: where jobs run. To run them elsewhere, replace what is in this file.
//!
//! Here a box is a virtual machine of a cloud with an HTTP API, reached by ssh; the image has to have bash, git and setsid. The API is
//! a model of many: change paths and fields to those of yours. The standard library knows neither HTTP nor JSON: `curl` asks, and
//! what is looked for in an answer is found as text; with dependencies, the crates `ureq` and `serde_json` do both.

use std::io::{self, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, thread};

use crate::{Failure, client, variable};

const IMAGE_DEFAULT: &str = "debian-13";

/// How often it is looked whether a machine is there, or gone.
const TRIES_MAX: u32 = 240;
const PAUSE: Duration = Duration::from_millis(500);

/// The keys of machines that live for one job cannot be known before.
const SSH: &str = "-o BatchMode=yes -o ConnectTimeout=10 -o LogLevel=ERROR -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null";

const CURL: &str = "--silent --show-error --max-time 30 --header Content-Type:application/json --config - --write-out \\n%{http_code}";

pub struct JobBox {
    pub name: String,
    pub builds_dir: String,
    pub cache_dir: String,
    /// In the box, for the driver.
    pub notes: String,
}

/// The document of a machine.
struct Machine(String);

impl Machine {
    /// A field of it; empty if there is none. Its values are words without quotation marks.
    fn field(&self, name: &str) -> &str {
        let value = self.0.split_once(&format!("\"{name}\":"));
        let value = value.map(|(_, rest)| rest.trim_start().trim_start_matches('"'));
        value.and_then(|rest| rest.split('"').next()).unwrap_or("")
    }
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

    /// Whether the box is there. Whoever cannot tell must not guess, but fail.
    pub fn exists(&self) -> Result<bool, Failure> {
        Ok(self.machine()?.is_some())
    }

    /// The machine of the job, if there is one.
    fn machine(&self) -> Result<Option<Machine>, Failure> {
        match api("GET", &format!("instances/{}", self.name), "")? {
            (200, document) => Ok(Some(Machine(document))),
            (404, _) => Ok(None),
            (status, _) => Err(Failure::System(format!(
                "the API does not say whether there is {}: status {status}",
                self.name
            ))),
        }
    }

    pub fn create(&self) -> Result<(), Failure> {
        let image = match variable("CI_JOB_IMAGE") {
            image if image.is_empty() => IMAGE_DEFAULT.to_owned(),
            image => image,
        };
        // The job chooses this word: it must not be more than a string of JSON.
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "._/:@-".contains(letter);
        if !image.chars().all(plain) {
            return Err(Failure::system("no name of an image", image));
        }
        let name = &self.name;
        let wanted = format!(r#"{{"name": "{name}", "image": "{image}"}}"#);
        let (status, _) = api("POST", "instances", &wanted)?;
        if status != 202 {
            return Err(Failure::System(format!(
                "{name} cannot be made: status {status}"
            )));
        }
        until(|| match self.machine()? {
            Some(machine) if machine.field("status") != "off" => {
                Ok(machine.field("status") == "active")
            }
            _ => Err(Failure::system(name, "lost")),
        })?;
        let mut mkdir = self.command(&[
            "mkdir",
            "-p",
            &self.builds_dir,
            &self.cache_dir,
            &self.notes,
        ])?;
        match client::run(mkdir.stdin(Stdio::null()))?.succeeded() {
            true => Ok(()),
            false => Err(Failure::system(name, "cannot be reached")),
        }
    }

    /// Removes the box with all that runs in it, and waits until the API does not know it any more; succeeds if there is none.
    pub fn remove(&self) -> Result<(), Failure> {
        match api("DELETE", &format!("instances/{}", self.name), "")? {
            (204 | 404, _) => until(|| Ok(!self.exists()?)),
            (status, _) => Err(Failure::System(format!(
                "{} cannot be removed: status {status}",
                self.name
            ))),
        }
    }

    /// What is to be started for a command in the box, with its standard input, output and exit code. A shell on the other side
    /// puts the words apart again, so each is quoted.
    pub fn command(&self, words: &[&str]) -> Result<Command, Failure> {
        let machine = self.machine()?;
        let Some(machine) = machine.filter(|machine| machine.field("status") == "active") else {
            return Err(Failure::system(&self.name, "lost"));
        };
        let quoted = words
            .iter()
            .map(|word| format!("'{}' ", word.replace('\'', r"'\''")));
        let mut command = Command::new("ssh");
        command.args(SSH.split(' '));
        command.arg(format!("root@{}", machine.field("address")));
        command.arg(quoted.collect::<String>());
        Ok(command)
    }
}

/// Asks until the answer is yes. Every wait has an end of its own: the runner would wait for an hour.
fn until(asked: impl Fn() -> Result<bool, Failure>) -> Result<(), Failure> {
    for _ in 0..TRIES_MAX {
        if asked()? {
            return Ok(());
        }
        thread::sleep(PAUSE);
    }
    Err(Failure::system(
        "the API",
        "has not done what it was asked for",
    ))
}

/// Asks the API: the status and the document. No answer at all is a failure. The token is no argument, since those can be read by
/// everybody on this machine.
fn api(method: &str, path: &str, body: &str) -> Result<(u16, String), Failure> {
    let [address, token] =
        ["VM_API_URL", "VM_API_TOKEN"].map(|name| env::var(name).unwrap_or_default());
    // One line fits into the pipe before anybody reads it.
    let piped = io::pipe().and_then(|(reader, mut writer)| {
        writeln!(writer, "header = \"Authorization: Bearer {token}\"").map(|()| reader)
    });
    let piped = piped.map_err(|error| Failure::system("a pipe", error))?;
    let mut curl = Command::new("curl");
    curl.args(["--request", method]).args(CURL.split(' '));
    curl.args(["--data", body, &format!("{address}/v1/{path}")]);
    let ended = client::run(curl.stdin(piped).stdout(Stdio::piped()))?;
    let answer = ended.output.rsplit_once('\n');
    match answer.and_then(|(document, status)| Some((status.parse().ok()?, document.to_owned()))) {
        Some(answer) if ended.succeeded() => Ok(answer),
        _ => Err(Failure::System(format!(
            "the API does not answer {method} {path}"
        ))),
    }
}
