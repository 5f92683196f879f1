//! Signals to descendants, and killing all of them with proof.

use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group, wait,
};

use super::signals::ChildSignals;
use super::tracer::go_on;
use super::tree;
use super::wire::{Ending, wait_ready};

/// How long descendants may resist SIGKILL (a process of another user, an uninterruptible system call) before the
/// supervisor gives up on them.
const KILL_PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait for a death before looking for descendants again.
const KILL_ROUND: Duration = Duration::from_millis(1);

/// What reaping brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reaped {
    /// This child has ended, or a traced process has that is another one's child.
    Child(i32, Ending),
    /// A traced process stands still until it is told to go on; what `wait` says of it.
    Stopped(i32, i32),
    /// There are children, none of them ended.
    NoneEnded,
    /// There is no child at all, so there is no descendant at all: every orphan would be a child of this subreaper.
    NoChildren,
}

/// Reaps one child, without waiting.
pub(super) fn reap() -> Reaped {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => {
                let pid = pid.as_raw_nonzero().get();
                return if status.stopped() {
                    Reaped::Stopped(pid, status.as_raw())
                } else {
                    Reaped::Child(pid, ending(status))
                };
            }
            Ok(None) => return Reaped::NoneEnded,
            Err(Errno::INTR) => {}
            Err(_) => return Reaped::NoChildren,
        }
    }
}

fn ending(status: WaitStatus) -> Ending {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Ending::Code(code),
        (None, Some(signal)) => Ending::Signal(signal),
        // Not asked for: stopped or continued.
        (None, None) => Ending::Code(-1),
    }
}

/// Sends a signal to a process group; 0 or the errno.
pub(super) fn signal_group(group: i32, signal: i32) -> i32 {
    let (Some(group), Some(signal)) = (Pid::from_raw(group), Signal::from_named_raw(signal)) else {
        return Errno::INVAL.raw_os_error();
    };
    match kill_process_group(group, signal) {
        Ok(()) => 0,
        Err(errno) => errno.raw_os_error(),
    }
}

/// Kills one process; whether it was there.
pub(super) fn kill_one(pid: i32) -> bool {
    Pid::from_raw(pid).is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok())
}

/// Kills all descendants of this process and reaps them until none is left. Returns those that would not die.
///
/// Whole groups are killed, because a group dies at one stroke while its members are forking. All groups seen here lie
/// in sessions below this supervisor's own, so none of them holds a stranger.
pub(super) fn kill_descendants(signals: &ChildSignals) -> Vec<i32> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let deadline = Instant::now() + KILL_PATIENCE;
    loop {
        let mut reaped_some = false;
        loop {
            match reap() {
                Reaped::NoChildren => return Vec::new(),
                Reaped::NoneEnded => break,
                Reaped::Child(..) => reaped_some = true,
                // Also a dying process stops on its way.
                Reaped::Stopped(pid, _) => go_on(pid, 0),
            }
        }
        let living = tree::descendants(own);
        if Instant::now() >= deadline {
            return living.iter().map(|process| process.pid).collect();
        }
        for process in living.iter().filter(|process| !process.zombie) {
            if process.group != own && process.group > 1 {
                signal_group(process.group, Signal::KILL.as_raw());
            }
            if let Some(pid) = Pid::from_raw(process.pid) {
                // It may be gone or belong to another user; the deadline deals with both.
                let _gone = kill_process(pid, Signal::KILL);
            }
        }
        if !reaped_some {
            let mut watched = [rustix::event::PollFd::new(
                signals,
                rustix::event::PollFlags::IN,
            )];
            let _interrupted = wait_ready(&mut watched, Some(KILL_ROUND));
        }
        signals.drain();
    }
}
