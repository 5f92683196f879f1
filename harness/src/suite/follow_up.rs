//! Following up what cases left that could not be judged at once: what is tied to nobody, and objects of a backend.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::checks::verdict::CaseResult;
use crate::leaks::LeakWatch;
use crate::leaks::lists::Lists;
use crate::plan::case::{Case, JobOrder};
use crate::trace::{Leak, Trace};

use super::backend::{self, Makers};
use super::execution::{Company, Run, selected_checks};
use super::report::CaseRun;
use super::{Progress, suspicions};

/// Longest watch of the machine without the driver.
const CONTROL_MAX: Duration = Duration::from_secs(10);
/// How long a backend may take to delete what cleanup asked it to delete.
const LISTED_GRACE: Duration = Duration::from_secs(5);
/// How often its lists are looked at meanwhile.
const LISTED_LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// Most cases that are run again to learn which call made an object: one may be cut short on a busy machine.
const LISTED_CASES_MAX: usize = 3;
/// A case that should take longer than this is not run again to learn which call made an object.
const LISTED_ESTIMATE_MAX: Duration = Duration::from_mins(5);

/// Most cases that are run again for what is tied to nobody.
const SUSPICIOUS_CASES_MAX: usize = 2;

/// Something is done to a job of the case.
fn may_leave_something(case: &Case) -> bool {
    case.jobs.iter().any(|job| !job.stimuli.is_empty())
}

impl Run<'_> {
    fn is_interrupted(&self) -> bool {
        self.options.interruption.signal().is_some()
    }

    /// Runs a case with nothing beside it; `None` if that did not work out.
    fn alone(&self, case: &Case) -> Option<Box<Trace>> {
        match self.result(case, Company::None) {
            CaseResult::Done(trace) if trace.aborted.is_none() => Some(trace),
            _ => None,
        }
    }

    /// What appeared on the machine and is tied to nobody: cases whose jobs may each have made it are run twice more, alone.
    pub(super) fn follow_suspicions(&self, results: &mut [CaseRun], progress: &mut dyn Progress) {
        let mut suspicious: Vec<&mut CaseRun> = results
            .iter_mut()
            .filter(|run| run.suspicious && run.case.order == JobOrder::Sequential)
            .collect();
        // Where a job is cut off, something may rightly stay.
        suspicious.sort_by_key(|run| (may_leave_something(&run.case), run.case.estimate));
        for run in suspicious.into_iter().take(SUSPICIOUS_CASES_MAX) {
            if self.is_interrupted() {
                return;
            }
            self.follow_suspicion(run, progress);
        }
    }

    fn follow_suspicion(&self, run: &mut CaseRun, progress: &mut dyn Progress) {
        progress.note(&format!(
            "something that no job's name is on stayed on the machine; running {} again, alone",
            run.case.name
        ));
        let began = Instant::now();
        let Some(first) = self.alone(&self.repeated(&run.case)) else {
            return;
        };
        let took = began.elapsed();
        if suspicions::made_by_every_job(&first).is_empty() {
            return;
        }
        let without_driver = self.watch_without_driver(took.min(CONTROL_MAX));
        let case = self.repeated(&run.case);
        let began = Instant::now();
        let Some(mut second) = self.alone(&case) else {
            return;
        };
        let leaks = suspicions::confirmed(&first, &without_driver, &second);
        if leaks.is_empty() {
            return;
        }
        second.leaks.extend(leaks);
        second.suspicions.clear();
        let checks = selected_checks(self.options);
        let result = CaseResult::Done(second);
        *run = CaseRun::judge(case, &result, began.elapsed(), &checks, self.options);
    }

    /// What appears on the machine in a while without the driver.
    fn watch_without_driver(&self, duration: Duration) -> Vec<Leak> {
        let mut watch = LeakWatch::begin(self.directory.path(), []);
        // The time itself is what is wanted: as long as the case took.
        std::thread::sleep(duration);
        watch.left(&[]).suspicions
    }

    /// What the user is told of the list commands before the cases are run.
    pub(super) fn remarks_on_lists(&self) -> Option<String> {
        let lists = self.lists.as_ref()?;
        if lists.has_anonymous() {
            Some(format!(
                "leaks: what {} list does not carry the id of its job, so the cases are run one at a time",
                lists.names()
            ))
        } else if lists.has_appeared() {
            None
        } else {
            Some(format!(
                "leaks: {} listed nothing new in a whole job, so they may not show what this driver makes",
                lists.names()
            ))
        }
    }

    pub(super) fn list_failure(&self) -> Option<String> {
        let failure = self.lists.as_ref()?.failure()?;
        Some(format!(
            "leaks: {failure}; what was left at that time is not known"
        ))
    }

    /// What stays in the lists of the backend when all cases are over is judged; one case is run again to learn the call.
    pub(super) fn settle_lists(&self, results: &mut [CaseRun], progress: &mut dyn Progress) {
        let Some(lists) = &self.lists else { return };
        let of_run = |run: &CaseRun| -> Vec<String> {
            let listed = run.listed.iter().flat_map(|trace| &trace.listed);
            listed.map(|leak| leak.identity.clone()).collect()
        };
        let suspects: BTreeSet<String> = results.iter().flat_map(of_run).collect();
        let staying = self.still_listed(lists, suspects);
        for run in results.iter_mut() {
            if let Some(trace) = &mut run.listed {
                trace.listed.retain(|leak| staying.contains(&leak.identity));
            }
        }
        let has_left = |run: &&CaseRun| {
            let listed = run.listed.as_ref();
            listed.is_some_and(|trace| !trace.listed.is_empty())
        };
        let mut left: Vec<&CaseRun> = results.iter().filter(has_left).collect();
        if left.is_empty() {
            return;
        }
        left.sort_by_key(|run| run.case.estimate);
        let makers = self.makers_of_listed(lists, &left, progress);
        let checks = selected_checks(self.options);
        for run in results.iter_mut() {
            let Some(mut trace) = run.listed.take() else {
                continue;
            };
            let listed = std::mem::take(&mut trace.listed);
            trace.leaks = backend::blamed(lists, listed, &trace, &makers);
            run.judge_listed(*trace, &checks, self.options);
        }
    }

    /// Which calls make what stays: as the nominal job shows, or else a case that is run again, alone. What carries no id
    /// must come again with the same case: the nominal job may have made what serves all jobs.
    fn makers_of_listed(
        &self,
        lists: &Lists,
        left: &[&CaseRun],
        progress: &mut dyn Progress,
    ) -> Makers {
        let wanted = backend::kinds(lists, left.iter().filter_map(|run| run.listed.as_deref()));
        let mut makers = Makers::new();
        if let Some(nominal) = self.nominal_listed.get() {
            let suspects = nominal.listed.iter().map(|leak| leak.identity.clone());
            let staying = self.still_listed(lists, suspects.collect());
            makers = backend::makers(lists, nominal, &staying);
            makers.retain(|(_, named), _| *named);
        }
        for run in left.iter().take(LISTED_CASES_MAX) {
            let known = wanted.iter().all(|kind| makers.contains_key(kind));
            if known || run.case.estimate > LISTED_ESTIMATE_MAX || self.is_interrupted() {
                break;
            }
            progress.note(&format!(
                "objects stayed in the lists of the backend; running {} again, alone, to learn which call makes them",
                run.case.name
            ));
            let Some(trace) = self.alone(&self.repeated(&run.case)) else {
                continue;
            };
            let suspects = trace.listed.iter().map(|leak| leak.identity.clone());
            let staying = self.still_listed(lists, suspects.collect());
            makers.extend(backend::makers(lists, &trace, &staying));
        }
        makers
    }

    /// Those that are still listed when the backend has had its time. Without suspects nothing is asked.
    fn still_listed(&self, lists: &Lists, mut suspects: BTreeSet<String>) -> BTreeSet<String> {
        let deadline = Instant::now() + LISTED_GRACE;
        while !suspects.is_empty() {
            let Ok(now) = lists.identities() else {
                // Nobody knows what is there.
                return BTreeSet::new();
            };
            suspects.retain(|identity| now.contains(identity));
            if Instant::now() >= deadline || self.is_interrupted() {
                break;
            }
            std::thread::sleep(LISTED_LOOK_INTERVAL);
        }
        suspects
    }
}
