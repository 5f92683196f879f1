//! Conformance harness and mock runner for GitLab Runner Custom executor drivers.
//!
//! Start with `docs/architecture.md`: one line per module, then the decisions.

pub mod advice;
mod bytes;
pub mod checks;
pub mod cli;
pub mod contract;
pub mod driver;
pub mod engine;
pub mod faults;
pub mod fuzz;
pub mod golden;
mod hexadecimal;
pub mod janitor;
pub mod leaks;
pub mod pipeline;
pub mod plan;
pub mod process;
pub mod suite;
pub mod trace;
pub mod zoo;
