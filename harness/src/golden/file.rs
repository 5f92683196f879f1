//! Reading a golden trace file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};

use crate::contract::config::{GlobalConfig, RunnerConfig};
use crate::contract::protocol::RunnerLogLevel;
use crate::contract::runner_process::{RunnerSignal, StartupFacts};
use crate::engine::simulation::behaviour::{Behaviour, as_id, parse_behaviours, parse_program};
use crate::engine::simulation::coordinator::Mode;
use crate::engine::simulation::{
    CallPoint, CallSelector, InjectedAction, InjectedEvent, ProgramFile, Scenario, When,
};

/// Private-use characters that stand for bytes which are not UTF-8: the traces write such bytes as lone surrogates,
/// which no JSON parser takes.
const RAW_BYTE_BASE: u32 = 0xF700;

/// Why a golden file could not be understood.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    /// It could not be read.
    #[error("{path}: {source}")]
    Read {
        /// File.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// It is no golden trace.
    #[error("{path}: {problem}")]
    Format {
        /// File.
        path: PathBuf,
        /// What is wrong, and where.
        problem: String,
    },
}

/// A golden trace.
#[derive(Debug)]
pub struct GoldenFile {
    /// Name of the recorded situation.
    pub scenario: String,
    /// Settings of the runner, as JSON with the keys of `config.toml`.
    pub runner_settings: Value,
    /// Top level of `config.toml`.
    pub global: GlobalConfig,
    /// Job payloads as GitLab sent them.
    pub payloads: Vec<Value>,
    /// Added to the runner's environment.
    pub extra_environment: Vec<(String, String)>,
    /// Replacements in the configuration, in effect from the first reload on.
    pub config_edits: Vec<(String, String)>,
    /// The world around the runner.
    pub world: Scenario,
    /// The whole file.
    pub document: Value,
}

impl GoldenFile {
    /// Whether the runner was started for a single job, by `run-single`.
    pub fn is_single(&self) -> bool {
        is_single(&self.document["inputs"])
    }

    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, GoldenError> {
        let text = std::fs::read_to_string(path).map_err(|source| GoldenError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text).map_err(|problem| GoldenError::Format {
            path: path.to_owned(),
            problem,
        })
    }

    /// Reads the text of a file; the error says what is wrong and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        let document: Value = serde_json::from_str(&without_lone_surrogates(text))
            .map_err(|error| format!("not JSON: {error}"))?;
        let document = expand_repeats(document);
        let inputs = document
            .get("inputs")
            .ok_or("no `inputs`: this is not a golden trace")?;
        let config = inputs.get("config").ok_or("no `inputs.config`")?;
        let runner_settings = runner_settings(config);
        let runner: RunnerConfig = serde_json::from_value(runner_settings.clone())
            .map_err(|error| format!("inputs.config: {error}"))?;
        let global: GlobalConfig = serde_json::from_value(without_nulls(
            config.get("global").cloned().unwrap_or_default(),
        ))
        .map_err(|error| format!("inputs.config.global: {error}"))?;
        let payloads = inputs.get("payloads").and_then(Value::as_array);
        let payloads = payloads.ok_or("no `inputs.payloads`")?.clone();
        let (events, config_edits) = parse_events(inputs.get("events"))?;
        let world = Scenario {
            behaviours: behaviours(inputs)?,
            events,
            modes: list(inputs, "initial_modes")
                .iter()
                .filter_map(Mode::parse)
                .collect(),
            final_codes: list(inputs, "final_codes")
                .iter()
                .filter_map(|code| u16::try_from(code.as_u64()?).ok())
                .collect(),
            update_interval: Duration::from_secs(
                inputs
                    .get("update_interval_s")
                    .and_then(Value::as_u64)
                    .unwrap_or(3),
            ),
            concurrent: if is_true(inputs, "gap_jobs") {
                1
            } else {
                global.concurrent
            },
            limit: u32::try_from(runner.limit).ok().filter(|limit| *limit > 0),
            check_interval: Duration::from_secs(u64::from(global.check_interval)),
            shutdown_timeout: global.shutdown_timeout(),
            log_level: log_level(&global.log_level),
            programs: recorded_programs(),
            script_results: script_results(&document),
            startup: Some(StartupFacts {
                pid: 1,
                version: "19.4.0".into(),
                revision: "HEAD".into(),
                system_id: super::replay::SYSTEM_ID.into(),
                config_file: "<WORK>/etc/config.toml".into(),
                url: "http://<HOST>".into(),
                short_token: "goldentok".into(),
                single_job: is_single(inputs),
            }),
        };
        Ok(Self {
            scenario: document
                .get("scenario")
                .and_then(Value::as_str)
                .ok_or("no `scenario`")?
                .to_owned(),
            runner_settings,
            global,
            payloads,
            extra_environment: extra_environment(inputs),
            config_edits,
            world,
            document,
        })
    }
}

/// Whether the runner was started for a single job, by `run-single`.
fn is_single(inputs: &Value) -> bool {
    inputs.get("command").and_then(Value::as_str) == Some("single")
}

fn log_level(name: &str) -> RunnerLogLevel {
    match name {
        "debug" | "trace" => RunnerLogLevel::Debug,
        "warn" | "warning" => RunnerLogLevel::Warning,
        "error" => RunnerLogLevel::Error,
        "fatal" | "panic" => RunnerLogLevel::Fatal,
        _ => RunnerLogLevel::Info,
    }
}

fn behaviours(inputs: &Value) -> Result<Vec<Behaviour>, String> {
    match inputs.get("behaviours") {
        None => Ok(Vec::new()),
        Some(list) => parse_behaviours(list).map_err(|error| format!("inputs.{error}")),
    }
}

fn list(inputs: &Value, key: &str) -> Vec<Value> {
    inputs
        .get(key)
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default()
}

fn is_true(inputs: &Value, key: &str) -> bool {
    inputs.get(key).and_then(Value::as_bool).unwrap_or(false)
}

fn extra_environment(inputs: &Value) -> Vec<(String, String)> {
    let extra = inputs.get("extra_env").and_then(Value::as_object);
    extra
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// `runner` and `custom` of the file as one `[[runners]]` section.
fn runner_settings(config: &Value) -> Value {
    let mut runner = config
        .get("runner")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    if let Some(custom) = config.get("custom").filter(|custom| !custom.is_null()) {
        runner.insert("custom".into(), custom.clone());
    }
    // The recordings leave out what their lab gave to every runner.
    let defaults = [("url", "http://<HOST>"), ("token", "goldentoken0123456789")];
    for (key, value) in defaults {
        runner.entry(key).or_insert_with(|| Value::from(value));
    }
    without_nulls(Value::Object(runner))
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(
            object
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key, without_nulls(value)))
                .collect(),
        ),
        other => other,
    }
}

/// The programs that the recordings' lab had, by the names used in its configurations.
fn recorded_programs() -> BTreeMap<String, ProgramFile> {
    let mut programs = BTreeMap::new();
    for name in ["config_exec", "prepare_exec", "run_exec", "cleanup_exec"] {
        programs.insert(format!("<WORK>/bin/{name}"), ProgramFile::Driver);
        programs.insert(name.to_owned(), ProgramFile::Driver);
    }
    programs.insert("<WORK>/bin/notexec".into(), ProgramFile::NotExecutable);
    programs.insert("<WORK>/bin/noshebang".into(), ProgramFile::NotAProgram);
    programs.insert("<WORK>/bin".into(), ProgramFile::NotExecutable);
    programs
}

/// What the real shell made of each real script: an input of the simulation, which has no shell.
fn script_results(document: &Value) -> BTreeMap<(String, u32), i32> {
    let calls = document.get("calls").and_then(Value::as_array);
    let mut results = BTreeMap::new();
    for call in calls.into_iter().flatten() {
        let notes = call.get("notes").and_then(Value::as_array);
        for note in notes.into_iter().flatten() {
            let result = note.get("rc").and_then(Value::as_i64);
            let stage = call.get("stage").and_then(Value::as_str);
            let nth = call.get("nth").and_then(Value::as_u64);
            if let (Some(result), Some(stage), Some(nth)) = (result, stage, nth) {
                let key = (stage.to_owned(), u32::try_from(nth).unwrap_or(1));
                results.insert(key, i32::try_from(result).unwrap_or(1));
            }
        }
    }
    results
}

type Events = (Vec<InjectedEvent>, Vec<(String, String)>);

fn parse_events(value: Option<&Value>) -> Result<Events, String> {
    let mut events = Vec::new();
    let mut edits = Vec::new();
    let list = value.and_then(Value::as_array);
    for (index, event) in list.into_iter().flatten().enumerate() {
        let place = format!("inputs.events[{index}]");
        let when = parse_when(event).ok_or_else(|| format!("{place}: unknown moment"))?;
        let mut actions = Vec::new();
        for action in event
            .get("do")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            if let Some(edit) = action.get("edit_config").and_then(Value::as_array) {
                let texts: Vec<&str> = edit.iter().filter_map(Value::as_str).collect();
                if let [from, to] = texts.as_slice() {
                    edits.push(((*from).to_owned(), (*to).to_owned()));
                }
                actions.push(InjectedAction::EditConfig);
                continue;
            }
            let action =
                parse_action(action).ok_or_else(|| format!("{place}: unknown action {action}"))?;
            actions.push(action);
        }
        events.push(InjectedEvent {
            id: event.get("id").and_then(as_id),
            when,
            actions,
        });
    }
    Ok((events, edits))
}

fn parse_when(event: &Value) -> Option<When> {
    let duration = |value: &Value| Duration::try_from_secs_f64(value.as_f64()?).ok();
    let own_delay = event.get("delay").and_then(duration).unwrap_or_default();
    if let Some(id) = event.get("after").and_then(as_id) {
        let at = event.get("t").and_then(duration).unwrap_or_default();
        return Some(When::After {
            id,
            delay: own_delay + at,
        });
    }
    if let Some(moment) = event.get("t") {
        return Some(When::At(duration(moment)?));
    }
    let when = event.get("when")?;
    if let Some(moment) = when.get("t") {
        return Some(When::At(duration(moment)?));
    }
    if let Some(id) = when.get("after").and_then(as_id) {
        let delay = when.get("delay").and_then(duration).unwrap_or_default();
        return Some(When::After { id, delay });
    }
    let points = [
        ("start", CallPoint::Start),
        ("end", CallPoint::End),
        ("sig", CallPoint::Signal),
    ];
    let (key, point) = points
        .into_iter()
        .find(|(key, _)| when.get(*key).is_some())?;
    let call = parse_selector(when.get(key)?)?;
    let delay = when.get("delay").and_then(duration).unwrap_or_default();
    Some(When::Call { point, call, delay })
}

fn parse_selector(value: &Value) -> Option<CallSelector> {
    let parts = value.as_array()?;
    Some(CallSelector {
        program: parse_program(parts.first()?.as_str()?)?,
        stage: parts.get(1).and_then(Value::as_str).map(str::to_owned),
        nth: parts
            .get(2)
            .and_then(Value::as_u64)
            .and_then(|nth| u32::try_from(nth).ok()),
    })
}

fn parse_action(action: &Value) -> Option<InjectedAction> {
    let object: &Map<String, Value> = action.as_object()?;
    if object.contains_key("coord") {
        return Mode::parse(action).map(InjectedAction::SetMode);
    }
    if object.contains_key("refuse") {
        return Some(InjectedAction::Refuse(true));
    }
    if object.contains_key("listen") {
        return Some(InjectedAction::Refuse(false));
    }
    if let Some(signal) = object.get("signal") {
        return Some(InjectedAction::Signal(parse_signal(signal.as_str()?)?));
    }
    if let Some(parts) = object.get("kill_driver").and_then(Value::as_array) {
        let signal = match parts.first()?.as_str()? {
            "TERM" => 15,
            "KILL" => 9,
            "INT" => 2,
            "HUP" => 1,
            "QUIT" => 3,
            _ => return None,
        };
        let call = parse_selector(&Value::Array(parts[1..].to_vec()))?;
        return Some(InjectedAction::KillDriver { signal, call });
    }
    object.get("write_file").and_then(parse_written_file)
}

/// `[path, content]` or an object with these keys. Only programs matter here: a text without `#!` cannot be started.
fn parse_written_file(value: &Value) -> Option<InjectedAction> {
    let text = |index: usize, key: &str| {
        let part = value.get(index).or_else(|| value.get(key))?;
        part.as_str().map(str::to_owned)
    };
    let path = text(0, "path")?;
    let path = match path.strip_prefix("bin/") {
        Some(name) => format!("<WORK>/bin/{name}"),
        None => path,
    };
    let is_program = text(1, "content").is_none_or(|content| content.starts_with("#!"));
    let file = if is_program {
        ProgramFile::Driver
    } else {
        ProgramFile::NotAProgram
    };
    Some(InjectedAction::WriteProgram { path, file })
}

fn parse_signal(name: &str) -> Option<RunnerSignal> {
    Some(match name {
        "TERM" => RunnerSignal::Term,
        "INT" => RunnerSignal::Interrupt,
        "QUIT" => RunnerSignal::Quit,
        "HUP" => RunnerSignal::Hangup,
        "KILL" => RunnerSignal::Kill,
        _ => return None,
    })
}

/// Replaces `\udcXX`, which stands for the byte XX, by a private-use character.
fn without_lone_surrogates(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\udc") {
        let digits = rest.get(at + 4..at + 6).unwrap_or_default();
        let byte = u8::from_str_radix(digits, 16)
            .ok()
            .filter(|byte| *byte >= 0x80);
        out.push_str(&rest[..at]);
        let stand_in = byte.and_then(|byte| char::from_u32(RAW_BYTE_BASE + u32::from(byte)));
        if let Some(stand_in) = stand_in {
            out.push(stand_in);
            rest = &rest[at + 6..];
        } else {
            out.push_str("\\udc");
            rest = &rest[at + 4..];
        }
    }
    out.push_str(rest);
    out
}

/// The bytes of a text in which private-use characters stand for raw bytes.
pub fn raw_bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for character in text.chars() {
        let code = u32::from(character);
        match code
            .checked_sub(RAW_BYTE_BASE)
            .and_then(|byte| u8::try_from(byte).ok())
        {
            Some(byte) if byte >= 0x80 => out.push(byte),
            _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out
}

/// Replaces `{"$repeat": ["x", N]}` by the text it stands for.
fn expand_repeats(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            if let Some([text, count]) = object
                .get("$repeat")
                .and_then(Value::as_array)
                .map(Vec::as_slice)
                && let (Some(text), Some(count)) = (text.as_str(), count.as_u64())
            {
                return Value::from(text.repeat(usize::try_from(count).unwrap_or(0)));
            }
            Value::Object(
                object
                    .into_iter()
                    .map(|(key, value)| (key, expand_repeats(value)))
                    .collect(),
            )
        }
        Value::Array(list) => Value::Array(list.into_iter().map(expand_repeats).collect()),
        other => other,
    }
}
