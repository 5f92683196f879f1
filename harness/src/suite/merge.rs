//! Joining the reports of shards: the result is that of the whole run.
//!
//! Nothing may be missing and nothing may be there twice, or a green report would mean less than it says. Which finding
//! follows from which is asked of all parts together, as in a run that was not divided.

use std::collections::{BTreeMap, BTreeSet};

use driver_conformance_advice::checklist::ticked;
use driver_conformance_advice::config_block::{Basis, Measured, config_block, programs_of};
use driver_conformance_reports::model::{
    Advice, Call, CallDurations, CaseResult, CheckResult, Finding, Report, Shard, Status, Summary,
    WaiverRecord,
};

use crate::advice::times;
use crate::checks::{self, Check, Deviation, verdict};
use crate::contract::stage::Program;

use super::report::{check_result, counted, exit_code_over, overall, waivers};

/// Why reports cannot be joined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MergeError(String);

/// Joins all shards of one run. Each comes with the name it is called by in an error.
pub fn merge(reports: Vec<(String, Report)>) -> Result<Report, MergeError> {
    let parts = in_order(reports)?;
    let reports: Vec<Report> = parts.into_iter().map(|(_, report, _)| report).collect();
    let shards: Vec<Shard> = reports
        .iter()
        .filter_map(|report| report.shard.as_deref().cloned())
        .collect();
    let checks = checks_of(&shards)?;
    let mut verdicts: Vec<verdict::Verdict> = shards
        .iter()
        .map(|shard| checks_judged(shard, &checks))
        .collect();
    verdicts.push(found(&shards, &reports[0].waivers, &checks));
    let gathered = verdict::merge(verdicts, &checks);
    let mut merged = reports[0].clone();
    merged.shard = None;
    merged.waivers = joined_waivers(&reports);
    let originals: Vec<&Finding> = shards.iter().flat_map(|shard| &shard.findings).collect();
    let mut findings: Vec<Finding> = gathered
        .findings
        .iter()
        .filter_map(|found| as_finding(found, &originals))
        .collect();
    findings.extend(waivers::faults(
        &merged.waivers,
        &checks,
        true,
        &merged.command,
    ));
    merged.checks = gathered.checks.iter().map(check_result).collect();
    merged.cases = joined_cases(&reports);
    merged.verdict = overall(&findings, &merged.cases, &gathered.checks, merged.strict);
    merged.exit_code = exit_code_over(&merged.cases, merged.verdict);
    merged.findings = findings;
    join_lists(&mut merged, &reports);
    merged.summary = summary(&merged, &reports);
    merged.advice = Some(Advice {
        checklist: ticked(&merged),
        config_toml: joined_block(&merged, &reports),
    });
    Ok(merged)
}

/// The block of configuration, from the measurements of all parts. Which programs it names, the parts say.
fn joined_block(merged: &Report, reports: &[Report]) -> String {
    let blocks = reports.iter().filter_map(|report| report.advice.as_ref());
    let mut programs = blocks.map(|advice| programs_of(&advice.config_toml));
    let Some(programs) = programs.find(|programs| !programs.is_empty()) else {
        return String::new();
    };
    config_block(&Basis {
        programs: &programs,
        measured: Measured::of(merged),
        times: times(),
    })
}

/// The parts in the order of their numbers, if they are all there, each once, and belong together.
fn in_order(reports: Vec<(String, Report)>) -> Result<Vec<(String, Report, usize)>, MergeError> {
    let mut parts = Vec::new();
    for (name, report) in reports {
        let Some(shard) = &report.shard else {
            return Err(MergeError(format!(
                "{name} is no shard: it was not run with --shard"
            )));
        };
        if let Some(partial) = &report.partial {
            return Err(MergeError(format!(
                "{name} was stopped by {}: {} of its cases were not judged",
                partial.reason, partial.cases_missing
            )));
        }
        let index = shard.index;
        parts.push((name, report, index));
    }
    parts.sort_by_key(|(_, _, index)| *index);
    let Some((first_name, first, _)) = parts.first() else {
        return Err(MergeError("there is nothing to merge".to_owned()));
    };
    for (name, report, _) in &parts {
        if let Some(what) = difference(first, report) {
            return Err(MergeError(format!(
                "{first_name} and {name} are not parts of one run: {what}"
            )));
        }
    }
    for pair in parts.windows(2) {
        if pair[0].2 == pair[1].2 {
            return Err(MergeError(format!(
                "{} and {} are both shard {}",
                pair[0].0, pair[1].0, pair[0].2
            )));
        }
    }
    let count = first.shard.as_ref().map_or(0, |shard| shard.count);
    let there: BTreeSet<usize> = parts.iter().map(|(_, _, index)| *index).collect();
    let missing: Vec<String> = (1..=count)
        .filter(|index| !there.contains(index))
        .map(|index| index.to_string())
        .collect();
    if missing.is_empty() {
        Ok(parts)
    } else {
        Err(MergeError(format!(
            "of {count} shards, these are missing: {}",
            missing.join(", ")
        )))
    }
}

/// What tells two reports apart that belong to one run.
fn difference(one: &Report, other: &Report) -> Option<String> {
    let of = |report: &Report| {
        let shard = report.shard.as_deref();
        [
            ("version of driver-conformance", report.tool.version.clone()),
            ("digest of the driver", report.driver.digest.clone()),
            ("profile", report.profile.clone()),
            ("engine", report.engine.clone()),
            ("seed", report.seed.to_string()),
            ("--strict", report.strict.to_string()),
            (
                "number of shards",
                shard.map_or_else(String::new, |shard| shard.count.to_string()),
            ),
            (
                "method of sharding",
                shard.map_or_else(String::new, |shard| shard.method.to_string()),
            ),
            (
                "selection of cases",
                shard.map_or_else(String::new, |shard| shard.selection.clone()),
            ),
            ("waivers", places(&report.waivers)),
        ]
    };
    let differ = of(one).into_iter().zip(of(other));
    let mut differ = differ.filter(|((_, one), (_, other))| one != other);
    differ
        .next()
        .map(|((what, one), (_, other))| format!("the {what} differs ({one}, {other})"))
}

fn places(waivers: &[WaiverRecord]) -> String {
    let places: Vec<&str> = waivers.iter().map(|waiver| waiver.place.as_str()).collect();
    places.join(", ")
}

/// The checks that were applied, which this build must know.
fn checks_of(shards: &[Shard]) -> Result<Vec<&'static Check>, MergeError> {
    let applied = shards
        .first()
        .map(|shard| shard.checks.as_slice())
        .unwrap_or_default();
    let known = |applied: &CheckResult| {
        let mut all = checks::all().iter().copied();
        all.find(|check| check.id == applied.id).ok_or_else(|| {
            MergeError(format!(
                "there is no check {} in this version; merge with the version that ran the shards",
                applied.id
            ))
        })
    };
    applied.iter().map(known).collect()
}

/// What a part says about the checks, as the suite sees it.
fn checks_judged(shard: &Shard, checks: &[&'static Check]) -> verdict::Verdict {
    let judged = shard.checks.iter().filter_map(|result| {
        Some(verdict::CheckVerdict {
            check: of_id(&result.id, checks)?,
            status: status(result.status),
            cases: result.cases,
        })
    });
    verdict::Verdict {
        checks: judged.collect(),
        cases: Vec::new(),
        findings: Vec::new(),
        waivers_used: BTreeSet::new(),
    }
}

fn of_id(id: &str, checks: &[&'static Check]) -> Option<&'static Check> {
    checks.iter().copied().find(|check| check.id == id)
}

/// What was found in all parts, as the suite sees it. As in one run, of the cases that show a defect equally well the first
/// by name stands for it.
fn found(
    shards: &[Shard],
    waivers: &[WaiverRecord],
    checks: &[&'static Check],
) -> verdict::Verdict {
    let number = |finding: &Finding| {
        let waiver = finding.waiver.as_deref()?;
        waivers.iter().position(|known| known.summary == waiver)
    };
    let findings = shards.iter().flat_map(|shard| &shard.findings);
    let mut findings: Vec<verdict::Finding> = findings
        .filter_map(|finding| {
            Some(verdict::Finding {
                check: of_id(&finding.check, checks)?,
                program: program(finding.call),
                stage: finding.stage.clone(),
                status: status(finding.status),
                waiver: number(finding),
                fingerprint: finding.fingerprint.clone(),
                deviation: Deviation {
                    call: None,
                    message: finding.message.clone(),
                    expected: finding.expected.clone(),
                    actual: finding.actual.clone(),
                    evidence: finding.evidence,
                    inconclusive: finding.status == Status::Inconclusive,
                    by_time: false,
                },
                cases: finding.cases.clone(),
                nothing_happened: finding.undisturbed,
                also_seen_as: Vec::new(),
            })
        })
        .collect();
    findings.sort_by(|a, b| a.cases.cmp(&b.cases));
    verdict::Verdict {
        checks: Vec::new(),
        cases: Vec::new(),
        findings,
        waivers_used: BTreeSet::new(),
    }
}

/// A finding of the whole: that of the part whose case stands for it, with the cases of all parts.
fn as_finding(found: &verdict::Finding, originals: &[&Finding]) -> Option<Finding> {
    let example = found.cases.first()?;
    let original = originals.iter().find(|original| {
        original.fingerprint == found.fingerprint
            && original.case == *example
            && original.waiver.is_some() == found.waiver.is_some()
    })?;
    let mut cases = found.cases.clone();
    cases[1..].sort();
    Some(Finding {
        cases,
        undisturbed: found.nothing_happened,
        also_seen_as: found.also_seen_as.clone(),
        ..(*original).clone()
    })
}

/// The cases of all parts. One that stands for a call that hangs may be in several; the worst of them counts.
fn joined_cases(reports: &[Report]) -> Vec<CaseResult> {
    let mut cases: BTreeMap<&str, &CaseResult> = BTreeMap::new();
    for case in reports.iter().flat_map(|report| &report.cases) {
        let known = cases.entry(&case.name).or_insert(case);
        if status(case.status) > status(known.status) {
            *known = case;
        }
    }
    cases.into_values().cloned().collect()
}

/// What each waiver was used for in all parts together.
fn joined_waivers(reports: &[Report]) -> Vec<WaiverRecord> {
    let mut joined = reports[0].waivers.clone();
    for report in &reports[1..] {
        for (known, other) in joined.iter_mut().zip(&report.waivers) {
            known.used |= other.used;
            known.cases_judged += other.cases_judged;
        }
    }
    joined
}

/// Everything that is a list: what was left, how long calls took, what was not seen.
fn join_lists(merged: &mut Report, reports: &[Report]) {
    merged.leaks.clear();
    merged.timelines.clear();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for report in reports {
        let names: Vec<&str> = report.cases.iter().map(|case| case.name.as_str()).collect();
        let own = |case: &str| !seen.contains(case);
        let leaks = report.leaks.iter().filter(|leak| own(&leak.case));
        merged.leaks.extend(leaks.cloned());
        let stands = |case: &str| merged.findings.iter().any(|finding| finding.case == case);
        let timelines = report.timelines.iter();
        let timelines = timelines.filter(|timeline| own(&timeline.case) && stands(&timeline.case));
        let timelines: Vec<_> = timelines.cloned().collect();
        merged.timelines.extend(timelines);
        seen.extend(names);
    }
    merged.leaks.sort_by(|a, b| a.case.cmp(&b.case));
    merged.timelines.sort_by(|a, b| a.case.cmp(&b.case));
    merged.durations = joined_durations(reports, |report| &report.durations);
    merged.faulty_durations = joined_durations(reports, |report| &report.faulty_durations);
    merged.ending_durations = joined_durations(reports, |report| &report.ending_durations);
    merged.started = reports
        .iter()
        .map(|report| report.started.clone())
        .min()
        .unwrap_or_default();
    merged.duration_ms = reports
        .iter()
        .map(|report| report.duration_ms)
        .max()
        .unwrap_or_default();
    for report in &reports[1..] {
        let missing = |transition: &str| {
            report
                .transitions_missing
                .iter()
                .any(|other| other.transition == transition)
        };
        merged
            .transitions_missing
            .retain(|known| missing(&known.transition));
        merged
            .must_clauses_missing
            .retain(|clause| report.must_clauses_missing.contains(clause));
        for note in &report.notes {
            if !merged.notes.contains(note) {
                merged.notes.push(note.clone());
            }
        }
        if merged.evidence.is_none() {
            merged.evidence.clone_from(&report.evidence);
        }
    }
}

/// The middle of the parts' middles, each with the weight of its calls.
pub(crate) fn joined_durations(
    reports: &[Report],
    of: impl Fn(&Report) -> &Vec<CallDurations>,
) -> Vec<CallDurations> {
    let mut groups: BTreeMap<(Call, Option<&str>), Vec<&CallDurations>> = BTreeMap::new();
    for durations in reports.iter().flat_map(of) {
        let key = (durations.call, durations.stage.as_deref());
        groups.entry(key).or_default().push(durations);
    }
    let joined = groups.into_iter().map(|((call, stage), mut parts)| {
        parts.sort_by_key(|part| part.p50_ms);
        let count: usize = parts.iter().map(|part| part.count).sum();
        let mut below = 0;
        let middle = parts.iter().find(|part| {
            below += part.count;
            below * 2 >= count
        });
        CallDurations {
            call,
            stage: stage.map(str::to_owned),
            count,
            p50_ms: middle.map_or(0, |part| part.p50_ms),
            max_ms: parts
                .iter()
                .map(|part| part.max_ms)
                .max()
                .unwrap_or_default(),
        }
    });
    joined.collect()
}

fn summary(merged: &Report, reports: &[Report]) -> Summary {
    let first = &reports[0].summary;
    Summary {
        call_time_ms: reports
            .iter()
            .map(|report| report.summary.call_time_ms)
            .sum(),
        transitions_covered: first.transitions_total - merged.transitions_missing.len(),
        transitions_total: first.transitions_total,
        must_clauses_covered: first.must_clauses_total - merged.must_clauses_missing.len(),
        must_clauses_total: first.must_clauses_total,
        fault_points_covered: reports
            .iter()
            .map(|report| report.summary.fault_points_covered)
            .sum(),
        fault_points_total: reports
            .iter()
            .map(|report| report.summary.fault_points_total)
            .sum(),
        ..counted(&merged.cases)
    }
}

fn program(call: Call) -> Option<Program> {
    Program::ALL
        .into_iter()
        .find(|program| program.name() == call.name())
}

fn status(status: Status) -> verdict::Status {
    match status {
        Status::Skip => verdict::Status::Skip,
        Status::Pass => verdict::Status::Pass,
        Status::Waived => verdict::Status::Waived,
        Status::Inconclusive => verdict::Status::Inconclusive,
        Status::Error => verdict::Status::Error,
        Status::Fail | Status::UnexpectedPass => verdict::Status::Fail,
    }
}

#[cfg(test)]
mod tests;
