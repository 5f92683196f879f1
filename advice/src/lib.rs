//! What an administrator of runners knows, as text that stands on data: pages of `explain`, the table of symptoms, the
//! checklist of cleanup, the rules of `lint`, and what `advise config` reckons.
//!
//! Pure: data in, [`document::Document`] or findings out. Numbers come from the caller, who has them from the emulated
//! runner.

pub mod checklist;
pub mod config_block;
pub mod document;
pub mod explain;
pub mod lint;
pub mod numbers;
pub mod skeleton;
pub mod table;
