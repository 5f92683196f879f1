//! The emulated GitLab Runner, version 19.4, as a state machine without clock, process, file or async.
//!
//! Data side: [`payload`], [`variables`], [`build`], [`script`]. Control side: [`protocol`] (what goes in and out),
//! [`job`] (the machine), [`context`] (what ends what), [`job_log`] and [`runner_log`] (what is written),
//! [`log_updates`] and [`runner_process`] (the runner around its jobs).

pub mod build;
pub mod config;
pub mod context;
pub mod environment;
pub mod error;
pub mod exit;
pub mod feature_flags;
pub mod go_duration;
pub mod go_json;
pub mod go_path;
pub mod go_text;
pub mod go_url;
pub mod job;
pub mod job_log;
pub mod json_config;
pub mod json_scan;
pub mod list;
pub mod log_updates;
pub mod moment;
pub mod names;
pub mod outcome;
pub mod payload;
pub mod protocol;
pub mod runner_log;
pub mod runner_process;
pub mod script;
pub mod settings;
pub mod shell;
pub mod stage;
pub mod token;
pub mod update_log;
pub mod variables;
