//! From logs to causes: what a job log, a runner's log or a report says about why a job went wrong.
//!
//! Pure: text in, [`model::Diagnosis`] out. [`text`] makes lines of any file, `wrapped` finds logs inside of others, [`mod@line`] and
//! [`runner_log`] take them apart, [`job_log`] and [`jobs`] make of them the [`story`] of each job, `same_job` makes one of what two
//! logs tell of the same job, and [`rules`] compares stories with the symptoms that `scenarios/symptoms/` holds as data. Nothing here
//! knows the words of a particular driver: structure comes first.

pub mod job_log;
pub mod jobs;
pub mod line;
pub mod model;
mod prefix;
pub mod render;
mod report;
pub mod rules;
pub mod runner_log;
mod same_job;
pub mod story;
pub mod text;
mod wrapped;

use driver_conformance_reports::text::visible_line;

use job_log::JobLog;
use line::Line;
use model::{Diagnosis, EvidenceLine, Problem, SCHEMA};
use rules::{EVIDENCE_MAX, Match};
use runner_log::Entry;
use story::Story;
use text::Input;
use wrapped::Lines;

/// Says what some files show together.
pub fn diagnose(inputs: &[Input]) -> Diagnosis {
    let mut notes = Vec::new();
    let mut problems = Vec::new();
    let mut stories = Vec::new();
    let mut reports = 0;
    for (index, input) in inputs.iter().enumerate() {
        match report::parse(input) {
            Some(Ok(report)) => {
                problems.extend(report::problems(&report, input));
                reports += 1;
                continue;
            }
            Some(Err(reason)) => {
                let name = &input.name;
                notes.push(format!("{name}: a report that cannot be read: {reason}"));
                continue;
            }
            None => {}
        }
        read(input, index, &mut stories, &mut notes);
    }
    let stories = same_job::join(stories);
    let found = collect(&stories);
    let several = inputs.len() > 1;
    problems.extend(found.into_iter().map(|(found, jobs)| {
        problem(found, jobs, &|input| {
            several.then(|| inputs[input].name.clone())
        })
    }));
    Diagnosis {
        schema: SCHEMA.to_owned(),
        problems,
        understood: stories.len() + reports,
        notes,
    }
}

/// How many layers a log may be wrapped in: a string of JSON, in a line of a collector, in an answer of its API.
const LAYERS_MAX: usize = 3;

/// What a file tells.
#[derive(Default)]
struct Content {
    stories: Vec<Story>,
    notes: Vec<String>,
}

/// Adds the stories that a file tells.
fn read(input: &Input, index: usize, stories: &mut Vec<Story>, notes: &mut Vec<String>) {
    if input.is_partial() {
        notes.push(format!(
            "{}: too large, its middle was left out",
            input.name
        ));
    }
    let source = Source {
        name: &input.name,
        index,
    };
    let content = source.content(input.whole_lines(), LAYERS_MAX);
    stories.extend(content.stories);
    notes.extend(content.notes);
}

/// Where lines come from.
struct Source<'input> {
    name: &'input str,
    index: usize,
}

impl Source<'_> {
    /// What lines tell, or the logs inside of them.
    fn content(&self, mut lines: Lines, layers: usize) -> Content {
        if layers > 0
            && let Some(inner) = self.inside(&lines, layers)
        {
            return inner;
        }
        for (_, line) in &mut lines {
            text::cut(line);
        }
        self.of_log(lines)
    }

    /// What is told by the logs inside of a file that is none itself.
    fn inside(&self, lines: &Lines, layers: usize) -> Option<Content> {
        let is_of_runner = |(_, line): &(usize, String)| runner_log::is_json_of_runner(line);
        if lines.iter().any(is_of_runner) {
            return None;
        }
        let plain = wrapped::plain(lines);
        // Where most is plain text, what is wrapped was printed by a script.
        let length = |part: &Lines| part.iter().map(|(_, line)| line.len()).sum::<usize>();
        let is_plain = plain.len() == lines.len() || length(&plain) * 2 > length(lines);
        if is_plain || !self.of_log(plain).stories.is_empty() {
            return None;
        }
        for reading in wrapped::readings(lines) {
            let mut content = Content::default();
            for log in reading.logs {
                let inner = self.content(log, layers - 1);
                content.stories.extend(inner.stories);
            }
            if content.stories.is_empty() {
                continue;
            }
            if !reading.numbered_as_file {
                content.notes.push(format!(
                    "{}: a log inside of JSON, whose lines are counted for themselves",
                    self.name
                ));
            }
            return Some(content);
        }
        None
    }

    /// What the lines of a log tell.
    fn of_log(&self, lines: Lines) -> Content {
        let raw = prefix::strip(lines);
        let mut lines: Vec<Line> = raw
            .iter()
            .map(|(number, line)| Line::parse(*number, line))
            .collect();
        line::forget_single_stream(&mut lines);
        let mut content = Content::default();
        // What a script prints may look like a runner's log; where the log has streams, nothing else writes into it.
        let has_streams = lines.iter().any(|line| line.stream.is_some());
        let entries = if has_streams {
            Vec::new()
        } else {
            entries_of(&raw)
        };
        match job_log::read(&lines, self.index) {
            JobLog::Custom(story) => content.stories.push(*story),
            JobLog::Other(executor) => {
                content.note(self.name, &other_executor(&executor));
                return content;
            }
            JobLog::Fragment(story) if entries.is_empty() => content.stories.push(*story),
            JobLog::Verdict if entries.is_empty() => {
                content.note(self.name, END_ALONE);
                return content;
            }
            JobLog::Fragment(_) | JobLog::Verdict | JobLog::None => {}
        }
        // Last words without fields are the runner's only in a log that is the runner's.
        let is_job_log = !content.stories.is_empty();
        let own = entries.into_iter();
        let own = own.filter(|entry| !is_job_log || !entry.fields.is_empty());
        let of_runner = jobs::read(own.collect(), self.index);
        content.stories.extend(of_runner.stories);
        if !of_runner.of_others.is_empty() {
            let jobs = of_runner.of_others.join(", ");
            content.note(
                self.name,
                &format!("jobs of another executor were left out: {jobs}"),
            );
        }
        if content.stories.is_empty() {
            content.note(
                self.name,
                "neither a job log, nor a runner's log, nor a report",
            );
        }
        content
    }
}

impl Content {
    fn note(&mut self, name: &str, text: &str) {
        self.notes.push(format!("{name}: {text}"));
    }
}

const END_ALONE: &str = "the end of a job without what came before: not enough to tell; needed: the log from \"Preparing the\" on";

fn other_executor(executor: &str) -> String {
    format!(
        "a job of the executor \"{}\", not of the Custom executor",
        visible_line(executor)
    )
}

/// The entries of a runner's log; none where no line has the fields by which the runner's are known.
fn entries_of(lines: &[(usize, String)]) -> Vec<Entry> {
    let parsed = lines
        .iter()
        .filter_map(|(number, line)| Entry::parse(*number, line));
    let entries: Vec<Entry> = parsed.collect();
    if !entries.iter().any(Entry::is_of_runner) {
        return Vec::new();
    }
    entries
}

/// A cause of one story or of several.
struct Gathered {
    found: Match,
    story: usize,
    jobs: Vec<String>,
}

/// The causes of all stories, each once, with the jobs that show it.
fn collect(stories: &[Story]) -> Vec<(Match, Vec<String>)> {
    let mut all: Vec<Gathered> = Vec::new();
    for (story, told) in stories.iter().enumerate() {
        for found in rules::apply(told) {
            let jobs: Vec<String> = told.job.iter().cloned().collect();
            match all.iter_mut().find(|other| is_same(other, &found, story)) {
                Some(other) => other.merge(found, jobs),
                None => all.push(Gathered { found, story, jobs }),
            }
        }
    }
    // What the runner itself went through explains what its jobs show.
    let own: Vec<&str> = all
        .iter()
        .filter(|gathered| gathered.jobs.is_empty())
        .map(|gathered| gathered.found.symptom.cause)
        .collect();
    all.retain(|gathered| {
        let unless = &gathered.found.symptom.unless;
        !unless.iter().any(|cause| own.contains(&cause.as_str()))
    });
    all.sort_by(|a, b| rules::order(&a.found, &b.found));
    let sorted = all.into_iter().map(|mut gathered| {
        rules::sort_evidence(&mut gathered.found);
        (gathered.found, gathered.jobs)
    });
    sorted.collect()
}

impl Gathered {
    fn merge(&mut self, found: Match, jobs: Vec<String>) {
        let better = found.place.certain && !self.found.place.certain;
        if better || (self.found.place.stage.is_none() && found.place.stage.is_some()) {
            self.found.place = found.place;
        }
        self.found.decisive |= found.decisive;
        self.found.confidence = self.found.confidence.max(found.confidence);
        self.found.evidence.extend(found.evidence);
        self.found.context.extend(found.context);
        self.jobs.extend(jobs);
    }
}

/// The same cause at the same place. Another log may know the place better.
fn is_same(other: &Gathered, found: &Match, story: usize) -> bool {
    let (a, b) = (&other.found.place, &found.place);
    if other.found.symptom.cause != found.symptom.cause {
        return false;
    }
    if a.call == b.call && a.stage == b.stage {
        return true;
    }
    let same_call = a.call == b.call && (a.stage.is_none() || b.stage.is_none());
    other.story != story && (same_call || !a.certain || !b.certain)
}

fn problem(found: Match, jobs: Vec<String>, file: &dyn Fn(usize) -> Option<String>) -> Problem {
    let symptom = found.symptom;
    let mut evidence = found.evidence;
    // The last lines of a long list are nearest to the end.
    if evidence.len() > EVIDENCE_MAX {
        evidence.drain(1..=evidence.len() - EVIDENCE_MAX);
    }
    let room = EVIDENCE_MAX - evidence.len();
    evidence.extend(found.context.into_iter().rev().take(room));
    Problem {
        call: found.place.call.name().to_owned(),
        stage: found.place.stage,
        cause: symptom.cause.to_owned(),
        title: symptom.title.clone(),
        confidence: (found.confidence * 100.0).round() / 100.0,
        decisive: found.decisive,
        evidence: evidence
            .into_iter()
            .map(|line| EvidenceLine {
                line: line.line,
                text: visible_line(&line.text),
                file: file(line.input),
            })
            .collect(),
        checks: symptom.checks.clone(),
        observe: symptom.observe.clone(),
        fix: symptom.fix.clone(),
        jobs,
    }
}
