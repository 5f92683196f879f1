//! What appeared on the machine while cases ran, and is tied to nobody: whether the driver made it.
//!
//! A case with several jobs is run again with nothing beside it. The driver is accused only if each of its jobs made one
//! of the kind during the same call, twice over, and none appeared in a while of the same length without the driver.

use std::collections::BTreeMap;

use crate::contract::stage::{Program, Stage};
use crate::trace::{Evidence, Leak, LeakCategory, Trace};

/// The fewest jobs of a case that can show that each of them makes something.
pub(super) const JOBS_MIN: usize = 2;

/// What made something: the kind of thing, the program and the stage.
type Maker = (&'static str, Program, Option<Stage>);

/// How many of a kind each job of a trace made during the same call; what not every job made alike is left out.
pub(super) fn made_by_every_job(trace: &Trace) -> BTreeMap<Maker, usize> {
    let jobs = trace.jobs.len();
    let counts = counts(trace).into_iter();
    counts
        .filter_map(|(maker, by_job)| {
            let first = *by_job.values().next()?;
            let alike = by_job.len() == jobs && by_job.values().all(|count| *count == first);
            (alike && jobs >= JOBS_MIN).then_some((maker, first))
        })
        .collect()
}

/// How many of a kind were made during the same call, by job.
fn counts(trace: &Trace) -> BTreeMap<Maker, BTreeMap<usize, usize>> {
    let mut counts: BTreeMap<Maker, BTreeMap<usize, usize>> = BTreeMap::new();
    for leak in &trace.suspicions {
        let Some(call) = leak.made_by.and_then(|index| trace.calls.get(index.0)) else {
            continue;
        };
        let maker = (leak.kind, call.program, call.stage.clone());
        *counts
            .entry(maker)
            .or_default()
            .entry(call.job)
            .or_default() += 1;
    }
    counts
}

/// What each job of the trace left of at least one kind: a reason to run its case again, alone. When a file was born is
/// known to the call, so that among the many that come and go in the meantime only those of the same call count; some may
/// be those of cases beside it.
pub(super) fn is_worth_a_look(trace: &Trace) -> bool {
    let mut of_same_call = counts(trace);
    of_same_call.retain(|_, by_job| by_job.len() == trace.jobs.len());
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for leak in &trace.suspicions {
        if leak.category == LeakCategory::File
            && !of_same_call.keys().any(|(kind, ..)| *kind == leak.kind)
        {
            continue;
        }
        *kinds.entry(leak.kind).or_default() += 1;
    }
    trace.jobs.len() >= JOBS_MIN && kinds.values().any(|count| *count >= trace.jobs.len())
}

/// The suspicions of the second run that both runs agree on and that did not appear without the driver, as leaks.
pub(super) fn confirmed(first: &Trace, without_driver: &[Leak], second: &Trace) -> Vec<Leak> {
    let (before, now) = (made_by_every_job(first), made_by_every_job(second));
    let agreed = |maker: &Maker| {
        let same = before.contains_key(maker) && before.get(maker) == now.get(maker);
        same && without_driver.iter().all(|leak| leak.kind != maker.0)
    };
    second
        .suspicions
        .iter()
        .filter_map(|leak| {
            let call = leak.made_by?;
            let record = second.calls.get(call.0)?;
            agreed(&(leak.kind, record.program, record.stage.clone())).then(|| Leak {
                evidence: Some(Evidence::AloneAgain(call)),
                ..leak.clone()
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Scene;
    use crate::plan::case::JobOrder;
    use crate::trace::CallIndex;

    fn leak(kind: &'static str, call: Option<usize>) -> Leak {
        Leak {
            detector: "made-up",
            category: LeakCategory::Process,
            kind,
            what: kind.to_owned(),
            identity: kind.to_owned(),
            made_by: call.map(CallIndex),
            evidence: None,
        }
    }

    /// Two jobs with a prepare (0, 2) and a cleanup (1, 3) each.
    fn trace(left: &[(&'static str, usize)]) -> Trace {
        let mut trace = Scene::with_jobs(&[12, 123], JobOrder::Sequential)
            .call(Program::Prepare, 0)
            .call(Program::Cleanup, 0)
            .call_of(1, Program::Prepare, 0)
            .call_of(1, Program::Cleanup, 0)
            .trace;
        let suspicions = left.iter().map(|(kind, call)| leak(kind, Some(*call)));
        trace.suspicions = suspicions.collect();
        trace
    }

    #[test]
    fn what_every_job_makes_twice_over_is_confirmed() {
        let each = [("queue", 0), ("queue", 2)];
        let found = confirmed(&trace(&each), &[], &trace(&each));
        let evidence: Vec<_> = found.iter().map(|leak| leak.evidence).collect();
        assert_eq!(
            evidence,
            [
                Some(Evidence::AloneAgain(CallIndex(0))),
                Some(Evidence::AloneAgain(CallIndex(2)))
            ]
        );
    }

    #[test]
    fn what_one_job_or_one_run_shows_is_not() {
        let each = [("queue", 0), ("queue", 2)];
        for other in [
            &[("queue", 0)][..],
            &[("queue", 0), ("queue", 3)],
            &[("queue", 0), ("queue", 0), ("queue", 2)],
            &[("segment", 0), ("segment", 2)],
            &[],
        ] {
            assert_eq!(confirmed(&trace(&each), &[], &trace(other)), []);
            assert_eq!(confirmed(&trace(other), &[], &trace(&each)), []);
        }
    }

    #[test]
    fn what_appears_without_the_driver_too_is_not() {
        let each = [("queue", 0), ("queue", 2)];
        let noise = [leak("queue", None)];
        assert_eq!(confirmed(&trace(&each), &noise, &trace(&each)), []);
        let other = [leak("segment", None)];
        assert_eq!(confirmed(&trace(&each), &other, &trace(&each)).len(), 2);
    }

    #[test]
    fn files_that_came_in_different_calls_are_not_worth_a_look() {
        let files = |left: &[(&'static str, usize)]| {
            let mut trace = trace(left);
            for leak in &mut trace.suspicions {
                leak.category = LeakCategory::File;
            }
            trace
        };
        assert!(is_worth_a_look(&files(&[("file", 0), ("file", 2)])));
        assert!(!is_worth_a_look(&files(&[("file", 0), ("file", 3)])));
    }

    #[test]
    fn one_thing_for_two_jobs_is_not_worth_a_look() {
        assert!(!is_worth_a_look(&trace(&[("queue", 0)])));
        assert!(is_worth_a_look(&trace(&[("queue", 0), ("queue", 2)])));
    }
}
