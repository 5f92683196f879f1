//! What became of waivers, and the findings that they are themselves when they do not hold.

use driver_conformance_reports::model::{Call, Finding, Level, Status, WaiverRecord};

use crate::checks::{self, Check, verdict};
use crate::plan::waiver::covers;

use super::super::RunOptions;
use super::{CaseRun, category, clauses};

/// Every waiver with what became of it.
pub(super) fn records(
    judged: &verdict::Verdict,
    runs: &[CaseRun],
    options: &RunOptions,
) -> Vec<WaiverRecord> {
    let numbered = options.waivers.all().enumerate();
    numbered
        .map(|(index, (waiver, scope))| {
            let cases = runs.iter().zip(&judged.cases);
            let was_judged = |(run, case): &(&CaseRun, &verdict::CaseVerdict)| {
                case.status != verdict::Status::Error && scope.covers(&run.case.name)
            };
            WaiverRecord {
                check: waiver.check.clone(),
                case: waiver.case.clone(),
                reason: waiver.reason.clone(),
                expires: waiver.expires.to_string(),
                summary: waiver.summary(),
                place: waiver.place.clone(),
                used: judged.waivers_used.contains(&index),
                expired: scope.expired,
                cases_judged: cases.filter(was_judged).count(),
                cases_total: scope.cases_total,
            }
        })
        .collect()
}

/// A finding for each waiver that has expired or that nothing matched. Of a part of a run, it cannot be told that nothing
/// matches.
pub(in crate::suite) fn faults<'a>(
    waivers: &'a [WaiverRecord],
    checks: &'a [&'static Check],
    whole: bool,
    reproduce: &'a str,
) -> impl Iterator<Item = Finding> + 'a {
    waivers.iter().filter_map(move |waiver| {
        let complete = waiver.cases_total > 0 && waiver.cases_judged >= waiver.cases_total;
        let fault = match waiver {
            _ if waiver.expired => Fault::Expired,
            _ if whole && complete && !waiver.used => Fault::Stale,
            _ => return None,
        };
        Some(fault_finding(waiver, fault, checks, reproduce))
    })
}

/// Why a waiver fails the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Its last day is over.
    Expired,
    /// All it is for was run, and there was nothing to waive.
    Stale,
}

fn fault_finding(
    waiver: &WaiverRecord,
    fault: Fault,
    checks: &[&'static Check],
    reproduce: &str,
) -> Finding {
    let place = &waiver.place;
    let (message, expected, actual, fix) = match fault {
        Fault::Expired => (
            format!("The waiver in {place} has expired, and what it was for fails again."),
            format!("a waiver that holds, or none: {}", waiver.reason),
            format!("its last day was {}", waiver.expires),
            "Repair the driver and remove the waiver, or give it a new day and say why.",
        ),
        Fault::Stale => (
            format!("The waiver in {place} no longer applies: nothing was found that it excepts."),
            format!("a finding to except: {}", waiver.reason),
            "every case it is for was run, and none showed it".to_owned(),
            "Remove the waiver, so that the defect is noticed if it comes back.",
        ),
    };
    // Where a glob is for several checks, they share their theme more often than not.
    let check = checks.iter().find(|check| covers(&waiver.check, check.id));
    let class = format!("{message}{}", waiver.check);
    Finding {
        check: waiver.check.clone(),
        clause: check.map(|check| clauses(check)).unwrap_or_default(),
        category: category(check.map_or(checks::Category::ExitCode, |check| check.category)),
        level: Level::Must,
        call: Call::Job,
        stage: None,
        case: waiver.case.clone().unwrap_or_default(),
        cases: Vec::new(),
        undisturbed: false,
        also_seen_as: Vec::new(),
        status: Status::UnexpectedPass,
        message,
        expected: vec![expected],
        actual,
        requirement: String::new(),
        why: "An exception that nobody needs any more hides the next defect of its kind."
            .to_owned(),
        fix: fix.to_owned(),
        symptoms: Vec::new(),
        evidence: (0, 0),
        location: None,
        fingerprint: verdict::fingerprint(&waiver.check, None, None, &class),
        reproduce: reproduce.to_owned(),
        waiver: Some(waiver.summary.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(cases_judged: usize) -> WaiverRecord {
        WaiverRecord {
            check: "a/one".to_owned(),
            case: None,
            reason: "The old pool does it".to_owned(),
            expires: "2026-03-01".to_owned(),
            summary: "The old pool does it; until 2026-03-01".to_owned(),
            place: "driver-conformance.toml:3".to_owned(),
            used: false,
            expired: false,
            cases_judged,
            cases_total: 2,
        }
    }

    fn faulty(record: WaiverRecord, whole: bool) -> bool {
        faults(&[record], &[], whole, "driver-conformance ./driver")
            .next()
            .is_some()
    }

    #[test]
    fn one_that_matches_nothing_is_stale_if_all_it_is_for_was_judged() {
        assert!(faulty(record(2), true));
        assert!(
            !faulty(record(1), true),
            "a case was not run, or an error of ours"
        );
        assert!(!faulty(record(2), false), "a part of a run");
        assert!(!faulty(
            WaiverRecord {
                used: true,
                ..record(2)
            },
            true
        ));
        let other_checks = WaiverRecord {
            cases_total: 0,
            ..record(0)
        };
        assert!(
            !faulty(other_checks, true),
            "not all of its checks were applied"
        );
    }

    #[test]
    fn one_that_has_expired_is_a_fault_whatever_was_run() {
        assert!(faulty(
            WaiverRecord {
                expired: true,
                ..record(0)
            },
            false
        ));
    }
}
