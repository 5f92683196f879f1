//! What a run found, and the formats it is written in.
//!
//! `model` is stable: verdicts, exit codes and the report schema. Each format is one module that turns a
//! [`model::Report`] into bytes. Nothing here spawns a process or asks the engine.

pub mod model;
