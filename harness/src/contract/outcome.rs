//! What becomes of a job (contract G5, G6).

/// Why a job failed, as the runner classifies it before it is mapped to what the GitLab instance supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureReason {
    /// `script_failure`
    ScriptFailure,
    /// `runner_system_failure`
    RunnerSystemFailure,
    /// `runner_configuration_error`
    RunnerConfigurationError,
    /// `job_execution_timeout`
    JobExecutionTimeout,
    /// `job_canceled`
    JobCanceled,
    /// `runner_interrupted`
    RunnerInterrupted,
    /// `unknown_failure`: only after mapping
    UnknownFailure,
}

impl FailureReason {
    /// The word in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::ScriptFailure => "script_failure",
            Self::RunnerSystemFailure => "runner_system_failure",
            Self::RunnerConfigurationError => "runner_configuration_error",
            Self::JobExecutionTimeout => "job_execution_timeout",
            Self::JobCanceled => "job_canceled",
            Self::RunnerInterrupted => "runner_interrupted",
            Self::UnknownFailure => "unknown_failure",
        }
    }

    /// The reason that is sent to an instance whose job payload lists `supported` reasons (G6).
    #[must_use]
    pub fn mapped_to(self, supported: &[String]) -> Self {
        let always = matches!(
            self,
            Self::ScriptFailure | Self::RunnerSystemFailure | Self::JobExecutionTimeout
        );
        if always || supported.iter().any(|reason| reason == self.name()) {
            self
        } else if self == Self::RunnerConfigurationError {
            Self::ScriptFailure
        } else {
            Self::UnknownFailure
        }
    }
}

/// The final state of a job as sent to GitLab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// `success`
    Success,
    /// `failed`
    Failed {
        /// Already mapped to what the instance supports.
        reason: FailureReason,
        /// As the runner log and the metrics have it, not mapped.
        internal_reason: FailureReason,
        /// 0 means: not sent.
        exit_code: i64,
    },
}

impl Outcome {
    /// `success` or `failed`.
    pub fn state(&self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed { .. } => "failed",
        }
    }
}
