//! What a diagnosis says: schema `driver-conformance/diagnosis/v1`. Additive changes only.

use serde::{Deserialize, Serialize};

/// The value of [`Diagnosis::schema`].
pub const SCHEMA: &str = "driver-conformance/diagnosis/v1";

/// Everything that some logs show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// [`SCHEMA`].
    pub schema: String,
    /// What is wrong, the decisive first; empty if the logs are healthy, or say nothing about a driver.
    pub problems: Vec<Problem>,
    /// How many logs of jobs and of runners, and reports, there were in the files; without any, nothing can be told.
    #[serde(default)]
    pub understood: usize,
    /// What was looked at, where it is worth a word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// `config`, `prepare`, `run`, `cleanup`, `runner`, `gitlab`, or `none`: the job itself.
    pub call: String,
    /// The run stage, as the driver knows it.
    pub stage: Option<String>,
    /// Id of the cause.
    pub cause: String,
    /// One sentence.
    pub title: String,
    /// From 0 to 1.
    pub confidence: f64,
    /// Whether it explains how the job ended.
    pub decisive: bool,
    /// The lines that speak for it, then those that only tell more about it.
    pub evidence: Vec<EvidenceLine>,
    /// Checks that prove it.
    pub checks: Vec<String>,
    /// What tells it from other causes.
    pub observe: String,
    /// What to do.
    pub fix: String,
    /// Jobs that show it, where a log tells of several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<String>,
}

impl Problem {
    /// Call, stage (`-` if there is none) and cause, as tests name a problem.
    pub fn summary(&self) -> String {
        let stage = self.stage.as_deref().unwrap_or("-");
        format!("{} {stage} {}", self.call, self.cause)
    }
}

/// A line that speaks for a problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceLine {
    /// Number of the line, from 1.
    pub line: usize,
    /// The line, made harmless.
    pub text: String,
    /// The file, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}
