//! What a run found, and the formats it is written in.
//!
//! `model` is stable: verdicts, exit codes and the report schema. Each format is one module that turns a
//! [`model::Report`] into text. Nothing here spawns a process or asks the engine.
//!
//! To add a format: write its module with a `render` function, then add one line to [`FORMATS`].

pub mod badge;
pub mod codequality;
pub mod difference;
pub mod html;
pub mod json;
pub mod jsonl;
pub mod junit;
pub mod markdown;
pub mod model;
mod outcome;
mod phrases;
pub mod sarif;
pub mod statement;
pub mod tap;
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
        about: "schema driver-conformance/report/v1: everything, and what `report` reads",
        render: json::render,
    },
    Format {
        name: "jsonl",
        about: "one JSON object on each line, cases as they end",
        render: jsonl::render,
    },
    Format {
        name: "junit",
        about: "one test for each check, for GitLab, GitHub and Jenkins",
        render: junit::render,
    },
    Format {
        name: "sarif",
        about: "SARIF 2.1.0: findings in the driver's files, for code scanning",
        render: sarif::render,
    },
    Format {
        name: "codequality",
        about: "GitLab Code Quality: findings in a merge request",
        render: codequality::render,
    },
    Format {
        name: "markdown",
        about: "a comment on a merge request, a summary of a CI step",
        render: markdown::render,
    },
    Format {
        name: "tap",
        about: "TAP 14: one line for each check",
        render: tap::render,
    },
    Format {
        name: "html",
        about: "one page with everything, to be opened in a browser without a network",
        render: html::render,
    },
    Format {
        name: "text",
        about: "what the terminal shows, without colour",
        render: terminal::render_plain,
    },
    Format {
        name: "badge",
        about: "a small picture (SVG) for a README",
        render: badge::render,
    },
    Format {
        name: "statement",
        about: "in-toto statement about the driver's digest, ready to be signed",
        render: statement::render,
    },
];

/// The format with this name.
pub fn format(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}
