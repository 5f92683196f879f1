//! What a call costs through the mock engine, against a bare `posix_spawn` and wait with two pipes, in one run.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use driver_conformance::contract::moment::Moment;
use driver_conformance::contract::outcome::Outcome;
use driver_conformance::contract::protocol::{
    Action, CallId, CallSpec, Emulation, Event, ScriptFile,
};
use driver_conformance::contract::stage::{Program, Stage};
use driver_conformance::engine::directories::{CaseDirectories, best_parent};
use driver_conformance::engine::mock::{CaseEnvironment, JobRun, run_case};
use driver_conformance::plan::case::JobOrder;
use driver_conformance::process::interrupt::Interrupt;

/// Calls of one job in the second comparison.
const JOB_CALLS: u32 = 12;
/// Calls over which the cost of one is averaged.
const AVERAGED_CALLS: u32 = 200;
/// Rounds of each side, taken in turns; the medians are compared.
const ROUNDS: usize = 9;

/// Makes calls of one program, one after the other, in one TMPDIR.
struct Repeated {
    temp_dir: PathBuf,
    executable: String,
    args: Vec<String>,
    environment: Vec<(String, String)>,
    with_script: bool,
    left: u32,
    next: u32,
}

impl Repeated {
    fn call(&mut self) -> Vec<Action> {
        if self.left == 0 {
            return vec![
                Action::RemoveTempDir {
                    path: self.temp_dir.clone(),
                },
                Action::Finish(Outcome::Success),
            ];
        }
        self.left -= 1;
        let number = self.next;
        self.next += 1;
        let script = self.with_script.then(|| {
            let dir = self.temp_dir.join(format!("script{number}"));
            ScriptFile {
                path: dir.join("script"),
                dir,
                text: "true\n".repeat(200).into(),
            }
        });
        vec![Action::StartCall(Box::new(CallSpec {
            id: CallId(number),
            program: Program::Run,
            stage: Some(Stage::build_script()),
            nth: number + 1,
            attempt: 1,
            executable: self.executable.clone(),
            args: self.args.clone(),
            cwd: self.temp_dir.clone(),
            environment: self.environment.clone().into(),
            script,
            exit_code_file: self.temp_dir.join("build_exit_code"),
            read_exit_code_file_on: 1,
            stdout_to_runner: false,
        }))]
    }
}

impl Emulation for Repeated {
    fn handle(&mut self, event: Event, _: Moment) -> Vec<Action> {
        match event {
            Event::Begin => vec![Action::MakeTempDir {
                path: self.temp_dir.clone(),
                response_json: "{}\n".into(),
            }],
            Event::TempDirMade | Event::CallEnded { .. } => self.call(),
            _ => Vec::new(),
        }
    }

    fn next_wake(&self) -> Option<Moment> {
        None
    }
}

/// About as many variables as a job has.
fn job_environment() -> Vec<(String, String)> {
    let path = std::env::var("PATH").unwrap_or_default();
    let usual = (0..120).map(|number| (format!("CUSTOM_ENV_{number}"), "a usual value".to_owned()));
    [("PATH".to_owned(), path)]
        .into_iter()
        .chain(usual)
        .collect()
}

fn through_engine(program: &str, args: &[&str], calls: u32, with_script: bool) -> Duration {
    let directories = CaseDirectories::new_in(&best_parent()).expect("directories");
    let environment = CaseEnvironment::new(
        Path::new(env!("CARGO_BIN_EXE_driver-conformance")),
        directories,
    );
    let interrupt = Interrupt::new().expect("pipes");
    let emulation = Repeated {
        temp_dir: environment
            .directories
            .runner_temp()
            .join("custom-executor1"),
        executable: program.to_owned(),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        environment: job_environment(),
        with_script,
        left: calls,
        next: 0,
    };
    let started = Instant::now();
    let jobs = vec![JobRun::plain(1, Box::new(emulation))];
    let trace = run_case(&environment, jobs, JobOrder::Sequential, &interrupt).expect("runs");
    let elapsed = started.elapsed();
    assert_eq!(
        trace
            .calls
            .iter()
            .filter(|call| call.ended.is_some())
            .count(),
        calls as usize
    );
    elapsed
}

/// `Command` without anything that needs a fork is `posix_spawn`; reading both pipes to their end is what a runner does.
fn bare(program: &str, args: &[&str], calls: u32) -> Duration {
    let environment = job_environment();
    // Made once: making the environment is no part of a bare start.
    let mut command = Command::new(program);
    command
        .args(args)
        .env_clear()
        .envs(environment)
        .stdin(Stdio::null());
    let started = Instant::now();
    for _ in 0..calls {
        let output = command.output().expect("runs");
        black_box(output);
    }
    started.elapsed()
}

/// A static program that does nothing, or `/bin/true` where there is no C compiler.
fn no_op_program(directory: &Path) -> String {
    let source = directory.join("no-op.c");
    let program = directory.join("no-op");
    std::fs::write(&source, "int main(void) { return 0; }\n").expect("written");
    let compiled = Command::new("cc")
        .args(["-static", "-O2", "-o"])
        .arg(&program)
        .arg(&source)
        .status()
        .is_ok_and(|status| status.success());
    let program = if compiled {
        program
    } else {
        PathBuf::from("/bin/true")
    };
    program.to_str().expect("UTF-8").to_owned()
}

fn median(mut values: Vec<Duration>) -> Duration {
    values.sort();
    values[values.len() / 2]
}

#[expect(clippy::print_stdout, reason = "the ratio is what this program is for")]
fn print_ratios(no_op: &str) {
    let mut engine = Vec::new();
    let mut spawn = Vec::new();
    let mut job = Vec::new();
    let mut job_spawn = Vec::new();
    for _ in 0..ROUNDS {
        spawn.push(bare("bash", &["-c", "true"], AVERAGED_CALLS) / AVERAGED_CALLS);
        engine
            .push(through_engine("bash", &["-c", "true"], AVERAGED_CALLS, false) / AVERAGED_CALLS);
        job_spawn.push(bare(no_op, &[], JOB_CALLS));
        job.push(through_engine(no_op, &[], JOB_CALLS, true));
    }
    let (engine, spawn) = (median(engine), median(spawn));
    let ratio = engine.as_secs_f64() / spawn.as_secs_f64();
    println!(
        "bash -c true: bare {spawn:?}, through the engine {engine:?}, ratio {ratio:.2} (goal 1.25)"
    );
    let (job, job_spawn) = (median(job), median(job_spawn));
    println!(
        "{JOB_CALLS} calls of a static no-op: bare {job_spawn:?}, as a job {job:?} (goal 12 ms)"
    );
}

fn calls(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let no_op = no_op_program(directory.path());
    print_ratios(&no_op);
    let mut group = criterion.benchmark_group("calls");
    group
        .sample_size(20)
        .measurement_time(Duration::from_secs(3));
    group.bench_function("bash -c true, bare", |bencher| {
        bencher.iter_custom(|times| {
            let times = u32::try_from(times).expect("few");
            bare("bash", &["-c", "true"], times)
        });
    });
    group.bench_function("bash -c true, through the engine", |bencher| {
        bencher.iter_custom(|times| {
            let times = u32::try_from(times).expect("few");
            through_engine("bash", &["-c", "true"], times, false)
        });
    });
    group.bench_function("job of 12 calls of a static no-op", |bencher| {
        bencher.iter(|| through_engine(&no_op, &[], JOB_CALLS, true));
    });
    group.finish();
}

criterion_group!(benches, calls);
criterion_main!(benches);
