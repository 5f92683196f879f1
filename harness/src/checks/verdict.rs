//! From deviations in cases to the verdict of a run: what each check says, and each defect once.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use sha2::{Digest, Sha256};

use crate::contract::stage::Program;
use crate::hexadecimal::hexadecimal;
use crate::plan::case::Case;
use crate::plan::waiver::{Waivers, message_class};
use crate::trace::Trace;

use super::{Check, Deviation, Level, consequences};

/// What became of a case.
#[derive(Debug, Clone)]
pub enum CaseResult {
    /// It was run.
    Done(Box<Trace>),
    /// A call in it is known to hang, so that it was ended there; the part before this call, and the reason.
    CutShort(Box<Trace>, String),
    /// The driver does not offer what the case needs; the reason.
    Skipped(String),
    /// The harness failed; the reason.
    Failed(String),
}

/// What a check or a case comes to. In a group, the worst one stands for all; the order is from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// No case said anything about it.
    Skip,
    /// Cases were looked at, and nothing was found.
    Pass,
    /// What was found is excepted by a waiver.
    Waived,
    /// Something was found that a machine too busy may have caused.
    Inconclusive,
    /// The harness failed.
    Error,
    /// Something was found.
    Fail,
}

impl Status {
    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Pass => "pass",
            Self::Waived => "waived",
            Self::Inconclusive => "inconclusive",
            Self::Error => "error",
            Self::Fail => "fail",
        }
    }
}

/// What one check says about the driver.
#[derive(Debug, Clone)]
pub struct CheckVerdict {
    /// The check.
    pub check: &'static Check,
    /// The worst of its cases.
    pub status: Status,
    /// In how many cases it had something to look at.
    pub cases: usize,
}

/// What one case comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseVerdict {
    /// Its name.
    pub name: String,
    /// The worst of its checks; a finding of a check that is no must does not fail a case.
    pub status: Status,
    /// Why it was skipped or failed.
    pub reason: Option<String>,
}

/// One defect, with all cases that show it.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The check that found it.
    pub check: &'static Check,
    /// The program to blame; `None`: the whole sequence.
    pub program: Option<Program>,
    /// The stage to blame, as the driver was told it.
    pub stage: Option<String>,
    /// `Fail` or, if no case shows it without doubt, `Inconclusive`; `Waived` if a waiver excepts it.
    pub status: Status,
    /// The number of the waiver that excepts it.
    pub waiver: Option<usize>,
    /// The same for the same defect in every run.
    pub fingerprint: String,
    /// The deviation of the first case that shows it best.
    pub deviation: Deviation,
    /// Names of all cases that show it, that first one at the front.
    pub cases: Vec<String>,
    /// A case in which nothing is done to the jobs shows it.
    pub nothing_happened: bool,
    /// Other checks that it shows in, where these found nothing else.
    pub also_seen_as: Vec<String>,
}

/// The verdict of a run.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// What each check says, in the order of the checks.
    pub checks: Vec<CheckVerdict>,
    /// What each case comes to, in the order of the cases.
    pub cases: Vec<CaseVerdict>,
    /// Each defect once, or twice if only some of its cases are waived: musts first, then by id of the check.
    pub findings: Vec<Finding>,
    /// Numbers of the waivers that something was found for.
    pub waivers_used: BTreeSet<usize>,
}

/// Judges the cases of a run.
pub fn judge(
    runs: &[(&Case, &CaseResult)],
    checks: &[&'static Check],
    waivers: &Waivers,
) -> Verdict {
    let mut verdicts: Vec<CheckVerdict> = checks
        .iter()
        .map(|check| CheckVerdict {
            check,
            status: Status::Skip,
            cases: 0,
        })
        .collect();
    let mut found = Found {
        waivers,
        used: BTreeSet::new(),
        findings: BTreeMap::new(),
    };
    let mut cases = Vec::new();
    for (case, result) in runs {
        let mut verdict = CaseVerdict {
            name: case.name.clone(),
            status: Status::Pass,
            reason: None,
        };
        match result {
            CaseResult::Skipped(reason) => {
                verdict.status = Status::Skip;
                verdict.reason = Some(reason.clone());
            }
            CaseResult::Failed(reason) => {
                verdict.status = Status::Error;
                verdict.reason = Some(reason.clone());
            }
            CaseResult::Done(trace) | CaseResult::CutShort(trace, _) => {
                for check in verdicts
                    .iter_mut()
                    .filter(|check| may_judge(check.check, case))
                {
                    judge_case(check, case, trace, &mut verdict, &mut found);
                }
            }
        }
        // What was looked at passed, but that is not what the case is for.
        if let CaseResult::CutShort(_, reason) = result
            && verdict.status == Status::Pass
        {
            verdict.status = Status::Skip;
            verdict.reason = Some(reason.clone());
        }
        cases.push(verdict);
    }
    Verdict {
        checks: verdicts,
        cases,
        findings: in_order(found.findings),
        waivers_used: found.used,
    }
}

/// The verdict of a run from the verdicts of its cases, each judged by itself. So a trace need not be kept until the last
/// case is done.
pub fn merge(verdicts: impl IntoIterator<Item = Verdict>, checks: &[&'static Check]) -> Verdict {
    settled(gather(verdicts, checks))
}

/// The verdict without the findings that follow from others.
pub fn settled(mut gathered: Verdict) -> Verdict {
    consequences::take_back(&mut gathered.findings, &mut gathered.checks);
    gathered
}

/// The same without asking which finding follows from which: that can be told only when all cases are known, and these may
/// be a part of them.
pub fn gather(verdicts: impl IntoIterator<Item = Verdict>, checks: &[&'static Check]) -> Verdict {
    let mut merged = judge(&[], checks, &Waivers::default());
    let mut findings = Defects::new();
    for verdict in verdicts {
        merged.cases.extend(verdict.cases);
        merged.waivers_used.extend(verdict.waivers_used);
        for of_case in verdict.checks {
            let same = |known: &&mut CheckVerdict| known.check.id == of_case.check.id;
            if let Some(known) = merged.checks.iter_mut().find(same) {
                known.status = known.status.max(of_case.status);
                known.cases += of_case.cases;
            }
        }
        for finding in verdict.findings {
            enter(&mut findings, finding);
        }
    }
    merged.findings = in_order(findings);
    merged
}

/// Each defect once, by fingerprint and waiver.
type Defects = BTreeMap<(String, Option<usize>), Finding>;

fn in_order(findings: Defects) -> Vec<Finding> {
    let mut findings: Vec<Finding> = findings.into_values().collect();
    findings.sort_by_key(|finding| {
        (
            finding.check.level,
            finding.check.id,
            finding.program,
            finding.stage.clone(),
        )
    });
    findings
}

/// Adds a finding to those of the same defect. The first one that is beyond doubt is kept as the example.
fn enter(findings: &mut Defects, mut new: Finding) {
    let key = (new.fingerprint.clone(), new.waiver);
    let Some(known) = findings.get_mut(&key) else {
        findings.insert(key, new);
        return;
    };
    known.nothing_happened |= new.nothing_happened;
    if new.status > known.status {
        known.status = new.status;
        known.deviation = new.deviation;
        std::mem::swap(&mut known.cases, &mut new.cases);
    }
    for name in new.cases {
        if !known.cases.contains(&name) {
            known.cases.push(name);
        }
    }
}

/// What was found so far.
struct Found<'run> {
    waivers: &'run Waivers,
    used: BTreeSet<usize>,
    findings: Defects,
}

impl Found<'_> {
    /// The waiver for a deviation; all that match count as used, since each of them would do.
    fn waiver(&mut self, check: &Check, case: &Case, message: &str) -> Option<usize> {
        let matching = self.waivers.matching(check.id, &case.name, message);
        let matching: Vec<usize> = matching.collect();
        self.used.extend(&matching);
        matching.first().copied()
    }
}

/// The case is not reserved for other checks.
fn may_judge(check: &Check, case: &Case) -> bool {
    case.only_checks.is_empty() || case.only_checks.iter().any(|id| id == check.id)
}

/// Lets one check look at one case, and enters what it finds.
fn judge_case(
    verdict: &mut CheckVerdict,
    case: &Case,
    trace: &Trace,
    case_verdict: &mut CaseVerdict,
    found: &mut Found<'_>,
) {
    let check = verdict.check;
    // A check that panics is our own bug: it must not take the other findings with it, nor count against the driver.
    let examined = catch_unwind(AssertUnwindSafe(|| (check.examine)(case, trace)));
    let Ok(examined) = examined else {
        verdict.status = verdict.status.max(Status::Error);
        case_verdict.status = case_verdict.status.max(Status::Error);
        case_verdict.reason = Some(format!("check {} panicked", check.id));
        return;
    };
    let Some(deviations) = examined else { return };
    verdict.cases += 1;
    verdict.status = verdict.status.max(Status::Pass);
    for deviation in deviations {
        let waiver = found.waiver(check, case, &deviation.message);
        let status = if waiver.is_some() {
            Status::Waived
        } else if deviation.inconclusive {
            Status::Inconclusive
        } else {
            Status::Fail
        };
        verdict.status = verdict.status.max(status);
        if check.level == Level::Must {
            case_verdict.status = case_verdict.status.max(status);
        }
        let mut new = finding(check, case, trace, status, deviation);
        new.waiver = waiver;
        enter(&mut found.findings, new);
    }
}

fn finding(
    check: &'static Check,
    case: &Case,
    trace: &Trace,
    status: Status,
    deviation: Deviation,
) -> Finding {
    let call = deviation.call.and_then(|index| trace.calls.get(index.0));
    let program = call.map(|call| call.program);
    let stage = call
        .and_then(|call| call.stage.as_ref())
        .map(ToString::to_string);
    Finding {
        check,
        program,
        fingerprint: fingerprint(check.id, program, stage.as_deref(), &deviation.message),
        stage,
        status,
        waiver: None,
        deviation,
        cases: vec![case.name.clone()],
        nothing_happened: case.jobs.iter().all(|job| job.stimuli.is_empty()),
        also_seen_as: Vec::new(),
    }
}

/// What identifies a defect: the check, the program and stage to blame, and the class of its message.
pub fn fingerprint(
    check: &str,
    program: Option<Program>,
    stage: Option<&str>,
    message: &str,
) -> String {
    let program = program.map_or("job", Program::name);
    let mut hasher = Sha256::new();
    for part in [
        check,
        program,
        stage.unwrap_or_default(),
        &message_class(message),
    ] {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    hexadecimal(&hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::all;
    use crate::checks::testing::{SYSTEM_FAILURE, Scene, exits};

    fn done(scene: &Scene) -> CaseResult {
        CaseResult::Done(Box::new(scene.trace.clone()))
    }

    fn failing_script(name: &str) -> Scene {
        let mut scene = Scene::new()
            .call(Program::Prepare, 0)
            .run("build_script", exits(3), SYSTEM_FAILURE)
            .call(Program::Cleanup, 0);
        scene.case.name = name.to_owned();
        scene
    }

    fn verdict_of<'a>(verdict: &'a Verdict, id: &str) -> &'a CheckVerdict {
        verdict
            .checks
            .iter()
            .find(|check| check.check.id == id)
            .expect("a check")
    }

    const MAPPING: &str = "exit-code/user-failure-is-build-failure";

    #[test]
    fn one_defect_in_two_cases_is_one_finding() {
        let (first, second) = (failing_script("a/one"), failing_script("a/two"));
        let (one, two) = (done(&first), done(&second));
        let verdict = judge(
            &[(&first.case, &one), (&second.case, &two)],
            all(),
            &Waivers::default(),
        );
        assert_eq!(verdict.findings.len(), 1, "{:#?}", verdict.findings);
        let finding = &verdict.findings[0];
        assert_eq!(finding.check.id, MAPPING);
        assert_eq!(finding.cases, ["a/one", "a/two"]);
        assert_eq!(
            (finding.program, finding.stage.as_deref()),
            (Some(Program::Run), Some("build_script"))
        );
        assert_eq!(verdict_of(&verdict, MAPPING).status, Status::Fail);
        assert_eq!(verdict_of(&verdict, MAPPING).cases, 2);
        assert_eq!(
            verdict_of(&verdict, "exit-code/no-raw-codes").status,
            Status::Pass
        );
        assert_eq!(
            verdict_of(&verdict, "config/valid-json").status,
            Status::Skip
        );
        assert_eq!(verdict.cases[0].status, Status::Fail);
    }

    #[test]
    fn a_case_reserved_for_other_checks_says_nothing() {
        let mut scene = failing_script("a/one");
        scene.case.only_checks = vec!["environment/works-without-home".to_owned()];
        let verdict = judge(&[(&scene.case, &done(&scene))], all(), &Waivers::default());
        assert!(verdict.findings.is_empty());
        assert_eq!(verdict_of(&verdict, MAPPING).status, Status::Skip);
    }

    #[test]
    fn skipped_and_failed_cases_keep_their_reason() {
        let scene = failing_script("a/one");
        let skipped = CaseResult::Skipped("no cleanup program".to_owned());
        let failed = CaseResult::Failed("out of file handles".to_owned());
        let verdict = judge(
            &[(&scene.case, &skipped), (&scene.case, &failed)],
            all(),
            &Waivers::default(),
        );
        assert_eq!(verdict.cases[0].status, Status::Skip);
        assert_eq!(verdict.cases[1].status, Status::Error);
        assert_eq!(
            verdict.cases[1].reason.as_deref(),
            Some("out of file handles")
        );
    }

    #[test]
    fn a_case_that_was_cut_short_is_skipped_unless_it_shows_something() {
        let reason = "prepare does not end, as case a/one shows";
        let cut_short =
            |scene: &Scene| CaseResult::CutShort(Box::new(scene.trace.clone()), reason.to_owned());
        let clean = Scene::new().call(Program::Config, 0);
        let failing = failing_script("a/two");
        let verdict = judge(
            &[
                (&clean.case, &cut_short(&clean)),
                (&failing.case, &cut_short(&failing)),
            ],
            all(),
            &Waivers::default(),
        );
        assert_eq!(verdict.cases[0].status, Status::Skip);
        assert_eq!(verdict.cases[0].reason.as_deref(), Some(reason));
        assert_eq!(verdict.cases[1].status, Status::Fail);
        assert_eq!(
            verdict_of(&verdict, "environment/programs-start").status,
            Status::Pass
        );
        assert_eq!(
            verdict_of(&verdict, "cleanup/ends-in-time").cases,
            1,
            "only where there was a cleanup"
        );
    }

    #[test]
    fn a_panicking_check_is_an_error_of_the_harness() {
        static BROKEN: Check = Check {
            id: "exit-code/broken",
            clauses: &[],
            category: crate::checks::Category::ExitCode,
            level: Level::Must,
            requirement: "",
            why: "",
            broken_by: "",
            fix: "",
            examine: |_, _| panic!("a bug of the check"),
        };
        let scene = failing_script("a/one");
        let verdict = judge(
            &[(&scene.case, &done(&scene))],
            &[&BROKEN],
            &Waivers::default(),
        );
        assert_eq!(verdict.checks[0].status, Status::Error);
        assert_eq!(verdict.cases[0].status, Status::Error);
        assert!(verdict.findings.is_empty());
    }

    #[test]
    fn a_finding_beyond_doubt_replaces_a_doubtful_one() {
        let hanging = |name: &str, delay: u64| {
            let mut scene = Scene::new().call(Program::Cleanup, 143).terminated();
            scene.case.name = name.to_owned();
            scene.trace.scheduling_delay_max = std::time::Duration::from_secs(delay);
            scene
        };
        let (doubtful, clear) = (hanging("a/doubtful", 5), hanging("a/clear", 0));
        let (one, two) = (done(&doubtful), done(&clear));
        let verdict = judge(
            &[(&doubtful.case, &one), (&clear.case, &two)],
            all(),
            &Waivers::default(),
        );
        assert_eq!(verdict.findings.len(), 1);
        assert_eq!(verdict.findings[0].status, Status::Fail);
        assert_eq!(verdict.findings[0].cases, ["a/clear", "a/doubtful"]);
        assert_eq!(verdict.cases[0].status, Status::Inconclusive);
    }

    #[test]
    fn a_fingerprint_ignores_numbers_and_heeds_the_rest() {
        let print = |stage, message| fingerprint("a/b", Some(Program::Run), Some(stage), message);
        assert_eq!(
            print("build_script", "after 3 s"),
            print("build_script", "after 12 s")
        );
        assert_ne!(
            print("build_script", "after 3 s"),
            print("get_sources", "after 3 s")
        );
        assert_ne!(
            print("build_script", "after 3 s"),
            print("build_script", "before 3 s")
        );
        assert_eq!(print("x", "y").len(), 64);
    }
}
