//! `replay --script`: a case that was run, as a bash script that makes the same calls without the harness.
//!
//! The script is made from the trace, not from the scenario: what the emulated runner decided, as which environment a call
//! gets after the config of its attempt, stands in it as it was. Pure, but for the place in which a run leaves it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::checks::verdict::{Finding, Status};
use crate::contract::exit::ExitStatus;
use crate::contract::moment::Moment;
use crate::contract::protocol::KillSignal;
use crate::driver::tools::shell_quoted;
use crate::plan::case::{Case, StimulusAction};
use crate::plan::probe::marker;
use crate::trace::{CallIndex, CallRecord, Trace, TraceEventKind};

use super::call_name;

/// What all scripts share.
const FUNCTIONS: &str = include_str!("stand_alone/functions.bash");
/// A shell adds this to the number of a signal that ended a program.
const SIGNALLED: i32 = 128;
/// A pause that is shorter is none: the program that measures it takes as long.
const PAUSE_MIN: Duration = Duration::from_millis(5);

/// Takes the script of one case out of a run.
#[derive(Debug)]
pub struct StandAlone {
    case: String,
    /// The driver, as calls name it.
    driver: PathBuf,
    /// PATH of the harness.
    path: String,
    made: Mutex<Option<Made>>,
}

#[derive(Debug)]
struct Made {
    text: String,
    fails: bool,
}

impl StandAlone {
    /// For the case of this name on this driver, whose calls have this PATH.
    pub fn new(case: &str, driver: &Path, path: &str) -> Self {
        Self {
            case: case.to_owned(),
            driver: driver.to_owned(),
            path: path.to_owned(),
            made: Mutex::new(None),
        }
    }

    /// The script, if the case was run. One of a run that failed comes before one of a run that did not.
    pub fn text(&self) -> Option<String> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.as_ref().map(|made| made.text.clone())
    }

    /// A case was run and judged.
    pub(super) fn record(&self, case: &Case, trace: &Trace, findings: &[Finding]) {
        if case.name != self.case {
            return;
        }
        let fails = findings.iter().any(|found| found.status == Status::Fail);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.as_ref().is_none_or(|known| fails && !known.fails) {
            let text = script(case, trace, findings, (&self.driver, &self.path));
            *made = Some(Made { text, fails });
        }
    }
}

/// The script of a case; `driver` is where the driver is, and the PATH that its calls had.
fn script(
    case: &Case,
    trace: &Trace,
    findings: &[Finding],
    (driver, path): (&Path, &str),
) -> String {
    let place = &trace.place;
    let words = Words {
        root: place.root.to_string_lossy().into_owned(),
        driver: driver.to_string_lossy().into_owned(),
        path: path.to_owned(),
    };
    let mut text = head(case, findings, driver);
    text.push_str(FUNCTIONS);
    text.push_str("\nmkdir -m 700 \"$root\"");
    for directory in &place.directories {
        let _ = write!(text, " {}", words.word(&directory.to_string_lossy()));
    }
    text.push_str("\n: >\"$root/no-directory\"\nfiles >\"$work/before\"\n");
    let mut writer = Writer {
        text,
        words,
        trace,
        made: Vec::new(),
        environment: None,
        anchors: vec![Moment::START; trace.calls.len()],
        awaited: vec![None; trace.calls.len()],
        running: Vec::new(),
    };
    writer.steps();
    let mut text = writer.text;
    let _ = writeln!(
        text,
        "\nconclude {} {}",
        u8::from(!trace.left_files.is_empty()),
        u8::from(!trace.surviving_processes.is_empty())
    );
    text
}

/// What the script is, for whom it finds, and its settings.
fn head(case: &Case, findings: &[Finding], driver: &Path) -> String {
    let mut text = format!(
        "#!/usr/bin/env bash\n# {}: {}\n#\n# Written by `driver-conformance replay --script`. It makes the same calls as the \
         emulated runner did, and needs no harness.\n# Usage: bash FILE [DRIVER]; the default is the driver with which it was \
         recorded.\n# Exit code 0: the driver did what it did then. 1: it did something else. 2: it could not be tried.\n",
        case.name, case.about
    );
    if case.surroundings.keepsakes {
        text.push_str(
            "# Not in it: the files of others that lie in the directories of the case.\n",
        );
    }
    for found in findings.iter().filter(|found| found.status == Status::Fail) {
        let call = found.program.map_or("job", |program| program.name());
        let stage = found.stage.as_deref().unwrap_or_default();
        let _ = writeln!(text, "#\n# {} {call} {stage}", found.check.id);
        remark(&mut text, "", &found.deviation.message);
        for expected in &found.deviation.expected {
            remark(&mut text, "expected ", expected);
        }
        remark(&mut text, "actual ", &found.deviation.actual);
    }
    let _ = write!(
        text,
        "set -u -m\n\ndriver=${{1:-{}}}\nPATIENCE=${{PATIENCE:-60}} # seconds that a call may take\n\n",
        shell_quoted(&driver.to_string_lossy())
    );
    text
}

/// A remark for people; what a driver printed may be in it, and must not end it.
fn remark(text: &mut String, label: &str, words: &str) {
    for (number, line) in words.lines().enumerate() {
        let plain: String = line
            .chars()
            .map(|letter| {
                if letter.is_control() {
                    '\u{fffd}'
                } else {
                    letter
                }
            })
            .collect();
        let label = if number == 0 { label } else { "" };
        let _ = writeln!(text, "#   {label}{plain}");
    }
}

/// Writes words for bash in which places are variables.
struct Words {
    root: String,
    driver: String,
    path: String,
}

impl Words {
    fn word(&self, text: &str) -> String {
        let places = [(&self.root, "root"), (&self.driver, "driver")];
        let mut word = String::new();
        let mut rest = text;
        loop {
            let next = places
                .iter()
                // A place as short as `/` is in every path.
                .filter(|(place, _)| place.len() > 1)
                .filter_map(|(place, name)| Some((rest.find(place.as_str())?, place.len(), *name)))
                .min();
            let Some((at, length, name)) = next else {
                break;
            };
            if at > 0 {
                word.push_str(&shell_quoted(&rest[..at]));
            }
            let _ = write!(word, "\"${name}\"");
            rest = &rest[at + length..];
        }
        if !rest.is_empty() || word.is_empty() {
            word.push_str(&shell_quoted(rest));
        }
        word
    }

    fn variable(&self, name: &str, value: &str) -> String {
        if name == "PATH" && value == self.path {
            return "PATH=\"$PATH\"".to_owned();
        }
        self.word(&format!("{name}={value}"))
    }
}

/// One thing after the other.
struct Writer<'trace> {
    text: String,
    words: Words,
    trace: &'trace Trace,
    /// Temporary directories that are there.
    made: Vec<&'trace Path>,
    /// The environment that was written last.
    environment: Option<&'trace [(String, String)]>,
    /// Of each call: when the last thing happened from which pauses are counted.
    anchors: Vec<Moment>,
    /// Of each call: the last marker that was seen, if nothing came after it.
    awaited: Vec<Option<String>>,
    running: Vec<CallIndex>,
}

impl Writer<'_> {
    fn steps(&mut self) {
        let ends = self.trace.stimuli.iter();
        let mut ends = ends
            .filter(|stimulus| stimulus.action.ends_runner())
            .peekable();
        for event in &self.trace.events {
            while let Some(end) = ends.next_if(|end| end.at < event.at) {
                self.runner_dies(end.job, end.action, end.at);
            }
            match &event.kind {
                TraceEventKind::CallStarted(call) => self.begin(*call, event.at),
                TraceEventKind::Marker(call, seen) if seen.number.is_none() => {
                    self.awaited[call.0] = Some(seen.word.clone());
                    self.anchors[call.0] = event.at;
                }
                TraceEventKind::SignalSent(call, signal, _) => {
                    self.signal(*call, *signal, event.at);
                }
                TraceEventKind::CallEnded(call) => self.wait(*call),
                _ => {}
            }
        }
        for end in ends {
            self.runner_dies(end.job, end.action, end.at);
        }
    }

    fn begin(&mut self, index: CallIndex, at: Moment) {
        let Some(call) = self.trace.calls.get(index.0) else {
            return;
        };
        self.text.push('\n');
        self.temp_dir(call);
        if let (Some(script), Some(path)) = (&call.script, script_path(call)) {
            let line = format!(
                "script {} {}\n",
                self.words.word(path),
                self.words.word(script)
            );
            self.text.push_str(&line);
        }
        if self.environment != Some(&call.environment) {
            self.text.push_str("environment=(\n");
            for (name, value) in &call.environment {
                let line = format!("    {}\n", self.words.variable(name, value));
                self.text.push_str(&line);
            }
            self.text.push_str(")\n");
            self.environment = Some(&call.environment);
        }
        let argv: Vec<String> = call.argv.iter().map(|word| self.words.word(word)).collect();
        let name = call_name(call.program, call.stage.as_ref());
        let directory = self.words.word(&call.temp_dir.to_string_lossy());
        let _ = write!(
            self.text,
            "argv=({})\nbegin {} {} {directory}\n",
            argv.join(" "),
            index.0 + 1,
            shell_quoted(&name)
        );
        self.anchors[index.0] = at;
        self.running.push(index);
    }

    fn temp_dir(&mut self, call: &CallRecord) {
        let known = &self.trace.place.temp_dirs;
        let Some((path, response)) = known.iter().find(|(path, _)| *path == call.temp_dir) else {
            return;
        };
        if !self.made.contains(&path.as_path()) {
            self.made.push(path);
            let _ = writeln!(
                self.text,
                "temporary_directory {} {}",
                self.words.word(&path.to_string_lossy()),
                self.words.word(response)
            );
        }
    }

    fn signal(&mut self, index: CallIndex, signal: KillSignal, at: Moment) {
        self.until(index, at);
        let name = match signal {
            KillSignal::Term => "TERM",
            KillSignal::Kill => "KILL",
        };
        let _ = writeln!(self.text, "signal {} {name}", index.0 + 1);
        self.anchors[index.0] = at;
    }

    /// Waits for what a call had shown at this moment, or for the time that it had had.
    fn until(&mut self, index: CallIndex, at: Moment) {
        let Some(call) = self.trace.calls.get(index.0) else {
            return;
        };
        if let (Some(word), Some(nonce)) = (self.awaited[index.0].take(), &call.nonce) {
            let text = shell_quoted(&marker(nonce, &word));
            let _ = writeln!(self.text, "await_text {} {text}", index.0 + 1);
        }
        let pause = at
            .since_start()
            .saturating_sub(self.anchors[index.0].since_start());
        if pause >= PAUSE_MIN {
            let _ = writeln!(self.text, "pause {} {}", index.0 + 1, pause.as_millis());
        }
    }

    fn wait(&mut self, index: CallIndex) {
        let call = self.trace.calls.get(index.0);
        let status = match call.and_then(|call| call.leader_exit) {
            Some((_, ExitStatus::Code(code))) => code,
            Some((_, ExitStatus::Signal(signal))) => SIGNALLED + signal,
            None => return,
        };
        let _ = writeln!(self.text, "await {} {status}", index.0 + 1);
        self.running.retain(|running| *running != index);
    }

    fn runner_dies(&mut self, job: usize, action: StimulusAction, at: Moment) {
        let trace = self.trace;
        let of_job =
            |index: &CallIndex| trace.calls.get(index.0).is_some_and(|call| call.job == job);
        let calls: Vec<CallIndex> = self.running.iter().copied().filter(of_job).collect();
        self.running.retain(|index| !of_job(index));
        let mut numbers = String::new();
        for call in calls {
            // The signal of a runner that is asked to end was waited for already.
            if action == StimulusAction::RunnerKill {
                self.until(call, at);
            }
            let _ = write!(numbers, " {}", call.0 + 1);
        }
        let _ = writeln!(self.text, "runner_dies{numbers}");
    }
}

/// Where the script of a call is: its last argument but one.
fn script_path(call: &CallRecord) -> Option<&str> {
    let place = call.argv.len().checked_sub(2)?;
    call.argv.get(place).map(String::as_str)
}

#[cfg(test)]
mod tests;
