//! From the lines of a job log to its story: which sections there were, what was said in each, which call failed.

mod blame;
mod crash;
mod sections;
mod voice;

use std::sync::LazyLock;

use driver_conformance_scenarios::symptom::{Ending, Fact, FailureClass, Subject};

use regex::Regex;

use crate::jobs::is_step_notice;
use crate::line::Line;
use crate::story::{Evidence, Failure, Place, Remark, Story, is_echo, is_step, parse_failure};

use sections::{Section, Sections};

/// Most lines of one section that are looked at: its first ones and its last ones.
const FIRST_LINES_MAX: usize = 500;
/// See [`FIRST_LINES_MAX`].
const LAST_LINES_MAX: usize = 3500;
/// Default of the timeouts of config and prepare, seconds.
const EXEC_TIMEOUT_DEFAULT_S: f64 = 3600.0;
/// How far from it a stage may end and still have been ended by it.
const TIMEOUT_TOLERANCE_S: f64 = 5.0;
/// A stage that printed nothing for so long before its end has fallen silent.
const SILENCE_MIN_S: f64 = 120.0;
/// A stage that printed something within this time before its end was still at work.
const STILL_PRINTING_MAX_S: f64 = 30.0;
/// So many pauses between lines tell how often a stage prints something.
const PAUSES: usize = 8;
/// So many equal lines are those of something that waits.
const REPETITIONS_MIN: usize = 3;
/// A cleanup of more than this keeps users waiting.
const CLEANUP_LONG_S: f64 = 300.0;
/// Lines that are shown of a log without a verdict.
const LAST_LINES_SHOWN: usize = 2;

/// Programs that speak to other machines or to an engine of containers, as a command of a script.
static CLIENT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:^|[\s;|&/(])(?:ssh|scp|sftp|rsync|git|curl|wget|ansible(?:-playbook)?|docker(?:-compose)?|podman|buildah|kubectl|helm|lxc|incus|virsh|vagrant)(?:\s|$)")
        .expect("a constant pattern")
});

/// What a file is, seen as a job log.
#[derive(Debug, Clone, PartialEq)]
pub enum JobLog {
    /// A job of the Custom executor.
    Custom(Box<Story>),
    /// A job of another executor.
    Other(String),
    /// A few lines without a section, whose words are those of the Custom executor.
    Fragment(Box<Story>),
    /// A verdict, and nothing that tells of which executor.
    Verdict,
    /// No job log.
    None,
}

/// What the runner says in one line of a job log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said<'line> {
    Succeeded,
    Failed(&'line str),
    PreparationFailed(&'line str),
    Startup,
    Warning(&'line str),
    Noise,
}

/// Errors that only the Custom executor has.
const OWN_ERRORS: [&str; 4] = [
    "unknown Custom executor executable exit code ",
    "custom executor ",
    "error while parsing JSON output: ",
    "failed to start command: ",
];

impl Said<'_> {
    /// Whether these words alone tell the executor.
    fn is_of_custom_executor(self) -> bool {
        let (Self::Failed(text) | Self::PreparationFailed(text)) = self else {
            return false;
        };
        OWN_ERRORS.iter().any(|error| text.contains(error))
    }
}

fn said(line: &Line) -> Option<Said<'_>> {
    if !line.may_be_runner() {
        return None;
    }
    let text = line.text.trim_start();
    if text == "Job succeeded" {
        return Some(Said::Succeeded);
    }
    if let Some(rest) = text.strip_prefix("ERROR: ") {
        if let Some(rest) = rest.strip_prefix("Job failed") {
            let rest = rest.trim_start();
            let known = rest.starts_with(": ") || rest.starts_with("(system failure): ");
            return known.then_some(Said::Failed(rest));
        }
        return rest
            .strip_prefix("Preparation failed: ")
            .map(Said::PreparationFailed);
    }
    if text.starts_with("Using Custom executor") {
        return Some(Said::Startup);
    }
    if text.starts_with("Will be retried in ") || text.starts_with("Running with gitlab-runner ") {
        return Some(Said::Noise);
    }
    if text.starts_with("Job's log exceeded limit of ") {
        return Some(Said::Warning(text));
    }
    let warning = text.strip_prefix("WARNING: ")?;
    match warning.strip_prefix("Preparation failed: ") {
        Some(error) => Some(Said::PreparationFailed(error)),
        None => Some(Said::Warning(warning)),
    }
}

/// Reads a job log.
pub fn read(lines: &[Line], input: usize) -> JobLog {
    let sections = Sections::find(lines);
    if let Some(other) = &sections.other_executor {
        return JobLog::Other(other.clone());
    }
    let has_verdict = lines
        .iter()
        .any(|line| matches!(said(line), Some(Said::Failed(_) | Said::Succeeded)));
    let startup = lines.iter().any(|line| said(line) == Some(Said::Startup));
    let named = sections.named_custom || startup;
    if sections.all.is_empty() && !named {
        return fragment(lines, input, sections);
    }
    // A few words that happen to be a heading do not make a job log.
    if !named && !sections.marked && !has_verdict && sections.all.len() < 2 {
        return JobLog::None;
    }
    let reader = Reader {
        lines,
        input,
        sections,
        is_fragment: false,
    };
    JobLog::Custom(Box::new(reader.story()))
}

/// Lines of a log that begins too late to have a section.
fn fragment(lines: &[Line], input: usize, sections: Sections) -> JobLog {
    let mut told = lines.iter().filter_map(said);
    if told.any(Said::is_of_custom_executor) {
        let reader = Reader {
            lines,
            input,
            sections,
            is_fragment: true,
        };
        return JobLog::Fragment(Box::new(reader.story()));
    }
    let last = lines.iter().rfind(|line| !line.text.trim().is_empty());
    if matches!(last.and_then(said), Some(Said::Failed(_))) {
        JobLog::Verdict
    } else {
        JobLog::None
    }
}

struct Reader<'lines> {
    lines: &'lines [Line],
    input: usize,
    sections: Sections,
    /// Whether nothing tells where a line stands.
    is_fragment: bool,
}

/// What is known after the first look at each line.
#[derive(Default)]
struct Walk {
    failures: Vec<Failure>,
    warnings: Vec<Remark>,
    outputs: Vec<Vec<Remark>>,
    verdict: Option<(usize, String)>,
    succeeded: bool,
    started_up: bool,
    last_section: Option<usize>,
}

impl Reader<'_> {
    fn story(&self) -> Story {
        let mut walk = Walk {
            // A log that begins too late to have a section is one piece.
            outputs: vec![Vec::new(); self.sections.all.len().max(1)],
            ..Walk::default()
        };
        for (index, line) in self.lines.iter().enumerate() {
            self.visit(&mut walk, index, line);
        }
        self.drop_stale_verdict(&mut walk);
        let mut story = Story {
            ending: Some(match (&walk.verdict, walk.succeeded) {
                (Some(_), _) => Ending::Failed,
                (None, true) => Ending::Success,
                (None, false) => Ending::Missing,
            }),
            facts: self.facts(&walk),
            ..Story::default()
        };
        self.settle_failures(&mut walk);
        let lost = |failure: &Failure| failure.facts.contains(&Fact::NextStageCouldNotRun);
        if walk.failures.iter().any(lost) {
            story.facts.push(Fact::NextStageCouldNotRun);
        }
        if story.ending == Some(Ending::Missing) {
            story.open = self.open_end(&walk);
        }
        story.failures = std::mem::take(&mut walk.failures);
        story.warnings = std::mem::take(&mut walk.warnings);
        story.outputs = walk.outputs.into_iter().flatten().collect();
        story
    }

    fn evidence(&self, line: &Line) -> Evidence {
        Evidence {
            input: self.input,
            line: line.number,
            text: line.text.clone(),
        }
    }

    fn section_at(&self, index: usize) -> Option<&Section> {
        let at = self.sections.of_line(index)?;
        self.sections.all.get(at)
    }

    /// The place of a line of a driver or a script.
    fn place_at(&self, walk: &Walk, index: usize) -> Option<Place> {
        let section = self.section_at(index)?;
        Some(Self::place_of(walk, section))
    }

    fn place_of(walk: &Walk, section: &Section) -> Place {
        if section.name != "prepare_executor" {
            return Place::of_section(&section.name);
        }
        Place::of(if walk.started_up {
            Subject::Prepare
        } else {
            Subject::Config
        })
    }

    fn visit(&self, walk: &mut Walk, index: usize, line: &Line) {
        if let Some(at) = self.sections.of_line(index) {
            walk.last_section = Some(at);
        }
        let said = said(line).filter(|said| !self.is_quoted(index, *said));
        match said {
            Some(Said::Succeeded) => {
                walk.succeeded = true;
                walk.verdict = None;
            }
            Some(Said::Failed(rest)) => {
                walk.succeeded = false;
                walk.verdict = Some((index, rest.to_owned()));
            }
            Some(Said::PreparationFailed(message)) => {
                // Without the beginning nobody knows whether a startup line came before.
                let begun = self.sections.all.iter().any(|at| at.first <= index);
                let place = match (walk.started_up, begun) {
                    (true, _) => Place::of(Subject::Prepare),
                    (false, true) => Place::of(Subject::Config),
                    (false, false) => Place::of(Subject::Prepare).guessed(),
                };
                walk.failures.push(Failure {
                    message: message.trim().to_owned(),
                    place,
                    class: FailureClass::System,
                    decisive: false,
                    evidence: vec![self.evidence(line)],
                    facts: Vec::new(),
                });
                walk.started_up = false;
            }
            Some(Said::Startup) => walk.started_up = true,
            Some(Said::Warning(text)) => {
                let place = self.place_of_warning(walk, index, text);
                walk.warnings.push(Remark {
                    text: text.to_owned(),
                    place,
                    evidence: self.evidence(line),
                });
                // Without streams a script may have printed it.
                if line.stream.is_none() {
                    self.keep_output(walk, index, line);
                }
            }
            Some(Said::Noise) => {}
            None => self.keep_output(walk, index, line),
        }
    }

    /// Whether the runner does not say this at such a place, so that a script has printed it.
    fn is_quoted(&self, index: usize, said: Said<'_>) -> bool {
        let Some(section) = self.section_at(index) else {
            return false;
        };
        if section.name == "prepare_executor" {
            return false;
        }
        match said {
            Said::PreparationFailed(_) | Said::Startup => true,
            Said::Succeeded | Said::Failed(_) => self.sections.marked && section.closed,
            Said::Warning(text) => {
                let of_cleanup = text.starts_with("Cleanup script failed");
                of_cleanup && self.sections.marked && section.closed
            }
            Said::Noise => false,
        }
    }

    fn keep_output(&self, walk: &mut Walk, index: usize, line: &Line) {
        if line.text.trim().is_empty() || self.sections.is_heading(index) {
            return;
        }
        if self.is_fragment {
            let place = Place::of(Subject::Run).guessed();
            self.keep(&mut walk.outputs[0], place, line);
            return;
        }
        let Some(at) = self.sections.of_line(index) else {
            return;
        };
        let in_prepare = self.sections.all[at].name == "prepare_executor";
        if !in_prepare && !line.may_be_output() {
            return;
        }
        let Some(place) = self.place_at(walk, index) else {
            return;
        };
        self.keep(&mut walk.outputs[at], place, line);
    }

    fn keep(&self, kept: &mut Vec<Remark>, place: Place, line: &Line) {
        if kept.len() >= FIRST_LINES_MAX + LAST_LINES_MAX {
            kept.remove(FIRST_LINES_MAX);
        }
        kept.push(Remark {
            text: line.text.clone(),
            place,
            evidence: self.evidence(line),
        });
    }

    /// Warnings often come after the end of the section that they are about, and some name their stage.
    fn place_of_warning(&self, walk: &Walk, index: usize, text: &str) -> Place {
        if text.starts_with("Cleanup script failed") {
            return Place::of(Subject::Cleanup);
        }
        if text.starts_with("after_script failed") {
            return Place::run("after_script");
        }
        if let Some((stage, _)) = text.split_once(" could not run to completion") {
            return Place::of_section(stage.trim());
        }
        let last = walk.last_section.and_then(|at| self.sections.all.get(at));
        if let Some(last) = last.filter(|last| last.name == "cleanup_file_variables") {
            if last.closed && self.sections.of_line(index).is_none() {
                return Place::of(Subject::Cleanup);
            }
            // Without markers nothing tells where the last section ends.
            if !self.sections.marked {
                return Place::of(Subject::Cleanup).guessed();
            }
        }
        match (self.place_at(walk, index), last) {
            (Some(place), _) => place,
            (None, Some(section)) => Self::place_of(walk, section),
            (None, None) => Place::of(Subject::Runner).guessed(),
        }
    }

    /// A verdict is the last word: where a section follows, something else was quoted.
    fn drop_stale_verdict(&self, walk: &mut Walk) {
        let Some((index, _)) = walk.verdict else {
            return;
        };
        if self
            .sections
            .all
            .iter()
            .any(|section| section.first > index)
        {
            walk.verdict = None;
        }
    }

    /// Adds the failure of the verdict and says of the others what became of them.
    fn settle_failures(&self, walk: &mut Walk) {
        let run_follows = self
            .sections
            .all
            .iter()
            .any(|section| section.name != "prepare_executor");
        if let Some((index, rest)) = walk.verdict.clone() {
            let (message, class, environment) = parse_failure(&rest);
            let place = self.blame(walk, &message, environment);
            let same = |failure: &Failure| failure.message == message && !run_follows;
            // A failed attempt is said twice, as attempt and as the end of the job.
            let mut evidence: Vec<Evidence> = Vec::new();
            let place = walk
                .failures
                .iter()
                .rfind(|failure| same(failure))
                .map_or(place, |failure| failure.place.clone());
            for failure in walk.failures.iter().filter(|failure| same(failure)) {
                evidence.extend(failure.evidence.iter().cloned());
            }
            walk.failures.retain(|failure| !same(failure));
            evidence.push(self.evidence(&self.lines[index]));
            let mut facts = self.facts_at(walk, &place, index);
            let signs = self.signs_of_blame(walk, &place);
            for (fact, line) in signs.into_iter().flatten() {
                facts.push(fact);
                evidence.push(line);
            }
            evidence.sort();
            walk.failures.push(Failure {
                message,
                place,
                class,
                decisive: true,
                evidence,
                facts,
            });
        } else if !walk.succeeded
            && !run_follows
            && let Some(last) = walk.failures.last_mut()
        {
            last.decisive = true;
        }
        let went_on = run_follows || walk.succeeded;
        for failure in walk.failures.iter_mut().filter(|failure| !failure.decisive) {
            if went_on {
                failure.facts.push(Fact::Recovered);
            }
        }
        merge_alike(&mut walk.failures);
    }

    /// What shows whether the script of a failed step is to blame, with the lines that show it.
    fn signs_of_blame(&self, walk: &Walk, place: &Place) -> [Option<(Fact, Evidence)>; 3] {
        let outputs = &walk.outputs;
        let printed = outputs.iter().flatten();
        let printed: Vec<&Remark> = printed.filter(|remark| remark.place == *place).collect();
        let trace = crash::trace(&printed, outputs);
        let next = blame::next_stage_could_not_run(&self.sections, &walk.warnings, outputs, place);
        [
            trace.map(|(owner, line)| match owner {
                crash::Owner::Driver => (Fact::DriverTrace, line),
                crash::Owner::Job => (Fact::JobTrace, line),
            }),
            next.map(|line| (Fact::NextStageCouldNotRun, line)),
            voice::last_complaint(&printed, outputs).map(|line| (Fact::DriverSpokeLast, line)),
        ]
    }

    fn blame(&self, walk: &Walk, message: &str, environment: bool) -> Place {
        if environment {
            return Place::run("prepare_script");
        }
        if self.sections.all.is_empty() && walk.failures.is_empty() && !walk.started_up {
            return Place::of(Subject::Run).guessed();
        }
        let in_prepare = self
            .sections
            .all
            .last()
            .is_none_or(|last| last.name == "prepare_executor");
        if in_prepare {
            // A failed attempt forgets the startup line; where no attempt followed, it is the last one's.
            let last = walk.failures.last().map(|failure| failure.place.clone());
            let call = if walk.started_up {
                Subject::Prepare
            } else {
                Subject::Config
            };
            return last
                .filter(|_| !walk.started_up)
                .unwrap_or_else(|| Place::of(call));
        }
        blame::run_stage(&self.sections, &walk.warnings, &walk.outputs, message)
    }

    /// What structure shows about a failed call.
    fn facts_at(&self, walk: &Walk, place: &Place, verdict: usize) -> Vec<Fact> {
        let mut facts = Vec::new();
        if place.certain && place.stage.is_some() {
            facts.push(Fact::StageKnown);
        }
        let at = self.sections.all.iter().rposition(|section| {
            place.stage.is_some() && Place::of_section(&section.name).stage == place.stage
        });
        let (section, outputs) = match at {
            Some(at) => (&self.sections.all[at], &walk.outputs[at]),
            None => match self.sections.all.first() {
                Some(first) => (first, &walk.outputs[0]),
                None => return facts,
            },
        };
        let printed: Vec<&Remark> = outputs
            .iter()
            .filter(|remark| remark.place.call == place.call)
            .collect();
        if !printed.is_empty() {
            facts.push(Fact::Printed);
        }
        if printed.iter().any(|remark| is_echo(&remark.text)) {
            facts.push(Fact::Echoed);
        }
        let last_command = printed.iter().rfind(|remark| is_echo(&remark.text));
        if last_command.is_some_and(|command| CLIENT.is_match(&command.text)) {
            facts.push(Fact::CommandIsClient);
        }
        if is_repeating(&printed) {
            facts.push(Fact::Repeating);
        }
        let end = section.ended.or(self.lines[verdict].at);
        let last = printed
            .last()
            .and_then(|remark| self.moment_of(remark.evidence.line));
        let silent_since = last.or(section.started);
        if let (Some(end), Some(since)) = (end, silent_since) {
            let usual = self.usual_pause(&printed).unwrap_or_default();
            if last.is_some() && end - since <= STILL_PRINTING_MAX_S.max(2.0 * usual) {
                facts.push(Fact::StillPrinting);
            }
            if end - since >= SILENCE_MIN_S {
                facts.push(Fact::FellSilent);
            }
        }
        facts
    }

    /// How long the stage mostly paused between its last lines: slow work is slow to print.
    fn usual_pause(&self, printed: &[&Remark]) -> Option<f64> {
        let from = printed.len().saturating_sub(PAUSES + 1);
        let moments: Option<Vec<f64>> = printed[from..]
            .iter()
            .map(|remark| self.moment_of(remark.evidence.line))
            .collect();
        let moments = moments.filter(|moments| moments.len() == PAUSES + 1)?;
        let mut pauses: Vec<f64> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
        pauses.sort_by(f64::total_cmp);
        pauses.get(PAUSES / 2).copied()
    }

    fn moment_of(&self, number: usize) -> Option<f64> {
        let at = self.lines.partition_point(|line| line.number < number);
        self.lines.get(at).and_then(|line| line.at)
    }

    fn facts(&self, walk: &Walk) -> Vec<Fact> {
        let mut facts = Vec::new();
        let named = || self.sections.all.iter().zip(&walk.outputs);
        let ran = |remark: &Remark| remark.text.trim_start().starts_with("Running on ");
        let first_script = named()
            .filter(|(section, _)| section.name == "prepare_script")
            .any(|(_, outputs)| outputs.iter().any(ran));
        if first_script {
            facts.push(Fact::RanFirstScript);
            // Only where scripts are known to print is an empty step telling.
            let mut steps = named()
                .filter(|(section, _)| is_step(&section.name))
                .peekable();
            if steps.peek().is_some() && steps.all(|(_, outputs)| outputs.iter().all(is_notice)) {
                facts.push(Fact::EmptyStep);
            }
        }
        let warned = |start: &str| {
            walk.warnings
                .iter()
                .any(|warning| warning.text.starts_with(start))
        };
        if warned("script canceled externally") {
            facts.push(Fact::Canceled);
        }
        if warned("Job's log exceeded limit") {
            facts.push(Fact::LogLimit);
        }
        let prepare = self
            .sections
            .all
            .iter()
            .find(|section| section.name == "prepare_executor");
        if walk.failures.is_empty() && prepare.is_some_and(lasted_default_timeout) {
            facts.push(Fact::LastedDefaultTimeout);
        }
        let last = self.sections.all.last();
        if last.is_some_and(|last| {
            last.name == "cleanup_file_variables" && (last.closed || !self.sections.marked)
        }) {
            facts.push(Fact::SectionsClosed);
        }
        let end = walk.verdict.as_ref().map(|(index, _)| *index).or_else(|| {
            let mut lines = self.lines.iter();
            lines.rposition(|line| said(line) == Some(Said::Succeeded))
        });
        let verdict_at = end.and_then(|index| self.lines[index].at);
        if let (Some(end), Some(closed)) = (verdict_at, last.and_then(|last| last.ended))
            && end - closed >= CLEANUP_LONG_S
        {
            facts.push(Fact::LongAfterSections);
        }
        facts
    }

    /// Where a log without a verdict ends.
    fn open_end(&self, walk: &Walk) -> Option<(Place, Vec<Evidence>)> {
        let last = self.sections.all.last()?;
        let place =
            if last.name == "cleanup_file_variables" && (last.closed || !self.sections.marked) {
                Place::of(Subject::Cleanup).guessed()
            } else if last.closed {
                return None;
            } else {
                Self::place_of(walk, last)
            };
        let mut evidence: Vec<Evidence> = self
            .lines
            .iter()
            .rev()
            .filter(|line| !line.text.trim().is_empty())
            .take(LAST_LINES_SHOWN)
            .map(|line| self.evidence(line))
            .collect();
        evidence.reverse();
        Some((place, evidence))
    }
}

/// The runner says this in each step; without streams it looks like a line of the script.
fn is_notice(remark: &Remark) -> bool {
    is_step_notice(&remark.text)
}

/// Whether the last lines are one and the same; what counts or measures is another line each time.
fn is_repeating(printed: &[&Remark]) -> bool {
    let from = printed.len().saturating_sub(REPETITIONS_MIN);
    let last = &printed[from..];
    last.len() == REPETITIONS_MIN && last.windows(2).all(|pair| pair[0].text == pair[1].text)
}

fn lasted_default_timeout(section: &Section) -> bool {
    let (Some(start), Some(end)) = (section.started, section.ended) else {
        return false;
    };
    (end - start - EXEC_TIMEOUT_DEFAULT_S).abs() <= TIMEOUT_TOLERANCE_S
}

/// Attempts that failed alike are one failure with several lines.
fn merge_alike(failures: &mut Vec<Failure>) {
    let mut merged: Vec<Failure> = Vec::new();
    for failure in failures.drain(..) {
        let same = merged.iter_mut().find(|other| {
            other.message == failure.message
                && other.place == failure.place
                && other.decisive == failure.decisive
        });
        match same {
            Some(other) => other.evidence.extend(failure.evidence),
            None => merged.push(failure),
        }
    }
    *failures = merged;
}
