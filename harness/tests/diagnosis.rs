//! `diagnose` on the logs of the emulated runner: for each recorded situation the same causes as in the real runner's logs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use driver_conformance::checks;
use driver_conformance::golden::file::GoldenFile;
use driver_conformance::golden::replay::replay;
use driver_conformance_diagnosis::diagnose;
use driver_conformance_diagnosis::model::Problem;
use driver_conformance_diagnosis::text::Input;
use driver_conformance_scenarios::symptom;

/// Fewest situations of which each log shows something.
const FIXTURES_MIN: usize = 60;

/// Logs of the emulated runner that cannot say what the real ones do, with the reason.
const DIFFERENT: [(&str, &str, &str); 5] = [
    (
        "runner_log",
        "abort_at_first_update",
        "answers to the first update are not logged",
    ),
    ("runner_log", "coord_refused_at_end", "there is no network"),
    (
        "runner_log",
        "coord_refused_for_a_while",
        "there is no network",
    ),
    ("job_log", "real_get_sources_bad_sha", "there is no git"),
    (
        "job_log",
        "real_script_multiline_false",
        "there is no shell that echoes commands",
    ),
];

type Expected = BTreeMap<String, BTreeMap<String, Vec<String>>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn causes(log: &[u8]) -> Vec<String> {
    let diagnosis = diagnose(&[Input::whole("log", log)]);
    diagnosis.problems.iter().map(Problem::summary).collect()
}

/// The log of a runner whose lines have no placeholder for a message that differs from run to run.
fn runner_log(lines: &[String]) -> Vec<u8> {
    (lines.join("\n") + "\n").into_bytes()
}

#[test]
fn emulated_logs_tell_what_real_ones_do() {
    let expected = root().join("diagnosis/tests/golden.toml");
    let text = std::fs::read_to_string(expected).expect("the expectations are there");
    let expected: Expected = toml::from_str(&text).expect("they are TOML");
    let mut compared = [0, 0];
    let mut wrong = Vec::new();
    let traces = root().join("scenarios/traces/19.4");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(traces)
        .expect("the traces are there")
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    paths.sort();
    for path in paths {
        let name = path.file_stem().and_then(|name| name.to_str());
        let name = name.expect("a name").to_owned();
        let file = GoldenFile::read(&path).expect("a golden trace");
        let record = replay(&file).expect("it can be replayed");
        let job = record.jobs.first().map(|job| job.log.clone());
        let logs = [
            ("job_log", job.unwrap_or_default()),
            ("runner_log", runner_log(&record.runner_log)),
        ];
        for (index, (kind, log)) in logs.into_iter().enumerate() {
            let wanted = expected[kind].get(&name).cloned().unwrap_or_default();
            compared[index] += usize::from(!wanted.is_empty());
            let found = causes(&log);
            let excepted = DIFFERENT
                .iter()
                .any(|(log, trace, _)| *log == kind && *trace == name);
            if found != wanted && !excepted {
                wrong.push(format!(
                    "{kind} {name}: expected {wanted:?}, found {found:?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        compared.iter().all(|count| *count >= FIXTURES_MIN),
        "{compared:?}"
    );
}

#[test]
fn every_check_that_a_symptom_names_is_there() {
    for symptom in symptom::all() {
        for check in &symptom.checks {
            let known = checks::by_id(check).is_some();
            assert!(known, "{}: there is no check {check}", symptom.cause);
        }
    }
}
