//! Calls of driver programs: start, output, end, and the termination protocol (contract B, G1, G3, H1–H3).

use std::path::PathBuf;
use std::sync::Arc;

use super::super::context::{ContextId, Contexts};
use super::super::environment::EnvironmentSources;
use super::super::error::JobError;
use super::super::exit::{
    EXIT_CODE_FILE_LINE_BYTES_MAX, ExitCodeFile, ExitCodes, ExitStatus, StartFailure,
};
use super::super::job_log::{LineKind, LogStream, LogWriter};
use super::super::moment::Moment;
use super::super::outcome::FailureReason;
use super::super::protocol::{
    Action, CallId, CallSpec, KillSignal, ScriptFile, SignalResult, Stream,
};
use super::super::script::frame;
use super::super::stage::{Program, Stage};
use super::Job;
use super::cleanup_output::LineBuffer;

/// A call and how far it has got.
#[derive(Debug, Clone)]
pub(super) struct Call {
    stage: Option<Stage>,
    executable: String,
    context: ContextId,
    pid: u32,
    state: CallState,
    output: CallOutput,
}

#[derive(Debug, Clone, PartialEq)]
enum CallState {
    Starting,
    Running,
    /// SIGTERM was sent; SIGKILL follows.
    Terminating {
        kill_at: Moment,
    },
    /// SIGKILL was sent; after that the runner gives up.
    Killing {
        abandon_at: Moment,
    },
    Over(Result<(), JobError>),
}

/// Where a call's output goes.
#[derive(Debug, Clone)]
enum CallOutput {
    /// config: stdout to the runner itself (C2), stderr to the job log.
    Config { stdout: Vec<u8>, stderr: LogWriter },
    /// prepare and run: both to the job log.
    JobLog {
        stdout: LogWriter,
        stderr: LogWriter,
    },
    /// cleanup: both to the runner log, line by line (F3).
    RunnerLog {
        stdout: LineBuffer,
        stderr: LineBuffer,
    },
}

impl Call {
    /// The context it hangs on, unless it is over.
    pub(super) fn context_while_alive(&self) -> Option<ContextId> {
        (!matches!(self.state, CallState::Over(_))).then_some(self.context)
    }

    /// When this call next needs attention.
    pub(super) fn next_wake(&self, contexts: &Contexts) -> Option<Moment> {
        match self.state {
            CallState::Running => contexts.deadline(self.context),
            CallState::Terminating { kill_at } => Some(kill_at),
            CallState::Killing { abandon_at } => Some(abandon_at),
            CallState::Starting | CallState::Over(_) => None,
        }
    }
}

impl Job {
    /// Starts a call; its result is there when [`call_result`](Self::call_result) says so.
    pub(super) fn start_call(
        &mut self,
        program: Program,
        stage: Option<Stage>,
        script: Option<Arc<str>>,
        context: ContextId,
    ) -> CallId {
        let id = CallId(self.next_call);
        self.next_call += 1;
        let spec = self.call_spec(id, program, stage, script);
        let call = Call {
            stage: spec.stage.clone(),
            executable: spec.executable.clone(),
            context,
            pid: 0,
            state: CallState::Starting,
            output: self.call_sink(program),
        };
        self.calls.insert(id, call);
        self.actions.push(Action::StartCall(Box::new(spec)));
        id
    }

    fn call_sink(&self, program: Program) -> CallOutput {
        let writer = |stream, kind| LogWriter::new(&self.log_options, stream, kind);
        match program {
            Program::Config => CallOutput::Config {
                stdout: Vec::new(),
                stderr: writer(LogStream::Executor, LineKind::Stderr),
            },
            Program::Prepare => CallOutput::JobLog {
                stdout: writer(LogStream::Executor, LineKind::Stdout),
                stderr: writer(LogStream::Executor, LineKind::Stderr),
            },
            Program::Run => CallOutput::JobLog {
                stdout: writer(LogStream::Work, LineKind::Stdout),
                stderr: writer(LogStream::Work, LineKind::Stderr),
            },
            Program::Cleanup => CallOutput::RunnerLog {
                stdout: LineBuffer::default(),
                stderr: LineBuffer::default(),
            },
        }
    }

    fn call_spec(
        &mut self,
        id: CallId,
        program: Program,
        stage: Option<Stage>,
        script: Option<Arc<str>>,
    ) -> CallSpec {
        let nth = self.count_call(program, stage.as_ref());
        let script = script.map(|text| self.script_file(stage.as_ref(), nth, text));
        let custom = &self.custom;
        let (executable, arguments) = match program {
            Program::Config => (&custom.config_exec, &custom.config_args),
            Program::Prepare => (&custom.prepare_exec, &custom.prepare_args),
            Program::Run => (&custom.run_exec, &custom.run_args),
            Program::Cleanup => (&custom.cleanup_exec, &custom.cleanup_args),
        };
        let mut args = arguments.clone();
        if let (Some(script), Some(stage)) = (&script, &stage) {
            args.push(script.path.to_string_lossy().into_owned());
            args.push(stage.driver_name());
        }
        CallSpec {
            id,
            program,
            nth,
            attempt: self.attempt.number,
            executable: executable.clone(),
            args,
            cwd: self.attempt.temp_dir.clone(),
            environment: self.call_environment(),
            script,
            exit_code_file: self.attempt.exit_code_file(),
            read_exit_code_file_on: i32::from(self.exit_codes.build_failure),
            stdout_to_runner: program == Program::Config,
            stage,
        }
    }

    fn count_call(&mut self, program: Program, stage: Option<&Stage>) -> u32 {
        let key = (program, stage.map(Stage::driver_name));
        let count = self.call_counts.entry(key).or_insert(0);
        *count += 1;
        *count
    }

    fn script_file(&mut self, stage: Option<&Stage>, nth: u32, text: Arc<str>) -> ScriptFile {
        let dir = self
            .attempt
            .temp_dir
            .join(format!("script{}", self.names.digits()));
        let path: PathBuf = dir.join(match self.build.script_extension() {
            "" => "script".to_owned(),
            extension => format!("script.{extension}"),
        });
        let text = match (&self.probes, stage) {
            (Some(probes), Some(stage)) => frame(
                self.build.shell(),
                &probes.body(stage, nth, &self.build.project_dir()),
            )
            .into(),
            _ => text,
        };
        ScriptFile { dir, path, text }
    }

    fn call_environment(&self) -> Arc<[(String, String)]> {
        self.build.call_environment(&EnvironmentSources {
            host: Arc::clone(&self.host_environment),
            temp_dir: self.attempt.temp_dir.to_string_lossy().into_owned(),
            exit_codes: self.exit_codes,
            exit_code_file: self.attempt.exit_code_file().to_string_lossy().into_owned(),
            response_file: self.attempt.response_file().to_string_lossy().into_owned(),
            job_env: self.attempt.job_env.clone(),
        })
    }

    pub(super) fn call_started(&mut self, id: CallId, pid: u32) {
        self.announce_step(id);
        if let Some(call) = self.calls.get_mut(&id) {
            call.pid = pid;
            call.state = CallState::Running;
        }
    }

    /// Hangs a call on another context.
    pub(super) fn set_context(&mut self, id: CallId, context: ContextId) {
        if let Some(call) = self.calls.get_mut(&id) {
            call.context = context;
        }
    }

    pub(super) fn call_not_started(&mut self, id: CallId, failure: &StartFailure) {
        if !matches!(failure, StartFailure::Files(_)) {
            self.announce_step(id);
        }
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        let error = JobError::plain(failure.message(&call.executable));
        self.end_call(id, Err(error));
    }

    /// The warning that comes with every `step_script`, after its script was written and before its program (E2).
    fn announce_step(&mut self, id: CallId) {
        let is_script = self
            .calls
            .get(&id)
            .is_some_and(|call| call.stage.as_ref() == Some(&Stage::build_script()));
        if is_script {
            self.warning(
                "Starting with version 17.0 the 'build_script' stage will be replaced with 'step_script': \
                 https://gitlab.com/groups/gitlab-org/-/epics/6112",
            );
        }
    }

    pub(super) fn call_output(&mut self, id: CallId, stream: Stream, data: &[u8]) {
        let now = self.now;
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let for_job_log = match (&mut call.output, stream) {
            (CallOutput::Config { stdout, .. }, Stream::Stdout) => {
                stdout.extend_from_slice(data);
                return;
            }
            // Nothing of it would be seen: stamping and masking what a flooding driver prints is most of the work.
            (CallOutput::Config { .. } | CallOutput::JobLog { .. }, _) if self.log.is_full() => {
                return;
            }
            (
                CallOutput::Config { stderr, .. } | CallOutput::JobLog { stderr, .. },
                Stream::Stderr,
            ) => stderr.write(data, now),
            (CallOutput::JobLog { stdout, .. }, Stream::Stdout) => stdout.write(data, now),
            (CallOutput::RunnerLog { stdout, stderr }, _) => {
                let buffer = if stream == Stream::Stdout {
                    stdout
                } else {
                    stderr
                };
                let lines = buffer.take_lines(data);
                self.log_cleanup_lines(stream, lines);
                return;
            }
        };
        self.append_to_job_log(&for_job_log);
    }

    pub(super) fn call_ended(&mut self, id: CallId, status: ExitStatus, file: &ExitCodeFile) {
        let result = classify(status, file, self.exit_codes);
        self.end_call(id, result);
    }

    pub(super) fn signal_sent(&mut self, id: CallId, signal: KillSignal, result: SignalResult) {
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        let terminating = matches!(call.state, CallState::Terminating { .. });
        let pid = ("PID", call.pid.to_string());
        let reason = match result {
            SignalResult::Delivered => return,
            SignalResult::NoSuchProcess => "no such process",
            SignalResult::NotPermitted => "operation not permitted",
        };
        match signal {
            KillSignal::Term => {
                self.warning_with(&format!("Failed to terminate process: {reason}"), &[pid]);
                if terminating {
                    self.actions.push(Action::SignalGroup {
                        call: id,
                        signal: KillSignal::Kill,
                    });
                }
            }
            KillSignal::Kill => {
                self.warning_with(&format!("Failed to force-kill: {reason}"), &[pid]);
            }
        }
    }

    /// Takes the result of a call that is over.
    pub(super) fn call_result(&mut self, id: CallId) -> Option<Result<(), JobError>> {
        match &self.calls.get(&id)?.state {
            CallState::Over(result) => {
                let result = result.clone();
                self.calls.remove(&id);
                Some(result)
            }
            _ => None,
        }
    }

    pub(super) fn call_is_over(&self, id: CallId) -> bool {
        self.calls
            .get(&id)
            .is_some_and(|call| matches!(call.state, CallState::Over(_)))
    }

    /// What config printed; taken before its result is.
    pub(super) fn config_output(&mut self, id: CallId) -> Vec<u8> {
        match self.calls.get_mut(&id).map(|call| &mut call.output) {
            Some(CallOutput::Config { stdout, .. }) => std::mem::take(stdout),
            _ => Vec::new(),
        }
    }

    fn end_call(&mut self, id: CallId, result: Result<(), JobError>) {
        let now = self.now;
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if matches!(call.state, CallState::Over(_)) {
            return;
        }
        call.state = CallState::Over(result);
        match &mut call.output {
            CallOutput::Config { stderr, .. } => {
                let rest = stderr.close(now);
                self.append_to_job_log(&rest);
            }
            CallOutput::JobLog { stdout, stderr } => {
                let mut rest = stdout.close(now);
                rest.extend(stderr.close(now));
                self.append_to_job_log(&rest);
            }
            CallOutput::RunnerLog { stdout, stderr } => {
                let rest = (stdout.take_rest(), stderr.take_rest());
                self.log_cleanup_lines(Stream::Stderr, rest.1);
                self.log_cleanup_lines(Stream::Stdout, rest.0);
            }
        }
    }

    /// Moves the termination protocol of all calls on.
    pub(super) fn poll_calls(&mut self) -> bool {
        let ids: Vec<CallId> = self.calls.keys().copied().collect();
        let mut moved = false;
        for id in ids {
            moved |= self.poll_call(id);
        }
        moved
    }

    fn poll_call(&mut self, id: CallId) -> bool {
        let now = self.now;
        let graceful = self.custom.graceful_kill_timeout();
        let force = self.custom.force_kill_timeout();
        let Some(call) = self.calls.get_mut(&id) else {
            return false;
        };
        match call.state {
            CallState::Running if self.contexts.error(call.context).is_some() => {
                call.state = CallState::Terminating {
                    kill_at: now + graceful,
                };
                self.actions.push(Action::SignalGroup {
                    call: id,
                    signal: KillSignal::Term,
                });
            }
            CallState::Terminating { kill_at } if kill_at <= now => {
                call.state = CallState::Killing {
                    abandon_at: now + force,
                };
                self.actions.push(Action::SignalGroup {
                    call: id,
                    signal: KillSignal::Kill,
                });
            }
            CallState::Killing { abandon_at } if abandon_at <= now => {
                let text = format!(
                    "failed to kill process PID={}, likely process is dormant",
                    call.pid
                );
                self.end_call(id, Err(JobError::plain(text)));
                self.actions.push(Action::Abandon { call: id });
            }
            _ => return false,
        }
        true
    }
}

/// The class of an ended program (G1, G3).
pub fn classify(status: ExitStatus, file: &ExitCodeFile, codes: ExitCodes) -> Result<(), JobError> {
    let build_failure = i32::from(codes.build_failure);
    match status {
        ExitStatus::Code(0) => Ok(()),
        ExitStatus::Code(code) if code == build_failure => Err(build_error(status, file, codes)),
        ExitStatus::Code(code) if code == i32::from(codes.system_failure) => {
            Err(JobError::plain(status.to_string()))
        }
        ExitStatus::Code(code) => Err(unknown_exit(i64::from(code), status)),
        ExitStatus::Signal(_) => Err(unknown_exit(-1, status)),
    }
}

fn build_error(status: ExitStatus, file: &ExitCodeFile, codes: ExitCodes) -> JobError {
    let unreadable = || unknown_exit(i64::from(codes.system_failure), status);
    match file {
        ExitCodeFile::Absent => JobError::build(
            status.to_string(),
            FailureReason::ScriptFailure,
            i64::from(codes.build_failure),
        ),
        ExitCodeFile::Unreadable => unreadable(),
        ExitCodeFile::Content(content) => match first_line_number(content) {
            Some((text, code)) => JobError::build(
                format!("exit status {text}"),
                FailureReason::ScriptFailure,
                code,
            ),
            None => unreadable(),
        },
    }
}

fn unknown_exit(code: i64, status: ExitStatus) -> JobError {
    JobError::plain(format!(
        "unknown Custom executor executable exit code {code}; executable execution terminated with: {status}"
    ))
}

/// The first line of an exit-code file as the runner reads it: text and number, or `None` if it is no integer.
fn first_line_number(content: &[u8]) -> Option<(String, i64)> {
    let line = content.split(|byte| *byte == b'\n').next()?;
    if line.len() >= EXIT_CODE_FILE_LINE_BYTES_MAX {
        return None;
    }
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line).ok()?;
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((text.to_owned(), text.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_file(content: &str) -> Result<(), JobError> {
        let file = ExitCodeFile::Content(content.as_bytes().to_vec());
        classify(ExitStatus::Code(1), &file, ExitCodes::RUNNER)
    }

    #[test]
    fn exit_code_files_are_read_as_in_rule_g3() {
        for (content, text, code) in [
            ("42", "42", 42),
            ("42\n", "42", 42),
            ("42\r\n", "42", 42),
            ("+42", "+42", 42),
            ("042", "042", 42),
            ("-1", "-1", -1),
            ("0", "0", 0),
            ("42\ngarbage", "42", 42),
        ] {
            let expected = JobError::build(
                format!("exit status {text}"),
                FailureReason::ScriptFailure,
                code,
            );
            assert_eq!(with_file(content), Err(expected), "{content:?}");
        }
        for content in [
            "",
            "\n42",
            " 42",
            "42 ",
            "0x2a",
            "exit 3",
            "99999999999999999999",
            "1_0",
        ] {
            let error = with_file(content).expect_err("not a number");
            assert!(
                error
                    .message
                    .starts_with("unknown Custom executor executable exit code 2;")
            );
        }
    }

    #[test]
    fn other_ends_are_system_failures() {
        let absent = ExitCodeFile::Absent;
        let message = |status| {
            classify(status, &absent, ExitCodes::RUNNER)
                .expect_err("not a success")
                .message
        };
        assert_eq!(message(ExitStatus::Code(2)), "exit status 2");
        assert_eq!(
            message(ExitStatus::Signal(9)),
            "unknown Custom executor executable exit code -1; executable execution terminated with: signal: killed"
        );
    }
}
