//! The emulated GitLab Runner, version 19.4, as a state machine without clock, process, file or async.
//!
//! Data side: [`payload`], [`variables`], [`build`], [`script`]. Control side: [`protocol`] (what goes in and out),
//! the machines that decide.

pub mod build;
pub mod config;
pub mod environment;
pub mod exit;
pub mod feature_flags;
pub mod go_duration;
pub mod go_json;
pub mod go_path;
pub mod go_text;
pub mod go_url;
pub mod json_config;
pub mod json_scan;
pub mod list;
pub mod moment;
pub mod outcome;
pub mod payload;
pub mod protocol;
pub mod script;
pub mod settings;
pub mod shell;
pub mod stage;
pub mod token;
pub mod variables;
