//! The harness's side of a supervisor.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use rustix::fs::{Access, FileType};
use rustix::io::Errno;

use super::supervisor::ARGUMENT;
pub use super::wire::{ChildProgram, Survivor, TraceOrder, Trap, TrapMoment};
use super::wire::{
    Ending, Inbox, Message, Received, Request, StartOrder, encode, send, socket_pair, wait_hang_up,
};
use crate::contract::exit::{ExitStatus, StartFailure};
use crate::contract::protocol::{KillSignal, SignalResult};

/// How long a supervisor may leave a request unread: longer than any exec of a program takes.
pub const REQUEST_PATIENCE: Duration = Duration::from_secs(30);
/// How long a supervisor may take to kill everything below it and exit, beyond the grace it was given.
pub const FINISH_PATIENCE: Duration = Duration::from_secs(15);

/// Held for writing while a supervisor is being started, and for reading while files are written that may be executed.
static STARTING: RwLock<()> = RwLock::new(());

/// Writes files that a driver may execute. A process that another thread starts meanwhile would hold them open for
/// writing until its exec, and a driver could not execute them (ETXTBSY): a false alarm by chance.
pub fn write_executables<T>(write: impl FnOnce() -> T) -> T {
    let _nothing_is_started = STARTING.read().unwrap_or_else(PoisonError::into_inner);
    write()
}

/// A program to start, in the words of a call.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    /// Program as configured.
    pub executable: &'a str,
    /// Arguments without the program's name.
    pub args: &'a [String],
    /// Working directory.
    pub cwd: &'a Path,
    /// Complete environment.
    pub environment: &'a [(String, String)],
    /// PATH of the runner, in which a name without slash is looked up (B2); the driver's own PATH may differ.
    pub runner_path: &'a str,
    /// Follow the programs that it starts; `None`: it is not traced.
    pub trace: Option<&'a TraceOrder>,
}

/// What a supervisor reports.
#[derive(Debug)]
pub enum Report {
    /// A call runs.
    Started {
        /// Name of the call as given to [`Supervised::start`].
        call: u32,
        /// Process and process group.
        pid: u32,
        /// Read end of its standard output.
        stdout: OwnedFd,
        /// Read end of its standard error.
        stderr: OwnedFd,
    },
    /// A call could not be started.
    NotStarted {
        /// The call.
        call: u32,
        /// Why.
        failure: StartFailure,
    },
    /// The system does not let a call be traced, so that it was not started.
    NotTraced {
        /// The call.
        call: u32,
        /// Why, in the system's words.
        reason: String,
    },
    /// A call has come to the program at which its group was to be signalled.
    Sprung {
        /// The call.
        call: u32,
        /// Which signal.
        signal: KillSignal,
        /// What became of it.
        result: SignalResult,
    },
    /// The programs that a call has started; its leader is about to be told as ended.
    Children {
        /// The call.
        call: u32,
        /// In the order in which they began.
        programs: Vec<ChildProgram>,
    },
    /// The leader of a call exited and was reaped.
    LeaderExited {
        /// The call.
        call: u32,
        /// How.
        status: ExitStatus,
    },
    /// A signal was sent, or not.
    Signalled {
        /// The call.
        call: u32,
        /// Which signal.
        signal: KillSignal,
        /// What became of it.
        result: SignalResult,
    },
    /// What was alive before a call was started has been killed.
    KilledEarlier {
        /// The call.
        call: u32,
        /// How many processes that were.
        killed: usize,
    },
    /// What was alive when the grace had passed; it is being killed.
    Survivors(Vec<Survivor>),
    /// Nothing is alive any more, except for these processes.
    Gone {
        /// Processes that could not be killed.
        unkillable: Vec<i32>,
    },
    /// The supervisor has ended.
    Closed,
}

/// A supervisor process. Dropping it kills everything below it.
#[derive(Debug)]
pub struct Supervised {
    socket: OwnedFd,
    process: Child,
    inbox: Inbox,
}

impl Supervised {
    /// Starts `program` (this executable) as a supervisor. If this process dies, the supervisor removes `directory` after
    /// all processes, and with it the directory of the run around it.
    pub fn new(program: &Path, directory: &Path) -> io::Result<Self> {
        let (ours, theirs) = socket_pair()?;
        let nothing_is_written = STARTING.write().unwrap_or_else(PoisonError::into_inner);
        let process = Command::new(program)
            // What `ps` shows; the path may be `/proc/self/exe`.
            .arg0("driver-conformance")
            .arg(ARGUMENT)
            .arg(directory)
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        drop(nothing_is_written);
        Ok(Self {
            socket: ours,
            process,
            inbox: Inbox::default(),
        })
    }

    /// Process id of the supervisor.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Starts a program under the name `call`. The answer is a later [`Report::Started`] or [`Report::NotStarted`];
    /// failures that can be told without trying are returned at once.
    pub fn start(
        &mut self,
        call: u32,
        launch: &Launch<'_>,
    ) -> io::Result<Result<(), StartFailure>> {
        let order = match start_order(call, launch) {
            Ok(order) => order,
            Err(failure) => return Ok(Err(failure)),
        };
        self.request(&Request::Start(order)).map(Ok)
    }

    /// Sends a signal to the process group of a call. The answer is a later [`Report::Signalled`] (H1, H3).
    pub fn signal(&mut self, call: u32, signal: KillSignal) -> io::Result<()> {
        self.request(&Request::Signal {
            call,
            signal: signal_number(signal),
        })
    }

    /// Kills everything that calls which are over have left running. Not for a time when a call runs: it would be killed, too.
    pub fn kill_helpers(&mut self) -> io::Result<()> {
        self.request(&Request::KillAll)
    }

    /// Kills what was alive before a call was started, and nothing that the call has started. The answer is a later
    /// [`Report::KilledEarlier`].
    pub fn kill_earlier(&mut self, call: u32) -> io::Result<()> {
        self.request(&Request::KillEarlier { call })
    }

    /// Lets descendants end by themselves for `grace`, then has the rest listed and killed. The answers are
    /// [`Report::Survivors`] and [`Report::Gone`].
    pub fn finish(&mut self, grace: Duration) -> io::Result<()> {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        self.request(&Request::Finish { grace_ms })
    }

    fn request(&self, request: &Request) -> io::Result<()> {
        send(
            self.socket.as_fd(),
            &encode(request)?,
            &[],
            REQUEST_PATIENCE,
        )
    }

    /// All reports that have arrived, without waiting; wait on [`AsFd::as_fd`].
    pub fn reports(&mut self) -> io::Result<Vec<Report>> {
        let received = self.inbox.receive(self.socket.as_fd())?;
        let mut reports = Vec::new();
        while let Some(message) = self.inbox.next::<Message>()? {
            reports.push(self.understand(message)?);
        }
        if received == Received::Closed {
            reports.push(Report::Closed);
        }
        Ok(reports)
    }

    fn understand(&mut self, message: Message) -> io::Result<Report> {
        Ok(match message {
            Message::Started { call, pid } => {
                let mut pipe = || {
                    self.inbox.descriptors.pop_front().ok_or_else(|| {
                        io::Error::new(io::ErrorKind::InvalidData, "a started call without pipes")
                    })
                };
                Report::Started {
                    call,
                    pid: pid.unsigned_abs(),
                    stdout: pipe()?,
                    stderr: pipe()?,
                }
            }
            Message::NotStarted { call, errno } => Report::NotStarted {
                call,
                failure: start_failure(errno),
            },
            Message::Exited { call, ending } => Report::LeaderExited {
                call,
                status: match ending {
                    Ending::Code(code) => ExitStatus::Code(code),
                    Ending::Signal(signal) => ExitStatus::Signal(signal),
                },
            },
            Message::Signalled {
                call,
                signal,
                errno,
            } => Report::Signalled {
                call,
                signal: kill_signal(signal),
                result: signal_result(errno),
            },
            Message::NotTraced { call, errno } => Report::NotTraced {
                call,
                reason: system_words(&io::Error::from_raw_os_error(errno)),
            },
            Message::Sprung {
                call,
                signal,
                errno,
            } => Report::Sprung {
                call,
                signal: kill_signal(signal),
                result: signal_result(errno),
            },
            Message::Children { call, programs } => Report::Children { call, programs },
            Message::KilledEarlier { call, killed } => Report::KilledEarlier { call, killed },
            Message::Survivors(survivors) => Report::Survivors(survivors),
            Message::Gone { unkillable } => Report::Gone { unkillable },
        })
    }
}

impl AsFd for Supervised {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        // The supervisor takes this for our death, kills everything, and closes its side.
        let _closed_already = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Write);
        if !wait_hang_up(&self.socket, FINISH_PATIENCE) {
            let _gone_already = self.process.kill();
        }
        // Bounded: it has closed its side of the socket, which it does only by ending, or was killed.
        let _status = self.process.wait();
    }
}

/// Kills a process group whose leader is an orphan, because its supervisor has died. Everywhere else the supervisor
/// does this, which knows whether the group is still the call's.
pub(crate) fn kill_group(leader: u32) {
    let leader = i32::try_from(leader)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    if let Some(leader) = leader {
        let _gone_already =
            rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
    }
}

/// The system's number of a signal.
pub(crate) fn signal_number(signal: KillSignal) -> i32 {
    let signal = match signal {
        KillSignal::Term => rustix::process::Signal::TERM,
        KillSignal::Kill => rustix::process::Signal::KILL,
    };
    signal.as_raw()
}

fn kill_signal(number: i32) -> KillSignal {
    if number == signal_number(KillSignal::Term) {
        KillSignal::Term
    } else {
        KillSignal::Kill
    }
}

fn signal_result(errno: i32) -> SignalResult {
    match errno {
        0 => SignalResult::Delivered,
        _ if errno == Errno::PERM.raw_os_error() => SignalResult::NotPermitted,
        _ => SignalResult::NoSuchProcess,
    }
}

fn start_order(call: u32, launch: &Launch<'_>) -> Result<StartOrder, StartFailure> {
    let environment = environment_items(launch.environment)?;
    let path = find_program(launch.executable, launch.runner_path)?;
    let mut argv = Vec::with_capacity(launch.args.len() + 1);
    argv.push(launch.executable.to_owned());
    argv.extend_from_slice(launch.args);
    Ok(StartOrder {
        call,
        path: utf8(path)?,
        argv,
        environment,
        cwd: utf8(launch.cwd.to_path_buf())?,
        trace: launch.trace.cloned(),
    })
}

fn utf8(path: PathBuf) -> Result<String, StartFailure> {
    path.into_os_string()
        .into_string()
        .map_err(|path| StartFailure::Other(format!("{} is not UTF-8", path.display())))
}

fn environment_items(environment: &[(String, String)]) -> Result<Vec<String>, StartFailure> {
    let has_nul = |(key, value): &(String, String)| key.contains('\0') || value.contains('\0');
    if environment.iter().any(has_nul) {
        return Err(StartFailure::NulInEnvironment);
    }
    Ok(environment
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect())
}

/// The path to execute for a program as configured: as it is if it has a slash, else the first executable file of that
/// name in `runner_path` (B2). Relative entries of the path do not count, as in Go.
fn find_program(executable: &str, runner_path: &str) -> Result<PathBuf, StartFailure> {
    if executable.contains('/') {
        return Ok(PathBuf::from(executable));
    }
    std::env::split_paths(runner_path)
        .filter(|directory| directory.is_absolute() && !executable.is_empty())
        .map(|directory| directory.join(executable))
        .find(|candidate| is_executable_file(candidate))
        .ok_or(StartFailure::NotInPath)
}

fn is_executable_file(path: &Path) -> bool {
    let is_file = rustix::fs::stat(path)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) != FileType::Directory);
    is_file && rustix::fs::access(path, Access::EXEC_OK).is_ok()
}

fn start_failure(errno: i32) -> StartFailure {
    match Errno::from_raw_os_error(errno) {
        Errno::NOENT => StartFailure::NotFound,
        Errno::ACCESS => StartFailure::PermissionDenied,
        Errno::NOEXEC => StartFailure::ExecFormat,
        Errno::TOOBIG => StartFailure::ArgumentListTooLong,
        Errno::TXTBSY => StartFailure::TextFileBusy,
        errno => StartFailure::Other(system_words(&errno.into())),
    }
}

/// The words of a system error as Go writes them: lower case, without the number.
pub(crate) fn system_words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars();
    characters
        .next()
        .map(|first| first.to_lowercase().chain(characters).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_is_found_before_anything_is_started() {
        let environment = [("A".to_owned(), "b\0c".to_owned())];
        assert_eq!(
            environment_items(&environment),
            Err(StartFailure::NulInEnvironment)
        );
    }

    #[test]
    fn a_name_without_slash_is_looked_up_in_the_runner_path_only() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(directory.path().join("tool")).expect("a directory of that name");
        let path = format!("relative:{}:/bin", directory.path().display());
        assert_eq!(find_program("tool", &path), Err(StartFailure::NotInPath));
        assert_eq!(find_program("sh", &path), Ok(PathBuf::from("/bin/sh")));
        assert_eq!(find_program("sh", ""), Err(StartFailure::NotInPath));
        assert_eq!(find_program("./sh", ""), Ok(PathBuf::from("./sh")));
    }

    #[test]
    fn system_errors_are_worded_like_go() {
        assert_eq!(system_words(&Errno::INVAL.into()), "invalid argument");
    }
}
