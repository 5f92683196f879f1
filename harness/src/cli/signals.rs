//! SIGINT and SIGTERM to the harness: the first asks the run to clean up, the second ends it at once.

use std::thread;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::driver::Problem;
use crate::suite::{InterruptSignal, Interruption};

use super::ExpectedError;

/// Begins to listen, in a thread of its own that lives as long as the process.
pub(super) fn listen(interruption: &Interruption) -> Result<(), ExpectedError> {
    let failed = |error: std::io::Error| {
        ExpectedError::Harness(Problem::new(
            format!("cannot listen for signals: {error}"),
            "check the limits of this session (processes, open files)",
        ))
    };
    let runtime = Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(failed)?;
    // Registered here, not in the thread: a signal that comes right after this function must be heard.
    let (mut interrupt, mut terminate) = {
        let _context = runtime.enter();
        let interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let terminate = signal(SignalKind::terminate()).map_err(failed)?;
        (interrupt, terminate)
    };
    let interruption = interruption.clone();
    thread::spawn(move || {
        runtime.block_on(async {
            loop {
                let heard = tokio::select! {
                    Some(()) = interrupt.recv() => InterruptSignal::Interrupt,
                    Some(()) = terminate.recv() => InterruptSignal::Terminate,
                    else => return,
                };
                if !interruption.raise(heard) {
                    // Asked twice: whoever waits for a driver now is not waited for. Its processes die with us.
                    std::process::exit(i32::from(heard.exit_code()));
                }
            }
        });
    });
    Ok(())
}
