//! Starting programs, and ending them when the runner says so: SIGTERM is its way to say that the time is up or the job was
//! cancelled. It is never a success, so the call then fails.
//!
//! The standard library knows no signals. Two functions of C, which every Rust program is linked with, are enough here; with
//! dependencies, the crates `libc` and `signal-hook` have them.

use std::io::Read as _;
use std::os::raw::c_int;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use crate::Failure;

const SIGKILL: c_int = 9;
const SIGTERM: c_int = 15;

unsafe extern "C" {
    fn kill(process: c_int, signal: c_int) -> c_int;
    fn signal(signal: c_int, handler: extern "C" fn(c_int)) -> usize;
}

/// Whether the runner has asked for the end.
static TERMINATED: AtomicBool = AtomicBool::new(false);
/// The program that is waited for; 0: none.
static CLIENT: AtomicI32 = AtomicI32::new(0);

/// How a program has ended.
pub struct Ended {
    /// Its exit code; nothing if a signal has ended it.
    pub code: Option<i32>,
    /// What it has printed, if its standard output was asked for.
    pub output: String,
}

impl Ended {
    /// Whether it has done what it was asked for.
    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }
}

/// Only what is allowed in a handler: atomics and `kill`.
extern "C" fn on_term(_signal: c_int) {
    TERMINATED.store(true, Ordering::SeqCst);
    end_client();
}

fn end_client() {
    let client = CLIENT.load(Ordering::SeqCst);
    if client > 0 {
        // SAFETY: `kill` takes two numbers, and nothing else waits for this child.
        unsafe { kill(client, SIGKILL) };
    }
}

/// From now on SIGTERM ends the program that is waited for, and not the driver.
pub fn handle_signals() {
    // SAFETY: the handler does only what a handler may.
    unsafe { signal(SIGTERM, on_term) };
}

/// Runs a program to its end. A signal to the driver ends it, and is a failure.
pub fn run(command: &mut Command) -> Result<Ended, Failure> {
    let terminated = || match TERMINATED.load(Ordering::SeqCst) {
        true => Err(Failure::System("terminated".to_owned())),
        false => Ok(()),
    };
    terminated()?;
    let program = command.get_program().to_string_lossy().into_owned();
    let trouble = |error| Failure::system(&program, error);
    let mut child = command.spawn().map_err(trouble)?;
    CLIENT.store(child.id().cast_signed(), Ordering::SeqCst);
    // A signal that came before the number was known has not ended it.
    if terminated().is_err() {
        end_client();
    }
    let mut output = String::new();
    let read = match &mut child.stdout {
        Some(pipe) => pipe.read_to_string(&mut output).map(|_| ()),
        None => Ok(()),
    };
    let status = child.wait();
    CLIENT.store(0, Ordering::SeqCst);
    terminated()?;
    read.map_err(trouble)?;
    let code = status.map_err(trouble)?.code();
    Ok(Ended { code, output })
}
