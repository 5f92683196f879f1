//! Words that several formats share.

use crate::model::{Call, CaseOutcome, Finding, Level, Report, Status, Verdict};
use crate::text::visible_line;

/// `1 case`, `2 cases`.
pub fn counted(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

/// `840 ms`, `4.2 s`, `3 min 20 s`.
pub(crate) fn duration(milliseconds: u64) -> String {
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..120_000 => format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100),
        _ => format!(
            "{} min {} s",
            milliseconds / 60_000,
            milliseconds % 60_000 / 1_000
        ),
    }
}

/// `run build_script`, `prepare`, `whole job`.
pub(crate) fn place(finding: &Finding) -> String {
    if finding.status == Status::UnexpectedPass {
        // What the waiver is for; no call is to blame.
        return match finding.case.as_str() {
            "" => "every case".to_owned(),
            glob => visible_line(glob),
        };
    }
    match (&finding.stage, finding.call) {
        (Some(stage), call) => format!("{call} {}", visible_line(stage)),
        (None, Call::Job) => "whole job".to_owned(),
        (None, call) => call.name().to_owned(),
    }
}

/// `G8, G9 (must)`.
pub(crate) fn clause(finding: &Finding) -> String {
    format!("{} ({})", finding.clause.join(", "), finding.level)
}

/// `failed: script_failure, exit code 3`.
pub(crate) fn outcome(outcome: &CaseOutcome) -> String {
    let mut text = visible_line(&outcome.state);
    if let Some(reason) = &outcome.failure_reason {
        text = format!("{text}: {}", visible_line(reason));
    }
    if let Some(code) = outcome.exit_code {
        text = format!("{text}, exit code {code}");
    }
    text
}

/// Whether a deviation from a clause of this level fails the run.
pub(crate) fn binds(report: &Report, level: Level) -> bool {
    level == Level::Must || report.strict && level == Level::Should
}

/// What a finding is called where there is room for one word: `FAIL`, `WARN`, `WAIVED`, `INCONCLUSIVE`, `STALE WAIVER`.
pub(crate) fn status_word(report: &Report, finding: &Finding) -> &'static str {
    match finding.status {
        Status::Inconclusive => "INCONCLUSIVE",
        Status::Waived => "WAIVED",
        Status::UnexpectedPass => "STALE WAIVER",
        _ if binds(report, finding.level) => "FAIL",
        _ => "WARN",
    }
}

/// The verdict in one word, and what it comes to in one sentence.
pub(crate) fn verdict(report: &Report) -> (&'static str, String) {
    match report.verdict {
        Verdict::Pass => ("PASS", "the driver conforms".to_owned()),
        Verdict::Fail => ("FAIL", to_do(report)),
        Verdict::Inconclusive if report.partial.is_some() => (
            "INCONCLUSIVE",
            "the run was stopped before it could judge everything".to_owned(),
        ),
        Verdict::Inconclusive if report.findings.is_empty() => (
            "INCONCLUSIVE",
            "no check had anything to judge in what was run; select more, or see with -v why cases ended early"
                .to_owned(),
        ),
        Verdict::Inconclusive => (
            "INCONCLUSIVE",
            "this machine was too busy to judge everything; run it again with fewer --jobs"
                .to_owned(),
        ),
        Verdict::Error => (
            "ERROR",
            "the harness failed; this says nothing about the driver".to_owned(),
        ),
    }
}

fn to_do(report: &Report) -> String {
    let mut failed: Vec<&str> = report
        .findings
        .iter()
        .filter(|finding| finding.status == Status::Fail && binds(report, finding.level))
        .map(|finding| finding.check.as_str())
        .collect();
    failed.sort_unstable();
    failed.dedup();
    let stale = report
        .findings
        .iter()
        .filter(|finding| finding.status == Status::UnexpectedPass)
        .count();
    let checks = format!("{} to fix", counted(failed.len(), "check"));
    let waivers = format!("{} to remove or renew", counted(stale, "waiver"));
    match (failed.is_empty(), stale) {
        (_, 0) => checks,
        (true, _) => waivers,
        (false, _) => format!("{checks}, {waivers}"),
    }
}

/// One sentence for a run that was stopped, or that is one part of several; nothing otherwise.
pub(crate) fn incompleteness(report: &Report) -> Option<String> {
    let partial = report.partial.as_ref().map(|partial| {
        format!(
            "stopped by {}: {} not judged",
            visible_line(&partial.reason),
            counted(partial.cases_missing, "selected case")
        )
    });
    let shard = report.shard.as_ref().map(|shard| {
        format!(
            "shard {} of {} ({}): this part of {}",
            shard.index,
            shard.count,
            shard.method,
            counted(shard.cases_total, "selected case")
        )
    });
    match (partial, shard) {
        (Some(partial), Some(shard)) => Some(format!("{partial}; {shard}")),
        (one, other) => one.or(other),
    }
}

/// The counts that are not zero, in words; the first is always named.
pub(crate) fn parts(counts: &[(usize, &str)]) -> String {
    counts
        .iter()
        .enumerate()
        .filter(|(index, (count, _))| *index == 0 || *count > 0)
        .map(|(_, (count, word))| format!("{count} {word}"))
        .collect::<Vec<_>>()
        .join(", ")
}
