//! From the traces of cases to a report: apply the checks, gather what they found, judge.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, SystemTime};

use driver_conformance_reports::model::{
    Call, CaseOutcome, CaseResult, Category, CheckResult, DriverIdentity, ExitCode, Finding, Leak,
    LeakOrigin, Level, Report, SCHEMA, Status, Summary, Tool, Verdict,
};
use sha2::{Digest as _, Sha256};

use crate::checks::{self, Check, Deviation};
use crate::contract::outcome::Outcome;
use crate::contract::stage::{Program, Stage};
use crate::driver::Driver;
use crate::driver::tools::shell_quoted;
use crate::plan::case::Case;
use crate::trace::{CallIndex, Trace};

use super::selection::escaped;
use super::{FinishedCase, RunOptions, utc_timestamp};

/// Runner versions the engine emulates.
pub const PROFILE: &str = "19.4";

/// Bytes of the fingerprint of a finding: enough to keep findings of one driver apart.
const FINGERPRINT_BYTES: usize = 8;

/// A call as a finding blames it.
type Place = (Call, Option<String>);

/// One case, examined.
#[derive(Debug, Clone)]
pub struct Examined {
    name: String,
    duration: Duration,
    calls: usize,
    outcome: Option<CaseOutcome>,
    /// What each check that had something to say found.
    verdicts: Vec<(&'static str, Vec<(Place, Deviation)>)>,
    leaks: Vec<Leak>,
    /// Why the harness could not judge it.
    error: Option<String>,
}

/// Applies the checks to the trace of a case. A check that panics is our bug: it spoils this case and no other.
pub fn examine(
    case: &Case,
    trace: &Trace,
    checks: &[&'static Check],
    duration: Duration,
) -> Examined {
    let mut examined = Examined {
        name: case.name.clone(),
        duration,
        calls: trace.calls.len(),
        outcome: trace
            .jobs
            .iter()
            .find_map(|job| job.outcome.as_ref())
            .map(case_outcome),
        verdicts: Vec::new(),
        leaks: leaks(case, trace),
        error: None,
    };
    for check in checks {
        match catch_unwind(AssertUnwindSafe(|| (check.examine)(case, trace))) {
            Ok(None) => {}
            Ok(Some(deviations)) => {
                let located = deviations
                    .into_iter()
                    .map(|deviation| (place(trace, deviation.call), deviation))
                    .collect();
                examined.verdicts.push((check.id, located));
            }
            Err(_) => examined.error = Some(format!("the check {} panicked", check.id)),
        }
    }
    examined
}

/// A case that has no trace, because the harness failed.
pub fn failed_case(name: &str, error: String, duration: Duration) -> Examined {
    Examined {
        name: name.to_owned(),
        duration,
        calls: 0,
        outcome: None,
        verdicts: Vec::new(),
        leaks: Vec::new(),
        error: Some(error),
    }
}

impl Examined {
    /// What became of it.
    pub fn status(&self, checks: &[&'static Check], strict: bool) -> Status {
        if self.error.is_some() {
            return Status::Error;
        }
        let mut status = Status::Pass;
        for (id, deviations) in &self.verdicts {
            let binding = checks
                .iter()
                .any(|check| check.id == *id && is_binding(check.level, strict));
            for (_, deviation) in deviations {
                if !binding {
                    continue;
                }
                if !deviation.inconclusive {
                    return Status::Fail;
                }
                status = Status::Inconclusive;
            }
        }
        status
    }

    /// Calls [`super::Progress::case_finished`] with what it needs.
    pub fn announce(&self, status: Status, progress: &mut dyn super::Progress) {
        let found =
            |(id, deviations): &(&'static str, Vec<_>)| (!deviations.is_empty()).then_some(*id);
        let findings: Vec<&'static str> = self.verdicts.iter().filter_map(found).collect();
        progress.case_finished(&FinishedCase {
            name: &self.name,
            status,
            duration: self.duration,
            calls: self.calls,
            findings: &findings,
        });
        if let Some(error) = &self.error {
            progress.note(&format!(
                "{}: {error}; please report this as a bug",
                self.name
            ));
        }
    }
}

/// Makes the report of a run. `started` and `duration` are of the whole run; `examined` are all cases, in any order.
pub fn assemble(
    driver: &Driver,
    options: &RunOptions,
    checks: &[&'static Check],
    mut examined: Vec<Examined>,
    (started, duration): (SystemTime, Duration),
) -> Report {
    let position = |name: &str| options.cases.iter().position(|case| case == name);
    examined.sort_by_key(|case| position(&case.name));
    let findings = findings(checks, &examined, options);
    let cases: Vec<CaseResult> = examined
        .iter()
        .map(|case| CaseResult {
            name: case.name.clone(),
            status: case.status(checks, options.strict),
            duration_ms: milliseconds(case.duration),
            calls: case.calls,
            outcome: case.outcome.clone(),
        })
        .collect();
    let verdict = verdict(&findings, &cases, options.strict);
    Report {
        schema: SCHEMA.to_owned(),
        verdict,
        exit_code: if cases.is_empty() {
            ExitCode::NOTHING_SELECTED
        } else {
            verdict.exit_code()
        },
        tool: Tool {
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        driver: DriverIdentity {
            path: driver.path.display().to_string(),
            kind: driver.kind.name().to_owned(),
            digest: driver.digest.clone(),
        },
        profile: PROFILE.to_owned(),
        engine: "mock".to_owned(),
        seed: options.seed,
        strict: options.strict,
        started: utc_timestamp(started),
        duration_ms: milliseconds(duration),
        summary: summary(&cases),
        checks: checks
            .iter()
            .map(|check| check_result(check, &examined))
            .collect(),
        findings,
        cases,
        leaks: examined.into_iter().flat_map(|case| case.leaks).collect(),
        notes: driver.notes.iter().map(ToString::to_string).collect(),
    }
}

/// The deviations of all cases, gathered by check, call and stage: that is one thing to fix.
fn findings(
    checks: &[&'static Check],
    examined: &[Examined],
    options: &RunOptions,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for check in checks {
        let mut gathered: BTreeMap<Place, Vec<(&str, &Deviation)>> = BTreeMap::new();
        for case in examined {
            let of_check = case.verdicts.iter().filter(|(id, _)| *id == check.id);
            for (place, deviation) in of_check.flat_map(|(_, deviations)| deviations) {
                gathered
                    .entry(place.clone())
                    .or_default()
                    .push((&case.name, deviation));
            }
        }
        for (place, deviations) in gathered {
            findings.push(finding(check, place, &deviations, options));
        }
    }
    findings
}

fn finding(
    check: &Check,
    (call, stage): Place,
    deviations: &[(&str, &Deviation)],
    options: &RunOptions,
) -> Finding {
    // A sure deviation is shown rather than one that a busy machine may have made.
    let sure = deviations
        .iter()
        .find(|(_, deviation)| !deviation.inconclusive);
    let (case, shown) = sure.unwrap_or(&deviations[0]);
    let mut cases: Vec<String> = Vec::new();
    for (name, _) in deviations {
        if !cases.iter().any(|known| known == name) {
            cases.push((*name).to_owned());
        }
    }
    Finding {
        check: check.id.to_owned(),
        clause: check
            .clauses
            .iter()
            .map(|&clause| clause.to_owned())
            .collect(),
        category: category(check.category),
        level: level(check.level),
        fingerprint: fingerprint(check.id, call, stage.as_deref()),
        call,
        stage,
        case: (*case).to_owned(),
        cases,
        status: if sure.is_some() {
            Status::Fail
        } else {
            Status::Inconclusive
        },
        message: shown.message.clone(),
        expected: shown.expected.clone(),
        actual: shown.actual.clone(),
        requirement: check.requirement.to_owned(),
        why: check.why.to_owned(),
        fix: check.fix.to_owned(),
        evidence: shown.evidence,
        reproduce: format!(
            "{} --only {}",
            options.reproduce,
            shell_quoted(&escaped(case))
        ),
    }
}

fn fingerprint(check: &str, call: Call, stage: Option<&str>) -> String {
    let mut hasher = Sha256::new();
    for part in [check, call.name(), stage.unwrap_or_default()] {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    let mut text = String::new();
    for byte in hasher.finalize().iter().take(FINGERPRINT_BYTES) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn check_result(check: &Check, examined: &[Examined]) -> CheckResult {
    let verdicts: Vec<&Vec<(Place, Deviation)>> = examined
        .iter()
        .flat_map(|case| &case.verdicts)
        .filter(|(id, _)| *id == check.id)
        .map(|(_, deviations)| deviations)
        .collect();
    let mut deviations = verdicts.iter().flat_map(|deviations| deviations.iter());
    let status = if verdicts.is_empty() {
        Status::Skip
    } else if deviations
        .clone()
        .any(|(_, deviation)| !deviation.inconclusive)
    {
        Status::Fail
    } else if deviations.next().is_some() {
        Status::Inconclusive
    } else {
        Status::Pass
    };
    CheckResult {
        id: check.id.to_owned(),
        clause: check
            .clauses
            .iter()
            .map(|&clause| clause.to_owned())
            .collect(),
        category: category(check.category),
        level: level(check.level),
        status,
        cases: verdicts.len(),
        requirement: check.requirement.to_owned(),
    }
}

fn summary(cases: &[CaseResult]) -> Summary {
    let count = |status: Status| cases.iter().filter(|case| case.status == status).count();
    Summary {
        cases: cases.len(),
        passed: count(Status::Pass),
        failed: count(Status::Fail) + count(Status::UnexpectedPass),
        waived: count(Status::Waived),
        skipped: count(Status::Skip),
        inconclusive: count(Status::Inconclusive),
        errors: count(Status::Error),
        calls: cases.iter().map(|case| case.calls).sum(),
        transitions_covered: 0,
        transitions_total: 0,
    }
}

/// A defect of the driver outweighs an error of ours, which outweighs doubt.
fn verdict(findings: &[Finding], cases: &[CaseResult], strict: bool) -> Verdict {
    let binding = |finding: &&Finding| {
        finding.level == Level::Must || (strict && finding.level == Level::Should)
    };
    let with = |status: Status| {
        findings
            .iter()
            .filter(binding)
            .any(|finding| finding.status == status)
    };
    if with(Status::Fail) || with(Status::UnexpectedPass) {
        Verdict::Fail
    } else if cases.iter().any(|case| case.status == Status::Error) {
        Verdict::Error
    } else if with(Status::Inconclusive) {
        Verdict::Inconclusive
    } else {
        Verdict::Pass
    }
}

fn is_binding(level: checks::Level, strict: bool) -> bool {
    match level {
        checks::Level::Must => true,
        checks::Level::Should => strict,
    }
}

fn place(trace: &Trace, call: Option<CallIndex>) -> Place {
    match call.and_then(|CallIndex(index)| trace.calls.get(index)) {
        Some(record) => (
            call_of(record.program),
            record.stage.as_ref().map(Stage::driver_name),
        ),
        None => (Call::Job, None),
    }
}

fn leaks(case: &Case, trace: &Trace) -> Vec<Leak> {
    let origin = |call: Option<CallIndex>| {
        let (call, stage) = place(trace, Some(call?));
        Some(LeakOrigin { call, stage })
    };
    let processes = trace.surviving_processes.iter().map(|process| Leak {
        category: Category::LeakProcess,
        what: process.command.clone(),
        made_by: origin(process.made_by),
        case: case.name.clone(),
    });
    let files = trace.left_files.iter().map(|file| Leak {
        category: Category::LeakFile,
        what: file.path.display().to_string(),
        made_by: origin(file.made_by),
        case: case.name.clone(),
    });
    processes.chain(files).collect()
}

fn case_outcome(outcome: &Outcome) -> CaseOutcome {
    match outcome {
        Outcome::Success => CaseOutcome {
            state: outcome.state().to_owned(),
            failure_reason: None,
            exit_code: None,
        },
        Outcome::Failed {
            reason, exit_code, ..
        } => CaseOutcome {
            state: outcome.state().to_owned(),
            failure_reason: Some(reason.name().to_owned()),
            // The runner sends none for 0.
            exit_code: (*exit_code != 0).then_some(*exit_code),
        },
    }
}

fn call_of(program: Program) -> Call {
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

/// The same word in the report; a test holds the two lists together.
fn category(category: checks::Category) -> Category {
    Category::from_name(category.name()).unwrap_or(Category::Environment)
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
