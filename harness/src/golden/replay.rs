//! Replaying a golden trace in the simulation, and writing the result in the trace's own form.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::contract::build::{Build, RunnerFacts};
use crate::contract::config::RunnerConfig;
use crate::contract::exit::ExitCodes;
use crate::contract::job::{Job, JobInputs, Timing};
use crate::contract::moment::Moment;
use crate::contract::names::NameSource;
use crate::contract::outcome::Outcome;
use crate::contract::payload::JobPayload;
use crate::engine::simulation::record::{Record, RecordedCall};
use crate::engine::simulation::{JobSource, run};

use super::file::GoldenFile;

/// Pauses between calls that are longer than this are listed in `gaps`, seconds.
const GAP_MIN_S: f64 = 0.7;

/// A system id and a moment as long as real ones, so that log offsets are as in the recordings.
pub(super) const SYSTEM_ID: &str = "s_0123456789ab";
const STARTED_AT_UNIX_US: u64 = 1_795_478_400_000_000;

/// What stands for the lab's scratch directory in a golden trace.
pub const WORK: &str = "<WORK>";

/// Runs the inputs of a golden trace through the simulation.
pub fn replay(file: &GoldenFile) -> Result<Record, String> {
    replay_paced(file, Timing::default())
}

/// Runs them with other times of the runner.
pub fn replay_paced(file: &GoldenFile, timing: Timing) -> Result<Record, String> {
    let mut source = GoldenJobs::new(file, WORK, timing)?;
    Ok(run(file.world.clone(), &mut source))
}

/// The jobs of a golden trace.
pub struct GoldenJobs {
    payloads: Vec<JobPayload>,
    settings: Value,
    edits: Vec<(String, String)>,
    host_environment: Vec<(String, String)>,
    temp_root: PathBuf,
    timing: Timing,
    single_job: bool,
}

impl GoldenJobs {
    /// The jobs of a file, for a runner whose scratch directory is `work`; the file must not hold [`WORK`] any more where
    /// that is a real one.
    pub fn new(file: &GoldenFile, work: &str, timing: Timing) -> Result<Self, String> {
        let payloads = file
            .payloads
            .iter()
            .enumerate()
            .map(|(index, payload)| {
                JobPayload::from_value(payload.clone())
                    .map_err(|error| format!("inputs.payloads[{index}]: {error}"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            payloads,
            settings: file.runner_settings.clone(),
            edits: file.config_edits.clone(),
            host_environment: host_environment(file, work),
            temp_root: PathBuf::from(format!("{work}/tmp")),
            timing,
            single_job: file.is_single(),
        })
    }

    /// Gives the runner's environment a variable, for the jobs made from now on.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.host_environment.retain(|(key, _)| key != name);
        self.host_environment
            .push((name.to_owned(), value.to_owned()));
    }

    fn runner_config(&self, reloads: u32) -> RunnerConfig {
        let mut text = self.settings.to_string();
        if reloads > 0 {
            for (from, to) in &self.edits {
                text = text.replace(from, to);
            }
        }
        serde_json::from_str(&text).unwrap_or_default()
    }
}

/// The environment that the lab gave to the runner.
fn host_environment(file: &GoldenFile, work: &str) -> Vec<(String, String)> {
    let usual = [
        ("PATH", format!("{work}/bin:/usr/local/bin:/usr/bin:/bin")),
        ("HOME", format!("{work}/home")),
        ("TMPDIR", format!("{work}/tmp")),
        ("LANG", "C.UTF-8".to_owned()),
        ("GOLDEN_HOST_VAR", "host-value".to_owned()),
        ("NO_PROXY", "*".to_owned()),
        ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
    ];
    usual
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .chain(file.extra_environment.iter().cloned())
        .collect()
}

impl JobSource for GoldenJobs {
    fn count(&self) -> usize {
        self.payloads.len()
    }

    fn id(&self, index: usize) -> i64 {
        self.payloads[index].id
    }

    fn make(&mut self, index: usize, concurrent_id: u32, reloads: u32) -> Job {
        let facts = RunnerFacts {
            system_id: SYSTEM_ID.into(),
            ..RunnerFacts::default()
        };
        let mut build = Build::new(
            self.payloads[index].clone(),
            self.runner_config(reloads),
            facts,
            concurrent_id,
            concurrent_id,
        );
        if self.single_job {
            build.accept_request();
        }
        Job::new(JobInputs {
            build,
            host_environment: self.host_environment.clone().into(),
            temp_root: self.temp_root.clone(),
            exit_codes: ExitCodes::RUNNER,
            timing: self.timing,
            started_at_unix_us: STARTED_AT_UNIX_US,
            names: NameSource::new(index as u64),
            probes: None,
        })
    }
}

/// A record in the form of a golden trace.
pub fn to_document(file: &GoldenFile, record: &Record) -> Value {
    let names = Names::of(record);
    let host = host_environment(file, WORK);
    let calls: Vec<Value> = record
        .calls
        .iter()
        .enumerate()
        .map(|(index, call)| call_document(&host, record, call, index, &names))
        .collect();
    let jobs: Vec<Value> = record
        .jobs
        .iter()
        .map(|job| {
            json!({
                "id": job.id,
                "outcome": job.outcome.as_ref().map(outcome_document),
                "trace_bytes": job.log.len(),
                "trace": super::normalise::job_log(&String::from_utf8_lossy(&job.log), &names),
            })
        })
        .collect();
    let runner_log: Vec<Value> = record
        .runner_log
        .iter()
        .flat_map(|entry| entry.split('\n'))
        .map(|line| Value::from(super::normalise::runner_log_line(line, &names)))
        .collect();
    json!({
        "scenario": file.scenario,
        "runner_version": "19.4.0",
        "engine": "simulation",
        "sequence": record.calls.iter().map(sequence_entry).collect::<Vec<_>>(),
        "gaps": gaps(record),
        "outcome": record.jobs.first().and_then(|job| job.outcome.as_ref()).map(outcome_document),
        "calls": calls,
        "jobs": jobs,
        "runner": record.runner_exit.map(|(code, at)| json!({"exit_code": code, "exit_t": seconds(at)})),
        "runner_log": runner_log,
    })
}

fn seconds(moment: Moment) -> f64 {
    (moment.since_start().as_secs_f64() * 100.0).round() / 100.0
}

fn sequence_entry(call: &RecordedCall) -> String {
    let name = call_name(call);
    match &call.end {
        Some((_, how)) if how == "exit 0" => name,
        Some((_, how)) => format!("{name} -> {how}"),
        None => name,
    }
}

fn call_name(call: &RecordedCall) -> String {
    call.spec
        .stage
        .as_ref()
        .map_or_else(|| call.spec.program.to_string(), ToString::to_string)
}

fn outcome_document(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Success => json!({"state": "success", "failure_reason": null, "exit_code": 0}),
        Outcome::Failed {
            reason, exit_code, ..
        } => {
            json!({"state": "failed", "failure_reason": reason.name(), "exit_code": exit_code})
        }
    }
}

/// Pauses between the end of a call and the start of the next one.
fn gaps(record: &Record) -> Vec<Value> {
    let mut gaps = Vec::new();
    for (index, pair) in record.calls.windows(2).enumerate() {
        let Some((end, _)) = &pair[0].end else {
            continue;
        };
        let pause_s = pair[1].begun.since(*end).as_secs_f64();
        if pause_s > GAP_MIN_S {
            gaps.push(
                json!({"before_call": index + 2, "seconds": (pause_s * 100.0).round() / 100.0}),
            );
        }
    }
    gaps
}

fn call_document(
    host: &[(String, String)],
    record: &Record,
    call: &RecordedCall,
    index: usize,
    names: &Names,
) -> Value {
    let spec = &call.spec;
    let mut argv = vec![program_path(&spec.executable)];
    argv.extend(spec.args.iter().map(|argument| names.replace(argument)));
    let own: Vec<String> = own_names(&spec.environment, host);
    let selected: serde_json::Map<String, Value> = spec
        .environment
        .iter()
        .map(|(key, value)| (key.clone(), Value::from(names.replace(value))))
        .collect();
    let of_job =
        |entry: &&(String, String)| entry.0.starts_with("CUSTOM_ENV_") && !host.contains(entry);
    let mut listing: Vec<(String, String)> = call
        .temp_listing
        .iter()
        .map(|(path, mode)| (names.replace(path), mode.clone()))
        .collect();
    listing.sort();
    let mut document = json!({
        "n": index + 1,
        "t": seconds(call.begun),
        "exec": spec.program.name(),
        "stage": spec.stage.as_ref().map(ToString::to_string),
        "nth": spec.nth,
        "job": record.jobs[call.job].id.to_string(),
        "argv": argv,
        "cwd": names.replace(&spec.cwd.to_string_lossy()),
        "env_own": own,
        "env_sel": selected,
        "custom_env_count": spec.environment.iter().filter(of_job).count(),
        "tmp_listing": listing,
        "signals": call.signals.iter()
            .map(|(at, name)| json!({"t": seconds(*at), "sig": name})).collect::<Vec<_>>(),
        "end": call.end.as_ref().map(|(at, how)| json!({"t": seconds(*at), "how": how})),
    });
    if let Some(script) = &spec.script {
        document["script"] = json!({
            "path": names.replace(&script.path.to_string_lossy()),
            "mode": "700",
            "dirmode": "700",
            "head": script.text.lines().next().unwrap_or_default(),
        });
    }
    document
}

/// A script sees its own path in place of a bare name: the kernel puts it there for the interpreter.
fn program_path(executable: &str) -> String {
    if executable.contains('/') {
        executable.to_owned()
    } else {
        format!("<WORK>/bin/{executable}")
    }
}

fn own_names(environment: &[(String, String)], host: &[(String, String)]) -> Vec<String> {
    let mut own: Vec<String> = environment
        .iter()
        .filter(|(key, value)| {
            !key.starts_with("CUSTOM_ENV_")
                && !host.iter().any(|(name, same)| name == key && same == value)
        })
        .map(|(key, _)| key.clone())
        .collect();
    own.sort();
    own
}

/// Placeholders for names that differ from run to run.
#[derive(Debug)]
pub struct Names {
    directories: Vec<(String, String)>,
}

impl Names {
    fn of(record: &Record) -> Self {
        let mut directories: Vec<&Path> = Vec::new();
        for call in &record.calls {
            if !directories.contains(&call.spec.cwd.as_path()) {
                directories.push(&call.spec.cwd);
            }
        }
        let placeholder = |(index, directory): (usize, &&Path)| {
            (
                directory.to_string_lossy().into_owned(),
                format!("<TMP{}>", index + 1),
            )
        };
        Self {
            directories: directories.iter().enumerate().map(placeholder).collect(),
        }
    }

    /// A text with placeholders.
    pub fn replace(&self, text: &str) -> String {
        let mut text = text.to_owned();
        if text.contains("custom-executor") {
            for (name, placeholder) in &self.directories {
                text = text.replace(name, placeholder);
            }
        }
        replace_script_directory(&text)
    }
}

/// Writes `script<R>` for `script<digits>` where it is a whole part of a path.
fn replace_script_directory(text: &str) -> String {
    let parts = text
        .split('/')
        .map(|part| match part.strip_prefix("script") {
            Some(digits)
                if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                "script<R>"
            }
            _ => part,
        });
    parts.collect::<Vec<_>>().join("/")
}
