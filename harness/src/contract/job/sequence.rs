//! A raw sequence of calls: what a driver sees over several jobs and crashes of a runner.
//!
//! No single job contains "cleanup twice" or "prepare again without a cleanup between", but a driver is led into both:
//! a runner that is killed calls no cleanup (H12), and the next job finds what is left. Each call is made exactly as a
//! job would make it; only the order is the scenario's.

use std::sync::Arc;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use super::super::context::{Cause, ContextError, ContextId};
use super::super::json_config;
use super::super::moment::Moment;
use super::super::protocol::{Action, CallId, Emulation, Event};
use super::super::script::frame;
use super::super::stage::{Program, Stage};
use super::{Attempt, Job, JobInputs};

/// One call of a sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceCall {
    /// Which program. A program that is not configured is skipped.
    pub program: Program,
    /// Which stage, for run.
    pub stage: Option<Stage>,
    /// Make a new temporary directory before this call, as a new prepare attempt does.
    pub new_attempt: bool,
    /// Withhold `job_env`, as after a config that failed (C11).
    pub without_job_env: bool,
    /// Everything that earlier calls left running is killed before it.
    pub helpers_killed: bool,
}

/// An emulated sequence of calls. See [`Emulation`].
pub struct CallSequence {
    job: Job,
    plan: VecDeque<SequenceCall>,
    state: State,
    context: ContextId,
    directories: Vec<PathBuf>,
    job_timeout: Duration,
    directories_known: bool,
    /// The attempt's config failed: a runner makes no other call but cleanup (D1).
    config_failed: bool,
    /// The call that was being made when the sequence was told to stop.
    stopped: Option<CallId>,
}

#[derive(Debug, Clone, PartialEq)]
enum State {
    NotBegun,
    MakingTempDir,
    Calling { call: CallId, program: Program },
    Over,
}

impl CallSequence {
    /// A sequence that has not begun.
    pub fn new(inputs: JobInputs, calls: Vec<SequenceCall>) -> Self {
        let mut job = Job::new(inputs);
        let background = job.contexts.background();
        let context = job.contexts.child(background);
        let job_timeout = job.build.job_timeout();
        Self {
            job,
            plan: calls.into(),
            state: State::NotBegun,
            context,
            directories: Vec::new(),
            job_timeout,
            directories_known: false,
            config_failed: false,
            stopped: None,
        }
    }

    fn next_call(&mut self) {
        while let Some(next) = self.plan.front() {
            let fresh = next.new_attempt || self.directories.is_empty();
            let refused = self.config_failed
                && !fresh
                && matches!(next.program, Program::Prepare | Program::Run);
            if refused || !self.is_configured(next.program) {
                self.plan.pop_front();
                continue;
            }
            if next.new_attempt || self.directories.is_empty() {
                self.new_attempt();
            } else {
                self.start();
            }
            return;
        }
        self.end();
    }

    fn is_configured(&self, program: Program) -> bool {
        let custom = &self.job.custom;
        !match program {
            Program::Config => custom.config_exec.is_empty(),
            Program::Prepare => custom.prepare_exec.is_empty(),
            Program::Run => custom.run_exec.is_empty(),
            Program::Cleanup => custom.cleanup_exec.is_empty(),
        }
    }

    fn new_attempt(&mut self) {
        let number = self.job.attempt.number + 1;
        let name = format!("custom-executor{}", self.job.names.digits());
        let path = self.job.temp_root.join(name);
        self.job.attempt = Attempt::new(number, path.clone());
        self.directories_known = false;
        self.config_failed = false;
        self.directories.push(path.clone());
        let response_json = self.job.build.payload().response_json();
        self.job.actions.push(Action::MakeTempDir {
            path,
            response_json,
        });
        self.state = State::MakingTempDir;
    }

    fn start(&mut self) {
        let Some(next) = self.plan.pop_front() else {
            return;
        };
        let needs_directories = matches!(next.program, Program::Prepare | Program::Run);
        if needs_directories && !self.directories_known {
            // A configuration error would end a real job here; in a sequence the next call shows what follows from it.
            self.directories_known =
                self.job.start_build().is_ok() && self.job.choose_shell().is_ok();
        }
        let job_env = self.job.attempt.job_env.clone();
        if next.without_job_env {
            self.job.attempt.job_env.clear();
        }
        if next.helpers_killed {
            self.job.actions.push(Action::KillHelpers);
        }
        let context = self.timed_context(next.program);
        let script = next.stage.as_ref().map(|stage| self.script_text(stage));
        let call = self
            .job
            .start_call(next.program, next.stage, script, context);
        self.job.attempt.job_env = job_env;
        self.state = State::Calling {
            call,
            program: next.program,
        };
    }

    /// A context that ends with the timeout of a call of this program that begins now.
    fn timed_context(&mut self, program: Program) -> ContextId {
        let custom = &self.job.custom;
        let timeout = match program {
            Program::Config => custom.config_exec_timeout(),
            Program::Prepare => custom.prepare_exec_timeout(),
            Program::Run => self.job_timeout,
            Program::Cleanup => custom.cleanup_exec_timeout(),
        };
        let plain = Cause::Plain(ContextError::DeadlineExceeded);
        let now = self.job.now;
        self.job
            .contexts
            .child_with_timeout(self.context, now, timeout, plain)
    }

    /// A call may have waited for the turn of its sequence, which does not count.
    fn restart_timer(&mut self, started: CallId) {
        if let State::Calling { call, program } = self.state
            && call == started
            && self.stopped != Some(call)
        {
            let context = self.timed_context(program);
            self.job.set_context(call, context);
        }
    }

    /// The runner's own script, where a job would have one; a probe body replaces it anyway.
    fn script_text(&self, stage: &Stage) -> Arc<str> {
        match self.job.build.script(stage) {
            Ok(Some(text)) => text,
            Ok(None) | Err(_) => frame(self.job.build.shell(), ":\n").into(),
        }
    }

    fn call_over(&mut self, call: CallId, program: Program) -> bool {
        let output = if self.job.call_is_over(call) {
            self.job.config_output(call)
        } else {
            Vec::new()
        };
        let Some(result) = self.job.call_result(call) else {
            return false;
        };
        if program == Program::Config {
            match result.map(|()| json_config::parse(&output)) {
                Ok(Ok(Some(config))) => self.job.apply_config(config),
                Ok(Ok(None)) => {}
                Ok(Err(_)) | Err(_) => self.config_failed = true,
            }
        }
        self.next_call();
        true
    }

    fn end(&mut self) {
        for path in std::mem::take(&mut self.directories) {
            self.job.actions.push(Action::RemoveTempDir { path });
        }
        self.job.actions.push(Action::EndSequence);
        self.state = State::Over;
    }

    /// Makes no other call, except for one cleanup if there was still one to come: a job that is stopped cleans up, too.
    fn stop(&mut self) {
        self.job.contexts.cancel(self.context);
        if let State::Calling { call, .. } = self.state {
            self.stopped = Some(call);
        }
        let cleaning = matches!(
            self.state,
            State::Calling {
                program: Program::Cleanup,
                ..
            }
        );
        let cleanup = self
            .plan
            .drain(..)
            .rfind(|call| call.program == Program::Cleanup);
        let prepared = !matches!(self.state, State::NotBegun | State::Over);
        if let Some(cleanup) = cleanup.filter(|_| prepared && !cleaning) {
            self.plan.push_back(SequenceCall {
                new_attempt: false,
                helpers_killed: false,
                ..cleanup
            });
        }
        let background = self.job.contexts.background();
        self.context = self.job.contexts.child(background);
    }

    fn take_event(&mut self, event: Event) {
        match event {
            Event::Begin => self.next_call(),
            Event::TempDirMade => self.start(),
            Event::TempDirFailed(_) => self.end(),
            Event::Cancel | Event::Abort | Event::Interrupt(_) => self.stop(),
            Event::CallStarted { call, .. } => {
                self.restart_timer(call);
                self.job.take_event(event);
            }
            other => self.job.take_event(other),
        }
    }
}

impl Emulation for CallSequence {
    fn handle(&mut self, event: Event, now: Moment) -> Vec<Action> {
        self.job.now = now;
        self.job.contexts.advance(now);
        self.take_event(event);
        loop {
            let calls_moved = self.job.poll_calls();
            let moved = match self.state {
                State::Calling { call, program } => self.call_over(call, program),
                _ => false,
            };
            if !(calls_moved || moved) {
                break;
            }
        }
        std::mem::take(&mut self.job.actions)
    }

    fn next_wake(&self) -> Option<Moment> {
        self.job
            .calls
            .values()
            .filter_map(|call| call.next_wake(&self.job.contexts))
            .min()
    }
}
