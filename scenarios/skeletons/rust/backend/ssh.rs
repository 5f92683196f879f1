//! The backend: where jobs run. To run them elsewhere, replace what is in this file.
//!
//! Here a box is a directory of a fixed host that all jobs share, reached by ssh. It is private to a job, but no border: scripts run
//! as the user that logs in. Who that is, with which key and port, is a matter of the ssh configuration of the runner's user, which
//! has to know the key of the host as well.

use std::env;
use std::process::{Command, Stdio};

use crate::{Failure, client};

/// On the host; the user that logs in has to be able to write there.
const STORE: &str = "/var/lib/my-driver";

/// ssh never asks, and gives up on a host that is gone; its code is then 255, which may as well be that of the command.
const SSH: &str = "-o BatchMode=yes -o StrictHostKeyChecking=yes -o LogLevel=ERROR -o ConnectTimeout=10 -o ServerAliveInterval=15 -o ServerAliveCountMax=4";

/// Runs on the host. The last directory says that the box is whole. Scripts hold secrets, so it is for its owner alone.
const CREATE: &str = r#"umask 077; mkdir -p "$1/builds" "$1/tmp" "$2" && mkdir "$1/notes""#;

/// Runs on the host: ends every process of the job, also those in sessions of their own, then removes the box. It is nobody else
/// who ends them: the host stays. They have the name of the box in their environment, or work in it.
const REMOVE: &str = r#"
for try in {1..100}; do
    found=$(grep -Flxz -e "MY_DRIVER_BOX=$2" /proc/[0-9]*/environ 2>/dev/null
        find /proc/[0-9]*/cwd -maxdepth 0 "(" -lname "$1" -o -lname "$1/*" ")" 2>/dev/null)
    [ -n "$found" ] || break
    kill -s KILL ${found//[!0-9[:space:]]/} 2>/dev/null
    sleep 0.1
done
[ -z "$found" ] || exit 1
[ ! -e "$1" ] || chmod -R u+rwX "$1"
rm -rf "$1"
"#;

pub struct JobBox {
    pub name: String,
    pub builds_dir: String,
    /// Serves later jobs as well.
    pub cache_dir: String,
    /// In the box, for the driver.
    pub notes: String,
    place: String,
    host: String,
}

impl JobBox {
    pub fn named(name: String) -> Self {
        let place = format!("{STORE}/{name}");
        // The variable is one of the runner's environment.
        let host = env::var("SSH_HOST").unwrap_or_else(|_| "build-host".to_owned());
        Self {
            builds_dir: format!("{place}/builds"),
            cache_dir: format!("{STORE}/cache"),
            notes: format!("{place}/notes"),
            name,
            place,
            host,
        }
    }

    /// Whether the box is there. Whoever cannot tell must not guess, but fail.
    pub fn exists(&self) -> Result<bool, Failure> {
        match self.code_on_host(&["test", "-d", &self.notes])? {
            Some(code @ 0..=1) => Ok(code == 0),
            _ => Err(self.trouble("does not say whether it is there")),
        }
    }

    pub fn create(&self) -> Result<(), Failure> {
        match self.code_on_host(&["bash", "-c", CREATE, "-", &self.place, &self.cache_dir])? {
            Some(0) => Ok(()),
            _ => Err(self.trouble("cannot make it")),
        }
    }

    /// Removes the box with all that runs in it; succeeds if there is none, and fails if the host cannot be reached.
    pub fn remove(&self) -> Result<(), Failure> {
        match self.code_on_host(&["bash", "-c", REMOVE, "-", &self.place, &self.name])? {
            Some(0) => Ok(()),
            _ => Err(self.trouble("cannot remove what is left of it")),
        }
    }

    fn trouble(&self, what: &str) -> Failure {
        Failure::system(&self.name, format!("the host {} {what}", self.host))
    }

    fn code_on_host(&self, words: &[&str]) -> Result<Option<i32>, Failure> {
        let mut command = self.on_host(words);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Ok(client::run(&mut command)?.code)
    }

    /// What is to be started for a command on the host. A shell on the other side puts the words apart again, so each is quoted.
    fn on_host(&self, words: &[&str]) -> Command {
        let quoted = words
            .iter()
            .map(|word| format!("'{}' ", word.replace('\'', r"'\''")));
        let mut command = Command::new("ssh");
        command.args(SSH.split(' ')).arg(&self.host);
        command.arg(quoted.collect::<String>());
        command
    }

    /// What is to be started for a command in the box, with its standard input, output and exit code.
    pub fn command(&self, words: &[&str]) -> Result<Command, Failure> {
        let name = format!("MY_DRIVER_BOX={}", self.name);
        let temporary = format!("TMPDIR={}/tmp", self.place);
        Ok(self.on_host(&[&["env", &name, &temporary], words].concat()))
    }
}
