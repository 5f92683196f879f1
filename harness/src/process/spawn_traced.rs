//! Starting a program that is traced from its first instruction on.
//!
//! `posix_spawn` comes back only when the program runs, which is too late to become its tracer without missing something.
//! So this one forks, becomes the tracer while the child waits at a pipe, and then lets it execute the program. That the
//! supervisor is small and has one thread is what makes the fork cheap and sound.

use std::ffi::{CString, c_char, c_int};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::pipe::{PipeFlags, pipe_with};

use super::spawn::{Standard, c_string, c_strings, pointers};
use super::tracer::seize;
use super::wire::StartOrder;

/// Why it was not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotStarted {
    /// As any other program: the errno of what failed.
    Errno(c_int),
    /// The system does not let a process be traced: the errno.
    NotTraced(c_int),
}

/// Highest signal number, whose action is put back to the default.
const SIGNAL_MAX: c_int = 64;

/// Starts the program like [`super::spawn::spawn`], traced.
pub(super) fn spawn_traced(order: &StartOrder, standard: Standard<'_>) -> Result<i32, NotStarted> {
    let path = c_string(&order.path).map_err(NotStarted::Errno)?;
    let cwd = c_string(&order.cwd).map_err(NotStarted::Errno)?;
    let argv = c_strings(&order.argv).map_err(NotStarted::Errno)?;
    let environment = c_strings(&order.environment).map_err(NotStarted::Errno)?;
    let argv = pointers(&argv);
    let environment = pointers(&environment);
    let no_pipe = |errno: rustix::io::Errno| NotStarted::Errno(errno.raw_os_error());
    let (go_read, go) = pipe_with(PipeFlags::CLOEXEC).map_err(no_pipe)?;
    let (failure_read, failure) = pipe_with(PipeFlags::CLOEXEC).map_err(no_pipe)?;
    let child = Child {
        path: &path,
        cwd: &cwd,
        argv: &argv,
        environment: &environment,
        standard: [
            standard.stdin.as_raw_fd(),
            standard.stdout.as_raw_fd(),
            standard.stderr.as_raw_fd(),
        ],
        go: go_read.as_raw_fd(),
        failure: failure.as_raw_fd(),
    };
    let pid = fork(&child).map_err(NotStarted::Errno)?;
    drop((go_read, failure));
    let errno = seize(pid);
    if errno != 0 {
        // It reads the end of the pipe and goes away; the supervisor reaps it like any child.
        drop(go);
        return Err(NotStarted::NotTraced(errno));
    }
    let _it_was_killed = rustix::io::write(&go, &[1]);
    drop(go);
    told_failure(&failure_read).map_or(Ok(pid), |errno| Err(NotStarted::Errno(errno)))
}

/// What the child must know: all of it is made before the fork.
struct Child<'a> {
    path: &'a CString,
    cwd: &'a CString,
    argv: &'a [*mut c_char],
    environment: &'a [*mut c_char],
    standard: [c_int; 3],
    go: c_int,
    failure: c_int,
}

fn fork(child: &Child<'_>) -> Result<i32, c_int> {
    // SAFETY: this process has one thread, so that the child may do whatever this one could; it does no more than system
    // calls all the same, and never returns.
    #[allow(unsafe_code)]
    let pid = unsafe { libc::fork() };
    match pid {
        0 => {
            let errno = child.become_program();
            let told = errno.to_ne_bytes();
            // SAFETY: writes the bytes of a local array to a descriptor, and ends the process.
            #[allow(unsafe_code)]
            unsafe {
                libc::write(child.failure, told.as_ptr().cast(), told.len());
                libc::_exit(127)
            }
        }
        pid if pid < 0 => Err(last_errno()),
        pid => Ok(pid),
    }
}

impl Child<'_> {
    /// Runs in the child; returns only with the errno of what failed.
    fn become_program(&self) -> c_int {
        let mut none = MaybeUninit::<libc::sigset_t>::uninit();
        let mut byte = 0_u8;
        // SAFETY: system calls on descriptors and strings that were made before the fork; the set is initialised by
        // `sigemptyset` before it is read; both arrays end with a null pointer.
        #[allow(unsafe_code)]
        unsafe {
            libc::setpgid(0, 0);
            for signal in 1..=SIGNAL_MAX {
                libc::signal(signal, libc::SIG_DFL);
            }
            libc::sigemptyset(none.as_mut_ptr());
            libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
            if libc::read(self.go, (&raw mut byte).cast(), 1) != 1 {
                return libc::EPERM;
            }
            for (number, descriptor) in (0..).zip(self.standard) {
                if libc::dup2(descriptor, number) < 0 {
                    return last_errno();
                }
            }
            if libc::chdir(self.cwd.as_ptr()) != 0 {
                return last_errno();
            }
            libc::execve(
                self.path.as_ptr(),
                self.argv.as_ptr().cast(),
                self.environment.as_ptr().cast(),
            );
            last_errno()
        }
    }
}

/// The errno that the child tells; `None` if its end of the pipe was closed by the program's start.
fn told_failure(pipe: &OwnedFd) -> Option<c_int> {
    let mut told = [0; size_of::<c_int>()];
    match rustix::io::retry_on_intr(|| rustix::io::read(pipe, &mut told)) {
        Ok(count) if count == told.len() => Some(c_int::from_ne_bytes(told)),
        _ => None,
    }
}

fn last_errno() -> c_int {
    std::io::Error::last_os_error()
        .raw_os_error()
        .unwrap_or(libc::EIO)
}
