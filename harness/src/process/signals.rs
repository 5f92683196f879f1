//! The supervisor's own signals: SIGCHLD as a descriptor, and deafness to those that are meant for the harness.

use std::ffi::c_int;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

/// A descriptor that is readable when a child has changed state.
#[derive(Debug)]
pub(super) struct ChildSignals(OwnedFd);

impl ChildSignals {
    /// Blocks SIGCHLD for this thread and makes the descriptor.
    pub(super) fn new() -> io::Result<Self> {
        let mut set = MaybeUninit::uninit();
        // SAFETY: the set is initialised by `sigemptyset` before it is read; the descriptor is new and owned by nobody
        // else.
        #[allow(unsafe_code)]
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            libc::sigaddset(set.as_mut_ptr(), libc::SIGCHLD);
            let blocked = libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), ptr::null_mut());
            if blocked != 0 {
                return Err(io::Error::last_os_error());
            }
            let descriptor =
                libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            if descriptor < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(Self(OwnedFd::from_raw_fd(descriptor)))
        }
    }

    /// Forgets the signals that were waiting.
    pub(super) fn drain(&self) {
        let mut buffer = [0; 1024];
        // One read takes all of them: there is at most one pending SIGCHLD.
        let _nothing_waiting = rustix::io::read(&self.0, &mut buffer);
    }
}

impl AsFd for ChildSignals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Makes this process deaf to the signals with which a person or a service manager stops the harness: the harness
/// decides what becomes of the driver, and its end is noticed by the socket.
pub(super) fn ignore_stop_signals() {
    for signal in [
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGTERM,
        libc::SIGPIPE,
    ] {
        ignore(signal);
    }
}

fn ignore(signal: c_int) {
    // SAFETY: SIG_IGN runs no code of ours.
    #[allow(unsafe_code)]
    unsafe {
        libc::signal(signal, libc::SIG_IGN);
    }
}

/// Closes every descriptor above stderr: what the harness had inherited without the close-on-exec flag must not reach a
/// driver (B12).
pub(super) fn close_inherited_descriptors() {
    // SAFETY: called first in the supervisor, when no descriptor above 2 is owned by any value of this process. On an
    // old kernel it does nothing, which harms no one.
    #[allow(unsafe_code)]
    unsafe {
        libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32);
    }
}
