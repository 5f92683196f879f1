//! Which symptoms a story shows: pure matching of `scenarios/symptoms/` against it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use driver_conformance_scenarios::symptom::{self, Fact, Scope, Subject, Symptom, When};
use regex::{Regex, RegexSet};

use crate::story::{Evidence, Failure, Place, Remark, Story, is_echo, without_numbers};

/// Most lines that speak for one problem.
pub const EVIDENCE_MAX: usize = 6;
/// The last lines of a call: what it complained of when it gave up.
const LAST_WORDS: usize = 3;
/// Last lines of a call that the runner took for done: what follows a complaint may take it back.
const LAST_WORDS_DONE: usize = 2;
/// How many of them are shown where no rule knows better.
const LAST_WORDS_SHOWN: usize = 2;
/// What a place that is only the most likely one takes from the confidence.
const GUESS_FACTOR: f64 = 0.8;

static RULES: LazyLock<Rules> = LazyLock::new(Rules::compile);

/// A cause that a story shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// The cause.
    pub symptom: &'static Symptom,
    /// Where it was seen.
    pub place: Place,
    /// How sure one can be.
    pub confidence: f64,
    /// Whether it explains how the job ended.
    pub decisive: bool,
    /// The lines that speak for it.
    pub evidence: Vec<Evidence>,
    /// What the call had said before, where no rule knows what it means.
    pub context: Vec<Evidence>,
    /// The failure that it explains.
    failure: Option<usize>,
}

struct Rules {
    all: Vec<Rule>,
    outputs: RegexSet,
    warnings: RegexSet,
    entries: RegexSet,
}

struct Rule {
    symptom: &'static Symptom,
    when: &'static When,
    failure: Option<Regex>,
    output: Option<usize>,
    warning: Option<usize>,
    entry: Option<usize>,
    fields: BTreeMap<&'static str, Regex>,
}

fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap_or_else(|error| panic!("a pattern of a symptom: {error}"))
}

impl Rules {
    fn compile() -> Self {
        let (mut outputs, mut warnings, mut entries) = (Vec::new(), Vec::new(), Vec::new());
        let mut rules = Vec::new();
        let add = |list: &mut Vec<&'static str>, pattern: &'static Option<String>| {
            pattern.as_deref().map(|pattern| {
                list.push(pattern);
                list.len() - 1
            })
        };
        for symptom in symptom::all() {
            for when in &symptom.when {
                rules.push(Rule {
                    symptom,
                    when,
                    failure: when.failure.as_deref().map(compiled),
                    output: add(&mut outputs, &when.output),
                    warning: add(&mut warnings, &when.warning),
                    entry: add(&mut entries, &when.entry),
                    fields: when
                        .fields
                        .iter()
                        .map(|(name, pattern)| (name.as_str(), compiled(pattern)))
                        .collect(),
                });
            }
        }
        let set = |patterns: Vec<&str>| RegexSet::new(patterns).expect("each compiles alone");
        Self {
            all: rules,
            outputs: set(outputs),
            warnings: set(warnings),
            entries: set(entries),
        }
    }
}

/// Lines by the pattern that they match.
type Hits<'story> = BTreeMap<usize, Vec<(&'story Place, &'story Evidence)>>;

fn hits<'story>(set: &RegexSet, remarks: &'story [Remark]) -> Hits<'story> {
    let mut hits = Hits::new();
    for remark in remarks {
        for pattern in set.matches(&remark.text) {
            let lines = hits.entry(pattern).or_default();
            lines.push((&remark.place, &remark.evidence));
        }
    }
    hits
}

/// What is looked up again and again in one story.
struct Scene<'story> {
    story: &'story Story,
    outputs: Hits<'story>,
    warnings: Hits<'story>,
    told: BTreeMap<usize, Vec<usize>>,
}

/// Every cause that a story shows, the decisive ones first.
pub fn apply(story: &Story) -> Vec<Match> {
    let rules = &*RULES;
    let mut told: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, entry) in story.told.iter().enumerate() {
        for pattern in rules.entries.matches(&entry.entry.message) {
            told.entry(pattern).or_default().push(index);
        }
    }
    let scene = Scene {
        story,
        outputs: hits(&rules.outputs, &story.outputs),
        warnings: hits(&rules.warnings, &story.warnings),
        told,
    };
    let mut matches = Vec::new();
    for rule in &rules.all {
        if rule.when.ending.is_some() && rule.when.ending != story.ending {
            continue;
        }
        if rule.failure.is_some() {
            let failures = story.failures.iter().enumerate();
            matches.extend(failures.filter_map(|(at, failure)| rule.explains(&scene, at, failure)));
        } else {
            matches.extend(rule.seen(&scene));
        }
    }
    settle(matches)
}

impl Rule {
    fn facts_hold(&self, known: &dyn Fn(Fact) -> bool) -> bool {
        self.when.facts.iter().all(|fact| known(*fact))
            && !self.when.without.iter().any(|fact| known(*fact))
    }

    fn is_at(&self, place: &Place) -> bool {
        self.when.at.is_empty() || self.when.at.iter().any(|word| place.is(word))
    }

    /// The place to blame for what was seen at another.
    fn blamed(&self, seen: &Place) -> Place {
        let call = match self.symptom.call {
            Subject::Seen => seen.call,
            named => named,
        };
        let stage = self.symptom.stage.clone().or_else(|| seen.stage.clone());
        let has_stages = !matches!(call, Subject::Config | Subject::Prepare | Subject::Cleanup);
        Place {
            call,
            stage: stage.filter(|_| has_stages),
            certain: seen.certain || self.symptom.call != Subject::Seen,
        }
    }

    fn explains(&self, scene: &Scene<'_>, at: usize, failure: &Failure) -> Option<Match> {
        let when = self.when;
        let pattern = self.failure.as_ref()?;
        let known = |fact: Fact| failure.facts.contains(&fact) || scene.story.facts.contains(&fact);
        let fits = pattern.is_match(&failure.message)
            && self.is_at(&failure.place)
            && when.class.is_none_or(|class| class == failure.class)
            && self.facts_hold(&known);
        if !fits {
            return None;
        }
        let mut evidence = failure.evidence.clone();
        if let Some(output) = self.output {
            let mut there = self.said(scene, failure, output)?;
            there.append(&mut evidence);
            evidence = there;
        }
        // The last words of the call are what a reader looks for, except where nobody there is to blame.
        let is_told = self.output.is_some() || self.symptom.call == Subject::Gitlab;
        let mut context = Vec::new();
        if !is_told && failure.place.certain {
            context = last_words(scene.story, &failure.place, failure.evidence.first());
        }
        // Where nothing better is known, they are all there is.
        if self.symptom.fallback {
            evidence.append(&mut context);
        }
        if let Some(warning) = self.warning {
            let lines = scene.warnings.get(&warning)?;
            evidence.splice(0..0, lines.iter().map(|(_, line)| (*line).clone()));
        }
        Some(Match {
            symptom: self.symptom,
            place: self.blamed(&failure.place),
            confidence: when.confidence,
            decisive: failure.decisive,
            evidence,
            context,
            failure: Some(at),
        })
    }

    /// The lines at a failed call that match a pattern; nothing if there are none.
    fn said(&self, scene: &Scene<'_>, failure: &Failure, output: usize) -> Option<Vec<Evidence>> {
        let when = self.when;
        let lines = scene.outputs.get(&output)?;
        // What cleanup_exec says is never about the call before.
        let is_elsewhere = |place: &Place| {
            place.certain && place.call == Subject::Cleanup && place.call != failure.place.call
        };
        let is_there = |place: &Place| {
            if when.scope == Some(Scope::Later) {
                return is_behind(scene.story, &failure.place, place);
            }
            same_call(place, &failure.place) || (!failure.place.certain && !is_elsewhere(place))
        };
        let since = if when.last {
            let outputs = scene.story.outputs.iter().rev();
            let mut last = outputs.filter(|remark| is_there(&remark.place));
            let first = last.by_ref().take(LAST_WORDS).last();
            first.map(|remark| &remark.evidence)
        } else {
            None
        };
        let anyway = said_where_it_worked(scene.story, &failure.place);
        let mut there: Vec<Evidence> = lines
            .iter()
            .filter(|(place, line)| is_there(place) && since.is_none_or(|since| *line >= since))
            .filter(|(place, line)| {
                when.scope != Some(Scope::Unscripted) || is_unscripted(scene.story, place, line)
            })
            .filter(|(_, line)| !anyway.contains(&without_numbers(&line.text)))
            .map(|(_, line)| (*line).clone())
            .collect();
        // The last ones are nearest to the failure.
        let from = there.len().saturating_sub(EVIDENCE_MAX / 2);
        there.drain(..from);
        (!there.is_empty()).then_some(there)
    }

    /// What shows in lines, or in structure alone: one match for each place.
    fn seen(&self, scene: &Scene<'_>) -> Vec<Match> {
        let story = scene.story;
        let known = |fact: Fact| story.facts.contains(&fact);
        if !self.facts_hold(&known) {
            return Vec::new();
        }
        let lines: Vec<(Place, Evidence)> = if let Some(pattern) = self.output {
            let mut lines = located(scene.outputs.get(&pattern));
            if self.when.scope == Some(Scope::Unscripted) {
                lines.retain(|(place, line)| is_unscripted(story, place, line));
            }
            if self.when.last {
                lines.retain(|(place, line)| is_last_word(story, place, line));
            }
            if let Some(warning) = self.warning {
                let warned = located(scene.warnings.get(&warning));
                lines.retain(|_| !warned.is_empty());
                if !lines.is_empty() {
                    lines.extend(warned);
                }
            }
            lines
        } else if let Some(pattern) = self.warning {
            located(scene.warnings.get(&pattern))
        } else if let Some(pattern) = self.entry {
            self.told(scene, pattern)
        } else {
            self.structural(story)
        };
        let mut matches: Vec<Match> = Vec::new();
        for (place, line) in lines.into_iter().filter(|(place, _)| self.is_at(place)) {
            let place = self.blamed(&place);
            match matches.iter_mut().find(|found| found.place == place) {
                Some(found) => found.evidence.push(line),
                None => matches.push(Match {
                    symptom: self.symptom,
                    confidence: self.when.confidence,
                    decisive: self.when.decisive,
                    context: self.said_before(story, &place, &line),
                    place,
                    evidence: vec![line],
                    failure: None,
                }),
            }
        }
        matches
    }

    /// What `cleanup_exec` said before it failed, which nothing but a warning tells of.
    fn said_before(&self, story: &Story, place: &Place, line: &Evidence) -> Vec<Evidence> {
        let failed = self.warning.is_some() && place.call == Subject::Cleanup;
        if !failed {
            return Vec::new();
        }
        last_words(story, place, Some(line))
    }

    fn told(&self, scene: &Scene<'_>, pattern: usize) -> Vec<(Place, Evidence)> {
        let indices = scene.told.get(&pattern).into_iter().flatten();
        indices
            .map(|index| &scene.story.told[*index])
            .filter(|told| {
                self.fields.iter().all(|(name, pattern)| {
                    told.entry
                        .field(name)
                        .is_some_and(|value| pattern.is_match(value))
                })
            })
            .map(|told| (Place::of(Subject::Runner).guessed(), told.evidence.clone()))
            .collect()
    }

    /// Nothing but facts and the end of the log: the last lines are what there is to show.
    fn structural(&self, story: &Story) -> Vec<(Place, Evidence)> {
        if let Some((place, lines)) = &story.open {
            return lines
                .iter()
                .map(|line| (place.clone(), line.clone()))
                .collect();
        }
        if self.when.facts.is_empty() {
            return Vec::new();
        }
        let last = story.outputs.last().map(|remark| &remark.evidence);
        let last = last.or_else(|| story.warnings.last().map(|warning| &warning.evidence));
        last.map(|line| (Place::of(self.symptom.call), line.clone()))
            .into_iter()
            .collect()
    }
}

/// Whether no command of a script had been echoed in the stage when a line was printed.
fn is_unscripted(story: &Story, place: &Place, line: &Evidence) -> bool {
    let mut there = story.outputs.iter().filter(|said| said.place == *place);
    !there.any(|said| said.evidence < *line && is_echo(&said.text))
}

/// What was said in stages before the failed one, which worked: the same words are no complaint there.
fn said_where_it_worked(story: &Story, failed: &Place) -> BTreeSet<String> {
    let first = story.outputs.iter().find(|said| said.place == *failed);
    let Some(first) = first.filter(|_| failed.call == Subject::Run && failed.certain) else {
        return BTreeSet::new();
    };
    let before = story
        .outputs
        .iter()
        .filter(|said| said.place.call == Subject::Run && said.evidence < first.evidence);
    before
        .map(|said| without_numbers(&said.evidence.text))
        .collect()
}

/// Stages that the runner still opens after a failed one.
const BEHIND_FAILED: [&str; 4] = [
    "after_script",
    "archive_cache_on_failure",
    "upload_artifacts_on_failure",
    "cleanup_file_variables",
];

/// Whether a place is a stage behind the failed one in which no command of a script was echoed.
fn is_behind(story: &Story, failed: &Place, place: &Place) -> bool {
    let is_later = BEHIND_FAILED.iter().any(|stage| place.is(stage)) && place != failed;
    let mut there = story.outputs.iter().filter(|said| said.place == *place);
    is_later && place.certain && !there.any(|said| is_echo(&said.text))
}

/// Whether a line is among the last ones of a stage that the runner took for done; each cache is a matter of its own.
fn is_last_word(story: &Story, place: &Place, line: &Evidence) -> bool {
    let is_open = story.open.as_ref().is_some_and(|(open, _)| open == place);
    let failed = |failure: &Failure| failure.decisive && same_call(&failure.place, place);
    if is_open || story.failures.iter().any(failed) {
        return false;
    }
    let mut there = story.outputs.iter().filter(|said| said.place == *place);
    there.any(|said| said.evidence == *line)
        && there
            .take_while(|said| !begins_a_cache(&said.text))
            .nth(LAST_WORDS_DONE - 1)
            .is_none()
}

/// Whether a line is the first one about another cache of the same stage.
fn begins_a_cache(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with("Checking cache for ") || text.starts_with("Creating cache ")
}

/// What a call printed right before it failed; of several attempts the first, since the others mostly repeat it.
fn last_words(story: &Story, place: &Place, told: Option<&Evidence>) -> Vec<Evidence> {
    let before = story.outputs.iter().rev().filter(|remark| {
        // What two logs say has no order.
        let is_before =
            |told: &Evidence| remark.evidence.input != told.input || remark.evidence < *told;
        same_call(&remark.place, place) && told.is_none_or(is_before)
    });
    before
        .take(LAST_WORDS_SHOWN)
        .map(|remark| remark.evidence.clone())
        .collect()
}

fn located(lines: Option<&Vec<(&Place, &Evidence)>>) -> Vec<(Place, Evidence)> {
    lines
        .into_iter()
        .flatten()
        .map(|(place, line)| ((*place).clone(), (*line).clone()))
        .collect()
}

/// The same cause at the same place. A remark whose place nobody knows belongs to the other one.
fn is_same(a: &Match, b: &Match) -> bool {
    let place = a.place.call == b.place.call && a.place.stage == b.place.stage;
    let is_lost = |found: &Match| !found.decisive && !found.place.certain;
    a.symptom.cause == b.symptom.cause && (place || is_lost(a) || is_lost(b))
}

/// Where only causes of last resort explain a failure, the surest of them is enough.
fn keep_best_stand_in(matches: &mut Vec<Match>) {
    let mut best: BTreeMap<Option<usize>, (f64, &str)> = BTreeMap::new();
    for found in matches.iter().filter(|found| found.symptom.fallback) {
        let entry = best
            .entry(found.failure)
            .or_insert((found.confidence, found.symptom.cause));
        if found.confidence > entry.0 {
            *entry = (found.confidence, found.symptom.cause);
        }
    }
    matches.retain(|found| {
        !found.symptom.fallback
            || best
                .get(&found.failure)
                .is_some_and(|(_, cause)| *cause == found.symptom.cause)
    });
}

fn same_call(a: &Place, b: &Place) -> bool {
    a.call == b.call && (a.stage == b.stage || a.stage.is_none() || b.stage.is_none())
}

/// Drops what only stands in for something better, and puts what decides first.
fn settle(mut matches: Vec<Match>) -> Vec<Match> {
    let explained: BTreeSet<Option<usize>> = matches
        .iter()
        .filter(|found| !found.symptom.fallback && (found.decisive || found.failure.is_some()))
        .map(|found| found.failure)
        .collect();
    let causes: BTreeSet<&str> = matches.iter().map(|found| found.symptom.cause).collect();
    matches.retain(|found| {
        let stands_in = found.symptom.fallback && explained.contains(&found.failure);
        let follows = found
            .symptom
            .unless
            .iter()
            .any(|cause| causes.contains(cause.as_str()));
        !stands_in && !follows
    });
    keep_best_stand_in(&mut matches);
    for found in &mut matches {
        if !found.place.certain {
            found.confidence *= GUESS_FACTOR;
        }
    }
    let mut merged: Vec<Match> = Vec::new();
    for found in matches {
        match merged.iter_mut().find(|other| is_same(other, &found)) {
            Some(other) => {
                if found.place.certain {
                    other.place = found.place;
                }
                other.decisive |= found.decisive;
                other.confidence = other.confidence.max(found.confidence);
                other.evidence.extend(found.evidence);
                other.context.extend(found.context);
            }
            None => merged.push(found),
        }
    }
    merged.iter_mut().for_each(sort_evidence);
    merged.sort_by(order);
    merged
}

/// In the order of files and lines, each once.
pub fn sort_evidence(found: &mut Match) {
    let Match {
        evidence, context, ..
    } = found;
    for lines in [&mut *evidence, &mut *context] {
        lines.sort();
        lines.dedup();
    }
    context.retain(|line| evidence.binary_search(line).is_err());
}

/// The decisive ones first, the surest first.
pub fn order(a: &Match, b: &Match) -> Ordering {
    b.decisive
        .cmp(&a.decisive)
        .then(b.confidence.total_cmp(&a.confidence))
        .then(a.symptom.cause.cmp(b.symptom.cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert!(!RULES.all.is_empty());
    }
}
