//! Prepare attempts, waiting for the run phase, cleanup (contract C, D, F, H6).

use std::path::PathBuf;
use std::time::Duration;

use super::super::build::ConfigurationError;
use super::super::context::{Cause, ContextError};
use super::super::error::{JobError, cause_message, job_error_of_cause};
use super::super::go_duration::GoDuration;
use super::super::job_log::ansi;
use super::super::json_config;
use super::super::moment::Moment;
use super::super::outcome::FailureReason;
use super::super::protocol::{Action, CallId, RunnerLogLevel};
use super::super::stage::Program;
use super::run_phase::RunPhase;
use super::{Attempt, Job, facts, logging};

/// Prepare attempts in all (K).
pub const PREPARE_ATTEMPTS: u32 = 3;
/// Pause after each failed attempt, also the last (K, D3).
pub const PREPARE_RETRY_PAUSE: Duration = Duration::from_secs(3);

type JobResult = Result<(), JobError>;

/// Where the supervisor stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Supervisor {
    /// Before the first event.
    NotStarted,
    /// The attempt's temporary directory is being made.
    MakingTempDir,
    /// `config_exec` is running.
    Config(CallId),
    /// `prepare_exec` is running.
    Prepare(CallId),
    /// `cleanup_exec` of a failed attempt is running.
    AttemptCleanup { call: CallId, error: JobError },
    /// The pause after a failed attempt.
    RetryPause { until: Moment, error: JobError },
    /// The run phase is running.
    Running,
    /// The run phase was told to end.
    WaitingForRunPhase { until: Moment, error: JobError },
    /// The last `cleanup_exec` is running.
    Cleanup { call: CallId, result: JobResult },
    /// The final state was reported.
    Finished,
}

impl Job {
    pub(super) fn begin(&mut self) {
        self.started = self.now;
        if let Some(reasons) = self.build.request_error() {
            let reasons = format!("{reasons}\n");
            self.refuse(&reasons);
            return;
        }
        self.print_header();
        self.build.expand_image_and_services();

        let parent = self.context;
        let plain = Cause::Plain(ContextError::DeadlineExceeded);
        let timeout = self.build.job_timeout();
        self.context = self
            .contexts
            .child_with_timeout(parent, self.now, timeout, plain);
        self.cancel_target = Some(self.context);
        self.abort_target = Some(self.context);

        let errors = self.build.settings_errors();
        if !errors.is_empty() {
            self.warning(&errors.join("\n"));
        }

        let prepare = self.build.prepare_timeout();
        let timeout = prepare.duration;
        if let Some(warning) = prepare.warning {
            self.log_entry(RunnerLogLevel::Warning, &warning, &[]);
        }
        let cause = Cause::PrepareTimeout(timeout);
        self.prepare_context =
            self.contexts
                .child_with_timeout(self.context, self.now, timeout, cause);

        self.section_start("prepare_executor");
        self.heading("Preparing the \"custom\" executor");
        self.start_attempt();
    }

    /// The header has a writer of its own, so it never continues a line.
    fn print_header(&mut self) {
        let header = facts::header_lines(&self.build);
        let mut writer = logging::runner_writer(&self.log_options);
        for line in header {
            let text = format!("{}{line}{}\n", ansi::CLEAR, ansi::RESET);
            let data = writer.write(text.as_bytes(), self.now);
            self.append_to_job_log(&data);
            self.log_entry(RunnerLogLevel::Debug, &line, &[]);
        }
        let rest = writer.close(self.now);
        self.append_to_job_log(&rest);
    }

    fn start_attempt(&mut self) {
        self.attempt = Attempt::new(self.attempt.number + 1, PathBuf::new());
        if let Err(error) = self.check_configured() {
            // Without run_exec there is no cleanup_exec either, only its complaint (A2).
            self.warning(&error.message);
            self.end_prepare_section(Err(error));
            return;
        }
        let path = self
            .temp_root
            .join(format!("custom-executor{}", self.names.digits()));
        self.attempt.temp_dir.clone_from(&path);
        let response_json = self.build.payload().response_json();
        self.actions.push(Action::MakeTempDir {
            path,
            response_json,
        });
        self.supervisor = Supervisor::MakingTempDir;
    }

    fn check_configured(&self) -> JobResult {
        let text = match &self.build.runner().custom {
            None => "custom executor not configured",
            Some(custom) if custom.run_exec.is_empty() => "custom executor is missing RunExec",
            Some(_) => return Ok(()),
        };
        Err(JobError::build(
            text,
            FailureReason::RunnerConfigurationError,
            0,
        ))
    }

    pub(super) fn temp_dir_made(&mut self) {
        if self.custom.config_exec.is_empty() {
            self.configured();
            return;
        }
        self.build.refresh_variables();
        let timeout = self.custom.config_exec_timeout();
        let call = self.start_prepare_call(Program::Config, timeout);
        self.supervisor = Supervisor::Config(call);
    }

    pub(super) fn temp_dir_failed(&mut self, error: String) {
        self.attempt_failed(JobError::plain(error));
    }

    fn start_prepare_call(&mut self, program: Program, timeout: Duration) -> CallId {
        let plain = Cause::Plain(ContextError::DeadlineExceeded);
        let context =
            self.contexts
                .child_with_timeout(self.prepare_context, self.now, timeout, plain);
        self.start_call(program, None, None, context)
    }

    fn config_ended(&mut self, output: &[u8], result: JobResult) {
        let parsed = result.and_then(|()| {
            json_config::parse(output).map_err(|error| {
                JobError::plain(format!("error while parsing JSON output: {error}"))
            })
        });
        match parsed {
            Err(error) => self.attempt_failed(error),
            Ok(config) => {
                if let Some(config) = config {
                    self.apply_config(config);
                }
                self.configured();
            }
        }
    }

    /// config is done: startup line, directories, shell, then prepare (C1).
    fn configured(&mut self) {
        let line = self.attempt.startup_line();
        self.print(&line);
        if let Err(ConfigurationError(text)) = self.start_build() {
            let reason = FailureReason::RunnerConfigurationError;
            self.attempt_failed(JobError::build(text, reason, 0));
            return;
        }
        if let Err(text) = self.choose_shell() {
            self.attempt_failed(JobError::plain(text));
            return;
        }
        if self.custom.prepare_exec.is_empty() {
            self.end_prepare_section(Ok(()));
            return;
        }
        let timeout = self.custom.prepare_exec_timeout();
        let call = self.start_prepare_call(Program::Prepare, timeout);
        self.supervisor = Supervisor::Prepare(call);
    }

    fn attempt_failed(&mut self, error: JobError) {
        match self.start_cleanup() {
            Some(call) => self.supervisor = Supervisor::AttemptCleanup { call, error },
            None => self.attempt_cleaned_up(error),
        }
    }

    /// Starts `cleanup_exec`, which nothing but its own timeout ends (F2). Without one, only the directory goes.
    fn start_cleanup(&mut self) -> Option<CallId> {
        if self.custom.cleanup_exec.is_empty() {
            self.remove_temp_dir();
            return None;
        }
        let plain = Cause::Plain(ContextError::DeadlineExceeded);
        let timeout = self.custom.cleanup_exec_timeout();
        let background = self.contexts.background();
        let context = self
            .contexts
            .child_with_timeout(background, self.now, timeout, plain);
        Some(self.start_call(Program::Cleanup, None, None, context))
    }

    fn cleanup_ended(&mut self, result: JobResult) {
        if let Err(error) = result {
            self.warning(&format!("Cleanup script failed: {}", error.message));
        }
        self.remove_temp_dir();
    }

    fn remove_temp_dir(&mut self) {
        if !self.attempt.temp_dir.as_os_str().is_empty() {
            let path = self.attempt.temp_dir.clone();
            self.actions.push(Action::RemoveTempDir { path });
        }
    }

    fn attempt_cleaned_up(&mut self, error: JobError) {
        if error.is_build_error() {
            self.end_prepare_section(Err(error));
        } else if let Some(cause) = self.contexts.cause(self.prepare_context) {
            let error = self.error_of(cause);
            self.end_prepare_section(Err(error));
        } else {
            self.soft_error(&format!("Preparation failed: {}", error.message));
            self.notice("Will be retried in 3s ...");
            let until = self.now + self.timing.pace(PREPARE_RETRY_PAUSE);
            self.supervisor = Supervisor::RetryPause { until, error };
        }
    }

    fn error_of(&self, cause: Cause) -> JobError {
        job_error_of_cause(
            cause,
            &GoDuration::from(self.build.job_timeout()).to_string(),
        )
    }

    fn retry_pause_over(&mut self, error: JobError) {
        if let Some(cause) = self.contexts.cause(self.prepare_context) {
            let error = self.error_of(cause);
            self.end_prepare_section(Err(error));
        } else if self.attempt.number >= PREPARE_ATTEMPTS {
            self.end_prepare_section(Err(error));
        } else {
            self.start_attempt();
        }
    }

    /// All attempts are done: the run phase begins or the job is lost.
    fn end_prepare_section(&mut self, result: JobResult) {
        self.section_end("prepare_executor");
        match result {
            Ok(()) => {
                let run_context = self.contexts.child(self.context);
                self.run = RunPhase::new(run_context);
                self.run.begin();
                self.supervisor = Supervisor::Running;
            }
            Err(error) => {
                // A prepare timeout is the verdict even if the driver said something else (D4).
                let error = match self.contexts.cause(self.prepare_context) {
                    Some(cause @ Cause::PrepareTimeout(_)) => {
                        JobError::build(cause_message(cause), FailureReason::JobExecutionTimeout, 0)
                    }
                    _ => error,
                };
                self.finish(Err(error));
            }
        }
    }

    /// Looks at what ends the run phase: the job's context, a runner signal, or its own end.
    fn watch_run_phase(&mut self) -> bool {
        let context_over = self.contexts.cause(self.context);
        if self.run.is_finished() {
            let result = self.run.result();
            match context_over {
                Some(cause) => self.run_phase_over(Err(self.error_of(cause))),
                None => self.run_phase_over(result),
            }
            return true;
        }
        let error = if let Some(cause) = context_over {
            self.error_of(cause)
        } else if let Some(signal) = self.interrupt.take() {
            JobError::build(
                format!("aborted: {signal}"),
                FailureReason::RunnerInterrupted,
                0,
            )
        } else {
            return false;
        };
        self.contexts.cancel(self.run.context());
        let until = self.now + self.timing.run_phase_wait;
        self.supervisor = Supervisor::WaitingForRunPhase { until, error };
        true
    }

    fn run_phase_over(&mut self, result: JobResult) {
        let result = self.suspended(result);
        match self.start_cleanup() {
            Some(call) => self.supervisor = Supervisor::Cleanup { call, result },
            None => self.finish(result),
        }
    }

    /// A job that asks to be suspended fails, since the custom executor cannot (E22).
    fn suspended(&mut self, result: JobResult) -> JobResult {
        let asked = facts::suspend_requested(&self.build, result.is_ok());
        let interrupted = matches!(self.supervisor, Supervisor::WaitingForRunPhase { .. });
        if !asked || interrupted {
            return result;
        }
        self.warning("Job environment suspension not supported by executor");
        result.and(Err(JobError::build(
            "executor does not support suspend/resume",
            FailureReason::RunnerSystemFailure,
            0,
        )))
    }

    /// Moves the supervisor on, if something it waits for is there.
    pub(super) fn poll_supervisor(&mut self) -> bool {
        match self.supervisor.clone() {
            Supervisor::Config(call) => {
                let output = self.config_output_if_over(call);
                let Some(result) = self.call_result(call) else {
                    return false;
                };
                self.config_ended(&output, result);
            }
            Supervisor::Prepare(call) => {
                let Some(result) = self.call_result(call) else {
                    return false;
                };
                match result {
                    Ok(()) => self.end_prepare_section(Ok(())),
                    Err(error) => self.attempt_failed(error),
                }
            }
            Supervisor::AttemptCleanup { call, error } => {
                let Some(result) = self.call_result(call) else {
                    return false;
                };
                self.cleanup_ended(result);
                self.attempt_cleaned_up(error);
            }
            Supervisor::RetryPause { until, error } => {
                let over = self.contexts.error(self.prepare_context).is_some();
                if until > self.now && !over {
                    return false;
                }
                self.retry_pause_over(error);
            }
            Supervisor::Running => return self.watch_run_phase(),
            Supervisor::WaitingForRunPhase { until, error } => {
                if !self.run.is_finished() {
                    if until > self.now {
                        return false;
                    }
                    self.warning("Timed out waiting for the build to finish");
                }
                self.run_phase_over(Err(error));
            }
            Supervisor::Cleanup { call, result } => {
                let Some(cleanup) = self.call_result(call) else {
                    return false;
                };
                self.cleanup_ended(cleanup);
                self.finish(result);
            }
            Supervisor::NotStarted | Supervisor::MakingTempDir | Supervisor::Finished => {
                return false;
            }
        }
        true
    }

    fn config_output_if_over(&mut self, call: CallId) -> Vec<u8> {
        if self.call_is_over(call) {
            self.config_output(call)
        } else {
            Vec::new()
        }
    }

    pub(super) fn supervisor_wake(&self) -> Option<Moment> {
        match &self.supervisor {
            Supervisor::RetryPause { until, .. } => {
                let deadline = self.contexts.deadline(self.prepare_context);
                Some(deadline.map_or(*until, |deadline| deadline.min(*until)))
            }
            Supervisor::Running => self.contexts.deadline(self.context),
            Supervisor::WaitingForRunPhase { until, .. } => Some(*until),
            _ => None,
        }
    }
}
