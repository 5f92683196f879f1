//! What happened in a case, on its own time axis: swim lanes for a drawing.

use serde::{Deserialize, Serialize};

use super::Call;

words! {
    /// Whose doing it is.
    Lane {
        /// What GitLab and the runner did to the job.
        Runner = "runner",
        /// The calls of the driver.
        Driver = "driver",
        /// Scripts and other processes below the calls.
        Processes = "processes",
        /// Requests to a backend, and their effects.
        Backend = "backend",
        /// Signals that were sent.
        Signals = "signals",
    }
}

words! {
    /// How something is to be seen.
    Tone {
        /// In order, or neither good nor bad.
        Plain = "plain",
        /// It did not work.
        Failed = "failed",
        /// It was ended from outside.
        Ended = "ended",
        /// It was left behind.
        Leak = "leak",
        /// Somebody waited for something that did not come.
        Gap = "gap",
    }
}

/// One case that shows a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// Name of the case.
    pub case: String,
    /// What is done to the driver in it and why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// When the last of it happened.
    pub end_us: u64,
    /// What lasted.
    pub spans: Vec<Span>,
    /// What happened at once.
    pub moments: Vec<Instant>,
    /// What shows each finding of this case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marked: Vec<Marked>,
    /// How many spans and moments are left out, because there were too many to draw.
    #[serde(default)]
    pub left_out: usize,
}

/// Something that lasted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Whose doing it is.
    pub lane: Lane,
    /// What it is.
    pub label: String,
    /// Which job of the case, from 0.
    #[serde(default)]
    pub job: usize,
    /// When it began, microseconds since the start of the case.
    pub from_us: u64,
    /// When it ended; absent: it had not when the case was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_us: Option<u64>,
    /// How it is to be seen.
    pub tone: Tone,
}

/// Something that happened at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instant {
    /// Whose doing it is.
    pub lane: Lane,
    /// What it is.
    pub label: String,
    /// Which job of the case, from 0.
    #[serde(default)]
    pub job: usize,
    /// When, microseconds since the start of the case.
    pub at_us: u64,
    /// How it is to be seen.
    pub tone: Tone,
}

/// The part of a case that shows a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marked {
    /// Id of the check.
    pub check: String,
    /// The call to blame.
    pub call: Call,
    /// The stage to blame, for run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// From when.
    pub from_us: u64,
    /// Until when.
    pub to_us: u64,
}
