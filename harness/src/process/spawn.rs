//! Starting a program exactly as the runner does (B2, B3, B12, B13), through `posix_spawn`.
//!
//! `std::process::Command` will not do: it hands its own signal mask on, and offers no way to say otherwise without the
//! slow fork path.

use std::ffi::{CString, c_char, c_int};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use super::wire::StartOrder;

/// The three standard descriptors of a program.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standard<'a> {
    pub(super) stdin: BorrowedFd<'a>,
    pub(super) stdout: BorrowedFd<'a>,
    pub(super) stderr: BorrowedFd<'a>,
}

/// Starts the program as the leader of a new process group with an empty signal mask and default signal actions.
/// Returns its process id, or the errno of what failed: chdir, exec, or making the process. A file that is no program is
/// ENOEXEC; no shell is tried on it.
pub(super) fn spawn(order: &StartOrder, standard: Standard<'_>) -> Result<i32, c_int> {
    let path = c_string(&order.path)?;
    let cwd = c_string(&order.cwd)?;
    let argv = c_strings(&order.argv)?;
    let environment = c_strings(&order.environment)?;
    let mut actions = FileActions::new()?;
    actions.duplicate(standard.stdin, 0)?;
    actions.duplicate(standard.stdout, 1)?;
    actions.duplicate(standard.stderr, 2)?;
    actions.change_directory(&cwd)?;
    let attributes = Attributes::of_group_leader()?;
    let argv = pointers(&argv);
    let environment = pointers(&environment);
    let mut pid = 0;
    // SAFETY: all pointers are to NUL-terminated strings and null-terminated arrays that outlive the call; actions and
    // attributes are initialised.
    #[allow(unsafe_code)]
    let errno = unsafe {
        libc::posix_spawn(
            &raw mut pid,
            path.as_ptr(),
            &raw const actions.0,
            &raw const attributes.0,
            argv.as_ptr(),
            environment.as_ptr(),
        )
    };
    succeeded(errno).map(|()| pid)
}

pub(super) fn c_string(text: &str) -> Result<CString, c_int> {
    CString::new(text).map_err(|_| libc::EINVAL)
}

pub(super) fn c_strings(texts: &[String]) -> Result<Vec<CString>, c_int> {
    texts.iter().map(|text| c_string(text)).collect()
}

/// A null-terminated array for `execve`, which does not write to it although C's types say so.
pub(super) fn pointers(strings: &[CString]) -> Vec<*mut c_char> {
    strings
        .iter()
        .map(|string| string.as_ptr().cast_mut())
        .chain([ptr::null_mut()])
        .collect()
}

fn succeeded(errno: c_int) -> Result<(), c_int> {
    if errno == 0 { Ok(()) } else { Err(errno) }
}

struct FileActions(libc::posix_spawn_file_actions_t);

impl FileActions {
    fn new() -> Result<Self, c_int> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: the function initialises what it is given and keeps no pointer to it; it is used only if that worked.
        #[allow(unsafe_code)]
        unsafe {
            succeeded(libc::posix_spawn_file_actions_init(actions.as_mut_ptr()))?;
            Ok(Self(actions.assume_init()))
        }
    }

    fn duplicate(&mut self, from: BorrowedFd<'_>, to: c_int) -> Result<(), c_int> {
        // SAFETY: the actions are initialised; the descriptor number is only stored.
        #[allow(unsafe_code)]
        succeeded(unsafe {
            libc::posix_spawn_file_actions_adddup2(&raw mut self.0, from.as_raw_fd(), to)
        })
    }

    fn change_directory(&mut self, cwd: &CString) -> Result<(), c_int> {
        // SAFETY: the actions are initialised; the string is copied.
        #[allow(unsafe_code)]
        succeeded(unsafe {
            libc::posix_spawn_file_actions_addchdir_np(&raw mut self.0, cwd.as_ptr())
        })
    }
}

impl Drop for FileActions {
    fn drop(&mut self) {
        // SAFETY: initialised by `new`, destroyed once.
        #[allow(unsafe_code)]
        unsafe {
            libc::posix_spawn_file_actions_destroy(&raw mut self.0);
        }
    }
}

struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    /// Own process group, empty signal mask, every signal at its default.
    fn of_group_leader() -> Result<Self, c_int> {
        let flags = libc::POSIX_SPAWN_SETPGROUP
            | libc::POSIX_SPAWN_SETSIGMASK
            | libc::POSIX_SPAWN_SETSIGDEF;
        let flags = libc::c_short::try_from(flags).map_err(|_| libc::EINVAL)?;
        let mut attributes = MaybeUninit::uninit();
        let mut none = MaybeUninit::uninit();
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        // All bits instead of `sigfillset`, which leaves out the signals that the C library keeps for itself;
        // `posix_spawn` would have the program ignore those.
        // SAFETY: `init` and `sigemptyset` initialise what they are given before it is read; a signal set is plain bits,
        // so any are valid; the sets are copied into the attributes.
        #[allow(unsafe_code)]
        unsafe {
            succeeded(libc::posix_spawnattr_init(attributes.as_mut_ptr()))?;
            let mut attributes = Self(attributes.assume_init());
            let raw = &raw mut attributes.0;
            libc::sigemptyset(none.as_mut_ptr());
            all.as_mut_ptr().write_bytes(0xff, 1);
            succeeded(libc::posix_spawnattr_setflags(raw, flags))?;
            succeeded(libc::posix_spawnattr_setpgroup(raw, 0))?;
            succeeded(libc::posix_spawnattr_setsigmask(raw, none.as_ptr()))?;
            succeeded(libc::posix_spawnattr_setsigdefault(raw, all.as_ptr()))?;
            Ok(attributes)
        }
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised by `of_group_leader`, destroyed once.
        #[allow(unsafe_code)]
        unsafe {
            libc::posix_spawnattr_destroy(&raw mut self.0);
        }
    }
}
