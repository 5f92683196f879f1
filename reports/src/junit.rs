//! The XML of `JUnit`, as GitLab, GitHub and Jenkins read it: one suite for each theme, one test for each check.
//!
//! Checks and not cases are the tests, since one defect shows in many cases: whoever reads the list sees what is to be
//! changed, once. What fails the run is a failure, what could not be judged an error; waived, not looked at and mere
//! advice are skipped, each with its reason, so that a green run has no red test.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use quick_junit::{
    NonSuccessKind, Property, Report as Document, TestCase, TestCaseStatus, TestSuite,
};

use crate::model::{Finding, Report};
use crate::outcome::{Outcome, Test, tests};
use crate::phrases::{clause, counted, incompleteness, place, status_word};
use crate::text::{visible, visible_line};

/// The report as the XML of `JUnit`.
///
/// # Panics
/// Never: the text is written into memory, and what XML cannot hold is taken out before.
pub fn render(report: &Report) -> String {
    let mut document = Document::new("driver-conformance");
    document.set_time(Duration::from_millis(report.duration_ms));
    let mut suites: BTreeMap<String, TestSuite> = BTreeMap::new();
    for test in tests(report) {
        let suite = suites
            .entry(test.theme.clone())
            .or_insert_with(|| suite(report, &test.theme));
        suite.add_test_case(test_case(report, &test));
    }
    document.add_test_suites(suites.into_values());
    document
        .to_string()
        .expect("text can be written into memory")
}

fn suite(report: &Report, theme: &str) -> TestSuite {
    let mut suite = TestSuite::new(theme);
    let mut property = |name: &str, value: String| {
        suite.add_property(Property::new(name, value));
    };
    property("driver", visible_line(&report.driver.path));
    property("driver-digest", visible_line(&report.driver.digest));
    property("profile", visible_line(&report.profile));
    property("seed", report.seed.to_string());
    if let Some(sentence) = incompleteness(report) {
        property("partial", sentence);
    }
    suite
}

fn test_case(report: &Report, test: &Test<'_>) -> TestCase {
    let mut status = match test.outcome {
        Outcome::Passed => TestCaseStatus::success(),
        Outcome::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Outcome::Inconclusive | Outcome::Error => {
            TestCaseStatus::non_success(NonSuccessKind::Error)
        }
        Outcome::Advice | Outcome::Waived | Outcome::Skipped => TestCaseStatus::skipped(),
    };
    if test.outcome != Outcome::Passed {
        status.set_message(message(test));
        status.set_type(kind(test));
        let details = description(report, &test.findings);
        if !details.is_empty() {
            status.set_description(details);
        }
    }
    let mut case = TestCase::new(test.name.as_str(), status);
    case.set_classname(test.theme.as_str());
    let location = test
        .findings
        .iter()
        .find_map(|finding| finding.location.as_ref());
    if let Some(location) = location {
        // GitLab links it.
        case.extra
            .insert("file".into(), visible_line(&location.file).into());
    }
    case
}

fn message(test: &Test<'_>) -> String {
    let first = test.findings.first();
    let found = first.map(|finding| finding.message.as_str());
    match test.outcome {
        Outcome::Waived => {
            let waiver = first.and_then(|finding| finding.waiver.as_deref());
            format!("waived: {}", visible_line(waiver.unwrap_or_default()))
        }
        Outcome::Skipped => "no selected case says anything about it".to_owned(),
        Outcome::Advice => format!("advice: {}", visible_line(found.unwrap_or_default())),
        Outcome::Inconclusive => format!(
            "the machine was too busy to tell: {}",
            visible_line(found.unwrap_or_default())
        ),
        _ => visible_line(found.unwrap_or(&test.about)),
    }
}

fn kind(test: &Test<'_>) -> &'static str {
    match test.outcome {
        Outcome::Error => "harness-error",
        Outcome::Inconclusive => "inconclusive",
        Outcome::Waived => "waived",
        Outcome::Skipped => "not-looked-at",
        Outcome::Advice => "advice",
        Outcome::Passed | Outcome::Failed => test
            .findings
            .first()
            .map_or("failure", |finding| finding.category.name()),
    }
}

fn description(report: &Report, findings: &[&Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let word = status_word(report, finding);
        let _ = writeln!(
            text,
            "{word} {}: {}",
            place(finding),
            visible(&finding.message)
        );
        let mut field = |name: &str, value: &str| {
            if !value.is_empty() {
                let _ = writeln!(text, "{name}: {}", visible(value));
            }
        };
        field("expected", &finding.expected.join("\nor "));
        field("actual", &finding.actual);
        field("why", &finding.why);
        field("fix", &finding.fix);
        field("clause", &clause(finding));
        if finding.cases.len() > 1 {
            let cases = counted(finding.cases.len(), "case");
            field("shown by", &format!("{cases}, first {}", finding.case));
        }
        field("reproduce", &finding.reproduce);
        text.push('\n');
    }
    text.trim_end().to_owned()
}
