//! How many whole jobs the simulation does in a second: twelve calls each, default behaviours, one core.

use std::hint::black_box;
use std::path::PathBuf;
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

/// The same job, again and again.
struct SameJob {
    payload: JobPayload,
    runner: RunnerConfig,
    host_environment: Vec<(String, String)>,
}

impl JobSource for SameJob {
    fn count(&self) -> usize {
        1
    }

    fn id(&self, _: usize) -> i64 {
        self.payload.id
    }

    fn make(&mut self, _: usize, concurrent_id: u32, _: u32) -> Job {
        Job::new(JobInputs {
            build: Build::new(
                self.payload.clone(),
                self.runner.clone(),
                RunnerFacts::default(),
                concurrent_id,
                concurrent_id,
            ),
            host_environment: self.host_environment.clone(),
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

fn same_job() -> SameJob {
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
    SameJob {
        payload: JobPayload::from_value(payload()).expect("a payload"),
        runner: serde_json::from_value(runner).expect("settings"),
        host_environment: host
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec(),
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

fn run_jobs(source: &mut SameJob, scenario: &Scenario, count: u32) {
    for _ in 0..count {
        let record: Record = run(scenario.clone(), source);
        assert_eq!(record.calls.len(), JOB_CALLS);
        black_box(record);
    }
}

#[expect(
    clippy::print_stdout,
    reason = "the figure is what this program is for"
)]
fn print_rate(source: &mut SameJob, scenario: &Scenario) {
    let started = Instant::now();
    run_jobs(source, scenario, JOBS_PRINTED);
    let elapsed = started.elapsed();
    let rate = f64::from(JOBS_PRINTED) / elapsed.as_secs_f64();
    println!(
        "{JOBS_PRINTED} jobs of {JOB_CALLS} calls: {elapsed:.2?}, {rate:.0} jobs per second (goal 10000)"
    );
}

fn simulated_jobs(criterion: &mut Criterion) {
    let mut source = same_job();
    let scenario = scenario();
    print_rate(&mut source, &scenario);
    let mut group = criterion.benchmark_group("simulation");
    group
        .sample_size(20)
        .measurement_time(Duration::from_secs(5))
        .throughput(Throughput::Elements(u64::from(JOBS_MEASURED)));
    group.bench_function("jobs of 12 calls", |bencher| {
        bencher.iter(|| run_jobs(&mut source, &scenario, JOBS_MEASURED));
    });
    group.finish();
}

criterion_group!(benches, simulated_jobs);
criterion_main!(benches);
