//! A job of a `.gitlab-ci.yml` as the payload that GitLab would send to a runner.
//!
//! GitLab's part of the work is done as far as a runner can tell: `include` of local files, `extends`, `!reference`, anchors,
//! `default` and `inherit`. What decides whether a job runs at all (`rules`, `when`, `needs`) is not looked at: who names a job
//! wants it to run.

mod document;
mod payload;
mod resolution;
#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::driver::{Problem, SourceFile};

/// Where a job's sources are fetched from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// URL of the repository, as the driver's environment reaches it.
    pub url: String,
    /// Branch.
    pub branch: String,
    /// Commit, its whole name.
    pub commit: String,
}

/// A job as a payload.
#[derive(Debug, Clone, PartialEq)]
pub struct PipelineJob {
    /// The payload (`POST /api/v4/jobs/request`).
    pub payload: Value,
    /// What of the pipeline was left out.
    pub notes: Vec<Problem>,
}

/// Makes the payload of a job. Without `name` it is the only job of the pipeline. `read_local` reads the file of an
/// `include: local`, whose path begins at the root of the repository.
pub fn job(
    file: SourceFile,
    name: Option<&str>,
    sources: Option<&Sources>,
    read_local: &dyn Fn(&str) -> Result<SourceFile, Problem>,
) -> Result<PipelineJob, Problem> {
    let pipeline = resolution::read(file, read_local)?;
    let job = pipeline.job(name)?;
    Ok(PipelineJob {
        payload: payload::payload(&job, sources)?,
        notes: pipeline.notes,
    })
}
