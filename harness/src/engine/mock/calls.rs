//! The calls of a job: their pipes, their end, their signals.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use super::{Engine, EngineError, Phase, files};
use crate::contract::exit::{ExitCodeFile, ExitStatus, StartFailure};
use crate::contract::protocol::{CallId, CallSpec, Event, KillSignal, SignalResult, Stream};
use crate::contract::stage::{Program, Stage};
use crate::leaks::EndedCall;
use crate::plan::case::StimulusAction;
use crate::process::client::{Launch, Report, TraceOrder, Trap, kill_group, signal_number};
use crate::process::holders_of_pipe;
use crate::trace::marker::MarkerScanner;
use crate::trace::{
    Abortion, AppliedStimulus, CAPTURE_BYTES_MAX, CallIndex, CallRecord, Capture, Helpers,
    MARKERS_MAX, Marker, PipeHolder, TraceEventKind,
};

/// Who asked for a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asker {
    /// The emulated runner; it gets to know the result.
    Runner,
    /// The scenario, or the harness when it stops.
    Outside,
}

/// A pipe whose end has not been seen.
#[derive(Debug)]
struct OpenPipe {
    descriptor: OwnedFd,
    scanner: Option<MarkerScanner>,
}

/// A call as far as it is still of interest.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about one call, and they come in any combination"
)]
#[derive(Debug)]
pub(super) struct Call {
    id: CallId,
    pub(super) program: Program,
    stage: Option<Stage>,
    stdout: Option<OpenPipe>,
    stderr: Option<OpenPipe>,
    nonce: Option<String>,
    exit: Option<ExitStatus>,
    /// TMPDIR was there when it was started.
    had_temp_dir: bool,
    exit_code_file: PathBuf,
    read_exit_code_file_on: i32,
    /// Nobody waits for it any longer.
    pub(super) abandoned: bool,
    /// Ended, or never started.
    over: bool,
    /// Who holds its pipes was asked.
    holders_named: bool,
    askers: VecDeque<Asker>,
}

impl Call {
    fn new(spec: &CallSpec, nonce: Option<String>) -> Self {
        Self {
            id: spec.id,
            program: spec.program,
            stage: spec.stage.clone(),
            stdout: None,
            stderr: None,
            nonce,
            exit: None,
            had_temp_dir: spec.cwd.exists(),
            exit_code_file: spec.exit_code_file.clone(),
            read_exit_code_file_on: spec.read_exit_code_file_on,
            abandoned: false,
            over: false,
            holders_named: false,
            askers: VecDeque::new(),
        }
    }

    /// Asked to start, and neither ended nor failed to start.
    pub(super) fn is_running(&self) -> bool {
        !self.over
    }

    fn pipe(&mut self, stream: Stream) -> &mut Option<OpenPipe> {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    fn open_pipe(&self, descriptor: OwnedFd) -> OpenPipe {
        let scanner = self.nonce.as_deref().map(MarkerScanner::new);
        OpenPipe {
            descriptor,
            scanner,
        }
    }

    /// Closes our ends of both pipes, as the death of the runner does.
    pub(super) fn break_pipes(&mut self) {
        self.close_pipes();
        self.over = true;
    }

    /// Closes our ends of both pipes; the call goes on until its leader exits.
    pub(super) fn close_pipes(&mut self) {
        self.stdout = None;
        self.stderr = None;
    }
}

/// How long after the exit of its leader a pipe is open before it is looked for who holds it. Last words take less.
const HOLDERS_AFTER: Duration = Duration::from_millis(500);

/// All pipes that are still open.
pub(super) fn open_pipes(
    calls: &BTreeMap<CallIndex, Call>,
) -> impl Iterator<Item = (CallIndex, Stream, BorrowedFd<'_>)> {
    calls.iter().flat_map(|(index, call)| {
        [
            (Stream::Stdout, &call.stdout),
            (Stream::Stderr, &call.stderr),
        ]
        .into_iter()
        .filter_map(|(stream, pipe)| {
            pipe.as_ref()
                .map(|pipe| (*index, stream, pipe.descriptor.as_fd()))
        })
    })
}

impl Engine<'_> {
    /// Starts a call, or returns the event that it could not be started.
    pub(super) fn start_call(
        &mut self,
        job: usize,
        spec: &CallSpec,
    ) -> Result<Option<Event>, EngineError> {
        let label = (self.jobs[job].labeller)(spec);
        let index = CallIndex(self.trace.calls.len());
        let call = Call::new(spec, label.nonce.clone());
        self.jobs[job].numbers.insert(spec.id, index);
        self.jobs[job].calls.insert(index, call);
        let mut record = new_record(job, spec, label);
        record.started = self.now();
        if std::mem::take(&mut self.jobs[job].helpers_killed) {
            record.helpers = Helpers::KilledBefore;
        }
        record.exit_code_file_before =
            files::kept(&files::read_exit_code_file(&spec.exit_code_file));
        self.trace.calls.push(record);
        self.leaks.call_starts(index, job);
        let written = spec.script.as_ref().map_or(Ok(()), files::write_script);
        if let Some(backend) = &self.environment.backend {
            let told = backend.call_starts(index, job, spec.program, spec.stage.as_ref());
            told.map_err(EngineError::Backend)?;
        }
        let started = match written {
            Err(error) => Err(StartFailure::Files(error)),
            Ok(()) => self.order_start(job, index, spec)?,
        };
        Ok(started
            .err()
            .and_then(|failure| self.not_started(job, index, failure)))
    }

    fn order_start(
        &mut self,
        job: usize,
        index: CallIndex,
        spec: &CallSpec,
    ) -> Result<Result<(), StartFailure>, EngineError> {
        let trace = self.trace_order(job, index, spec);
        let Some(supervisor) = self.jobs[job].supervisor.as_mut() else {
            return Ok(Err(StartFailure::Other("the case has ended".into())));
        };
        let launch = Launch {
            executable: &spec.executable,
            args: &spec.args,
            cwd: &spec.cwd,
            environment: &spec.environment,
            runner_path: &self.environment.runner_path,
            trace: trace.as_ref(),
        };
        supervisor
            .start(number(index), &launch)
            .or_else(|error| supervisor_trouble(job, error).map(|()| Ok(())))
    }

    /// Whether the programs that a call starts are followed, and where it is to be signalled.
    fn trace_order(&mut self, job: usize, index: CallIndex, spec: &CallSpec) -> Option<TraceOrder> {
        let board = &mut self.jobs[job].board;
        let trap = board.trap(spec.program, spec.stage.as_ref(), index);
        let follow = trap.is_some() || self.environment.follow_children;
        // Programs that get more rights than their caller has do not if an unprivileged process traces them.
        let may_look = self.secrets.is_on() && rustix::process::geteuid().is_root();
        if !follow && !may_look {
            return None;
        }
        let trap = trap.map(|(place, action)| Trap {
            name: place.name,
            nth: place.nth,
            moment: place.moment,
            signal: signal_number(match action {
                StimulusAction::DriverKill => KillSignal::Kill,
                _ => KillSignal::Term,
            }),
        });
        let words = if may_look {
            self.secrets.values()
        } else {
            Vec::new()
        };
        Some(TraceOrder {
            trap,
            words,
            optional: !follow,
        })
    }

    /// A call was signalled at a program that it started.
    fn sprung(&mut self, job: usize, index: CallIndex, signal: KillSignal, result: SignalResult) {
        let now = self.now();
        let Some(due) = self.jobs[job].board.sprung(index, now) else {
            return;
        };
        self.trace.stimuli.push(AppliedStimulus {
            at: now,
            job,
            action: due.action,
            hit: Some(index),
        });
        self.record(job, TraceEventKind::Stimulus(due.words));
        let record = &mut self.trace.calls[index.0];
        record.signalled_at_point = true;
        record.signals.push((now, signal, result));
        self.record(job, TraceEventKind::SignalSent(index, signal, result));
    }

    fn not_started(
        &mut self,
        job: usize,
        index: CallIndex,
        failure: StartFailure,
    ) -> Option<Event> {
        self.trace.calls[index.0].start_failure = Some(failure.clone());
        self.record(job, TraceEventKind::CallNotStarted(index, failure.clone()));
        self.tell_backend_of_end(index);
        let call = self.jobs[job].calls.get_mut(&index)?;
        call.over = true;
        Some(Event::CallNotStarted {
            call: call.id,
            failure,
        })
    }

    /// Takes in what a supervisor has to say.
    pub(super) fn hear_supervisor(&mut self, job: usize) -> Result<(), EngineError> {
        let Some(supervisor) = self.jobs[job].supervisor.as_mut() else {
            return Ok(());
        };
        let reports = supervisor
            .reports()
            .map_err(|source| EngineError::Supervisor { job, source })?;
        for report in reports {
            self.take_report(job, report)?;
        }
        Ok(())
    }

    fn take_report(&mut self, job: usize, report: Report) -> Result<(), EngineError> {
        match report {
            Report::Started {
                call,
                pid,
                stdout,
                stderr,
            } => self.call_started(job, index(call), pid, stdout, stderr),
            Report::NotStarted { call, failure } => {
                match self.not_started(job, index(call), failure) {
                    Some(event) => self.deliver(job, event),
                    None => Ok(()),
                }
            }
            Report::NotTraced { reason, .. } => Err(EngineError::NotTraced(reason)),
            Report::Sprung {
                call,
                signal,
                result,
            } => {
                self.sprung(job, index(call), signal, result);
                Ok(())
            }
            Report::Children { call, programs } => {
                for program in &programs {
                    self.secrets
                        .program_seen(&program.name, &program.holds, index(call));
                }
                let children = programs.into_iter();
                let children = children.map(|program| (index(call), program));
                self.trace.children.extend(children);
                Ok(())
            }
            Report::KilledEarlier { call, killed } => {
                if killed > 0 {
                    self.trace.calls[index(call).0].helpers = Helpers::KilledMeanwhile;
                }
                Ok(())
            }
            Report::LeaderExited { call, status } => self.leader_exited(job, index(call), status),
            Report::Signalled {
                call,
                signal,
                result,
            } => self.signalled(job, index(call), signal, result),
            Report::Closed => {
                self.supervisor_died(job);
                Ok(())
            }
            // Only after `finish`, which listens for itself.
            Report::Survivors(_) | Report::Gone { .. } => Ok(()),
        }
    }

    /// Without its supervisor nobody can find what a job's calls have made; their own process groups are known, though.
    fn supervisor_died(&mut self, job: usize) {
        self.jobs[job].supervisor = None;
        self.abort(job, Abortion::SupervisorDied { job });
        for (index, _) in self.jobs[job]
            .calls
            .iter()
            .filter(|(_, call)| call.is_running())
        {
            if let Some(pid) = self.trace.calls[index.0].pid {
                kill_group(pid);
            }
        }
    }

    fn call_started(
        &mut self,
        job: usize,
        index: CallIndex,
        pid: u32,
        stdout: OwnedFd,
        stderr: OwnedFd,
    ) -> Result<(), EngineError> {
        let now = self.now();
        let record = &mut self.trace.calls[index.0];
        record.pid = Some(pid);
        // To start a program takes work of other processes, and so shows also how slowly these get on.
        let delay = now.since(record.started);
        self.ticker.worst = self.ticker.worst.max(delay);
        self.record(job, TraceEventKind::CallStarted(index));
        if let Some(backend) = &self.environment.backend {
            let told = backend.call_started(index, pid);
            told.map_err(EngineError::Backend)?;
        }
        let state = &mut self.jobs[job];
        let Some(call) = state.calls.get_mut(&index) else {
            return Ok(());
        };
        if state.phase == Phase::RunnerKilled {
            // The runner died while it was starting the call: its pipes break now.
            return Ok(());
        }
        call.stdout = Some(call.open_pipe(stdout));
        call.stderr = Some(call.open_pipe(stderr));
        let id = call.id;
        state
            .board
            .call_started(call.program, call.stage.as_ref(), index, now);
        self.deliver(job, Event::CallStarted { call: id, pid })
    }

    fn leader_exited(
        &mut self,
        job: usize,
        index: CallIndex,
        status: ExitStatus,
    ) -> Result<(), EngineError> {
        let now = self.now();
        self.trace.calls[index.0].leader_exit = Some((now, status));
        self.record(job, TraceEventKind::LeaderExited(index, status));
        if let Some(call) = self.jobs[job].calls.get_mut(&index) {
            call.exit = Some(status);
        }
        self.end_if_complete(job, index)
    }

    /// Names the processes that hold a pipe of a call whose leader has exited a while ago, once for each call.
    pub(super) fn name_pipe_holders(&mut self, job: usize) {
        let now = self.now();
        let state = &mut self.jobs[job];
        let Some(supervisor) = &state.supervisor else {
            return;
        };
        for (index, call) in &mut state.calls {
            if call.over || call.holders_named || call.exit.is_none() {
                continue;
            }
            let exit = self.trace.calls[index.0].leader_exit;
            if exit.is_none_or(|(exit, _)| now.since(exit) < HOLDERS_AFTER) {
                continue;
            }
            call.holders_named = true;
            let pipe = call.stdout.as_ref().or(call.stderr.as_ref());
            let Some(pipe) = pipe else { continue };
            let holders = holders_of_pipe(supervisor.pid(), &pipe.descriptor);
            let holders = holders.into_iter().map(|(pid, command)| PipeHolder {
                call: *index,
                pid,
                command,
            });
            self.trace.pipe_holders.extend(holders);
        }
    }

    /// Reads one piece of a pipe, so that a flood on one does not keep the others waiting.
    pub(super) fn read_pipe(
        &mut self,
        job: usize,
        index: CallIndex,
        stream: Stream,
    ) -> Result<(), EngineError> {
        let Some(call) = self.jobs[job].calls.get_mut(&index) else {
            return Ok(());
        };
        let id = call.id;
        // It may have been closed by what was served before it in this turn.
        let Some(pipe) = call.pipe(stream) else {
            return Ok(());
        };
        let count = match rustix::io::read(&pipe.descriptor, self.buffer.as_mut_slice()) {
            Ok(count) => count,
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => return Ok(()),
            Err(_) => 0,
        };
        if count == 0 {
            let last = pipe.scanner.as_mut().and_then(MarkerScanner::finish);
            *call.pipe(stream) = None;
            self.saw_markers(job, index, last);
            return self.pipe_closed(job, index, stream);
        }
        let data = self.buffer[..count].to_vec();
        let markers = pipe
            .scanner
            .as_mut()
            .map(|scanner| scanner.feed(&data))
            .unwrap_or_default();
        self.keep_output(job, index, stream, &data);
        self.deliver(
            job,
            Event::Output {
                call: id,
                stream,
                data,
            },
        )?;
        self.saw_markers(job, index, markers);
        Ok(())
    }

    fn keep_output(&mut self, job: usize, index: CallIndex, stream: Stream, data: &[u8]) {
        let capture = capture(&mut self.trace.calls[index.0], stream);
        let is_first = capture.bytes_total == 0;
        let room = CAPTURE_BYTES_MAX.saturating_sub(capture.bytes.len());
        capture
            .bytes
            .extend_from_slice(&data[..data.len().min(room)]);
        capture.bytes_total += data.len() as u64;
        if is_first {
            self.record(job, TraceEventKind::FirstOutput(index, stream));
        }
    }

    fn saw_markers(
        &mut self,
        job: usize,
        index: CallIndex,
        markers: impl IntoIterator<Item = Marker>,
    ) {
        for marker in markers {
            if marker.word == "start" {
                // What a driver made for this script alone is there now, and gone when the call ends.
                let alone = self.only_running_call();
                self.secrets.look_at_files(alone);
            }
            let now = self.now();
            let owner = &mut self.jobs[job];
            let stage = owner.calls.get(&index).and_then(|call| call.stage.clone());
            owner.board.marker_seen(stage.as_ref(), &marker, index, now);
            let kept = &mut self.trace.calls[index.0].markers;
            if kept.len() < MARKERS_MAX {
                kept.push((now, marker.clone()));
                self.record(job, TraceEventKind::Marker(index, marker));
            }
        }
    }

    fn pipe_closed(
        &mut self,
        job: usize,
        index: CallIndex,
        stream: Stream,
    ) -> Result<(), EngineError> {
        let now = Some(self.now());
        let record = &mut self.trace.calls[index.0];
        match stream {
            Stream::Stdout => record.stdout_closed = now,
            Stream::Stderr => record.stderr_closed = now,
        }
        self.record(job, TraceEventKind::PipeClosed(index, stream));
        self.end_if_complete(job, index)
    }

    /// A call has ended when its leader exited and both pipes were closed by all holders (B16).
    pub(super) fn end_if_complete(
        &mut self,
        job: usize,
        index: CallIndex,
    ) -> Result<(), EngineError> {
        let Some(call) = self.jobs[job].calls.get_mut(&index) else {
            return Ok(());
        };
        let (Some(status), None, None, false) = (call.exit, &call.stdout, &call.stderr, call.over)
        else {
            return Ok(());
        };
        call.over = true;
        let id = call.id;
        let call_had_temp_dir = call.had_temp_dir;
        let content = files::read_exit_code_file(&call.exit_code_file);
        let is_read = status == ExitStatus::Code(call.read_exit_code_file_on);
        let now = self.now();
        let record = &mut self.trace.calls[index.0];
        record.ended = Some(now);
        record.temp_dir_lost = call_had_temp_dir && !record.temp_dir.exists();
        record.exit_code_file_after = files::kept(&content);
        self.record(job, TraceEventKind::CallEnded(index));
        self.tell_backend_of_end(index);
        let alone = !self.jobs.iter().any(super::Job::has_running_call);
        let alone_in_job = !self.jobs[job].has_running_call();
        self.leaks.call_ended(EndedCall {
            call: index,
            job,
            alone,
            alone_in_job,
        });
        self.files.mounted(self.leaks.mount_points());
        self.files.call_ended(index, alone);
        let maker = alone.then_some(index);
        self.keepsakes.call_ended(maker);
        self.secrets.look_at_files(maker);
        let exit_code_file = if is_read {
            content
        } else {
            ExitCodeFile::Absent
        };
        self.deliver(
            job,
            Event::CallEnded {
                call: id,
                status,
                exit_code_file,
            },
        )
    }

    fn tell_backend_of_end(&self, call: CallIndex) {
        if let Some(backend) = &self.environment.backend {
            // If it cannot be reached, the next question to it says so.
            let _unreachable = backend.call_ended(call);
        }
    }

    /// Has the emulated runner's signal sent (H1).
    pub(super) fn signal_from_runner(
        &mut self,
        job: usize,
        call: CallId,
        signal: KillSignal,
    ) -> Result<(), EngineError> {
        match self.jobs[job].numbers.get(&call).copied() {
            Some(index) => self.send_signal(job, index, signal, Asker::Runner),
            None => Ok(()),
        }
    }

    /// Has a signal sent that is none of the runner's business.
    pub(super) fn kill_from_outside(
        &mut self,
        job: usize,
        index: CallIndex,
        signal: KillSignal,
    ) -> Result<(), EngineError> {
        self.send_signal(job, index, signal, Asker::Outside)
    }

    fn send_signal(
        &mut self,
        job: usize,
        index: CallIndex,
        signal: KillSignal,
        asker: Asker,
    ) -> Result<(), EngineError> {
        let state = &mut self.jobs[job];
        let (Some(call), Some(supervisor)) =
            (state.calls.get_mut(&index), state.supervisor.as_mut())
        else {
            return Ok(());
        };
        call.askers.push_back(asker);
        supervisor
            .signal(number(index), signal)
            .or_else(|error| supervisor_trouble(job, error))
    }

    fn signalled(
        &mut self,
        job: usize,
        index: CallIndex,
        signal: KillSignal,
        result: SignalResult,
    ) -> Result<(), EngineError> {
        let now = self.now();
        self.trace.calls[index.0]
            .signals
            .push((now, signal, result));
        self.record(job, TraceEventKind::SignalSent(index, signal, result));
        let Some(call) = self.jobs[job].calls.get_mut(&index) else {
            return Ok(());
        };
        let id = call.id;
        // A supervisor answers in the order in which it was asked.
        if call.askers.pop_front() == Some(Asker::Runner) {
            self.deliver(
                job,
                Event::SignalSent {
                    call: id,
                    signal,
                    result,
                },
            )?;
        }
        Ok(())
    }
}

/// A supervisor that cannot be written to has died: its hang-up is on the way and tells the rest. Anything else is a fault.
pub(super) fn supervisor_trouble(job: usize, source: std::io::Error) -> Result<(), EngineError> {
    match source.kind() {
        std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset => Ok(()),
        _ => Err(EngineError::Supervisor { job, source }),
    }
}

/// The name of a call toward the supervisor.
pub(super) fn number(index: CallIndex) -> u32 {
    u32::try_from(index.0).unwrap_or(u32::MAX)
}

fn index(number: u32) -> CallIndex {
    CallIndex(number as usize)
}

fn capture(record: &mut CallRecord, stream: Stream) -> &mut Capture {
    match stream {
        Stream::Stdout => &mut record.stdout,
        Stream::Stderr => &mut record.stderr,
    }
}

fn new_record(job: usize, spec: &CallSpec, label: super::CallLabel) -> CallRecord {
    let mut argv = vec![spec.executable.clone()];
    argv.extend(spec.args.iter().cloned());
    CallRecord {
        job,
        program: spec.program,
        stage: spec.stage.clone(),
        nth: spec.nth,
        attempt: spec.attempt,
        argv,
        environment: spec.environment.to_vec(),
        temp_dir: spec.cwd.clone(),
        script: spec
            .script
            .as_ref()
            .map(|script| script.text.as_ref().to_owned()),
        nonce: label.nonce,
        probe: label.probe,
        started: crate::contract::moment::Moment::START,
        start_failure: None,
        pid: None,
        leader_exit: None,
        stdout_closed: None,
        stderr_closed: None,
        ended: None,
        abandoned: None,
        signals: Vec::new(),
        stdout: Capture::default(),
        stderr: Capture::default(),
        markers: Vec::new(),
        exit_code_file_before: None,
        exit_code_file_after: None,
        temp_dir_lost: false,
        signalled_at_point: false,
        helpers: Helpers::default(),
    }
}
