//! Runs the golden traces with real processes: the `mock` engine, and a scripted driver that records what it sees.
//!
//! Which traces are run, and whether the runner's pauses are shortened in them, is asked of the simulation: a trace that
//! takes long there is left out, and the pauses are shortened where that changes nothing but the pauses.

mod lab;
mod recording;

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use driver_conformance::contract::job::Timing;
use driver_conformance::contract::protocol::CallSpec;
use driver_conformance::engine::directories::{CaseDirectories, best_parent};
use driver_conformance::engine::mock::{CallLabel, CaseEnvironment, JobRun, run_case};
use driver_conformance::engine::simulation::behaviour::Step;
use driver_conformance::engine::simulation::record::{Record, RecordedCall};
use driver_conformance::engine::simulation::{InjectedAction, When};
use driver_conformance::golden::compare::{Difference, Moments, compare};
use driver_conformance::golden::file::GoldenFile;
use driver_conformance::golden::replay::{GoldenJobs, WORK, replay_paced, to_document};
use driver_conformance::plan::case::{JobOrder, Stimulus, StimulusAction, Trigger};
use driver_conformance::process::interrupt::Interrupt;
use driver_conformance::trace::Trace;

use lab::{Lab, LabJob};

/// At least so many traces must be run.
const TRACES_RUN_MIN: usize = 300;
/// A trace that takes longer than this in the simulation is not run.
const SIMULATED_MAX: Duration = Duration::from_secs(20);
/// What the runner's pauses are divided by where that changes nothing else.
const PACE_DIVISOR: u32 = 20;
/// Traces that run at the same time: they mostly wait.
const THREADS: usize = 20;
/// The lab watched the drivers for so long after the runner's end.
const WATCH_AFTER_RUNNER_EXIT: Duration = Duration::from_millis(6100);

/// A trace that is run.
struct Selected {
    path: PathBuf,
    text: String,
    timing: Timing,
    /// How the runner ends while a call goes on.
    runner_death: Option<RunnerDeath>,
    simulated: Duration,
}

/// The runner ends while a call goes on, this long after it began.
struct RunnerDeath {
    call: CallSpec,
    delay: Duration,
}

/// Seconds from the first call to the last end.
fn length(record: &Record) -> Duration {
    let ends = record.calls.iter().map(|call| {
        let end = call.end.as_ref().map(|(at, _)| *at);
        end.unwrap_or(call.begun).since_start()
    });
    ends.max().unwrap_or_default()
}

fn runner_death(record: &Record) -> Option<RunnerDeath> {
    let (_, exit) = record.runner_exit?;
    let outlives = |call: &&RecordedCall| match &call.end {
        None => true,
        // The pipe that breaks under a driver may do so at the very moment of the runner's end.
        Some((end, how)) => *end > exit || how == "dies by SIGPIPE",
    };
    let call = record.calls.iter().find(outlives)?;
    Some(RunnerDeath {
        call: call.spec.clone(),
        delay: exit.since(call.begun),
    })
}

/// Decides whether a trace is run; the error says why not.
fn select(path: &Path) -> Result<Selected, &'static str> {
    let text = std::fs::read_to_string(path).expect("the traces can be read");
    let file = GoldenFile::parse(&text).expect("the traces can be understood");
    let steps = file.world.behaviours.iter().flat_map(|rule| &rule.steps);
    if steps.clone().any(|step| *step == Step::RunScript) {
        return Err("its scripts need the Git server of the lab");
    }
    let replay = |timing| replay_paced(&file, timing).expect("the traces can be simulated");
    let changed = |record: &Record| {
        let replayed = to_document(&file, record);
        compare(&file.document, &replayed, Moments::LeftOut).differences
    };
    let shortened = Timing {
        pace_divisor: PACE_DIVISOR,
        ..Timing::default()
    };
    let record = replay(shortened);
    let (timing, record) = if changed(&record).is_empty() {
        (shortened, record)
    } else {
        (Timing::default(), replay(Timing::default()))
    };
    if record.calls.is_empty() && !file.world.modes.is_empty() {
        return Err("the runner loses the job before its first call, to an engine nothing happens");
    }
    let simulated = length(&record);
    if simulated > SIMULATED_MAX {
        return Err("it takes too long");
    }
    Ok(Selected {
        path: path.to_path_buf(),
        runner_death: runner_death(&record),
        text,
        timing,
        simulated,
    })
}

/// The driver, built by `cargo test` beside this test.
fn scripted_driver() -> PathBuf {
    let this = std::env::current_exe().expect("this program has a path");
    let profile = this
        .parent()
        .and_then(Path::parent)
        .expect("target/<profile>/deps");
    let driver = profile.join("examples/scripted_driver");
    assert!(
        driver.exists(),
        "{} is missing: `cargo build --example scripted_driver` makes it",
        driver.display()
    );
    driver
}

/// Puts the programs that the lab had into `bin`.
fn install_programs(work: &Path) {
    let bin = work.join("bin");
    std::fs::create_dir(&bin).expect("a directory");
    let driver = scripted_driver();
    for name in ["config_exec", "prepare_exec", "run_exec", "cleanup_exec"] {
        symlink(&driver, bin.join(name)).expect("a link");
    }
    std::fs::write(bin.join("notexec"), "#!/bin/sh\n").expect("written");
    std::fs::write(bin.join("text"), "echo no shebang\n").expect("written");
    // Copied by another process: were the file open for writing here, a process that another thread starts at that
    // moment would hold it open for a while, and it could not be executed.
    let copied = std::process::Command::new("install")
        .args(["-m", "0755"])
        .args([bin.join("text"), bin.join("noshebang")])
        .status();
    assert!(copied.is_ok_and(|status| status.success()));
}

fn stimuli(file: &GoldenFile, death: Option<&RunnerDeath>) -> Vec<Stimulus> {
    let mut stimuli: Vec<Stimulus> = death
        .map(|death| Stimulus {
            when: Trigger::CallStarted {
                program: death.call.program,
                stage: death.call.stage.clone(),
                nth: death.call.nth,
                delay: death.delay,
            },
            action: StimulusAction::RunnerKill,
        })
        .into_iter()
        .collect();
    for event in &file.world.events {
        let When::Call { call, delay, .. } = &event.when else {
            continue;
        };
        for action in &event.actions {
            let InjectedAction::KillDriver { signal, .. } = action else {
                continue;
            };
            let stage = call.stage.as_deref();
            stimuli.push(Stimulus {
                when: Trigger::CallStarted {
                    program: call.program,
                    stage: stage.map(driver_conformance::contract::stage::Stage::from_driver_name),
                    nth: call.nth.unwrap_or(1),
                    delay: *delay,
                },
                action: if *signal == libc::SIGKILL {
                    StimulusAction::DriverKill
                } else {
                    StimulusAction::DriverTerm
                },
            });
        }
    }
    stimuli
}

/// What a run gives: the engine's record, the drivers' records by job, and the outcomes.
struct Run {
    trace: Trace,
    lab: Arc<Mutex<Lab>>,
    records: Vec<String>,
    work: String,
}

fn run(selected: &Selected) -> Run {
    let directories = CaseDirectories::new_in(&best_parent()).expect("private directories");
    let root = directories.root().to_path_buf();
    let work = root.to_str().expect("UTF-8").to_owned();
    let file = GoldenFile::parse(&selected.text.replace(WORK, &work)).expect("understood");
    install_programs(&root);
    let record_directories: Vec<PathBuf> = (0..file.payloads.len())
        .map(|index| root.join(format!("record{index}")))
        .collect();
    for (directory, payload) in record_directories.iter().zip(&file.payloads) {
        std::fs::create_dir(directory).expect("a directory");
        let plan = serde_json::json!({
            "job": payload["id"],
            "behaviours": file.document["inputs"]["behaviours"],
        });
        std::fs::write(directory.join("plan.json"), plan.to_string()).expect("written");
    }
    let source = GoldenJobs::new(&file, &work, selected.timing).expect("understood");
    let lab = Arc::new(Mutex::new(Lab::new(
        &file,
        source,
        record_directories.clone(),
    )));
    let death = selected.runner_death.as_ref();
    let jobs = (0..file.payloads.len())
        .map(|index| JobRun {
            job_id: u64::try_from(index).unwrap_or_default(),
            emulation: Box::new(LabJob::new(Arc::clone(&lab), index, death.is_some())),
            stimuli: stimuli(&file, death),
            labeller: Box::new(|_| CallLabel::default()),
            job_log_listener: None,
        })
        .collect();
    let order = if file.world.concurrent > 1 {
        JobOrder::Concurrent
    } else {
        JobOrder::Sequential
    };
    let supervisor = Path::new(env!("CARGO_BIN_EXE_driver-conformance"));
    let mut environment = CaseEnvironment::new(supervisor, directories);
    environment.runner_path = format!("{work}/bin:/usr/local/bin:/usr/bin:/bin");
    environment.unwatched.clone_from(&record_directories);
    environment.survivor_grace = if death.is_some() {
        WATCH_AFTER_RUNNER_EXIT
    } else {
        Duration::from_millis(200)
    };
    let interrupt = Interrupt::new().expect("pipes");
    let trace = run_case(&environment, jobs, order, &interrupt).expect("the engine works");
    let records = record_directories
        .iter()
        .map(|directory| {
            std::fs::read_to_string(directory.join("record.jsonl")).unwrap_or_default()
        })
        .collect();
    Run {
        trace,
        lab,
        records,
        work,
    }
}

/// Runs a trace and compares it with the recording.
fn differences(selected: &Selected) -> Vec<Difference> {
    let file = GoldenFile::parse(&selected.text).expect("understood");
    let run = run(selected);
    let outcomes = {
        let lab = run.lab.lock().unwrap_or_else(PoisonError::into_inner);
        lab.outcomes.clone()
    };
    let replayed = recording::document(&file, &run.trace, &run.records, outcomes, &run.work);
    let mut differences = compare(&file.document, &replayed, Moments::LeftOut).differences;
    differences.extend(recording::contradictions(&run.trace, &run.records));
    differences
}

fn traces() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/traces/19.4");
    let only = std::env::var("GOLDEN_ONLY").ok();
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .expect("the golden traces are part of the repository")
        .map(|entry| entry.expect("the directory can be read").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .filter(|path| {
            only.as_ref()
                .is_none_or(|only| path.file_stem().is_some_and(|stem| stem == only.as_str()))
        })
        .collect();
    files.sort();
    files
}

/// Does something with each item, several at a time, in the order of the items; gives the results in that order.
fn for_each<Item: Sync, Done: Send>(
    items: &[Item],
    threads: usize,
    work: impl Fn(&Item) -> Done + Sync,
) -> Vec<Done> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(items.len()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { break };
                    let done = work(item);
                    let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                    results.push((index, done));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, done)| done).collect()
}

fn name(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Runs what differs again, alone: moments of a starved machine are no property of the engine. Gives how many those were,
/// and what differs still.
#[expect(clippy::print_stdout, reason = "what was seen only once is told, too")]
fn run_again(selected: &[Selected], first: &[Vec<Difference>]) -> (usize, Vec<String>) {
    let mut twice = 0;
    let mut failures = Vec::new();
    for (trace, found) in selected
        .iter()
        .zip(first)
        .filter(|(_, found)| !found.is_empty())
    {
        let name = name(&trace.path);
        twice += 1;
        println!("{name} differs and is run again, alone:");
        for difference in found {
            println!("  {difference}");
        }
        let again = differences(trace);
        let lines = again
            .iter()
            .map(|difference| format!("{name}: {difference}"));
        failures.extend(lines);
    }
    (twice, failures)
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "how many were run, and which were not, is part of the result"
)]
fn golden_traces_are_equal_with_real_processes() {
    let started = Instant::now();
    let mut selected = Vec::new();
    let mut left_out: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let paths = traces();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let decisions = for_each(&paths, processors, |path| select(path));
    for (path, decision) in paths.iter().zip(decisions) {
        match decision {
            Ok(trace) => selected.push(trace),
            Err(reason) => left_out.entry(reason).or_default().push(name(path)),
        }
    }
    // The longest first, so that none is waited for alone at the end.
    selected.sort_by_key(|trace| std::cmp::Reverse(trace.simulated));
    let first = for_each(&selected, THREADS, differences);
    let (twice, failures) = run_again(&selected, &first);
    for (reason, names) in &left_out {
        println!("{} not run, {reason}: {}", names.len(), names.join(", "));
    }
    let shortened = selected
        .iter()
        .filter(|trace| trace.timing.pace_divisor > 1)
        .count();
    println!(
        "{} traces run with real processes in {:.1} s, {shortened} with shortened pauses, {twice} twice; \
         {} differences",
        selected.len(),
        started.elapsed().as_secs_f64(),
        failures.len()
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(selected.len() >= TRACES_RUN_MIN || std::env::var_os("GOLDEN_ONLY").is_some());
}
