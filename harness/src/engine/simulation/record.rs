//! What a simulation recorded: the same things that a golden trace holds.

use std::path::PathBuf;

use crate::contract::moment::Moment;
use crate::contract::outcome::Outcome;
use crate::contract::protocol::CallSpec;

/// The record of a simulated runner process with all its jobs.
#[derive(Debug, Default)]
pub struct Record {
    /// Calls in the order of their first instruction.
    pub calls: Vec<RecordedCall>,
    /// Jobs in the order of the payloads.
    pub jobs: Vec<RecordedJob>,
    /// Entries of the runner log as text, above debug level unless debug was asked for.
    pub runner_log: Vec<String>,
    /// How the runner process ended, and when.
    pub runner_exit: Option<(i32, Moment)>,
    /// Temporary directories that are still there at the end.
    pub left_directories: Vec<PathBuf>,
}

/// One call.
#[derive(Debug)]
pub struct RecordedCall {
    /// Job, by index.
    pub job: usize,
    /// What was started.
    pub spec: CallSpec,
    /// First instruction.
    pub begun: Moment,
    /// Content of TMPDIR at that moment: path relative to it and mode in octal.
    pub temp_listing: Vec<(String, String)>,
    /// Signals that reached the leader.
    pub signals: Vec<(Moment, &'static str)>,
    /// How the leader ended.
    pub end: Option<(Moment, String)>,
}

/// One job.
#[derive(Debug, Default)]
pub struct RecordedJob {
    /// Id in GitLab.
    pub id: i64,
    /// Final state as GitLab got it.
    pub outcome: Option<Outcome>,
    /// Job log as GitLab got it.
    pub log: Vec<u8>,
    /// Job log as the runner wrote it.
    pub full_log: Vec<u8>,
}
