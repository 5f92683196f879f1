//! A simulated process: a driver's leader or one of its children.

use std::collections::VecDeque;
use std::time::Duration;

use crate::contract::exit::ExitStatus;
use crate::contract::moment::Moment;
use crate::contract::protocol::{CallId, CallSpec, Stream};

use super::behaviour::{OnTerm, Step};

/// Index of a process in the world.
pub(super) type ProcessIndex = usize;

/// A process.
#[derive(Debug)]
pub(super) struct Process {
    /// Job and call that it belongs to.
    pub(super) job: usize,
    pub(super) call: CallId,
    /// Its entry in the record of calls, once it has begun.
    pub(super) record: Option<usize>,
    /// The leader of the call, or a child of it.
    pub(super) is_leader: bool,
    /// It left the call's process group.
    pub(super) own_group: bool,
    /// It holds the call's stdout and stderr.
    pub(super) holds_output: bool,
    pub(super) steps: VecDeque<Step>,
    pub(super) on_term: OnTerm,
    pub(super) sleeping: Option<Sleep>,
    pub(super) state: ProcessState,
    /// What it was started with, until it begins.
    pub(super) spec: Option<Box<CallSpec>>,
}

/// A sleep in progress.
#[derive(Debug, Clone)]
pub(super) struct Sleep {
    pub(super) until: Moment,
    pub(super) tick: Option<Tick>,
}

/// Lines printed during a sleep.
#[derive(Debug, Clone)]
pub(super) struct Tick {
    pub(super) every: Duration,
    pub(super) next: Moment,
    pub(super) to: Stream,
    pub(super) text: &'static str,
}

/// Whether a process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProcessState {
    /// Started, first instruction not reached.
    Starting,
    /// Alive.
    Alive,
    /// SIGTERM came; it exits with this code when its time has come.
    Leaving(i32),
    /// Gone.
    Gone(ExitStatus),
}

impl Process {
    pub(super) fn is_alive(&self) -> bool {
        !matches!(self.state, ProcessState::Gone(_))
    }
}

impl Sleep {
    /// The next moment at which something happens in it.
    pub(super) fn next(&self) -> Moment {
        match &self.tick {
            Some(tick) if tick.next < self.until => tick.next,
            _ => self.until,
        }
    }
}
