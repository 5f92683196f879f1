//! The run stages in their order, their attempts and timeouts (contract E).

use std::time::Duration;

use super::super::context::{Cause, ContextError, ContextId};
use super::super::error::{JobError, JobErrorKind, cause_message, runtime_state};
use super::super::moment::Moment;
use super::super::outcome::FailureReason;
use super::super::protocol::{CallId, RunnerLogLevel};
use super::super::script::ScriptError;
use super::super::stage::{Program, Stage};
use super::{Job, facts};

/// Longest `after_script` unless the job says otherwise (E11).
pub const AFTER_SCRIPT_TIMEOUT: Duration = Duration::from_mins(5);
/// Pauses between stage attempts with `FF_USE_EXPONENTIAL_BACKOFF_STAGE_RETRY`: first and longest (K).
pub const BACKOFF: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(5));
/// The same without the flag (K).
const BACKOFF_WITHOUT_FLAG: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

type StageResult = Result<(), JobError>;

/// The run phase of a job.
#[derive(Debug, Clone)]
pub(super) struct RunPhase {
    step: Step,
    waiting: Waiting,
    context: ContextId,
    script_context: Option<ContextId>,
    after_script_timeout: Duration,
    error: Option<JobError>,
    archive_error: Option<JobError>,
    upload_error: Option<JobError>,
    finished: Option<StageResult>,
}

/// What is done, or next to be decided upon.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    NotBegun,
    PrepareScript,
    Attempts(Attempts),
    User(usize),
    AfterScript,
    Archive,
    Upload,
    FileVariables,
    Over,
}

/// A stage that may be tried several times.
#[derive(Debug, Clone, PartialEq)]
struct Attempts {
    stage: Stage,
    context: ContextId,
    made: u32,
    allowed: u32,
    clearing: bool,
    pausing: bool,
}

/// What the current step waits for.
#[derive(Debug, Clone, PartialEq)]
enum Waiting {
    Nothing,
    Call {
        call: CallId,
        stage: Stage,
        context: ContextId,
    },
    Pause {
        until: Moment,
    },
    /// A stage was over without a call.
    Result(StageResult),
}

impl RunPhase {
    pub(super) fn new(context: ContextId) -> Self {
        Self {
            step: Step::NotBegun,
            waiting: Waiting::Nothing,
            context,
            script_context: None,
            after_script_timeout: AFTER_SCRIPT_TIMEOUT,
            error: None,
            archive_error: None,
            upload_error: None,
            finished: None,
        }
    }

    pub(super) fn begin(&mut self) {
        self.step = Step::PrepareScript;
    }

    pub(super) fn context(&self) -> ContextId {
        self.context
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished.is_some()
    }

    pub(super) fn result(&self) -> StageResult {
        self.finished.clone().unwrap_or(Ok(()))
    }
}

impl Job {
    pub(super) fn run_phase_wake(&self) -> Option<Moment> {
        match self.run.waiting {
            Waiting::Pause { until } => Some(until),
            _ => None,
        }
    }

    /// Moves the run phase on, if what it waits for is there.
    pub(super) fn poll_run_phase(&mut self) -> bool {
        if matches!(self.run.step, Step::NotBegun | Step::Over) {
            return false;
        }
        match self.run.waiting.clone() {
            Waiting::Nothing => self.start_step(),
            Waiting::Result(result) => {
                self.run.waiting = Waiting::Nothing;
                self.step_ended(result);
            }
            Waiting::Call {
                call,
                stage,
                context,
            } => {
                let Some(result) = self.call_result(call) else {
                    return false;
                };
                self.run.waiting = Waiting::Nothing;
                self.section_end(&stage.section_name());
                self.warn_of_timeout(&stage, context);
                self.step_ended(result);
            }
            Waiting::Pause { until } => {
                if until > self.now {
                    return false;
                }
                self.run.waiting = Waiting::Nothing;
                self.pause_over();
            }
        }
        true
    }

    fn start_step(&mut self) {
        match self.run.step.clone() {
            Step::PrepareScript => self.start_stage(Stage::PrepareScript, self.prepare_context),
            Step::Attempts(attempts) => {
                let stage = if attempts.clearing {
                    Stage::ClearWorktree
                } else {
                    attempts.stage.clone()
                };
                self.start_stage(stage, attempts.context);
            }
            Step::User(index) => self.start_user_step(index),
            Step::AfterScript => self.start_after_script(),
            Step::Archive => {
                let stage = if self.run.error.is_none() {
                    Stage::ArchiveCache
                } else {
                    Stage::ArchiveCacheOnFailure
                };
                self.start_stage(stage, self.run.context);
            }
            Step::Upload => {
                let stage = if self.run.error.is_none() {
                    Stage::UploadArtifactsOnSuccess
                } else {
                    Stage::UploadArtifactsOnFailure
                };
                self.start_stage(stage, self.run.context);
            }
            Step::FileVariables => self.start_stage(Stage::CleanupFileVariables, self.run.context),
            Step::NotBegun | Step::Over => {}
        }
    }

    /// One stage: over at once if its context is, or if there is nothing to do; a call otherwise.
    fn start_stage(&mut self, stage: Stage, context: ContextId) {
        if stage == Stage::GetSources && facts::resumes_environment(&self.build) {
            let text = "Skipping stage get_sources: resuming suspended environment";
            self.log_entry(RunnerLogLevel::Info, text, &[]);
            self.run.waiting = Waiting::Result(Ok(()));
            return;
        }
        if let Some(error) = self.contexts.error(context) {
            self.run.waiting = Waiting::Result(Err(JobError::context(error)));
            return;
        }
        let field = ("build_stage", stage.section_name());
        self.log_entry(
            RunnerLogLevel::Debug,
            "Executing build stage",
            std::slice::from_ref(&field),
        );
        match self.build.script(&stage) {
            Err(error @ ScriptError::Panicked(_)) => {
                self.end_run_phase(Err(JobError::build(
                    error.to_string(),
                    FailureReason::RunnerSystemFailure,
                    0,
                )));
            }
            Err(ScriptError::Refused(text)) => {
                self.warn_of_timeout(&stage, context);
                self.run.waiting = Waiting::Result(Err(JobError::plain(text)));
            }
            Ok(None) => {
                let text = "Skipping stage (nothing to do)";
                self.log_entry(RunnerLogLevel::Debug, text, &[field]);
                self.run.waiting = Waiting::Result(Ok(()));
            }
            Ok(Some(script)) => {
                self.section_start(&stage.section_name());
                self.heading(&stage.description());
                let call =
                    self.start_call(Program::Run, Some(stage.clone()), Some(script), context);
                self.run.waiting = Waiting::Call {
                    call,
                    stage,
                    context,
                };
            }
        }
    }

    fn warn_of_timeout(&mut self, stage: &Stage, context: ContextId) {
        if self.contexts.error(context) == Some(ContextError::DeadlineExceeded) {
            self.warning(&format!(
                "{} could not run to completion because the timeout was exceeded. \
                 For more control over job and script timeouts see: \
                 https://docs.gitlab.com/ci/runners/configure_runners/#set-script-and-after_script-timeouts",
                stage.section_name()
            ));
        }
    }

    fn step_ended(&mut self, result: StageResult) {
        match self.run.step.clone() {
            Step::PrepareScript => self.prepare_script_ended(result),
            Step::Attempts(attempts) => self.attempt_ended(attempts, result),
            Step::User(index) => match result {
                Ok(()) => self.run.step = Step::User(index + 1),
                Err(error) => self.user_steps_ended(Err(error)),
            },
            Step::AfterScript => self.after_script_ended(result),
            Step::Archive => {
                self.run.archive_error = result.err();
                self.run.step = Step::Upload;
            }
            Step::Upload => {
                self.run.upload_error = result.err();
                self.debug("Skipping referees execution");
                self.run.step = Step::FileVariables;
            }
            Step::FileVariables => self.file_variables_ended(result),
            Step::NotBegun | Step::Over => {}
        }
    }

    fn prepare_script_ended(&mut self, result: StageResult) {
        let Err(error) = result else {
            self.begin_get_sources();
            return;
        };
        if let Some(cause @ Cause::PrepareTimeout(_)) = self.contexts.cause(self.prepare_context) {
            self.end_at_once(cause);
            return;
        }
        let text = format!(
            "prepare environment: {}. Check \
             https://docs.gitlab.com/runner/shells/#shell-profile-loading for more information",
            error.message
        );
        self.end_run_phase(Err(error.with_message(text)));
    }

    fn begin_get_sources(&mut self) {
        let resolved = self.build.get_sources_timeout();
        let timeout = resolved.duration;
        if let Some(warning) = resolved.warning {
            self.log_entry(RunnerLogLevel::Warning, &warning, &[]);
        }
        let cause = Cause::GetSourcesTimeout(timeout);
        let context = self
            .contexts
            .child_with_timeout(self.run.context, self.now, timeout, cause);
        let allowed = self.build.settings().attempts.get_sources;
        self.begin_attempts(Stage::GetSources, context, allowed);
    }

    fn begin_attempts(&mut self, stage: Stage, context: ContextId, allowed: u32) {
        self.debug(&format!(
            "Will attempt to execute stage {} up to {allowed} times",
            stage.section_name()
        ));
        self.run.step = Step::Attempts(Attempts {
            stage,
            context,
            made: 0,
            allowed,
            clearing: false,
            pausing: false,
        });
    }

    fn attempt_ended(&mut self, mut attempts: Attempts, result: StageResult) {
        let error = match result {
            Ok(()) if attempts.clearing => {
                attempts.clearing = false;
                self.run.step = Step::Attempts(attempts);
                return;
            }
            Ok(()) => {
                self.attempts_succeeded(&attempts.stage);
                return;
            }
            Err(error) => error,
        };
        attempts.made += 1;
        attempts.clearing = false;
        if attempts.made >= attempts.allowed {
            self.attempts_failed(&attempts, error);
            return;
        }
        self.warning_with("Retrying...", &[("error", error.message)]);
        let until = self.now + self.timing.pace(self.backoff(attempts.made));
        attempts.pausing = true;
        self.run.step = Step::Attempts(attempts);
        self.run.waiting = Waiting::Pause { until };
    }

    /// The pause after the n-th failed attempt. Nothing interrupts it (E8).
    fn backoff(&self, attempts_made: u32) -> Duration {
        let with_flag = self.build.feature("FF_USE_EXPONENTIAL_BACKOFF_STAGE_RETRY");
        let (first, longest) = if with_flag {
            BACKOFF
        } else {
            BACKOFF_WITHOUT_FLAG
        };
        (first * 2_u32.pow(attempts_made - 1)).min(longest)
    }

    fn pause_over(&mut self) {
        if let Step::Attempts(attempts) = &mut self.run.step {
            attempts.pausing = false;
            // Only before the second attempt (E1): a failed one may have left a broken work tree.
            attempts.clearing = attempts.stage == Stage::GetSources && attempts.made == 1;
        }
    }

    fn attempts_succeeded(&mut self, stage: &Stage) {
        let context = self.run.context;
        match stage {
            Stage::GetSources => {
                let allowed = self.build.settings().attempts.restore_cache;
                self.begin_attempts(Stage::RestoreCache, context, allowed);
            }
            Stage::RestoreCache => {
                let allowed = self.build.settings().attempts.artifact_download;
                self.begin_attempts(Stage::DownloadArtifacts, context, allowed);
            }
            _ => self.begin_user_steps(),
        }
    }

    fn attempts_failed(&mut self, attempts: &Attempts, error: JobError) {
        if attempts.stage == Stage::GetSources
            && let Some(cause @ Cause::GetSourcesTimeout(_)) = self.contexts.cause(attempts.context)
        {
            self.end_at_once(cause);
            return;
        }
        self.run.error = Some(error);
        self.run.step = Step::Archive;
    }

    /// A prepare or `get_sources` timeout: no further stage at all (D7, E9).
    fn end_at_once(&mut self, cause: Cause) {
        let error = JobError::build(cause_message(cause), FailureReason::JobExecutionTimeout, 0);
        self.end_run_phase(Err(error));
    }

    fn begin_user_steps(&mut self) {
        let remaining = self.remaining_time();
        let script = self.build.script_timeout(remaining);
        let after_script = self.build.after_script_timeout(remaining);
        for warning in [&script.warning, &after_script.warning]
            .into_iter()
            .flatten()
        {
            self.warning(warning);
        }
        let script_timeout = script.duration;
        self.run.after_script_timeout = after_script.duration.unwrap_or(AFTER_SCRIPT_TIMEOUT);
        let plain = Cause::Plain(ContextError::DeadlineExceeded);
        let parent = self.run.context;
        let context = match script_timeout {
            Some(timeout) => self
                .contexts
                .child_with_timeout(parent, self.now, timeout, plain),
            None => self.contexts.child(parent),
        };
        self.run.script_context = Some(context);
        // From here on a cancel ends the user's scripts only (H5).
        self.cancel_target = Some(context);
        for notice in facts::policy_notices(&self.build) {
            self.notice(&notice);
        }
        self.run.step = Step::User(0);
    }

    fn remaining_time(&self) -> Duration {
        let deadline = self.contexts.deadline(self.run.context);
        deadline.map_or(Duration::MAX, |deadline| deadline.since(self.now))
    }

    fn start_user_step(&mut self, index: usize) {
        let Some(stage) = facts::user_stages(&self.build).get(index).cloned() else {
            self.user_steps_ended(Ok(()));
            return;
        };
        let context = self.run.script_context.unwrap_or(self.run.context);
        self.start_stage(stage, context);
    }

    fn user_steps_ended(&mut self, result: StageResult) {
        let context = self.run.script_context.unwrap_or(self.run.context);
        let outer = self.contexts.error(self.run.context);
        let inner = self.contexts.error(context);
        let result = if outer.is_none() && inner == Some(ContextError::Canceled) {
            self.warning("script canceled externally (UI, API)");
            Err(JobError {
                message: "canceled".into(),
                kind: JobErrorKind::ScriptCanceled,
            })
        } else if outer != Some(ContextError::DeadlineExceeded)
            && inner == Some(ContextError::DeadlineExceeded)
        {
            let message = "script timeout: context deadline exceeded".to_owned();
            Err(JobError {
                message,
                kind: JobErrorKind::ScriptTimeout,
            })
        } else {
            result
        };
        self.build.set_job_status(runtime_state(&result).name());
        self.run.error = result.err();
        self.run.step = Step::AfterScript;
    }

    fn start_after_script(&mut self) {
        let plain = Cause::Plain(ContextError::DeadlineExceeded);
        let timeout = self.run.after_script_timeout;
        let context = self
            .contexts
            .child_with_timeout(self.run.context, self.now, timeout, plain);
        self.start_stage(Stage::AfterScript, context);
    }

    fn after_script_ended(&mut self, result: StageResult) {
        let job_timed_out =
            self.contexts.error(self.run.context) == Some(ContextError::DeadlineExceeded);
        if let Err(error) = result
            && !job_timed_out
        {
            if self.build.settings().after_script_ignore_errors {
                self.warning(&format!(
                    "after_script failed, but job will continue unaffected: {}",
                    error.message
                ));
            } else if self.run.error.is_none() {
                self.run.error = Some(error);
            }
        }
        self.run.step = Step::Archive;
    }

    fn file_variables_ended(&mut self, result: StageResult) {
        if let Err(error) = result {
            let text = "Error while executing file based variables removal script";
            self.log_entry(RunnerLogLevel::Warning, text, &[("error", error.message)]);
        }
        let run = &mut self.run;
        let first = run
            .error
            .take()
            .or(run.archive_error.take())
            .or(run.upload_error.take());
        self.end_run_phase(first.map_or(Ok(()), Err));
    }

    fn end_run_phase(&mut self, result: StageResult) {
        self.run.step = Step::Over;
        self.run.finished = Some(result);
    }
}
