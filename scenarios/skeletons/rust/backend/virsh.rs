//! The backend: where jobs run. To run them elsewhere, replace what is in this file.
//!
//! Here a box is one of libvirt's virtual machines with a disk of its own over a base image, reached by ssh; the image has to have
//! bash, git and setsid.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs, io, thread};

use crate::{Failure, client};

/// How often it is looked whether a machine answers.
const TRIES_MAX: u32 = 240;
const PAUSE: Duration = Duration::from_millis(500);

/// The keys of machines that live for one job cannot be known before.
const SSH: &str = "-o BatchMode=yes -o ConnectTimeout=10 -o LogLevel=ERROR -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null";

const MACHINE: &str = "--os-variant debian12 --import --vcpus 2 --memory 2048 --network default --graphics none --noautoconsole";

pub struct JobBox {
    pub name: String,
    pub builds_dir: String,
    pub cache_dir: String,
    /// In the box, for the driver.
    pub notes: String,
    disk: PathBuf,
}

impl JobBox {
    pub fn named(name: String) -> Self {
        let state = env::var("XDG_STATE_HOME").unwrap_or_else(|_| {
            let home = env::var("HOME").unwrap_or_else(|_| "/tmp".to_owned());
            format!("{home}/.local/state")
        });
        let directory = Path::new(&state).join("my-driver");
        Self {
            builds_dir: "/builds".to_owned(),
            cache_dir: "/cache".to_owned(),
            notes: "/run/my-driver".to_owned(),
            disk: directory.join(format!("{name}.qcow2")),
            name,
        }
    }

    /// Whether the box is there, up or not. Whoever cannot tell must not guess, but fail.
    pub fn exists(&self) -> Result<bool, Failure> {
        let names = output(&["virsh", "list", "--all", "--name"])?;
        Ok(names.lines().any(|name| name == self.name))
    }

    pub fn create(&self) -> Result<(), Failure> {
        if let Some(directory) = self.disk.parent() {
            fs::create_dir_all(directory)
                .map_err(|error| Failure::system(directory.display(), error))?;
        }
        // The variable is one of the runner's environment.
        let base = env::var("BASE_IMAGE")
            .unwrap_or_else(|_| "/var/lib/libvirt/images/base.qcow2".to_owned());
        let disk = self.disk.to_string_lossy();
        // What the machine writes goes to a file of its own: the base image stays as it is.
        let mut create: Vec<&str> = "qemu-img create -q -f qcow2 -F qcow2 -b"
            .split(' ')
            .collect();
        create.extend([base.as_str(), &disk]);
        output(&create)?;
        let mut install = vec!["virt-install", "--name", &self.name, "--disk", &disk];
        install.extend(MACHINE.split(' '));
        output(&install)?;
        self.answers()
    }

    /// Waits until the machine lets us in. Every wait has an end of its own: the runner would wait for an hour.
    fn answers(&self) -> Result<(), Failure> {
        for _ in 0..TRIES_MAX {
            if let Some(address) = self.address()? {
                let directories = [&*self.builds_dir, &self.cache_dir, &self.notes];
                let mut mkdir = ssh(&address, &[&["mkdir", "-p"], &directories[..]].concat());
                mkdir.stdin(Stdio::null()).stderr(Stdio::null());
                if client::run(&mut mkdir)?.succeeded() {
                    return Ok(());
                }
            }
            thread::sleep(PAUSE);
        }
        Err(Failure::system(&self.name, "does not answer"))
    }

    /// Where the machine is reached; nothing if it has no address yet.
    fn address(&self) -> Result<Option<String>, Failure> {
        // Interface, hardware address, protocol, address/bits.
        let table = output(&["virsh", "-q", "domifaddr", &self.name])?;
        let address = table.split_whitespace().nth(3);
        Ok(address.map(|address| address.split('/').next().unwrap_or(address).to_owned()))
    }

    /// Removes the box with all that runs in it, and its disk; succeeds if there is none.
    pub fn remove(&self) -> Result<(), Failure> {
        if self.exists()? {
            // It fails if the machine is off already.
            let mut destroy = Command::new("virsh");
            destroy.args(["destroy", &self.name]).stdout(Stdio::null());
            client::run(destroy.stderr(Stdio::null()))?;
            output(&["virsh", "undefine", &self.name, "--nvram"])?;
        }
        match fs::remove_file(&self.disk) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Failure::system(self.disk.display(), error))
            }
            _ => Ok(()),
        }
    }

    /// What is to be started for a command in the box, with its standard input, output and exit code.
    pub fn command(&self, words: &[&str]) -> Result<Command, Failure> {
        match self.address()? {
            Some(address) => Ok(ssh(&address, words)),
            None => Err(Failure::system(&self.name, "has no address")),
        }
    }
}

/// A shell on the other side puts the words apart again, so each is quoted.
fn ssh(address: &str, words: &[&str]) -> Command {
    let quoted = words
        .iter()
        .map(|word| format!("'{}' ", word.replace('\'', r"'\''")));
    let mut command = Command::new("ssh");
    command.args(SSH.split(' ')).arg(format!("root@{address}"));
    command.arg(quoted.collect::<String>());
    command
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
