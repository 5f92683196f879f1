//! How long the emulated runner waits for this driver: whole seconds, as the runner's settings are, never less than a
//! floor, and several times what the driver needs when nothing is in the way (design §4). Too little would accuse a slow
//! driver; too much would make each case with a hanging call cost minutes.

use std::time::Duration;

use crate::contract::config::CustomConfig;
use crate::contract::stage::Program;
use crate::plan::case::{Case, ProbeEnding, ProbeOutput};
use crate::trace::{CallRecord, Trace};

use super::Calibration;
use super::hang::{NOMINAL_FORCE_KILL, NOMINAL_GRACEFUL_KILL};

/// Least time between SIGTERM and SIGKILL.
pub const GRACEFUL_KILL_SECONDS_MIN: u64 = 2;
/// The same where it is to be certain that a call does not end: longer than the ten seconds that it is usual to give to
/// processes before they are killed, and that a driver may give to its box.
pub const PATIENT_GRACEFUL_KILL_SECONDS: i64 = 15;
/// Least time between SIGKILL and giving up.
pub const FORCE_KILL_SECONDS_MIN: u64 = 2;
/// Least time for a call of config.
pub const CALL_SECONDS_MIN: u64 = 8;
/// Least time for a call of prepare or cleanup. They end what a job has left behind, and where its processes do not heed
/// SIGTERM it is usual to give them ten seconds, which the nominal job never needs.
pub const ENDING_CALL_SECONDS_MIN: u64 = 25;
/// Least time for a job that nothing happens to.
pub const JOB_SECONDS_MIN: u64 = 20;
/// Least time for a job that is meant to reach its timeout.
pub const SHORT_JOB_SECONDS_MIN: u64 = 3;

/// Most calls of run in one job of the suite: what a job's time is reckoned with.
const RUN_CALLS_MAX: u32 = 20;
/// Calls of run before the build script, in a job that hangs there.
const RUN_CALLS_BEFORE_BUILD_SCRIPT: u32 = 3;

/// So many times their nominal time calls take only on a machine that starves them; several cases at once alone cost less.
const SLOWDOWN_FACTOR: u32 = 4;
/// What a call may take besides, however quick it is otherwise.
const SLOWDOWN_MIN: Duration = Duration::from_millis(400);

/// `factor` times `nominal` in whole seconds, rounded up, at least `floor`.
fn seconds(nominal: Duration, factor: u32, floor: u64) -> u64 {
    let scaled = nominal.saturating_mul(factor);
    let whole = scaled.as_secs() + u64::from(scaled.subsec_nanos() > 0);
    whole.max(floor)
}

impl Calibration {
    /// The longest call of each program in a job that nothing happened to. Calls that were told to end do not count.
    pub fn measured(trace: &Trace) -> Self {
        let longest = |program: Program| {
            let calls = trace.calls.iter().filter(|call| call.program == program);
            // What a child keeps open after its leader's exit is not the driver's own time.
            let own_times = calls.filter(|call| call.signals.is_empty() || held_open(call));
            let own_times =
                own_times.filter_map(|call| Some(call.leader_exit?.0.since(call.started)));
            own_times.max().unwrap_or_default()
        };
        Self {
            config: longest(Program::Config),
            prepare: longest(Program::Prepare),
            run: longest(Program::Run),
            cleanup: longest(Program::Cleanup),
        }
    }

    /// Whether most calls of a case that came to their end by themselves took a multiple of their nominal time. One slow
    /// call may be the driver's fault; when all are slow, it is the machine's.
    pub fn is_far_exceeded_in(&self, trace: &Trace) -> bool {
        let own_times = trace.calls.iter().filter_map(|call| {
            let (exit, _) = call.leader_exit.filter(|_| call.signals.is_empty())?;
            takes_no_time(call).then(|| {
                let limit = self.of(call.program) * SLOWDOWN_FACTOR + SLOWDOWN_MIN;
                exit.since(call.started) > limit
            })
        });
        let (slow, quick): (Vec<bool>, Vec<bool>) = own_times.partition(|slow| *slow);
        slow.len() > quick.len()
    }

    /// The longest nominal call of a program.
    pub fn of(&self, program: Program) -> Duration {
        match program {
            Program::Config => self.config,
            Program::Prepare => self.prepare,
            Program::Run => self.run,
            Program::Cleanup => self.cleanup,
        }
    }

    fn longest(&self) -> Duration {
        self.config
            .max(self.prepare)
            .max(self.run)
            .max(self.cleanup)
    }

    /// Sets the timeouts of `[runners.custom]`.
    pub fn apply(&self, custom: &mut CustomConfig) {
        let setting = |seconds: u64| Some(i64::try_from(seconds).unwrap_or(i64::MAX));
        custom.config_exec_timeout = setting(seconds(self.config, 5, CALL_SECONDS_MIN));
        custom.prepare_exec_timeout = setting(seconds(self.prepare, 5, ENDING_CALL_SECONDS_MIN));
        custom.cleanup_exec_timeout = setting(seconds(self.cleanup, 5, ENDING_CALL_SECONDS_MIN));
        custom.graceful_kill_timeout =
            setting(seconds(self.longest(), 3, GRACEFUL_KILL_SECONDS_MIN));
        custom.force_kill_timeout = setting(seconds(self.longest(), 1, FORCE_KILL_SECONDS_MIN));
    }

    /// Timeout of a job that is not meant to reach it.
    pub fn job_timeout(&self) -> Duration {
        let nominal = self.config + self.prepare + self.run.saturating_mul(RUN_CALLS_MAX);
        Duration::from_secs(seconds(nominal, 5, JOB_SECONDS_MIN))
    }

    /// Timeout of a job whose build script hangs until the timeout.
    pub fn short_job_timeout(&self) -> Duration {
        let nominal =
            self.config + self.prepare + self.run.saturating_mul(RUN_CALLS_BEFORE_BUILD_SCRIPT);
        Duration::from_secs(seconds(nominal, 3, SHORT_JOB_SECONDS_MIN))
    }
}

/// The call runs no script that waits or prints for a while.
fn takes_no_time(call: &CallRecord) -> bool {
    call.probe.as_ref().is_none_or(|probe| {
        let ends = !matches!(
            probe.ending,
            ProbeEnding::Hang | ProbeEnding::HangIgnoringTerm
        );
        ends && probe.output == ProbeOutput::None
    })
}

/// Lets the emulated runner wait longer for calls to end after SIGTERM.
pub fn give_time_to_end(case: &mut Case) {
    for job in &mut case.jobs {
        let custom = job.runner.custom.get_or_insert_default();
        let known = custom.graceful_kill_timeout.unwrap_or_default();
        custom.graceful_kill_timeout = Some(known.max(PATIENT_GRACEFUL_KILL_SECONDS));
    }
}

/// Lets the emulated runner wait for the calls of the nominal job as long as a real one would by default; only what hangs
/// is ended sooner than by a real one.
pub fn wait_for_nominal(custom: &mut CustomConfig) {
    let setting = |time: Duration| i64::try_from(time.as_secs()).ok();
    custom.config_exec_timeout = None;
    custom.prepare_exec_timeout = None;
    custom.cleanup_exec_timeout = None;
    custom.graceful_kill_timeout = setting(NOMINAL_GRACEFUL_KILL);
    custom.force_kill_timeout = setting(NOMINAL_FORCE_KILL);
}

/// The leader was gone before the first signal, which was for whoever held the pipes.
fn held_open(call: &CallRecord) -> bool {
    match (call.leader_exit, call.signals.first()) {
        (Some((exit, _)), Some((signalled, ..))) => exit < *signalled,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{Scene, exits};

    #[test]
    fn a_quick_driver_gets_the_floor() {
        let mut custom = CustomConfig::default();
        Calibration::default().apply(&mut custom);
        assert_eq!(custom.graceful_kill_timeout, Some(2));
        assert_eq!(custom.config_exec_timeout, Some(8));
        // Ten seconds for processes that do not heed SIGTERM, on a machine that is twice as slow for a moment.
        let grace = 10;
        assert!(custom.prepare_exec_timeout >= Some(2 * grace));
        assert!(custom.cleanup_exec_timeout >= Some(2 * grace));
    }

    #[test]
    fn the_longest_call_that_ended_by_itself_counts() {
        let scene = Scene::new()
            .call(Program::Prepare, 0)
            .run("get_sources", exits(0), 0)
            .run("build_script", exits(0), 0)
            .but(|call| {
                let later = |(at, status)| (at + Duration::from_secs(2), status);
                call.leader_exit = call.leader_exit.map(later);
            })
            .call(Program::Cleanup, 0)
            .terminated();
        let measured = Calibration::measured(&scene.trace);
        assert_eq!(measured.prepare, Duration::from_secs(1));
        assert_eq!(measured.run, Duration::from_secs(3));
        assert_eq!(measured.cleanup, Duration::ZERO);
        assert_eq!(measured.config, Duration::ZERO);
    }

    #[test]
    fn a_machine_on_which_all_is_slow_is_told_from_a_slow_call() {
        let nominal = Calibration {
            run: Duration::from_millis(100),
            ..Calibration::default()
        };
        let slow = |call: &mut CallRecord| {
            let later = |(at, status)| (at + Duration::from_secs(1), status);
            call.leader_exit = call.leader_exit.map(later);
        };
        let quick = |call: &mut CallRecord| {
            call.leader_exit = call.leader_exit.map(|(_, status)| (call.started, status));
        };
        let two = |first: &dyn Fn(&mut CallRecord), second: &dyn Fn(&mut CallRecord)| {
            Scene::new()
                .run("get_sources", exits(0), 0)
                .but(first)
                .run("build_script", exits(0), 0)
                .but(second)
                .trace
        };
        assert!(nominal.is_far_exceeded_in(&two(&slow, &slow)));
        assert!(!nominal.is_far_exceeded_in(&two(&slow, &quick)));
        assert!(!nominal.is_far_exceeded_in(&two(&quick, &quick)));
        assert!(!nominal.is_far_exceeded_in(&Scene::new().trace));
    }

    #[test]
    fn a_slow_driver_gets_a_multiple_in_whole_seconds() {
        let calibration = Calibration {
            prepare: Duration::from_millis(6100),
            ..Calibration::default()
        };
        let mut custom = CustomConfig::default();
        calibration.apply(&mut custom);
        assert_eq!(custom.prepare_exec_timeout, Some(31));
        assert_eq!(custom.graceful_kill_timeout, Some(19));
        assert!(calibration.job_timeout() >= Duration::from_secs(20));
    }
}
