//! What a call does wrong as a rule is not put down to special circumstances as well.
//!
//! Some checks look at a call in special circumstances, another job alive, say, and blame these. A check sees one case only,
//! so that it cannot know whether the call fails in plain circumstances, too. Here all cases are known: a finding of such a
//! check is taken back if a check of plain circumstances has found the same call at fault in more cases, and that finding
//! gets the cases which the other came from.

use super::verdict::{CheckVerdict, Finding, Status};

/// Checks of special circumstances, and how the messages begin by which they say that a call failed in them.
const OF_CIRCUMSTANCES: &[(&str, &[&str])] = &[
    ("environment/works-without-home", &["failed"]),
    (
        "isolation/jobs-do-not-disturb",
        &["failed", "did not run a script"],
    ),
    ("reentrancy/prepare-again", &["failed"]),
];
/// Checks of plain circumstances that find that a call does not do its work.
const OF_PLAIN_CIRCUMSTANCES: &[&str] = &[
    "cleanup/after-job",
    "environment/every-stage-runs",
    "environment/prepare-succeeds",
    "exit-code/script-success-is-zero",
    "exit-code/success-without-running",
];
/// In how many cases at least a call has to fail to fail as a rule.
const CASES_MIN: usize = 3;
/// At how many stages a check has to find run at fault for all of them: what fails first keeps later ones from being called.
const STAGES_MIN: usize = 3;

/// Takes back the findings that follow from others, and what their checks said.
pub(super) fn take_back(findings: &mut Vec<Finding>, checks: &mut [CheckVerdict]) {
    let causes: Vec<Option<usize>> = findings
        .iter()
        .map(|finding| cause(finding, findings))
        .collect();
    for (index, cause) in causes.iter().enumerate() {
        if let Some(cause) = *cause {
            let cases = findings[index].cases.clone();
            let known = &mut findings[cause].cases;
            for case in cases {
                if !known.contains(&case) {
                    known.push(case);
                }
            }
        }
    }
    let mut index = 0;
    findings.retain(|finding| {
        let stays = causes[index].is_none();
        index += 1;
        if !stays {
            for verdict in checks.iter_mut() {
                if verdict.check.id == finding.check.id && verdict.status != Status::Error {
                    verdict.status = Status::Pass;
                }
            }
        }
        stays
    });
    for finding in findings.iter() {
        for verdict in checks.iter_mut() {
            if verdict.check.id == finding.check.id {
                verdict.status = verdict.status.max(finding.status);
            }
        }
    }
}

/// The finding that says what this one comes from.
fn cause(finding: &Finding, findings: &[Finding]) -> Option<usize> {
    let (_, messages) = OF_CIRCUMSTANCES
        .iter()
        .find(|(id, _)| *id == finding.check.id)?;
    let message = &finding.deviation.message;
    if !messages.iter().any(|start| message.starts_with(start)) {
        return None;
    }
    findings.iter().position(|plain| {
        OF_PLAIN_CIRCUMSTANCES.contains(&plain.check.id)
            && plain.status != Status::Inconclusive
            && plain.program == finding.program
            && (plain.stage == finding.stage || at_all_stages(plain, findings))
            && plain.cases.len() >= CASES_MIN
            && plain.cases.len() > finding.cases.len()
    })
}

/// The check of this finding has found run at fault at so many stages that the others are no better.
fn at_all_stages(plain: &Finding, findings: &[Finding]) -> bool {
    let same = findings
        .iter()
        .filter(|other| other.check.id == plain.check.id && other.program == plain.program);
    let mut stages: Vec<&str> = same.filter_map(|other| other.stage.as_deref()).collect();
    stages.sort_unstable();
    stages.dedup();
    stages.len() >= STAGES_MIN
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::{Deviation, by_id};
    use crate::contract::stage::Program;

    fn finding(id: &str, stage: &str, message: &str, cases: usize) -> Finding {
        let cases = (0..cases).map(|number| format!("{id}/{number}"));
        Finding {
            check: by_id(id).expect("there is such a check"),
            program: Some(Program::Run),
            stage: Some(stage.to_owned()),
            status: Status::Fail,
            waiver: None,
            fingerprint: format!("{id} {stage} {message}"),
            deviation: Deviation {
                call: None,
                message: message.to_owned(),
                expected: Vec::new(),
                actual: String::new(),
                evidence: (0, 0),
                inconclusive: false,
            },
            cases: cases.collect(),
        }
    }

    fn isolation(stage: &str) -> Finding {
        finding(
            "isolation/jobs-do-not-disturb",
            stage,
            "failed while another job was alive",
            2,
        )
    }

    fn never_runs(stage: &str, cases: usize) -> Finding {
        finding(
            "environment/every-stage-runs",
            stage,
            "did not run the script",
            cases,
        )
    }

    /// Ids of the checks whose findings stay, and the verdict on isolation.
    fn settled(mut findings: Vec<Finding>) -> (Vec<&'static str>, Status, Vec<Finding>) {
        let mut checks: Vec<CheckVerdict> = findings
            .iter()
            .map(|finding| CheckVerdict {
                check: finding.check,
                status: Status::Fail,
                cases: 9,
            })
            .collect();
        take_back(&mut findings, &mut checks);
        let ids = findings.iter().map(|finding| finding.check.id).collect();
        let isolation = checks
            .iter()
            .find(|verdict| verdict.check.id.starts_with("isolation/"));
        let status = isolation.expect("it is always there").status;
        (ids, status, findings)
    }

    #[test]
    fn a_stage_that_never_runs_is_not_disturbed_by_another_job() {
        let (ids, status, findings) = settled(vec![
            isolation("build_script"),
            never_runs("build_script", 9),
        ]);
        assert_eq!(ids, ["environment/every-stage-runs"]);
        assert_eq!(status, Status::Pass);
        assert_eq!(findings[0].cases.len(), 11, "it has the cases of the other");
    }

    #[test]
    fn a_stage_that_fails_now_and_then_may_be_disturbed() {
        for plain in [never_runs("build_script", 2), never_runs("get_sources", 9)] {
            let (ids, status, _) = settled(vec![isolation("build_script"), plain]);
            assert_eq!(ids.len(), 2);
            assert_eq!(status, Status::Fail);
        }
    }

    #[test]
    fn where_many_stages_fail_all_do() {
        let stages = ["prepare_script", "get_sources", "build_script"];
        let mut findings: Vec<Finding> = stages.map(|stage| never_runs(stage, 9)).into();
        findings.push(isolation("restore_cache"));
        let (ids, ..) = settled(findings);
        assert_eq!(ids, ["environment/every-stage-runs"; 3]);
    }

    #[test]
    fn what_a_failure_does_not_explain_stays() {
        let mut shown = isolation("build_script");
        shown.deviation.message = "showed the output of another job".to_owned();
        let (ids, status, _) = settled(vec![
            isolation("build_script"),
            shown,
            never_runs("build_script", 9),
        ]);
        assert_eq!(ids.len(), 2);
        assert_eq!(status, Status::Fail);
    }

    #[test]
    fn the_table_names_checks_that_exist() {
        let circumstances = OF_CIRCUMSTANCES.iter().map(|(id, _)| id);
        for id in circumstances.chain(OF_PLAIN_CIRCUMSTANCES) {
            assert!(by_id(id).is_some(), "there is no check {id}");
        }
    }
}
