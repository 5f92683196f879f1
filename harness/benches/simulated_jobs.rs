//! How many whole jobs the simulation does in a second: twelve calls each, default behaviours.

use std::hint::black_box;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use driver_conformance::contract::build::{Build, RunnerFacts};
use driver_conformance::contract::config::RunnerConfig;
use driver_conformance::contract::exit::ExitCodes;
use driver_conformance::contract::job::{Job, JobInputs, Timing};
use driver_conformance::contract::names::NameSource;
use driver_conformance::contract::payload::JobPayload;
use driver_conformance::engine::simulation::record::Record;
use driver_conformance::engine::simulation::{JobSource, ProgramFile, Scenario, run};
use serde_json::{Value, json};

/// Calls of one job: config, prepare, nine stages, cleanup.
const JOB_CALLS: usize = 12;
/// Jobs of which the time is printed.
const JOBS_PRINTED: u32 = 10_000;
/// Jobs of one measurement.
const JOBS_MEASURED: u32 = 100;

/// Gives out one job after the other.
#[derive(Clone)]
struct Jobs {
    payload: JobPayload,
    runner: RunnerConfig,
    /// The job of which all are copies; `None`: each is made from its payload.
    original: Option<Build>,
    host_environment: Arc<[(String, String)]>,
}

impl Jobs {
    fn build(&self, concurrent_id: u32) -> Build {
        Build::new(
            self.payload.clone(),
            self.runner.clone(),
            RunnerFacts::default(),
            concurrent_id,
            concurrent_id,
        )
    }
}

impl JobSource for Jobs {
    fn count(&self) -> usize {
        1
    }

    fn id(&self, _: usize) -> i64 {
        self.payload.id
    }

    fn make(&mut self, _: usize, concurrent_id: u32, _: u32) -> Job {
        Job::new(JobInputs {
            build: self
                .original
                .clone()
                .unwrap_or_else(|| self.build(concurrent_id)),
            host_environment: Arc::clone(&self.host_environment),
            temp_root: PathBuf::from("/tmp"),
            exit_codes: ExitCodes::RUNNER,
            timing: Timing::default(),
            started_at_unix_us: 1_795_478_400_000_000,
            names: NameSource::new(1),
            probes: None,
        })
    }
}

/// A payload with about as many variables as GitLab sends, a cache, artifacts and two kinds of script.
fn payload() -> Value {
    let usual = (0..70).map(|number| {
        json!({"key": format!("CI_VARIABLE_{number}"), "value": format!("a usual value, {number}"),
               "public": true, "masked": false})
    });
    let secrets = [json!({"key": "SECRET", "value": "not-for-the-log", "masked": true})];
    let artifact = json!({"paths": ["out"], "when": "on_success"});
    json!({
        "id": 1001,
        "token": "glcbt-64_token",
        "allow_git_fetch": true,
        "job_info": {"name": "build", "stage": "test", "project_id": 7, "project_name": "proj"},
        "git_info": {"repo_url": "https://gitlab-ci-token:glcbt-64_token@gitlab.example/group/proj.git",
                     "ref": "main", "sha": "0123456789012345678901234567890123456789", "depth": 20,
                     "refspecs": ["+refs/heads/main:refs/remotes/origin/main"], "ref_type": "branch"},
        "runner_info": {"timeout": 3600},
        "variables": usual.chain(secrets).collect::<Vec<_>>(),
        "steps": [
            {"name": "script", "script": ["make", "make test"], "timeout": 3600, "when": "on_success"},
            {"name": "after_script", "script": ["make clean"], "timeout": 300, "when": "always"},
        ],
        "image": {"name": "debian:13"},
        "services": [],
        "artifacts": [artifact],
        "cache": [{"key": "default", "paths": ["vendor"], "policy": "pull-push", "when": "on_success"}],
        "credentials": [],
        "dependencies": [{"id": 1000, "name": "before", "token": "t", "artifacts_file": {"filename": "a.zip", "size": 10}}],
        "features": {"trace_sections": true, "failure_reasons": ["unknown_failure"]},
    })
}

fn jobs() -> Jobs {
    let runner = json!({
        "url": "https://gitlab.example",
        "token": "glrt-0123456789",
        "executor": "custom",
        "shell": "bash",
        "builds_dir": "/builds",
        "cache_dir": "/cache",
        "custom": {"config_exec": "/driver/config", "prepare_exec": "/driver/prepare",
                   "run_exec": "/driver/run", "cleanup_exec": "/driver/cleanup"},
    });
    let host = [
        ("PATH", "/usr/bin:/bin"),
        ("HOME", "/root"),
        ("LANG", "C.UTF-8"),
    ];
    Jobs {
        original: None,
        payload: JobPayload::from_value(payload()).expect("a payload"),
        runner: serde_json::from_value(runner).expect("settings"),
        host_environment: host
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
    }
}

fn scenario() -> Scenario {
    let programs = ["config", "prepare", "run", "cleanup"];
    Scenario {
        update_interval: Duration::from_secs(3),
        concurrent: 1,
        programs: programs
            .map(|name| (format!("/driver/{name}"), ProgramFile::Driver))
            .into(),
        ..Scenario::default()
    }
}

fn run_jobs(source: &mut Jobs, scenario: &Scenario, count: u32) {
    for _ in 0..count {
        let record: Record = run(scenario.clone(), source);
        assert_eq!(record.calls.len(), JOB_CALLS);
        black_box(record);
    }
}

/// Jobs know nothing of each other: each processor does its share.
fn run_jobs_side_by_side(source: &Jobs, scenario: &Scenario, count: u32) {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let share = count.div_ceil(u32::try_from(processors).unwrap_or(1));
    std::thread::scope(|scope| {
        for _ in 0..processors {
            let mut source = source.clone();
            scope.spawn(move || run_jobs(&mut source, scenario, share));
        }
    });
}

#[expect(
    clippy::print_stdout,
    reason = "the figure is what this program is for"
)]
fn print_rate(what: &str, source: &Jobs, scenario: &Scenario) {
    let started = Instant::now();
    run_jobs_side_by_side(source, scenario, JOBS_PRINTED);
    let elapsed = started.elapsed();
    let rate = f64::from(JOBS_PRINTED) / elapsed.as_secs_f64();
    println!(
        "{JOBS_PRINTED} jobs of {JOB_CALLS} calls, {what}: {elapsed:.2?}, {rate:.0} jobs per second (goal 10000)"
    );
}

fn simulated_jobs(criterion: &mut Criterion) {
    let scenario = scenario();
    let different = jobs();
    let copies = Jobs {
        original: Some(different.build(0)),
        ..different.clone()
    };
    let sources = [
        ("one job in many courses", copies),
        ("each made from its payload", different),
    ];
    let mut group = criterion.benchmark_group("simulated jobs of 12 calls, one thread");
    group
        .sample_size(20)
        .measurement_time(Duration::from_secs(5))
        .throughput(Throughput::Elements(u64::from(JOBS_MEASURED)));
    for (what, mut source) in sources {
        print_rate(what, &source, &scenario);
        group.bench_function(what, |bencher| {
            bencher.iter(|| run_jobs(&mut source, &scenario, JOBS_MEASURED));
        });
    }
    group.finish();
}

criterion_group!(benches, simulated_jobs);
criterion_main!(benches);
