//! Calls that hang: what shows it, and how long the other cases wait for such a call once it is known.
//!
//! A call that hangs in one case hangs in most. The first case waits long enough to be sure, and is judged. The others
//! give the program a short time, and where it is not over by then, the case is ended and told as skipped, with the case
//! that shows the hang as the reason: nothing is called passed that was not looked at.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::contract::config::CustomConfig;
use crate::contract::stage::{Program, Stage};
use crate::trace::{Abortion, CallIndex, CallRecord, Trace};

use super::Calibration;
use super::case::{Case, JobOrder, ProbeEnding, StimulusAction};
use super::patience::CALL_SECONDS_MIN;

/// Longest time for prepare in the nominal job: it may boot a machine. Whether a driver that asks again and again for one
/// to be ready is slow or hangs cannot be seen from outside; its `prepare_exec_timeout` says so, if it is set.
const NOMINAL_PREPARE: Duration = Duration::from_mins(3);
/// Longest time for run and cleanup in the nominal job.
const NOMINAL_CALL: Duration = Duration::from_mins(1);
/// Longest time for config, which only prints a few settings.
const NOMINAL_CONFIG: Duration = Duration::from_secs(40);
/// Longest time that is granted to a program whose own timeout is set in the driver's configuration.
const NOMINAL_CONFIGURED_MAX: Duration = Duration::from_mins(10);
/// How long pipes may stay open after the exit before the call is taken to hang.
const NOMINAL_HELD: Duration = Duration::from_secs(10);
/// Time between SIGTERM and SIGKILL in the nominal job.
pub const NOMINAL_GRACEFUL_KILL: Duration = Duration::from_secs(10);
/// Time between SIGKILL and giving up in the nominal job.
pub const NOMINAL_FORCE_KILL: Duration = Duration::from_secs(3);

/// Least time that a call known to hang is waited for.
const KNOWN_MIN: Duration = Duration::from_millis(700);
/// A call of a program that is known to hang is waited for this many times the program's nominal time.
const KNOWN_FACTOR: u32 = 3;
/// Time between the steps by which a call known to hang is ended.
const KNOWN_STEP: Duration = Duration::from_millis(300);

/// How long the calls of one program may take before the harness takes them to hang and ends the case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimit {
    /// From its start until the leader exits.
    pub whole: Duration,
    /// From the exit of the leader until both pipes are closed.
    pub held: Duration,
}

/// How a call is ended that has passed its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By the emulated runner, as when the job is over in GitLab. Only cleanup, which the runner does not end then, is ended by
    /// the harness.
    ByRunner,
    /// By the harness, whatever it is: what becomes of it is known.
    AtOnce,
}

/// What the engine watches calls for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// By program; one that is absent is not watched.
    pub limits: BTreeMap<Program, CallLimit>,
    /// How a call beyond its limit is ended.
    pub ending: Ending,
    /// Time between SIGTERM and SIGKILL where the harness ends a call.
    pub kill_after: Duration,
    /// Time between SIGKILL and the harness closing the pipes of the call.
    pub close_after: Duration,
}

/// How a call hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It does not end.
    Runs,
    /// It exits, and another process keeps its output open.
    HoldsOutput,
}

/// A program that was seen to hang although nothing was done to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hang {
    /// The program.
    pub program: Program,
    /// The stage in which it was seen.
    pub stage: Option<Stage>,
    /// How.
    pub manner: Manner,
    /// The case that shows it.
    pub case: String,
}

impl fmt::Display for Hang {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.program)?;
        if let Some(stage) = &self.stage {
            write!(formatter, " {stage}")?;
        }
        formatter.write_str(match self.manner {
            Manner::Runs => " does not end",
            Manner::HoldsOutput => " leaves a process behind that keeps its output open",
        })
    }
}

impl Hang {
    /// What a case shows: calls that had to be ended although nothing had been done to them.
    pub fn shown_by(case: &Case, trace: &Trace) -> Vec<Self> {
        let calls = trace.calls.iter().enumerate();
        calls
            .filter(|(index, call)| innocent(case, trace, CallIndex(*index), call))
            .filter_map(|(index, call)| {
                Some(Self {
                    program: call.program,
                    stage: call.stage.clone(),
                    manner: manner(trace, CallIndex(index), call)?,
                    case: case.name.clone(),
                })
            })
            .collect()
    }
}

impl Hang {
    /// Whether the call may have waited for a place that a job of another case had: a driver may have room for one job, and
    /// let the next one wait.
    pub fn may_wait_for_others(&self) -> bool {
        self.program == Program::Prepare && self.manner == Manner::Runs
    }
}

/// Nothing in the scenario explains that the call had to be ended.
fn innocent(case: &Case, trace: &Trace, index: CallIndex, call: &CallRecord) -> bool {
    let Some(job) = case.jobs.get(call.job) else {
        return false;
    };
    // A driver that has room for one job alone waits while another one is alive.
    if case.jobs.len() > 1 && case.order != JobOrder::Sequential {
        return false;
    }
    let waits = |ending| matches!(ending, ProbeEnding::Hang | ProbeEnding::HangIgnoringTerm);
    let signals_drivers = job.stimuli.iter().any(|stimulus| {
        matches!(
            stimulus.action,
            StimulusAction::DriverTerm | StimulusAction::DriverKill
        )
    });
    let quiet = job.stimuli.is_empty() && !job.probes.values().any(|probe| waits(probe.ending));
    let own = call.probe.as_ref().is_some_and(|probe| waits(probe.ending));
    // Only the first call that the harness gave up: the others were ended because of it.
    let first = match trace.aborted {
        Some(Abortion::Hang { call }) => call == index || call.0 > index.0,
        _ => true,
    };
    let innocent = match call.program {
        Program::Cleanup => !signals_drivers,
        Program::Config | Program::Prepare | Program::Run => quiet && !own,
    };
    innocent && first
}

fn manner(trace: &Trace, index: CallIndex, call: &CallRecord) -> Option<Manner> {
    let given_up = trace.aborted == Some(Abortion::Hang { call: index });
    let (ended, ..) = *call.signals.first()?;
    // A job may reach its timeout in a call that is merely one of many slow ones.
    let long = ended.since(call.started) >= Duration::from_secs(CALL_SECONDS_MIN);
    if !given_up && !long {
        return None;
    }
    match call.leader_exit {
        Some((exit, _)) if exit < ended => Some(Manner::HoldsOutput),
        _ => Some(Manner::Runs),
    }
}

impl Watch {
    /// For the nominal job, of which nothing is known but what the driver's configuration says.
    pub fn nominal(custom: &CustomConfig) -> Self {
        let limit = |usual: Duration, configured: Option<i64>| {
            let configured = configured
                .and_then(|seconds| u64::try_from(seconds).ok())
                .filter(|seconds| *seconds > 0)
                .map(|seconds| Duration::from_secs(seconds).min(NOMINAL_CONFIGURED_MAX));
            CallLimit {
                whole: configured.unwrap_or(usual),
                held: NOMINAL_HELD,
            }
        };
        let limits = [
            (
                Program::Config,
                limit(NOMINAL_CONFIG, custom.config_exec_timeout),
            ),
            (
                Program::Prepare,
                limit(NOMINAL_PREPARE, custom.prepare_exec_timeout),
            ),
            (Program::Run, limit(NOMINAL_CALL, None)),
            (
                Program::Cleanup,
                limit(NOMINAL_CALL, custom.cleanup_exec_timeout),
            ),
        ];
        Self {
            limits: limits.into(),
            ending: Ending::ByRunner,
            kill_after: NOMINAL_GRACEFUL_KILL,
            close_after: NOMINAL_FORCE_KILL,
        }
    }

    /// For the cases after programs were seen to hang; `None` if there are none.
    pub fn for_known(hangs: &[Hang], calibration: &Calibration) -> Option<Self> {
        let limit = |program| {
            let nominal = calibration.of(program).saturating_mul(KNOWN_FACTOR);
            let limit = nominal.max(KNOWN_MIN);
            CallLimit {
                whole: limit,
                held: KNOWN_MIN,
            }
        };
        let limits: BTreeMap<_, _> = hangs
            .iter()
            .map(|hang| (hang.program, limit(hang.program)))
            .collect();
        (!limits.is_empty()).then_some(Self {
            limits,
            ending: Ending::AtOnce,
            kill_after: KNOWN_STEP,
            close_after: KNOWN_STEP,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{Scene, exits, hangs};

    fn seen(scene: &Scene) -> Vec<(Program, Manner)> {
        Hang::shown_by(&scene.case, &scene.trace)
            .into_iter()
            .map(|hang| (hang.program, hang.manner))
            .collect()
    }

    /// The call added last was ended by SIGTERM this many seconds after its start.
    fn ended_after(scene: Scene, seconds: u64) -> Scene {
        scene.terminated().but(|call| {
            let at = call.started + Duration::from_secs(seconds);
            call.signals[0].0 = at;
            if call
                .leader_exit
                .is_some_and(|(_, status)| !status.is_success())
            {
                call.leader_exit = call.leader_exit.map(|(_, status)| (at, status));
            }
        })
    }

    #[test]
    fn calls_that_had_to_be_ended_hang() {
        let prepare = Scene::new().call(Program::Prepare, 143);
        assert_eq!(
            seen(&ended_after(prepare, 9)),
            [(Program::Prepare, Manner::Runs)]
        );
        let exited = Scene::new().run("get_sources", exits(0), 0);
        assert_eq!(
            seen(&ended_after(exited, 20)),
            [(Program::Run, Manner::HoldsOutput)]
        );
    }

    #[test]
    fn a_quick_call_that_the_timeout_of_the_job_ends_does_not_hang() {
        let scene = Scene::new().run("get_sources", exits(0), 143);
        assert_eq!(seen(&ended_after(scene, 3)), []);
    }

    #[test]
    fn what_the_scenario_explains_is_no_hang() {
        let cancelled = ended_after(Scene::new().call(Program::Prepare, 143), 9);
        assert_eq!(seen(&cancelled.stimulus(StimulusAction::Cancel)), []);
        let waiting = Scene::new().run("build_script", hangs(), 143);
        assert_eq!(seen(&ended_after(waiting, 9)), []);
    }

    #[test]
    fn what_was_ended_because_of_a_hang_does_not_hang_itself() {
        let scene = ended_after(Scene::new().call(Program::Prepare, 143), 9);
        let mut scene = ended_after(scene.call(Program::Prepare, 143), 9);
        scene.trace.aborted = Some(Abortion::Hang { call: CallIndex(1) });
        assert_eq!(seen(&scene).len(), 2);
        scene.trace.aborted = Some(Abortion::Hang { call: CallIndex(0) });
        assert_eq!(seen(&scene).len(), 1);
    }

    #[test]
    fn a_timeout_in_the_configuration_is_the_limit() {
        let mut custom = CustomConfig::default();
        let limit = |custom: &CustomConfig| Watch::nominal(custom).limits[&Program::Prepare].whole;
        assert_eq!(limit(&custom), NOMINAL_PREPARE);
        custom.prepare_exec_timeout = Some(300);
        assert_eq!(limit(&custom), Duration::from_mins(5));
        custom.prepare_exec_timeout = Some(0);
        assert_eq!(limit(&custom), NOMINAL_PREPARE);
    }

    #[test]
    fn a_program_known_to_hang_gets_little_time_and_the_others_are_not_watched() {
        let hang = Hang {
            program: Program::Run,
            stage: Some(Stage::GetSources),
            manner: Manner::Runs,
            case: "job/every-stage".to_owned(),
        };
        assert_eq!(hang.to_string(), "run get_sources does not end");
        let calibration = Calibration {
            run: Duration::from_secs(2),
            ..Calibration::default()
        };
        let watch = Watch::for_known(&[hang], &calibration).expect("something is watched");
        let programs: Vec<_> = watch.limits.keys().copied().collect();
        assert_eq!(programs, [Program::Run]);
        assert_eq!(watch.limits[&Program::Run].whole, Duration::from_secs(6));
        assert_eq!(Watch::for_known(&[], &calibration), None);
    }
}
