//! What the scripted drivers recorded, in the form of a golden trace.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use driver_conformance::contract::exit::ExitStatus;
use driver_conformance::contract::moment::Moment;
use driver_conformance::contract::outcome::Outcome;
use driver_conformance::contract::protocol::{CallId, CallSpec, ScriptFile};
use driver_conformance::contract::stage::Stage;
use driver_conformance::engine::simulation::behaviour::parse_program;
use driver_conformance::engine::simulation::record::{Record, RecordedCall, RecordedJob};
use driver_conformance::golden::compare::{Difference, REAL_PROCESS_FIELDS};
use driver_conformance::golden::file::GoldenFile;
use driver_conformance::golden::replay::{WORK, to_document};
use driver_conformance::trace::Trace;
use serde_json::Value;

/// How a call ended that could not say so itself.
const KILLED: &str = "killed (no end event; SIGKILL)";
const OUTLIVED: &str = "outlived the runner (killed by the lab)";

/// A call as its driver recorded it.
struct SeenCall {
    job: usize,
    start: Value,
    signals: Vec<f64>,
    end: Option<(f64, String)>,
}

impl SeenCall {
    fn pid(&self) -> Option<u64> {
        self.start["pid"].as_u64()
    }
}

fn seconds(value: &Value) -> f64 {
    value.as_f64().unwrap_or_default()
}

/// All calls, in the order of their first instruction.
fn seen_calls(records: &[String]) -> Vec<SeenCall> {
    let mut calls: Vec<SeenCall> = Vec::new();
    for (job, text) in records.iter().enumerate() {
        for entry in text.lines() {
            let entry: Value = serde_json::from_str(entry).expect("the driver writes JSON");
            let moment = seconds(&entry["t"]);
            if entry["event"] == "start" {
                calls.push(SeenCall {
                    job,
                    start: entry,
                    signals: Vec::new(),
                    end: None,
                });
                continue;
            }
            let pid = entry["pid"].as_u64();
            let Some(call) = calls.iter_mut().rev().find(|call| call.pid() == pid) else {
                continue;
            };
            if entry["event"] == "signal" {
                call.signals.push(moment);
            } else {
                let how = entry["how"].as_str().unwrap_or_default();
                call.end = Some((moment, how.to_owned()));
            }
        }
    }
    calls.sort_by(|one, other| seconds(&one.start["t"]).total_cmp(&seconds(&other.start["t"])));
    calls
}

/// The run as a golden trace; `work` is the directory that stands for [`WORK`].
pub(crate) fn document(
    file: &GoldenFile,
    trace: &Trace,
    records: &[String],
    outcomes: Vec<Option<Outcome>>,
    work: &str,
) -> Value {
    let records: Vec<String> = records
        .iter()
        .map(|text| text.replace(work, WORK))
        .collect();
    let seen = seen_calls(&records);
    let first = seen.first().map(|call| seconds(&call.start["t"]));
    let moment = |at: f64| {
        let since = Duration::try_from_secs_f64(at - first.unwrap_or(at));
        Moment::after_start(since.unwrap_or_default())
    };
    let survived = |call: &SeenCall| {
        trace
            .surviving_processes
            .iter()
            .any(|process| Some(u64::from(process.pid)) == call.pid())
    };
    let calls = seen.iter().map(|call| {
        let begun = seconds(&call.start["t"]);
        let (ended, how) = call.end.clone().unwrap_or_else(|| {
            let how = if survived(call) { OUTLIVED } else { KILLED };
            (begun, how.to_owned())
        });
        RecordedCall {
            job: call.job,
            spec: spec(&call.start),
            begun: moment(begun),
            temp_listing: serde_json::from_value(call.start["tmp_listing"].clone())
                .expect("pairs of texts"),
            signals: call
                .signals
                .iter()
                .map(|at| (moment(*at), "SIGTERM"))
                .collect(),
            end: Some((moment(ended), how)),
        }
    });
    let jobs = file.payloads.iter().zip(outcomes);
    let record = Record {
        calls: calls.collect(),
        jobs: jobs
            .map(|(payload, outcome)| RecordedJob {
                id: payload["id"].as_i64().unwrap_or_default(),
                outcome,
                ..RecordedJob::default()
            })
            .collect(),
        ..Record::default()
    };
    let mut document = to_document(file, &record);
    for (index, call) in seen.iter().enumerate() {
        let written = &mut document["calls"][index];
        for name in REAL_PROCESS_FIELDS {
            written[name] = call.start[name].clone();
        }
        for name in ["mode", "dirmode"] {
            if written["script"].is_object() {
                written["script"][name] = call.start["script"][name].clone();
            }
        }
    }
    document
}

/// What the driver was started with, as it saw it.
fn spec(start: &Value) -> CallSpec {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let argv: Vec<String> = start["argv"]
        .as_array()
        .into_iter()
        .flatten()
        .map(text)
        .collect();
    let environment: Vec<(String, String)> = start["environment"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| *key != "REC_DIR")
        .map(|(key, value)| (key.clone(), text(value)))
        .collect();
    let script = start["script"]["path"].as_str().map(|path| ScriptFile {
        dir: Path::new(path)
            .parent()
            .unwrap_or(Path::new("/"))
            .to_path_buf(),
        path: PathBuf::from(path),
        text: text(&start["script"]["head"]).into(),
    });
    CallSpec {
        id: CallId(0),
        program: parse_program(&text(&start["exec"])).expect("one of the four programs"),
        stage: start["stage"].as_str().map(Stage::from_driver_name),
        nth: u32::try_from(start["nth"].as_u64().unwrap_or_default()).unwrap_or_default(),
        attempt: 1,
        executable: argv.first().cloned().unwrap_or_default(),
        args: argv.get(1..).unwrap_or_default().to_vec(),
        cwd: PathBuf::from(text(&start["cwd"])),
        environment: environment.into(),
        script,
        exit_code_file: PathBuf::new(),
        read_exit_code_file_on: 1,
        stdout_to_runner: false,
    }
}

/// Where the engine says something else about a call than its driver.
pub(crate) fn contradictions(trace: &Trace, records: &[String]) -> Vec<Difference> {
    let statuses: BTreeMap<u64, (&'static str, ExitStatus)> = trace
        .calls
        .iter()
        .filter_map(|call| {
            let status = call.leader_exit?.1;
            Some((u64::from(call.pid?), (call.program.name(), status)))
        })
        .collect();
    let mut found = Vec::new();
    for call in seen_calls(records) {
        let Some((program, status)) = call.pid().and_then(|pid| statuses.get(&pid)) else {
            continue;
        };
        let how = call.end.map_or_else(|| KILLED.to_owned(), |(_, how)| how);
        let number = how
            .rsplit(' ')
            .next()
            .and_then(|number| number.parse().ok());
        let agrees = match status {
            ExitStatus::Code(code) => how.starts_with("exit") && number == Some(*code),
            ExitStatus::Signal(9) => how == KILLED || how == "kill self 9",
            ExitStatus::Signal(13) => how == "dies by SIGPIPE",
            ExitStatus::Signal(15) => how == "dies by SIGTERM" || number == Some(15),
            ExitStatus::Signal(_) => false,
        };
        if !agrees {
            found.push(Difference {
                place: format!("end of a call of {program}: driver and engine disagree"),
                recorded: how,
                replayed: status.to_string(),
            });
        }
    }
    found
}
