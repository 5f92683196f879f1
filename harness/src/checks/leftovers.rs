//! What of the things a case left on the machine cleanup should have removed.

use crate::contract::stage::Program;
use crate::trace::{CallIndex, Evidence, Leak, LeakCategory, Trace};

use super::Deviation;
use super::evidence::{calls, cleaned_up_after, events_of, killed_outright};

/// Judges the leaks of one category. `None`: the case has no cleanup that could have removed anything.
pub(crate) fn left_after_cleanup(
    trace: &Trace,
    category: LeakCategory,
    message: &str,
    expected: &str,
) -> Option<Vec<Deviation>> {
    left_after_cleanup_where(trace, |leak| leak.category == category, message, expected)
}

/// The same for the leaks that `wanted` picks.
pub(crate) fn left_after_cleanup_where(
    trace: &Trace,
    wanted: impl Fn(&Leak) -> bool,
    message: &str,
    expected: &str,
) -> Option<Vec<Deviation>> {
    calls(trace).find(|(index, _)| cleaned_up_after(trace, *index))?;
    let left: Vec<&Leak> = of_one_job(trace, wanted).collect();
    let mut makers: Vec<Option<CallIndex>> = left.iter().map(|leak| leak.made_by).collect();
    makers.sort();
    makers.dedup();
    let found = makers.into_iter().map(|maker| Deviation {
        call: maker,
        message: message.to_owned(),
        expected: vec![expected.to_owned()],
        actual: left
            .iter()
            .filter(|leak| leak.made_by == maker)
            .map(|leak| leak.what.as_str())
            .collect::<Vec<_>>()
            .join("; "),
        evidence: maker.map_or((0, trace.events.len().saturating_sub(1)), |call| {
            events_of(trace, call)
        }),
        inconclusive: false,
        by_time: false,
    });
    Some(found.collect())
}

/// The leaks among those `wanted` that belong to one job alone and that its cleanup should have removed.
pub(crate) fn of_one_job(
    trace: &Trace,
    wanted: impl Fn(&Leak) -> bool,
) -> impl Iterator<Item = &Leak> {
    trace.leaks.iter().filter(move |leak| {
        wanted(leak) && should_be_gone(trace, leak) && (is_of_a_job(leak) || grows(trace, leak))
    })
}

/// The job that a leak belongs to.
fn job_of(trace: &Trace, leak: &Leak) -> Option<usize> {
    let of_call = |call: CallIndex| trace.calls.get(call.0).map(|call| call.job);
    match leak.evidence? {
        Evidence::NamesJob(job) => Some(job),
        Evidence::Maker(call) | Evidence::AloneAgain(call) | Evidence::UnlikePlainJob(call) => {
            of_call(call)
        }
        Evidence::InsideCase => of_call(leak.made_by?),
    }
}

/// A cleanup of its job came to its end after it was made. What a call had just made when it was killed outright, no
/// driver can know of.
fn should_be_gone(trace: &Trace, leak: &Leak) -> bool {
    match leak.made_by {
        Some(index) => {
            let call = &trace.calls[index.0];
            let by_cleanup = call.program == Program::Cleanup && call.ended.is_some();
            !killed_outright(call) && (by_cleanup || cleaned_up_after(trace, index))
        }
        None => job_of(trace, leak).is_some_and(|job| {
            let of_job = || calls(trace).filter(|(_, call)| call.job == job);
            let undisturbed = !of_job().any(|(_, call)| killed_outright(call));
            undisturbed && of_job().any(|(index, _)| cleaned_up_after(trace, index))
        }),
    }
}

/// It is known to belong to one job alone: by its name, or because the next job made one of its own.
fn is_of_a_job(leak: &Leak) -> bool {
    let evidence = leak.evidence;
    matches!(
        evidence,
        Some(Evidence::NamesJob(_) | Evidence::AloneAgain(_) | Evidence::UnlikePlainJob(_))
    )
}

/// A job before this one left one of its kind too, and cleaned up. What is made once and serves all jobs is no leak: the
/// second job finds it.
fn grows(trace: &Trace, leak: &Leak) -> bool {
    let Some(job) = job_of(trace, leak) else {
        return false;
    };
    let mut same_kind = trace.leaks.iter().filter(|other| other.kind == leak.kind);
    same_kind.any(|other| {
        let earlier = job_of(trace, other).is_some_and(|earlier| earlier < job);
        earlier && should_be_gone(trace, other)
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::checks::testing::Scene;
    use crate::plan::case::JobOrder;

    /// Two jobs, one after the other, and what each call left: call, kind, evidence.
    pub(crate) fn scene(
        category: LeakCategory,
        left: &[(Option<usize>, &'static str, Evidence)],
    ) -> Scene {
        let mut scene = Scene::with_jobs(&[12, 123], JobOrder::Sequential)
            .call(Program::Prepare, 0)
            .call(Program::Cleanup, 0)
            .call_of(1, Program::Prepare, 0)
            .call_of(1, Program::Cleanup, 0);
        for (maker, kind, evidence) in left {
            scene.trace.leaks.push(Leak {
                detector: "made-up",
                category,
                kind,
                what: format!("a {kind}"),
                identity: kind.to_string(),
                made_by: maker.map(CallIndex),
                evidence: Some(*evidence),
            });
        }
        scene
    }

    fn found(left: &[(Option<usize>, &'static str, Evidence)]) -> Vec<Deviation> {
        let scene = scene(LeakCategory::Mount, left);
        left_after_cleanup(&scene.trace, LeakCategory::Mount, "left it", "nothing")
            .expect("there is a cleanup")
    }

    #[test]
    fn one_finding_for_each_call() {
        let first = Evidence::NamesJob(0);
        let found = found(&[
            (Some(0), "mount", first),
            (Some(0), "loop device", first),
            (Some(3), "mount", Evidence::NamesJob(1)),
        ]);
        let shown: Vec<_> = found
            .iter()
            .map(|found| (found.call, &*found.actual))
            .collect();
        assert_eq!(
            shown,
            [
                (Some(CallIndex(0)), "a mount; a loop device"),
                (Some(CallIndex(3)), "a mount")
            ]
        );
    }

    #[test]
    fn what_is_made_once_for_all_jobs_is_fine() {
        assert_eq!(found(&[(Some(0), "mount", Evidence::InsideCase)]), []);
        let each = [
            (Some(0), "mount", Evidence::InsideCase),
            (Some(2), "mount", Evidence::InsideCase),
        ];
        assert_eq!(found(&each).len(), 1, "the second job mounted it again");
    }

    #[test]
    fn what_came_again_with_the_next_job_is_found_in_one_job() {
        let again = Evidence::AloneAgain(CallIndex(0));
        assert_eq!(found(&[(Some(0), "mount", again)]).len(), 1);
    }

    #[test]
    fn without_a_call_the_whole_job_is_to_blame() {
        let found = found(&[(None, "mount", Evidence::NamesJob(1))]);
        assert_eq!((found.len(), found[0].call), (1, None));
    }

    #[test]
    fn what_a_killed_call_made_is_excused() {
        use crate::contract::protocol::{KillSignal, SignalResult};
        let mut scene = scene(
            LeakCategory::Mount,
            &[(Some(0), "mount", Evidence::NamesJob(0))],
        );
        let call = &mut scene.trace.calls[0];
        call.signals
            .push((call.started, KillSignal::Kill, SignalResult::Delivered));
        let found = left_after_cleanup(&scene.trace, LeakCategory::Mount, "left it", "nothing");
        assert_eq!(found, Some(Vec::new()));
    }
}
