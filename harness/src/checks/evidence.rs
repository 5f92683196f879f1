//! What checks read from a trace: which calls nothing disturbed, what a script printed, where the evidence lies.

use std::path::Path;
use std::time::Duration;

use crate::contract::exit::ExitStatus;
use crate::contract::moment::Moment;
use crate::contract::protocol::{KillSignal, SignalResult};
use crate::contract::stage::{Program, Stage};
use crate::plan::case::{Case, JobOrder, PlannedCall, Probe, ProbeEnding, Sequence};
use crate::plan::probe;
use crate::trace::{CallIndex, CallRecord, Capture, Helpers, Trace, TraceEventKind};

use super::Deviation;
pub(crate) use crate::bytes::{contains, find};

/// A delay of the harness itself beyond which it cannot be trusted with times.
const STARVED: Duration = Duration::from_millis(400);

/// Judges each item. `None` if there are none: the case then says nothing about the check.
pub(crate) fn each<T>(
    items: impl IntoIterator<Item = T>,
    judge: impl FnMut(T) -> Option<Deviation>,
) -> Option<Vec<Deviation>> {
    let mut items = items.into_iter().peekable();
    items.peek()?;
    Some(items.filter_map(judge).collect())
}

/// All calls with their indices.
pub(crate) fn calls(
    trace: &Trace,
) -> impl DoubleEndedIterator<Item = (CallIndex, &CallRecord)> + ExactSizeIterator {
    trace
        .calls
        .iter()
        .enumerate()
        .map(|(index, call)| (CallIndex(index), call))
}

/// The calls of one job before `index`.
pub(crate) fn earlier(
    trace: &Trace,
    index: CallIndex,
) -> impl DoubleEndedIterator<Item = (CallIndex, &CallRecord)> {
    let job = trace.calls[index.0].job;
    calls(trace)
        .take(index.0)
        .filter(move |(_, call)| call.job == job)
}

/// A run call whose script is a probe.
#[derive(Clone, Copy)]
pub(crate) struct ScriptRun<'a> {
    pub(crate) index: CallIndex,
    pub(crate) call: &'a CallRecord,
    pub(crate) probe: &'a Probe,
    pub(crate) nonce: &'a str,
}

impl ScriptRun<'_> {
    /// The script itself printed its first marker: it was begun.
    pub(crate) fn started(&self) -> bool {
        printed(self.call, self.nonce, "start")
    }

    /// The script printed its last common marker: all of its work was done.
    pub(crate) fn finished(&self) -> bool {
        printed(self.call, self.nonce, "end")
    }

    /// Whether the script printed a marker.
    pub(crate) fn printed(&self, word: &str) -> bool {
        printed(self.call, self.nonce, word)
    }

    /// The exit code that the script ended with by itself; `None` if it was to die or to hang.
    pub(crate) fn script_code(&self) -> Option<i32> {
        match self.probe.ending {
            ProbeEnding::Success => Some(0),
            ProbeEnding::Code(code) => Some(i32::from(code)),
            ProbeEnding::Signal(_) | ProbeEnding::Hang | ProbeEnding::HangIgnoringTerm => None,
        }
    }
}

/// The run calls whose script is a probe and that nothing disturbed.
pub(crate) fn undisturbed_scripts(trace: &Trace) -> Vec<ScriptRun<'_>> {
    scripts(trace, |index| undisturbed(trace, index))
}

/// The run calls whose script is a probe that ends by itself, which lost the helpers of their job meanwhile, and came to an end.
pub(crate) fn scripts_without_helpers(trace: &Trace) -> Vec<ScriptRun<'_>> {
    let mut scripts = scripts(trace, |index| {
        lost_helpers(trace, index) && ended_by_itself(trace, index)
    });
    scripts.retain(|run| run.probe.ending == ProbeEnding::Success);
    scripts
}

fn scripts(trace: &Trace, wanted: impl Fn(CallIndex) -> bool) -> Vec<ScriptRun<'_>> {
    calls(trace)
        .filter(|(index, _)| wanted(*index))
        .filter_map(|(index, call)| {
            let (probe, nonce) = (call.probe.as_ref()?, call.nonce.as_deref()?);
            Some(ScriptRun {
                index,
                call,
                probe,
                nonce,
            })
        })
        .collect()
}

/// The same, where no other job could have been the disturbance: those are the isolation checks' matter, so that one
/// defect is shown once.
pub(crate) fn lone_scripts<'a>(case: &Case, trace: &'a Trace) -> Vec<ScriptRun<'a>> {
    if overlapping(case) {
        return Vec::new();
    }
    let mut scripts = undisturbed_scripts(trace);
    scripts.retain(|run| !after_others(case, trace, run.index));
    scripts
}

/// Those of them that found an environment as far as is known.
pub(crate) fn prepared_scripts<'a>(case: &Case, trace: &'a Trace) -> Vec<ScriptRun<'a>> {
    let mut scripts = lone_scripts(case, trace);
    scripts.retain(|run| prepared(trace, run.index));
    scripts
}

/// No script was run, and the call does not say so by success or by blame on the user, which are graver and have checks of their
/// own.
pub(crate) fn fails_to_run(case: &Case, trace: &Trace, run: &ScriptRun<'_>) -> bool {
    let Some((build_failure, _)) = exit_codes(case, run.call) else {
        return false;
    };
    let told = exit_code(run.call).is_none_or(|code| code != 0 && code != build_failure);
    told && !run.started() && !ran_earlier_script(trace, run.index)
}

/// Several jobs of the case are alive at the same time, and may disturb each other. The one that stands still while others
/// come and go can only be disturbed ([`after_others`]).
pub(crate) fn overlapping(case: &Case) -> bool {
    case.jobs.len() > 1 && !matches!(case.order, JobOrder::Sequential | JobOrder::Around)
}

/// The call belongs to the job that stood still meanwhile, and comes after those of the others.
pub(crate) fn after_others(case: &Case, trace: &Trace, index: CallIndex) -> bool {
    case.order == JobOrder::Around
        && trace.calls[index.0].job == 0
        && calls(trace).take(index.0).any(|(_, call)| call.job != 0)
}

/// The call was started, nobody sent it a signal or took anything away that it needs, and it came to its own end.
pub(crate) fn undisturbed(trace: &Trace, index: CallIndex) -> bool {
    ended_by_itself(trace, index) && !lost_helpers(trace, index)
}

fn lost_helpers(trace: &Trace, index: CallIndex) -> bool {
    trace.calls[index.0].helpers == Helpers::KilledMeanwhile
}

/// The call was started, nobody sent it a signal or took its pipes away, and it came to its own end.
fn ended_by_itself(trace: &Trace, index: CallIndex) -> bool {
    let call = &trace.calls[index.0];
    call.start_failure.is_none()
        && call.abandoned.is_none()
        && call.signals.is_empty()
        && call.leader_exit.is_some()
        && call.ended.is_some()
        && !runner_died_during(trace, index)
        && !backend_failed(trace, index)
}

/// The mock backend failed at a request of the call, because the case wanted it.
pub(crate) fn backend_failed(trace: &Trace, index: CallIndex) -> bool {
    let mut requests = trace.requests.iter();
    requests.any(|request| request.struck && request.call == Some(index))
}

/// The runner died while the call was alive, and nobody read its output any more.
fn runner_died_during(trace: &Trace, index: CallIndex) -> bool {
    let mut ends = trace
        .stimuli
        .iter()
        .filter(|stimulus| stimulus.action.ends_runner());
    ends.any(|end| end.hit == Some(index))
}

/// The exit code of a call's leader; `None` if it died of a signal or is not known.
pub(crate) fn exit_code(call: &CallRecord) -> Option<i32> {
    match call.leader_exit {
        Some((_, ExitStatus::Code(code))) => Some(code),
        _ => None,
    }
}

/// How a call ended, in the runner's words.
pub(crate) fn ending(call: &CallRecord) -> String {
    call.leader_exit.map_or_else(
        || "no exit seen".to_owned(),
        |(_, status)| status.to_string(),
    )
}

/// The environment of the call's job is there as far as the driver said: the last prepare succeeded undisturbed (or there
/// is no prepare program), no cleanup came after it, no call since was ended by a signal, after which a driver may have
/// given the environment up, and nothing that keeps the environment alive was killed.
pub(crate) fn prepared(trace: &Trace, index: CallIndex) -> bool {
    let mut usable = true;
    for (before, call) in earlier(trace, index) {
        let well = undisturbed(trace, before);
        usable &= call.helpers != Helpers::KilledBefore;
        match call.program {
            Program::Prepare => usable = well && exit_code(call) == Some(0),
            Program::Cleanup => usable = false,
            Program::Config => usable &= well && exit_code(call) == Some(0),
            Program::Run => usable &= well,
        }
    }
    usable && trace.calls[index.0].helpers != Helpers::KilledBefore
}

/// The planned call that a recorded one carries out. Programs that the driver does not have are passed over, as the runner
/// does.
pub(crate) fn planned<'a>(
    case: &'a Case,
    trace: &Trace,
    index: CallIndex,
) -> Option<&'a PlannedCall> {
    let record = &trace.calls[index.0];
    let Sequence::Calls(plan) = &case.jobs.get(record.job)?.sequence else {
        return None;
    };
    let mut rest = plan.iter();
    let mut found = None;
    for call in earlier(trace, index).map(|(_, call)| call).chain([record]) {
        found = rest.find(|plan| plan.program == call.program && plan.stage == call.stage);
    }
    found
}

/// The build-failure and system-failure codes the driver was given.
pub(crate) fn exit_codes(case: &Case, call: &CallRecord) -> Option<(i32, i32)> {
    let codes = case.jobs.get(call.job)?.exit_codes;
    Some((
        i32::from(codes.build_failure),
        i32::from(codes.system_failure),
    ))
}

/// Whether a marker is in what a call printed, on either stream: a driver may merge the two.
pub(crate) fn printed(call: &CallRecord, nonce: &str, word: &str) -> bool {
    let marker = probe::marker(nonce, word);
    let known = call.nonce.as_deref() == Some(nonce)
        && call.markers.iter().any(|(_, seen)| seen.word == word);
    known
        || [&call.stdout, &call.stderr]
            .iter()
            .any(|capture| contains(&capture.bytes, marker.as_bytes()))
}

/// The last stage before this one whose script ran, if it failed: whoever removes the environment then, or leaves it in disorder,
/// sees all later ones fail.
pub(crate) fn after_failed_script(trace: &Trace, index: CallIndex) -> Option<&Stage> {
    let ran = |call: &CallRecord| {
        let nonce = call.nonce.as_deref();
        nonce.is_some_and(|nonce| printed(call, nonce, "start"))
    };
    let mut before = earlier(trace, index).rev().map(|(_, call)| call);
    let last = before.find(|call| match call.program {
        Program::Run => ran(call),
        Program::Config => false,
        Program::Prepare | Program::Cleanup => true,
    })?;
    let failed = last.program == Program::Run && exit_code(last) != Some(0);
    last.stage.as_ref().filter(|_| failed)
}

/// The script of an earlier call of the job ran in this one: the matter of `reentrancy/stage-again`.
pub(crate) fn ran_earlier_script(trace: &Trace, index: CallIndex) -> bool {
    earlier(trace, index)
        .filter_map(|(_, call)| call.nonce.as_deref())
        .any(|nonce| printed(&trace.calls[index.0], nonce, "start"))
}

/// The code that a script ended with, as a shell would put it; `None` if it was to hang.
pub(crate) fn own_code(probe: &Probe) -> Option<i64> {
    match probe.ending {
        ProbeEnding::Success => Some(0),
        ProbeEnding::Code(code) => Some(i64::from(code)),
        ProbeEnding::Signal(signal) => Some(128 + i64::from(signal)),
        ProbeEnding::Hang | ProbeEnding::HangIgnoringTerm => None,
    }
}

/// The exit-code file was not touched by the call and holds the code of an earlier script of the job that failed, which is
/// not that of its own.
pub(crate) fn stale_code(trace: &Trace, run: &ScriptRun<'_>) -> Option<i64> {
    let before = run.call.exit_code_file_before.as_deref()?;
    let value = code_file_value(before)?;
    let earlier_code = earlier(trace, run.index)
        .filter_map(|(_, call)| own_code(call.probe.as_ref()?))
        .any(|code| code == value && code != 0);
    let untouched = run.call.exit_code_file_after.as_deref() == Some(before);
    (untouched && earlier_code && own_code(run.probe)? != value).then_some(value)
}

/// Everything of a call's output was kept.
pub(crate) fn captured_whole(call: &CallRecord) -> bool {
    let whole = |capture: &Capture| capture.bytes_total <= capture.bytes.len() as u64;
    whole(&call.stdout) && whole(&call.stderr)
}

/// The numbers of the markers with this word, in the order in which they were printed.
pub(crate) fn numbers(run: &ScriptRun<'_>, word: &str) -> Vec<u64> {
    let start = probe::marker(run.nonce, word) + ":";
    [&run.call.stdout, &run.call.stderr]
        .into_iter()
        .flat_map(|capture| capture.bytes.split(|byte| matches!(byte, b'\n' | b'\r')))
        .filter_map(|line| {
            let at = find(line, start.as_bytes())?;
            let digits = line[at + start.len()..]
                .iter()
                .take_while(|byte| byte.is_ascii_digit());
            digits
                .map(|byte| char::from(*byte))
                .collect::<String>()
                .parse()
                .ok()
        })
        .collect()
}

/// The machine was too busy for a finding that rests on times.
pub(crate) fn starved(trace: &Trace) -> bool {
    trace.scheduling_delay_max > STARVED || trace.driver_slowed_down
}

/// How long a pipe may stay open after the exit: what the last words of a child take on a busy machine.
pub(crate) const HELD: Duration = Duration::from_secs(1);

/// How long the script of a call went on printing after SIGTERM had ended the driver, if that is longer than last words
/// take. A script that is deaf to SIGTERM may do so until the SIGKILL of the runner ends it.
pub(crate) fn script_outlived(call: &CallRecord) -> Option<Duration> {
    let (exit, _) = call.leader_exit.filter(|(exit, _)| {
        let before_kill = kill_sent(call).is_none_or(|kill| *exit < kill);
        term_sent(call).is_some_and(|term| term <= *exit) && before_kill
    })?;
    let ending = &call.probe.as_ref()?.ending;
    let (last, _) = call.markers.iter().rfind(|(_, seen)| seen.word == "beat")?;
    let excused = *ending == ProbeEnding::HangIgnoringTerm && call.abandoned.is_none();
    Some(last.since(exit)).filter(|outlived| *outlived > HELD && !excused)
}

/// When the last pipe of a call was closed, if both are.
pub(crate) fn pipes_closed(call: &CallRecord) -> Option<Moment> {
    Some(call.stdout_closed?.max(call.stderr_closed?))
}

/// A deviation of one call.
pub(crate) fn deviation(
    trace: &Trace,
    index: CallIndex,
    message: &str,
    expected: &[&str],
    actual: String,
) -> Deviation {
    Deviation {
        call: Some(index),
        message: message.to_owned(),
        expected: expected.iter().map(|&text| text.to_owned()).collect(),
        actual,
        evidence: events_of(trace, index),
        inconclusive: false,
        by_time: false,
    }
}

/// First and last event that concern a call.
pub(crate) fn events_of(trace: &Trace, index: CallIndex) -> (usize, usize) {
    let concerns = |kind: &TraceEventKind| match kind {
        TraceEventKind::CallStarted(call)
        | TraceEventKind::CallNotStarted(call, _)
        | TraceEventKind::Marker(call, _)
        | TraceEventKind::FirstOutput(call, _)
        | TraceEventKind::LeaderExited(call, _)
        | TraceEventKind::PipeClosed(call, _)
        | TraceEventKind::SignalSent(call, ..)
        | TraceEventKind::CallEnded(call)
        | TraceEventKind::CallAbandoned(call) => *call == index,
        TraceEventKind::Stimulus(_) | TraceEventKind::JobFinished(_) => false,
    };
    let first = trace
        .events
        .iter()
        .position(|event| concerns(&event.kind))
        .unwrap_or(0);
    let last = trace
        .events
        .iter()
        .rposition(|event| concerns(&event.kind))
        .unwrap_or(first);
    (first, last)
}

/// What the runner reads from an exit-code file: the integer on its first line; `None`: it cannot be read as one (G3).
pub(crate) fn code_file_value(content: &[u8]) -> Option<i64> {
    let line = content.split(|byte| *byte == b'\n').next()?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let digits = line
        .strip_prefix(b"+")
        .or_else(|| line.strip_prefix(b"-"))
        .unwrap_or(line);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(line).ok()?.parse().ok()
}

/// The runner (or the case) asked the call to end while its leader was alive.
pub(crate) fn terminated(call: &CallRecord) -> bool {
    term_sent(call).is_some_and(|at| call.leader_exit.is_none_or(|(exit, _)| exit >= at))
}

/// When SIGTERM was delivered to the call.
pub(crate) fn term_sent(call: &CallRecord) -> Option<Moment> {
    signal_sent(call, KillSignal::Term)
}

/// When SIGKILL was delivered to the call.
pub(crate) fn kill_sent(call: &CallRecord) -> Option<Moment> {
    signal_sent(call, KillSignal::Kill)
}

fn signal_sent(call: &CallRecord, wanted: KillSignal) -> Option<Moment> {
    call.signals
        .iter()
        .find(|(_, signal, result)| *signal == wanted && *result == SignalResult::Delivered)
        .map(|(at, ..)| *at)
}

/// The call was killed at some moment, without a chance to tidy up: SIGKILL, and no SIGTERM before it. What it had just
/// made, nobody can know of. A kill at a chosen point is no such excuse: it is there to show what can be known at it.
pub(crate) fn killed_outright(call: &CallRecord) -> bool {
    kill_sent(call).is_some() && term_sent(call).is_none() && !call.signalled_at_point
}

/// The script of the call would not end by itself.
pub(crate) fn hangs(call: &CallRecord) -> bool {
    let ending = call.probe.as_ref().map(|probe| probe.ending);
    matches!(
        ending,
        Some(ProbeEnding::Hang | ProbeEnding::HangIgnoringTerm)
    )
}

/// A cleanup of the same job came to its end after the call.
pub(crate) fn cleaned_up_after(trace: &Trace, index: CallIndex) -> bool {
    let job = trace.calls[index.0].job;
    calls(trace).skip(index.0 + 1).any(|(_, call)| {
        call.job == job
            && call.program == Program::Cleanup
            && call.ended.is_some()
            && call.signals.is_empty()
    })
}

/// What an undisturbed and successful config printed: `None` for nothing at all, which the runner takes for "no changes"
/// (C3). As lenient as the runner: invalid UTF-8 is replaced (C5).
pub(crate) fn config_document(call: &CallRecord) -> Result<Option<serde_json::Value>, String> {
    if call.stdout.bytes_total == 0 {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&call.stdout.bytes);
    let value =
        serde_json::from_str::<serde_json::Value>(&text).map_err(|error| error.to_string())?;
    match value {
        serde_json::Value::Null => Ok(None),
        object if object.is_object() => Ok(Some(object)),
        _ => Err("a JSON document that is no object".to_owned()),
    }
}

/// The undisturbed and successful calls of config whose output was kept whole.
pub(crate) fn configs(trace: &Trace) -> Vec<(CallIndex, &CallRecord)> {
    calls(trace)
        .filter(|(_, call)| call.program == Program::Config && exit_code(call) == Some(0))
        .filter(|(index, call)| undisturbed(trace, *index) && captured_whole(call))
        .collect()
}

/// The objects that config printed, without the outputs that are no object at all.
pub(crate) fn config_objects(
    trace: &Trace,
) -> Vec<(CallIndex, serde_json::Map<String, serde_json::Value>)> {
    configs(trace)
        .into_iter()
        .filter_map(|(index, call)| match config_document(call) {
            Ok(Some(serde_json::Value::Object(object))) => Some((index, object)),
            _ => None,
        })
        .collect()
}

/// The runner lived as long as the call, so that what became of the pipes is the driver's doing.
pub(crate) fn undisturbed_pipes(trace: &Trace, index: CallIndex) -> bool {
    !runner_died_during(trace, index)
}

/// A path in the directories for builds and caches, as set or as the driver chose.
pub(crate) fn in_builds_or_cache(case: &Case, trace: &Trace, path: &Path) -> bool {
    let mut directories: Vec<String> = case
        .jobs
        .iter()
        .flat_map(|job| [job.runner.builds_dir.clone(), job.runner.cache_dir.clone()])
        .collect();
    for (_, object) in config_objects(trace) {
        let named = ["builds_dir", "cache_dir"];
        let of_key = |key: &str| named.iter().any(|name| key.eq_ignore_ascii_case(name));
        let chosen = object.iter().filter(|(key, _)| of_key(key));
        directories.extend(chosen.filter_map(|(_, value)| Some(value.as_str()?.to_owned())));
    }
    let variables = trace.calls.iter().flat_map(|call| &call.environment);
    let provided = variables.filter(|(name, _)| name == "CUSTOM_ENV_CI_BUILDS_DIR");
    directories.extend(provided.map(|(_, value)| value.clone()));
    directories
        .iter()
        .any(|directory| !directory.is_empty() && path.starts_with(directory))
}

/// A text holds a number as a word of its own. Letters next to the digits make it another word: the random name of a
/// directory, say.
pub(crate) fn names_number(text: &str, number: u64) -> bool {
    let number = number.to_string();
    text.split(|letter: char| !letter.is_ascii_alphanumeric())
        .any(|word| word == number)
}
