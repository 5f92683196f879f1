//! Objects of a backend that cases left in the user's lists: which of them stay, and which call made them.
//!
//! Backends delete late, so nothing is judged before the run is over. Then one case that left something is run once more,
//! alone, with a look at the lists after each call.

use std::collections::{BTreeMap, BTreeSet};

use crate::contract::stage::{Program, Stage};
use crate::leaks::lists::Lists;
use crate::trace::{CallIndex, Evidence, Leak, LeakCategory, Trace};

/// Tells what a case left in a mock backend for want of a cleanup from what serves all jobs: of that, a plain job leaves
/// something too. Names need not tell, since many drivers make them from a hash.
pub(super) fn compare_with_plain_job(left: &mut [Leak], plain: &[Leak]) {
    let of_backend = |leak: &&Leak| leak.category == LeakCategory::Backend;
    let kept: BTreeSet<&str> = plain
        .iter()
        .filter(of_backend)
        .map(|leak| leak.kind)
        .collect();
    for leak in left {
        if leak.category == LeakCategory::Backend
            && !kept.contains(leak.kind)
            && let Some(Evidence::Maker(call)) = leak.evidence
        {
            leak.evidence = Some(Evidence::UnlikePlainJob(call));
        }
    }
}

/// Which call makes the objects of a list: by the list's name and whether they carry the id of their job.
pub(super) type Makers = BTreeMap<(String, bool), (Program, Option<Stage>)>;

/// What sorts of objects the cases left: by the list's name and whether they carry the id of their job.
pub(super) fn kinds<'a>(
    lists: &Lists,
    traces: impl Iterator<Item = &'a Trace>,
) -> BTreeSet<(String, bool)> {
    let listed = traces.flat_map(|trace| &trace.listed);
    listed
        .map(|leak| (lists.list_of(&leak.identity), leak.evidence.is_some()))
        .collect()
}

/// What the case that ran alone tells about the makers. Objects that are not listed any more do not count.
pub(super) fn makers(lists: &Lists, trace: &Trace, still: &BTreeSet<String>) -> Makers {
    let made = trace.listed.iter().filter_map(|leak| {
        let call = trace.calls.get(leak.made_by?.0)?;
        still.contains(&leak.identity).then_some(())?;
        let key = (lists.list_of(&leak.identity), leak.evidence.is_some());
        Some((key, (call.program, call.stage.clone())))
    });
    made.collect()
}

/// The objects that a case left, with the calls that made them. An object that carries no id of a job is the case's only
/// if it is known which call makes such objects.
pub(super) fn blamed(
    lists: &Lists,
    listed: Vec<Leak>,
    trace: &Trace,
    makers: &Makers,
) -> Vec<Leak> {
    // Those without a name are taken to come in the order of the calls that make them.
    let mut nameless: BTreeMap<String, usize> = BTreeMap::new();
    let blame = |leak: Leak| {
        let key = (lists.list_of(&leak.identity), leak.evidence.is_some());
        let job = match leak.evidence {
            Some(Evidence::NamesJob(job)) => Some(job),
            _ => None,
        };
        let nth = if leak.evidence.is_some() {
            0
        } else {
            let seen = nameless.entry(key.0.clone()).or_default();
            *seen += 1;
            *seen - 1
        };
        let call = makers
            .get(&key)
            .and_then(|maker| call_like(trace, job, maker, nth));
        match (leak.evidence, call) {
            (Some(_), call) => Some(Leak {
                made_by: leak.made_by.or(call),
                ..leak
            }),
            (None, Some(call)) => Some(Leak {
                made_by: Some(call),
                evidence: Some(Evidence::AloneAgain(call)),
                ..leak
            }),
            (None, None) => None,
        }
    };
    listed.into_iter().filter_map(blame).collect()
}

/// The call of this program and stage, of a job or of any: the `nth` of them, or the last if there are fewer.
fn call_like(
    trace: &Trace,
    job: Option<usize>,
    (program, stage): &(Program, Option<Stage>),
    nth: usize,
) -> Option<CallIndex> {
    let calls = trace.calls.iter().enumerate();
    let alike = calls.filter(|(_, call)| {
        job.is_none_or(|job| call.job == job) && call.program == *program && call.stage == *stage
    });
    let alike: Vec<usize> = alike.map(|(index, _)| index).collect();
    alike.get(nth).or(alike.last()).copied().map(CallIndex)
}

/// The record of a case without what the checks of leaks do not need, and without all other leaks: those were judged.
pub(super) fn bare(trace: &Trace) -> Trace {
    let calls = trace.calls.iter().map(|call| {
        let mut call = call.clone();
        call.stdout.bytes = Vec::new();
        call.stderr.bytes = Vec::new();
        call.script = None;
        call.environment = Vec::new();
        call.markers = Vec::new();
        call
    });
    Trace {
        events: trace.events.clone(),
        calls: calls.collect(),
        jobs: trace.jobs.clone(),
        scheduling_delay_max: trace.scheduling_delay_max,
        driver_slowed_down: trace.driver_slowed_down,
        aborted: trace.aborted.clone(),
        ..Trace::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Scene;
    use crate::plan::case::JobOrder;

    fn leak(line: &str, made_by: Option<usize>, evidence: Option<Evidence>) -> Leak {
        Leak {
            detector: "list",
            category: LeakCategory::Backend,
            kind: "object of the backend",
            what: line.to_owned(),
            identity: line.to_owned(),
            made_by: made_by.map(CallIndex),
            evidence,
        }
    }

    #[test]
    fn what_a_plain_job_leaves_too_serves_all_jobs() {
        let made = |kind| Leak {
            kind,
            ..leak("a3f9", Some(1), Some(Evidence::Maker(CallIndex(1))))
        };
        let mut left = [made("box"), made("network")];
        compare_with_plain_job(&mut left, &[made("network")]);
        let evidence = left.map(|leak| leak.evidence);
        let unlike = Some(Evidence::UnlikePlainJob(CallIndex(1)));
        assert_eq!(evidence, [unlike, Some(Evidence::Maker(CallIndex(1)))]);
    }

    fn trace() -> Trace {
        Scene::with_jobs(&[12, 123], JobOrder::Sequential)
            .call(Program::Config, 0)
            .call(Program::Prepare, 0)
            .call_of(1, Program::Config, 0)
            .call_of(1, Program::Prepare, 0)
            .trace
    }

    #[test]
    fn the_call_that_one_case_shows_is_blamed_in_all() {
        let lists = Lists::default();
        let named = |job| Some(Evidence::NamesJob(job));
        let mut alone = trace();
        alone.listed = vec![leak("things: vm-9", Some(1), named(0))];
        let still = ["things: vm-9".to_owned()].into();
        let makers = makers(&lists, &alone, &still);
        let listed = vec![leak("things: vm-8", None, named(1))];
        let found = blamed(&lists, listed, &trace(), &makers);
        assert_eq!(found[0].made_by, Some(CallIndex(3)));
    }

    #[test]
    fn without_an_id_only_what_came_again_counts() {
        let lists = Lists::default();
        let listed = || vec![leak("things: x", None, None)];
        let nothing = blamed(&lists, listed(), &trace(), &Makers::new());
        assert_eq!(nothing, []);
        let mut alone = trace();
        alone.listed = vec![leak("things: y", Some(1), None)];
        let gone = makers(&lists, &alone, &BTreeSet::new());
        assert_eq!(blamed(&lists, listed(), &trace(), &gone), []);
        let still = ["things: y".to_owned()].into();
        let again = makers(&lists, &alone, &still);
        let found = blamed(&lists, listed(), &trace(), &again);
        assert_eq!(found[0].evidence, Some(Evidence::AloneAgain(CallIndex(1))));
    }

    #[test]
    fn a_named_one_whose_maker_is_not_known_stays() {
        let named = leak("things: vm-8", None, Some(Evidence::NamesJob(1)));
        let found = blamed(
            &Lists::default(),
            vec![named.clone()],
            &trace(),
            &Makers::new(),
        );
        assert_eq!(found, [named]);
    }
}
