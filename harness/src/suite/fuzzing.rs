//! The fuzzer: draws sequences, lets all checks judge them, and makes what fails as short as it can be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime};

use driver_conformance_reports::model::{Report, Verdict};
use proptest::strategy::{Strategy as _, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::driver::Driver;
use crate::fuzz::{Habits, Plan, Regression, Regressions, events, scenario};
use crate::plan::case::Case;
use crate::plan::seed::nonce;
use crate::plan::select::{Globs, escaped, select};
use crate::plan::{CaseDefaults, generated};

use super::execution::{Run, selected_checks};
use super::report::{CaseRun, assemble, without_transitions};
use super::{Progress, RunError, RunOptions, Suite};

/// Sequences that are drawn at once, for each that is run at once.
const BATCH_FACTOR: usize = 4;
/// Most runs for making one failing sequence shorter.
const SHRINK_RUNS_MAX: usize = 150;
/// How often the shortest one must fail again, each time.
const REPETITIONS: usize = 2;
/// How often a defect may show in sequences that do not fail again, before it is looked for no more.
const UNSTEADY_MAX: usize = 3;
/// The folder of the cases.
const FOLDER: &str = "fuzz";

/// The fuzzer as a suite.
#[derive(Debug, Clone)]
pub struct Fuzzer {
    /// How long to draw new sequences; 0: only those that are known are run.
    pub time: Duration,
    /// Which of the known sequences are run first; both empty: all.
    pub globs: Globs,
    /// Go on when something was found.
    pub keep_going: bool,
    /// The file of the known ones.
    pub regressions: Regressions,
}

impl Fuzzer {
    /// One that runs these known sequences and draws no others.
    pub fn of_known(regressions: Regressions, names: &[String]) -> Self {
        Self {
            time: Duration::ZERO,
            globs: Globs {
                only: names.iter().map(|name| escaped(name)).collect(),
                skip: Vec::new(),
            },
            keep_going: false,
            regressions,
        }
    }
}

/// What identifies a defect while its sequence is made shorter: the check and the program to blame.
type Key = (&'static str, Option<&'static str>);

impl Suite for Fuzzer {
    fn run(
        &self,
        driver: &Driver,
        options: &RunOptions,
        progress: &mut dyn Progress,
    ) -> Result<Report, RunError> {
        let mut options = options.clone();
        options.waivers = options.waivers.expected_nowhere();
        let run = Run::new(driver, &options)?;
        let started = (SystemTime::now(), Instant::now());
        let hanging = match run.calibrate(progress) {
            // The report says that nothing was run.
            Err(RunError::Interrupted(_)) => None,
            calibrated => calibrated?,
        };
        if hanging.is_some() {
            return Err(RunError::Refused(
                "a job to which nothing happens does not come to its end with this driver; run the suite first"
                    .to_owned(),
            ));
        }
        let mut walk = Walk {
            fuzzer: self,
            defaults: run.known_defaults(),
            run: &run,
            options: &options,
            regressions: self.regressions.clone(),
            number: 0,
            tried: 0,
            calls: 0,
            known: BTreeSet::new(),
            found: Vec::new(),
            unsteady: BTreeMap::new(),
            missing: 0,
            remarks: crate::leaks::not_watched(),
        };
        walk.known_first(progress)?;
        walk.draw(progress)?;
        Ok(walk.report(driver, started))
    }
}

struct Walk<'run> {
    fuzzer: &'run Fuzzer,
    run: &'run Run<'run>,
    options: &'run RunOptions,
    defaults: CaseDefaults,
    regressions: Regressions,
    /// Of the next case, so that each has ids of its own.
    number: u64,
    tried: usize,
    calls: usize,
    known: BTreeSet<Key>,
    /// The known sequences, and the new ones that fail.
    found: Vec<CaseRun>,
    /// Defects that showed in a sequence and not each time when it was repeated.
    unsteady: BTreeMap<Key, Unsteady>,
    /// How many known sequences were not run, because the user wanted to stop.
    missing: usize,
    remarks: Vec<String>,
}

/// A defect that shows now and then.
#[derive(Debug, Default)]
struct Unsteady {
    /// In how many sequences.
    times: usize,
    /// What the last one of them has shown.
    last: Option<CaseRun>,
}

/// The defects that a case shows beyond doubt.
fn keys(run: &CaseRun) -> BTreeSet<Key> {
    run.defects()
        .map(|found| {
            let program = found.program.map(crate::contract::stage::Program::name);
            (found.check.id, program)
        })
        .collect()
}

impl Walk<'_> {
    fn case(&mut self, name: &str, text: &str) -> Result<Case, RunError> {
        self.number += 1;
        generated(name, text, self.number, &self.defaults)
            .map_err(|error| RunError::Refused(format!("{name}: {error}")))
    }

    fn is_stopped(&self) -> bool {
        self.options.interruption.signal().is_some()
    }

    /// Runs the sequences that failed once.
    fn known_first(&mut self, progress: &mut dyn Progress) -> Result<(), RunError> {
        let known = self.regressions.known.clone();
        let names: Vec<String> = known.iter().map(|known| known.name.clone()).collect();
        let chosen = select(&self.fuzzer.globs, &names, &[])
            .map_err(|error| RunError::Refused(error.to_string()))?;
        let mut cases = Vec::new();
        for regression in known {
            if chosen.cases.contains(&regression.name) {
                cases.push(self.case(&regression.name, &regression.scenario)?);
            }
        }
        if cases.is_empty() {
            return Ok(());
        }
        let count = cases.len();
        progress.started(count);
        let mut results = self.run.until(None, cases, progress);
        self.missing = count.saturating_sub(results.len());
        for result in &mut results {
            self.note_run(result);
            self.confirm(result);
            self.known.extend(keys(result));
        }
        self.found.extend(results);
        Ok(())
    }

    fn note_run(&mut self, result: &CaseRun) {
        self.tried += 1;
        self.calls += result.calls();
    }

    /// Draws new sequences until the time is over or one fails.
    fn draw(&mut self, progress: &mut dyn Progress) -> Result<(), RunError> {
        let deadline = Instant::now() + self.fuzzer.time;
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.options.seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let failed = |error: proptest::test_runner::Reason| {
            RunError::Harness(format!("no sequence can be drawn: {error}"))
        };
        let mut drawn = BTreeSet::new();
        while Instant::now() < deadline && !self.is_stopped() {
            let mut trees = Vec::new();
            let mut cases = Vec::new();
            while cases.len() < self.options.jobs * BATCH_FACTOR {
                let habits = Habits::strategy().new_tree(&mut runner).map_err(failed)?;
                let plans = habits.current().plans();
                let tree = plans.new_tree(&mut runner).map_err(failed)?;
                let Some(text) = scenario(&tree.current()) else {
                    continue;
                };
                let name = format!("{FOLDER}/{}", name_of(&text));
                // Short sequences are drawn again and again, and tell nothing new.
                if drawn.insert(name.clone()) {
                    cases.push(self.case(&name, &text)?);
                    trees.push((name, tree));
                }
            }
            let results = self.run.until(Some(deadline), cases, &mut Silent);
            for result in &results {
                self.note_run(result);
            }
            // In the order in which they were drawn: which one is over first depends on the machine.
            for (name, tree) in trees {
                let Some(result) = results.iter().find(|result| result.case.name == name) else {
                    continue;
                };
                let new: Vec<Key> = keys(result).difference(&self.known).copied().collect();
                let Some(key) = new.first() else { continue };
                let steady = self.take_failure(tree, *key, progress)?;
                if steady && !self.fuzzer.keep_going || self.is_stopped() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Makes a failing sequence shorter, and keeps it if it fails each time: that is returned. One that does not tells little
    /// to whoever wants to see it again; another may.
    fn take_failure(
        &mut self,
        tree: impl ValueTree<Value = Plan>,
        key: Key,
        progress: &mut dyn Progress,
    ) -> Result<bool, RunError> {
        progress.note(&format!("found: {}; making its sequence shorter", key.0));
        let shortest = self.shrink(tree, key)?;
        let Some(text) = scenario(&shortest) else {
            return Ok(false);
        };
        if self.is_stopped() {
            self.remarks.push(format!(
                "{} was found, and the run was stopped before that was repeated; the sequence was:\n{text}",
                key.0
            ));
            return Ok(false);
        }
        let name = format!("{FOLDER}/{}", name_of(&text));
        let case = self.case(&name, &text)?;
        let mut result = self.run.timed(case);
        self.note_run(&result);
        if keys(&result).contains(&key) {
            self.confirm(&mut result);
        }
        if !keys(&result).contains(&key) {
            self.take_unsteady(key, result, events(&shortest));
            return Ok(false);
        }
        self.keep(&name, &text, &result, events(&shortest));
        self.known.extend(keys(&result));
        self.found.push(result);
        Ok(true)
    }

    fn take_unsteady(&mut self, key: Key, result: CaseRun, events: usize) {
        self.remarks.push(format!(
            "{} was found in a sequence of {events} events that does not fail each time, so that it is not kept",
            key.0
        ));
        let unsteady = self.unsteady.entry(key).or_default();
        unsteady.times += 1;
        if !result.shown().is_empty() {
            unsteady.last = Some(result);
        }
        if unsteady.times >= UNSTEADY_MAX {
            self.known.insert(key);
        }
    }

    /// Writes a sequence that fails each time into the driver's file.
    fn keep(&mut self, name: &str, text: &str, result: &CaseRun, events: usize) {
        let path = self.regressions.path.display().to_string();
        let added = self.regressions.add(Regression {
            name: name.to_owned(),
            checks: keys(result).iter().map(|key| key.0.to_owned()).collect(),
            seed: self.options.seed,
            scenario: text.to_owned(),
        });
        self.remarks.push(match added {
            Ok(()) => format!("{name} has {events} events and is kept in {path}"),
            Err(error) => format!("{path} cannot be written ({error}); the sequence was:\n{text}"),
        });
    }

    /// The shortest plan that still fails in the same way.
    fn shrink(
        &mut self,
        mut tree: impl ValueTree<Value = Plan>,
        key: Key,
    ) -> Result<Plan, RunError> {
        let mut shortest = tree.current();
        let mut verdicts: BTreeMap<String, bool> = BTreeMap::new();
        let mut runs = 0;
        let mut moved = tree.simplify();
        while moved && runs < SHRINK_RUNS_MAX && !self.is_stopped() {
            let fails = match scenario(&tree.current()) {
                None => false,
                Some(text) => {
                    if !verdicts.contains_key(&text) {
                        runs += 1;
                        let case = self.case(&format!("{FOLDER}/{}", name_of(&text)), &text)?;
                        let result = self.run.timed(case);
                        self.note_run(&result);
                        verdicts.insert(text.clone(), keys(&result).contains(&key));
                    }
                    verdicts.get(&text).copied().unwrap_or_default()
                }
            };
            moved = if fails {
                shortest = tree.current();
                tree.simplify()
            } else {
                tree.complicate()
            };
        }
        Ok(shortest)
    }

    /// Repeats a case. What it does not show each time is in doubt.
    fn confirm(&mut self, result: &mut CaseRun) {
        let mut sure: BTreeSet<String> = result.shown().into_iter().map(str::to_owned).collect();
        for _ in 0..REPETITIONS {
            if sure.is_empty() || self.is_stopped() {
                break;
            }
            let again = self.run.timed_again(result);
            if self.is_stopped() {
                break;
            }
            self.note_run(&again);
            sure.retain(|print| again.shown().contains(print.as_str()));
        }
        result.doubt_all_but(&sure);
    }

    fn report(self, driver: &Driver, started: (SystemTime, Instant)) -> Report {
        let Self {
            mut remarks,
            mut found,
            unsteady,
            tried,
            calls,
            missing,
            options,
            ..
        } = self;
        let never_sure = unsteady.into_iter().filter(|(key, _)| {
            let mut sure = found.iter().flat_map(keys);
            !sure.any(|found| found == *key)
        });
        let never_sure: Vec<CaseRun> = never_sure.filter_map(|(_, one)| one.last).collect();
        found.extend(never_sure);
        remarks.push(format!("{tried} sequences were run, with {calls} calls"));
        let checks = selected_checks(options);
        let times = (started.0, started.1.elapsed());
        let kept = found.len();
        let mut report = assemble(driver, options, &checks, found, times, remarks);
        without_transitions(&mut report, driver);
        for finding in &mut report.findings {
            let flags = options.reproduce.split_once(" fuzz ");
            let flags = flags.map_or("", |(_, flags)| flags);
            finding.reproduce = format!(
                "driver-conformance replay {} --driver {flags}",
                finding.case
            );
        }
        // Those that passed are not told one by one.
        report.summary.cases += tried.saturating_sub(kept);
        report.summary.passed += tried.saturating_sub(kept);
        report.summary.calls = calls;
        if let Some(partial) = &mut report.partial {
            partial.cases_missing = missing;
        }
        let all_passed =
            report.findings.is_empty() && report.summary.cases == report.summary.passed;
        if all_passed && tried > 0 && report.partial.is_none() {
            report.verdict = Verdict::Pass;
            report.exit_code = report.verdict.exit_code();
        }
        report
    }
}

/// The name of a sequence: the same for the same one.
fn name_of(text: &str) -> String {
    nonce(0, text, 0, 0)
}

/// Tells nothing: thousands of sequences pass.
struct Silent;

impl Progress for Silent {
    fn started(&mut self, _cases: usize) {}
    fn case_finished(&mut self, _case: &super::FinishedCase<'_>) {}
    fn note(&mut self, _text: &str) {}
    fn finished(&mut self) {}
}
