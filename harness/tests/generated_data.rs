//! The data side of the contract against the real runner's own generator, on jobs with odd values in every field.
//!
//! `scenarios/traces/generated/19.4.json` holds inputs and what the runner's code made of them: texts, and SHA-256 of
//! the long ones.

use std::fmt::Write as _;

use driver_conformance::contract::build::{Build, RunnerFacts};
use driver_conformance::contract::config::RunnerConfig;
use driver_conformance::contract::go_duration::GoDuration;
use driver_conformance::contract::json_config::{self, ConfigOutput};
use driver_conformance::contract::payload::{JobPayload, TlsData};
use driver_conformance::contract::stage::Stage;
use serde_json::Value;
use sha2::{Digest, Sha256};

const CASES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../scenarios/traces/generated/19.4.json"
);

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .fold(String::new(), |mut digits, byte| {
            let _ = write!(digits, "{byte:02x}");
            digits
        })
}

fn text<'a>(inputs: &'a Value, name: &str) -> &'a str {
    inputs[name].as_str().unwrap_or_default()
}

fn number(inputs: &Value, name: &str) -> u32 {
    u32::try_from(inputs[name].as_u64().unwrap()).unwrap()
}

fn new_build(inputs: &Value) -> Build {
    let mut payload = JobPayload::from_value(inputs["payload"].clone()).unwrap();
    payload.tls = TlsData {
        ca_chain: text(inputs, "ca").to_owned(),
        ..TlsData::default()
    };
    let runner: RunnerConfig = serde_json::from_value(inputs["runner"].clone()).unwrap();
    let ids = (
        number(inputs, "concurrent_id"),
        number(inputs, "concurrent_project_id"),
    );
    Build::new(payload, runner, RunnerFacts::default(), ids.0, ids.1)
}

fn variables(build: &Build) -> Value {
    let lines: Vec<String> = build
        .all_variables()
        .iter()
        .map(|variable| format!("{}={}", variable.key, variable.value))
        .collect();
    digest(&lines.join("\n")).into()
}

fn script(build: &Build, stage: &str) -> Value {
    // The runner's code calls the build script by its inner name.
    let stage = if stage == "step_script" {
        Stage::build_script()
    } else {
        Stage::from_driver_name(stage)
    };
    match build.script(&stage) {
        Ok(Some(script)) => digest(&script).into(),
        Ok(None) => "SKIP".into(),
        Err(error) => format!("ERR {error}").into(),
    }
}

/// What we make of the inputs, in the form of the expectation.
fn computed(inputs: &Value, stages: &[String]) -> Value {
    let mut build = new_build(inputs);
    build.expand_image_and_services();
    let response = digest(&build.payload().response_json());
    build.refresh_variables();
    let first_variables = variables(&build);
    build.set_hostname(text(inputs, "hostname"));
    let shared = inputs["shared"].as_bool().unwrap();
    let start_error = build
        .start_build(
            text(inputs, "builds_dir"),
            text(inputs, "cache_dir"),
            shared,
        )
        .err()
        .map(|error| error.to_string());
    let environment = build.custom_environment();
    let mut result = serde_json::json!({
        "dirs": [build.root_dir(), build.cache_dir(), build.build_dir(), build.temporary_dir()],
        "start_error": start_error,
        "settings_errors": build.settings_errors(),
        "feature_flags": build.changed_feature_flags(),
        "response": response,
        "services": environment.last().unwrap().1,
        "variables": variables(&build),
        "first_variables": first_variables,
        "prepare_timeout": GoDuration::from(build.prepare_timeout().duration).to_string(),
        "get_sources_timeout": GoDuration::from(build.get_sources_timeout().duration).to_string(),
    });
    let status = text(inputs, "status");
    if !status.is_empty() {
        build.set_job_status(status);
    }
    build.set_shell(text(inputs, "shell")).unwrap();
    let scripts = stages
        .iter()
        .map(|stage| (stage.clone(), script(&build, stage)));
    result["scripts"] = Value::Object(scripts.collect());
    result
}

#[test]
fn everything_is_what_the_real_generator_makes() {
    let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(CASES).unwrap()).unwrap();
    assert!(cases.len() > 100, "the generated cases are missing");
    for (index, case) in cases.iter().enumerate() {
        let expected = &case["expected"];
        let stages: Vec<String> = expected["scripts"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        let actual = computed(&case["inputs"], &stages);
        for (name, value) in expected.as_object().unwrap() {
            if name != "scripts" {
                assert_eq!(&actual[name], value, "case {index}, {name}");
            }
        }
        for stage in &stages {
            let (actual, expected) = (&actual["scripts"][stage], &expected["scripts"][stage]);
            // The generator itself does not know that a resumed environment needs no sources.
            let is_resumed = stage == "get_sources" && actual == "SKIP";
            assert!(
                is_resumed || actual == expected,
                "case {index}, script of {stage}: {actual} {expected}"
            );
        }
    }
}

const CONFIG_CASES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../scenarios/traces/generated/config-19.4.json"
);

fn bytes_of(hexadecimal: &str) -> Vec<u8> {
    let pairs = hexadecimal.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// The output in the form in which the runner's own type is written.
fn config_as_json(output: ConfigOutput) -> Value {
    let driver = output.driver.map(|driver| {
        let members = [("name", driver.name), ("version", driver.version)];
        Value::Object(
            members
                .into_iter()
                .filter_map(|(key, value)| Some((key.to_owned(), value?.into())))
                .collect(),
        )
    });
    let job_env = output.job_env.map(|entries| {
        Value::Object(
            entries
                .into_iter()
                .map(|(key, value)| (key, Value::from(value)))
                .collect(),
        )
    });
    let members = [
        ("driver", driver),
        ("hostname", output.hostname.map(Value::from)),
        ("builds_dir", output.builds_dir.map(Value::from)),
        ("cache_dir", output.cache_dir.map(Value::from)),
        (
            "builds_dir_is_shared",
            output.builds_dir_is_shared.map(Value::from),
        ),
        ("job_env", job_env),
        ("shell", output.shell.map(Value::from)),
    ];
    Value::Object(
        members
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?)))
            .collect(),
    )
}

#[test]
fn config_output_is_read_as_the_real_runner_reads_it() {
    let cases: Vec<Value> =
        serde_json::from_str(&std::fs::read_to_string(CONFIG_CASES).unwrap()).unwrap();
    assert!(cases.len() > 100, "the generated cases are missing");
    for case in cases {
        let bytes = bytes_of(text(&case, "bytes"));
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        match json_config::parse(&bytes) {
            Ok(output) => assert_eq!(
                config_as_json(output.unwrap_or_default()),
                case["ok"],
                "{shown}"
            ),
            Err(error) => assert_eq!(error, text(&case, "error"), "{shown}"),
        }
    }
}
