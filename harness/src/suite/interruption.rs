//! The user's wish to stop, as a value that can be asked and awaited.

use std::sync::Arc;

use driver_conformance_reports::model::ExitCode;
use tokio::sync::watch;

/// What the user sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InterruptSignal {
    /// SIGINT, as from Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl InterruptSignal {
    /// `SIGINT`, `SIGTERM`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }

    /// The exit code of a run that ended by it.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => ExitCode::INTERRUPTED,
            Self::Terminate => ExitCode::TERMINATED,
        }
    }
}

/// Shared between whoever hears the signal and whoever must stop. Clones are the same interruption.
#[derive(Debug, Clone)]
pub struct Interruption {
    sender: Arc<watch::Sender<Option<InterruptSignal>>>,
}

impl Default for Interruption {
    fn default() -> Self {
        Self {
            sender: Arc::new(watch::Sender::new(None)),
        }
    }
}

impl Interruption {
    /// Raises it; the first signal counts. Returns whether this was the first.
    pub fn raise(&self, signal: InterruptSignal) -> bool {
        self.sender.send_if_modified(|current| {
            let first = current.is_none();
            current.get_or_insert(signal);
            first
        })
    }

    /// The signal, if it was raised.
    pub fn signal(&self) -> Option<InterruptSignal> {
        *self.sender.borrow()
    }

    /// Waits until it is raised.
    pub async fn raised(&self) -> InterruptSignal {
        let mut receiver = self.sender.subscribe();
        loop {
            let current = *receiver.borrow_and_update();
            if let Some(signal) = current {
                return signal;
            }
            // Cannot fail: `self` keeps the sender alive.
            if receiver.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
