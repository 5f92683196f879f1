//! What a call said before it failed that should have succeeded: the reason is there, if anywhere.

use std::sync::LazyLock;

use regex::bytes::Regex;

use crate::checks::verdict::Finding;
use crate::process::supervisor::{DIRECTORY_PREFIX, DIRECTORY_RANDOM};
use crate::suite::evidence::masking::Mask;
use crate::trace::marker::PREFIX;
use crate::trace::{CallRecord, Trace};

/// What such a call is expected to come to, in the words of checks.
const SUCCESS: [&str; 2] = ["exit status 0", "the output of the script"];
/// Only the end of what a call printed is looked at.
const SEARCHED_BYTES_MAX: usize = 64 * 1024;
/// Most characters that are shown; the beginning of a line tells most.
const CHARACTERS_MAX: usize = 200;

/// The private directory of a case, which nobody knows, up to its name.
static CASE_DIRECTORY: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = format!("[^\\s'\"=:]*{DIRECTORY_PREFIX}[A-Za-z0-9]{{{DIRECTORY_RANDOM}}}");
    Regex::new(&pattern).expect("the pattern is one")
});

/// Adds the last words of the calls to blame to what the findings tell. Secrets of the job are masked.
pub(super) fn add(findings: &mut [Finding], trace: &Trace) {
    let mut mask = None;
    for finding in findings {
        let deviation = &mut finding.deviation;
        let call = deviation.call.and_then(|call| trace.calls.get(call.0));
        let is_about_success = deviation
            .expected
            .iter()
            .any(|expected| SUCCESS.contains(&expected.as_str()));
        let Some(call) = call.filter(|call| is_about_success && failed(call)) else {
            continue;
        };
        let mask = mask.get_or_insert_with(|| Mask::of(trace));
        let said = [&call.stderr.bytes, &call.stdout.bytes];
        if let Some(words) = said.into_iter().find_map(|text| last_line(text, mask)) {
            deviation.actual = format!("{}, after it had said: {words}", deviation.actual);
        }
    }
}

fn failed(call: &CallRecord) -> bool {
    call.leader_exit
        .is_some_and(|(_, status)| !status.is_success())
}

/// The last line that is not empty, and no marker of ours.
fn last_line(text: &[u8], mask: &Mask) -> Option<String> {
    let end = &text[text.len().saturating_sub(SEARCHED_BYTES_MAX)..];
    let text = mask.text(&CASE_DIRECTORY.replace_all(end, "…".as_bytes()));
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines().map(str::trim).rev();
    let line = lines.find(|line| !line.is_empty() && !line.contains(PREFIX))?;
    if line.chars().count() <= CHARACTERS_MAX {
        return Some(line.to_owned());
    }
    let cut: String = line.chars().take(CHARACTERS_MAX).collect();
    Some(format!("{cut} …"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Scene;
    use crate::checks::verdict::{CaseResult, judge};
    use crate::contract::stage::Program;
    use crate::plan::waiver::Waivers;

    fn told(printed: &[&str]) -> Vec<String> {
        let mut scene = Scene::new()
            .call(Program::Config, 0)
            .call(Program::Prepare, 74);
        scene.trace.calls[1].stderr.bytes = printed.join("\n").into_bytes();
        let (case, trace) = (scene.case, scene.trace);
        let check = crate::checks::by_id("environment/prepare-succeeds").expect("known");
        let result = CaseResult::Done(Box::new(trace.clone()));
        let judged = judge(&[(&case, &result)], &[check], &Waivers::default());
        let mut findings = judged.findings;
        add(&mut findings, &trace);
        let actual = findings.into_iter().map(|finding| finding.deviation.actual);
        actual.collect()
    }

    #[test]
    fn the_reason_of_a_driver_is_told() {
        let words = told(&["pulling", "prepare: the registry answers 403", ""]);
        let expected = "exit status 74, after it had said: prepare: the registry answers 403";
        assert_eq!(words, [expected]);
    }

    #[test]
    fn directories_that_nobody_knows_are_left_out() {
        let directory = "/dev/shm/driver-conformance-PNwiRhoH7fXJ/driver-conformance-UWOxZ7Gss5yP";
        let words = told(&[&format!("rmdir: '{directory}/home/box': No such file")]);
        let expected = "exit status 74, after it had said: rmdir: '…/home/box': No such file";
        assert_eq!(words, [expected]);
    }

    #[test]
    fn who_says_nothing_is_not_quoted_and_who_says_much_in_part() {
        assert_eq!(told(&[" ", ""]), ["exit status 74"]);
        let long = "x".repeat(10 * CHARACTERS_MAX);
        assert!(told(&[&long])[0].chars().count() < 2 * CHARACTERS_MAX);
    }
}
