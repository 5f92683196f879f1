//! Errors inside an emulated job: a text and the class that decides what the runner makes of it (contract G).

use super::context::{Cause, ContextError};
use super::outcome::FailureReason;

/// An error of a stage or of the whole job, as the runner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobError {
    /// The text in the logs.
    pub message: String,
    /// Its class.
    pub kind: JobErrorKind,
}

/// Class of a [`JobError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobErrorKind {
    /// A build error: never retried by prepare, has a reason and an exit code.
    Build {
        /// Before mapping to what the instance supports.
        reason: FailureReason,
        /// 0: none is sent.
        exit_code: i64,
    },
    /// Everything else: a system failure.
    Plain,
    /// The error of a context that is over.
    Context(ContextError),
    /// The user's script was ended by a cancel (H5).
    ScriptCanceled,
    /// `RUNNER_SCRIPT_TIMEOUT` passed (E10).
    ScriptTimeout,
}

/// How the job stands after an error, in the words of `CI_JOB_STATUS` (E13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuntimeState {
    /// `success`
    Success,
    /// `failed`
    Failed,
    /// `canceled`
    Canceled,
    /// `timedout`
    TimedOut,
}

impl RuntimeState {
    /// The value of `CI_JOB_STATUS`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::TimedOut => "timedout",
        }
    }
}

impl JobError {
    /// An error that is not a build error.
    pub fn plain(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            kind: JobErrorKind::Plain,
        }
    }

    /// A build error.
    pub fn build(message: impl Into<String>, reason: FailureReason, exit_code: i64) -> Self {
        Self {
            message: message.into(),
            kind: JobErrorKind::Build { reason, exit_code },
        }
    }

    /// The error of a context that is over.
    pub fn context(error: ContextError) -> Self {
        Self {
            message: error.message().into(),
            kind: JobErrorKind::Context(error),
        }
    }

    /// The job was cancelled: the final form of every cancel and abort.
    pub fn canceled() -> Self {
        Self::build("canceled", FailureReason::JobCanceled, 0)
    }

    /// Whether prepare gives up at once instead of retrying (D2).
    pub fn is_build_error(&self) -> bool {
        matches!(
            self.kind,
            JobErrorKind::Build { .. } | JobErrorKind::ScriptCanceled | JobErrorKind::ScriptTimeout
        )
    }

    /// The same class under a longer text.
    #[must_use]
    pub fn with_message(self, message: String) -> Self {
        Self { message, ..self }
    }

    /// The reason and exit code that the job fails with.
    pub fn failure(&self) -> (FailureReason, i64) {
        match self.kind {
            JobErrorKind::Build { reason, exit_code } => (reason, exit_code),
            JobErrorKind::ScriptCanceled => (FailureReason::JobCanceled, 0),
            JobErrorKind::ScriptTimeout => (FailureReason::JobExecutionTimeout, 0),
            JobErrorKind::Plain | JobErrorKind::Context(_) => {
                (FailureReason::RunnerSystemFailure, 0)
            }
        }
    }
}

/// `CI_JOB_STATUS` after the user's scripts ended with `result` (E13).
pub fn runtime_state(result: &Result<(), JobError>) -> RuntimeState {
    match result {
        Ok(()) => RuntimeState::Success,
        Err(error) => match error.kind {
            JobErrorKind::Context(ContextError::Canceled) | JobErrorKind::ScriptCanceled => {
                RuntimeState::Canceled
            }
            JobErrorKind::Context(ContextError::DeadlineExceeded) | JobErrorKind::ScriptTimeout => {
                RuntimeState::TimedOut
            }
            JobErrorKind::Build { .. } | JobErrorKind::Plain => RuntimeState::Failed,
        },
    }
}

/// What the job fails with when its context is over by `cause`; `job_timeout` is the runner's text for its length.
pub fn job_error_of_cause(cause: Cause, job_timeout: &str) -> JobError {
    match cause {
        Cause::Plain(ContextError::Canceled) => JobError::canceled(),
        Cause::Plain(ContextError::DeadlineExceeded) => JobError::build(
            format!("execution took longer than {job_timeout} seconds"),
            FailureReason::JobExecutionTimeout,
            0,
        ),
        Cause::PrepareTimeout(_) | Cause::GetSourcesTimeout(_) => {
            JobError::build(cause_message(cause), FailureReason::JobExecutionTimeout, 0)
        }
    }
}

/// The runner's text for a cause.
pub fn cause_message(cause: Cause) -> String {
    let (what, length) = match cause {
        Cause::Plain(error) => return error.message().into(),
        Cause::PrepareTimeout(length) => ("prepare timeout", length),
        Cause::GetSourcesTimeout(length) => ("get sources timeout", length),
    };
    format!(
        "{what}: exceeded timeout of {}",
        super::go_duration::GoDuration::from(length)
    )
}
