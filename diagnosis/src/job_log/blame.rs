//! Which run stage failed. The last section is not always the one: after a failed step the runner still opens those of
//! `after_script`, of the cache, of artifacts and of the file variables.

use std::sync::LazyLock;

use driver_conformance_scenarios::symptom::Subject;
use regex::Regex;

use crate::story::{Evidence, Place, Remark, is_echo, is_step, without_numbers};

use super::sections::Sections;

/// Stages that come only before the steps.
const BEFORE_STEPS: [&str; 4] = [
    "get_sources",
    "clear_worktree",
    "restore_cache",
    "download_artifacts",
];
/// Stages that come after a job that has succeeded so far.
const AFTER_SUCCESS: [&str; 2] = ["archive_cache", "upload_artifacts_on_success"];
/// Fewest letters by which two ends are known to be the same one.
const LETTERS_MIN: usize = 8;
/// Words by which the output of a stage that failed is told from that of one that did not.
static COMPLAINT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(error|fatal|failed|denied|refused|cannot|unable|timed out)\b")
        .expect("a constant pattern")
});

/// The stage to blame for the verdict.
pub(super) fn run_stage(
    sections: &Sections,
    warnings: &[Remark],
    outputs: &[Vec<Remark>],
    message: &str,
) -> Place {
    let names: Vec<&str> = sections
        .all
        .iter()
        .map(|section| section.name.as_str())
        .collect();
    if was_ended(message) {
        return ended_stage(&names, warnings);
    }
    let failed_form = names.iter().any(|name| name.ends_with("_on_failure"));
    let succeeded: Vec<usize> = (0..names.len())
        .filter(|at| AFTER_SUCCESS.contains(&names[*at]))
        .collect();
    if !failed_form && !succeeded.is_empty() {
        return after_success(&names, &succeeded, outputs);
    }
    if let Some(step) = names.iter().rfind(|name| is_step(name)) {
        return Place::of_section(step);
    }
    if let Some(early) = names.iter().rfind(|name| BEFORE_STEPS.contains(name)) {
        return Place::of_section(early);
    }
    // These run after something has failed, or cannot fail a job: the beginning of the log is missing.
    let follows = |name: &str| name.ends_with("_on_failure") || name == "cleanup_file_variables";
    match names.last() {
        Some(last) if *last != "prepare_executor" && !follows(last) => Place::of_section(last),
        _ => Place::of(Subject::Run).guessed(),
    }
}

/// What the stage after a failed step said, if it is not that of a script that ran: where scripts echo their commands it echoed
/// none, or it ended with the same words as the step.
pub(super) fn next_stage_could_not_run(
    sections: &Sections,
    warnings: &[Remark],
    outputs: &[Vec<Remark>],
    failed: &Place,
) -> Option<Evidence> {
    let echoes = |at: usize| outputs[at].iter().any(|remark| is_echo(&remark.text));
    let names = || sections.all.iter().map(|section| section.name.as_str());
    let step = names().rposition(|name| Place::of_section(name).is("step"))?;
    if !failed.certain || *failed != Place::of_section(&sections.all[step].name) {
        return None;
    }
    let last_words = without_numbers(&outputs[step].last()?.text);
    // A stage that worked ended with them as well: they are no complaint.
    let mut before = outputs[..step].iter().filter_map(|said| said.last());
    let ends_so_anyway = before.any(|last| without_numbers(&last.text) == last_words);
    let after_failed = warnings
        .iter()
        .any(|warning| warning.text.starts_with("after_script failed"));
    let later = (step + 1..sections.all.len()).filter(|at| !echoes(*at));
    later
        .filter_map(|at| Some((at, outputs[at].last()?)))
        .find(|(at, last)| {
            let did_not_begin = sections.all[*at].name == "after_script" && echoes(step);
            let says_the_same = last_words.len() >= LETTERS_MIN
                && !ends_so_anyway
                && without_numbers(&last.text) == last_words;
            (did_not_begin && after_failed) || says_the_same
        })
        .map(|(_, last)| last.evidence.clone())
}

/// Whether the job was ended from outside, and not by a call that failed.
fn was_ended(message: &str) -> bool {
    ["canceled", "execution took longer than", "aborted: "]
        .iter()
        .any(|start| message.starts_with(start))
        || message.contains(" timeout: ")
}

/// The stage in which a job was ended: one that a warning names, else the last.
fn ended_stage(names: &[&str], warnings: &[Remark]) -> Place {
    let told = |start: &str| {
        warnings
            .iter()
            .rfind(|warning| warning.text.contains(start))
            .map(|warning| warning.place.clone())
    };
    if let Some(place) =
        told(" could not run to completion").filter(|place| !place.is("after_script"))
    {
        return place;
    }
    if let Some(place) = told("script canceled externally").filter(|place| place.is("step")) {
        return place;
    }
    let canceled_in_script = told("script canceled externally").is_some();
    let last = if canceled_in_script {
        names.iter().rfind(|name| is_step(name))
    } else {
        // Nothing ends a job in its last stage without a warning that names it.
        let ran = names
            .iter()
            .rfind(|name| **name != "cleanup_file_variables");
        ran.or(names.last())
    };
    last.map_or(Place::of(Subject::Run).guessed(), |name| {
        Place::of_section(name)
    })
}

/// The cache or the artifacts. An error of the cache does not keep artifacts from being uploaded, so that the names alone
/// do not tell.
fn after_success(names: &[&str], candidates: &[usize], outputs: &[Vec<Remark>]) -> Place {
    let complains = |at: &&usize| {
        outputs[**at]
            .iter()
            .any(|remark| COMPLAINT.is_match(&remark.text))
    };
    if let [only] = candidates {
        return Place::of_section(names[*only]);
    }
    let complaining: Vec<&usize> = candidates.iter().filter(complains).collect();
    match complaining.as_slice() {
        [only] => Place::of_section(names[**only]),
        _ => Place::of_section(names[candidates[candidates.len() - 1]]).guessed(),
    }
}
