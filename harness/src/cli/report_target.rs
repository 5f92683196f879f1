//! `--report FORMAT=FILE`: parsed early, tried early, written late.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use driver_conformance_reports::model::Report;
use driver_conformance_reports::{FORMATS, Format};
use tempfile::NamedTempFile;

use crate::driver::Problem;

use super::{ExpectedError, Output};

/// Mode of a new report before the umask: the usual one, not the private one of temporary files.
const REPORT_MODE: u32 = 0o666;

/// One value of `--report`.
#[derive(Debug, Clone)]
pub(super) struct ReportTarget {
    format: &'static Format,
    /// `-` is standard output.
    path: PathBuf,
}

/// A report's file, opened before the run, so that an hour of testing is not lost to a misspelt directory.
pub(super) struct OpenTarget {
    target: ReportTarget,
    sink: Sink,
}

enum Sink {
    StandardOutput,
    /// Written beside the final place and moved there when complete, so that nobody reads half a report.
    Replaced(NamedTempFile),
    /// A device or a pipe: written in place.
    InPlace(std::fs::File),
}

/// Reads `FORMAT=FILE`.
pub(super) fn parse(value: &str) -> Result<ReportTarget, String> {
    let known = || {
        FORMATS
            .iter()
            .map(|format| format.name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let Some((name, path)) = value.split_once('=') else {
        return Err(format!(
            "write FORMAT=FILE, for example json=report.json; formats: {}",
            known()
        ));
    };
    let Some(format) = driver_conformance_reports::format(name) else {
        return Err(format!("there is no format `{name}`; formats: {}", known()));
    };
    if path.is_empty() {
        return Err(format!("name a file, for example {name}=report.{name}"));
    }
    Ok(ReportTarget {
        format,
        path: PathBuf::from(path),
    })
}

impl ReportTarget {
    /// The word in front of the file.
    pub(super) fn format_name(&self) -> &'static str {
        self.format.name
    }

    /// Whether it goes to standard output.
    pub(super) fn is_standard_output(&self) -> bool {
        self.path == Path::new("-")
    }

    /// Opens the file, without changing what is in it.
    pub(super) fn open(&self) -> Result<OpenTarget, ExpectedError> {
        let sink = self.sink().map_err(|error| self.not_written(&error))?;
        Ok(OpenTarget {
            target: self.clone(),
            sink,
        })
    }

    fn sink(&self) -> std::io::Result<Sink> {
        if self.is_standard_output() {
            return Ok(Sink::StandardOutput);
        }
        let metadata = self.path.metadata().ok();
        if let Some(metadata) = metadata {
            // An existing file that must not be written is not replaced either.
            let file = OpenOptions::new().append(true).open(&self.path)?;
            if !metadata.is_file() {
                return Ok(Sink::InPlace(file));
            }
        }
        let directory = match self.path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let file = tempfile::Builder::new()
            .prefix(".report-")
            .permissions(std::fs::Permissions::from_mode(REPORT_MODE))
            .tempfile_in(directory)?;
        Ok(Sink::Replaced(file))
    }

    fn not_written(&self, error: &std::io::Error) -> ExpectedError {
        // The name of the temporary file that may be in the error is of no use to the user.
        let reason = error.to_string();
        let reason = reason.split(" at path ").next().unwrap_or(&reason);
        ExpectedError::NotWritten(Problem::new(
            format!(
                "the report {} cannot be written: {reason}",
                self.path.display()
            ),
            "name a file in a directory that exists and that you may write to",
        ))
    }
}

impl OpenTarget {
    /// Writes the report.
    pub(super) fn write(self, report: &Report, output: &mut Output) -> Result<(), ExpectedError> {
        let text = (self.target.format.render)(report);
        self.write_text(&text, output)
    }

    /// Writes a text of another kind.
    pub(super) fn write_text(self, text: &str, output: &mut Output) -> Result<(), ExpectedError> {
        let Self { target, sink } = self;
        let written = match sink {
            Sink::StandardOutput => output.raw(text.as_bytes()),
            Sink::InPlace(mut file) => file.write_all(text.as_bytes()).and_then(|()| file.flush()),
            Sink::Replaced(mut file) => file.write_all(text.as_bytes()).and_then(|()| {
                file.persist(&target.path)
                    .map(drop)
                    .map_err(|error| error.error)
            }),
        };
        written.map_err(|error| target.not_written(&error))
    }
}
