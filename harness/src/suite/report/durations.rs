//! How long the driver's calls take: when nothing is done to them, when they fail, and from SIGTERM to their end.

use std::collections::BTreeMap;
use std::time::Duration;

use driver_conformance_reports::model::CallDurations;

use crate::contract::moment::Moment;
use crate::contract::protocol::KillSignal;
use crate::contract::stage::{Program, Stage};
use crate::plan::case::{Probe, ProbeEnding};
use crate::trace::{CallRecord, Trace};

use super::{call_of, milliseconds};

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A call that succeeded, and whose script did nothing that takes its time.
    Nominal,
    /// A call without a script that failed by itself.
    Faulty,
    /// The end of a call, from SIGTERM on.
    Ending,
}

/// One measured call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Measured {
    /// What was measured.
    pub(super) kind: Kind,
    program: Program,
    stage: Option<Stage>,
    took: Duration,
}

/// The calls of a case that ended without being killed.
pub(super) fn measured(trace: &Trace) -> Vec<Measured> {
    if trace.driver_slowed_down {
        // The machine was measured, not the driver.
        return Vec::new();
    }
    let measured = trace.calls.iter().filter_map(|call| {
        let (kind, since) = kind_of(call)?;
        Some(Measured {
            kind,
            program: call.program,
            stage: call.stage.clone(),
            took: call.ended?.since(since),
        })
    });
    measured.collect()
}

/// What a call is a measurement of, and from when on; nothing if it says nothing about the driver.
fn kind_of(call: &CallRecord) -> Option<(Kind, Moment)> {
    let (_, status) = call.leader_exit?;
    if call.abandoned.is_some() {
        return None;
    }
    if let Some((first, _, _)) = call.signals.first() {
        let heeded = call
            .signals
            .iter()
            .all(|(_, signal, _)| *signal == KillSignal::Term);
        return (heeded && ends_itself(call)).then_some((Kind::Ending, *first));
    }
    if status.is_success() {
        return is_quick(call).then_some((Kind::Nominal, call.started));
    }
    (call.program != Program::Run).then_some((Kind::Faulty, call.started))
}

/// Whether the script does not itself stand in the way of an end.
fn ends_itself(call: &CallRecord) -> bool {
    let ignores = |probe: &Probe| matches!(probe.ending, ProbeEnding::HangIgnoringTerm);
    !call.probe.as_ref().is_some_and(ignores)
}

fn is_quick(call: &CallRecord) -> bool {
    let quick = |probe: &Probe| {
        !matches!(
            probe.ending,
            ProbeEnding::Hang | ProbeEnding::HangIgnoringTerm
        ) && matches!(probe.output, crate::plan::case::ProbeOutput::None)
    };
    call.probe.as_ref().is_none_or(quick)
}

/// Their middle and their slowest, program by program and stage by stage.
pub(super) fn summary<'a>(measured: impl IntoIterator<Item = &'a Measured>) -> Vec<CallDurations> {
    let mut groups: BTreeMap<(Program, Option<String>), Vec<Duration>> = BTreeMap::new();
    for one in measured {
        let stage = one.stage.as_ref().map(ToString::to_string);
        groups
            .entry((one.program, stage))
            .or_default()
            .push(one.took);
    }
    let groups = groups.into_iter();
    groups
        .map(|((program, stage), mut times)| {
            times.sort_unstable();
            CallDurations {
                call: call_of(program),
                stage,
                count: times.len(),
                p50_ms: milliseconds(times[(times.len() - 1) / 2]),
                max_ms: milliseconds(times[times.len() - 1]),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_slowest_of_each_program_are_told() {
        let took = |milliseconds| Measured {
            kind: Kind::Nominal,
            program: Program::Prepare,
            stage: None,
            took: Duration::from_millis(milliseconds),
        };
        let summary = summary(&[took(30), took(10), took(20), took(500)]);
        assert_eq!(summary.len(), 1);
        assert_eq!(
            (summary[0].count, summary[0].p50_ms, summary[0].max_ms),
            (4, 20, 500)
        );
    }
}
