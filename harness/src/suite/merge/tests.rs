//! Runs that were divided and joined again.

use std::time::{Duration, SystemTime};

use driver_conformance_reports::model::{Partial, ShardMethod, Verdict};
use proptest::prelude::*;

use super::*;
use crate::checks::testing::{SYSTEM_FAILURE, Scene, exits};
use crate::checks::verdict::CaseResult as Judged;
use crate::plan::shard::Shard as Part;
use crate::plan::waiver::Waivers;
use crate::suite::report::{CaseRun, assemble};
use crate::suite::{Interruption, RunOptions};

/// What a made-up case shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shows {
    Nothing,
    WrongExitCode,
    CleanupFails,
    /// In doubt: the machine was busy.
    Doubt,
    OurError,
}

fn scene(shows: Shows) -> Scene {
    let scene = Scene::new().call(Program::Prepare, 0);
    match shows {
        Shows::Nothing | Shows::OurError => scene.call(Program::Cleanup, 0),
        Shows::WrongExitCode => scene
            .run("build_script", exits(3), SYSTEM_FAILURE)
            .call(Program::Cleanup, 0),
        Shows::CleanupFails => scene.call(Program::Cleanup, 1),
        Shows::Doubt => {
            let mut scene = scene.call(Program::Cleanup, 143).terminated();
            scene.trace.scheduling_delay_max = Duration::from_secs(5);
            scene
        }
    }
}

fn options(shard: Option<Part>, names: &[String]) -> RunOptions {
    RunOptions {
        cases: names.to_vec(),
        checks: Vec::new(),
        seed: 1,
        jobs: 1,
        strict: false,
        waivers: Waivers::default(),
        reproduce: "driver-conformance ./driver".to_owned(),
        interruption: Interruption::default(),
        shard: shard.map(|shard| (shard, names.to_vec())),
        keep: None,
        stand_alone: None,
    }
}

/// The report of the cases that are in a part, or of all.
fn report(cases: &[(String, Shows)], part: Option<Part>) -> Report {
    let names: Vec<String> = cases.iter().map(|(name, _)| name.clone()).collect();
    let options = options(part, &names);
    let mine = part.map_or(names.clone(), |part| part.part_of(&names));
    let runs = cases.iter().filter(|(name, _)| mine.contains(name));
    let runs = runs.map(|(name, shows)| {
        let mut scene = scene(*shows);
        scene.case.name.clone_from(name);
        let result = match shows {
            Shows::OurError => Judged::Failed("no more processes".to_owned()),
            _ => Judged::Done(Box::new(scene.trace)),
        };
        CaseRun::judge(
            scene.case,
            &result,
            Duration::from_millis(5),
            checks::all(),
            &options,
        )
    });
    let driver = crate::suite::report::tests::driver();
    let times = (SystemTime::UNIX_EPOCH, Duration::from_millis(9));
    assemble(
        &driver,
        &options,
        checks::all(),
        runs.collect(),
        times,
        Vec::new(),
    )
}

fn cases(shown: &[Shows]) -> Vec<(String, Shows)> {
    let numbered = shown.iter().enumerate();
    numbered
        .map(|(number, shows)| (format!("theme/case-{number:02}"), *shows))
        .collect()
}

fn parts(cases: &[(String, Shows)], method: ShardMethod, count: usize) -> Vec<(String, Report)> {
    let parts = (1..=count).map(|index| Part {
        method,
        index,
        count,
    });
    parts
        .map(|part| {
            (
                format!("part-{}.json", part.index),
                report(cases, Some(part)),
            )
        })
        .collect()
}

/// Notes about cases are gathered within each part, and so are middles of times.
fn comparable(mut report: Report) -> Report {
    report.notes.clear();
    report.durations.clear();
    report
}

proptest! {
    // Each applies every check several times over.
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_parts_together_are_the_whole(
        shown in proptest::collection::vec(
            prop_oneof![
                Just(Shows::Nothing),
                Just(Shows::WrongExitCode),
                Just(Shows::CleanupFails),
                Just(Shows::Doubt),
                Just(Shows::OurError),
            ],
            1..14,
        ),
        count in 1_usize..5,
        hash in any::<bool>(),
    ) {
        let method = if hash { ShardMethod::Hash } else { ShardMethod::Slice };
        let cases = cases(&shown);
        let mut given = parts(&cases, method, count);
        // In whatever order they come.
        given.reverse();
        let merged = merge(given).expect("they are all there");
        prop_assert_eq!(comparable(merged), comparable(report(&cases, None)));
    }
}

#[test]
fn gaps_overlaps_and_strangers_are_refused() {
    let cases = cases(&[Shows::Nothing; 6]);
    let whole = || parts(&cases, ShardMethod::Slice, 3);
    let refused = |reports: Vec<(String, Report)>| merge(reports).expect_err("refused").to_string();

    let mut gap = whole();
    gap.remove(1);
    assert_eq!(refused(gap), "of 3 shards, these are missing: 2");

    let mut overlap = whole();
    overlap.push(overlap[0].clone());
    assert!(refused(overlap).contains("are both shard 1"));

    let mut stranger = whole();
    "sha256:other".clone_into(&mut stranger[2].1.driver.digest);
    assert!(refused(stranger).contains("the digest of the driver differs"));

    let mut other_cases = whole();
    let more = super::tests::cases(&[Shows::Nothing; 7]);
    other_cases[1] = parts(&more, ShardMethod::Slice, 3).remove(1);
    assert!(refused(other_cases).contains("the selection of cases differs"));

    let mut other_method = whole();
    other_method[2] = parts(&cases, ShardMethod::Hash, 3).remove(2);
    assert!(refused(other_method).contains("the method of sharding differs"));

    let mut stopped = whole();
    stopped[0].1.partial = Some(Partial {
        reason: "SIGTERM".to_owned(),
        cases_missing: 2,
    });
    assert!(refused(stopped).contains("part-1.json was stopped by SIGTERM: 2 of its cases"));

    let alone = vec![("all.json".to_owned(), report(&cases, None))];
    assert!(refused(alone).contains("all.json is no shard"));
    assert!(merge(Vec::new()).is_err());
}

#[test]
fn a_defect_in_one_part_fails_the_whole() {
    let cases = cases(&[
        Shows::Nothing,
        Shows::Nothing,
        Shows::Nothing,
        Shows::WrongExitCode,
    ]);
    let merged = merge(parts(&cases, ShardMethod::Slice, 2)).expect("they are all there");
    assert_eq!((merged.verdict, merged.exit_code), (Verdict::Fail, 1));
    assert_eq!(merged.summary.cases, 4);
    assert!(merged.shard.is_none());
}
