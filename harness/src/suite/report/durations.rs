//! How long the driver's calls take when nothing is done to them.

use std::collections::BTreeMap;
use std::time::Duration;

use driver_conformance_reports::model::CallDurations;

use crate::contract::stage::{Program, Stage};
use crate::plan::case::{Probe, ProbeEnding};
use crate::trace::{CallRecord, Trace};

use super::{call_of, milliseconds};

/// One measured call.
pub(super) type Measured = (Program, Option<Stage>, Duration);

/// The calls of a case that ended by themselves, and whose scripts did nothing that takes its time.
pub(super) fn measured(trace: &Trace) -> Vec<Measured> {
    if trace.driver_slowed_down {
        // The machine was measured, not the driver.
        return Vec::new();
    }
    let calls = trace.calls.iter().filter(|call| is_plain(call));
    let measured = calls.filter_map(|call| {
        let took = call.ended?.since(call.started);
        Some((call.program, call.stage.clone(), took))
    });
    measured.collect()
}

fn is_plain(call: &CallRecord) -> bool {
    let quick = |probe: &Probe| {
        !matches!(
            probe.ending,
            ProbeEnding::Hang | ProbeEnding::HangIgnoringTerm
        ) && matches!(probe.output, crate::plan::case::ProbeOutput::None)
    };
    call.signals.is_empty()
        && call.abandoned.is_none()
        && call
            .leader_exit
            .is_some_and(|(_, status)| status.is_success())
        && call.probe.as_ref().is_none_or(quick)
}

/// Their middle and their slowest, program by program and stage by stage.
pub(super) fn summary(measured: impl IntoIterator<Item = Measured>) -> Vec<CallDurations> {
    let mut groups: BTreeMap<(Program, Option<String>), Vec<Duration>> = BTreeMap::new();
    for (program, stage, took) in measured {
        let stage = stage.map(|stage| stage.to_string());
        groups.entry((program, stage)).or_default().push(took);
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
        let took = |milliseconds| (Program::Prepare, None, Duration::from_millis(milliseconds));
        let summary = summary([took(30), took(10), took(20), took(500)]);
        assert_eq!(summary.len(), 1);
        assert_eq!(
            (summary[0].count, summary[0].p50_ms, summary[0].max_ms),
            (4, 20, 500)
        );
    }
}
