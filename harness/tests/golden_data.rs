//! The data side of the contract against what a real runner did: environments, script files, job response files.
//!
//! Each golden trace is walked call by call; the sequence itself is taken from the trace, everything else is computed.

use std::collections::BTreeMap;
use std::path::Path;

use driver_conformance::contract::build::{Build, RunnerFacts};
use driver_conformance::contract::config::RunnerConfig;
use driver_conformance::contract::environment::EnvironmentSources;
use driver_conformance::contract::exit::ExitCodes;
use driver_conformance::contract::json_config::{self, ConfigOutput};
use driver_conformance::contract::payload::JobPayload;
use driver_conformance::contract::stage::Stage;
use serde_json::Value;

const TRACES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/traces/19.4");

/// Variables of the recording driver itself.
const RECORDER_PREFIX: &str = "REC_";

/// One job of a trace on its way through the calls.
struct Job {
    build: Build,
    temp_dir: String,
    config: Option<ConfigOutput>,
    config_failed: bool,
    started: bool,
}

/// A trace being compared.
struct Comparison {
    scenario: String,
    runner: RunnerConfig,
    behaviours: Vec<Value>,
    host: Vec<(String, String)>,
    payloads: BTreeMap<String, Value>,
    jobs: BTreeMap<String, Job>,
    /// A field that a call does not have is that of the call before it.
    fields: BTreeMap<String, Value>,
    mismatches: Vec<String>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn pairs(value: Option<&Value>) -> Vec<(String, String)> {
    let members = value.and_then(Value::as_object);
    members
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), text(value)))
        .collect()
}

impl Comparison {
    fn new(trace: &Value) -> Self {
        let inputs = &trace["inputs"];
        let mut runner: RunnerConfig =
            serde_json::from_value(inputs["config"]["runner"].clone()).unwrap();
        runner.custom = serde_json::from_value(inputs["config"]["custom"].clone()).unwrap();
        runner.token = "goldentoken".into();
        runner.url = "http://<HOST>".into();
        let payloads = inputs["payloads"].as_array().unwrap().iter();
        Self {
            scenario: text(&trace["scenario"]),
            runner,
            behaviours: inputs["behaviours"].as_array().cloned().unwrap_or_default(),
            host: pairs(inputs.get("extra_env")),
            payloads: payloads
                .map(|payload| (payload["id"].to_string(), payload.clone()))
                .collect(),
            jobs: BTreeMap::new(),
            fields: BTreeMap::new(),
            mismatches: Vec::new(),
        }
    }

    fn field(&self, name: &str) -> Value {
        self.fields.get(name).cloned().unwrap_or(Value::Null)
    }

    fn mismatch(&mut self, call: &Value, what: &str, expected: &str, actual: &str) {
        let (exec, stage) = (text(&call["exec"]), text(&call["stage"]));
        self.mismatches.push(format!(
            "{} call {} {exec} {stage}: {what}: runner {expected:?}, ours {actual:?}",
            self.scenario, call["n"]
        ));
    }

    fn call(&mut self, call: &Value) {
        for (name, value) in call.as_object().unwrap() {
            self.fields.insert(name.clone(), value.clone());
        }
        let job_id = text(&self.field("job"));
        let mut job = match self.jobs.remove(&job_id) {
            Some(job) => job,
            None => self.new_job(&job_id),
        };
        self.advance(&mut job, call);
        self.compare_environment(&job, call);
        self.compare_script(&job, call);
        self.compare_response(&job, call);
        if text(&call["exec"]) == "config" {
            self.read_config(&mut job, call, &job_id);
        }
        self.jobs.insert(job_id, job);
    }

    fn new_job(&self, job_id: &str) -> Job {
        let payload = JobPayload::from_value(self.payloads[job_id].clone()).unwrap();
        let selected = self.field("env_sel");
        let id = |name: &str| text(&selected[name]).parse().unwrap_or(0);
        let mut build = Build::new(
            payload,
            self.runner.clone(),
            RunnerFacts::default(),
            id("CUSTOM_ENV_CI_CONCURRENT_ID"),
            id("CUSTOM_ENV_CI_CONCURRENT_PROJECT_ID"),
        );
        build.expand_image_and_services();
        Job {
            build,
            temp_dir: String::new(),
            config: None,
            config_failed: false,
            started: false,
        }
    }

    /// What the runner does between two calls.
    fn advance(&self, job: &mut Job, call: &Value) {
        let cwd = text(&self.field("cwd"));
        let is_config = text(&call["exec"]) == "config";
        if cwd != job.temp_dir {
            job.temp_dir = cwd;
            job.config = None;
            job.started = false;
            let has_config = self
                .runner
                .custom
                .as_ref()
                .is_some_and(|custom| !custom.config_exec.is_empty());
            // A config program that could not be started is not in the trace.
            job.config_failed = has_config && !is_config;
            if has_config {
                job.build.refresh_variables();
            }
        } else if !is_config && text(&call["exec"]) == "cleanup" && !job.started {
            // Cleanup right after config: the trace does not say why, but the variables tell whether dirs were set.
            job.config_failed |=
                text(&self.field("env_sel")["CUSTOM_ENV_CI_BUILDS_DIR"]).is_empty();
        }
        if !is_config && !job.started && !job.config_failed {
            job.started = true;
            self.start(job);
        }
        let status = text(&self.field("env_sel")["CUSTOM_ENV_CI_JOB_STATUS"]);
        if job.build.all_variables().value("CI_JOB_STATUS") != status {
            job.build.set_job_status(&status);
        }
    }

    fn start(&self, job: &mut Job) {
        let config = job.config.clone().unwrap_or_default();
        if let Some(hostname) = config.hostname {
            job.build.set_hostname(hostname);
        }
        let builds_dir = config
            .builds_dir
            .unwrap_or_else(|| self.runner.builds_dir.clone());
        let cache_dir = config
            .cache_dir
            .unwrap_or_else(|| self.runner.cache_dir.clone());
        let shared = config.builds_dir_is_shared.unwrap_or(false);
        if job
            .build
            .start_build(&builds_dir, &cache_dir, shared)
            .is_ok()
        {
            let shell = config.shell.unwrap_or_else(|| self.runner.shell.clone());
            // A failure here has its own scenarios; the environment does not depend on it.
            let _ = job.build.set_shell(&shell);
        }
    }

    fn read_config(&self, job: &mut Job, call: &Value, job_id: &str) {
        let output = self.config_stdout(call, job_id);
        match json_config::parse(&output) {
            Ok(config) if text(&call["end"]["how"]) == "exit 0" => job.config = config,
            _ => job.config_failed = true,
        }
    }

    /// What the first matching behaviour prints.
    fn config_stdout(&self, call: &Value, job_id: &str) -> Vec<u8> {
        let matches = |behaviour: &&Value| {
            let exec = &behaviour["exec"];
            let nth = &behaviour["nth"];
            let job = &behaviour["job"];
            (exec.is_null() || text(exec) == "config_exec")
                && (job.is_null() || job.to_string().trim_matches('"') == job_id)
                && match nth {
                    Value::Null => true,
                    Value::Array(numbers) => numbers.contains(&call["nth"]),
                    number => *number == call["nth"],
                }
        };
        let Some(behaviour) = self.behaviours.iter().find(matches) else {
            return Vec::new();
        };
        let mut output = Vec::new();
        for step in behaviour["do"].as_array().unwrap() {
            if let Some(json) = step.get("json") {
                output.extend(json.to_string().bytes());
            }
            if let Some(printed) = step.get("print").filter(|_| text(&step["to"]) != "stderr") {
                let times = step["times"].as_u64().unwrap_or(1);
                let printed = text(printed);
                (0..times).for_each(|_| output.extend(printed.bytes()));
            }
        }
        output
    }

    fn compare_environment(&mut self, job: &Job, call: &Value) {
        let job_env = match &job.config {
            Some(config) if !job.config_failed => config.job_env.clone().unwrap_or_default(),
            _ => Vec::new(),
        };
        let composed = job.build.call_environment(&EnvironmentSources {
            host: self.host.clone().into(),
            temp_dir: job.temp_dir.clone(),
            exit_codes: ExitCodes::RUNNER,
            exit_code_file: format!("{}/build_exit_code", job.temp_dir),
            response_file: format!("{}/response.json", job.temp_dir),
            job_env,
        });
        let environment: BTreeMap<String, String> = composed.iter().cloned().collect();
        for (name, expected) in pairs(Some(&self.field("env_sel"))) {
            let actual = environment
                .get(&name)
                .cloned()
                .unwrap_or_else(|| "<absent>".into());
            if actual != expected && !is_of_recorder(&name) {
                self.mismatch(call, &name, &expected, &actual);
            }
        }
        let count = environment
            .iter()
            .filter(|(name, _)| name.starts_with("CUSTOM_ENV_"))
            // The recorder did not count what the runner's own environment had before.
            .filter(|(name, value)| !self.host.contains(&((*name).clone(), (*value).clone())))
            .count();
        let expected = self.field("custom_env_count");
        if expected
            .as_u64()
            .is_some_and(|expected| expected != count as u64)
        {
            self.mismatch(
                call,
                "custom_env_count",
                &expected.to_string(),
                &count.to_string(),
            );
        }
        let full: BTreeMap<String, String> = pairs(call.get("env_full")).into_iter().collect();
        if !full.is_empty() && full != environment {
            self.mismatch(
                call,
                "env_full",
                &format!("{full:?}"),
                &format!("{environment:?}"),
            );
        }
    }

    fn compare_script(&mut self, job: &Job, call: &Value) {
        let Some(script) = call.get("script").filter(|script| script.is_object()) else {
            return;
        };
        let stage = Stage::from_driver_name(&text(&call["stage"]));
        let path = text(&script["path"]);
        let extension = path
            .rsplit('/')
            .next()
            .unwrap()
            .strip_prefix("script")
            .unwrap()
            .trim_start_matches('.');
        if extension != job.build.script_extension() {
            self.mismatch(call, "extension", extension, job.build.script_extension());
        }
        let head = match job.build.script(&stage) {
            Ok(Some(text)) => text.lines().next().unwrap_or_default().to_owned(),
            Ok(None) => "<skipped>".into(),
            Err(error) => format!("<{error}>"),
        };
        let expected = text(&script["head"]);
        let head = head
            .replace("$(hostname)", "<HOSTNAME>")
            .replace("$([Environment]::MachineName)", "<HOSTNAME>");
        if head != expected.trim_end_matches('\r') {
            self.mismatch(call, "script head", &expected, &head);
        }
    }

    fn compare_response(&mut self, job: &Job, call: &Value) {
        // Without keys the recorder could not read the file: `job_env` had named another one.
        let Some(expected) = call
            .get("job_response")
            .filter(|response| response["keys"].is_array())
        else {
            return;
        };
        let response: Value = serde_json::from_str(&job.build.payload().response_json()).unwrap();
        let mut keys: Vec<&str> = response
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        keys.sort_unstable();
        let expected_keys: Vec<String> = expected["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(text)
            .collect();
        if keys != expected_keys {
            self.mismatch(
                call,
                "response keys",
                &format!("{expected_keys:?}"),
                &format!("{keys:?}"),
            );
        }
        for name in ["id", "token"] {
            if response[name] != expected[name] {
                self.mismatch(
                    call,
                    name,
                    &expected[name].to_string(),
                    &response[name].to_string(),
                );
            }
        }
    }
}

fn is_of_recorder(name: &str) -> bool {
    name.starts_with(RECORDER_PREFIX) || name == "PATH" || name == "GOLDEN_HOST_VAR"
}

/// Long texts stand in the traces as `{"$repeat": [text, times]}`.
fn expand_repetitions(value: &mut Value) {
    if let Some(repetition) = value.get("$repeat") {
        let times = usize::try_from(repetition[1].as_u64().unwrap()).unwrap();
        *value = Value::String(text(&repetition[0]).repeat(times));
        return;
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(expand_repetitions),
        Value::Object(members) => members.values_mut().for_each(expand_repetitions),
        _ => {}
    }
}

/// Bytes that are no text stand in the traces as halves of surrogate pairs, which `serde_json` refuses.
fn without_lone_surrogates(json: &str) -> String {
    let code = |position: usize| {
        let escape = json.get(position..position + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(escape, 16)
            .ok()
            .filter(|code| (0xd800..0xe000).contains(code))
    };
    let mut cleaned = String::with_capacity(json.len());
    let mut rest = 0;
    while let Some(offset) = json[rest..].find('\\') {
        let escape = rest + offset;
        cleaned.push_str(&json[rest..escape]);
        let is_pair = code(escape).is_some_and(|high| high < 0xdc00)
            && code(escape + 6).is_some_and(|low| low >= 0xdc00);
        let width = match code(escape) {
            _ if is_pair => 12,
            Some(_) => 6,
            None => 2,
        };
        cleaned.push_str(if width == 6 {
            "\\ufffd"
        } else {
            &json[escape..escape + width]
        });
        rest = escape + width;
    }
    cleaned.push_str(&json[rest..]);
    cleaned
}

#[test]
fn environments_scripts_and_responses_are_those_of_the_real_runner() {
    let mut traces: Vec<_> = Path::new(TRACES)
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    traces.sort();
    assert!(traces.len() > 300, "the golden traces are missing");
    let mut mismatches = Vec::new();
    let mut calls = 0;
    for path in traces {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut trace: Value = serde_json::from_str(&without_lone_surrogates(&text)).unwrap();
        expand_repetitions(&mut trace);
        let mut comparison = Comparison::new(&trace);
        for call in trace["calls"].as_array().unwrap() {
            comparison.call(call);
            calls += 1;
        }
        mismatches.append(&mut comparison.mismatches);
    }
    assert!(calls > 2000, "only {calls} calls compared");
    assert!(
        mismatches.is_empty(),
        "{} mismatches:\n{}",
        mismatches.len(),
        mismatches.join("\n")
    );
}

/// The scripts the runner really had, as the shell showed them before it ran them: one `eval` text per call, the second
/// one cut off where the trace was cut.
fn traced_scripts(job_log: &str) -> Vec<String> {
    const PREFIX: &str = "<TS> 01E ";
    let mut scripts = Vec::new();
    let mut lines = job_log.lines();
    while let Some(line) = lines.next() {
        let Some(first) = line
            .strip_prefix(PREFIX)
            .and_then(|line| line.strip_prefix("+ eval '"))
        else {
            continue;
        };
        let mut script = first.to_owned();
        for line in lines.by_ref() {
            match line.strip_prefix(PREFIX) {
                Some("'") | None => break,
                Some(line) => {
                    script.push('\n');
                    script.push_str(line);
                }
            }
        }
        scripts.push(script.replace(r"'\''", "'"));
    }
    scripts
}

#[test]
fn script_texts_are_those_of_the_real_runner() {
    let path = Path::new(TRACES).join("var_debug_trace_real.json");
    let trace: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let comparison = Comparison::new(&trace);
    let payload = JobPayload::from_value(trace["inputs"]["payloads"][0].clone()).unwrap();
    let facts = RunnerFacts {
        correlation_id: "<HEX32>".into(),
        ..RunnerFacts::default()
    };
    let mut build = Build::new(payload, comparison.runner.clone(), facts, 0, 0);
    build.expand_image_and_services();
    // The placeholder must stand for an absolute path here, one without letters that a shell wants quoted.
    let absolute = |path: &str| path.replace("<WORK>", "/WORK");
    let (builds_dir, cache_dir) = (&comparison.runner.builds_dir, &comparison.runner.cache_dir);
    build
        .start_build(&absolute(builds_dir), &absolute(cache_dir), false)
        .unwrap();
    let traced = traced_scripts(&text(&trace["jobs"][0]["trace"]));
    assert!(traced.len() >= 2, "{traced:?}");
    for (traced, stage) in traced.iter().zip([Stage::PrepareScript, Stage::GetSources]) {
        let body = build.script_body(&stage).unwrap().unwrap();
        let body = body.replace("/WORK", "<WORK>");
        let shown = body
            .replace("$(hostname)", "<HOSTNAME>")
            .replace(&build.payload().token, "[MASKED]");
        // The last line may be cut in its middle.
        let complete = traced
            .rsplit_once('\n')
            .map_or(traced.as_str(), |(complete, _)| complete);
        assert!(
            shown.starts_with(complete),
            "{stage}: {traced}\n---\n{shown}"
        );
    }
}
