//! What became better and what became worse between two runs.
//!
//! Findings are the same if their fingerprints are. As a gate, only what fails the new run and did not fail the old one
//! counts: a driver with known defects can be kept from getting new ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use crate::model::{CheckResult, ExitCode, Finding, Report, Status, Verdict};
use crate::phrases::{binds, counted, place, status_word};
use crate::text::{visible, visible_line};

/// The value of [`Difference::schema`].
pub const SCHEMA: &str = "driver-conformance/difference/v1";

/// The difference of two reports.
#[derive(Debug, Clone, Serialize)]
pub struct Difference {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// 1 if something fails that did not.
    pub exit_code: u8,
    /// What fails the new run and did not fail the old one.
    pub worse: Vec<Change>,
    /// What failed the old run, was looked at again, and is gone.
    pub better: Vec<Change>,
    /// What failed the old run, and nobody looked at it in the new one.
    pub not_looked_at: Vec<Change>,
    /// What fails both.
    pub same: Vec<Change>,
    /// Findings that fail nothing and are new: advice, waived, doubtful.
    pub remarks: Vec<Change>,
    /// Other things that make the two hard to compare.
    pub notes: Vec<String>,
}

/// A finding in a difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Id of the check.
    pub check: String,
    /// Call and stage to blame.
    pub place: String,
    /// What the driver did.
    pub message: String,
    /// What it is called: `FAIL`, `WARN`, `WAIVED`, `INCONCLUSIVE`, `STALE WAIVER`.
    pub status: String,
    /// What to change.
    pub fix: String,
    /// Command that shows it again.
    pub reproduce: String,
    /// As in the reports.
    pub fingerprint: String,
}

/// Compares two reports.
pub fn between(old: &Report, new: &Report) -> Difference {
    let (before, after) = (failing(old), failing(new));
    let mut difference = Difference {
        schema: SCHEMA,
        exit_code: ExitCode::CONFORMS,
        worse: Vec::new(),
        better: Vec::new(),
        not_looked_at: Vec::new(),
        same: Vec::new(),
        remarks: Vec::new(),
        notes: notes(old, new),
    };
    for (fingerprint, finding) in &after {
        let change = change(new, finding);
        if before.contains_key(fingerprint) {
            difference.same.push(change);
        } else {
            difference.worse.push(change);
        }
    }
    for (fingerprint, finding) in &before {
        if after.contains_key(fingerprint) {
            continue;
        }
        let change = change(old, finding);
        if is_looked_at(new, finding) {
            difference.better.push(change);
        } else {
            difference.not_looked_at.push(change);
        }
    }
    let known: BTreeSet<&str> = old
        .findings
        .iter()
        .map(|finding| finding.fingerprint.as_str())
        .collect();
    let remarks = new
        .findings
        .iter()
        .filter(|finding| !fails(new, finding) && !known.contains(finding.fingerprint.as_str()));
    difference.remarks = remarks.map(|finding| change(new, finding)).collect();
    if !difference.worse.is_empty() {
        difference.exit_code = ExitCode::NONCONFORMING;
    } else if new.verdict == Verdict::Error {
        difference.exit_code = ExitCode::HARNESS_ERROR;
    }
    difference
}

/// What fails the run, each defect once.
fn failing(report: &Report) -> BTreeMap<&str, &Finding> {
    let failing = report
        .findings
        .iter()
        .filter(|finding| fails(report, finding));
    failing
        .map(|finding| (finding.fingerprint.as_str(), finding))
        .collect()
}

fn fails(report: &Report, finding: &Finding) -> bool {
    finding.status == Status::UnexpectedPass
        || finding.status == Status::Fail && binds(report, finding.level)
}

/// Whether the new run had the chance to see it again: its check had something to look at, and a case that showed it was
/// run.
fn is_looked_at(new: &Report, finding: &Finding) -> bool {
    if finding.status == Status::UnexpectedPass {
        return true;
    }
    let looked = |check: &&CheckResult| {
        check.id == finding.check && !matches!(check.status, Status::Skip | Status::Error)
    };
    let was_run = |name: &String| {
        let judged = |case: &&crate::model::CaseResult| {
            case.name == *name && !matches!(case.status, Status::Skip | Status::Error)
        };
        new.cases.iter().any(|case| judged(&case))
    };
    new.checks.iter().any(|check| looked(&check))
        && (finding.cases.is_empty() || finding.cases.iter().any(was_run))
}

fn change(report: &Report, finding: &Finding) -> Change {
    Change {
        check: visible_line(&finding.check),
        place: place(finding),
        message: visible(&finding.message),
        status: status_word(report, finding).to_owned(),
        fix: visible(&finding.fix),
        reproduce: visible_line(&finding.reproduce),
        fingerprint: visible_line(&finding.fingerprint),
    }
}

fn notes(old: &Report, new: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    for (what, one, other) in [
        ("driver", &old.driver.path, &new.driver.path),
        (
            "version of driver-conformance",
            &old.tool.version,
            &new.tool.version,
        ),
        ("profile", &old.profile, &new.profile),
        ("engine", &old.engine, &new.engine),
    ] {
        if one != other {
            notes.push(format!(
                "the {what} differs: {}, now {}",
                visible_line(one),
                visible_line(other)
            ));
        }
    }
    if new.cases.len() != old.cases.len() {
        let cases = counted(old.cases.len(), "case");
        notes.push(format!(
            "the old run had {cases}, the new one has {}",
            new.cases.len()
        ));
    }
    for (word, report) in [("old", old), ("new", new)] {
        if report.partial.is_some() {
            notes.push(format!("the {word} run was stopped before its end"));
        }
        if report.shard.is_some() {
            notes.push(format!(
                "the {word} report is one shard; `report merge` joins them"
            ));
        }
    }
    notes
}

impl Difference {
    /// As text for a terminal.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (title, changes, details) in self.sections() {
            for change in changes {
                let _ = writeln!(text, "{title} {} {}", change.check, change.place);
                let _ = writeln!(text, "  {}", change.message.replace('\n', "\n  "));
                if details {
                    let _ = writeln!(text, "  fix: {}", change.fix.replace('\n', "\n  "));
                    let _ = writeln!(text, "  reproduce: {}", change.reproduce);
                }
            }
        }
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        let _ = writeln!(text, "{} (exit code {})", self.sentence(), self.exit_code);
        text
    }

    /// As Markdown for a merge request.
    pub fn markdown(&self) -> String {
        let mut text = format!("### Driver conformance: {}\n\n", self.sentence());
        text.push_str("| | check | where |\n|---|---|---|\n");
        for (title, changes, _) in self.sections() {
            for change in changes {
                // Ids and names of stages hold no bar and no backtick unless a driver put them there.
                let cell = |text: &str| text.replace(['`', '|', '<', '>', '@'], "·");
                let _ = writeln!(
                    text,
                    "| {title} | `{}` | {} |",
                    cell(&change.check),
                    cell(&change.place)
                );
            }
        }
        for note in &self.notes {
            let _ = writeln!(text, "\n- {}", note.replace(['`', '<', '>', '@'], "·"));
        }
        text
    }

    /// As indented JSON.
    ///
    /// # Panics
    /// Never: every part has a JSON form.
    pub fn json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("every part has a JSON form");
        text.push('\n');
        text
    }

    fn sections(&self) -> [(&'static str, &[Change], bool); 5] {
        [
            ("remark", &self.remarks, false),
            ("same", &self.same, false),
            ("not looked at", &self.not_looked_at, false),
            ("better", &self.better, false),
            ("WORSE", &self.worse, true),
        ]
    }

    fn sentence(&self) -> String {
        format!(
            "{} new, {} gone, {} as before, {} not looked at",
            counted(self.worse.len(), "finding"),
            self.better.len(),
            self.same.len(),
            self.not_looked_at.len()
        )
    }
}
