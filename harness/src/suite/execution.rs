//! Running the suite on a driver: calibrate, run the cases on several threads, judge.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use driver_conformance_reports::model::Report;

use crate::checks::verdict::CaseResult;
use crate::contract::stage::Program;
use crate::driver::Driver;
use crate::engine::directories::CaseDirectories;
use crate::engine::mock::{CaseEnvironment, run_case};
use crate::plan::case::Case;
use crate::plan::{Calibration, CaseDefaults, load_cases};
use crate::process::interrupt::Interrupt;
use crate::trace::{Abortion, CallRecord, Trace};

use super::case_jobs::{CaseContext, job_runs};
use super::report::{CaseRun, assemble};
use super::{Progress, RunError, RunOptions, missing_tool_in};

/// The case whose calls tell how quick the driver is.
const NOMINAL_CASE: &str = "job/every-stage";
/// How long the calls of the nominal job are thought to take before anything is known: first short, so that a driver
/// that hangs costs little, then long enough for a driver that boots a machine.
const CALIBRATION_GUESSES: [Duration; 2] = [Duration::ZERO, Duration::from_secs(60)];
/// A case may take this many times its estimate, and at least [`CASE_BUDGET_MIN`], before everything is killed.
const CASE_BUDGET_FACTOR: u32 = 4;
/// Least time for a case.
const CASE_BUDGET_MIN: Duration = Duration::from_secs(120);

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
            .prefix("driver-conformance-")
            .tempdir()
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

    fn cases(&self, calibration: Calibration) -> Result<Vec<Case>, RunError> {
        let job = &self.driver.job;
        let defaults = CaseDefaults {
            runner: self.driver.config.clone(),
            calibration,
            variables: job.variables.clone(),
            image: job.image.clone(),
            services: job.services.clone(),
        };
        load_cases(&defaults).map_err(|error| RunError::Harness(error.to_string()))
    }

    /// How long the driver's calls take when nothing is in the way. A driver that does not get through its nominal job
    /// keeps the shortest patience: its cases then tell why.
    fn calibrate(&self, progress: &mut dyn Progress) -> Result<Calibration, RunError> {
        let mut last = Calibration::default();
        for guess in CALIBRATION_GUESSES {
            let guess = Calibration {
                config: guess,
                prepare: guess,
                run: guess,
                cleanup: guess,
            };
            let Some(nominal) = self
                .cases(guess)?
                .into_iter()
                .find(|case| case.name == NOMINAL_CASE)
            else {
                return Ok(last);
            };
            let trace = match self.run_case(&nominal) {
                CaseResult::Done(trace) => trace,
                CaseResult::Failed(reason) => return Err(RunError::Harness(reason)),
                CaseResult::Skipped(_) => return Ok(last),
            };
            if let Some(signal) = self.options.interruption.signal() {
                return Err(RunError::Interrupted(signal));
            }
            if let Some(missing) = missing_tool_in(&trace) {
                return Err(missing);
            }
            last = measured(&trace);
            if !was_cut_short(&trace) {
                return Ok(last);
            }
            progress.note(
                "the driver did not get through its nominal job in the time it was given; trying with more",
            );
        }
        Ok(Calibration::default())
    }

    /// Runs all cases on as many threads as the options say.
    fn all(&self, cases: Vec<Case>, progress: &mut dyn Progress) -> Vec<CaseRun> {
        let count = cases.len();
        let queue = Mutex::new(VecDeque::from(cases));
        let checks = selected_checks(self.options);
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
                result.announce(&checks, self.options, progress);
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
        let result = self.run_case(&case);
        CaseRun {
            case,
            result,
            duration: started.elapsed(),
        }
    }

    /// Cases that could not be judged on the busy machine are run once more, one at a time.
    fn again_alone(&self, results: &mut [CaseRun], progress: &mut dyn Progress) {
        let checks = selected_checks(self.options);
        let doubtful: Vec<usize> = (0..results.len())
            .filter(|index| results[*index].is_inconclusive(&checks, self.options))
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

    fn run_case(&self, case: &Case) -> CaseResult {
        match self.try_case(case) {
            Ok(trace) => match &trace.aborted {
                Some(abortion @ Abortion::SupervisorDied { .. }) => {
                    CaseResult::Failed(abortion.to_string())
                }
                _ => CaseResult::Done(Box::new(trace)),
            },
            Err(reason) => CaseResult::Failed(reason),
        }
    }

    fn try_case(&self, case: &Case) -> Result<Trace, String> {
        let directories = CaseDirectories::new_in(self.directory.path())
            .map_err(|error| format!("no private directories for the case: {error}"))?;
        let context = CaseContext {
            seed: self.options.seed,
            provide_directories: self.driver.provide_directories,
            runner_path: &self.runner_path,
            now_unix_us: unix_us(),
        };
        let jobs = job_runs(case, &context, &directories)?;
        let environment = CaseEnvironment {
            runner_path: self.runner_path.clone(),
            budget: CASE_BUDGET_MIN.max(case.estimate * CASE_BUDGET_FACTOR),
            ..CaseEnvironment::new(Path::new(&self.supervisor), directories)
        };
        run_case(&environment, jobs, case.order, &self.interrupt).map_err(|error| error.to_string())
    }
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

/// The longest call of each program, by its leader's exit: what a child keeps open is not the driver's own time.
fn measured(trace: &Trace) -> Calibration {
    let longest = |program: Program| {
        let calls = trace.calls.iter().filter(|call| call.program == program);
        calls.filter_map(own_time).max().unwrap_or_default()
    };
    Calibration {
        config: longest(Program::Config),
        prepare: longest(Program::Prepare),
        run: longest(Program::Run),
        cleanup: longest(Program::Cleanup),
    }
}

fn own_time(call: &CallRecord) -> Option<Duration> {
    call.leader_exit.map(|(exit, _)| exit.since(call.started))
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
