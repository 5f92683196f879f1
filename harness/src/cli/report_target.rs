//! `--report FORMAT=FILE`: parsed early, tried early, written late.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use driver_conformance_reports::model::{CaseResult, Report};
use driver_conformance_reports::{FORMATS, Format, jsonl};
use tempfile::NamedTempFile;

use crate::driver::{Driver, Problem};
use crate::suite::{FinishedCase, Progress};

use super::{ExpectedError, Output};

/// Mode of a new report before the umask: the usual one, not the private one of temporary files.
const REPORT_MODE: u32 = 0o666;

/// The format that is written while the run goes on.
const STREAM: &str = "jsonl";

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
    /// What of a stream is written already.
    streamed: Option<Streamed>,
}

/// The part of a stream that is written already.
#[derive(Default)]
struct Streamed {
    /// The lines about cases, by name.
    told: BTreeMap<String, CaseResult>,
    /// Why it could not be written on.
    failure: Option<std::io::Error>,
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

/// Opens all files before the run; at most one report goes to standard output.
pub(super) fn open_all(
    targets: &[ReportTarget],
    output: &mut Output,
) -> Result<Vec<OpenTarget>, ExpectedError> {
    let to_output = targets.iter().filter(|target| target.is_standard_output());
    let to_output = to_output.count();
    if to_output > 1 {
        return Err(ExpectedError::Usage(Problem::new(
            "several reports are to go to standard output",
            "give all but one of them a file",
        )));
    }
    if to_output == 1 {
        output.keep_out_for_report();
    }
    targets.iter().map(ReportTarget::open).collect()
}

/// Writes all reports: one that cannot be written must not cost the others.
pub(super) fn write_reports(
    report: &Report,
    targets: Vec<OpenTarget>,
    output: &mut Output,
) -> Result<(), ExpectedError> {
    let mut not_written = None;
    for target in targets {
        if let Err(error) = target.write(report, output) {
            not_written.get_or_insert(error);
        }
    }
    not_written.map_or(Ok(()), Err)
}

/// What an error of a file says, without the name of a temporary file, which is of no use to the user.
pub(super) fn reason(error: &std::io::Error) -> String {
    let reason = error.to_string();
    reason
        .split(" at path ")
        .next()
        .unwrap_or(&reason)
        .to_owned()
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
            streamed: None,
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
        let reason = reason(error);
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
    /// Begins a stream: it is written in place, line by line, so that it can be followed and that a run which dies leaves
    /// what it had found.
    fn begin_stream(&mut self, text: &str) {
        let mut streamed = Streamed::default();
        if let Sink::Replaced(_) = &self.sink {
            match std::fs::File::create(&self.target.path) {
                Ok(file) => self.sink = Sink::InPlace(file),
                Err(error) => streamed.failure = Some(error),
            }
        }
        self.streamed = Some(streamed);
        self.stream(text);
    }

    fn stream(&mut self, text: &str) {
        let Some(streamed) = &mut self.streamed else {
            return;
        };
        if streamed.failure.is_some() {
            return;
        }
        let written = match &mut self.sink {
            Sink::InPlace(file) => file.write_all(text.as_bytes()),
            Sink::StandardOutput => {
                let mut out = std::io::stdout();
                out.write_all(text.as_bytes()).and_then(|()| out.flush())
            }
            Sink::Replaced(_) => Ok(()),
        };
        streamed.failure = written.err();
    }

    /// Writes the report.
    pub(super) fn write(self, report: &Report, output: &mut Output) -> Result<(), ExpectedError> {
        let text = match &self.streamed {
            Some(streamed) => jsonl::closing(report, &streamed.told),
            None => (self.target.format.render)(report),
        };
        self.write_text(&text, output)
    }

    /// Writes a text of another kind.
    pub(super) fn write_text(self, text: &str, output: &mut Output) -> Result<(), ExpectedError> {
        let Self {
            target,
            sink,
            streamed,
        } = self;
        if let Some(failure) = streamed.and_then(|streamed| streamed.failure) {
            return Err(target.not_written(&failure));
        }
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

/// Passes on what happens in a run, to the user and to the reports that are written meanwhile.
pub(super) struct Streaming<'run> {
    progress: &'run mut dyn Progress,
    targets: Vec<&'run mut OpenTarget>,
    driver: String,
}

impl<'run> Streaming<'run> {
    /// Of all targets, those whose format is a stream are followed.
    pub(super) fn new(
        progress: &'run mut dyn Progress,
        targets: &'run mut [OpenTarget],
        driver: &Driver,
    ) -> Self {
        let streams = targets.iter_mut();
        let streams = streams.filter(|target| target.target.format.name == STREAM);
        Self {
            progress,
            targets: streams.collect(),
            driver: driver.path.display().to_string(),
        }
    }
}

impl Progress for Streaming<'_> {
    fn started(&mut self, cases: usize) {
        let text = jsonl::opening(&self.driver, cases);
        for target in &mut self.targets {
            target.begin_stream(&text);
        }
        self.progress.started(cases);
    }

    fn case_finished(&mut self, case: &FinishedCase<'_>) {
        for target in &mut self.targets {
            let result = CaseResult {
                name: case.name.to_owned(),
                status: case.status,
                duration_ms: u64::try_from(case.duration.as_millis()).unwrap_or(u64::MAX),
                calls: case.calls,
                outcome: case.outcome.cloned(),
                reason: case.reason.map(str::to_owned),
            };
            target.stream(&jsonl::case(&result));
            if let Some(streamed) = &mut target.streamed {
                streamed.told.insert(result.name.clone(), result);
            }
        }
        self.progress.case_finished(case);
    }

    fn note(&mut self, text: &str) {
        self.progress.note(text);
    }

    fn finished(&mut self) {
        self.progress.finished();
    }
}
