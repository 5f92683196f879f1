//! The results as tests: one for each check, as test formats want them.

use crate::model::{CheckResult, Finding, Report, Status};
use crate::phrases;
use crate::text::visible_line;

/// What a test of a test format comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    /// It fails the run.
    Failed,
    /// A deviation that fails nothing: from a SHOULD without `--strict`, or from a MAY.
    Advice,
    /// Everything that was found is excepted by waivers.
    Waived,
    Skipped,
    /// The machine was too busy to tell.
    Inconclusive,
    /// The harness failed.
    Error,
}

/// One test.
#[derive(Debug)]
pub(crate) struct Test<'report> {
    /// First part of the name.
    pub theme: String,
    /// The whole name.
    pub name: String,
    pub outcome: Outcome,
    /// What the check demands, or why the test is not a plain pass.
    pub about: String,
    pub findings: Vec<&'report Finding>,
}

/// Every check, then every waiver that does not hold, then every case in which the harness failed.
pub(crate) fn tests(report: &Report) -> Vec<Test<'_>> {
    let checks = report.checks.iter().map(|check| of_check(report, check));
    // A check that was not selected shows up if a call hangs: what it found counts all the same.
    let known = |finding: &&Finding| report.checks.iter().any(|check| check.id == finding.check);
    let others = report.findings.iter();
    let others =
        others.filter(|finding| !known(finding) || finding.status == Status::UnexpectedPass);
    let others = others.map(|finding| of_finding(report, finding));
    let errors = report.cases.iter();
    let errors = errors.filter(|case| case.status == Status::Error);
    let errors = errors.map(|case| Test {
        theme: "harness".to_owned(),
        name: format!("harness/{}", visible_line(&case.name)),
        outcome: Outcome::Error,
        about: case.reason.clone().unwrap_or_default(),
        findings: Vec::new(),
    });
    checks.chain(others).chain(errors).collect()
}

fn of_check<'report>(report: &'report Report, check: &'report CheckResult) -> Test<'report> {
    let of_check =
        |finding: &&Finding| finding.check == check.id && finding.status != Status::UnexpectedPass;
    let findings: Vec<&Finding> = report.findings.iter().filter(of_check).collect();
    let outcome = match check.status {
        Status::Pass => Outcome::Passed,
        Status::Waived => Outcome::Waived,
        Status::Skip => Outcome::Skipped,
        Status::Inconclusive => Outcome::Inconclusive,
        Status::Error => Outcome::Error,
        Status::Fail | Status::UnexpectedPass if phrases::binds(report, check.level) => {
            Outcome::Failed
        }
        Status::Fail | Status::UnexpectedPass => Outcome::Advice,
    };
    Test {
        theme: theme(&check.id),
        name: visible_line(&check.id),
        outcome,
        about: check.requirement.clone(),
        findings,
    }
}

fn of_finding<'report>(report: &Report, finding: &'report Finding) -> Test<'report> {
    let stale = finding.status == Status::UnexpectedPass;
    let outcome = match finding.status {
        Status::Waived => Outcome::Waived,
        Status::Inconclusive => Outcome::Inconclusive,
        _ if stale || phrases::binds(report, finding.level) => Outcome::Failed,
        _ => Outcome::Advice,
    };
    let (theme, name) = if stale {
        let name = format!("waiver {} {}", finding.check, finding.case);
        ("waivers".to_owned(), name.trim_end().to_owned())
    } else {
        (theme(&finding.check), finding.check.clone())
    };
    Test {
        theme,
        name: visible_line(&name),
        outcome,
        about: finding.requirement.clone(),
        findings: vec![finding],
    }
}

fn theme(check: &str) -> String {
    visible_line(check.split('/').next().unwrap_or(check))
}
