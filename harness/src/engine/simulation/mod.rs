//! The simulation engine: emulated jobs, a scripted driver and a scripted GitLab under a virtual clock.
//!
//! An hour of waiting costs nothing, and the same inputs always give the same record. The golden traces are replayed
//! here, and the reachable sequences of a job can be walked.

pub mod behaviour;
pub mod coordinator;
mod files;
mod process;
pub mod record;
mod world;

pub use world::ENTRY_BYTES_MAX;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::contract::job::Job;
use crate::contract::protocol::RunnerLogLevel;
use crate::contract::runner_process::{RunnerSignal, StartupFacts};

use behaviour::Behaviour;
use coordinator::Mode;
use record::Record;

/// Makes the emulated jobs of a simulation, when they are handed out.
pub trait JobSource {
    /// How many jobs there are.
    fn count(&self) -> usize;

    /// The id of a job.
    fn id(&self, index: usize) -> i64;

    /// Makes a job. `reloads` counts the configuration reloads the runner has done.
    fn make(&mut self, index: usize, concurrent_id: u32, reloads: u32) -> Job;
}

/// What the simulated world is made of.
#[derive(Debug, Clone, Default)]
pub struct Scenario {
    /// How the driver behaves; the first rule that fits a call wins.
    pub behaviours: Vec<Behaviour>,
    /// What happens besides.
    pub events: Vec<InjectedEvent>,
    /// How GitLab answers from the start.
    pub modes: Vec<Mode>,
    /// How it answers the successive final updates.
    pub final_codes: Vec<u16>,
    /// The interval GitLab asks for between log updates.
    pub update_interval: Duration,
    /// Jobs at once.
    pub concurrent: u32,
    /// Most jobs of one runner at once; `None`: as many as `concurrent` allows.
    pub limit: Option<u32>,
    /// Pause between two requests for jobs.
    pub check_interval: Duration,
    /// How long a forced shutdown may take.
    pub shutdown_timeout: Duration,
    /// The least severe entries that are recorded.
    pub log_level: RunnerLogLevel,
    /// What a program's name leads to; names that are absent do not exist.
    pub programs: BTreeMap<String, ProgramFile>,
    /// Exit codes of real scripts by (stage, number of the call): a script's result is given, not computed.
    pub script_results: BTreeMap<(String, u32), i32>,
    /// What the runner says about itself when it starts.
    pub startup: Option<StartupFacts>,
}

/// What a configured program name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramFile {
    /// A driver program.
    Driver,
    /// A file without exec bit, or a directory.
    NotExecutable,
    /// An executable file that is no program.
    NotAProgram,
}

/// Something that happens to the simulated world.
#[derive(Debug, Clone, PartialEq)]
pub struct InjectedEvent {
    /// Its name, where another event refers to it.
    pub id: Option<i64>,
    /// When.
    pub when: When,
    /// What.
    pub actions: Vec<InjectedAction>,
}

/// When an event happens.
#[derive(Debug, Clone, PartialEq)]
pub enum When {
    /// This long after the first job was handed out.
    At(Duration),
    /// This long after something was seen of a call.
    Call {
        /// What.
        point: CallPoint,
        /// Of which program and stage.
        call: CallSelector,
        /// How long after.
        delay: Duration,
    },
    /// This long after another event.
    After {
        /// Its id.
        id: i64,
        /// How long after.
        delay: Duration,
    },
}

/// A point in the life of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallPoint {
    /// First instruction.
    Start,
    /// The leader's end.
    End,
    /// A signal reached the leader.
    Signal,
}

/// Which call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallSelector {
    /// Program.
    pub program: crate::contract::stage::Program,
    /// Stage, by driver name; `None`: any.
    pub stage: Option<String>,
    /// Which one of them; `None`: the first.
    pub nth: Option<u32>,
}

/// What an event does.
#[derive(Debug, Clone, PartialEq)]
pub enum InjectedAction {
    /// GitLab answers so from now on.
    SetMode(Mode),
    /// GitLab refuses connections, or listens again.
    Refuse(bool),
    /// The runner process gets a signal.
    Signal(RunnerSignal),
    /// A driver's leader gets a signal from outside.
    KillDriver {
        /// Signal number.
        signal: i32,
        /// Which driver.
        call: CallSelector,
    },
    /// The configuration file is changed; what a later job sees of it is the job source's matter.
    EditConfig,
    /// A file appears, or is replaced, where a program may be looked for.
    WriteProgram {
        /// Its path, as the configuration names it.
        path: String,
        /// What it is.
        file: ProgramFile,
    },
}

/// Runs a simulation to its end.
pub fn run(scenario: Scenario, jobs: &mut dyn JobSource) -> Record {
    world::World::new(scenario, jobs).run()
}
