//! A request to stop that every case can wait for together with its pipes.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::pipe::{PipeFlags, pipe_with};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How urgently the harness was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Not at all.
    None,
    /// Asked once: cases let the driver clean up, in bounded time.
    CleanUp,
    /// Asked again: cases kill everything at once.
    AtOnce,
}

/// A request to stop, shared by all cases of a run. Cloning gives another handle to the same request.
///
/// It is a pair of pipes that become readable for ever once asked, so any number of cases can wait for it in the same
/// `poll` as for their drivers.
#[derive(Debug, Clone)]
pub struct Interrupt {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    asked: AtomicU8,
    /// Number of the first signal that asked; 0: none did.
    signal: AtomicI32,
    bells: [Bell; 2],
}

/// A pipe that is readable once its write end is closed.
#[derive(Debug)]
struct Bell {
    read: OwnedFd,
    write: Mutex<Option<OwnedFd>>,
}

impl Bell {
    fn new() -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        Ok(Self {
            read,
            write: Mutex::new(Some(write)),
        })
    }

    fn ring(&self) {
        self.write
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

impl Interrupt {
    /// A request nobody has made yet. Fails when no pipe can be made.
    pub fn new() -> io::Result<Self> {
        let shared = Shared {
            asked: AtomicU8::new(0),
            signal: AtomicI32::new(0),
            bells: [Bell::new()?, Bell::new()?],
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Asks all cases to stop: the first time with the driver's cleanup, the second time at once.
    pub fn ask(&self) {
        match self.shared.asked.fetch_add(1, Ordering::SeqCst) {
            0 => self.shared.bells[0].ring(),
            1 => self.shared.bells[1].ring(),
            // More often than twice changes nothing; keep the count from wrapping around.
            _ => self.shared.asked.store(2, Ordering::SeqCst),
        }
    }

    /// Has SIGINT and SIGTERM to this process ask, from now on and instead of ending it, in a thread of its own. Fails
    /// when the signals cannot be caught.
    pub fn ask_on_stop_signals(&self) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let caught = {
            let _entered = runtime.enter();
            [
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
            ]
        };
        let interrupt = self.clone();
        std::thread::Builder::new()
            .name("stop signals".to_owned())
            .spawn(move || runtime.block_on(interrupt.listen(caught)))?;
        Ok(())
    }

    async fn listen(self, [mut interrupts, mut terminates]: [Signal; 2]) {
        loop {
            let number = tokio::select! {
                _ = interrupts.recv() => SignalKind::interrupt(),
                _ = terminates.recv() => SignalKind::terminate(),
            }
            .as_raw_value();
            let first = &self.shared.signal;
            let _only_the_first =
                first.compare_exchange(0, number, Ordering::SeqCst, Ordering::SeqCst);
            self.ask();
        }
    }

    /// Number of the first signal that asked, for the exit code 128 + number.
    pub fn signal(&self) -> Option<i32> {
        match self.shared.signal.load(Ordering::SeqCst) {
            0 => None,
            number => Some(number),
        }
    }

    /// How urgently it was asked so far.
    pub fn urgency(&self) -> Urgency {
        match self.shared.asked.load(Ordering::SeqCst) {
            0 => Urgency::None,
            1 => Urgency::CleanUp,
            _ => Urgency::AtOnce,
        }
    }

    /// A descriptor that becomes readable when the urgency rises above `seen`; `None` if it cannot rise any more.
    pub(crate) fn bell_after(&self, seen: Urgency) -> Option<BorrowedFd<'_>> {
        match seen {
            Urgency::None => Some(self.shared.bells[0].read.as_fd()),
            Urgency::CleanUp => Some(self.shared.bells[1].read.as_fd()),
            Urgency::AtOnce => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urgency_rises_twice_and_stays() {
        let interrupt = Interrupt::new().expect("two pipes");
        assert_eq!(interrupt.urgency(), Urgency::None);
        interrupt.ask();
        assert_eq!(interrupt.urgency(), Urgency::CleanUp);
        let other = interrupt.clone();
        other.ask();
        other.ask();
        other.ask();
        assert_eq!(interrupt.urgency(), Urgency::AtOnce);
        assert!(interrupt.bell_after(Urgency::AtOnce).is_none());
    }
}
