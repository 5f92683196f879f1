//! What a run found, and the formats it is written in.
//!
//! `model` is stable: verdicts, exit codes and the report schema. Each format is one module that turns a
//! [`model::Report`] into text. Nothing here spawns a process or asks the engine.
//!
//! To add a format: write its module with a `render` function, then add one line to [`FORMATS`].

pub mod json;
pub mod model;
pub mod terminal;
pub mod text;

use model::Report;

/// One format of `--report FORMAT=FILE`.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    /// The word before the `=`.
    pub name: &'static str,
    /// One sentence for `--help`.
    pub about: &'static str,
    /// Turns a report into the content of the file.
    pub render: fn(&Report) -> String,
}

/// Every format that can be written to a file.
pub const FORMATS: &[Format] = &[
    Format {
        name: "json",
        about: "schema driver-conformance/report/v1, for pipelines and dashboards",
        render: json::render,
    },
    Format {
        name: "text",
        about: "what the terminal shows, without colour",
        render: terminal::render_plain,
    },
];

/// The format with this name.
pub fn format(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}
