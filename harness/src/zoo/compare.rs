//! What was found in an animal, against what its file says. Pure.

use std::collections::BTreeSet;
use std::fmt;

use driver_conformance_reports::model::{Finding, Report, Status, Verdict};
use driver_conformance_scenarios::zoo::{Animal, Consequence, ExpectedFinding};

/// One way in which the two differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// There is no report.
    NotExamined {
        /// Why.
        reason: String,
    },
    /// The harness failed in these cases, so that something may be missing.
    HarnessFailed {
        /// Their names.
        cases: Vec<String>,
    },
    /// A check found nothing where it must find something.
    Missed {
        /// Its id.
        check: String,
    },
    /// The right check blames something else.
    Misplaced {
        /// What must be found.
        wanted: ExpectedFinding,
        /// What the check blames.
        blamed: Vec<String>,
    },
    /// A check found something where it must not.
    Unexpected {
        /// Its id.
        check: String,
        /// The call and stage it blames.
        blamed: String,
        /// What it says.
        message: String,
        /// The first case that shows it.
        case: String,
    },
    /// Something is found in a known survivor.
    Caught {
        /// The checks that found it.
        checks: Vec<String>,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotExamined { reason } => write!(formatter, "not examined: {reason}"),
            Self::HarnessFailed { cases } => {
                write!(formatter, "the harness failed in {}", cases.join(", "))
            }
            Self::Missed { check } => write!(formatter, "not found: {check}"),
            Self::Misplaced { wanted, blamed } => write!(
                formatter,
                "{} is to blame {}, and blames {}",
                wanted.check,
                place(
                    wanted.call.as_deref().unwrap_or("any call"),
                    wanted.stage.as_deref()
                ),
                blamed.join(", ")
            ),
            Self::Unexpected {
                check,
                blamed,
                message,
                case,
            } => write!(
                formatter,
                "not expected: {check} ({blamed} {message}; in {case})"
            ),
            Self::Caught { checks } => write!(
                formatter,
                "found although it is said to survive: {}; replace `survives` by these findings",
                checks.join(", ")
            ),
        }
    }
}

/// The ids of the checks that found something, each once, in order.
pub fn found_checks(report: &Report) -> BTreeSet<&str> {
    failed(report)
        .map(|finding| finding.check.as_str())
        .collect()
}

/// How the report on an animal differs from what its file says.
pub fn differences(animal: &Animal, report: &Report) -> Vec<Difference> {
    let mut differences = Vec::new();
    if report.verdict == Verdict::Error {
        let cases = report.cases.iter();
        differences.push(Difference::HarnessFailed {
            cases: cases
                .filter(|case| case.status == Status::Error)
                .map(|case| case.name.clone())
                .collect(),
        });
    }
    let found = found_checks(report);
    if animal.survives().is_some() {
        if !found.is_empty() {
            differences.push(Difference::Caught {
                checks: found.into_iter().map(str::to_owned).collect(),
            });
        }
        return differences;
    }
    let wanted: BTreeSet<&str> = animal
        .findings()
        .iter()
        .map(|finding| finding.check.as_str())
        .collect();
    let unexpected = failed(report)
        .filter(|finding| !wanted.contains(finding.check.as_str()) && !may_follow(animal, finding));
    differences.extend(unexpected.map(|finding| Difference::Unexpected {
        check: finding.check.clone(),
        blamed: blamed(finding),
        message: finding.message.clone(),
        case: finding.case.clone(),
    }));
    let missed = wanted.difference(&found);
    differences.extend(missed.map(|check| Difference::Missed {
        check: (*check).to_owned(),
    }));
    let present = animal
        .findings()
        .iter()
        .filter(|wanted| found.contains(wanted.check.as_str()));
    differences.extend(present.filter_map(|wanted| misplaced(wanted, report)));
    differences
}

/// What the animal's file says may follow at an unlucky moment, and was not seen. One that is never seen is stale.
pub fn unseen_consequences<'a>(animal: &'a Animal, report: &Report) -> Vec<&'a Consequence> {
    let seen = |follows: &Consequence| failed(report).any(|finding| is_named(follows, finding));
    let consequences = animal.consequences().iter();
    consequences.filter(|follows| !seen(follows)).collect()
}

fn is_named(follows: &Consequence, finding: &Finding) -> bool {
    follows.check == finding.check && follows.call == finding.call.name()
}

fn failed(report: &Report) -> impl Iterator<Item = &Finding> {
    let findings = report.findings.iter();
    findings.filter(|finding| finding.status == Status::Fail)
}

/// Whether the animal's file says that this may be found, at an unlucky moment.
fn may_follow(animal: &Animal, finding: &Finding) -> bool {
    let mut consequences = animal.consequences().iter();
    consequences.any(|follows| is_named(follows, finding))
}

fn misplaced(wanted: &ExpectedFinding, report: &Report) -> Option<Difference> {
    let of_check = || failed(report).filter(|finding| finding.check == wanted.check);
    let fits = |finding: &Finding| {
        let call = wanted.call.as_deref();
        let stage = wanted.stage.as_deref();
        call.is_none_or(|call| call == finding.call.name())
            && (stage.is_none() || stage == finding.stage.as_deref())
    };
    if of_check().any(fits) {
        return None;
    }
    let blamed: BTreeSet<String> = of_check().map(blamed).collect();
    Some(Difference::Misplaced {
        wanted: wanted.clone(),
        blamed: blamed.into_iter().collect(),
    })
}

fn blamed(finding: &Finding) -> String {
    place(finding.call.name(), finding.stage.as_deref())
}

fn place(call: &str, stage: Option<&str>) -> String {
    match stage {
        Some(stage) => format!("{call} {stage}"),
        None => call.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use driver_conformance_scenarios::zoo;
    use serde_json::{Value, json};

    use super::*;

    fn report(findings: &[Value]) -> Report {
        let report = json!({
            "schema": "", "verdict": "fail", "exit_code": 1, "tool": {"version": ""},
            "driver": {"path": "", "kind": "", "digest": ""}, "profile": "", "engine": "", "seed": 1,
            "started": "", "duration_ms": 0, "summary": serde_json::to_value(
                driver_conformance_reports::model::Summary::default()).expect("plain data"),
            "checks": [], "findings": findings, "cases": [], "leaks": []
        });
        serde_json::from_value(report).expect("a report")
    }

    fn finding(check: &str, stage: &str) -> Value {
        json!({
            "check": check, "clause": [], "category": "exit-code", "level": "must", "call": "run", "stage": stage,
            "case": "some/case", "status": "fail", "message": "did wrong", "expected": [], "actual": "", "fix": "",
            "evidence": [0, 0], "fingerprint": "", "reproduce": ""
        })
    }

    const CHECK: &str = "exit-code/literal-exit-codes";

    fn literal() -> &'static Animal {
        zoo::by_name("literal-exit-codes").expect("it is there")
    }

    #[test]
    fn what_is_expected_is_no_difference() {
        let report = report(&[
            finding(CHECK, "get_sources"),
            finding(CHECK, "build_script"),
        ]);
        assert_eq!(differences(literal(), &report), []);
    }

    #[test]
    fn a_check_that_is_silent_or_blames_something_else_is_told() {
        let found = differences(literal(), &report(&[]));
        assert_eq!(
            found,
            [Difference::Missed {
                check: CHECK.to_owned()
            }]
        );
        let found = differences(literal(), &report(&[finding(CHECK, "get_sources")]));
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].to_string(),
            "exit-code/literal-exit-codes is to blame run build_script, and blames run get_sources"
        );
    }

    #[test]
    fn another_check_is_told_also_in_a_good_animal() {
        let report = report(&[finding("output/complete", "build_script")]);
        let good = zoo::by_name("good-bash").expect("it is there");
        let found = differences(good, &report);
        assert_eq!(
            found[0].to_string(),
            "not expected: output/complete (run build_script did wrong; in some/case)"
        );
        assert_eq!(differences(literal(), &report).len(), 2);
    }

    #[test]
    fn what_may_follow_is_no_difference_and_need_not_be_there() {
        let mut animal = literal().clone();
        let flaw = animal.flaw.as_mut().expect("it is broken");
        flaw.consequences.push(zoo::Consequence {
            check: "output/complete".to_owned(),
            call: "run".to_owned(),
            when: "it rains".to_owned(),
        });
        let direct = finding(CHECK, "build_script");
        assert_eq!(
            differences(&animal, &report(std::slice::from_ref(&direct))),
            []
        );
        let only = report(std::slice::from_ref(&direct));
        assert_eq!(unseen_consequences(&animal, &only).len(), 1);
        let mut follows = finding("output/complete", "build_script");
        let both = report(&[direct.clone(), follows.clone()]);
        assert_eq!(differences(&animal, &both), []);
        assert_eq!(unseen_consequences(&animal, &both).len(), 0);
        assert_eq!(differences(&animal, &report(&[follows.clone()])).len(), 1);
        follows["call"] = json!("cleanup");
        assert_eq!(differences(&animal, &report(&[direct, follows])).len(), 1);
    }

    #[test]
    fn a_waived_finding_does_not_count() {
        let mut waived = finding("output/complete", "build_script");
        waived["status"] = json!("waived");
        let good = zoo::by_name("good-bash").expect("it is there");
        assert_eq!(differences(good, &report(&[waived])), []);
    }

    #[test]
    fn a_survivor_that_is_caught_is_told() {
        let mut survivor = literal().clone();
        let flaw = survivor.flaw.as_mut().expect("it is broken");
        flaw.expected = zoo::Expected::Survives("not yet".to_owned());
        assert_eq!(differences(&survivor, &report(&[])), []);
        let found = differences(&survivor, &report(&[finding(CHECK, "build_script")]));
        assert!(
            matches!(&found[..], [Difference::Caught { checks }] if checks == &[CHECK]),
            "{found:?}"
        );
    }
}
