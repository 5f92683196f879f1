//! The supervisor process: starts the calls of one job, reaps and names all their descendants, dies with the harness.
//!
//! It is single-threaded and sleeps unless there is something to do. It owns nothing but the processes below it: the
//! pipes of a call go to the harness as descriptors, and its own copies are closed at once, or the harness would never
//! see their end.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::leaks::mount_table::free_for_removal;

use super::holdings::{self, pipe_number};
use super::kill::{Reaped, kill_descendants, kill_one, reap, signal_group};
use super::lineage::{Circumstances, Lineage};
use super::signals::{ChildSignals, close_inherited_descriptors, ignore_stop_signals};
use super::spawn::{Standard, spawn};
use super::spawn_traced::{NotStarted, spawn_traced};
use super::tracer::Tracer;
use super::tree;
use super::wire::{
    Ending, Inbox, Message, Received, Request, StartOrder, Survivor, encode, send, wait_ready,
};

/// The hidden first argument that makes this executable a supervisor.
pub const ARGUMENT: &str = "__supervise";

/// How often the process tree is looked at while calls or their descendants are alive.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// How often survivors are counted during the grace at the end.
const GRACE_LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// How the names of all private directories begin; [`DIRECTORY_RANDOM`] letters and digits follow.
pub const DIRECTORY_PREFIX: &str = "driver-conformance-";
/// How many random letters and digits end the name of a private directory.
pub const DIRECTORY_RANDOM: usize = 12;
/// How long a dying harness may take from closing its socket to being dead.
const HARNESS_DEATH_PATIENCE: Duration = Duration::from_secs(2);
/// How long the harness may leave a report unread before it is taken for dead.
const REPORT_PATIENCE: Duration = Duration::from_mins(1);

/// Whether a directory of this name is one of the harness, and not, say, a user's `driver-conformance-reports`.
pub fn is_private_directory(name: &str) -> bool {
    name.strip_prefix(DIRECTORY_PREFIX).is_some_and(|random| {
        random.len() == DIRECTORY_RANDOM
            && random.chars().all(|letter| letter.is_ascii_alphanumeric())
    })
}

/// This very executable, for the harness to start as a supervisor: also when the file was replaced meanwhile.
pub fn own_executable() -> PathBuf {
    PathBuf::from("/proc/self/exe")
}

/// Becomes a supervisor if this process was started as one; returns its exit code then. Must be called first thing in
/// `main`: it closes descriptors above 2.
pub fn run_if_requested() -> Option<ExitCode> {
    let argument = std::env::args_os().nth(1)?;
    if argument != OsStr::new(ARGUMENT) {
        return None;
    }
    close_inherited_descriptors();
    let heirloom = std::env::args_os().nth(2).map(PathBuf::from);
    let harness = harness_process();
    let served = Supervisor::new().and_then(Supervisor::serve);
    if let (Ok(Served::HarnessGone), Some(harness), Some(directory)) = (&served, harness, heirloom)
    {
        remove_if_orphaned(&harness, &directory);
    }
    Some(match served {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

/// How a supervisor's work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Served {
    /// The harness said `Finish`.
    Finished,
    /// The harness is gone, or does not want this supervisor any more.
    HarnessGone,
}

/// A handle that becomes readable when the process that started this one has died.
fn harness_process() -> Option<OwnedFd> {
    let harness = rustix::process::getppid()?;
    rustix::process::pidfd_open(harness, rustix::process::PidfdFlags::empty()).ok()
}

/// Removes the private directories of the case and of its run: nobody else is left to do it. A harness that lives and
/// only dropped its supervisor removes them itself.
fn remove_if_orphaned(harness: &OwnedFd, directory: &Path) {
    let mut watched = [PollFd::new(harness, PollFlags::IN)];
    let died = wait_ready(&mut watched, Some(HARNESS_DEATH_PATIENCE)).is_ok_and(|ready| ready > 0);
    if died {
        let is_ours = |parent: &&Path| {
            let name = parent.file_name().unwrap_or_default();
            is_private_directory(&name.to_string_lossy())
        };
        // The directory of a whole run goes as well, with the cases that are between two supervisors. Nothing can be
        // told to anybody here, and another supervisor may have been quicker.
        let whole = directory.parent().filter(is_ours).unwrap_or(directory);
        if free_for_removal(whole).is_ok() {
            let _ = std::fs::remove_dir_all(whole);
        }
    }
}

/// A call that was started.
#[derive(Debug, Clone)]
struct Leader {
    pid: i32,
    running: bool,
    /// The processes that were there before it.
    earlier: Vec<i32>,
    /// The pipes of its standard output and standard error.
    output: [u64; 2],
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Continue,
    Exit(Served),
}

#[derive(Debug)]
struct Supervisor {
    socket: OwnedFd,
    null: OwnedFd,
    signals: ChildSignals,
    own_pid: i32,
    inbox: Inbox,
    calls: HashMap<u32, Leader>,
    leaders: HashMap<i32, u32>,
    lineage: Lineage,
    tracer: Tracer,
    /// There was a descendant besides the leaders when last looked.
    has_others: bool,
}

impl Supervisor {
    fn new() -> io::Result<Self> {
        ignore_stop_signals();
        // An own session: a driver has no terminal, and cannot join a process group outside (`kill_descendants`).
        rustix::process::setsid()?;
        let own_pid = rustix::process::getpid();
        rustix::process::set_child_subreaper(Some(own_pid))?;
        let signals = ChildSignals::new()?;
        let null = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self {
            socket: rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?,
            null,
            signals,
            own_pid: own_pid.as_raw_nonzero().get(),
            inbox: Inbox::default(),
            calls: HashMap::new(),
            leaders: HashMap::new(),
            lineage: Lineage::default(),
            tracer: Tracer::default(),
            has_others: false,
        })
    }

    /// Serves the harness until it says `Finish` or is gone; then nothing below this process is alive.
    fn serve(mut self) -> io::Result<Served> {
        loop {
            let served = self.serve_once();
            match served {
                Ok(Next::Continue) => {}
                Ok(Next::Exit(served)) => return Ok(served),
                Err(error) => {
                    // Whatever broke, no process may be left.
                    kill_descendants(&self.signals);
                    return Err(error);
                }
            }
        }
    }

    fn serve_once(&mut self) -> io::Result<Next> {
        let patience = self.something_lives().then_some(LOOK_INTERVAL);
        let mut watched = [
            PollFd::new(&self.signals, PollFlags::IN),
            PollFd::new(&self.socket, PollFlags::IN),
        ];
        let ready = wait_ready(&mut watched, patience)?;
        let child_ended = !watched[0].revents().is_empty();
        let harness_spoke = !watched[1].revents().is_empty();
        if ready == 0 {
            self.look(Circumstances::default());
        }
        if child_ended {
            self.reap_all()?;
        }
        if harness_spoke {
            return self.listen();
        }
        Ok(Next::Continue)
    }

    fn something_lives(&self) -> bool {
        self.has_others || self.calls.values().any(|leader| leader.running)
    }

    fn listen(&mut self) -> io::Result<Next> {
        match self.inbox.receive(self.socket.as_fd())? {
            Received::Nothing => return Ok(Next::Continue),
            Received::Closed => {
                kill_descendants(&self.signals);
                return Ok(Next::Exit(Served::HarnessGone));
            }
            Received::Data => {}
        }
        while let Some(request) = self.inbox.next::<Request>()? {
            match request {
                Request::Start(order) => self.start(&order)?,
                Request::Signal { call, signal } => self.signal(call, signal)?,
                Request::KillAll => {
                    kill_descendants(&self.signals);
                    self.has_others = false;
                }
                Request::KillEarlier { call } => self.kill_earlier(call)?,
                Request::Finish { grace_ms } => {
                    self.finish(Duration::from_millis(grace_ms))?;
                    return Ok(Next::Exit(Served::Finished));
                }
            }
        }
        Ok(Next::Continue)
    }

    fn report(&self, message: &Message) -> io::Result<()> {
        send(self.socket.as_fd(), &encode(message)?, &[], REPORT_PATIENCE)
    }

    fn start(&mut self, order: &StartOrder) -> io::Result<()> {
        // What lives before this call does not come from it.
        let earlier = if self.has_others {
            let picture = self.look(Circumstances::default());
            picture.iter().map(|process| process.pid).collect()
        } else {
            Vec::new()
        };
        let call = order.call;
        let (stdout_read, stdout) = pipe_with(PipeFlags::CLOEXEC)?;
        let (stderr_read, stderr) = pipe_with(PipeFlags::CLOEXEC)?;
        let standard = Standard {
            stdin: self.null.as_fd(),
            stdout: stdout.as_fd(),
            stderr: stderr.as_fd(),
        };
        match spawn_as_ordered(order, standard, &mut self.tracer) {
            Ok(pid) => {
                drop((stdout, stderr));
                let output = [pipe_number(&stdout_read), pipe_number(&stderr_read)];
                let leader = Leader {
                    pid,
                    running: true,
                    earlier,
                    output,
                };
                self.calls.insert(call, leader);
                self.leaders.insert(pid, call);
                self.lineage.started(call, pid);
                send(
                    self.socket.as_fd(),
                    &encode(&Message::Started { call, pid })?,
                    &[stdout_read.as_fd(), stderr_read.as_fd()],
                    REPORT_PATIENCE,
                )
            }
            Err(NotStarted::Errno(errno)) => self.report(&Message::NotStarted { call, errno }),
            Err(NotStarted::NotTraced(errno)) => self.report(&Message::NotTraced { call, errno }),
        }
    }

    fn reap_all(&mut self) -> io::Result<()> {
        self.signals.drain();
        let mut ended = Circumstances::default();
        let mut children_left = true;
        loop {
            match reap() {
                Reaped::Stopped(pid, status) => self.traced_stopped(pid, status)?,
                Reaped::Child(pid, ending) => {
                    self.tracer.gone(pid);
                    let call = self.lineage.call_of(pid);
                    if self.leader_ended(pid, ending)? {
                        ended.leaders_ended.extend(call);
                    } else {
                        ended.orphans_ended.extend(call);
                    }
                }
                Reaped::NoneEnded => break,
                Reaped::NoChildren => {
                    children_left = false;
                    break;
                }
            }
        }
        if children_left {
            self.look(ended);
        } else {
            self.has_others = false;
        }
        Ok(())
    }

    /// A traced process has stopped: it goes on, and if it was where the call was to be signalled, that is told.
    fn traced_stopped(&mut self, pid: i32, status: i32) -> io::Result<()> {
        let Some(sprung) = self.tracer.stopped(pid, status) else {
            return Ok(());
        };
        self.report(&Message::Sprung {
            call: sprung.call,
            signal: sprung.signal,
            errno: sprung.errno,
        })
    }

    /// Reports the end of a call's leader; returns whether it was one.
    fn leader_ended(&mut self, pid: i32, ending: Ending) -> io::Result<bool> {
        let Some(call) = self.leaders.remove(&pid) else {
            return Ok(false);
        };
        if let Some(leader) = self.calls.get_mut(&call) {
            leader.running = false;
        }
        if let Some(programs) = self.tracer.programs(call) {
            let programs = programs.to_vec();
            self.report(&Message::Children { call, programs })?;
        }
        self.report(&Message::Exited { call, ending })
            .map(|()| true)
    }

    /// Looks at the process tree and notes which call each descendant comes from.
    fn look(&mut self, mut circumstances: Circumstances) -> Vec<tree::Process> {
        let picture = tree::descendants(self.own_pid);
        circumstances.running.extend(self.leaders.values());
        self.lineage.observe(&picture, &circumstances);
        self.has_others = picture.len() > self.leaders.len();
        picture
    }

    /// Signals the group of a call. Once its leader is reaped the number of the group may belong to strangers, so it is
    /// used only while a descendant is seen in it.
    fn signal(&mut self, call: u32, signal: i32) -> io::Result<()> {
        let errno = match self
            .calls
            .get(&call)
            .map(|leader| (leader.pid, leader.running))
        {
            None => Errno::SRCH.raw_os_error(),
            Some((leader, true)) => signal_group(leader, signal),
            Some((leader, false)) => {
                let members = self.look(Circumstances::default());
                if members.iter().any(|process| process.group == leader) {
                    signal_group(leader, signal)
                } else {
                    Errno::SRCH.raw_os_error()
                }
            }
        };
        self.report(&Message::Signalled {
            call,
            signal,
            errno,
        })
    }

    /// Kills what was there before a call, process by process: groups and sessions may have members that came later. One that
    /// has ended is a zombie until its parent takes note, so that its number is nobody else's, or its parent has taken note
    /// and the tree does not show it any more.
    fn kill_earlier(&mut self, call: u32) -> io::Result<()> {
        let leader = self.calls.get(&call);
        let earlier = leader.map_or_else(Vec::new, |leader| leader.earlier.clone());
        let picture = self.look(Circumstances::default());
        let known = |process: &&tree::Process| {
            let of_this_call = self.lineage.call_of(process.pid) == Some(call);
            earlier.contains(&process.pid) && !process.zombie && !of_this_call
        };
        let killed = picture.iter().filter(known);
        let killed = killed.filter(|process| kill_one(process.pid)).count();
        self.report(&Message::KilledEarlier { call, killed })
    }

    /// Names what is alive after the grace, kills it, and says so.
    fn finish(&mut self, grace: Duration) -> io::Result<()> {
        let survivors = self.survivors_after(grace)?;
        self.report(&Message::Survivors(survivors))?;
        let unkillable = kill_descendants(&self.signals);
        self.report(&Message::Gone { unkillable })
    }

    fn survivors_after(&mut self, grace: Duration) -> io::Result<Vec<Survivor>> {
        let deadline = Instant::now() + grace;
        loop {
            self.reap_all()?;
            if !self.something_lives() {
                return Ok(Vec::new());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(self.name_survivors());
            }
            let mut watched = [
                PollFd::new(&self.signals, PollFlags::IN),
                PollFd::new(&self.socket, PollFlags::RDHUP),
            ];
            wait_ready(&mut watched, Some(left.min(GRACE_LOOK_INTERVAL)))?;
            // The harness is gone, or does not want to know any more.
            if watched[1]
                .revents()
                .intersects(PollFlags::HUP | PollFlags::RDHUP)
            {
                return Ok(Vec::new());
            }
        }
    }

    fn name_survivors(&mut self) -> Vec<Survivor> {
        let picture = self.look(Circumstances::default());
        let mut survivors: Vec<Survivor> = picture
            .iter()
            .filter(|process| !process.zombie)
            .map(|process| {
                let call = self.lineage.call_of(process.pid);
                let leader = call.and_then(|call| self.calls.get(&call));
                let group = leader.map(|leader| leader.pid);
                let output = leader.map_or([0; 2], |leader| leader.output);
                Survivor {
                    holds: holdings::of(process.pid, &output),
                    pid: process.pid,
                    command: tree::command_line(process.pid),
                    call,
                    own_group: group != Some(process.group),
                }
            })
            .collect();
        // There are descendants, but each was gone before it could be looked at.
        if survivors.is_empty() && !matches!(reap(), Reaped::NoChildren) {
            survivors.push(Survivor {
                pid: 0,
                command: tree::STILL_FORKING.to_owned(),
                call: self.lineage.latest(),
                own_group: false,
                holds: Vec::new(),
            });
        }
        survivors
    }
}

fn spawn_as_ordered(
    order: &StartOrder,
    standard: Standard<'_>,
    tracer: &mut Tracer,
) -> Result<i32, NotStarted> {
    let Some(trace) = &order.trace else {
        return spawn(order, standard).map_err(NotStarted::Errno);
    };
    let pid = match spawn_traced(order, standard) {
        Err(NotStarted::NotTraced(_)) if trace.optional => {
            return spawn(order, standard).map_err(NotStarted::Errno);
        }
        started => started?,
    };
    tracer.follow(order.call, pid, trace);
    Ok(pid)
}
