//! The harness's side: the process of a backend, and connections to its control socket.

use std::fmt;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::control::{CaseContent, Command, Opened, Status};
use crate::faults::{Armed, Fault};
use crate::ledger::{Caller, Entry};
use crate::place;
use crate::serve::{ARGUMENT, Order};

/// How long a backend may take to end all its boxes.
const END_PATIENCE: Duration = Duration::from_secs(30);
/// How often that is looked at.
const END_LOOK: Duration = Duration::from_millis(2);

/// Which backend is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Name of the personality, or path of its file.
    pub personality: String,
    /// Pass-through: the PATH with the real tools.
    pub real: Option<String>,
}

/// A backend in a process of its own. It ends, with all that is in it, when this is dropped or its owner dies.
pub struct BackendProcess {
    child: Child,
    root: PathBuf,
    status: Status,
}

impl fmt::Debug for BackendProcess {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("BackendProcess");
        shown.field("root", &self.root).finish_non_exhaustive()
    }
}

impl BackendProcess {
    /// Starts one. `executable` must call [`run_if_requested`](crate::run_if_requested) first thing; `root` is a
    /// directory for it alone, which it removes at its end.
    pub fn start(executable: &Path, root: &Path, wanted: &Wanted) -> io::Result<Self> {
        let order = Order {
            root: root.to_path_buf(),
            personality: wanted.personality.clone(),
            real: wanted.real.clone(),
        };
        let mut child = Process::new(executable)
            .arg(ARGUMENT)
            .arg(serde_json::to_string(&order)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        match answer::<Status>(&line) {
            Ok(status) => Ok(Self {
                child,
                root: root.to_path_buf(),
                status,
            }),
            Err(error) => {
                let _gone_already = child.kill();
                let _status = child.wait();
                Err(error)
            }
        }
    }

    /// What it is.
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// Its directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A connection to its control socket.
    pub fn control(&self) -> io::Result<Control> {
        Control::connect(&self.root)
    }
}

impl Drop for BackendProcess {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + END_PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() >= deadline {
                // Its boxes end with it.
                let _gone_already = self.child.kill();
                let _status = self.child.wait();
                return;
            }
            std::thread::sleep(END_LOOK);
        }
    }
}

/// A connection to the control socket of a backend.
#[derive(Debug)]
pub struct Control {
    reader: BufReader<UnixStream>,
}

impl Control {
    /// Connects to the backend in this directory.
    pub fn connect(root: &Path) -> io::Result<Self> {
        let stream = place::connect(&place::control_socket(root))?;
        Ok(Self {
            reader: BufReader::new(stream),
        })
    }

    /// Asks for something.
    pub fn ask<T: DeserializeOwned>(&mut self, command: &Command) -> io::Result<T> {
        let line = format!("{}\n", serde_json::to_string(command)?);
        self.reader.get_mut().write_all(line.as_bytes())?;
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        answer(&line)
    }

    fn tell(&mut self, command: &Command) -> io::Result<()> {
        self.ask::<Value>(command).map(drop)
    }

    /// Opens a case; returns the directory that must come first on its PATH.
    pub fn open_case(&mut self, tag: &str) -> io::Result<PathBuf> {
        self.open(tag).map(|opened| opened.shims)
    }

    /// Opens a case; returns all that a driver needs to find the backend.
    pub fn open(&mut self, tag: &str) -> io::Result<Opened> {
        let tag = tag.to_owned();
        self.ask(&Command::OpenCase { tag })
    }

    /// Puts an object of somebody else into a case.
    pub fn seed(&mut self, tag: &str, kind: &str, name: &str) -> io::Result<()> {
        self.tell(&Command::Seed {
            tag: tag.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
        })
    }

    /// A call is about to be started.
    pub fn call_starts(&mut self, tag: &str, caller: Caller) -> io::Result<()> {
        let tag = tag.to_owned();
        self.tell(&Command::CallStarts { tag, caller })
    }

    /// It was started.
    pub fn call_started(&mut self, tag: &str, call: u64, process: i32) -> io::Result<()> {
        let tag = tag.to_owned();
        self.tell(&Command::CallStarted { tag, call, process })
    }

    /// It has ended, or was not started.
    pub fn call_ended(&mut self, tag: &str, call: u64) -> io::Result<()> {
        let tag = tag.to_owned();
        self.tell(&Command::CallEnded { tag, call })
    }

    /// What is in a case.
    pub fn case(&mut self, tag: &str) -> io::Result<CaseContent> {
        let tag = tag.to_owned();
        self.ask(&Command::Case { tag })
    }

    /// What was asked in a case, in order.
    pub fn entries(&mut self, tag: &str) -> io::Result<Vec<Entry>> {
        let tag = tag.to_owned();
        self.ask(&Command::Entries { tag })
    }

    /// Ends all that is in a case and forgets it.
    pub fn close_case(&mut self, tag: &str) -> io::Result<()> {
        let tag = tag.to_owned();
        self.tell(&Command::CloseCase { tag })
    }

    /// Switches a fault on; returns by what it is switched off.
    pub fn arm(&mut self, fault: &Fault) -> io::Result<u64> {
        let fault = fault.clone();
        let answer: Value = self.ask(&Command::Arm { fault })?;
        Ok(answer["fault"].as_u64().unwrap_or_default())
    }

    /// Switches a fault off.
    pub fn disarm(&mut self, id: u64) -> io::Result<()> {
        self.tell(&Command::Disarm {
            id: Some(id),
            tag: None,
        })
    }

    /// Switches all faults of a case off.
    pub fn disarm_case(&mut self, tag: &str) -> io::Result<()> {
        self.tell(&Command::Disarm {
            id: None,
            tag: Some(tag.to_owned()),
        })
    }

    /// The faults that are on, with how often they struck.
    pub fn faults(&mut self) -> io::Result<Vec<Armed>> {
        self.ask(&Command::Faults)
    }
}

/// Reads a line of the backend.
fn answer<T: DeserializeOwned>(line: &str) -> io::Result<T> {
    if line.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the mock backend ended",
        ));
    }
    let mut value: Value = serde_json::from_str(line)?;
    match value.get("error").and_then(Value::as_str) {
        Some(problem) => Err(io::Error::other(problem.to_owned())),
        None => Ok(serde_json::from_value(value["ok"].take())?),
    }
}
