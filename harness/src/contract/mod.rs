//! The emulated GitLab Runner, version 19.4, as a state machine without clock, process, file or async.
//!
//! Data side: [`payload`], [`variables`], [`build`], [`script`]. Control side: [`protocol`] (what goes in and out),
//! the machines that decide.

pub mod config;
pub mod exit;
pub mod moment;
pub mod outcome;
pub mod protocol;
pub mod stage;
