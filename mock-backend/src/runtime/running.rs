//! The processes of one box, seen from the backend.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal};

use crate::box_init::{self, children_of};
use crate::protocol::{BoxMessage, BoxPlan, Order, Status};
use crate::wire;

/// How long a box may take from its start until it can serve.
const START_PATIENCE: Duration = Duration::from_secs(20);
/// How long a box may take to end.
const END_PATIENCE: Duration = Duration::from_secs(15);

/// A box with processes.
#[derive(Debug)]
pub(crate) struct Running {
    socket: Mutex<UnixStream>,
    outer: i32,
    programs: AtomicU64,
    ended: Mutex<bool>,
    has_ended: Condvar,
}

/// A program in a box.
#[derive(Debug)]
pub(crate) struct Program {
    /// Lines about it.
    status: File,
}

/// A program to be started in a box.
#[derive(Debug, Clone)]
pub(crate) struct Execution {
    pub(crate) argv: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) directory: std::path::PathBuf,
}

impl Running {
    /// Starts the first process of a box. The child is for [`Self::wait`], in a thread of its own.
    pub(crate) fn start(plan: &BoxPlan) -> io::Result<(Self, Child)> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut child = Command::new("/proc/self/exe")
            .arg(box_init::OUTER)
            .arg(serde_json::to_string(plan)?)
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        ours.set_read_timeout(Some(START_PATIENCE))?;
        let problem = match wire::receive::<BoxMessage>(ours.as_fd()) {
            Ok(Some(frame)) => match frame.message {
                BoxMessage::Ready => None,
                BoxMessage::Failed(reason) => Some(reason),
            },
            Ok(None) => Some("its first process ended".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(problem) = problem {
            drop(ours);
            let _gone_already = child.kill();
            let _status = child.wait();
            return Err(io::Error::other(problem));
        }
        ours.set_read_timeout(None)?;
        let running = Self {
            socket: Mutex::new(ours),
            outer: i32::try_from(child.id()).unwrap_or_default(),
            programs: AtomicU64::new(0),
            ended: Mutex::new(false),
            has_ended: Condvar::new(),
        };
        Ok((running, child))
    }

    fn send(&self, order: &Order, descriptors: &[std::os::fd::BorrowedFd<'_>]) -> io::Result<()> {
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        wire::send(socket.as_fd(), order, b"", descriptors)
    }

    /// Starts a program.
    pub(crate) fn execute(
        &self,
        execution: Execution,
        [stdin, stdout, stderr]: [OwnedFd; 3],
    ) -> io::Result<Program> {
        let number = self.programs.fetch_add(1, Ordering::Relaxed);
        let (status, status_there) = pipe_with(PipeFlags::CLOEXEC)?;
        let order = Order::Execute {
            number,
            argv: execution.argv,
            environment: execution.environment,
            directory: execution.directory,
        };
        let descriptors = [
            stdin.as_fd(),
            stdout.as_fd(),
            stderr.as_fd(),
            status_there.as_fd(),
        ];
        self.send(&order, &descriptors)?;
        Ok(Program {
            status: File::from(status),
        })
    }

    /// Sends a signal to a program and what it started in its group.
    pub(crate) fn signal(&self, number: u64, signal: i32) -> io::Result<()> {
        self.send(&Order::Signal { number, signal }, &[])
    }

    /// Lets no more be written into the box.
    pub(crate) fn fill_disk(&self) -> io::Result<()> {
        self.send(&Order::FillDisk, &[])
    }

    /// The processes in the box, without its first one.
    pub(crate) fn programs(&self) -> Vec<i32> {
        let mut found = Vec::new();
        let mut waiting = children_of(self.outer);
        while let Some(pid) = waiting.pop() {
            waiting.extend(children_of(pid));
            if !box_init::is_first(pid) {
                found.push(pid);
            }
        }
        found
    }

    /// Has all processes of the box ended.
    pub(crate) fn hang_up(&self) {
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let _closed_already = socket.shutdown(std::net::Shutdown::Both);
    }

    /// Ends all processes of the box and waits for that.
    pub(crate) fn end(&self) {
        self.hang_up();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .has_ended
            .wait_timeout_while(ended, END_PATIENCE, |ended| !*ended);
        let timed_out = waited.is_ok_and(|(_, result)| result.timed_out());
        if timed_out {
            for pid in children_of(self.outer).into_iter().chain([self.outer]) {
                if let Some(pid) = Pid::from_raw(pid) {
                    let _gone_already = rustix::process::kill_process(pid, Signal::KILL);
                }
            }
        }
    }

    /// Waits until no process of the box is left.
    pub(crate) fn wait(&self, mut child: Child) {
        let _status = child.wait();
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.has_ended.notify_all();
    }
}

impl Program {
    /// Whether the program was started.
    pub(crate) fn started(self) -> io::Result<(Result<(), i32>, StatusLines)> {
        let mut lines = StatusLines(BufReader::new(self.status));
        match lines.next()? {
            Some(Status::NotStarted(errno)) => Ok((Err(errno), lines)),
            Some(_) => Ok((Ok(()), lines)),
            None => Err(io::Error::other("the box ended")),
        }
    }
}

/// What is said about a program.
#[derive(Debug)]
pub(crate) struct StatusLines(BufReader<File>);

impl StatusLines {
    /// The next status; `None` when the box is gone.
    pub(crate) fn next(&mut self) -> io::Result<Option<Status>> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        Ok(Status::parse(&line))
    }

    /// For waiting.
    pub(crate) fn pipe(&self) -> &File {
        self.0.get_ref()
    }
}

/// `/dev/null`, for reading or writing.
pub(crate) fn null(write: bool) -> io::Result<OwnedFd> {
    let file = fs::OpenOptions::new()
        .read(!write)
        .write(write)
        .open("/dev/null")?;
    Ok(file.into())
}
