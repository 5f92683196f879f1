//! From the entries of a runner's log to the stories of its jobs, and one of the runner itself.

use std::collections::{BTreeMap, BTreeSet};

use driver_conformance_scenarios::symptom::{Ending, Fact, FailureClass, Subject};

use crate::runner_log::{Entry, Level};
use crate::story::{self, Evidence, Failure, Place, Remark, Story, parse_failure};

/// What a runner's log tells.
#[derive(Debug, Default)]
pub struct Told {
    /// One for each job of the Custom executor; the story without a job is the runner's own.
    pub stories: Vec<Story>,
    /// Jobs of other executors, which are not looked at.
    pub of_others: Vec<String>,
}

/// Reads entries.
pub fn read(entries: Vec<Entry>, input: usize) -> Told {
    let others = other_runners(&entries);
    let mut jobs: BTreeMap<Option<String>, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        let job = entry.field("job").map(str::to_owned);
        jobs.entry(job).or_default().push(entry);
    }
    let mut of_others = Vec::new();
    jobs.retain(|job, entries| {
        let Some(job) = job else { return true };
        let is_other = |entry: &Entry| {
            let runner = entry.field("runner");
            runner.is_some_and(|runner| others.contains(runner)) || speaks_for_another(entry)
        };
        let skipped = entries.iter().any(is_other);
        if skipped {
            of_others.push(job.clone());
        }
        !skipped
    });
    // Where the runner was told to stop at once, or began anew.
    let own = jobs.get(&None).into_iter().flatten();
    let stops: Vec<usize> = own
        .filter(|entry| ends_a_runner(&entry.message))
        .map(|entry| entry.number)
        .collect();
    let stories = jobs.into_iter().map(|(job, entries)| {
        let last = entries.last().map_or(0, |entry| entry.number);
        let mut story = story(job, entries, input);
        let stopped = stops.last().is_some_and(|stop| *stop > last);
        if story.ending.is_none() && story.job.is_some() && stopped {
            story.facts.push(Fact::RunnerStopped);
        }
        story
    });
    Told {
        stories: stories.collect(),
        of_others,
    }
}

/// Runners that the log names another executor for.
fn other_runners(entries: &[Entry]) -> BTreeSet<String> {
    let named = entries.iter().filter(|entry| {
        let executor = entry.field("executor");
        executor.is_some_and(|executor| executor != "custom")
    });
    named
        .filter_map(|entry| entry.field("runner").map(str::to_owned))
        .collect()
}

/// Whether an end is told in words of another executor: `exit code` is `exit status` for the Custom executor.
fn speaks_for_another(entry: &Entry) -> bool {
    let Some(rest) = entry.message.strip_prefix("Job failed") else {
        return false;
    };
    rest.contains("exit code ") && !rest.contains("Custom executor executable")
}

/// Whether the runner was told to stop at once, or this is the first word of another one.
fn ends_a_runner(message: &str) -> bool {
    message == "Starting forceful shutdown"
        || message.starts_with("Forceful shutdown not finished")
        || message.starts_with("Starting multi-runner from ")
}

fn evidence(entry: &Entry, input: usize) -> Evidence {
    Evidence {
        input,
        line: entry.number,
        text: entry.text.trim().to_owned(),
    }
}

fn story(job: Option<String>, entries: Vec<Entry>, input: usize) -> Story {
    let mut story = Story {
        job,
        ..Story::default()
    };
    for entry in entries {
        let line = evidence(&entry, input);
        if matches!(entry.field("job-status"), Some("canceling" | "canceled"))
            && !story.facts.contains(&Fact::Canceled)
        {
            story.facts.push(Fact::Canceled);
        }
        let message = entry.message.as_str();
        if entry.field("cleanup_std").is_some() {
            story.outputs.push(Remark {
                text: message.to_owned(),
                place: Place::of(Subject::Cleanup),
                evidence: line.clone(),
            });
        } else if message == "Job succeeded" {
            story.ending = Some(Ending::Success);
        } else if let Some(error) = message.strip_prefix("Preparation failed: ") {
            story
                .failures
                .push(failure(error, FailureClass::System, line.clone()));
        } else if let Some(rest) = message.strip_prefix("Job failed") {
            story.ending = Some(Ending::Failed);
            verdict(&mut story, rest.trim_start(), line.clone());
        } else if entry.level >= Level::Warning {
            if is_step_notice(message) && !story.facts.contains(&Fact::StepReached) {
                story.facts.push(Fact::StepReached);
            }
            let place = place_of_warning(message);
            story.warnings.push(Remark {
                text: message.to_owned(),
                place,
                evidence: line.clone(),
            });
        }
        story.told.push(story::Told {
            entry,
            evidence: line,
        });
    }
    settle(&mut story);
    story
}

fn failure(error: &str, class: FailureClass, line: Evidence) -> Failure {
    Failure {
        message: error.trim().to_owned(),
        place: place_of_program(error).unwrap_or_else(|| Place::of(Subject::Prepare).guessed()),
        class,
        decisive: false,
        evidence: vec![line],
        facts: Vec::new(),
    }
}

/// The end of the job. Where an attempt to prepare failed with the same error, it is this that ended it.
fn verdict(story: &mut Story, rest: &str, line: Evidence) {
    let (message, class, environment) = parse_failure(rest);
    let attempts: Vec<Failure> = story
        .failures
        .iter()
        .filter(|failure| failure.message == message)
        .cloned()
        .collect();
    story.failures.retain(|failure| failure.message != message);
    let place = if environment {
        Place::run("prepare_script")
    } else if let Some(attempt) = attempts.first() {
        attempt.place.clone()
    } else {
        place_of_end(story, &message)
    };
    let mut lines: Vec<Evidence> = attempts
        .into_iter()
        .flat_map(|attempt| attempt.evidence)
        .collect();
    lines.push(line);
    story.failures.push(Failure {
        message,
        place,
        class,
        decisive: true,
        evidence: lines,
        facts: Vec::new(),
    });
}

/// The runner says this each time it begins the script of the job, and names no other stage at this level of detail.
pub(crate) fn is_step_notice(message: &str) -> bool {
    message.contains("'build_script' stage will be replaced with 'step_script'")
}

/// Where the end of a job came from, as far as a log without stages tells.
fn place_of_end(story: &Story, message: &str) -> Place {
    let overdue = story.warnings.iter().rfind(|warning| {
        warning.text.contains(" could not run to completion") && !warning.place.is("after_script")
    });
    if let Some(warning) = overdue {
        return warning.place.clone();
    }
    if let Some(place) = place_of_program(message) {
        return place;
    }
    if story.facts.contains(&Fact::StepReached) {
        Place::run("build_script").guessed()
    } else {
        Place::of(Subject::Run).guessed()
    }
}

fn settle(story: &mut Story) {
    let ended = story.ending.is_some();
    let mut merged: Vec<Failure> = Vec::new();
    for mut failure in story.failures.drain(..) {
        if !failure.decisive && ended {
            failure.facts.push(Fact::Recovered);
        }
        match merged
            .iter_mut()
            .find(|other| other.message == failure.message && other.decisive == failure.decisive)
        {
            Some(other) => other.evidence.extend(failure.evidence),
            None => merged.push(failure),
        }
    }
    if !ended && let Some(last) = merged.last_mut() {
        last.decisive = true;
    }
    story.failures = merged;
}

fn place_of_warning(message: &str) -> Place {
    if message.starts_with("Cleanup script failed") {
        return Place::of(Subject::Cleanup);
    }
    if message.starts_with("after_script failed") {
        return Place::run("after_script");
    }
    if message.starts_with("Error while executing file based variables removal") {
        return Place::run("cleanup_file_variables");
    }
    if let Some((stage, _)) = message.split_once(" could not run to completion") {
        return Place::of_section(stage.trim());
    }
    Place::of(Subject::Run).guessed()
}

/// The program that could not be started, if its name tells which one it is.
fn place_of_program(error: &str) -> Option<Place> {
    let (_, rest) = error.split_once("fork/exec ")?;
    let path = rest.split(": ").next()?;
    let name = path.rsplit('/').next()?.to_lowercase();
    let call = match () {
        () if name.contains("config") => Subject::Config,
        () if name.contains("prepare") => Subject::Prepare,
        () if name.contains("clean") => Subject::Cleanup,
        () if name.contains("run") => Subject::Run,
        () => return None,
    };
    Some(Place::of(call).guessed())
}
