//! From the trace of a case to its timeline: who did what when, in lanes, short enough to be drawn.

use std::time::Duration;

use driver_conformance_mock_backend::HTTP_TOOL;
use driver_conformance_reports::model::timeline::{Instant, Lane, Marked, Span, Timeline, Tone};

use crate::checks::verdict;
use crate::contract::moment::Moment;
use crate::contract::protocol::KillSignal;
use crate::plan::case::Case;
use crate::trace::{CallIndex, CallRecord, LeakCategory, LedgerEntry, Trace, TraceEventKind};

use super::super::call_name;
use super::call_of;

/// Most spans of one timeline.
const SPANS_MAX: usize = 80;
/// Most moments of one timeline.
const MOMENTS_MAX: usize = 160;
/// Most files that are shown as left: what is left of a directory is one thing.
const FILES_MAX: usize = 3;
/// Most characters of a label.
const LABEL_CHARACTERS_MAX: usize = 120;

/// The timeline of a case, with what shows each of these findings of it.
pub(super) fn of(case: &Case, trace: &Trace, findings: &[verdict::Finding]) -> Timeline {
    let mut spans = spans(trace);
    let mut moments = moments(trace);
    let left_out =
        spans.len().saturating_sub(SPANS_MAX) + moments.len().saturating_sub(MOMENTS_MAX);
    spans.truncate(SPANS_MAX);
    moments.truncate(MOMENTS_MAX);
    Timeline {
        case: case.name.clone(),
        about: case.about.clone(),
        end_us: end(trace),
        spans,
        moments,
        marked: findings
            .iter()
            .filter_map(|found| marked(trace, found))
            .collect(),
        left_out,
    }
}

/// The last thing that is known to have happened.
fn end(trace: &Trace) -> u64 {
    let events = trace.events.iter().map(|event| event.at);
    let calls = trace
        .calls
        .iter()
        .flat_map(|call| [Some(call.started), call.ended, call.abandoned]);
    let last = events.chain(calls.flatten()).max();
    last.unwrap_or(Moment::START).microseconds()
}

fn label(text: &str) -> String {
    text.chars().take(LABEL_CHARACTERS_MAX).collect()
}

fn spans(trace: &Trace) -> Vec<Span> {
    // First, so that it is not what is left out.
    let mut spans: Vec<Span> = left(trace).take(SPANS_MAX / 2).collect();
    for call in &trace.calls {
        spans.push(of_call(call));
        spans.extend(held_open(trace, call));
        spans.extend(of_script(call));
    }
    spans.extend(trace.ledger.iter().map(|entry| of_request(trace, entry)));
    spans
}

/// What was asked of the mock backend, what it did, and how it answered.
fn of_request(trace: &Trace, entry: &LedgerEntry) -> Span {
    let caller = entry.call.and_then(|index| trace.calls.get(index.0));
    // Statuses of HTTP say success in their own way.
    let succeeded = |code: i32| {
        if entry.command.first().is_some_and(|tool| tool == HTTP_TOOL) {
            (100..400).contains(&code)
        } else {
            code == 0
        }
    };
    let (answer, tone) = match entry.code {
        None => (": no answer".to_owned(), Tone::Gap),
        Some(code) if !succeeded(code) => (format!(": {code}"), Tone::Failed),
        Some(_) if entry.struck => (String::new(), Tone::Failed),
        Some(_) => (String::new(), Tone::Plain),
    };
    let effects = if entry.effects.is_empty() {
        String::new()
    } else {
        format!(" ({})", entry.effects.join(", "))
    };
    Span {
        lane: Lane::Backend,
        label: label(&format!("{}{answer}{effects}", entry.verb)),
        job: caller.map_or(0, |call| call.job),
        from_us: entry.at.microseconds(),
        to_us: entry.answered.map(Moment::microseconds),
        tone,
    }
}

/// What was there when the case was over, from the call that made it on.
fn left(trace: &Trace) -> impl Iterator<Item = Span> + '_ {
    let processes = trace
        .surviving_processes
        .iter()
        .map(|process| (Lane::Processes, process.command.clone(), process.made_by));
    let files = trace.left_files.iter().take(FILES_MAX).map(|file| {
        (
            Lane::Processes,
            file.path.display().to_string(),
            file.made_by,
        )
    });
    let others = trace.leaks.iter().map(|leak| {
        let lane = match leak.category {
            LeakCategory::Backend => Lane::Backend,
            _ => Lane::Processes,
        };
        // Some detectors begin with the kind themselves.
        let what = if leak.what.starts_with(leak.kind) {
            leak.what.clone()
        } else {
            format!("{} {}", leak.kind, leak.what)
        };
        (lane, what, leak.made_by)
    });
    processes
        .chain(files)
        .chain(others)
        .map(|(lane, what, made_by)| {
            let maker = made_by.and_then(|index| trace.calls.get(index.0));
            Span {
                lane,
                label: label(&format!("left: {what}")),
                job: maker.map_or(0, |call| call.job),
                from_us: maker.map_or(0, |call| call.started.microseconds()),
                to_us: None,
                tone: Tone::Leak,
            }
        })
}

fn of_call(call: &CallRecord) -> Span {
    let name = call_name(call.program, call.stage.as_ref());
    let (words, tone) = match (call.leader_exit, &call.start_failure) {
        (_, Some(failure)) => (format!("not started: {failure:?}"), Tone::Failed),
        (None, None) => ("no end seen".to_owned(), Tone::Gap),
        (Some((_, status)), None) if status.is_success() => (String::new(), Tone::Plain),
        (Some((_, status)), None) if call.signals.is_empty() => (status.to_string(), Tone::Failed),
        (Some((_, status)), None) => (status.to_string(), Tone::Ended),
    };
    let leader = call.leader_exit.map(|(at, _)| at);
    Span {
        lane: Lane::Driver,
        label: label(&if words.is_empty() {
            name
        } else {
            format!("{name}: {words}")
        }),
        job: call.job,
        from_us: call.started.microseconds(),
        to_us: leader
            .or(call.ended)
            .or(call.abandoned)
            .map(Moment::microseconds),
        tone,
    }
}

/// The time between the end of a call's program and the end of its output: the runner waits, and nothing goes on.
fn held_open(trace: &Trace, call: &CallRecord) -> Option<Span> {
    /// Shorter than this, it is only the way of the news through the kernel.
    const SHOWN_FROM: Duration = Duration::from_millis(50);
    let (exited, _) = call.leader_exit?;
    let over = call.ended.or(call.abandoned)?;
    if over.since(exited) < SHOWN_FROM {
        return None;
    }
    let index = trace
        .calls
        .iter()
        .position(|known| std::ptr::eq(known, call))?;
    let holder = trace
        .pipe_holders
        .iter()
        .find(|holder| holder.call == CallIndex(index));
    let holder = holder.map_or_else(String::new, |holder| format!(" by {}", holder.command));
    Some(Span {
        lane: Lane::Runner,
        label: label(&format!(
            "waits for the output of {}, held open{holder}",
            call_name(call.program, call.stage.as_ref())
        )),
        job: call.job,
        from_us: exited.microseconds(),
        to_us: Some(over.microseconds()),
        tone: Tone::Gap,
    })
}

/// From the first to the last sign of life of the script.
fn of_script(call: &CallRecord) -> Option<Span> {
    let (from, _) = call
        .markers
        .iter()
        .find(|(_, marker)| marker.word == "start")?;
    let ended = call.markers.iter().find(|(_, marker)| marker.word == "end");
    let (to, _) = ended.or_else(|| call.markers.last())?;
    let stage = call.stage.as_ref()?;
    let words = if ended.is_some() { "" } else { ", no end seen" };
    Some(Span {
        lane: Lane::Processes,
        label: label(&format!("script of {stage}{words}")),
        job: call.job,
        from_us: from.microseconds(),
        to_us: Some(to.microseconds()),
        tone: if ended.is_some() {
            Tone::Plain
        } else {
            Tone::Ended
        },
    })
}

fn moments(trace: &Trace) -> Vec<Instant> {
    let mut moments = Vec::new();
    for event in &trace.events {
        let (lane, text, tone) = match &event.kind {
            TraceEventKind::SignalSent(call, signal, result) => {
                let name = match signal {
                    KillSignal::Term => "SIGTERM",
                    KillSignal::Kill => "SIGKILL",
                };
                let to = name_of(trace, *call);
                (
                    Lane::Signals,
                    format!("{name} to {to} ({result:?})"),
                    Tone::Ended,
                )
            }
            TraceEventKind::Stimulus(text) => (Lane::Runner, text.clone(), Tone::Ended),
            TraceEventKind::CallAbandoned(call) => {
                let text = format!("gives up on {}", name_of(trace, *call));
                (Lane::Runner, text, Tone::Failed)
            }
            TraceEventKind::CallNotStarted(call, failure) => {
                let text = format!("{} does not start: {failure:?}", name_of(trace, *call));
                (Lane::Driver, text, Tone::Failed)
            }
            TraceEventKind::JobFinished(outcome) => {
                let tone = if outcome.state() == "success" {
                    Tone::Plain
                } else {
                    Tone::Failed
                };
                (
                    Lane::Runner,
                    format!("job is over: {}", outcome.state()),
                    tone,
                )
            }
            TraceEventKind::CallStarted(_)
            | TraceEventKind::Marker(..)
            | TraceEventKind::FirstOutput(..)
            | TraceEventKind::LeaderExited(..)
            | TraceEventKind::PipeClosed(..)
            | TraceEventKind::CallEnded(_) => continue,
        };
        moments.push(Instant {
            lane,
            label: label(&text),
            job: event.job,
            at_us: event.at.microseconds(),
            tone,
        });
    }
    moments
}

fn name_of(trace: &Trace, call: CallIndex) -> String {
    let call = trace.calls.get(call.0);
    call.map_or_else(
        || "a call".to_owned(),
        |call| call_name(call.program, call.stage.as_ref()),
    )
}

/// The time between the first and the last event of the evidence; of a call to blame without evidence, the time it took.
fn marked(trace: &Trace, found: &verdict::Finding) -> Option<Marked> {
    let (first, last) = found.deviation.evidence;
    let from = trace.events.get(first)?.at;
    let to = trace.events.get(last).map_or(from, |event| event.at);
    Some(Marked {
        check: found.check.id.to_owned(),
        call: found
            .program
            .map_or(driver_conformance_reports::model::Call::Job, call_of),
        stage: found.stage.clone(),
        from_us: from.microseconds(),
        to_us: to.max(from).microseconds(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{Scene, exits};
    use crate::contract::stage::Program;
    use crate::trace::{Evidence, Leak, SurvivingProcess};

    #[test]
    fn what_is_left_begins_with_its_call_and_has_no_end() {
        let mut scene = Scene::new()
            .call(Program::Prepare, 0)
            .run("build_script", exits(3), 1);
        scene.trace.surviving_processes.push(SurvivingProcess {
            pid: 7,
            command: "sleep 600".to_owned(),
            made_by: Some(CallIndex(1)),
            own_group: true,
        });
        scene.trace.leaks.push(Leak {
            detector: "list",
            category: LeakCategory::Backend,
            kind: "box",
            what: "runner-12".to_owned(),
            identity: "runner-12".to_owned(),
            made_by: Some(CallIndex(0)),
            evidence: Some(Evidence::NamesJob(0)),
        });
        let timeline = of(&scene.case, &scene.trace, &[]);
        let leaks: Vec<&Span> = timeline
            .spans
            .iter()
            .filter(|span| span.tone == Tone::Leak)
            .collect();
        assert_eq!(leaks.len(), 2);
        let began = scene.trace.calls[1].started.microseconds();
        assert_eq!(
            (leaks[0].lane, leaks[0].from_us, leaks[0].to_us),
            (Lane::Processes, began, None)
        );
        assert_eq!(
            (leaks[1].lane, leaks[1].label.as_str()),
            (Lane::Backend, "left: box runner-12")
        );
        assert!(
            timeline.spans.iter().any(|span| span.tone == Tone::Failed),
            "the run that failed"
        );
    }

    #[test]
    fn requests_to_the_backend_have_their_lane() {
        let mut scene = Scene::new().call(Program::Prepare, 0);
        let entry = |tool: &str, code: Option<i32>| LedgerEntry {
            at: Moment::START,
            answered: code.map(|_| Moment::START),
            call: Some(CallIndex(0)),
            verb: format!("{tool} create"),
            command: vec![tool.to_owned(), "create".to_owned()],
            effects: vec!["make box vm-1".to_owned()],
            struck: false,
            code,
        };
        scene.trace.ledger = vec![
            entry("podman", Some(0)),
            entry("podman", Some(202)),
            entry(HTTP_TOOL, Some(202)),
            entry(HTTP_TOOL, Some(503)),
            entry("podman", None),
        ];
        let timeline = of(&scene.case, &scene.trace, &[]);
        let lane = timeline
            .spans
            .iter()
            .filter(|span| span.lane == Lane::Backend);
        let shown: Vec<_> = lane.map(|span| (&*span.label, span.tone)).collect();
        assert_eq!(
            shown,
            [
                ("podman create (make box vm-1)", Tone::Plain),
                ("podman create: 202 (make box vm-1)", Tone::Failed),
                ("http create (make box vm-1)", Tone::Plain),
                ("http create: 503 (make box vm-1)", Tone::Failed),
                ("podman create: no answer (make box vm-1)", Tone::Gap),
            ]
        );
    }

    #[test]
    fn a_timeline_is_short_whatever_happened() {
        let mut scene = Scene::new();
        for _ in 0..200 {
            scene = scene.call(Program::Cleanup, 0);
        }
        let timeline = of(&scene.case, &scene.trace, &[]);
        assert_eq!(timeline.spans.len(), SPANS_MAX);
        assert!(timeline.left_out >= 120, "{}", timeline.left_out);
    }
}
