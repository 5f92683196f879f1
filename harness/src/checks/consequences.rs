//! One cause is one finding: what follows from a defect is listed with it, not beside it.
//!
//! A check sees one case only. It cannot know whether the call that failed with another job alive fails in plain
//! circumstances, too, or whether the process that outlived a signal is left by every job. Here all cases are known, and a
//! table says which findings follow from which. A finding that follows is taken back: the cause gets its cases and names its
//! check, and the check that found it is skipped if it found nothing else, since it could not see past the cause.
//!
//! A rule holds for the same program and, if both are known, the same stage only, and only for a cause that shows in most of
//! the cases in which its check had something to look at: a call that fails now and then may well be disturbed besides.

use super::verdict::{CheckVerdict, Finding, Status};

/// Which findings follow from which.
struct Rule {
    /// Checks whose findings may follow, and how the messages begin that do; an empty text begins all.
    effects: &'static [(&'static str, &'static [&'static str])],
    /// Checks whose findings may be the cause.
    causes: &'static [&'static str],
    /// What else must be so.
    holds: fn(&Pair<'_>) -> bool,
}

/// A finding that may follow from another one.
struct Pair<'a> {
    effect: &'a Finding,
    cause: &'a Finding,
    all: &'a [Finding],
    checks: &'a [CheckVerdict],
}

const RULES: &[Rule] = &[
    // What a call does wrong as a rule is not put down to special circumstances as well.
    Rule {
        effects: &[
            ("environment/works-without-home", &["failed"]),
            (
                "isolation/jobs-do-not-disturb",
                &["failed", "did not run a script"],
            ),
            ("reentrancy/prepare-again", &["failed"]),
        ],
        causes: &[
            "cleanup/after-job",
            "environment/every-stage-runs",
            "environment/prepare-succeeds",
            "exit-code/script-success-is-zero",
            "exit-code/success-without-running",
            "exit-code/system-failure-for-own-trouble",
        ],
        holds: |pair| pair.same_place() && pair.often() && pair.more_often(),
    },
    // A cleanup that fails even where there is nothing to do, and after jobs in the same way, fails always.
    Rule {
        effects: &[
            ("cleanup/after-job", &[""]),
            ("cleanup/idempotent", &[""]),
            ("cleanup/without-job-env", &[""]),
        ],
        causes: &["cleanup/without-prepare"],
        holds: |pair| {
            let always = |finding: &Finding| {
                finding.check.id == "cleanup/after-job" && pair.is_as_a_rule(finding)
            };
            pair.same_place() && pair.same_ending() && pair.all.iter().any(always)
        },
    },
    // A stage that never runs does not run after a failed one either.
    Rule {
        effects: &[("environment/kept-after-failure", &[""])],
        causes: &["environment/every-stage-runs"],
        holds: |pair| pair.same_place() && pair.effect.stage.is_some(),
    },
    // What is lost between any two stages is lost after one that was ended as well.
    Rule {
        effects: &[("environment/survives-terminated-script", &[""])],
        causes: &["environment/state-persists"],
        holds: |pair| pair.as_a_rule(),
    },
    // It has said that it did not clean up; what is left is no news.
    Rule {
        effects: &[("leak-file/left-after-cleanup", &[""])],
        causes: &["cleanup/after-job"],
        holds: |pair| pair.as_a_rule(),
    },
    // The code with which a call fails that always fails is that of its failure.
    Rule {
        effects: &[
            ("exit-code/literal-exit-codes", &[""]),
            ("exit-code/no-raw-codes", &[""]),
            ("exit-code/system-failure-for-own-trouble", &[""]),
            (
                "exit-code/terminated-prepare-not-success",
                &["reported a failure of the user"],
            ),
        ],
        causes: &[
            "cleanup/after-job",
            "environment/every-stage-runs",
            "environment/kept-after-failure",
            "environment/prepare-succeeds",
        ],
        holds: |pair| pair.same_place() && pair.as_a_rule() && pair.same_ending(),
    },
    // If no stage can run at all, that none could after a prepare is no news.
    Rule {
        effects: &[(
            "exit-code/terminated-prepare-not-success",
            &["reported success"],
        )],
        causes: &["environment/every-stage-runs"],
        holds: |pair| pair.at_all_stages() && pair.as_a_rule(),
    },
    // A run that ends in one way, whatever the script does, has one defect.
    Rule {
        effects: &[(
            "exit-code/user-failure-is-build-failure",
            &["reported a system failure"],
        )],
        causes: &["exit-code/script-success-is-zero"],
        holds: |pair| pair.same_place() && pair.as_a_rule() && pair.same_ending(),
    },
    // Where the result of an earlier call is told, it is wrong for this one, and so is the code beside it.
    Rule {
        effects: &[
            ("exit-code/script-success-is-zero", &["reported a failure"]),
            ("exit-code/stale-code-file", &[""]),
            ("exit-code/code-file-holds-script-code", &[""]),
            (
                "exit-code/user-failure-is-build-failure",
                &["reported success"],
            ),
        ],
        causes: &["reentrancy/stage-again"],
        holds: |pair| pair.same_place() && pair.only_with_cause(),
    },
    // What goes on when it should have ended leaves things that no call is known to have made.
    Rule {
        effects: &[("leak-file/left-after-cleanup", &[""])],
        causes: &["signal/term-ends-work"],
        holds: |pair| pair.effect.program.is_none() && pair.only_in_cases_of("signal/"),
    },
    // No script, no output.
    Rule {
        effects: &[("output/binary-unharmed", &[""])],
        causes: &["exit-code/success-without-running"],
        holds: |pair| pair.same_place() && pair.as_a_rule(),
    },
    // What every job leaves is not left because of a signal.
    Rule {
        effects: &[("signal/term-ends-work", &["left work running"])],
        causes: &["leak-process/survives-cleanup"],
        holds: |pair| pair.same_place() && pair.cause.nothing_happened && pair.same_processes(),
    },
];

/// In how many cases at least a call has to fail to fail as a rule.
const CASES_MIN: usize = 3;
/// In how many of a hundred cases that were looked at a call has to fail to fail as a rule. A check may look at several
/// programs, so that not all of its cases are about the one that fails.
const CASES_PERCENT_MIN: usize = 60;
/// In so many words a finding says how a call ended: `exit status 1`, `signal: killed`.
const ENDING_WORDS: usize = 3;
/// At how many stages a check has to find run at fault for all of them: what fails first keeps later ones from being called.
const STAGES_MIN: usize = 3;

impl Pair<'_> {
    /// The same program, and the same stage or a check that finds fault with all of them.
    fn same_place(&self) -> bool {
        self.cause.program == self.effect.program
            && (self.cause.stage == self.effect.stage || self.at_all_stages())
    }

    /// The check of the cause has found run at fault at so many stages that the others are no better.
    fn at_all_stages(&self) -> bool {
        let same = self.all.iter().filter(|other| {
            other.check.id == self.cause.check.id && other.program == self.cause.program
        });
        let mut stages: Vec<&str> = same.filter_map(|other| other.stage.as_deref()).collect();
        stages.sort_unstable();
        stages.dedup();
        stages.len() >= STAGES_MIN
    }

    /// The effect shows in no case in which the cause does not.
    fn only_with_cause(&self) -> bool {
        let mut cases = self.effect.cases.iter();
        cases.all(|case| self.cause.cases.contains(case))
    }

    /// The effect shows in cases of one folder alone.
    fn only_in_cases_of(&self, folder: &str) -> bool {
        let mut cases = self.effect.cases.iter();
        cases.all(|case| case.starts_with(folder))
    }

    fn often(&self) -> bool {
        self.cause.cases.len() >= CASES_MIN
    }

    fn more_often(&self) -> bool {
        self.cause.cases.len() > self.effect.cases.len()
    }

    /// The call fails in most of the cases in which its check had something to look at, or at all stages.
    fn as_a_rule(&self) -> bool {
        self.often() && (self.is_as_a_rule(self.cause) || self.at_all_stages())
    }

    fn is_as_a_rule(&self, finding: &Finding) -> bool {
        let verdict = self
            .checks
            .iter()
            .find(|verdict| verdict.check.id == finding.check.id);
        let looked_at = verdict.map_or(usize::MAX, |verdict| verdict.cases);
        finding.cases.len().saturating_mul(100) >= looked_at.saturating_mul(CASES_PERCENT_MIN)
    }

    /// Both calls ended in the same way: `exit status 1` is also the beginning of `exit status 1 after exit 3 of the script`.
    fn same_ending(&self) -> bool {
        let ending = |finding: &Finding| -> Vec<String> {
            let words = finding.deviation.actual.split_whitespace();
            words.take(ENDING_WORDS).map(str::to_owned).collect()
        };
        ending(self.cause) == ending(self.effect)
    }

    /// Every process that the effect names is one of those that the cause names, by its command line.
    fn same_processes(&self) -> bool {
        let commands = |finding: &Finding| -> Vec<String> {
            let shown = finding.deviation.actual.split("; ");
            shown
                .map(|process| {
                    process
                        .split_once(": ")
                        .map_or(process, |(_, command)| command)
                })
                .map(|command| command.replace(|letter: char| letter.is_ascii_digit(), ""))
                .collect()
        };
        let known = commands(self.cause);
        commands(self.effect)
            .iter()
            .all(|command| known.contains(command))
    }
}

/// Takes back the findings that follow from others, and what their checks said.
pub(super) fn take_back(findings: &mut Vec<Finding>, checks: &mut [CheckVerdict]) {
    let causes: Vec<Option<usize>> = findings
        .iter()
        .map(|finding| cause(finding, findings, checks))
        .collect();
    let mut followed: Vec<&'static str> = Vec::new();
    let causes: Vec<Option<usize>> = (0..findings.len())
        .map(|index| {
            // A finding that fails the run does not hide behind one that does not.
            let binds = |cause: &usize| findings[*cause].check.level <= findings[index].check.level;
            first_cause(index, &causes).filter(binds)
        })
        .collect();
    for (index, cause) in causes.iter().enumerate() {
        let Some(cause) = *cause else { continue };
        followed.push(findings[index].check.id);
        let (shown_by, name) = (findings[index].cases.clone(), place(&findings[index]));
        let known = &mut findings[cause];
        for case in shown_by {
            if !known.cases.contains(&case) {
                known.cases.push(case);
            }
        }
        if !known.also_seen_as.contains(&name) {
            known.also_seen_as.push(name);
        }
    }
    let mut follows = causes.iter().map(Option::is_some);
    findings.retain(|_| !follows.next().unwrap_or(false));
    for verdict in checks
        .iter_mut()
        .filter(|verdict| followed.contains(&verdict.check.id) && verdict.status != Status::Error)
    {
        let found = findings
            .iter()
            .filter(|finding| finding.check.id == verdict.check.id);
        // It cannot be called passed: the cause stood in its way.
        verdict.status = found
            .map(|finding| finding.status)
            .max()
            .unwrap_or(Status::Skip);
    }
}

/// The finding at the beginning of a chain of causes.
fn first_cause(index: usize, causes: &[Option<usize>]) -> Option<usize> {
    let mut found = causes[index]?;
    // A chain cannot be longer than there are rules, and none leads back.
    for _ in RULES {
        match causes[found] {
            Some(further) => found = further,
            None => return Some(found),
        }
    }
    Some(found)
}

/// Where a finding is: its check, and the stage where there is one.
fn place(finding: &Finding) -> String {
    match &finding.stage {
        Some(stage) => format!("{} ({stage})", finding.check.id),
        None => finding.check.id.to_owned(),
    }
}

/// The finding that this one follows from.
fn cause(effect: &Finding, all: &[Finding], checks: &[CheckVerdict]) -> Option<usize> {
    let may_follow = |rule: &&Rule| {
        rule.effects.iter().any(|(id, messages)| {
            let message = &effect.deviation.message;
            *id == effect.check.id && messages.iter().any(|start| message.starts_with(start))
        })
    };
    RULES.iter().filter(may_follow).find_map(|rule| {
        let explains = |cause: &Finding| {
            let pair = Pair {
                effect,
                cause,
                all,
                checks,
            };
            rule.causes.contains(&cause.check.id)
                && cause.status != Status::Inconclusive
                && (rule.holds)(&pair)
        };
        let same_stage = |cause: &Finding| cause.stage == effect.stage && explains(cause);
        all.iter()
            .position(same_stage)
            .or_else(|| all.iter().position(explains))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::{Check, Deviation, Level, by_id};
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
                by_time: false,
            },
            cases: cases.collect(),
            nothing_happened: true,
            also_seen_as: Vec::new(),
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
        assert_eq!(status, Status::Skip);
        assert_eq!(
            findings[0].also_seen_as,
            ["isolation/jobs-do-not-disturb (build_script)"]
        );
        assert_eq!(findings[0].cases.len(), 11, "it has the cases of the other");
    }

    #[test]
    fn a_stage_that_never_runs_does_not_run_after_a_failed_one_either() {
        let after_failure = |stage| finding("environment/kept-after-failure", stage, "no", 1);
        let found = vec![after_failure("after_script"), never_runs("after_script", 1)];
        assert_eq!(ids(found, 9), ["environment/every-stage-runs"]);
        let found = vec![after_failure("after_script"), never_runs("step_release", 1)];
        assert_eq!(ids(found, 9).len(), 2);
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

    fn ids(mut findings: Vec<Finding>, looked_at: usize) -> Vec<&'static str> {
        let mut checks: Vec<CheckVerdict> = findings
            .iter()
            .map(|finding| CheckVerdict {
                check: finding.check,
                status: Status::Fail,
                cases: looked_at,
            })
            .collect();
        take_back(&mut findings, &mut checks);
        findings.iter().map(|finding| finding.check.id).collect()
    }

    fn of(program: Program, id: &str, cases: usize, actual: &str) -> Finding {
        let mut finding = finding(id, "", "failed", cases);
        finding.program = Some(program);
        finding.stage = None;
        finding.deviation.actual = actual.to_owned();
        finding
    }

    #[test]
    fn a_cleanup_that_always_fails_has_one_finding() {
        let found = |actual| {
            vec![
                of(
                    Program::Cleanup,
                    "cleanup/without-prepare",
                    3,
                    "exit status 1",
                ),
                of(Program::Cleanup, "cleanup/after-job", 9, actual),
                of(Program::Prepare, "leak-file/left-after-cleanup", 9, "/x"),
            ]
        };
        assert_eq!(ids(found("exit status 1"), 9), ["cleanup/without-prepare"]);
        assert_eq!(
            ids(found("exit status 2"), 9),
            ["cleanup/without-prepare", "cleanup/after-job"],
            "it fails there in another way"
        );
        assert_eq!(ids(found("exit status 1"), 90).len(), 3, "it works mostly");
    }

    #[test]
    fn what_fails_the_run_does_not_hide_behind_what_does_not() {
        let found = vec![
            of(Program::Cleanup, "cleanup/after-job", 9, "exit status 1"),
            of(
                Program::Cleanup,
                "isolation/jobs-do-not-disturb",
                3,
                "exit status 1",
            ),
        ];
        assert_eq!(ids(found.clone(), 9), ["cleanup/after-job"]);
        // No cause of the table is less than a MUST at present.
        let known = found[0].check;
        let milder: &'static Check = Box::leak(Box::new(Check {
            level: Level::Should,
            ..*known
        }));
        let mut found = found;
        found[0].check = milder;
        assert_eq!(ids(found, 9).len(), 2);
    }

    #[test]
    fn the_code_of_a_prepare_that_always_fails_is_no_defect_of_its_own() {
        let found = |program| {
            vec![
                of(
                    Program::Prepare,
                    "environment/prepare-succeeds",
                    9,
                    "exit status 1",
                ),
                of(program, "exit-code/literal-exit-codes", 9, "exit status 1"),
            ]
        };
        assert_eq!(
            ids(found(Program::Prepare), 10),
            ["environment/prepare-succeeds"]
        );
        assert_eq!(ids(found(Program::Run), 10).len(), 2);
    }

    #[test]
    fn what_every_job_leaves_is_not_blamed_on_a_signal() {
        let found = |left: &str, plain: bool| {
            let mut leak = of(
                Program::Run,
                "leak-process/survives-cleanup",
                1,
                "process 7: sleep 600",
            );
            leak.nothing_happened = plain;
            let mut signalled = of(Program::Run, "signal/term-ends-work", 6, left);
            signalled.deviation.message = "left work running that nothing ended".to_owned();
            vec![leak, signalled]
        };
        assert_eq!(
            ids(found("process 9: sleep 600", true), 9),
            ["leak-process/survives-cleanup"]
        );
        let script = "process 9: sleep 600; process 8: bash script";
        assert_eq!(
            ids(found(script, true), 9).len(),
            2,
            "the script is left as well"
        );
        assert_eq!(ids(found("process 9: sleep 600", false), 9).len(), 2);
    }

    #[test]
    fn a_chain_leads_to_its_beginning() {
        let mut found = vec![
            never_runs("build_script", 9),
            finding(
                "exit-code/system-failure-for-own-trouble",
                "build_script",
                "blamed the user",
                5,
            ),
            isolation("build_script"),
        ];
        for finding in &mut found {
            finding.deviation.actual = "exit status 1".to_owned();
        }
        assert_eq!(ids(found, 9), ["environment/every-stage-runs"]);
    }

    #[test]
    fn the_table_names_checks_that_exist_and_no_rule_leads_back() {
        for rule in RULES {
            let effects = rule.effects.iter().map(|(id, _)| id);
            for id in effects.clone().chain(rule.causes) {
                assert!(by_id(id).is_some(), "there is no check {id}");
            }
            for (id, _) in rule.effects {
                assert!(!rule.causes.contains(id), "{id} would follow from itself");
            }
        }
    }
}
