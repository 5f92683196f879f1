//! The final state of a job and its last log lines (contract G5, G6).

use super::super::error::{JobError, JobErrorKind};
use super::super::job_log::ansi;
use super::super::outcome::{FailureReason, Outcome};
use super::super::protocol::{Action, RunnerLogLevel};
use super::logging;
use super::{Job, JobFailure, Supervisor};

/// Exit code of a job whose request the runner refuses (A9).
const EXIT_CODE_REFUSED: i64 = 3;

impl Job {
    /// A job that the runner refuses before it is a job: the log holds the reasons and nothing else (A9).
    pub(super) fn refuse(&mut self, reasons: &str) {
        self.append_to_job_log(reasons.as_bytes());
        self.log_closed = true;
        self.supervisor = Supervisor::Finished;
        self.actions.push(Action::Finish(Outcome::Failed {
            reason: FailureReason::RunnerSystemFailure,
            internal_reason: FailureReason::RunnerSystemFailure,
            exit_code: EXIT_CODE_REFUSED,
        }));
    }

    pub(super) fn finish(&mut self, result: Result<(), JobError>) {
        let rest = self.writer.close(self.now);
        self.append_to_job_log(&rest);

        let duration = (
            "duration_s",
            self.now.since(self.started).as_secs_f64().to_string(),
        );
        let outcome = match result {
            Ok(()) => {
                let fields = [duration, ("job-status", "success".to_owned())];
                self.log_entry(RunnerLogLevel::Info, "Job succeeded", &fields);
                self.last_line(ansi::BOLD_GREEN, "Job succeeded");
                Outcome::Success
            }
            Err(error) => self.fail(&error, duration),
        };
        self.log_closed = true;
        self.supervisor = Supervisor::Finished;
        self.actions.push(Action::Finish(outcome));
    }

    fn fail(&mut self, error: &JobError, duration: (&'static str, String)) -> Outcome {
        let (internal_reason, exit_code) = error.failure();
        let is_build_error = error.is_build_error();
        let message = if internal_reason == FailureReason::RunnerSystemFailure {
            format!("Job failed (system failure): {}", error.message)
        } else {
            format!("Job failed: {}", error.message)
        };
        let mut fields = vec![
            duration,
            ("job-status", "failed".to_owned()),
            ("error", error.message.clone()),
            ("failure_reason", internal_reason.name().to_owned()),
        ];
        let level = if is_build_error {
            fields.push(("exit_code", exit_code.to_string()));
            RunnerLogLevel::Warning
        } else {
            RunnerLogLevel::Error
        };
        self.failure = Some(JobFailure {
            message: error.message.clone(),
            is_build_error,
        });
        self.log_entry(level, &message, &fields);
        self.last_line(ansi::BOLD_RED, &format!("ERROR: {message}"));

        // A plain error is sent before the instance's list of reasons is known to the sender; the three that
        // matter there are never mapped.
        let supported = &self.build.payload().features.failure_reasons;
        let reason = match error.kind {
            JobErrorKind::Plain | JobErrorKind::Context(_) => internal_reason,
            _ => internal_reason.mapped_to(supported),
        };
        Outcome::Failed {
            reason,
            internal_reason,
            exit_code,
        }
    }

    /// The verdict has a writer of its own, so it never continues a line.
    fn last_line(&mut self, color: &str, text: &str) {
        let mut writer = logging::runner_writer(&self.log_options);
        let line = format!("{color}{text}{}\n", ansi::RESET);
        let mut data = writer.write(line.as_bytes(), self.now);
        data.extend(writer.close(self.now));
        self.append_to_job_log(&data);
    }
}
