//! The runner process around its jobs: what signals do to it (contract H11–H13).

use std::sync::Arc;

use std::time::Duration;

use super::config::SHUTDOWN_TIMEOUT_DEFAULT;
use super::moment::Moment;
use super::protocol::{RunnerLogEntry, RunnerLogLevel};

/// A signal that a runner process gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunnerSignal {
    /// SIGTERM: forceful shutdown.
    Term,
    /// SIGINT: the same on Unix.
    Interrupt,
    /// SIGQUIT: finish the running jobs, take no new ones.
    Quit,
    /// SIGHUP: read the configuration again.
    Hangup,
    /// SIGKILL.
    Kill,
}

impl RunnerSignal {
    /// The runner's word, as in `aborted: terminated`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Term => "terminated",
            Self::Interrupt => "interrupt",
            Self::Quit => "quit",
            Self::Hangup => "hangup",
            Self::Kill => "killed",
        }
    }
}

/// What a runner says about itself when it starts.
#[derive(Debug, Clone)]
pub struct StartupFacts {
    /// Its process id.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Its revision.
    pub revision: String,
    /// Its system id.
    pub system_id: String,
    /// Path of its configuration.
    pub config_file: String,
    /// URL of its GitLab instance.
    pub url: String,
    /// First characters of its token.
    pub short_token: String,
    /// Started as `run-single`.
    pub single_job: bool,
}

/// What it says each time it has read its configuration.
const CONFIGURATION_MESSAGES: [&str; 2] = ["Usage logger disabled", "Configuration loaded"];

const STARTUP_MESSAGES: [&str; 3] = [
    "listen_address not defined, metrics & debug endpoints disabled",
    "[session_server].listen_address not defined, session endpoints disabled",
    "Initializing executor providers",
];

fn bare_entry(message: &str, fields: &[(&str, String)]) -> RunnerLogEntry {
    leveled_entry(RunnerLogLevel::Info, message, fields)
}

fn leveled_entry(
    level: RunnerLogLevel,
    message: &str,
    fields: &[(&str, String)],
) -> RunnerLogEntry {
    let fields = fields
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()))
        .collect();
    RunnerLogEntry {
        job_fields: Arc::default(),
        level,
        message: message.into(),
        fields,
    }
}

/// What the engine has to do after a signal or a deadline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessAction {
    /// Hand `Interrupt` to every job, now and to those that have not got it yet.
    InterruptJobs(&'static str),
    /// The next job sees the configuration as it is then.
    ReloadConfig,
    /// The process is gone at once: no signal, no cleanup, no last update (H12).
    Exit {
        /// Exit status; negative: died of this signal.
        code: i32,
    },
    /// Write a runner-log entry.
    Log(RunnerLogEntry),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Graceful,
    Forceful { deadline: Moment },
    Gone,
}

/// How the runner was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    /// `run`: jobs until it is stopped.
    Run,
    /// `run-single`: one job, nothing else.
    RunSingle,
}

/// The runner process.
#[derive(Debug, Clone)]
pub struct RunnerProcess {
    command: Command,
    state: State,
    shutdown_timeout: Duration,
}

impl RunnerProcess {
    /// A running process.
    pub fn new(shutdown_timeout: Duration) -> Self {
        Self {
            command: Command::Run,
            state: State::Running,
            shutdown_timeout,
        }
    }

    /// A process for one job. It reads only its runner's section of the configuration, so what the top level says about
    /// the shutdown is not known to it.
    pub fn run_single() -> Self {
        Self {
            command: Command::RunSingle,
            state: State::Running,
            shutdown_timeout: SHUTDOWN_TIMEOUT_DEFAULT,
        }
    }

    /// What it logs when it starts, before it has read its configuration and so before it knows at which level.
    pub fn startup_entries(facts: &StartupFacts) -> Vec<RunnerLogEntry> {
        let platform = [
            ("arch", "amd64".to_owned()),
            ("os", "linux".to_owned()),
            ("pid", facts.pid.to_string()),
            ("revision", facts.revision.clone()),
            ("version", facts.version.clone()),
        ];
        let system_id = [("system_id", facts.system_id.clone())];
        let platform = bare_entry("Runtime platform", &platform);
        let created = bare_entry("Created missing unique system ID", &system_id);
        if facts.single_job {
            let starting = format!(
                "Starting runner for {} with token {} ...",
                facts.url, facts.short_token
            );
            return vec![platform, created, bare_entry(&starting, &[])];
        }
        let starting = format!("Starting multi-runner from {}...", facts.config_file);
        vec![
            platform,
            Log {
                builds: 0,
                workers: 0,
            }
            .info(&starting),
            bare_entry("Running in system-mode.", &[]),
            bare_entry("", &[]),
            created,
        ]
    }

    /// What it logs once it has read its configuration.
    pub fn configured_entries(workers: u32) -> Vec<RunnerLogEntry> {
        let log = Log { builds: 0, workers };
        CONFIGURATION_MESSAGES
            .iter()
            .chain(&STARTUP_MESSAGES)
            .map(|message| log.info(message))
            .collect()
    }

    /// Whether it still asks for jobs.
    pub fn takes_jobs(&self) -> bool {
        self.state == State::Running
    }

    /// Whether it is gone.
    pub fn is_gone(&self) -> bool {
        self.state == State::Gone
    }

    /// Whether it was told to stop.
    pub fn is_stopping(&self) -> bool {
        !matches!(self.state, State::Running)
    }

    /// When the shutdown is cut short.
    pub fn next_wake(&self) -> Option<Moment> {
        match self.state {
            State::Forceful { deadline } => Some(deadline),
            _ => None,
        }
    }

    /// Takes a signal. `builds` and `workers` are only for the log.
    pub fn signal(
        &mut self,
        signal: RunnerSignal,
        now: Moment,
        builds: usize,
        workers: u32,
    ) -> Vec<ProcessAction> {
        if self.command == Command::RunSingle {
            return self.signal_to_single(signal, now);
        }
        let log = Log { builds, workers };
        match (self.state, signal) {
            (State::Gone, _) => Vec::new(),
            (_, RunnerSignal::Hangup) => log.reload(),
            (_, RunnerSignal::Kill) => self.exit(-9),
            (State::Running, RunnerSignal::Quit) => {
                self.state = State::Graceful;
                vec![log.received("[runWait]", signal), log.graceful(signal)]
            }
            (State::Graceful, RunnerSignal::Quit) => {
                vec![
                    log.received("[handleGracefulShutdown]", signal),
                    log.graceful(signal),
                ]
            }
            (State::Running, _) => self.force(signal, now, "[runWait]", log),
            (State::Graceful, _) => self.force(signal, now, "[handleGracefulShutdown]", log),
            (State::Forceful { .. }, _) => {
                let error = format!("forced exit with stop signal: {}", signal.word());
                let mut actions = vec![log.received("[handleForcefulShutdown]", signal)];
                actions.extend(self.give_up(&error, log));
                actions
            }
        }
    }

    /// A process for one job knows no reload, and so dies of SIGHUP.
    fn signal_to_single(&mut self, signal: RunnerSignal, now: Moment) -> Vec<ProcessAction> {
        let warning = |message: &str| {
            ProcessAction::Log(leveled_entry(RunnerLogLevel::Warning, message, &[]))
        };
        match (self.state, signal) {
            (State::Gone, _) => Vec::new(),
            (_, RunnerSignal::Hangup) => self.exit(-1),
            (_, RunnerSignal::Kill) => self.exit(-9),
            (State::Running | State::Graceful, RunnerSignal::Quit) => {
                self.state = State::Graceful;
                vec![warning("Requested quit, waiting for builds to finish")]
            }
            (State::Running | State::Graceful, _) => {
                let deadline = now + self.shutdown_timeout;
                self.state = State::Forceful { deadline };
                vec![
                    warning(&format!("Requested exit: {}", signal.word())),
                    ProcessAction::InterruptJobs(signal.word()),
                ]
            }
            (State::Forceful { .. }, _) => self.die(&format!("forced exit: {}", signal.word())),
        }
    }

    /// Lets time pass: the shutdown timeout.
    pub fn wake(&mut self, now: Moment, builds: usize, workers: u32) -> Vec<ProcessAction> {
        match self.state {
            State::Forceful { deadline } if deadline <= now => {
                if self.command == Command::RunSingle {
                    return self.die("shutdown timed out");
                }
                self.give_up("shutdown timed out", Log { builds, workers })
            }
            _ => Vec::new(),
        }
    }

    /// All jobs are done. A process that was told to stop, or that was for one job, ends in peace.
    pub fn jobs_done(&mut self, workers: u32) -> Vec<ProcessAction> {
        if self.command == Command::RunSingle {
            return self.exit(0);
        }
        if !matches!(self.state, State::Graceful | State::Forceful { .. }) {
            return Vec::new();
        }
        self.state = State::Gone;
        let log = Log { builds: 0, workers };
        let timeout = (
            "shutdown-timeout",
            super::go_duration::GoDuration::from(self.shutdown_timeout).to_string(),
        );
        vec![
            log.entry(RunnerLogLevel::Info, "All workers stopped.", &[]),
            log.entry(
                RunnerLogLevel::Info,
                "Shutting down executor providers",
                &[timeout],
            ),
            log.entry(
                RunnerLogLevel::Info,
                "All executor providers shut down.",
                &[],
            ),
            log.entry(RunnerLogLevel::Info, "Can exit now!", &[]),
            ProcessAction::Exit { code: 0 },
        ]
    }

    fn force(
        &mut self,
        signal: RunnerSignal,
        now: Moment,
        place: &str,
        log: Log,
    ) -> Vec<ProcessAction> {
        self.state = State::Forceful {
            deadline: now + self.shutdown_timeout,
        };
        let error = ("error", format!("received stop signal: {}", signal.word()));
        let timeout = (
            "shutdown-timeout",
            super::go_duration::GoDuration::from(self.shutdown_timeout).to_string(),
        );
        let stop_signal = ("StopSignal", signal.word().to_owned());
        vec![
            log.received(place, signal),
            log.entry(
                RunnerLogLevel::Warning,
                "Graceful shutdown not finished properly. To gracefully clean up running plugins \
                 please use SIGQUIT (ctrl-\\) instead of SIGINT (ctrl-c)",
                &[error],
            ),
            log.entry(
                RunnerLogLevel::Warning,
                "Starting forceful shutdown",
                &[stop_signal, timeout],
            ),
            ProcessAction::InterruptJobs(signal.word()),
        ]
    }

    fn give_up(&mut self, error: &str, log: Log) -> Vec<ProcessAction> {
        let error = ("error", error.to_owned());
        let mut actions = vec![
            log.entry(
                RunnerLogLevel::Warning,
                "Forceful shutdown not finished properly",
                std::slice::from_ref(&error),
            ),
            ProcessAction::Log(leveled_entry(
                RunnerLogLevel::Fatal,
                "Service run failed",
                &[error],
            )),
        ];
        actions.extend(self.exit(1));
        actions
    }

    fn die(&mut self, last_words: &str) -> Vec<ProcessAction> {
        let entry = leveled_entry(RunnerLogLevel::Fatal, last_words, &[]);
        let mut actions = vec![ProcessAction::Log(entry)];
        actions.extend(self.exit(1));
        actions
    }

    fn exit(&mut self, code: i32) -> Vec<ProcessAction> {
        self.state = State::Gone;
        vec![ProcessAction::Exit { code }]
    }
}

/// Fields that every entry of the process has.
#[derive(Clone, Copy)]
struct Log {
    builds: usize,
    workers: u32,
}

impl Log {
    fn entry(
        self,
        level: RunnerLogLevel,
        message: &str,
        fields: &[(&str, String)],
    ) -> ProcessAction {
        let mut all = vec![
            ("builds".to_owned(), self.builds.to_string()),
            ("max_builds".to_owned(), self.workers.to_string()),
        ];
        all.extend(
            fields
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone())),
        );
        ProcessAction::Log(RunnerLogEntry {
            job_fields: Arc::default(),
            level,
            message: message.into(),
            fields: all,
        })
    }

    fn info(self, message: &str) -> RunnerLogEntry {
        let fields = [
            ("builds", self.builds.to_string()),
            ("max_builds", self.workers.to_string()),
        ];
        bare_entry(message, &fields)
    }

    fn reload(self) -> Vec<ProcessAction> {
        let entries = CONFIGURATION_MESSAGES
            .iter()
            .map(|message| self.info(message));
        [ProcessAction::ReloadConfig]
            .into_iter()
            .chain(entries.map(ProcessAction::Log))
            .collect()
    }

    fn received(self, place: &str, signal: RunnerSignal) -> ProcessAction {
        let field = ("stop-signal", signal.word().to_owned());
        self.entry(
            RunnerLogLevel::Warning,
            &format!("{place} received stop signal"),
            &[field],
        )
    }

    fn graceful(self, signal: RunnerSignal) -> ProcessAction {
        let field = ("StopSignal", signal.word().to_owned());
        self.entry(
            RunnerLogLevel::Warning,
            "Starting graceful shutdown, waiting for builds to finish",
            &[field],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exits(actions: &[ProcessAction]) -> Option<i32> {
        actions.iter().find_map(|action| match action {
            ProcessAction::Exit { code } => Some(*code),
            _ => None,
        })
    }

    #[test]
    fn a_second_signal_ends_it_at_once() {
        let mut process = RunnerProcess::new(Duration::from_secs(30));
        let first = process.signal(RunnerSignal::Term, Moment::START, 1, 1);
        assert!(first.contains(&ProcessAction::InterruptJobs("terminated")));
        assert_eq!(exits(&first), None);
        let second = process.signal(RunnerSignal::Term, Moment::START, 1, 1);
        assert_eq!(exits(&second), Some(1));
    }

    #[test]
    fn quit_lets_jobs_finish() {
        let mut process = RunnerProcess::new(Duration::from_secs(30));
        let actions = process.signal(RunnerSignal::Quit, Moment::START, 1, 1);
        assert!(
            !actions
                .iter()
                .any(|action| matches!(action, ProcessAction::InterruptJobs(_)))
        );
        assert!(!process.takes_jobs());
        assert_eq!(exits(&process.jobs_done(1)), Some(0));
    }

    #[test]
    fn a_reload_is_told() {
        let mut process = RunnerProcess::new(Duration::from_secs(30));
        let actions = process.signal(RunnerSignal::Hangup, Moment::START, 1, 2);
        assert_eq!(actions[0], ProcessAction::ReloadConfig);
        let ProcessAction::Log(entry) = &actions[2] else {
            panic!("the configuration is loaded: {actions:?}");
        };
        assert_eq!(entry.message, "Configuration loaded");
        assert!(entry.fields.contains(&("builds".into(), "1".into())));
    }

    #[test]
    fn a_process_for_one_job_waits_for_it_by_its_own_timeout() {
        let mut process = RunnerProcess::run_single();
        let actions = process.signal(RunnerSignal::Term, Moment::START, 1, 1);
        assert!(actions.contains(&ProcessAction::InterruptJobs("terminated")));
        let deadline = process
            .next_wake()
            .expect("a forceful shutdown has a deadline");
        assert_eq!(deadline, Moment::START + SHUTDOWN_TIMEOUT_DEFAULT);
        assert_eq!(exits(&process.wake(deadline, 1, 1)), Some(1));
    }

    #[test]
    fn a_process_for_one_job_ends_with_it() {
        let mut process = RunnerProcess::run_single();
        assert_eq!(exits(&process.jobs_done(1)), Some(0));
    }

    #[test]
    fn a_process_for_one_job_dies_of_a_hangup() {
        let mut process = RunnerProcess::run_single();
        let actions = process.signal(RunnerSignal::Hangup, Moment::START, 1, 1);
        assert_eq!(exits(&actions), Some(-1));
    }

    #[test]
    fn the_shutdown_timeout_ends_it() {
        let mut process = RunnerProcess::new(Duration::from_secs(30));
        process.signal(RunnerSignal::Interrupt, Moment::START, 1, 1);
        let deadline = process
            .next_wake()
            .expect("a forceful shutdown has a deadline");
        assert_eq!(exits(&process.wake(deadline, 1, 1)), Some(1));
    }
}
