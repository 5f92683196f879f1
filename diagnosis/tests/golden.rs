//! The diagnosis of every recorded job: expected causes, stages as the recording has them, and the same answer whatever way
//! a log was copied.

mod support;

use std::collections::BTreeMap;

use driver_conformance_diagnosis::diagnose;
use driver_conformance_diagnosis::model::{Diagnosis, Problem};
use driver_conformance_diagnosis::text::Input;
use serde_json::{Map, Value, json};

use support::Trace;

/// Fewest fixtures of logs that show something, and of logs that show nothing.
const FIXTURES_MIN: usize = 60;
const SILENT_MIN: usize = 15;

fn of(log: &str) -> Diagnosis {
    diagnose(&[Input::whole("log", log.as_bytes())])
}

/// `prepare - exec-timeout`
fn all(diagnosis: &Diagnosis) -> Vec<String> {
    diagnosis.problems.iter().map(Problem::summary).collect()
}

fn expected(section: &str) -> BTreeMap<String, Vec<String>> {
    let text = include_str!("golden.toml");
    let mut document: BTreeMap<String, BTreeMap<String, Vec<String>>> =
        toml::from_str(text).expect("the expectations are TOML");
    document.remove(section).expect("there is such a section")
}

fn compare(section: &str, log_of: fn(&Trace) -> String) -> (usize, usize) {
    let expected = expected(section);
    let (mut telling, mut silent) = (0, 0);
    let mut wrong = Vec::new();
    for name in support::names() {
        let trace = Trace::read(&name);
        let found = all(&of(&log_of(&trace)));
        let wanted = expected.get(&name).cloned().unwrap_or_default();
        if wanted.is_empty() && trace.state() == "success" {
            silent += 1;
        } else if !wanted.is_empty() {
            telling += 1;
        }
        if found != wanted {
            wrong.push(format!("{name}: expected {wanted:?}, found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    (telling, silent)
}

#[test]
fn each_job_log_has_its_causes() {
    let (telling, silent) = compare("job_log", Trace::job_log);
    assert!(telling >= FIXTURES_MIN, "{telling} fixtures");
    assert!(silent >= SILENT_MIN, "{silent} silent ones");
}

#[test]
fn each_runner_log_has_its_causes() {
    let (telling, silent) = compare("runner_log", Trace::runner_log);
    assert!(telling >= FIXTURES_MIN, "{telling} fixtures");
    assert!(silent >= SILENT_MIN, "{silent} silent ones");
}

/// Traces in which no log tells which of two stages it was, with the reason.
const NOT_IN_THE_LOG: [(&str, &str); 6] = [
    ("after_script_fail_not_ignored", "reads as a failed step"),
    ("after_script_sysfail_not_ignored", "reads as a failed step"),
    ("timeout_after_script_not_ignored", "the warning names it"),
    ("build_failure_archive_cache", "artifacts come after it"),
    ("system_failure_archive_cache", "artifacts come after it"),
    ("archive_and_upload_fail", "both failed"),
];

/// The first call of the last attempt that failed, from the recorded sequence.
fn failed_call(sequence: &[String]) -> Option<String> {
    let is_run = |call: &String| {
        let name = call.split(" -> ").next().unwrap_or_default();
        !["config", "prepare", "cleanup"].contains(&name)
    };
    let ran = sequence.iter().any(is_run);
    let mut failed = sequence.iter().filter(|call| {
        call.contains(" -> ") && (!ran || is_run(call)) && !call.starts_with("cleanup ->")
    });
    failed
        .next()
        .and_then(|call| call.split(" -> ").next())
        .map(str::to_owned)
}

#[test]
fn stages_are_those_of_the_recording() {
    let mut compared = 0;
    for name in support::names() {
        let trace = Trace::read(&name);
        let excepted = NOT_IN_THE_LOG.iter().any(|(excepted, _)| *excepted == name);
        if trace.state() != "failed" || excepted {
            continue;
        }
        let diagnosis = of(&trace.job_log());
        let decisive = diagnosis.problems.iter().find(|problem| problem.decisive);
        let (Some(problem), Some(failed)) = (decisive, failed_call(&trace.sequence())) else {
            continue;
        };
        // A log that ends without a verdict, and who ended a job, is told by other means.
        if problem.cause.starts_with("hang-in") || problem.call == "runner" {
            continue;
        }
        let told = problem
            .stage
            .clone()
            .unwrap_or_else(|| problem.call.clone());
        if told == "gitlab" || told == "none" {
            continue;
        }
        compared += 1;
        assert_eq!(told, failed, "{name}: {}", problem.summary());
    }
    assert!(compared >= FIXTURES_MIN, "{compared} compared");
}

/// What the page of a job gives when its text is copied: no time stamps, no markers, no colours.
fn as_copied(log: &str) -> String {
    let mut text = String::new();
    let mut continued = String::new();
    for line in log.lines() {
        let line = line.get(32..).unwrap_or(line);
        let mut line = line.replace("\u{1b}[0K", "").replace('\r', "");
        while let Some(start) = line.find('\u{1b}') {
            let end = line[start..]
                .find('m')
                .map_or(line.len(), |at| start + at + 1);
            line.replace_range(start..end, "");
        }
        continued.clear();
        continued.push_str(&line);
        if continued.starts_with("section_") {
            continue;
        }
        text.push_str(&continued);
        text.push('\n');
    }
    text
}

/// What a runner without `FF_TIMESTAMPS` writes: continued lines are one.
fn without_stamps(log: &str) -> String {
    let mut text = String::new();
    for line in log.lines() {
        let Some(rest) = line.get(31..) else {
            continue;
        };
        let continues = rest.starts_with('+');
        let rest = rest.get(1..).unwrap_or_default();
        if continues && text.ends_with('\n') {
            text.pop();
        }
        text.push_str(rest);
        text.push('\n');
    }
    text
}

/// Traces whose scripts print what looks like the runner's, so that without streams nobody can tell; and one with a line of
/// megabytes, which this test's way to join lines makes a part of its neighbour.
const NEEDS_STREAMS: [&str; 4] = [
    "run_big_output",
    "run_fake_sections",
    "var_debug_trace_real",
    "run_output_limit_small",
];

fn same_whatever_way(change: fn(&str) -> String) {
    let expected = expected("job_log");
    for name in support::names() {
        if NEEDS_STREAMS.contains(&name.as_str()) {
            continue;
        }
        let wanted = expected.get(&name).cloned().unwrap_or_default();
        let found = all(&of(&change(&Trace::read(&name).job_log())));
        assert_eq!(found, wanted, "{name}");
    }
}

#[test]
fn a_log_without_time_stamps_tells_the_same() {
    same_whatever_way(without_stamps);
}

#[test]
fn a_log_with_windows_line_ends_tells_the_same() {
    same_whatever_way(|log| log.replace('\n', "\r\n"));
}

#[test]
fn a_copied_log_tells_the_same() {
    let expected = expected("job_log");
    for name in support::names() {
        let log = Trace::read(&name).job_log();
        let wanted = expected.get(&name).cloned().unwrap_or_default();
        // Only the end of a section tells a log that was cut from one whose cleanup hangs.
        let unclear = |causes: &[String]| causes.iter().any(|cause| cause.contains(" hang-in"));
        if NEEDS_STREAMS.contains(&name.as_str()) || unclear(&wanted) {
            continue;
        }
        let found = all(&of(&as_copied(&log)));
        if unclear(&found) {
            continue;
        }
        assert_eq!(found, wanted, "{name}");
    }
}

/// The entries of a runner's log as `log_format = "json"` writes them.
fn as_json(log: &str) -> String {
    let mut text = String::new();
    for (index, line) in log.lines().enumerate() {
        let Some(entry) = driver_conformance_diagnosis::runner_log::Entry::parse(index, line)
        else {
            continue;
        };
        let mut object: Map<String, Value> = entry
            .fields
            .iter()
            .map(|(key, value)| {
                let number = value.parse::<i64>().ok().filter(|_| key == "job");
                (
                    key.clone(),
                    number.map_or_else(|| json!(value), |number| json!(number)),
                )
            })
            .collect();
        let level = format!("{:?}", entry.level).to_lowercase();
        object.insert("level".into(), json!(level));
        object.insert("msg".into(), json!(entry.message));
        object.insert("time".into(), json!("2026-11-24T00:20:58Z"));
        text.push_str(&Value::Object(object).to_string());
        text.push('\n');
    }
    text
}

#[test]
fn a_runner_log_in_json_tells_the_same() {
    let expected = expected("runner_log");
    for name in support::names() {
        let wanted = expected.get(&name).cloned().unwrap_or_default();
        let found = all(&of(&as_json(&Trace::read(&name).runner_log())));
        assert_eq!(found, wanted, "{name}");
    }
}

#[test]
fn no_cut_makes_it_stumble() {
    for name in [
        "real_script_exit_42",
        "prepare_exit_2",
        "run_binary_output",
        "two_jobs_concurrent",
    ] {
        let trace = Trace::read(name);
        for log in [trace.job_log(), trace.runner_log()] {
            for share in 0..40 {
                let cut = log.len() * share / 40;
                let _ = diagnose(&[Input::whole("log", &log.as_bytes()[..cut])]);
                let _ = diagnose(&[Input::whole("log", &log.as_bytes()[cut..])]);
            }
        }
    }
}

#[test]
fn a_log_whose_beginning_is_missing_has_its_verdict() {
    for name in ["prepare_exit_2", "real_script_exit_42", "exitfile_garbage"] {
        let log = Trace::read(name).job_log();
        let whole = all(&of(&log));
        let lines: Vec<&str> = log.lines().collect();
        let cut = lines[5..].join("\n");
        assert_eq!(all(&of(&cut)), whole, "{name}");
    }
}

#[test]
fn jobs_that_are_interleaved_are_kept_apart() {
    let renumbered = |name: &str, job: &str| {
        let log = Trace::read(name).runner_log();
        let lines = log
            .lines()
            .filter(|line| line.contains("job\u{1b}[0;m=1001"));
        let lines: Vec<String> = lines
            .map(|line| line.replace("=1001", &format!("={job}")))
            .collect();
        lines
    };
    let logs = [
        renumbered("config_newline_only", "7"),
        renumbered("ok_full", "8"),
        renumbered("cleanup_exit_2", "9"),
    ];
    let longest = logs.iter().map(Vec::len).max().unwrap_or_default();
    let mut mixed = String::new();
    for index in 0..longest {
        for line in logs.iter().filter_map(|log| log.get(index)) {
            mixed.push_str(line);
            mixed.push('\n');
        }
    }
    let diagnosis = of(&mixed);
    let found: Vec<(String, Vec<String>)> = diagnosis
        .problems
        .iter()
        .map(|problem| (problem.summary(), problem.jobs.clone()))
        .collect();
    assert_eq!(
        found,
        [
            (
                "config - config-output-incomplete".to_owned(),
                vec!["7".to_owned()]
            ),
            ("cleanup - cleanup-failed".to_owned(), vec!["9".to_owned()]),
        ]
    );
}

#[test]
fn both_logs_of_a_job_make_one_answer() {
    let trace = Trace::read("prepare_exit_1");
    let inputs = [
        Input::whole("runner.log", trace.runner_log()),
        Input::whole("job.log", trace.job_log()),
    ];
    let diagnosis = diagnose(&inputs);
    assert_eq!(
        diagnosis.problems[0].summary(),
        "prepare - prepare-failure-blamed-on-script"
    );
    let files: Vec<_> = diagnosis.problems[0]
        .evidence
        .iter()
        .filter_map(|line| line.file.as_deref())
        .collect();
    assert!(files.contains(&"job.log"), "{files:?}");
}
