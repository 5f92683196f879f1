//! Running the suite on a driver: calibrate, run the cases on several threads, judge.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use driver_conformance_mock_backend::client::BackendProcess;
use driver_conformance_reports::model::Report;

use crate::checks::evidence::starved;
use crate::checks::verdict::CaseResult;
use crate::contract::stage::Program;
use crate::driver::{BackendChoice, Driver};
use crate::engine::backend::CaseBackend;
use crate::engine::directories::{CaseDirectories, best_parent};
use crate::engine::keepsakes::Keepsakes;
use crate::engine::mock::{BackendLists, CaseEnvironment, run_case};
use crate::engine::private_directory::PrivateDirectory;
use crate::janitor::sweep_orphans;
use crate::leaks;
use crate::leaks::lists::Lists;
use crate::leaks::mount_table::free_for_removal;
use crate::plan;
use crate::plan::case::Case;
use crate::plan::hang::{Hang, Watch};
use crate::plan::patience::give_time_to_end;
use crate::plan::{Calibration, CaseDefaults, calibration_case, load_cases};
use crate::process::interrupt::Interrupt;
use crate::process::supervisor::DIRECTORY_PREFIX;
use crate::trace::{Abortion, Leak, Trace};

use super::backend;
use super::case_jobs::{CaseContext, job_runs, secrets};
use super::report::{CaseRun, assemble};
use super::{Progress, RunError, RunOptions, call_name, missing_tool_in};

/// Longest time for the nominal job, in which each call has a limit of its own.
const CALIBRATION_BUDGET: Duration = Duration::from_hours(2);
/// Checks that judge calls that hang. They look at the nominal job even if they are not selected: cases that are selected
/// may not be run because of what they find.
const HANG_CHECKS: [&str; 3] = [
    "cleanup/ends-in-time",
    "timeout/call-ends",
    "timeout/pipe-held-after-exit",
];
/// A case may take this many times its estimate, and at least [`CASE_BUDGET_MIN`], before everything is killed.
const CASE_BUDGET_FACTOR: u32 = 4;
/// Least time for a case.
const CASE_BUDGET_MIN: Duration = Duration::from_mins(2);

/// What all cases of a run share.
pub(super) struct Run<'run> {
    driver: &'run Driver,
    pub(super) options: &'run RunOptions,
    supervisor: PathBuf,
    /// Parent of the private directories of all cases; goes away with the run.
    pub(super) directory: PrivateDirectory,
    runner_path: String,
    interrupt: Interrupt,
    /// How long the driver's calls take when nothing is in the way.
    calibration: OnceLock<Calibration>,
    /// The mock backend in the place of the driver's own. Before the directory of the run, in which it is.
    backend: Option<BackendProcess>,
    /// Programs that were seen to hang so far.
    hangs: Mutex<Vec<Hang>>,
    /// Commands that list the objects of the backend.
    pub(super) lists: Option<Arc<Lists>>,
    /// What the nominal job left in their lists, with a look after each call.
    pub(super) nominal_listed: OnceLock<Trace>,
    /// What the nominal job left in the mock backend, once it was cleaned up.
    nominal_left: OnceLock<Vec<Leak>>,
    /// How many cases have been repeated.
    repetitions: AtomicU64,
}

/// How long the calls may take that clean up after jobs which nobody has cleaned up after.
const CLEARING_BUDGET: Duration = Duration::from_mins(1);
/// The check that finds that jobs get into each other's way.
const JOBS_MEET: &str = "isolation/jobs-do-not-disturb";
/// So many cases in which a check finds something without company are enough to believe it the others.
const CONFIRMATIONS: u32 = 2;

/// What a case that is run shares the machine with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Company {
    /// Other cases, perhaps.
    Others,
    /// Nothing, so that every call is followed by a look at the lists of the backend.
    None,
}

/// A nominal job that hangs, which thereby stands for its case.
pub(super) struct HangingNominal {
    case: Case,
    result: CaseResult,
    duration: Duration,
}

/// Runs the selected cases on the driver.
pub(super) fn run(
    driver: &Driver,
    options: &RunOptions,
    progress: &mut dyn Progress,
) -> Result<Report, RunError> {
    let started = (SystemTime::now(), Instant::now());
    let run = Run::new(driver, options)?;
    let nominal = match run.calibrate(progress) {
        Err(RunError::Interrupted(_)) => return Ok(run.assembled(Vec::new(), Vec::new(), started)),
        calibrated => calibrated?,
    };
    let mut remarks = leaks::not_watched();
    remarks.extend(run.remark_on_backend());
    remarks.extend(run.remarks_on_lists());
    let mut cases = run.cases()?;
    cases.retain(|case| options.cases.contains(&case.name));
    if let Some(nominal) = &nominal {
        cases.retain(|case| case.name != nominal.case.name);
    }
    progress.started(cases.len() + usize::from(nominal.is_some()));
    let nominal = nominal.map(|nominal| run.judge_nominal(nominal));
    if let Some(nominal) = &nominal {
        nominal.announce(options, progress);
    }
    let mut results = run.all(cases, progress);
    run.again_alone(&mut results, progress);
    run.again_apart(&mut results, progress);
    run.again_in_quiet(&mut results, progress);
    run.follow_suspicions(&mut results, progress);
    run.settle_lists(&mut results, progress);
    remarks.extend(run.list_failure());
    // Where nothing else needs the call that hangs, a nominal job that is not selected is not reported.
    let wanted = |nominal: &CaseRun| {
        options.cases.contains(&nominal.case.name) || results.iter().any(CaseRun::was_cut_short)
    };
    let nominal = nominal.filter(wanted);
    results.extend(nominal);
    Ok(run.assembled(results, remarks, started))
}

pub(super) fn selected_checks(options: &RunOptions) -> Vec<&'static crate::checks::Check> {
    let all = crate::checks::all().iter();
    all.copied()
        .filter(|check| options.checks.iter().any(|id| id == check.id))
        .collect()
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        // What a case could not unmount must not be emptied with the directory of the run.
        if free_for_removal(self.directory.path()).is_err() {
            self.directory.keep();
        }
    }
}

impl<'run> Run<'run> {
    pub(super) fn new(driver: &'run Driver, options: &'run RunOptions) -> Result<Self, RunError> {
        let failed =
            |what: &str, error: std::io::Error| RunError::Harness(format!("{what}: {error}"));
        // What a harness left that was killed together with its supervisors.
        sweep_orphans();
        let directory = PrivateDirectory::new_in(&best_parent())
            .map_err(|error| failed("no temporary directory can be made", error))?;
        let interrupt = Interrupt::new().map_err(|error| failed("no pipe can be made", error))?;
        pass_on(&options.interruption, &interrupt);
        let supervisor = std::env::current_exe()
            .map_err(|error| failed("the path of this program is not known", error))?;
        let runner_path = std::env::var("PATH").unwrap_or_default();
        let start = |choice: &BackendChoice| {
            let root = directory.path().join("backend");
            BackendProcess::start(&supervisor, &root, &choice.wanted(&runner_path))
                .map_err(|error| failed("the mock backend does not start", error))
        };
        let backend = driver.backend.as_ref().map(start).transpose()?;
        Ok(Self {
            driver,
            options,
            supervisor,
            directory,
            runner_path,
            backend,
            interrupt,
            calibration: OnceLock::new(),
            hangs: Mutex::default(),
            lists: match driver.lists.as_slice() {
                [] => None,
                commands => Some(Arc::new(Lists::begin(commands.to_vec())?)),
            },
            nominal_listed: OnceLock::new(),
            nominal_left: OnceLock::new(),
            repetitions: AtomicU64::new(0),
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

    /// What the cases of this driver need, once it is calibrated.
    pub(super) fn known_defaults(&self) -> CaseDefaults {
        self.defaults(self.calibration.get().copied().unwrap_or_default())
    }

    fn cases(&self) -> Result<Vec<Case>, RunError> {
        load_cases(&self.known_defaults()).map_err(|error| RunError::Harness(error.to_string()))
    }

    /// Learns how long the driver's calls take when nothing is in the way, and whether they hang. Returns the nominal job if
    /// it does not come to its end by itself.
    pub(super) fn calibrate(
        &self,
        progress: &mut dyn Progress,
    ) -> Result<Option<HangingNominal>, RunError> {
        let case = calibration_case(&self.defaults(Calibration::default()))
            .map_err(|error| RunError::Harness(error.to_string()))?;
        // What it leaves must not be met, or passed over as old, when the case itself is run.
        let case = self.repeated(&case);
        let started = Instant::now();
        let custom = self.driver.config.custom.clone().unwrap_or_default();
        let watch = Some(Watch::nominal(&custom));
        let result = guarded(|| self.run_watched(&case, CALIBRATION_BUDGET, watch, Company::None));
        if let Some(signal) = self.options.interruption.signal() {
            return Err(RunError::Interrupted(signal));
        }
        let trace = match &result {
            CaseResult::Done(trace) | CaseResult::CutShort(trace, _) => trace,
            CaseResult::Failed(reason) | CaseResult::Skipped(reason) => {
                return Err(RunError::Harness(reason.clone()));
            }
        };
        if let Some(missing) = missing_tool_in(trace) {
            return Err(missing);
        }
        let hangs = Hang::shown_by(&case, trace);
        // Measured on the part that came to its end.
        let listed = Trace {
            listed: trace.listed.clone(),
            ..backend::bare(trace)
        };
        let _only_once = self.nominal_listed.set(listed);
        let _only_once = self.calibration.set(Calibration::measured(trace));
        if trace.aborted.is_none() {
            let _only_once = self.nominal_left.set(trace.leaks.clone());
            return Ok(None);
        }
        for hang in &hangs {
            progress.note(&format!(
                "{hang}; the other cases are ended where they come to it"
            ));
        }
        self.learn(hangs);
        Ok(Some(HangingNominal {
            case,
            result,
            duration: started.elapsed(),
        }))
    }

    /// The report of what was judged, marked as partial if the user wanted to stop.
    fn assembled(
        &self,
        results: Vec<CaseRun>,
        remarks: Vec<String>,
        started: (SystemTime, Instant),
    ) -> Report {
        let times = (started.0, started.1.elapsed());
        let checks = selected_checks(self.options);
        assemble(self.driver, self.options, &checks, results, times, remarks)
    }

    fn judge_nominal(&self, nominal: HangingNominal) -> CaseRun {
        let mut checks = selected_checks(self.options);
        let needed = crate::checks::all().iter().copied();
        checks.extend(needed.filter(|check| {
            HANG_CHECKS.contains(&check.id) && !self.options.checks.iter().any(|id| id == check.id)
        }));
        CaseRun::judge(
            nominal.case,
            &nominal.result,
            nominal.duration,
            &checks,
            self.options,
        )
    }

    fn learn(&self, seen: Vec<Hang>) {
        let mut known = self.hangs.lock().unwrap_or_else(PoisonError::into_inner);
        for hang in seen {
            if !known.iter().any(|known| known.program == hang.program) {
                known.push(hang);
            }
        }
    }

    fn known_hangs(&self) -> Vec<Hang> {
        let known = self.hangs.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    /// Runs all cases on as many threads as the options say.
    fn all(&self, cases: Vec<Case>, progress: &mut dyn Progress) -> Vec<CaseRun> {
        self.until(None, cases, progress)
    }

    /// Runs the cases in their order, and begins none after a deadline.
    pub(super) fn until(
        &self,
        deadline: Option<Instant>,
        cases: Vec<Case>,
        progress: &mut dyn Progress,
    ) -> Vec<CaseRun> {
        let count = cases.len();
        let queue = Mutex::new(VecDeque::from(cases));
        let mut results = Vec::with_capacity(count);
        std::thread::scope(|scope| {
            let (sender, receiver) = channel();
            for _ in 0..self.at_once().min(count.max(1)) {
                let sender = sender.clone();
                let queue = &queue;
                scope.spawn(move || self.work(queue, deadline, &sender));
            }
            drop(sender);
            for result in receiver {
                result.announce(self.options, progress);
                results.push(result);
            }
        });
        results
    }

    fn work(
        &self,
        queue: &Mutex<VecDeque<Case>>,
        deadline: Option<Instant>,
        sender: &Sender<CaseRun>,
    ) {
        let in_time = || deadline.is_none_or(|deadline| Instant::now() < deadline);
        while self.options.interruption.signal().is_none() && in_time() {
            let next = queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop_front();
            let Some(case) = next else { return };
            let run = self.timed(case);
            // What was going on when the user wanted to stop was cut off: it says nothing about the driver.
            if self.options.interruption.signal().is_some() || sender.send(run).is_err() {
                return;
            }
        }
    }

    /// The case of a run once more, with new job ids.
    pub(super) fn timed_again(&self, before: &CaseRun) -> CaseRun {
        self.timed_in_place_of(before, self.repeated(&before.case))
    }

    /// The same, with all the time that a call may need to end when it is told to. Where each case gave that much from the
    /// start, one that ends never would cost minutes.
    fn patiently_again(&self, before: &CaseRun) -> CaseRun {
        let mut case = self.repeated(&before.case);
        give_time_to_end(&mut case);
        self.timed_in_place_of(before, case)
    }

    fn timed_in_place_of(&self, before: &CaseRun, case: Case) -> CaseRun {
        let mut again = self.timed(case);
        again.position = before.position;
        again
    }

    pub(super) fn timed(&self, case: Case) -> CaseRun {
        let started = Instant::now();
        let result = self.result(&case, Company::Others);
        CaseRun::judge(
            case,
            &result,
            started.elapsed(),
            &selected_checks(self.options),
            self.options,
        )
    }

    pub(super) fn result(&self, case: &Case, company: Company) -> CaseResult {
        let budget = CASE_BUDGET_MIN.max(case.estimate * CASE_BUDGET_FACTOR);
        guarded(|| self.run_case(case, budget, company))
    }

    /// How many cases run beside each other. If the objects in the user's lists do not say whose they are, one.
    fn at_once(&self) -> usize {
        let lists = self.lists.as_ref();
        if lists.is_some_and(|lists| lists.has_anonymous()) {
            1
        } else {
            self.options.jobs.max(1)
        }
    }

    /// The case once more, with new job ids.
    pub(super) fn repeated(&self, case: &Case) -> Case {
        plan::repeated(case, self.repetitions.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Cases that could not be judged on the busy machine are run once more, one at a time.
    pub(super) fn again_alone(&self, results: &mut [CaseRun], progress: &mut dyn Progress) {
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
            let again = self.timed_again(&results[index]);
            if self.options.interruption.signal().is_some() {
                return;
            }
            results[index] = again;
        }
    }

    /// Cases that ran beside others and may have been spoilt by them are run once more, alone. A driver may have room for a few
    /// jobs only and rightly refuse the rest, or let them wait; and one whose jobs get into each other's way, which has cases of its own, is
    /// not to be blamed for all that comes of it in the others. Neither is one whose jobs are served by a process that one of
    /// them started: that ends with its case. A check that has found the same in some of them alone needs no more of them.
    fn again_apart(&self, results: &mut [CaseRun], progress: &mut dyn Progress) {
        let interrupted = || self.options.interruption.signal().is_some();
        let meeting = results
            .iter()
            .any(|result| result.found().contains(&JOBS_MEET));
        let serving = results.iter().any(CaseRun::ended_helpers);
        let spoilt =
            |result: &CaseRun| result.is_refused() || serving || (meeting && result.is_lone());
        let mut spoilt: Vec<usize> = (0..results.len())
            .filter(|index| spoilt(&results[*index]) && !results[*index].found().is_empty())
            .collect();
        if spoilt.is_empty() || self.at_once() == 1 || interrupted() {
            return;
        }
        progress.note(&format!(
            "{} cases may have been spoilt by others beside them; running them once more, alone",
            spoilt.len()
        ));
        // Several jobs of one case may be too many by themselves.
        spoilt.sort_by_key(|index| results[*index].case.jobs.len());
        let doubted = self.doubt_hangs(results, &spoilt);
        let mut confirmed: BTreeMap<&'static str, u32> = BTreeMap::new();
        for index in spoilt {
            let known = |id: &&'static str| confirmed.get(id) >= Some(&CONFIRMATIONS);
            if results[index].found().iter().all(known) {
                continue;
            }
            if interrupted() {
                return;
            }
            results[index] = self.timed_again(&results[index]);
            for id in results[index].found() {
                *confirmed.entry(id).or_default() += 1;
            }
        }
        self.whole_unless_shown(&doubted, results, progress);
    }

    /// Forgets the hangs that one of these cases has shown, and returns them. They may only have been slow beside others, and are
    /// no reason to end these cases early when they are run again.
    fn doubt_hangs(&self, results: &[CaseRun], again: &[usize]) -> Vec<Hang> {
        let mut known = self.hangs.lock().unwrap_or_else(PoisonError::into_inner);
        let is_doubted = |hang: &mut Hang| {
            let mut again = again.iter();
            again.any(|index| results[*index].case.name == hang.case)
        };
        known.extract_if(.., is_doubted).collect()
    }

    /// Runs what was ended early to its end, if one of the hangs that were doubted has not shown again.
    fn whole_unless_shown(
        &self,
        doubted: &[Hang],
        results: &mut [CaseRun],
        progress: &mut dyn Progress,
    ) {
        let known = self.known_hangs();
        let known = |hang: &Hang| known.iter().any(|known| known.program == hang.program);
        // A check that has found it alone needed no more of the cases, which is as good.
        let still_found = |hang: &Hang| {
            let shown = results.iter().find(|result| result.case.name == hang.case);
            shown.is_some_and(|result| !result.found_by_time().is_empty())
        };
        let was_slow = |hang: &Hang| !known(hang) && !still_found(hang);
        if doubted.iter().any(was_slow) {
            self.whole_again(results, progress);
        }
    }

    /// What was judged by time is looked at once more, alone: for a moment any machine may be busier than can be measured.
    /// A check that has found the same alone once needs no more of its cases, the quick ones come first.
    fn again_in_quiet(&self, results: &mut [CaseRun], progress: &mut dyn Progress) {
        let mut late: Vec<usize> = (0..results.len())
            .filter(|index| !results[*index].found_by_time().is_empty())
            .collect();
        if late.is_empty() {
            return;
        }
        late.sort_by_key(|index| results[*index].duration);
        let doubted = self.doubt_hangs(results, &late);
        progress
            .note("something came too late or stayed too long; looking again, one case at a time");
        let mut confirmed: BTreeSet<&'static str> = BTreeSet::new();
        for index in late {
            let found = results[index].found_by_time();
            if found.is_subset(&confirmed) {
                continue;
            }
            let again = self.patiently_again(&results[index]);
            if self.options.interruption.signal().is_some() {
                return;
            }
            if again.was_cut_short() {
                // It would come to a call that is known to hang.
                confirmed.extend(found);
                continue;
            }
            confirmed.extend(again.found_by_time());
            results[index] = again;
        }
        self.whole_unless_shown(&doubted, results, progress);
    }

    /// Cases that were ended where they came to a call that was wrongly taken to hang are run to their end, one at a time.
    fn whole_again(&self, results: &mut [CaseRun], progress: &mut dyn Progress) {
        progress.note("what seemed to hang was only slow; running the cases that were ended there");
        for result in results.iter_mut().filter(|result| result.was_cut_short()) {
            let again = self.timed_again(result);
            if self.options.interruption.signal().is_some() {
                return;
            }
            *result = again;
        }
    }

    /// Runs a case; where it comes to a call that is known to hang, it ends there.
    fn run_case(&self, case: &Case, budget: Duration, company: Company) -> CaseResult {
        let known = self.known_hangs();
        let calibration = self.calibration.get().copied().unwrap_or_default();
        let watch = Watch::for_known(&known, &calibration);
        let result = self.run_watched(case, budget, watch, company);
        let CaseResult::Done(trace) = result else {
            return result;
        };
        let Some(Abortion::Hang { call }) = trace.aborted else {
            if !starved(&trace) {
                let mut hangs = Hang::shown_by(case, &trace);
                if self.at_once() > 1 {
                    hangs.retain(|hang| !hang.may_wait_for_others());
                }
                self.learn(hangs);
            }
            return CaseResult::Done(trace);
        };
        let program = trace.calls.get(call.0).map(|call| call.program);
        let hang = known.iter().find(|hang| Some(hang.program) == program);
        let reason = hang.map_or_else(
            || "a call in it hangs".to_owned(),
            |hang| format!("{hang}, as case {} shows", hang.case),
        );
        CaseResult::CutShort(Box::new(trace.before(call)), reason)
    }

    fn run_watched(
        &self,
        case: &Case,
        budget: Duration,
        watch: Option<Watch>,
        company: Company,
    ) -> CaseResult {
        let mut trace = match self.try_case(case, budget, watch, company) {
            Ok(trace) => trace,
            Err(reason) => return CaseResult::Failed(reason),
        };
        self.clear_after(case, &trace, company);
        if let Some(abortion @ Abortion::SupervisorDied { .. }) = &trace.aborted {
            return CaseResult::Failed(abortion.to_string());
        }
        if let Some(gap) = trace.backend_gaps.first() {
            let asked = trace
                .requests
                .iter()
                .find(|request| request.verb.is_empty());
            let call = asked.and_then(|request| trace.calls.get(request.call?.0));
            let place = call.map_or(String::new(), |call| {
                let name = call_name(call.program, call.stage.as_ref());
                format!(", which {name} asks for")
            });
            return CaseResult::Failed(format!(
                "the mock backend does not emulate {gap}{place}; a personality of your own can (docs/mock-backend.md)"
            ));
        }
        if let Some(plain) = self.nominal_left.get() {
            backend::compare_with_plain_job(&mut trace.leaks, plain);
        }
        let nominal = self.calibration.get();
        trace.driver_slowed_down =
            nominal.is_some_and(|nominal| nominal.is_far_exceeded_in(&trace));
        CaseResult::Done(Box::new(trace))
    }

    /// Lets the driver clean up after the jobs for which nobody called its cleanup, since the runner or the case ended before.
    /// What they left has been looked at; what they hold must not be missing in the cases to come.
    fn clear_after(&self, case: &Case, trace: &Trace, company: Company) {
        let left = never_cleaned_up(trace);
        // The objects of a mock backend are gone with the case.
        let nothing_stays = left.is_empty()
            || self.backend.is_some()
            || self.driver.program(Program::Cleanup).is_none();
        if nothing_stays || self.options.interruption.signal().is_some() {
            return;
        }
        let clearing = plan::clearing(case, &left);
        // What comes of it is judged in cases of its own.
        let _unjudged = self.try_case(&clearing, CLEARING_BUDGET, None, company);
    }

    fn try_case(
        &self,
        case: &Case,
        budget: Duration,
        watch: Option<Watch>,
        company: Company,
    ) -> Result<Trace, String> {
        let no_directories =
            |error: std::io::Error| format!("no private directories for the case: {error}");
        let directories = CaseDirectories::new_in(self.directory.path()).map_err(no_directories)?;
        let keepsakes = if case.surroundings.keepsakes {
            Keepsakes::lay_out(&directories).map_err(no_directories)?
        } else {
            Keepsakes::default()
        };
        let backend = self.case_backend(case, &directories)?;
        let runner_path = match &backend {
            Some(backend) => format!("{}:{}", backend.shims().display(), self.runner_path),
            None => self.runner_path.clone(),
        };
        let mut host_environment = self.driver.host_environment.clone();
        let of_backend = backend.as_ref().map_or(&[][..], CaseBackend::environment);
        host_environment.extend_from_slice(of_backend);
        let context = CaseContext {
            seed: self.options.seed,
            provide_directories: self.driver.provide_directories,
            runner_path: &runner_path,
            host_environment: &host_environment,
            now_unix_us: unix_us(),
        };
        let jobs = job_runs(case, &context, &directories)?;
        let environment = CaseEnvironment {
            keepsakes,
            secrets: secrets(case),
            runner_path,
            backend,
            budget,
            watch,
            lists: self.lists.as_ref().map(|lists| BackendLists {
                lists: Arc::clone(lists),
                every_call: company == Company::None,
            }),
            follow_children: case.surroundings.follow_children,
            turns: case.turns.clone(),
            ..CaseEnvironment::new(Path::new(&self.supervisor), directories)
        };
        run_case(&environment, jobs, case.order, &self.interrupt).map_err(|error| error.to_string())
    }
}

impl Run<'_> {
    /// The part of the backend that belongs to one case, under a name that no other has.
    fn case_backend(
        &self,
        case: &Case,
        directories: &CaseDirectories,
    ) -> Result<Option<CaseBackend>, String> {
        let Some(backend) = &self.backend else {
            return Ok(None);
        };
        let name = directories.root().file_name().unwrap_or_default();
        let tag = name.to_string_lossy().replace(DIRECTORY_PREFIX, "case-");
        let surroundings = case.surroundings;
        let opened = CaseBackend::open(
            backend,
            &tag,
            surroundings.keepsakes,
            surroundings.backend_fault,
        );
        opened
            .map(Some)
            .map_err(|error| format!("the mock backend broke down: {error}"))
    }

    /// What the report says about the backend.
    pub(super) fn remark_on_backend(&self) -> Option<String> {
        let status = self.backend.as_ref()?.status();
        let (name, isolation) = (&status.personality, status.isolation);
        Some(if status.real {
            format!("the real {name} was called through shims that recorded it")
        } else {
            format!("the driver ran in front of a mock {name}, whose boxes are {isolation}")
        })
    }
}

/// A panic is a bug of ours: it costs the case in which it happened, not what the other cases found.
fn guarded(run: impl FnOnce() -> CaseResult) -> CaseResult {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| {
        CaseResult::Failed(format!("the harness panicked: {}", panic_text(&*payload)))
    })
}

/// What a panic said; `panic!` gives one of these two types.
pub(super) fn panic_text(payload: &(dyn Any + Send)) -> &str {
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

/// The jobs of a case whose last prepare no cleanup came after, by their numbers.
fn never_cleaned_up(trace: &Trace) -> Vec<usize> {
    let last = |job: usize| {
        let calls = trace.calls.iter().filter(|call| call.job == job);
        let mut programs = calls.map(|call| call.program);
        programs.rfind(|program| matches!(program, Program::Prepare | Program::Cleanup))
    };
    let jobs = 0..trace.jobs.len();
    jobs.filter(|job| last(*job) == Some(Program::Prepare))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{Scene, exits};
    use crate::plan::case::{JobOrder, Sequence, StimulusAction};

    #[test]
    fn a_job_whose_runner_died_is_cleaned_up_after() {
        let scene = Scene::with_jobs(&[12, 123], JobOrder::Sequential)
            .call(Program::Prepare, 0)
            .stimulus(StimulusAction::RunnerKill)
            .run("build_script", exits(0), 0)
            .call_of(1, Program::Prepare, 0)
            .call_of(1, Program::Cleanup, 0);
        assert_eq!(never_cleaned_up(&scene.trace), [0]);
        let clearing = plan::clearing(&scene.case, &[0]);
        let [job] = &clearing.jobs[..] else {
            panic!("{} jobs", clearing.jobs.len())
        };
        assert_eq!(job.job_id, scene.case.jobs[0].job_id);
        assert!(job.stimuli.is_empty());
        let Sequence::Calls(calls) = &job.sequence else {
            panic!("a whole job")
        };
        let programs: Vec<Program> = calls.iter().map(|call| call.program).collect();
        assert_eq!(programs, [Program::Config, Program::Cleanup]);
    }

    #[test]
    fn a_job_that_was_cleaned_up_or_never_prepared_is_left_alone() {
        let scene = Scene::with_jobs(&[12, 123], JobOrder::Sequential)
            .call(Program::Prepare, 0)
            .call(Program::Cleanup, 74)
            .call_of(1, Program::Config, 0);
        assert!(never_cleaned_up(&scene.trace).is_empty());
    }

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
