//! Running the suite on a driver: calibrate, run the cases on several threads, judge.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use driver_conformance_reports::model::Report;

use crate::checks::verdict::CaseResult;
use crate::driver::Driver;
use crate::engine::directories::{CaseDirectories, best_parent};
use crate::engine::keepsakes::Keepsakes;
use crate::engine::mock::{CaseEnvironment, run_case};
use crate::plan::case::Case;
use crate::plan::{Calibration, CaseDefaults, calibration_case, load_cases};
use crate::process::interrupt::Interrupt;
use crate::process::supervisor::DIRECTORY_PREFIX;
use crate::trace::{Abortion, Trace};

use super::case_jobs::{CaseContext, job_runs, secrets};
use super::report::{CaseRun, assemble};
use super::{Progress, RunError, RunOptions, missing_tool_in};

/// What is thought of the driver before it is calibrated: first that it is quick, so that one that hangs costs little,
/// then that it boots machines.
const CALIBRATION_GUESSES: [Calibration; 2] = [NOTHING_TO_WAIT_FOR, Calibration::UNKNOWN];
const NOTHING_TO_WAIT_FOR: Calibration = Calibration {
    config: Duration::ZERO,
    prepare: Duration::ZERO,
    run: Duration::ZERO,
    cleanup: Duration::ZERO,
};
/// Longest time for the nominal job: a driver that has not got through it by then is taken to hang.
const CALIBRATION_BUDGET: Duration = Duration::from_mins(5);
/// A case may take this many times its estimate, and at least [`CASE_BUDGET_MIN`], before everything is killed.
const CASE_BUDGET_FACTOR: u32 = 4;
/// Least time for a case.
const CASE_BUDGET_MIN: Duration = Duration::from_mins(2);

/// What all cases of a run share.
struct Run<'run> {
    driver: &'run Driver,
    options: &'run RunOptions,
    supervisor: PathBuf,
    /// Parent of the private directories of all cases; goes away with the run.
    directory: tempfile::TempDir,
    runner_path: String,
    interrupt: Interrupt,
}

/// Runs the selected cases on the driver.
pub(super) fn run(
    driver: &Driver,
    options: &RunOptions,
    progress: &mut dyn Progress,
) -> Result<Report, RunError> {
    let started = (SystemTime::now(), Instant::now());
    let run = Run::new(driver, options)?;
    let calibration = run.calibrate(progress)?;
    let mut cases = run.cases(calibration)?;
    cases.retain(|case| options.cases.contains(&case.name));
    progress.started(cases.len());
    let mut results = run.all(cases, progress);
    run.again_alone(&mut results, progress);
    if let Some(signal) = options.interruption.signal() {
        return Err(RunError::Interrupted(signal));
    }
    let checks = selected_checks(options);
    Ok(assemble(
        driver,
        options,
        &checks,
        results,
        (started.0, started.1.elapsed()),
    ))
}

fn selected_checks(options: &RunOptions) -> Vec<&'static crate::checks::Check> {
    let all = crate::checks::all().iter();
    all.copied()
        .filter(|check| options.checks.iter().any(|id| id == check.id))
        .collect()
}

impl<'run> Run<'run> {
    fn new(driver: &'run Driver, options: &'run RunOptions) -> Result<Self, RunError> {
        let failed =
            |what: &str, error: std::io::Error| RunError::Harness(format!("{what}: {error}"));
        let directory = tempfile::Builder::new()
            .prefix(DIRECTORY_PREFIX)
            .tempdir_in(best_parent())
            .map_err(|error| failed("no temporary directory can be made", error))?;
        let interrupt = Interrupt::new().map_err(|error| failed("no pipe can be made", error))?;
        pass_on(&options.interruption, &interrupt);
        Ok(Self {
            driver,
            options,
            supervisor: std::env::current_exe()
                .map_err(|error| failed("the path of this program is not known", error))?,
            directory,
            runner_path: std::env::var("PATH").unwrap_or_default(),
            interrupt,
        })
    }

    fn defaults(&self, calibration: Calibration) -> CaseDefaults {
        let job = &self.driver.job;
        CaseDefaults {
            runner: self.driver.config.clone(),
            calibration,
            variables: job.variables.clone(),
            image: job.image.clone(),
            services: job.services.clone(),
        }
    }

    fn cases(&self, calibration: Calibration) -> Result<Vec<Case>, RunError> {
        load_cases(&self.defaults(calibration))
            .map_err(|error| RunError::Harness(error.to_string()))
    }

    /// How long the driver's calls take when nothing is in the way. A driver that does not get through its nominal job
    /// keeps the shortest patience: its cases then tell why.
    fn calibrate(&self, progress: &mut dyn Progress) -> Result<Calibration, RunError> {
        for guess in CALIBRATION_GUESSES {
            let nominal = calibration_case(&self.defaults(guess))
                .map_err(|error| RunError::Harness(error.to_string()))?;
            let trace = match guarded(|| self.run_case(&nominal, CALIBRATION_BUDGET)) {
                CaseResult::Done(trace) => trace,
                CaseResult::Failed(reason) => return Err(RunError::Harness(reason)),
                CaseResult::Skipped(_) => break,
            };
            if let Some(signal) = self.options.interruption.signal() {
                return Err(RunError::Interrupted(signal));
            }
            if let Some(missing) = missing_tool_in(&trace) {
                return Err(missing);
            }
            if !was_cut_short(&trace) {
                return Ok(Calibration::measured(&trace));
            }
            progress
                .note("the driver did not get through its nominal job in the time it was given");
        }
        Ok(NOTHING_TO_WAIT_FOR)
    }

    /// Runs all cases on as many threads as the options say.
    fn all(&self, cases: Vec<Case>, progress: &mut dyn Progress) -> Vec<CaseRun> {
        let count = cases.len();
        let queue = Mutex::new(VecDeque::from(cases));
        let mut results = Vec::with_capacity(count);
        std::thread::scope(|scope| {
            let (sender, receiver) = channel();
            for _ in 0..self.options.jobs.max(1).min(count.max(1)) {
                let sender = sender.clone();
                let queue = &queue;
                scope.spawn(move || self.work(queue, &sender));
            }
            drop(sender);
            for result in receiver {
                result.announce(self.options, progress);
                results.push(result);
            }
        });
        results
    }

    fn work(&self, queue: &Mutex<VecDeque<Case>>, sender: &Sender<CaseRun>) {
        while self.options.interruption.signal().is_none() {
            let next = queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop_front();
            let Some(case) = next else { return };
            if sender.send(self.timed(case)).is_err() {
                return;
            }
        }
    }

    fn timed(&self, case: Case) -> CaseRun {
        let started = Instant::now();
        let budget = CASE_BUDGET_MIN.max(case.estimate * CASE_BUDGET_FACTOR);
        let result = guarded(|| self.run_case(&case, budget));
        CaseRun::judge(
            case,
            &result,
            started.elapsed(),
            &selected_checks(self.options),
            self.options,
        )
    }

    /// Cases that could not be judged on the busy machine are run once more, one at a time.
    fn again_alone(&self, results: &mut [CaseRun], progress: &mut dyn Progress) {
        let doubtful: Vec<usize> = (0..results.len())
            .filter(|index| results[*index].is_inconclusive())
            .collect();
        if doubtful.is_empty() || self.options.interruption.signal().is_some() {
            return;
        }
        progress.note(&format!(
            "{} cases could not be judged on the busy machine; running each once more, alone",
            doubtful.len()
        ));
        for index in doubtful {
            results[index] = self.timed(results[index].case.clone());
        }
    }

    fn run_case(&self, case: &Case, budget: Duration) -> CaseResult {
        match self.try_case(case, budget) {
            Ok(trace) => match &trace.aborted {
                Some(abortion @ Abortion::SupervisorDied { .. }) => {
                    CaseResult::Failed(abortion.to_string())
                }
                _ => CaseResult::Done(Box::new(trace)),
            },
            Err(reason) => CaseResult::Failed(reason),
        }
    }

    fn try_case(&self, case: &Case, budget: Duration) -> Result<Trace, String> {
        let no_directories =
            |error: std::io::Error| format!("no private directories for the case: {error}");
        let directories = CaseDirectories::new_in(self.directory.path()).map_err(no_directories)?;
        let keepsakes = if case.surroundings.keepsakes {
            Keepsakes::lay_out(&directories).map_err(no_directories)?
        } else {
            Keepsakes::default()
        };
        let context = CaseContext {
            seed: self.options.seed,
            provide_directories: self.driver.provide_directories,
            runner_path: &self.runner_path,
            now_unix_us: unix_us(),
        };
        let jobs = job_runs(case, &context, &directories)?;
        let environment = CaseEnvironment {
            keepsakes,
            secrets: secrets(case),
            runner_path: self.runner_path.clone(),
            budget,
            ..CaseEnvironment::new(Path::new(&self.supervisor), directories)
        };
        run_case(&environment, jobs, case.order, &self.interrupt).map_err(|error| error.to_string())
    }
}

/// A panic is a bug of ours: it costs the case in which it happened, not what the other cases found.
fn guarded(run: impl FnOnce() -> CaseResult) -> CaseResult {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| {
        CaseResult::Failed(format!("the harness panicked: {}", panic_text(&*payload)))
    })
}

/// What a panic said; `panic!` gives one of these two types.
fn panic_text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

/// The user's wish to stop reaches the cases; the thread ends with the process.
pub(super) fn pass_on(interruption: &super::Interruption, interrupt: &Interrupt) {
    let (interruption, interrupt) = (interruption.clone(), interrupt.clone());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        if let Ok(runtime) = runtime {
            runtime.block_on(interruption.raised());
            interrupt.ask();
        }
    });
}

pub(super) fn unix_us() -> u64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
}

/// A leader had to be told to end, or did not end at all.
fn was_cut_short(trace: &Trace) -> bool {
    trace.aborted.is_some()
        || trace.calls.iter().any(|call| {
            let signalled = call.signals.first().map(|(at, ..)| *at);
            match (call.leader_exit, signalled) {
                (Some((exit, _)), Some(signalled)) => exit >= signalled,
                (None, _) => call.start_failure.is_none(),
                (Some(_), None) => false,
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_of_its_case() {
        for (text, panics) in [
            ("plain", (|| panic!("plain")) as fn() -> CaseResult),
            ("with 1 number", || panic!("with {} number", 1)),
        ] {
            let CaseResult::Failed(reason) = guarded(panics) else {
                panic!("a case that panicked was taken for one that was run");
            };
            assert_eq!(reason, format!("the harness panicked: {text}"));
        }
        let skipped = guarded(|| CaseResult::Skipped("no config".to_owned()));
        assert!(matches!(skipped, CaseResult::Skipped(_)));
    }
}
