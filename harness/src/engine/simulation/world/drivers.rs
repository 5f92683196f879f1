//! The driver's side: simulated processes and what they do.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::contract::exit::{ExitCodeFile, ExitStatus, StartFailure};
use crate::contract::protocol::{CallId, CallSpec, Event, KillSignal, SignalResult, Stream};
use crate::contract::stage::Program;

use super::super::behaviour::{Child, OnTerm, Step};
use super::super::process::{Process, ProcessIndex, ProcessState, Sleep, Tick};
use super::super::record::RecordedCall;
use super::super::{CallPoint, CallSelector, ProgramFile};
use super::{DRIVER_START, Occurrence, World};

/// The kernel's limit on one environment entry with its terminator (contract K).
pub const ENTRY_BYTES_MAX: usize = 131_072;
/// The kernel's limit on all arguments and environment entries: a quarter of the usual 8 MiB stack.
const ALL_ENTRIES_BYTES_MAX: usize = 2 * 1024 * 1024;

const TERM: i32 = 15;
const KILL: i32 = 9;
const PIPE: i32 = 13;

/// Names and values; the calls of a job share one.
pub(super) type Environment = Arc<[(String, String)]>;

/// What the kernel would not take of an environment.
#[derive(Debug, Clone, Copy)]
pub(super) struct EnvironmentLimits {
    holds_nul: bool,
    too_long: bool,
}

impl World<'_> {
    /// Starts a driver program; the answer is the event for the job.
    pub(super) fn start_driver(&mut self, job: usize, spec: CallSpec) -> Event {
        let call = spec.id;
        if spec.script.is_some() && !self.files.exists(&spec.cwd) {
            let text = format!("stat {}: no such file or directory", spec.cwd.display());
            return Event::CallNotStarted {
                call,
                failure: StartFailure::Files(text),
            };
        }
        if let Some(script) = &spec.script {
            self.files.write_script(&spec.cwd, script);
        }
        if let Some(failure) = self.start_failure(&spec) {
            return Event::CallNotStarted { call, failure };
        }
        let process = self.processes.len();
        self.processes.push(Process {
            job,
            call,
            record: None,
            is_leader: true,
            own_group: false,
            holds_output: true,
            steps: VecDeque::new(),
            on_term: OnTerm::Die,
            sleeping: None,
            state: ProcessState::Starting,
            spec: Some(Box::new(spec)),
        });
        self.schedule(DRIVER_START, Occurrence::ProcessContinues(process));
        let pid = u32::try_from(process)
            .unwrap_or(u32::MAX)
            .saturating_add(1000);
        Event::CallStarted { call, pid }
    }

    fn start_failure(&mut self, spec: &CallSpec) -> Option<StartFailure> {
        let cwd_exists = self.files.exists(&spec.cwd);
        let limits = self.environment_limits(&spec.environment);
        if limits.holds_nul {
            return Some(StartFailure::NulInEnvironment);
        }
        let file = self.scenario.programs.get(&spec.executable);
        if file.is_none() && !spec.executable.contains('/') {
            return Some(StartFailure::NotInPath);
        }
        if !cwd_exists {
            return Some(StartFailure::NotFound);
        }
        match file {
            None => return Some(StartFailure::NotFound),
            Some(ProgramFile::NotExecutable) => return Some(StartFailure::PermissionDenied),
            Some(ProgramFile::NotAProgram | ProgramFile::Driver) => {}
        }
        if limits.too_long {
            return Some(StartFailure::ArgumentListTooLong);
        }
        (file == Some(&ProgramFile::NotAProgram)).then_some(StartFailure::ExecFormat)
    }

    /// Most calls of a job share one environment, so the answer about the last one is kept.
    fn environment_limits(&mut self, environment: &Environment) -> EnvironmentLimits {
        if let Some((known, limits)) = &self.last_environment
            && Arc::ptr_eq(known, environment)
        {
            return *limits;
        }
        let holds_nul =
            |(key, value): &(String, String)| key.contains('\0') || value.contains('\0');
        let sizes = environment
            .iter()
            .map(|(key, value)| key.len() + value.len() + 2);
        let one_too_long = sizes.clone().any(|bytes| bytes > ENTRY_BYTES_MAX);
        // Each entry costs a pointer as well.
        let all: usize = sizes.map(|bytes| bytes + size_of::<usize>()).sum();
        let limits = EnvironmentLimits {
            holds_nul: environment.iter().any(holds_nul),
            too_long: one_too_long || all > ALL_ENTRIES_BYTES_MAX,
        };
        self.last_environment = Some((Arc::clone(environment), limits));
        limits
    }

    pub(super) fn process_continues(&mut self, index: ProcessIndex) {
        match self.processes[index].state {
            ProcessState::Gone(_) | ProcessState::Leaving(_) => return,
            ProcessState::Starting => self.begin_process(index),
            ProcessState::Alive => {}
        }
        if self.processes[index].sleeping.is_some() && !self.sleep_on(index) {
            return;
        }
        while self.processes[index].state == ProcessState::Alive {
            let Some(step) = self.processes[index].steps.pop_front() else {
                self.end_process(index, ExitStatus::Code(0), "exit 0");
                return;
            };
            self.perform(index, step);
            if self.processes[index].sleeping.is_some() {
                return;
            }
        }
    }

    /// How many calls of this program and stage have begun in a job. The recording driver counts itself, so that a call
    /// that could not be started, or was killed before its first instruction, is none.
    fn calls_begun(&self, job: usize, spec: &CallSpec) -> u32 {
        let same = self.record.calls.iter().filter(|call| {
            call.job == job && call.spec.program == spec.program && call.spec.stage == spec.stage
        });
        u32::try_from(same.count()).unwrap_or(u32::MAX)
    }

    /// What the driver does in a call.
    fn behaviour(&self, job: usize, spec: &CallSpec) -> VecDeque<Step> {
        let id = self.record.jobs[job].id;
        let mut rules = self.scenario.behaviours.iter();
        let rule = rules.find(|rule| rule.fits(spec.program, spec.stage.as_ref(), spec.nth, id));
        match rule {
            Some(rule) => rule.steps.iter().cloned().collect(),
            None if matches!(spec.program, Program::Prepare | Program::Run) => {
                VecDeque::from([Step::Hello])
            }
            None => VecDeque::new(),
        }
    }

    fn begin_process(&mut self, index: ProcessIndex) {
        self.processes[index].state = ProcessState::Alive;
        let Some(mut spec) = self.processes[index].spec.take() else {
            return;
        };
        let job = self.processes[index].job;
        spec.nth = self.calls_begun(job, &spec) + 1;
        self.processes[index].steps = self.behaviour(job, &spec);
        let record = self.record.calls.len();
        // The recording driver lists what its own TMPDIR names.
        let temp_dir = spec.environment.iter().find(|(key, _)| key == "TMPDIR");
        let temp_dir = temp_dir.map(|(_, value)| value.clone()).unwrap_or_default();
        self.record.calls.push(RecordedCall {
            job: self.processes[index].job,
            begun: self.now,
            temp_listing: self.files.listing(Path::new(&temp_dir)),
            spec: *spec,
            signals: Vec::new(),
            end: None,
        });
        self.processes[index].record = Some(record);
        self.call_reached(record, CallPoint::Start);
    }

    /// Goes on with a sleep; true when it is over.
    fn sleep_on(&mut self, index: ProcessIndex) -> bool {
        let now = self.now;
        let Some(sleep) = self.processes[index].sleeping.as_mut() else {
            return true;
        };
        if let Some(tick) = &mut sleep.tick
            && tick.next <= now
            && tick.next < sleep.until
        {
            let (text, to) = (tick.text, tick.to);
            tick.next = tick.next + tick.every;
            self.print(index, text.as_bytes(), to);
            if !self.processes[index].is_alive() {
                return false;
            }
        }
        let Some(sleep) = self.processes[index].sleeping.as_ref() else {
            return false;
        };
        if sleep.until <= now {
            self.processes[index].sleeping = None;
            return true;
        }
        let wait = sleep.next().since(now);
        self.schedule(wait, Occurrence::ProcessContinues(index));
        false
    }

    fn perform(&mut self, index: ProcessIndex, step: Step) {
        match step {
            Step::Hello => {
                let line = self.hello_line(index);
                self.print(index, line.as_bytes(), Stream::Stdout);
            }
            Step::Print { text, times, to } => {
                let whole = text.repeat(times as usize);
                self.print(index, &whole, to);
            }
            Step::Sleep {
                length,
                tick,
                tick_to,
            } => self.sleep(index, length, tick, tick_to),
            Step::OnTerm(on_term) => self.processes[index].on_term = on_term,
            Step::WriteExitFile(text) => self.write_exit_file(index, text.into_bytes()),
            Step::MakeExitDirectory => {
                let path = PathBuf::from(self.variable(index, "BUILD_EXIT_CODE_FILE"));
                let directory = self.cwd(index);
                self.files.make_directory(&directory, &path);
            }
            Step::Touch(name) => {
                let directory = self.cwd(index);
                self.files
                    .write(&directory, &directory.join(name), Vec::new());
            }
            Step::RemoveTree(variable) => {
                let path = PathBuf::from(self.variable(index, &variable));
                self.files.remove_tree(&path);
            }
            Step::Close(descriptors) => {
                if descriptors.contains(&1) && descriptors.contains(&2) {
                    self.processes[index].holds_output = false;
                }
            }
            Step::Spawn(child) => self.spawn(index, &child),
            Step::RunScript => self.run_script(index),
            Step::KillSelf(signal) => {
                self.end_process(
                    index,
                    ExitStatus::Signal(signal),
                    &format!("kill self {signal}"),
                );
            }
            Step::KillGroup(signal) => self.kill_own_group(index, signal),
            Step::ExitWithVariable(name) => {
                let code = self.variable(index, &name).parse().unwrap_or(0);
                self.end_process(index, ExitStatus::Code(code), &format!("exit {code}"));
            }
            Step::Exit(code) => {
                self.end_process(index, ExitStatus::Code(code), &format!("exit {code}"));
            }
        }
    }

    fn spec(&self, index: ProcessIndex) -> Option<&CallSpec> {
        self.processes[index]
            .record
            .map(|record| &self.record.calls[record].spec)
    }

    fn cwd(&self, index: ProcessIndex) -> PathBuf {
        self.spec(index)
            .map(|spec| spec.cwd.clone())
            .unwrap_or_default()
    }

    fn variable(&self, index: ProcessIndex, name: &str) -> String {
        let value = self.spec(index).and_then(|spec| {
            spec.environment
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.clone())
        });
        value.unwrap_or_default()
    }

    fn hello_line(&self, index: ProcessIndex) -> String {
        let Some(spec) = self.spec(index) else {
            return String::new();
        };
        let stage = spec
            .stage
            .as_ref()
            .map_or_else(|| "-".to_owned(), ToString::to_string);
        format!(
            "[drv] {} {stage} #{}\n",
            spec.program.config_key(),
            spec.nth
        )
    }

    fn write_exit_file(&mut self, index: ProcessIndex, content: Vec<u8>) {
        let path = PathBuf::from(self.variable(index, "BUILD_EXIT_CODE_FILE"));
        let directory = self.cwd(index);
        self.files.write(&directory, &path, content);
    }

    /// The script's result comes from the scenario: a real shell is not part of this world.
    fn run_script(&mut self, index: ProcessIndex) {
        let Some(spec) = self.spec(index) else { return };
        let stage = spec
            .stage
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let result = self
            .scenario
            .script_results
            .get(&(stage, spec.nth))
            .copied()
            .unwrap_or(0);
        if result != 0 {
            self.write_exit_file(index, format!("{result}\n").into_bytes());
            let code = self
                .variable(index, "BUILD_FAILURE_EXIT_CODE")
                .parse()
                .unwrap_or(1);
            self.end_process(index, ExitStatus::Code(code), &format!("exit {code}"));
        }
    }

    fn sleep(&mut self, index: ProcessIndex, length: Duration, tick: Option<Duration>, to: Stream) {
        let text = if self.processes[index].is_leader {
            "tick\n"
        } else {
            "child output\n"
        };
        let tick = tick.filter(|every| !every.is_zero()).map(|every| Tick {
            every,
            next: self.now + every,
            to,
            text,
        });
        let sleep = Sleep {
            until: self.now + length,
            tick,
        };
        let wait = sleep.next().since(self.now);
        self.processes[index].sleeping = Some(sleep);
        self.schedule(wait, Occurrence::ProcessContinues(index));
    }

    fn print(&mut self, index: ProcessIndex, data: &[u8], stream: Stream) {
        if !self.processes[index].holds_output || data.is_empty() {
            return;
        }
        if self.runner.is_gone() {
            self.broken_pipe(index);
            return;
        }
        let (job, call) = (self.processes[index].job, self.processes[index].call);
        self.tell(
            job,
            Event::Output {
                call,
                stream,
                data: data.to_vec(),
            },
        );
    }

    /// A write after the runner's end: SIGPIPE, which kills unless the process handles it.
    fn broken_pipe(&mut self, index: ProcessIndex) {
        self.note_signal(index, "SIGPIPE");
        if self.processes[index].on_term == OnTerm::Die {
            self.end_process(index, ExitStatus::Signal(PIPE), "dies by SIGPIPE");
        }
    }

    fn spawn(&mut self, parent: ProcessIndex, child: &Child) {
        let index = self.processes.len();
        let (job, call) = (self.processes[parent].job, self.processes[parent].call);
        self.processes.push(Process {
            job,
            call,
            record: None,
            is_leader: false,
            own_group: child.own_session,
            holds_output: child.holds_output,
            steps: VecDeque::new(),
            on_term: child.on_term,
            sleeping: None,
            state: ProcessState::Alive,
            spec: None,
        });
        self.sleep(index, child.life, child.tick, Stream::Stdout);
    }

    fn kill_own_group(&mut self, index: ProcessIndex, signal: i32) {
        let (job, call) = (self.processes[index].job, self.processes[index].call);
        let members = self.group(job, call);
        for member in members {
            if member == index {
                let how = format!("kill group {signal}");
                self.end_process(index, ExitStatus::Signal(signal), &how);
            } else {
                self.deliver(member, signal);
            }
        }
    }

    pub(super) fn kill_driver(&mut self, signal: i32, selector: &CallSelector) {
        let target = (0..self.processes.len()).find(|index| {
            let process = &self.processes[*index];
            process.is_leader
                && process.is_alive()
                && process
                    .record
                    .is_some_and(|record| self.selects(selector, record))
        });
        if let Some(index) = target {
            self.deliver(index, signal);
        }
    }

    fn group(&self, job: usize, call: CallId) -> Vec<ProcessIndex> {
        (0..self.processes.len())
            .filter(|index| {
                let process = &self.processes[*index];
                process.job == job
                    && process.call == call
                    && process.is_alive()
                    && !process.own_group
            })
            .collect()
    }

    /// A signal of the runner to a call's group. Ends are told to the job after the answer to the signal.
    pub(super) fn signal_group(
        &mut self,
        job: usize,
        call: CallId,
        signal: KillSignal,
        events: &mut VecDeque<Event>,
    ) -> SignalResult {
        let members = self.group(job, call);
        if members.is_empty() {
            return SignalResult::NoSuchProcess;
        }
        let number = if signal == KillSignal::Term {
            TERM
        } else {
            KILL
        };
        for member in members {
            if let Some(event) = self.receive(member, number) {
                events.push_back(event);
            }
        }
        SignalResult::Delivered
    }

    fn deliver(&mut self, index: ProcessIndex, signal: i32) {
        let job = self.processes[index].job;
        if let Some(event) = self.receive(index, signal) {
            self.tell(job, event);
        }
    }

    /// What a signal does to a process; the event for the job, if the call is over by it.
    fn receive(&mut self, index: ProcessIndex, signal: i32) -> Option<Event> {
        if signal == KILL {
            return self.gone(
                index,
                ExitStatus::Signal(KILL),
                "killed (no end event; SIGKILL)",
            );
        }
        let on_term = match self.processes[index].state {
            ProcessState::Gone(_) => return None,
            // Before its first instruction nothing is handled and nothing is recorded.
            ProcessState::Starting => OnTerm::Die,
            ProcessState::Leaving(_) => OnTerm::Ignore,
            ProcessState::Alive => self.processes[index].on_term,
        };
        self.note_signal(index, "SIGTERM");
        match on_term {
            OnTerm::Ignore => None,
            OnTerm::Die => self.gone(index, ExitStatus::Signal(signal), "dies by SIGTERM"),
            OnTerm::Exit(code) => self.gone(index, ExitStatus::Code(code), &format!("exit {code}")),
            OnTerm::ExitAfter(wait, code) => {
                self.processes[index].state = ProcessState::Leaving(code);
                self.schedule(wait, Occurrence::ProcessLeaves(index));
                None
            }
        }
    }

    fn note_signal(&mut self, index: ProcessIndex, name: &'static str) {
        if let Some(record) = self.processes[index].record {
            self.record.calls[record].signals.push((self.now, name));
            self.call_reached(record, CallPoint::Signal);
        }
    }

    pub(super) fn process_leaves(&mut self, index: ProcessIndex) {
        if let ProcessState::Leaving(code) = self.processes[index].state {
            self.end_process(index, ExitStatus::Code(code), &format!("exit {code}"));
        }
    }

    fn end_process(&mut self, index: ProcessIndex, status: ExitStatus, how: &str) {
        let job = self.processes[index].job;
        if let Some(event) = self.gone(index, status, how) {
            self.tell(job, event);
        }
    }

    /// A process is gone; the event for the job, if it was the last thing the call waited for.
    fn gone(&mut self, index: ProcessIndex, status: ExitStatus, how: &str) -> Option<Event> {
        if !self.processes[index].is_alive() {
            return None;
        }
        self.processes[index].state = ProcessState::Gone(status);
        if let Some(record) = self.processes[index].record {
            self.record.calls[record].end = Some((self.now, how.to_owned()));
            self.call_reached(record, CallPoint::End);
        }
        self.call_over(self.processes[index].job, self.processes[index].call)
    }

    fn call_over(&self, job: usize, call: CallId) -> Option<Event> {
        let mut leader = None;
        for (index, process) in self.processes.iter().enumerate() {
            if process.job != job || process.call != call {
                continue;
            }
            if process.is_alive() && process.holds_output {
                return None;
            }
            if process.is_leader {
                match process.state {
                    ProcessState::Gone(status) => leader = Some((index, status)),
                    _ => return None,
                }
            }
        }
        let (index, status) = leader?;
        let exit_code_file = self.exit_code_file(index, status);
        Some(Event::CallEnded {
            call,
            status,
            exit_code_file,
        })
    }

    fn exit_code_file(&self, leader: ProcessIndex, status: ExitStatus) -> ExitCodeFile {
        let Some(spec) = self.spec(leader) else {
            return ExitCodeFile::Absent;
        };
        if status != ExitStatus::Code(spec.read_exit_code_file_on) {
            return ExitCodeFile::Absent;
        }
        self.files
            .exit_code_file(&spec.cwd, Path::new(&spec.exit_code_file))
    }

    /// The recording ends: drivers that outlived the runner are ended by it.
    pub(super) fn end_watch(&mut self) {
        self.watch_over = true;
        for index in 0..self.processes.len() {
            let process = &self.processes[index];
            if process.is_alive()
                && process.is_leader
                && let Some(record) = process.record
            {
                let how = "outlived the runner (killed by the lab)".to_owned();
                self.record.calls[record].end = Some((self.now, how));
            }
        }
    }
}
