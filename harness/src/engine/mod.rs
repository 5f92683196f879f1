//! Engines turn (driver, case, profile) into a trace: `mock` with real processes, `simulation` with a virtual clock.

pub mod backend;
pub mod directories;
pub mod keepsakes;
pub mod mock;
mod on_host;
pub mod private_directory;
pub mod secrets;
pub mod simulation;
mod stimuli;
