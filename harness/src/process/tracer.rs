//! Following the programs that a call starts, with `ptrace`: each is numbered by its name, and at one of them a signal
//! can be sent to the driver's process group while the program stands still. No privileges are needed for one's own
//! descendants, and no program has to be changed.
//!
//! Tracing belongs to the thread that does it, so all of it happens in the supervisor. A traced process stops at each
//! event and goes on when it is told to: every stop that [`Tracer::stopped`] is told of is answered there.

use std::collections::{HashMap, HashSet};
use std::ffi::{c_int, c_long};
use std::fs;
use std::ptr;

use super::kill::signal_group;
use super::wire::{ChildProgram, TraceOrder, Trap, TrapMoment};

/// What is wanted of the kernel: news of new processes, of programs that begin and of ends; and no traced process may
/// outlive the supervisor.
const OPTIONS: c_int = libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEEXEC
    | libc::PTRACE_O_TRACEEXIT
    | libc::PTRACE_O_EXITKILL;

/// The type of a request differs between C libraries.
#[cfg(target_env = "musl")]
type Request = libc::c_int;
#[cfg(not(target_env = "musl"))]
type Request = libc::c_uint;

/// A trap that has sprung.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sprung {
    /// The call.
    pub(super) call: u32,
    /// Number of the signal that was sent to its group.
    pub(super) signal: i32,
    /// 0, or why it could not be sent.
    pub(super) errno: i32,
}

/// A process or thread that is traced.
#[derive(Debug, Clone, Copy)]
struct Tracee {
    call: u32,
    /// The place in [`Followed::programs`] of the program it is; none if it is the driver's own, or a fork of another.
    program: Option<usize>,
}

/// A call whose programs are followed.
#[derive(Debug)]
struct Followed {
    leader: i32,
    /// The driver's own program has begun.
    begun: bool,
    trap: Option<Trap>,
    words: Vec<String>,
    programs: Vec<ChildProgram>,
}

/// All traced processes of a supervisor.
#[derive(Debug, Default)]
pub(super) struct Tracer {
    tracees: HashMap<i32, Tracee>,
    /// Seen to stop before their parents told of them; they wait for that.
    unclaimed: HashSet<i32>,
    calls: HashMap<u32, Followed>,
}

/// Makes this process the tracer of another one, which need not stop for it; 0 or the errno.
pub(super) fn seize(pid: i32) -> c_int {
    errno_of(request(
        libc::PTRACE_SEIZE,
        pid,
        ptr::null_mut(),
        number(OPTIONS),
    ))
}

/// Lets a stopped process go on, with a signal or 0. It may be dead already.
pub(super) fn go_on(pid: i32, signal: c_int) {
    let _dead_already = request(libc::PTRACE_CONT, pid, ptr::null_mut(), number(signal));
}

impl Tracer {
    /// A call is being started, and its leader is already traced.
    pub(super) fn follow(&mut self, call: u32, leader: i32, order: &TraceOrder) {
        self.tracees.insert(
            leader,
            Tracee {
                call,
                program: None,
            },
        );
        self.calls.insert(
            call,
            Followed {
                leader,
                begun: false,
                trap: order.trap.clone(),
                words: order.words.clone(),
                programs: Vec::new(),
            },
        );
    }

    /// The programs that a call has started so far, if it is followed.
    pub(super) fn programs(&self, call: u32) -> Option<&[ChildProgram]> {
        self.calls
            .get(&call)
            .map(|followed| followed.programs.as_slice())
    }

    /// A process has ended and is gone.
    pub(super) fn gone(&mut self, pid: i32) {
        self.tracees.remove(&pid);
        self.unclaimed.remove(&pid);
    }

    /// A traced process has stopped; `status` is what `wait` says. Returns the trap that has sprung by it.
    pub(super) fn stopped(&mut self, pid: i32, status: c_int) -> Option<Sprung> {
        let signal = libc::WSTOPSIG(status);
        let mut sprung = None;
        match status >> 16 {
            libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => {
                self.has_new_process(pid);
                go_on(pid, 0);
            }
            libc::PTRACE_EVENT_EXEC => {
                sprung = self.program_begins(pid);
                go_on(pid, 0);
            }
            libc::PTRACE_EVENT_EXIT => {
                sprung = self.program_ends(pid);
                go_on(pid, 0);
            }
            libc::PTRACE_EVENT_STOP => self.stands(pid, signal),
            // About to get a signal, which is none of our business.
            _ => go_on(pid, signal),
        }
        sprung
    }

    /// A stop by SIGSTOP and the like, which lasts until SIGCONT, or the first stop of a new process.
    fn stands(&mut self, pid: i32, signal: c_int) {
        let stays = matches!(
            signal,
            libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU
        );
        if stays && self.tracees.contains_key(&pid) {
            let _dead_already = request(libc::PTRACE_LISTEN, pid, ptr::null_mut(), ptr::null_mut());
        } else if self.tracees.contains_key(&pid) {
            go_on(pid, 0);
        } else {
            self.unclaimed.insert(pid);
        }
    }

    fn has_new_process(&mut self, parent: i32) {
        let Some(call) = self.tracees.get(&parent).map(|tracee| tracee.call) else {
            return;
        };
        let Some(child) = event_message(parent) else {
            return;
        };
        self.tracees.insert(
            child,
            Tracee {
                call,
                program: None,
            },
        );
        if self.unclaimed.remove(&child) {
            go_on(child, 0);
        }
    }

    fn program_begins(&mut self, pid: i32) -> Option<Sprung> {
        let tracee = self.tracees.get_mut(&pid)?;
        let followed = self.calls.get_mut(&tracee.call)?;
        if !std::mem::replace(&mut followed.begun, true) {
            return None;
        }
        let name = program_name(pid);
        let same = followed.programs.iter();
        let before = same.filter(|program| program.name == name).count();
        let nth = u32::try_from(before + 1).unwrap_or(u32::MAX);
        tracee.program = Some(followed.programs.len());
        followed.programs.push(ChildProgram {
            name,
            nth,
            ended: false,
            holds: held(pid, &followed.words),
        });
        let begun = followed.programs.last()?;
        let trap = followed.trap.as_ref().filter(|trap| {
            trap.moment == TrapMoment::Begins && trap.name == begun.name && trap.nth == begun.nth
        })?;
        let signal = trap.signal;
        Some(followed.spring(tracee.call, signal))
    }

    fn program_ends(&mut self, pid: i32) -> Option<Sprung> {
        let tracee = self.tracees.get(&pid)?;
        let followed = self.calls.get_mut(&tracee.call)?;
        // The end of the driver's own program is the end of the call.
        if pid == followed.leader {
            return None;
        }
        let ended = followed.programs.get_mut(tracee.program?)?;
        ended.ended = true;
        let trap = followed.trap.as_ref().filter(|trap| {
            trap.moment == TrapMoment::Ends && trap.name == ended.name && trap.nth == ended.nth
        })?;
        let signal = trap.signal;
        Some(followed.spring(tracee.call, signal))
    }
}

impl Followed {
    /// Signals the group of the call, once.
    fn spring(&mut self, call: u32, signal: i32) -> Sprung {
        self.trap = None;
        Sprung {
            call,
            signal,
            errno: signal_group(self.leader, signal),
        }
    }
}

/// The name under which the program of a process was executed, as far as the kernel keeps it, in letters that may stand in
/// the name of a case. For a script that is the script's, not its interpreter's.
fn program_name(pid: i32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._+-".contains(letter);
    let name: String = name
        .trim_end_matches('\n')
        .chars()
        .map(|letter| if plain(letter) { letter } else { '_' })
        .collect();
    if name.is_empty() {
        "unknown".to_owned()
    } else {
        name
    }
}

/// Which of some words are in the arguments of a process, by their places.
fn held(pid: i32, words: &[String]) -> Vec<usize> {
    if words.is_empty() {
        return Vec::new();
    }
    let line = super::tree::whole_command_line(pid).unwrap_or_default();
    let places = words.iter().enumerate();
    places
        .filter(|(_, word)| crate::bytes::contains(&line, word.as_bytes()))
        .map(|(place, _)| place)
        .collect()
}

/// What an event of a process is about: of a fork, the new process.
fn event_message(pid: i32) -> Option<i32> {
    let mut message: libc::c_ulong = 0;
    let place: *mut libc::c_ulong = &raw mut message;
    let result = request(libc::PTRACE_GETEVENTMSG, pid, ptr::null_mut(), place.cast());
    (result >= 0).then(|| i32::try_from(message).ok())?
}

/// A number in the place of a pointer, as some requests want it.
fn number(number: c_int) -> *mut libc::c_void {
    ptr::without_provenance_mut(usize::try_from(number).unwrap_or_default())
}

fn request(
    request: Request,
    pid: i32,
    address: *mut libc::c_void,
    data: *mut libc::c_void,
) -> c_long {
    // SAFETY: none of the requests made here writes to this process, except for `GETEVENTMSG`, which writes one long to the
    // place it is given; the others take numbers in the place of pointers.
    #[allow(unsafe_code)]
    unsafe {
        libc::ptrace(request, pid, address, data)
    }
}

fn errno_of(result: c_long) -> c_int {
    if result >= 0 {
        0
    } else {
        std::io::Error::last_os_error()
            .raw_os_error()
            .unwrap_or(libc::EIO)
    }
}
