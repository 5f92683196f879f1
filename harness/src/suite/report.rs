//! From the verdict of a run to its report: the engine's types on one side, the stable model on the other.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, SystemTime};

use driver_conformance_reports::model::{
    Call, CaseOutcome, CaseResult, Category, CheckResult, DriverIdentity, ExitCode, Finding, Leak,
    LeakOrigin, Level, Partial, Report, SCHEMA, SeenSymptom, Shard, Status, Summary, Tool, Verdict,
    timeline::Timeline,
};

use driver_conformance_scenarios::contract::{self, ClauseId};
use driver_conformance_scenarios::symptom;

use crate::advice;
use crate::checks::evidence::{calls, exit_code, overlapping, undisturbed};
use crate::checks::{self, Check, verdict};
use crate::contract::outcome::Outcome;
use crate::contract::stage::Program;
use crate::driver::Driver;
use crate::driver::tools::shell_quoted;
use crate::plan::case::Case;
use crate::plan::hang::Hang;
use crate::plan::select::escaped;
use crate::plan::waiver::Waiver;
use crate::trace::{CallIndex, LeakCategory, SurvivingProcess, Trace};

mod durations;
mod last_words;
mod location;
mod timeline;
pub(super) mod waivers;

use super::coverage::{self, Coverage, Transition};
use super::execution::panic_text;
use super::{FinishedCase, Progress, RunOptions, utc_timestamp};
use super::{backend, suspicions};

/// Runner versions the engine emulates.
pub const PROFILE: &str = "19.4";

/// One case that was run, or was to be, and was judged: its trace is not kept.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and any of them may come with any other"
)]
pub struct CaseRun {
    /// The case.
    pub case: Case,
    judged: verdict::Verdict,
    pub(super) duration: Duration,
    calls: usize,
    call_time: Duration,
    outcome: Option<CaseOutcome>,
    covered: BTreeSet<Transition>,
    leaks: Vec<Leak>,
    /// What happened, if something was found.
    timeline: Option<Box<Timeline>>,
    /// Lines of the driver that the calls to blame named, in the order of the findings.
    lines: Vec<Option<u32>>,
    measured: Vec<durations::Measured>,
    cut_short: bool,
    /// Something was done to a job, or nothing was to be done.
    reached: bool,
    /// Where in the report it comes, before its name counts; the first one that shows a defect is its example.
    pub(super) position: usize,
    refused: bool,
    ended_helpers: bool,
    /// It left something that is tied to nobody, and its jobs may each have made it.
    pub(super) suspicious: bool,
    /// What it left in the lists of a backend, with what is needed to judge it when the run is over.
    pub(super) listed: Option<Box<Trace>>,
}

impl CaseRun {
    /// Judges what became of a case; `duration` is how long it took. Checks are guarded each for itself; what panics besides
    /// them, on a trace that nobody reckoned with, costs the case and not the run.
    pub fn judge(
        case: Case,
        result: &verdict::CaseResult,
        duration: Duration,
        checks: &[&'static Check],
        options: &RunOptions,
    ) -> Self {
        let judged = || Self::judge_unguarded(case.clone(), result, duration, checks, options);
        catch_unwind(AssertUnwindSafe(judged)).unwrap_or_else(|payload| {
            let reason = format!(
                "the harness panicked while it judged: {}",
                panic_text(&*payload)
            );
            let failed = verdict::CaseResult::Failed(reason);
            Self::judge_unguarded(case, &failed, duration, checks, options)
        })
    }

    fn judge_unguarded(
        case: Case,
        result: &verdict::CaseResult,
        duration: Duration,
        checks: &[&'static Check],
        options: &RunOptions,
    ) -> Self {
        let mut judged = verdict::judge(&[(&case, result)], checks, &options.waivers);
        let trace = match result {
            verdict::CaseResult::Done(trace) | verdict::CaseResult::CutShort(trace, _) => {
                Some(trace)
            }
            verdict::CaseResult::Skipped(_) | verdict::CaseResult::Failed(_) => None,
        };
        if let Some(trace) = trace {
            last_words::add(&mut judged.findings, trace);
        }
        let findings = &judged.findings;
        if let (Some(keep), Some(trace)) = (&options.keep, trace)
            // What the user's signal cut off is not judged.
            && options.interruption.signal().is_none()
        {
            let failing = findings
                .iter()
                .filter(|found| found.status > verdict::Status::Waived);
            let failing: Vec<verdict::Finding> = failing.cloned().collect();
            keep.store(&case.name, trace, &failing);
        }
        if let (Some(script), Some(trace)) = (&options.stand_alone, trace) {
            script.record(&case, trace, findings);
        }
        let line = |found: &verdict::Finding| {
            let call = trace?.calls.get(found.deviation.call?.0)?;
            location::line_named(call)
        };
        let outlived = trace.is_some_and(|trace| !trace.surviving_processes.is_empty());
        // Where the harness itself ended the case, what is left says nothing.
        let cut_short = matches!(result, verdict::CaseResult::CutShort(..));
        let ended_helpers = outlived && findings.is_empty() && !cut_short;
        Self {
            timeline: trace
                .filter(|_| !findings.is_empty())
                .map(|trace| Box::new(timeline::of(&case, trace, findings))),
            lines: findings.iter().map(line).collect(),
            measured: trace.map_or_else(Vec::new, |trace| durations::measured(trace)),
            judged,
            duration,
            calls: trace.map_or(0, |trace| trace.calls.len()),
            call_time: trace.map_or(Duration::ZERO, |trace| call_time(trace)),
            outcome: trace.and_then(|trace| case_outcome(trace)),
            covered: trace.map_or_else(BTreeSet::new, |trace| coverage::covered(&case, trace)),
            leaks: trace.map_or_else(Vec::new, |trace| leaks(&case.name, trace)),
            suspicious: trace.is_some_and(|trace| suspicions::is_worth_a_look(trace)),
            listed: trace.filter(|trace| !trace.listed.is_empty()).map(|trace| {
                Box::new(Trace {
                    listed: trace.listed.clone(),
                    ..backend::bare(trace)
                })
            }),
            reached: trace.is_none_or(|trace| {
                if case.surroundings.backend_fault.is_some() {
                    return trace.requests.iter().any(|request| request.struck);
                }
                !trace.stimuli.is_empty() || case.jobs.iter().all(|job| job.stimuli.is_empty())
            }),
            position: 0,
            refused: trace.is_some_and(|trace| refused(&case, trace)),
            ended_helpers,
            case,
            cut_short,
        }
    }

    /// Whether the driver came to where something was to be done to it.
    pub(super) fn was_reached(&self) -> bool {
        self.reached
    }

    /// How many calls were made.
    pub(super) fn calls(&self) -> usize {
        self.calls
    }

    /// Whether the harness could run it.
    pub(super) fn was_run(&self) -> bool {
        self.calls > 0
    }

    /// Takes the case for one that says nothing, for this reason.
    pub(super) fn skip(&mut self, reason: &str) {
        for case in &mut self.judged.cases {
            case.status = verdict::Status::Skip;
            case.reason = Some(reason.to_owned());
        }
        self.judged.findings.clear();
        for check in &mut self.judged.checks {
            check.status = verdict::Status::Skip;
            check.cases = 0;
        }
        self.leaks.clear();
    }

    /// What it shows beyond doubt: the fingerprints of its findings.
    pub(super) fn shown(&self) -> BTreeSet<&str> {
        let findings = self.judged.findings.iter();
        findings
            .filter(|finding| finding.status == verdict::Status::Fail)
            .map(|finding| finding.fingerprint.as_str())
            .collect()
    }

    /// The findings beyond doubt of checks that bind, with the call and stage to blame.
    pub(super) fn defects(&self) -> impl Iterator<Item = &verdict::Finding> {
        self.judged.findings.iter().filter(|finding| {
            finding.status == verdict::Status::Fail && finding.check.level == checks::Level::Must
        })
    }

    /// Leaves only what is also shown by this fingerprint beyond doubt: the rest did not show when the case was repeated.
    pub(super) fn doubt_all_but(&mut self, confirmed: &BTreeSet<String>) {
        let judged = &mut self.judged;
        for finding in &mut judged.findings {
            let sure = confirmed.contains(&finding.fingerprint);
            if finding.status == verdict::Status::Fail && !sure {
                finding.status = verdict::Status::Inconclusive;
            }
        }
        for check in &mut judged.checks {
            let of_check = judged
                .findings
                .iter()
                .filter(|finding| finding.check.id == check.check.id);
            if let Some(worst) = of_check.map(|finding| finding.status).max() {
                check.status = worst;
            }
        }
        let binding = judged
            .findings
            .iter()
            .filter(|finding| finding.check.level == checks::Level::Must);
        let worst = binding.map(|finding| finding.status).max();
        for case in &mut judged.cases {
            if case.status == verdict::Status::Fail {
                case.status = worst.unwrap_or(verdict::Status::Pass);
            }
        }
    }

    /// Judges what the case left in the lists of a backend, now that it is known what stays. `trace` holds nothing else.
    pub(super) fn judge_listed(
        &mut self,
        trace: Trace,
        checks: &[&'static Check],
        options: &RunOptions,
    ) {
        self.leaks.extend(leaks(&self.case.name, &trace));
        let categories: Vec<&str> = trace
            .leaks
            .iter()
            .map(|leak| leak_category(leak.category).name())
            .collect();
        let of_leaks = checks.iter().copied();
        let of_leaks: Vec<&'static Check> = of_leaks
            .filter(|check| categories.contains(&check.category.name()))
            .collect();
        let result = verdict::CaseResult::Done(Box::new(trace));
        let late = verdict::judge(&[(&self.case, &result)], &of_leaks, &options.waivers);
        let judged = &mut self.judged;
        for late in late.checks {
            let same = |known: &&mut verdict::CheckVerdict| known.check.id == late.check.id;
            if let Some(known) = judged.checks.iter_mut().find(same) {
                known.status = known.status.max(late.status);
                known.cases = known.cases.max(late.cases);
            }
        }
        for (known, late) in judged.cases.iter_mut().zip(&late.cases) {
            known.status = known.status.max(late.status);
        }
        judged.findings.extend(late.findings);
        judged.waivers_used.extend(late.waivers_used);
    }

    /// Whether the machine was too busy to judge it.
    pub fn is_inconclusive(&self) -> bool {
        let statuses = self.judged.findings.iter().map(|finding| finding.status);
        statuses.max() == Some(verdict::Status::Inconclusive)
    }

    /// Whether a prepare that nothing was done to gave up with a system failure, or did not end: perhaps because the driver
    /// has room for a few jobs only, and other cases had them.
    pub(super) fn is_refused(&self) -> bool {
        self.refused
    }

    /// Whether a process rightly outlived the case and was ended with it, although it may have served others as well.
    pub(super) fn ended_helpers(&self) -> bool {
        self.ended_helpers
    }

    /// The checks that found something.
    pub(super) fn found(&self) -> Vec<&'static str> {
        let findings = self.judged.findings.iter();
        let mut found: Vec<&'static str> = findings.map(|finding| finding.check.id).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The checks that found something beyond doubt, but by time.
    pub(super) fn found_by_time(&self) -> BTreeSet<&'static str> {
        let findings = self.judged.findings.iter();
        findings
            .filter(|found| found.status == verdict::Status::Fail && found.deviation.by_time)
            .map(|found| found.check.id)
            .collect()
    }

    /// No two jobs of the case are alive at the same time.
    pub(super) fn is_lone(&self) -> bool {
        !overlapping(&self.case)
    }

    /// Whether it was ended at a call that is known to hang.
    pub fn was_cut_short(&self) -> bool {
        self.cut_short
    }

    /// Tells that the case is over.
    pub fn announce(&self, options: &RunOptions, progress: &mut dyn Progress) {
        let judged = &self.judged;
        let mut findings: Vec<&'static str> = Vec::new();
        for finding in &judged.findings {
            if !findings.contains(&finding.check.id) {
                findings.push(finding.check.id);
            }
        }
        for case in &judged.cases {
            progress.case_finished(&FinishedCase {
                name: &case.name,
                status: case_status(case, &judged.findings, options.strict),
                duration: self.duration,
                calls: self.calls,
                outcome: self.outcome.as_ref(),
                reason: case.reason.as_deref(),
                findings: &findings,
            });
            // What many cases are skipped for is told once, in the report.
            if let Some(reason) = &case.reason
                && case.status != verdict::Status::Skip
            {
                progress.note(&format!("{}: {reason}", case.name));
            }
        }
    }
}

/// A prepare that nothing was done to ended with a system failure, or did not end.
fn refused(case: &Case, trace: &Trace) -> bool {
    let gave_up = calls(trace).any(|(index, call)| {
        let job = case.jobs.get(call.job);
        let code = job.map(|job| i32::from(job.exit_codes.system_failure));
        call.program == Program::Prepare && undisturbed(trace, index) && exit_code(call) == code
    });
    gave_up
        || Hang::shown_by(case, trace)
            .iter()
            .any(Hang::may_wait_for_others)
}

/// Makes the report of a run. `started` and `duration` are those of the whole run; `runs` may be in any order; `remarks`
/// become notes.
pub fn assemble(
    driver: &Driver,
    options: &RunOptions,
    checks: &[&'static Check],
    mut runs: Vec<CaseRun>,
    (started, duration): (SystemTime, Duration),
    remarks: Vec<String>,
) -> Report {
    // The same order in every run, however the cases were spread over workers.
    runs.sort_by(|a, b| (a.position, &a.case.name).cmp(&(b.position, &b.case.name)));
    let gathered = verdict::gather(runs.iter().map(|run| run.judged.clone()), checks);
    let programs = location::programs(driver);
    let located = |found: &verdict::Finding| Finding {
        location: location::of(&programs, found.program, line_of(found, &runs)),
        ..finding(found, options)
    };
    let shard = options.shard.as_ref().map(|(shard, names)| {
        let findings = gathered.findings.iter().map(&located).collect();
        let checks = gathered.checks.iter().map(check_result).collect();
        shard_record(*shard, names, findings, checks)
    });
    let judged = verdict::settled(gathered);
    let waivers = waivers::records(&judged, &runs, options);
    let whole = options.interruption.signal().is_none() && shard.is_none();
    let faults = waivers::faults(&waivers, checks, whole, &options.reproduce);
    let findings: Vec<Finding> = judged.findings.iter().map(located).chain(faults).collect();
    let cases: Vec<CaseResult> = runs
        .iter()
        .zip(&judged.cases)
        .map(|(run, case)| CaseResult {
            name: case.name.clone(),
            status: case_status(case, &judged.findings, options.strict),
            duration_ms: milliseconds(run.duration),
            calls: run.calls,
            outcome: run.outcome.clone(),
            reason: case.reason.clone(),
        })
        .collect();
    let reasons = reasons(&judged.cases);
    let covered = runs.iter().flat_map(|run| run.covered.iter().cloned());
    let run_cases: Vec<&Case> = runs.iter().map(|run| &run.case).collect();
    let coverage = Coverage::of(&driver.config, &run_cases, &covered.collect());
    let notes = driver.notes.iter().map(ToString::to_string);
    let verdict = overall(&findings, &cases, &judged.checks, options.strict);
    let clauses = must_clauses(&judged);
    let measured = |kind| {
        let all = runs.iter().flat_map(|run| &run.measured);
        durations::summary(all.filter(|measured| measured.kind == kind))
    };
    let mut report = Report {
        schema: SCHEMA.to_owned(),
        verdict,
        exit_code: exit_code_over(&cases, verdict),
        tool: Tool {
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        driver: DriverIdentity {
            programs: programs.clone(),
            ..identity(driver)
        },
        profile: PROFILE.to_owned(),
        engine: "mock".to_owned(),
        seed: options.seed,
        strict: options.strict,
        started: utc_timestamp(started),
        duration_ms: milliseconds(duration),
        summary: Summary {
            call_time_ms: milliseconds(runs.iter().map(|run| run.call_time).sum()),
            ..summary(&cases, &coverage, clauses.clone())
        },
        checks: judged.checks.iter().map(check_result).collect(),
        cases,
        transitions_missing: coverage.missing,
        partial: None,
        shard: shard.map(Box::new),
        command: options.reproduce.clone(),
        evidence: kept(options, &findings),
        must_clauses_missing: clauses
            .filter(|(_, looked_at)| !looked_at)
            .map(|(clause, _)| clause.to_string())
            .collect(),
        waivers,
        durations: measured(durations::Kind::Nominal),
        faulty_durations: measured(durations::Kind::Faulty),
        ending_durations: measured(durations::Kind::Ending),
        timelines: timelines(&findings, &mut runs),
        advice: None,
        findings,
        leaks: runs.into_iter().flat_map(|run| run.leaks).collect(),
        notes: notes
            .chain(remarks)
            .chain(reasons)
            .chain(coverage.out_of_reach)
            .collect(),
    };
    report.advice = Some(advice::of_report(&report, driver));
    marked_as_partial(report, options)
}

/// The report as it is, or marked as that of a run that was stopped: what was found counts, what was not is no pass.
fn marked_as_partial(mut report: Report, options: &RunOptions) -> Report {
    let Some(signal) = options.interruption.signal() else {
        return report;
    };
    if report.verdict == Verdict::Pass {
        report.verdict = Verdict::Inconclusive;
    }
    let judged = |name: &&String| report.cases.iter().any(|case| case.name == **name);
    report.partial = Some(Partial {
        reason: signal.name().to_owned(),
        cases_missing: options.cases.iter().filter(|name| !judged(name)).count(),
    });
    report.exit_code = signal.exit_code();
    report
}

fn shard_record(
    shard: crate::plan::shard::Shard,
    names: &[String],
    findings: Vec<Finding>,
    checks: Vec<CheckResult>,
) -> Shard {
    Shard {
        method: shard.method,
        index: shard.index,
        count: shard.count,
        selection: crate::plan::shard::digest(names),
        cases_total: names.len(),
        findings,
        checks,
    }
}

/// Where evidence was kept, if there was any.
fn kept(options: &RunOptions, findings: &[Finding]) -> Option<String> {
    let keep = options.keep.as_ref()?;
    let kept = |finding: &Finding| matches!(finding.status, Status::Fail | Status::Inconclusive);
    let directory = || keep.directory().display().to_string();
    findings.iter().any(kept).then(directory)
}

/// The line that the call to blame named in the case that stands for a finding.
fn line_of(found: &verdict::Finding, runs: &[CaseRun]) -> Option<u32> {
    let case = found.cases.first()?;
    let run = runs.iter().find(|run| run.case.name == *case)?;
    let same = |own: &&verdict::Finding| own.fingerprint == found.fingerprint;
    let index = run.judged.findings.iter().position(|own| same(&own))?;
    *run.lines.get(index)?
}

/// The timelines of the cases that stand for findings.
fn timelines(findings: &[Finding], runs: &mut [CaseRun]) -> Vec<Timeline> {
    let stands = |name: &str| findings.iter().any(|finding| finding.case == name);
    let shown = runs.iter_mut().filter(|run| stands(&run.case.name));
    shown
        .filter_map(|run| run.timeline.take())
        .map(|timeline| *timeline)
        .collect()
}

/// Takes out what is said of the transitions of the runner, where the cases were not made to lead into them.
pub(super) fn without_transitions(report: &mut Report, driver: &Driver) {
    report.summary.transitions_covered = 0;
    report.summary.transitions_total = 0;
    report.transitions_missing.clear();
    let beyond = Coverage::of(&driver.config, &[], &BTreeSet::new()).out_of_reach;
    report.notes.retain(|note| !beyond.contains(note));
}

/// Why cases were skipped or not judged, each reason once.
fn reasons(cases: &[verdict::CaseVerdict]) -> Vec<String> {
    let mut by_reason: Vec<(&str, Vec<&str>)> = Vec::new();
    for case in cases {
        let Some(reason) = &case.reason else { continue };
        match by_reason.iter_mut().find(|(known, _)| known == reason) {
            Some((_, names)) => names.push(&case.name),
            None => by_reason.push((reason, vec![&case.name])),
        }
    }
    by_reason
        .into_iter()
        .map(|(reason, names)| match names.as_slice() {
            [first, rest @ ..] if !rest.is_empty() => {
                format!("case {first} and {} more: {reason}", rest.len())
            }
            names => format!("case {}: {reason}", names.concat()),
        })
        .collect()
}

fn identity(driver: &Driver) -> DriverIdentity {
    DriverIdentity {
        path: driver.path.display().to_string(),
        kind: driver.kind.name().to_owned(),
        digest: driver.digest.clone(),
        programs: Vec::new(),
    }
}

fn finding(found: &verdict::Finding, options: &RunOptions) -> Finding {
    let check = found.check;
    let shown = &found.deviation;
    let case = found.cases.first().cloned().unwrap_or_default();
    Finding {
        check: check.id.to_owned(),
        clause: clauses(check),
        category: category(check.category),
        level: level(check.level),
        call: found.program.map_or(Call::Job, call_of),
        stage: found.stage.clone(),
        reproduce: format!(
            "{} --only {}",
            options.reproduce,
            shell_quoted(&escaped(&case))
        ),
        case,
        cases: found.cases.clone(),
        undisturbed: found.nothing_happened,
        also_seen_as: found.also_seen_as.clone(),
        status: status(found.status),
        message: shown.message.clone(),
        expected: shown.expected.clone(),
        actual: shown.actual.clone(),
        requirement: check.requirement.to_owned(),
        why: check.why.to_owned(),
        fix: check.fix.to_owned(),
        symptoms: symptoms(check.id),
        evidence: shown.evidence,
        location: None,
        fingerprint: found.fingerprint.clone(),
        waiver: found
            .waiver
            .and_then(|index| options.waivers.get(index))
            .map(Waiver::summary),
    }
}

/// What `table` and `diagnose` say of what this check is about.
fn symptoms(check: &str) -> Vec<SeenSymptom> {
    symptom::of_check(check)
        .map(|symptom| SeenSymptom {
            cause: symptom.cause.to_owned(),
            symptom: symptom.symptom.clone(),
        })
        .collect()
}

pub(super) fn check_result(judged: &verdict::CheckVerdict) -> CheckResult {
    let check = judged.check;
    CheckResult {
        id: check.id.to_owned(),
        clause: clauses(check),
        category: category(check.category),
        level: level(check.level),
        status: status(judged.status),
        cases: judged.cases,
        requirement: check.requirement.to_owned(),
    }
}

/// A case as its checks judge it; with `strict` a SHOULD counts as well.
fn case_status(case: &verdict::CaseVerdict, findings: &[verdict::Finding], strict: bool) -> Status {
    let advised = findings
        .iter()
        .filter(|finding| strict && finding.cases.contains(&case.name))
        .map(|finding| finding.status)
        .max();
    status(advised.map_or(case.status, |advised| advised.max(case.status)))
}

/// A defect of the driver, or a waiver that does not hold, outweighs an error of ours, which outweighs doubt. Where no check
/// had anything to judge, nothing is known.
pub(super) fn overall(
    findings: &[Finding],
    cases: &[CaseResult],
    checks: &[verdict::CheckVerdict],
    strict: bool,
) -> Verdict {
    let is_skipped = |check: &verdict::CheckVerdict| check.status == verdict::Status::Skip;
    let with = |status: Status| {
        findings.iter().any(|finding| {
            let binding =
                finding.level == Level::Must || (strict && finding.level == Level::Should);
            binding && finding.status == status
        })
    };
    if with(Status::Fail) || with(Status::UnexpectedPass) {
        Verdict::Fail
    } else if cases.iter().any(|case| case.status == Status::Error) {
        Verdict::Error
    } else if with(Status::Inconclusive) || checks.iter().all(is_skipped) {
        Verdict::Inconclusive
    } else {
        Verdict::Pass
    }
}

/// The exit code of a run of these cases: without any, nothing was selected.
pub(super) fn exit_code_over(cases: &[CaseResult], verdict: Verdict) -> u8 {
    if cases.is_empty() {
        ExitCode::NOTHING_SELECTED
    } else {
        verdict.exit_code()
    }
}

/// The clauses that bind and that some check can look at, and whether one did.
fn must_clauses(judged: &verdict::Verdict) -> impl Iterator<Item = (ClauseId, bool)> + Clone {
    let binding = contract::all().iter();
    let binding = binding.filter(|clause| clause.level == contract::Level::Must);
    let checked = binding.filter(|clause| checks::of_clause(clause.id).next().is_some());
    checked.map(|clause| {
        let mut checks = judged.checks.iter();
        let looked_at = checks.any(|verdict| {
            verdict.status != verdict::Status::Skip && verdict.check.clauses.contains(&clause.id)
        });
        (clause.id, looked_at)
    })
}

fn summary(
    cases: &[CaseResult],
    coverage: &Coverage,
    clauses: impl Iterator<Item = (ClauseId, bool)> + Clone,
) -> Summary {
    Summary {
        transitions_covered: coverage.total - coverage.missing.len(),
        transitions_total: coverage.total,
        must_clauses_covered: clauses.clone().filter(|(_, looked_at)| *looked_at).count(),
        must_clauses_total: clauses.count(),
        ..counted(cases)
    }
}

/// How many cases there are of each status, and their calls.
pub(super) fn counted(cases: &[CaseResult]) -> Summary {
    let count = |status: Status| cases.iter().filter(|case| case.status == status).count();
    Summary {
        cases: cases.len(),
        passed: count(Status::Pass),
        failed: count(Status::Fail),
        waived: count(Status::Waived),
        skipped: count(Status::Skip),
        inconclusive: count(Status::Inconclusive),
        errors: count(Status::Error),
        calls: cases.iter().map(|case| case.calls).sum(),
        ..Summary::default()
    }
}

/// How long the calls took, added up.
fn call_time(trace: &Trace) -> Duration {
    let calls = trace.calls.iter();
    calls
        .filter_map(|call| Some(call.ended?.since(call.started)))
        .sum()
}

fn leaks(case: &str, trace: &Trace) -> Vec<Leak> {
    let origin = |call: Option<CallIndex>| {
        let record = trace.calls.get(call?.0)?;
        Some(LeakOrigin {
            call: call_of(record.program),
            stage: record.stage.as_ref().map(ToString::to_string),
        })
    };
    let processes = trace.surviving_processes.iter().map(|process| Leak {
        category: Category::LeakProcess,
        what: with_holdings(trace, process),
        made_by: origin(process.made_by),
        case: case.to_owned(),
    });
    let files = trace.left_files.iter().map(|file| Leak {
        category: Category::LeakFile,
        what: file.path.display().to_string(),
        made_by: origin(file.made_by),
        case: case.to_owned(),
    });
    let others = trace.leaks.iter().map(|leak| Leak {
        category: leak_category(leak.category),
        what: leak.what.clone(),
        made_by: origin(leak.made_by),
        case: case.to_owned(),
    });
    processes.chain(files).chain(others).collect()
}

/// A process with what it held open.
fn with_holdings(trace: &Trace, process: &SurvivingProcess) -> String {
    let held = trace.holdings.iter();
    let held: Vec<&str> = held
        .filter(|holding| holding.pid == process.pid)
        .map(|holding| holding.what.as_str())
        .collect();
    if held.is_empty() {
        process.command.clone()
    } else {
        format!("{} ({})", process.command, held.join(", "))
    }
}

fn leak_category(category: LeakCategory) -> Category {
    match category {
        LeakCategory::Process => Category::LeakProcess,
        LeakCategory::File => Category::LeakFile,
        LeakCategory::Mount => Category::LeakMount,
        LeakCategory::Network => Category::LeakNetwork,
        LeakCategory::Backend => Category::LeakBackend,
    }
}

/// How the first job of the case that has an outcome ended.
fn case_outcome(trace: &Trace) -> Option<CaseOutcome> {
    let outcome = trace.jobs.iter().find_map(|job| job.outcome.as_ref())?;
    let (failure_reason, exit_code) = match outcome {
        Outcome::Success => (None, None),
        // The runner sends no exit code for 0.
        Outcome::Failed {
            reason, exit_code, ..
        } => (
            Some(reason.name().to_owned()),
            Some(*exit_code).filter(|code| *code != 0),
        ),
    };
    Some(CaseOutcome {
        state: outcome.state().to_owned(),
        failure_reason,
        exit_code,
    })
}

fn clauses(check: &Check) -> Vec<String> {
    let clauses = check.clauses.iter();
    clauses.map(ToString::to_string).collect()
}

pub(super) fn call_of(program: Program) -> Call {
    match program {
        Program::Config => Call::Config,
        Program::Prepare => Call::Prepare,
        Program::Run => Call::Run,
        Program::Cleanup => Call::Cleanup,
    }
}

fn level(level: checks::Level) -> Level {
    match level {
        checks::Level::Must => Level::Must,
        checks::Level::Should => Level::Should,
    }
}

fn status(status: verdict::Status) -> Status {
    match status {
        verdict::Status::Skip => Status::Skip,
        verdict::Status::Pass => Status::Pass,
        verdict::Status::Waived => Status::Waived,
        verdict::Status::Inconclusive => Status::Inconclusive,
        verdict::Status::Error => Status::Error,
        verdict::Status::Fail => Status::Fail,
    }
}

fn category(category: checks::Category) -> Category {
    match category {
        checks::Category::ExitCode => Category::ExitCode,
        checks::Category::Reentrancy => Category::Reentrancy,
        checks::Category::Cleanup => Category::Cleanup,
        checks::Category::LeakProcess => Category::LeakProcess,
        checks::Category::LeakFile => Category::LeakFile,
        checks::Category::LeakMount => Category::LeakMount,
        checks::Category::LeakNetwork => Category::LeakNetwork,
        checks::Category::LeakBackend => Category::LeakBackend,
        checks::Category::Signal => Category::Signal,
        checks::Category::Timeout => Category::Timeout,
        checks::Category::Output => Category::Output,
        checks::Category::Config => Category::Config,
        checks::Category::Isolation => Category::Isolation,
        checks::Category::Environment => Category::Environment,
        checks::Category::Secret => Category::Secret,
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(super) mod tests;
