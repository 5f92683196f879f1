//! Processes: the only place with `unsafe` and raw system calls.
//!
//! A driver is never a child of the harness. Each job of a case has a *supervisor*, a small process of this same
//! executable ([`supervisor::run_if_requested`]), which starts the calls, reaps all their descendants, names those that
//! are left, and kills everything when it is told to or when the harness dies. The harness side of it is
//! [`client::Supervised`]: pipes of the calls are handed over as descriptors, so output is read without a detour.
//!
//! Nothing here forks in the harness itself: that takes 13 ms instead of 0.2 ms once the harness has grown.

pub mod client;
mod holdings;
pub mod interrupt;
mod kill;
mod lineage;
mod signals;
mod spawn;
mod spawn_traced;
pub mod supervisor;
mod tracer;
mod tree;
mod wire;

pub(crate) use holdings::{distant_process, holders_of_pipe, listens_on};
pub(crate) use tree::{command_lines, is_of_this_harness, living_command_line};
pub(crate) use wire::wait_ready;
