//! Transitions: into what a runner can lead a driver, and into which of it a run has led one.
//!
//! A transition is a call with what becomes of it: it ends in one of a few ways, or something happens to its job while it
//! runs. Which there are is not written down but found out, by walking the emulated runner through every one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use driver_conformance_reports::model::MissingTransition;

use crate::contract::build::{Build, RunnerFacts};
use crate::contract::config::RunnerConfig;
use crate::contract::exit::{ExitCodeFile, ExitCodes, ExitStatus};
use crate::contract::job::{Job, JobInputs, Timing};
use crate::contract::moment::Moment;
use crate::contract::names::NameSource;
use crate::contract::payload::JobPayload;
use crate::contract::protocol::{
    Action, CallId, CallSpec, Emulation, Event, KillSignal, SignalResult, TimeLimit,
};
use crate::contract::stage::{Program, Stage};
use crate::plan::case::{
    Case, CaseJob, HostEnvironment, JobShape, ProbeEnding, Sequence, StimulusAction, Trigger,
};
use crate::trace::{CallRecord, Trace};

use super::call_name;
use super::payload::payload;
use super::runner_settings::URL;

/// A call, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Transition {
    /// Which program.
    pub program: Program,
    /// Which stage, for run.
    pub stage: Option<Stage>,
    /// What becomes of it.
    pub fate: Fate,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// It ends by itself, well.
    Succeeds,
    /// Its script fails.
    ScriptFails,
    /// Its script is killed by a signal.
    ScriptKilled,
    /// The driver says that it could not do its own part.
    EnvironmentFails,
    /// Something happens while it runs.
    Meets {
        /// What.
        event: StimulusAction,
        /// Whether its script is deaf to SIGTERM.
        deaf: bool,
    },
}

impl fmt::Display for Transition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let call = call_name(self.program, self.stage.as_ref());
        let event = match self.fate {
            Fate::Succeeds => return write!(formatter, "{call} succeeds"),
            Fate::ScriptFails => return write!(formatter, "{call}: its script fails"),
            Fate::ScriptKilled => return write!(formatter, "{call}: its script is killed"),
            Fate::EnvironmentFails => return write!(formatter, "{call}: its environment fails"),
            Fate::Meets { event, .. } => event,
        };
        let event = match event {
            StimulusAction::Cancel => "the job is cancelled",
            StimulusAction::Abort => "the job is over in GitLab",
            StimulusAction::TimeIsUp(TimeLimit::Call) => "its time is up",
            StimulusAction::TimeIsUp(TimeLimit::Job) => "the job's time is up",
            StimulusAction::RunnerTerm => "the runner gets SIGTERM",
            StimulusAction::RunnerTermTwice => "the runner gets SIGTERM twice",
            StimulusAction::RunnerKill => "the runner is killed",
            StimulusAction::DriverTerm => "the driver gets SIGTERM from outside",
            StimulusAction::DriverKill => "the driver is killed",
            StimulusAction::HelpersKill => "what earlier calls have left running is killed",
        };
        let deaf = match self.fate {
            Fate::Meets { deaf: true, .. } => ", the script ignores SIGTERM",
            _ => "",
        };
        write!(formatter, "{call}: {event}{deaf}")
    }
}

/// What can happen to a job while a call runs.
const EVENTS: [StimulusAction; 8] = [
    StimulusAction::Cancel,
    StimulusAction::Abort,
    StimulusAction::TimeIsUp(TimeLimit::Call),
    StimulusAction::TimeIsUp(TimeLimit::Job),
    StimulusAction::RunnerTerm,
    StimulusAction::RunnerTermTwice,
    StimulusAction::RunnerKill,
    StimulusAction::DriverKill,
];

/// The transitions that a run has led the driver into.
pub(super) fn covered(case: &Case, trace: &Trace) -> BTreeSet<Transition> {
    // What is done to processes that a driver has left running changes nothing for the runner.
    let events = || {
        let stimuli = trace.stimuli.iter();
        stimuli.filter(|stimulus| stimulus.action != StimulusAction::HelpersKill)
    };
    let met = events().filter_map(|stimulus| {
        let call = &trace.calls[stimulus.hit?.0];
        let deaf =
            ending(call) == Some(ProbeEnding::HangIgnoringTerm) && sends_signals(stimulus.action);
        Some(transition(
            call,
            Fate::Meets {
                event: stimulus.action,
                deaf,
            },
        ))
    });
    let hit = |index: usize| {
        let mut hits = events().filter_map(|stimulus| stimulus.hit);
        hits.any(|call| call.0 == index)
    };
    let calls = trace.calls.iter().enumerate();
    let ended = calls
        .filter(|(index, call)| !hit(*index) && call.ended.is_some())
        .filter_map(|(_, call)| Some(transition(call, own_end(case, call)?)));
    met.chain(ended).collect()
}

fn transition(call: &CallRecord, fate: Fate) -> Transition {
    Transition {
        program: call.program,
        stage: call.stage.clone(),
        fate,
    }
}

fn ending(call: &CallRecord) -> Option<ProbeEnding> {
    call.probe.as_ref().map(|probe| probe.ending)
}

fn own_end(case: &Case, call: &CallRecord) -> Option<Fate> {
    let (_, status) = call.leader_exit?;
    let codes = case.jobs.get(call.job)?.exit_codes;
    if status == ExitStatus::Code(codes.system_failure.into()) {
        return Some(Fate::EnvironmentFails);
    }
    match ending(call) {
        Some(ProbeEnding::Code(_)) => Some(Fate::ScriptFails),
        Some(ProbeEnding::Signal(_)) => Some(Fate::ScriptKilled),
        Some(ProbeEnding::Success) | None if status.is_success() => Some(Fate::Succeeds),
        _ => None,
    }
}

/// Whether the runner asks the driver to end because of this, so that it matters whether the script listens.
fn sends_signals(event: StimulusAction) -> bool {
    !matches!(
        event,
        StimulusAction::RunnerTermTwice
            | StimulusAction::RunnerKill
            | StimulusAction::DriverKill
            | StimulusAction::HelpersKill
    )
}

/// How much of what there is a run has seen.
#[derive(Debug)]
pub(super) struct Coverage {
    /// How many transitions there are for this driver.
    pub(super) total: usize,
    /// Those that were not taken.
    pub(super) missing: Vec<MissingTransition>,
    /// What this driver cannot be led into at all, in sentences.
    pub(super) out_of_reach: Vec<String>,
}

impl Coverage {
    pub(super) fn of(
        runner: &RunnerConfig,
        cases: &[&Case],
        covered: &BTreeSet<Transition>,
    ) -> Self {
        let reachable = reachable(runner);
        let aimed: BTreeSet<Transition> = cases.iter().flat_map(|case| aimed_at(case)).collect();
        let reason = |transition: &Transition| {
            let reason = if aimed.contains(transition) {
                "the call was over, or was never made, when it was to happen"
            } else {
                "no case of this run leads there; --exhaustive has them all"
            };
            MissingTransition {
                transition: transition.to_string(),
                reason: reason.to_owned(),
            }
        };
        Self {
            total: reachable.len(),
            missing: reachable.difference(covered).map(reason).collect(),
            out_of_reach: out_of_reach(runner, &reachable),
        }
    }
}

/// A sentence for each program that the driver does not have.
fn out_of_reach(runner: &RunnerConfig, reachable: &BTreeSet<Transition>) -> Vec<String> {
    let mut complete = runner.clone();
    let custom = complete.custom.get_or_insert_default();
    let programs = [
        (Program::Config, &mut custom.config_exec),
        (Program::Prepare, &mut custom.prepare_exec),
        (Program::Cleanup, &mut custom.cleanup_exec),
    ];
    let mut absent = Vec::new();
    for (program, path) in programs {
        if path.is_empty() {
            program.name().clone_into(path);
            absent.push(program);
        }
    }
    if absent.is_empty() {
        return Vec::new();
    }
    let all = self::reachable(&complete);
    let beyond = |program: &Program| {
        let missing = all.difference(reachable);
        let count = missing.filter(|one| one.program == *program).count();
        format!("the driver has no {program}: {count} transitions are out of its reach")
    };
    absent.iter().map(beyond).collect()
}

/// The events that a case lets meet calls, as far as its file tells.
fn aimed_at(case: &Case) -> Vec<Transition> {
    case.jobs.iter().flat_map(aimed_at_in).collect()
}

fn aimed_at_in(job: &CaseJob) -> impl Iterator<Item = Transition> {
    job.stimuli.iter().map(|stimulus| {
        let (program, stage) = match &stimulus.when {
            Trigger::Marker { stage, .. } => (Program::Run, Some(stage.clone())),
            Trigger::CallStarted { program, stage, .. } | Trigger::Child { program, stage, .. } => {
                (*program, stage.clone())
            }
        };
        let probe = stage.as_ref().and_then(|stage| job.probes.get(stage));
        let fate = Fate::Meets {
            event: stimulus.action,
            deaf: probe.is_some_and(|probe| probe.ending == ProbeEnding::HangIgnoringTerm),
        };
        Transition {
            program,
            stage,
            fate,
        }
    })
}

/// All transitions into which this runner can lead a driver with these programs.
pub(super) fn reachable(runner: &RunnerConfig) -> BTreeSet<Transition> {
    let mut found = BTreeSet::new();
    for course in [Course::Smooth, Course::ScriptFails, Course::SourcesFail] {
        find_reachable(&Walker::new(course, runner), &mut found);
    }
    found
}

/// Adds what can be reached in this course. What was found in another one is not looked for again: each walk is a whole job.
fn find_reachable(walker: &Walker, found: &mut BTreeSet<Transition>) {
    let undisturbed = walker.walk(None);
    for (program, stage) in undisturbed.calls.iter().cloned().collect::<BTreeSet<_>>() {
        let with = |fate| Transition {
            program,
            stage: stage.clone(),
            fate,
        };
        found.insert(with(Fate::Succeeds));
        if program == Program::Run {
            found.extend(
                [
                    Fate::ScriptFails,
                    Fate::ScriptKilled,
                    Fate::EnvironmentFails,
                ]
                .map(with),
            );
        }
        for event in EVENTS {
            let [heedful, deaf] = [false, true].map(|deaf| with(Fate::Meets { event, deaf }));
            if !sends_signals(event) {
                found.insert(heedful);
                continue;
            }
            // Only a script can be made deaf, and only a signal tells.
            let may_be_deaf = program == Program::Run;
            if found.contains(&heedful) && (found.contains(&deaf) || !may_be_deaf) {
                continue;
            }
            let disturbed = walker.walk(Some(((program, stage.clone()), event)));
            if disturbed == undisturbed {
                continue;
            }
            found.insert(heedful);
            if may_be_deaf && disturbed.signalled {
                found.insert(deaf);
            }
        }
    }
}

/// Longer than any limit of a call or a stage, since only a shorter one counts.
const JOB_TIMEOUT: Duration = Duration::from_hours(24);
/// Longer than the runner's pauses between attempts. Time passes only when told to.
const STAGE_LIMIT: &str = "6h";

/// Jobs that together have every stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    /// All goes well.
    Smooth,
    /// The build script fails.
    ScriptFails,
    /// The sources come at the second attempt.
    SourcesFail,
}

/// Name of a call.
type CallName = (Program, Option<Stage>);

/// What a driver sees of a job.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    calls: Vec<CallName>,
    signalled: bool,
}

/// Leads the emulated runner through a job, in no time.
struct Walker {
    course: Course,
    build: Build,
}

impl Walker {
    fn new(course: Course, runner: &RunnerConfig) -> Self {
        let mut runner = runner.clone();
        for limit in [&mut runner.prepare_timeout, &mut runner.get_sources_timeout] {
            *limit = Some(STAGE_LIMIT.to_owned());
        }
        if runner.url.is_empty() {
            URL.clone_into(&mut runner.url);
        }
        for directory in [&mut runner.builds_dir, &mut runner.cache_dir] {
            "/directory".clone_into(directory);
        }
        let job = CaseJob {
            job_id: 12,
            concurrent_id: 0,
            own_project: false,
            sequence: Sequence::Job(JobShape {
                steps: vec!["script".into(), "release".into()],
                after_script: true,
                cache: true,
                dependencies: true,
                artifacts: true,
                stage_attempts: Some(2),
            }),
            runner: runner.clone(),
            job_timeout: JOB_TIMEOUT,
            exit_codes: ExitCodes::STRICT,
            probes: BTreeMap::new(),
            host_environment: HostEnvironment::Minimal,
            blank_in_temp_dir: false,
            variables: vec![("RUNNER_SCRIPT_TIMEOUT".into(), STAGE_LIMIT.into())],
            image: None,
            services: Vec::new(),
            stimuli: Vec::new(),
        };
        // A payload of our own making: the default stands for nothing if it cannot be read, and the tests would tell.
        let payload = JobPayload::from_value(payload(&job)).unwrap_or_default();
        Self {
            course,
            build: Build::new(payload, runner, RunnerFacts::default(), 0, 0),
        }
    }

    /// What a driver sees if nothing happens, or if something happens during the first such call, which then waits to be
    /// ended.
    fn walk(&self, disturbance: Option<(CallName, StimulusAction)>) -> Seen {
        let mut walk = Walk {
            course: self.course,
            job: Job::new(JobInputs {
                build: self.build.clone(),
                host_environment: [].into(),
                temp_root: "/tmp".into(),
                exit_codes: ExitCodes::STRICT,
                timing: Timing::default(),
                started_at_unix_us: 0,
                names: NameSource::new(1),
                probes: None,
            }),
            now: Moment::START,
            events: vec![Event::Begin],
            disturbance,
            waiting: None,
            seen: Seen::default(),
        };
        walk.run();
        walk.seen
    }
}

/// More steps than any job takes.
const STEPS_MAX: usize = 10_000;

struct Walk {
    course: Course,
    job: Job,
    now: Moment,
    /// What is to be told to the job, the next one last.
    events: Vec<Event>,
    disturbance: Option<(CallName, StimulusAction)>,
    /// The call that waits to be ended.
    waiting: Option<CallId>,
    seen: Seen,
}

impl Walk {
    fn run(&mut self) {
        for _ in 0..STEPS_MAX {
            let event = match self.events.pop() {
                Some(event) => event,
                None => match self.next_event() {
                    Some(event) => event,
                    None => return,
                },
            };
            for action in self.job.handle(event, self.now) {
                let answers = self.act(action);
                // The answer to the first action is to be told first.
                self.events.splice(0..0, answers.into_iter().rev());
            }
        }
    }

    /// Nothing is left to be told: a call that nobody ended ends by itself, or time passes.
    fn next_event(&mut self) -> Option<Event> {
        if let Some(call) = self.waiting.take_if(|_| !self.seen.signalled) {
            return Some(ended(call, ExitStatus::Code(0)));
        }
        self.now = self.job.next_wake()?;
        Some(Event::Wake)
    }

    fn act(&mut self, action: Action) -> Vec<Event> {
        match action {
            Action::MakeTempDir { .. } => vec![Event::TempDirMade],
            Action::StartCall(spec) => self.start(&spec),
            Action::SignalGroup { call, signal } => {
                self.seen.signalled = true;
                let sent = Event::SignalSent {
                    call,
                    signal,
                    result: SignalResult::Delivered,
                };
                let mut events = vec![sent];
                if signal == KillSignal::Term && self.waiting.take() == Some(call) {
                    events.push(ended(call, ExitStatus::Signal(15)));
                }
                events
            }
            _ => Vec::new(),
        }
    }

    fn start(&mut self, spec: &CallSpec) -> Vec<Event> {
        let name = (spec.program, spec.stage.clone());
        self.seen.calls.push(name.clone());
        let started = Event::CallStarted {
            call: spec.id,
            pid: 1,
        };
        let Some((_, event)) = self.disturbance.take_if(|(target, _)| *target == name) else {
            return vec![started, ended(spec.id, self.exit(spec))];
        };
        self.waiting = Some(spec.id);
        let event = match event {
            StimulusAction::Cancel => Event::Cancel,
            StimulusAction::Abort => Event::Abort,
            StimulusAction::TimeIsUp(limit) => Event::TimeIsUp(limit),
            _ => Event::Interrupt("terminated"),
        };
        vec![started, event]
    }

    fn exit(&self, spec: &CallSpec) -> ExitStatus {
        let fails = match self.course {
            Course::Smooth => false,
            Course::ScriptFails => spec.stage == Some(Stage::build_script()),
            Course::SourcesFail => spec.stage == Some(Stage::GetSources) && spec.nth == 1,
        };
        let code = if fails {
            ExitCodes::STRICT.build_failure
        } else {
            0
        };
        ExitStatus::Code(code.into())
    }
}

fn ended(call: CallId, status: ExitStatus) -> Event {
    Event::CallEnded {
        call,
        status,
        exit_code_file: ExitCodeFile::Absent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::config::CustomConfig;
    use crate::plan::{Calibration, CaseDefaults, load_cases};

    fn all_programs() -> RunnerConfig {
        RunnerConfig {
            custom: Some(CustomConfig {
                config_exec: "/config".into(),
                prepare_exec: "/prepare".into(),
                run_exec: "/run".into(),
                cleanup_exec: "/cleanup".into(),
                ..CustomConfig::default()
            }),
            ..RunnerConfig::default()
        }
    }

    fn transition(program: Program, stage: Option<Stage>, fate: Fate) -> Transition {
        Transition {
            program,
            stage,
            fate,
        }
    }

    fn meets(event: StimulusAction) -> Fate {
        Fate::Meets { event, deaf: false }
    }

    #[test]
    fn what_a_cancel_reaches_is_found_by_walking() {
        let reachable = reachable(&all_programs());
        let cancelled = |stage| {
            let fate = meets(StimulusAction::Cancel);
            reachable.contains(&transition(Program::Run, Some(stage), fate))
        };
        assert!(cancelled(Stage::ClearWorktree));
        assert!(cancelled(Stage::build_script()));
        // H5: a cancel ends nothing that comes after the script.
        assert!(!cancelled(Stage::AfterScript));
        assert!(!cancelled(Stage::CleanupFileVariables));
    }

    #[test]
    fn only_what_has_a_limit_can_meet_its_end() {
        let reachable = reachable(&all_programs());
        let fate = meets(StimulusAction::TimeIsUp(TimeLimit::Call));
        let stages: Vec<String> = reachable
            .iter()
            .filter(|transition| transition.fate == fate)
            .map(|transition| call_name(transition.program, transition.stage.as_ref()))
            .collect();
        assert_eq!(
            stages,
            [
                "config",
                "prepare",
                "run prepare_script",
                "run get_sources",
                "run clear_worktree",
                "run step_release",
                "run build_script",
                "run after_script",
                "cleanup"
            ]
        );
    }

    #[test]
    fn a_driver_without_a_program_has_fewer() {
        let all = reachable(&all_programs());
        let mut runner = all_programs();
        runner.custom.get_or_insert_default().prepare_exec.clear();
        let fewer = reachable(&runner);
        assert!(fewer.is_subset(&all));
        let missing = all.difference(&fewer);
        assert!(
            missing
                .into_iter()
                .all(|one| one.program == Program::Prepare)
        );
        assert!(fewer.len() < all.len());
    }

    #[test]
    fn every_event_that_can_meet_a_call_has_a_case() {
        let aimed: BTreeSet<Transition> = cases().iter().flat_map(aimed_at).collect();
        let missing: Vec<String> = reachable(&all_programs())
            .difference(&aimed)
            .filter(|transition| matches!(transition.fate, Fate::Meets { .. }))
            .map(ToString::to_string)
            .collect();
        assert!(missing.is_empty(), "no case leads into {missing:#?}");
    }

    #[test]
    fn no_case_waits_for_an_event_that_changes_nothing() {
        let reachable = reachable(&all_programs());
        for case in cases() {
            for aim in aimed_at(&case) {
                let known = matches!(
                    aim.fate,
                    Fate::Meets {
                        event: StimulusAction::DriverTerm | StimulusAction::HelpersKill,
                        ..
                    }
                );
                assert!(known || reachable.contains(&aim), "{}: {aim}", case.name);
            }
        }
    }

    fn cases() -> Vec<Case> {
        let defaults = CaseDefaults {
            runner: all_programs(),
            calibration: Calibration::default(),
            variables: Vec::new(),
            image: None,
            services: Vec::new(),
        };
        load_cases(&defaults).expect("the embedded scenarios make sense")
    }
}
