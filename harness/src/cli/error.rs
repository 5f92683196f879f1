//! Everything that ends a command early: its exit code and its paragraph.

use driver_conformance_reports::model::ExitCode;

use crate::driver::Problem;
use crate::plan::PlanError;
use crate::plan::waiver::WaiverError;
use crate::suite::{InterruptSignal, RunError, call_name};

/// An end that is caused by the user, the machine or us, but not by the driver's conformance.
#[derive(Debug)]
pub enum ExpectedError {
    /// Wrong usage, or something wrong with the driver's files or settings.
    Usage(Problem),
    /// A file could not be written; the message names it and says why.
    NotWritten(Problem),
    /// The harness failed.
    Harness(Problem),
    /// The selection left nothing to run.
    NothingSelected,
    /// This part of a divided run has nothing to run; the part, and how many cases were divided.
    EmptyShard(String, usize),
    /// The user stopped it; everything that was started is gone.
    Interrupted(InterruptSignal),
}

impl ExpectedError {
    /// The exit code of the process.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => ExitCode::USAGE,
            Self::NotWritten(_) | Self::Harness(_) => ExitCode::HARNESS_ERROR,
            Self::NothingSelected | Self::EmptyShard(..) => ExitCode::NOTHING_SELECTED,
            Self::Interrupted(signal) => signal.exit_code(),
        }
    }

    /// Something a later version has.
    pub fn not_available(what: &str) -> Self {
        Self::Harness(Problem::new(
            format!("{what} is not available in this build"),
            "use a build that has it",
        ))
    }

    /// The paragraph for the terminal.
    pub fn render(&self, color: bool) -> String {
        match self {
            Self::Usage(problem) | Self::NotWritten(problem) | Self::Harness(problem) => {
                problem.render_error(color)
            }
            Self::NothingSelected => Problem::new(
                "the selection leaves no case or no check to run",
                "loosen --only and --skip, also those in driver-conformance.toml; \
                 `driver-conformance list` shows every name",
            )
            .render_error(color),
            Self::EmptyShard(shard, cases) => Problem::new(
                format!("shard {shard} has no case to run, of {cases} that are selected"),
                "divide the run into fewer parts",
            )
            .render_error(color),
            Self::Interrupted(signal) => Problem::new(
                format!("stopped by {}", signal.name()),
                "everything that was started has been ended; reports that were asked for hold what was judged until \
                 then, and are marked as partial",
            )
            .render_error(color),
        }
    }
}

impl From<Problem> for ExpectedError {
    fn from(problem: Problem) -> Self {
        Self::Usage(problem)
    }
}

impl From<PlanError> for ExpectedError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::NoMatch { pattern, near } => {
                let remedy = if near.is_empty() {
                    "`driver-conformance list` shows every name; `*` matches within one part, \
                     `**` across parts"
                        .to_owned()
                } else {
                    format!(
                        "near names: {}; `driver-conformance list` shows all",
                        near.join(", ")
                    )
                };
                Self::Usage(Problem::new(
                    format!("`{pattern}` matches no case and no check"),
                    remedy,
                ))
            }
            PlanError::BadPattern { pattern, problem } => Self::Usage(Problem::new(
                format!("`{pattern}` is not a glob: {problem}"),
                "use `*` for a part of a name and `**` for any number of parts, for example 'signal/**'",
            )),
            ours @ (PlanError::Scenario(_) | PlanError::Senseless { .. }) => {
                RunError::Harness(ours.to_string()).into()
            }
        }
    }
}

impl From<WaiverError> for ExpectedError {
    fn from(error: WaiverError) -> Self {
        let remedy = match &error.error {
            PlanError::NoMatch { near, .. } if !near.is_empty() => {
                format!("near names: {}", near.join(", "))
            }
            _ => "`driver-conformance list` shows every name".to_owned(),
        };
        Self::Usage(Problem::new(error.to_string(), remedy))
    }
}

impl From<RunError> for ExpectedError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::MissingTool {
                program,
                ref stage,
                ref tool,
            } => {
                let call = call_name(program, stage.as_ref());
                Self::Usage(Problem::new(
                    format!("{error}, so no job can run; {call} printed: {}", tool.line),
                    format!(
                        "install `{}` on this machine, or put a stand-in for it in PATH",
                        tool.name
                    ),
                ))
            }
            RunError::List(failure) => Self::Usage(Problem::new(
                failure.to_string(),
                "correct it in [[list]] or --list, or see that what it asks is running; nothing was run",
            )),
            RunError::Refused(reason) => Self::Usage(Problem::new(
                reason,
                "see docs/faults-and-fuzzing.md for what it takes",
            )),
            RunError::Interrupted(signal) => Self::Interrupted(signal),
            RunError::Harness(message) => Self::Harness(Problem::new(
                message,
                "this says nothing about the driver; if it comes again, report it as a bug",
            )),
        }
    }
}
