//! Golden traces: what a real runner did, read, replayed and compared.

pub mod compare;
pub mod file;
mod normalise;
pub mod replay;

use std::path::Path;

use serde_json::Value;

use compare::{Comparison, Moments, compare};
use file::{GoldenError, GoldenFile};

/// A golden trace and its replay.
pub struct Emulated {
    /// Name of the recorded situation.
    pub scenario: String,
    /// The replay, in the form of a golden trace.
    pub replayed: Value,
    /// How it differs from the recording; `None`: the file holds inputs only.
    pub comparison: Option<Comparison>,
}

/// Replays a golden trace in the simulation and compares it with what was recorded.
pub fn emulate(path: &Path) -> Result<Emulated, GoldenError> {
    let file = GoldenFile::read(path)?;
    let record = replay::replay(&file).map_err(|problem| GoldenError::Format {
        path: path.to_owned(),
        problem,
    })?;
    let replayed = replay::to_document(&file, &record);
    let comparison = file
        .document
        .get("sequence")
        .is_some()
        .then(|| compare(&file.document, &replayed, Moments::Compared));
    Ok(Emulated {
        scenario: file.scenario,
        replayed,
        comparison,
    })
}
