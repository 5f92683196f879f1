//! A case made ready to run: its jobs with payload, settings, scripts and labels.

use std::collections::BTreeMap;
use std::path::Path;

use crate::contract::build::{Build, RunnerFacts};
use crate::contract::job::{CallSequence, Job, JobInputs, ProbeScripts, SequenceCall, Timing};
use crate::contract::names::NameSource;
use crate::contract::payload::JobPayload;
use crate::contract::protocol::{CallSpec, Emulation};
use crate::contract::stage::Stage;
use crate::driver::tools::find_in_path;
use crate::engine::directories::CaseDirectories;
use crate::engine::mock::{CallLabel, JobRun};
use crate::engine::secrets::Secret;
use crate::plan::case::{Case, CaseJob, HostEnvironment, PlannedCall, Probe, Sequence};
use crate::plan::concurrent_project_id;
use crate::plan::probe;
use crate::plan::seed::nonce;

use super::payload::{SERVER, job_token, payload};
use super::runner_settings;

/// The runner's pauses are this many times shorter than real ones; their order stays.
const PACE_DIVISOR: u32 = 100;

/// What makes the same case different in two runs.
#[derive(Debug, Clone)]
pub(super) struct CaseContext<'run> {
    /// Seed of everything drawn.
    pub seed: u64,
    /// Whether directories of the harness take the place of an empty `builds_dir` and `cache_dir`.
    pub provide_directories: bool,
    /// PATH of the emulated runner.
    pub runner_path: &'run str,
    /// What its process has in its environment beside what every case gives it.
    pub host_environment: &'run [(String, String)],
    /// Wall clock, microseconds since the Unix epoch.
    pub now_unix_us: u64,
}

/// The jobs of a case, ready for the mock engine. Fails with the reason if a payload makes no sense.
pub(super) fn job_runs(
    case: &Case,
    context: &CaseContext<'_>,
    directories: &CaseDirectories,
) -> Result<Vec<JobRun>, String> {
    let jobs = case.jobs.iter().enumerate();
    jobs.map(|(index, job)| job_run(case, index, job, context, directories))
        .collect()
}

fn job_run(
    case: &Case,
    index: usize,
    job: &CaseJob,
    context: &CaseContext<'_>,
    directories: &CaseDirectories,
) -> Result<JobRun, String> {
    let scripts = Scripts::new(case, index, job, context.seed);
    let labels = scripts.clone();
    let inputs = JobInputs {
        build: build(job, context, directories)?,
        host_environment: host_environment(job, context, directories).into(),
        temp_root: if job.blank_in_temp_dir {
            directories.blank_temp()
        } else {
            directories.runner_temp()
        },
        exit_codes: job.exit_codes,
        timing: Timing {
            pace_divisor: PACE_DIVISOR,
            ..Timing::default()
        },
        started_at_unix_us: context.now_unix_us,
        names: NameSource::new(context.seed ^ job.job_id),
        probes: Some(Box::new(scripts)),
    };
    let emulation: Box<dyn Emulation> = match &job.sequence {
        Sequence::Job(_) => Box::new(Job::new(inputs)),
        Sequence::Calls(calls) => Box::new(CallSequence::new(
            inputs,
            calls.iter().map(sequence_call).collect(),
        )),
    };
    Ok(JobRun {
        job_id: job.job_id,
        emulation,
        stimuli: job.stimuli.clone(),
        labeller: Box::new(move |spec| labels.label(spec)),
        job_log_listener: None,
    })
}

fn sequence_call(call: &PlannedCall) -> SequenceCall {
    SequenceCall {
        program: call.program,
        stage: call.stage.clone(),
        new_attempt: call.new_attempt,
        without_job_env: call.without_job_env,
        helpers_killed: call.helpers_killed,
    }
}

fn build(
    job: &CaseJob,
    context: &CaseContext<'_>,
    directories: &CaseDirectories,
) -> Result<Build, String> {
    let mut job = job.clone();
    for (_, value) in &mut job.variables {
        *value = value.replace(KEEPSAKES, &directories.keepsakes().to_string_lossy());
    }
    let job = &job;
    let payload = JobPayload::from_value(payload(job))?;
    let mut config =
        runner_settings::complete(job.runner.clone(), context.provide_directories, directories);
    if config.url.is_empty() {
        // A runner without one uploads no artifacts, and two stages would never come.
        SERVER.clone_into(&mut config.url);
    }
    Ok(Build::new(
        payload,
        config,
        RunnerFacts::default(),
        job.concurrent_id,
        concurrent_project_id(job),
    ))
}

/// How the values of the suite's own secrets begin.
const CANARY: &str = "canary-";
/// What stands for the directory of somebody else in the value of a variable. All paths that a case leads a driver to lie
/// in its own directories: a broken driver may remove what it finds there.
const KEEPSAKES: &str = "@keepsakes@";

/// What stands for the token of the job in what a script holds.
const TOKEN: &str = "@token@";

/// The secrets that a case looks for.
pub(super) fn secrets(case: &Case) -> Vec<Secret> {
    if !case.surroundings.watch_secrets {
        return Vec::new();
    }
    let of_job = |job: &CaseJob| {
        let own = job.variables.iter();
        let own = own.filter(|(_, value)| value.starts_with(CANARY));
        let mut found: Vec<Secret> = own
            .map(|(name, value)| Secret {
                name: name.clone(),
                value: value.clone(),
                drawn: false,
            })
            .collect();
        found.push(Secret {
            name: "CI_JOB_TOKEN".to_owned(),
            value: job_token(job.job_id),
            drawn: true,
        });
        found
    };
    case.jobs.iter().flat_map(of_job).collect()
}

/// The environment of the emulated runner. PWD is never the working directory of a call (B3).
fn host_environment(
    job: &CaseJob,
    context: &CaseContext<'_>,
    directories: &CaseDirectories,
) -> Vec<(String, String)> {
    let mut environment = context.host_environment.to_vec();
    environment.push(("PATH".to_owned(), context.runner_path.to_owned()));
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let home = match job.host_environment {
        HostEnvironment::Minimal => return environment,
        HostEnvironment::Usual => text(&directories.home()),
        HostEnvironment::UnusableHome => text(&directories.no_directory()),
    };
    environment.extend([
        ("HOME".to_owned(), home),
        ("USER".to_owned(), "gitlab-runner".to_owned()),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
        ("PWD".to_owned(), text(&directories.start_directory())),
    ]);
    environment
}

/// The probe scripts of one job.
#[derive(Debug, Clone)]
struct Scripts {
    seed: u64,
    case: String,
    job: usize,
    token: String,
    by_stage: BTreeMap<Stage, Probe>,
    by_call: BTreeMap<(Stage, u32), Probe>,
}

impl Scripts {
    fn new(case: &Case, index: usize, job: &CaseJob, seed: u64) -> Self {
        let mut by_call = BTreeMap::new();
        let mut counts: BTreeMap<Stage, u32> = BTreeMap::new();
        let calls = match &job.sequence {
            Sequence::Calls(calls) => calls.as_slice(),
            Sequence::Job(_) => &[],
        };
        for call in calls {
            let Some(stage) = &call.stage else { continue };
            let nth = counts.entry(stage.clone()).or_insert(0);
            *nth += 1;
            if let Some(probe) = &call.probe {
                by_call.insert((stage.clone(), *nth), probe.clone());
            }
        }
        Self {
            seed,
            case: case.name.clone(),
            job: index,
            token: job_token(job.job_id),
            by_stage: job.probes.clone(),
            by_call,
        }
    }

    fn probe(&self, stage: &Stage, nth: u32) -> Probe {
        let mut probe = self
            .by_call
            .get(&(stage.clone(), nth))
            .or_else(|| self.by_stage.get(stage))
            .cloned()
            .unwrap_or_default();
        // A tool that this machine lacks is no fault of a driver that runs its jobs here.
        probe.look_for.retain(|tool| find_in_path(tool).is_some());
        if let Some(held) = &mut probe.holds {
            *held = held.replace(TOKEN, &self.token);
        }
        probe
    }

    fn nonce(&self, stage: &Stage, nth: u32) -> String {
        let place = format!("{}\u{0}{stage}", self.case);
        nonce(self.seed, &place, self.job, nth as usize)
    }

    fn label(&self, spec: &CallSpec) -> CallLabel {
        match &spec.stage {
            Some(stage) => CallLabel {
                nonce: Some(self.nonce(stage, spec.nth)),
                probe: Some(self.probe(stage, spec.nth)),
            },
            None => CallLabel::default(),
        }
    }
}

impl ProbeScripts for Scripts {
    fn body(&self, stage: &Stage, nth: u32, project_dir: &str) -> String {
        let nonce = self.nonce(stage, nth);
        probe::body(&self.probe(stage, nth), &nonce, stage, project_dir)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::contract::config::{CustomConfig, RunnerConfig};
    use crate::contract::moment::Moment;
    use crate::contract::protocol::{Action, CallId, Event};
    use crate::plan::patience::ENDING_CALL_SECONDS_MIN;
    use crate::plan::{Calibration, CaseDefaults, load_cases};

    #[test]
    fn the_time_in_which_a_call_waits_for_its_turn_does_not_count() {
        let defaults = CaseDefaults {
            runner: RunnerConfig {
                custom: Some(CustomConfig {
                    run_exec: "/run".into(),
                    cleanup_exec: "/cleanup".into(),
                    ..CustomConfig::default()
                }),
                ..RunnerConfig::default()
            },
            calibration: Calibration::default(),
            variables: Vec::new(),
            image: None,
            services: Vec::new(),
        };
        let cases = load_cases(&defaults).expect("the embedded scenarios make sense");
        let case = cases.iter().find(|case| case.name == "cleanup/first");
        let parent = tempfile::tempdir().expect("a directory");
        let directories = CaseDirectories::new_in(parent.path()).expect("directories");
        let context = CaseContext {
            seed: 1,
            provide_directories: true,
            host_environment: &[],
            runner_path: "/bin",
            now_unix_us: 0,
        };
        let mut runs =
            job_runs(case.expect("there is one"), &context, &directories).expect("a job");
        let emulation = &mut runs[0].emulation;
        let at = |seconds| Moment::after_start(Duration::from_secs(seconds));
        emulation.handle(Event::Begin, at(0));
        let actions = emulation.handle(Event::TempDirMade, at(0));
        assert!(matches!(actions.last(), Some(Action::StartCall(_))));
        emulation.handle(Event::Wake, at(100));
        let started = Event::CallStarted {
            call: CallId(0),
            pid: 7,
        };
        let actions = emulation.handle(started, at(100));
        assert!(actions.is_empty(), "{actions:?}");
        let time_is_up = at(100 + ENDING_CALL_SECONDS_MIN);
        assert_eq!(emulation.next_wake(), Some(time_is_up));
    }
}
