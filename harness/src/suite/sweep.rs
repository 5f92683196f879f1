//! The sweep of faults: a nominal job tells which programs the driver starts, and then a case for each point hits it there.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use driver_conformance_reports::model::Report;

use crate::checks::verdict::{CaseResult, Finding};
use crate::contract::stage::Program;
use crate::driver::Driver;
use crate::faults::{
    NOMINAL_NAME, Point, backend_points, hung_scenario, nominal_scenario, out_of_reach, points,
    spread,
};
use crate::plan::case::Case;
use crate::plan::patience::give_time_to_end;
use crate::plan::select::{Globs, select};
use crate::plan::{CaseDefaults, generated};
use crate::trace::Trace;

use super::execution::{Company, Run};
use super::report::{CaseRun, assemble, without_transitions};
use super::{Progress, RunError, RunOptions, Suite};

/// Programs that give a process other rights, which the kernel does not let them do while they are traced.
const CHANGES_USER: [&str; 5] = ["sudo", "su", "doas", "pkexec", "runuser"];
/// How often a case is repeated to see whether what it shows is there again.
const REPETITIONS: u32 = 2;

/// The sweep was stopped before it was known where the driver can be hit.
const STOPPED_EARLY: &str = "the run was stopped before its fault points were known";
/// Why a point says nothing.
const NOT_REACHED: &str =
    "the driver did not come to this point again, although it did in two nominal jobs";

/// The sweep of faults as a suite.
#[derive(Debug, Clone, Default)]
pub struct FaultSweep {
    /// Which points; both empty: all.
    pub globs: Globs,
    /// How long it may take; `None`: until every point was tried.
    pub budget: Option<Duration>,
}

impl Suite for FaultSweep {
    fn run(
        &self,
        driver: &Driver,
        options: &RunOptions,
        progress: &mut dyn Progress,
    ) -> Result<Report, RunError> {
        let mut options = options.clone();
        // The points are not the cases that exceptions were made for; these need not apply here.
        options.waivers = options.waivers.expected_nowhere();
        let started = (SystemTime::now(), Instant::now());
        let sweep = Sweep {
            what: self,
            driver,
            options: &options,
        };
        match sweep.run(started, progress) {
            Err(RunError::Interrupted(_)) => {
                let remarks = vec![STOPPED_EARLY.to_owned()];
                Ok(sweep.report(Vec::new(), started, remarks, (0, 0)))
            }
            swept => swept,
        }
    }
}

struct Sweep<'run> {
    what: &'run FaultSweep,
    driver: &'run Driver,
    options: &'run RunOptions,
}

/// What the nominal jobs tell.
struct Plan {
    points: Vec<Point>,
    with_bystander: bool,
    remarks: Vec<String>,
}

impl Sweep<'_> {
    fn run(
        &self,
        started: (SystemTime, Instant),
        progress: &mut dyn Progress,
    ) -> Result<Report, RunError> {
        let run = Run::new(self.driver, self.options)?;
        let hanging = run.calibrate(progress)?;
        if hanging.is_some() {
            return Err(RunError::Refused(
                "a job to which nothing happens does not come to its end with this driver, so that no fault could be told \
                 from that; run the suite first"
                    .to_owned(),
            ));
        }
        let defaults = run.known_defaults();
        let mut remarks = crate::leaks::not_watched();
        remarks.extend(run.remark_on_backend());
        remarks.extend(run.remarks_on_lists());
        let plan = match self.plan(&run, &defaults)? {
            Ok(plan) => plan,
            Err(nominal) => {
                remarks.push(
                    "the job to which nothing happens fails already, so that no point was tried; run the suite first"
                        .to_owned(),
                );
                return Ok(self.report(vec![*nominal], started, remarks, (0, 0)));
            }
        };
        remarks.extend(plan.remarks.iter().cloned());
        let all = plan.points.len();
        let chosen = self.chosen(&plan.points)?;
        let deadline = self.what.budget.map(|budget| started.1 + budget);
        let ordered = if deadline.is_some() {
            spread(chosen, self.options.seed)
        } else {
            chosen
        };
        let total = if self.what.globs == Globs::default() {
            all
        } else {
            ordered.len()
        };
        let cases = cases(&ordered, plan.with_bystander, &defaults)?;
        progress.started(cases.len());
        let mut results = run.until(deadline, cases, progress);
        place(&mut results, &plan.points);
        self.confirm(&run, &mut results, progress);
        run.again_alone(&mut results, progress);
        run.settle_lists(&mut results, progress);
        remarks.extend(run.list_failure());
        let covered = covered(&mut results);
        if results.len() < total && deadline.is_some() {
            remarks.push(sampled(results.len(), total, self.options.seed));
        }
        Ok(self.report(results, started, remarks, (covered, total)))
    }

    fn report(
        &self,
        results: Vec<CaseRun>,
        started: (SystemTime, Instant),
        remarks: Vec<String>,
        (covered, total): (usize, usize),
    ) -> Report {
        let checks = super::execution::selected_checks(self.options);
        let times = (started.0, started.1.elapsed());
        let mut report = assemble(self.driver, self.options, &checks, results, times, remarks);
        without_transitions(&mut report, self.driver);
        report.summary.fault_points_covered = covered;
        report.summary.fault_points_total = total;
        if let Some(partial) = &mut report.partial {
            partial.cases_missing = total.saturating_sub(report.cases.len());
        }
        report
    }

    /// Runs the nominal jobs, beside another one if the driver can have two. `Err` is one that fails.
    fn plan(
        &self,
        run: &Run<'_>,
        defaults: &CaseDefaults,
    ) -> Result<Result<Plan, Box<CaseRun>>, RunError> {
        let mut remarks = Vec::new();
        let mut with_bystander = true;
        let mut first = self.nominal(run, defaults, &nominal_scenario(with_bystander))?;
        let shown = first.1.defects().next().map(told);
        if let Some(shown) = shown {
            with_bystander = false;
            first = self.nominal(run, defaults, &nominal_scenario(with_bystander))?;
            if first.1.defects().next().is_some() {
                return Ok(Err(Box::new(first.1)));
            }
            remarks.push(format!(
                "this driver does not work while another job is alive, so that nothing is said about other jobs: {shown}"
            ));
        }
        let second = self.nominal(run, defaults, &nominal_scenario(with_bystander))?;
        let points: Vec<Point> = if let Some(choice) = &self.driver.backend {
            let left_out = out_of_reach(|kind| choice.can_do(kind));
            if !left_out.is_empty() {
                let names: Vec<&str> = left_out.iter().copied().collect();
                remarks.push(format!(
                    "what only a mock backend can do is left out: {}",
                    names.join(", ")
                ));
            }
            let points = backend_points(&first.0, &second.0);
            let kept = points
                .into_iter()
                .filter(|point| !left_out.contains(point.kind));
            kept.map(Point::Backend).collect()
        } else {
            refuse_change_of_user(&first.0)?;
            let hung = self.nominal(run, defaults, &hung_scenario(with_bystander))?;
            let points = points(&first.0, &second.0, &hung.0);
            points.into_iter().map(Point::Child).collect()
        };
        Ok(Ok(Plan {
            points,
            with_bystander,
            remarks,
        }))
    }

    fn nominal(
        &self,
        run: &Run<'_>,
        defaults: &CaseDefaults,
        scenario: &str,
    ) -> Result<(Box<Trace>, CaseRun), RunError> {
        let mut case =
            generated(NOMINAL_NAME, scenario, 0, defaults).map_err(|error| ours(&error))?;
        case.surroundings.follow_children = self.driver.backend.is_none();
        let case = run.repeated(&case);
        let began = Instant::now();
        let result = run.result(&case, Company::None);
        if let Some(signal) = self.options.interruption.signal() {
            return Err(RunError::Interrupted(signal));
        }
        let trace = match &result {
            CaseResult::Done(trace) | CaseResult::CutShort(trace, _) => trace.clone(),
            CaseResult::Failed(reason) | CaseResult::Skipped(reason) => {
                return Err(RunError::Refused(format!(
                    "the nominal job could not be followed: {reason}"
                )));
            }
        };
        let checks = super::execution::selected_checks(self.options);
        let judged = CaseRun::judge(case, &result, began.elapsed(), &checks, self.options);
        Ok((trace, judged))
    }

    fn chosen(&self, points: &[Point]) -> Result<Vec<Point>, RunError> {
        let names: Vec<String> = points.iter().map(Point::name).collect();
        let selected = select(&self.what.globs, &names, &[])
            .map_err(|error| RunError::Refused(error.to_string()))?;
        let kept = |point: &&Point| selected.cases.contains(&point.name());
        Ok(points.iter().filter(kept).cloned().collect())
    }

    /// What a point shows must show when it is repeated, and where it was not come to, it is tried again. What could not be
    /// repeated, because the user wants to stop, stays in doubt.
    fn confirm(&self, run: &Run<'_>, results: &mut [CaseRun], progress: &mut dyn Progress) {
        results.sort_by_key(|result| result.position);
        let stopped = || self.options.interruption.signal().is_some();
        let mut known: BTreeSet<String> = BTreeSet::new();
        for result in results.iter_mut() {
            if stopped() {
                result.doubt_all_but(&known);
                continue;
            }
            if !result.was_reached() && result.was_run() {
                let again = run.timed_again(result);
                if !stopped() {
                    *result = again;
                }
            }
            let shown: BTreeSet<String> = result.shown().into_iter().map(str::to_owned).collect();
            if shown.is_subset(&known) {
                continue;
            }
            progress.note(&format!(
                "{} shows something; running it again, alone",
                result.case.name
            ));
            let mut again = BTreeSet::new();
            for _ in 0..REPETITIONS {
                let repeated = run.timed_again(result);
                if stopped() {
                    break;
                }
                again.extend(repeated.shown().into_iter().map(str::to_owned));
                if shown.is_subset(&again) {
                    break;
                }
            }
            known.extend(shown.intersection(&again).cloned());
            result.doubt_all_but(&known);
        }
    }
}

/// The shortest failing point comes first, and is the example of its defect.
fn place(results: &mut [CaseRun], points: &[Point]) {
    for run in results {
        let name = &run.case.name;
        let position = points.iter().position(|point| point.name() == *name);
        run.position = position.unwrap_or(points.len());
    }
}

/// How many points the driver came to; the others say nothing.
fn covered(results: &mut [CaseRun]) -> usize {
    let mut covered = 0;
    for result in results.iter_mut() {
        if result.was_reached() {
            covered += 1;
        } else if result.was_run() {
            result.skip(NOT_REACHED);
        }
    }
    covered
}

/// What the report says of a sample.
fn sampled(tried: usize, total: usize, seed: u64) -> String {
    format!(
        "the budget let {tried} of {total} points be tried, by turns of each call and each thing that goes wrong, drawn with \
         seed {seed}"
    )
}

fn cases(
    points: &[Point],
    with_bystander: bool,
    defaults: &CaseDefaults,
) -> Result<Vec<Case>, RunError> {
    let numbered = points.iter().zip(1..);
    numbered
        .map(|(point, number)| {
            let text = point.scenario(with_bystander);
            let case = generated(&point.name(), &text, number, defaults);
            let mut case = case.map_err(|error| ours(&error))?;
            case.surroundings.backend_fault = point.fault();
            // A call whose backend does not answer must end when it is told to; how long its last requests may take is its own
            // affair.
            if point.hangs() {
                give_time_to_end(&mut case);
            }
            Ok(case)
        })
        .collect()
}

/// What a finding shows, in a few words: the check, where, what was done.
fn told(finding: &Finding) -> String {
    let program = finding.program.map_or("job", Program::name);
    let stage = finding.stage.as_deref().unwrap_or_default();
    let place = format!("{program} {stage}");
    let (check, message) = (finding.check.id, &finding.deviation.message);
    format!("{check}: {} {message}", place.trim_end())
}

fn ours(error: &crate::plan::PlanError) -> RunError {
    RunError::Harness(error.to_string())
}

/// A program that takes another user's rights works differently, or not at all, while it is traced by one who may not.
fn refuse_change_of_user(trace: &Trace) -> Result<(), RunError> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let changes = |name: &str| {
        CHANGES_USER
            .iter()
            .any(|known| Path::new(known) == Path::new(name))
    };
    match trace
        .children
        .iter()
        .find(|(_, child)| changes(&child.name))
    {
        Some((_, child)) => Err(RunError::Refused(format!(
            "the driver calls {}, which the kernel gives no rights while its calls are followed; run the sweep as root",
            child.name
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::sampled;

    #[test]
    fn a_report_on_a_sample_says_so() {
        let told = sampled(12, 480, 7);
        assert!(told.contains("12 of 480 points"), "{told}");
        assert!(told.ends_with("seed 7"), "{told}");
    }
}
