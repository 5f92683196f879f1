//! What the advice of `explain`, `lint` and `advise` stands on: numbers of the emulated runner, the checks, and the calls that
//! it makes for a job.

use std::time::Duration;

use driver_conformance_advice::checklist::ticked;
use driver_conformance_advice::config_block::{Basis, Measured, ProgramLine, config_block};
use driver_conformance_advice::explain::CheckFacts;
use driver_conformance_advice::lint::Times;
use driver_conformance_advice::numbers::{Numbers, spoken};
use driver_conformance_reports::model::{Advice, Category, Report};
use serde_json::{Value, json};

use crate::checks;
use crate::contract::build::JOB_TIMEOUT_DEFAULT_SECONDS;
use crate::contract::config::{
    EXEC_TIMEOUT_DEFAULT, FORCE_KILL_TIMEOUT_DEFAULT, GRACEFUL_KILL_TIMEOUT_DEFAULT,
    SHUTDOWN_TIMEOUT_DEFAULT,
};
use crate::contract::exit::ExitCodes;
use crate::contract::job::{
    AFTER_SCRIPT_TIMEOUT, BACKOFF, PREPARE_ATTEMPTS, PREPARE_RETRY_PAUSE, RUN_PHASE_WAIT,
};
use crate::contract::job_log::LIMIT_BYTES_DEFAULT;
use crate::contract::log_updates::{SILENCE_MAX, UPDATE_INTERVAL_DEFAULT};
use crate::contract::settings::ATTEMPTS_MAX;
use crate::contract::stage::Program;
use crate::driver::Driver;
use crate::engine::simulation::ENTRY_BYTES_MAX;
use crate::engine::simulation::record::Record;
use crate::golden::file::GoldenFile;
use crate::golden::replay::{WORK, replay};

const KIB: usize = 1024;

/// What follows from a report for whoever runs the driver: the checklist, and a block of configuration.
pub fn of_report(report: &Report, driver: &Driver) -> Advice {
    let programs = programs(driver);
    let basis = Basis {
        programs: &programs,
        measured: Measured::of(report),
        times: times(),
    };
    Advice {
        checklist: ticked(report),
        config_toml: if report.durations.is_empty() {
            String::new()
        } else {
            config_block(&basis)
        },
    }
}

/// The programs of a driver, as a block of configuration names them.
pub fn programs(driver: &Driver) -> Vec<ProgramLine> {
    Program::ALL
        .into_iter()
        .filter_map(|program| {
            let invocation = driver.program(program)?;
            Some(ProgramLine {
                name: program.name(),
                executable: invocation.executable,
                args: invocation.args,
            })
        })
        .collect()
}

/// The numbers that pages leave blank.
pub fn numbers() -> Numbers {
    let [backoff_first, backoff_max] = [BACKOFF.0, BACKOFF.1];
    let job_timeout = Duration::from_secs(JOB_TIMEOUT_DEFAULT_SECONDS.unsigned_abs());
    Numbers::default()
        .with("zero", "0")
        .with("build_failure", ExitCodes::RUNNER.build_failure.to_string())
        .with(
            "system_failure",
            ExitCodes::RUNNER.system_failure.to_string(),
        )
        .with("prepare_attempts", PREPARE_ATTEMPTS.to_string())
        .with_time("prepare_pause", PREPARE_RETRY_PAUSE)
        .with_time("exec_timeout", EXEC_TIMEOUT_DEFAULT)
        .with_time("graceful", GRACEFUL_KILL_TIMEOUT_DEFAULT)
        .with_time("force", FORCE_KILL_TIMEOUT_DEFAULT)
        .with_time("shutdown", SHUTDOWN_TIMEOUT_DEFAULT)
        .with_time("run_wait", RUN_PHASE_WAIT)
        .with_time("job_timeout", job_timeout)
        .with_time("after_script_timeout", AFTER_SCRIPT_TIMEOUT)
        .with("attempts_default", "1")
        .with("attempts_max", ATTEMPTS_MAX.to_string())
        .with_time("backoff_first", backoff_first)
        .with_time("backoff_max", backoff_max)
        .with_time("update_interval", UPDATE_INTERVAL_DEFAULT)
        .with_time("silence", SILENCE_MAX)
        .with(
            "output_limit",
            format!("{} KiB", LIMIT_BYTES_DEFAULT / KIB as u64),
        )
        .with("env_limit", format!("{} KiB", ENTRY_BYTES_MAX / KIB))
}

/// The times that rules of `lint` reckon with.
pub fn times() -> Times {
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Times {
        exec: seconds(EXEC_TIMEOUT_DEFAULT),
        graceful_kill: seconds(GRACEFUL_KILL_TIMEOUT_DEFAULT),
        force_kill: seconds(FORCE_KILL_TIMEOUT_DEFAULT),
        shutdown: seconds(SHUTDOWN_TIMEOUT_DEFAULT),
        run_wait: seconds(RUN_PHASE_WAIT),
        prepare_attempts: i64::from(PREPARE_ATTEMPTS),
        prepare_pause: seconds(PREPARE_RETRY_PAUSE),
    }
}

/// Every check, as much of it as pages show.
pub fn check_facts() -> Vec<CheckFacts> {
    let all = checks::all().iter();
    all.filter_map(|check| {
        Some(CheckFacts {
            id: check.id,
            requirement: check.requirement,
            // The words are the same; a test compares the lists.
            category: Category::from_name(check.category.name())?,
            clauses: check.clauses,
        })
    })
    .collect()
}

/// The programs of a driver.
const PROGRAMS: [&str; 4] = ["config", "prepare", "run", "cleanup"];

/// Stages that a job has only after something has failed.
const STAGES_OF_FAILURE: [&str; 3] = [
    "clear_worktree",
    "archive_cache_on_failure",
    "upload_artifacts_on_failure",
];

/// The calls that the runner makes for a job, one a line, if all of them succeed or the ones in `failing` fail with the code
/// of a failed script.
pub fn sequence(payload: &Value, failing: &[String]) -> Result<Vec<String>, String> {
    course(payload, failing).map(|record| told(&record))
}

/// What of a job can fail: its programs and the stages that it has if nothing does.
pub fn fallible(payload: &Value) -> Result<Vec<String>, String> {
    let record = course(payload, &[])?;
    let stages = record
        .calls
        .iter()
        .filter_map(|call| call.spec.stage.as_ref());
    let programs = PROGRAMS.iter().map(ToString::to_string);
    Ok(programs.chain(stages.map(ToString::to_string)).collect())
}

/// Whether a stage comes only after something has failed.
pub fn is_stage_of_failure(name: &str) -> bool {
    STAGES_OF_FAILURE.contains(&name)
}

/// What the emulated runner does with a job.
fn course(payload: &Value, failing: &[String]) -> Result<Record, String> {
    let mut custom = serde_json::Map::new();
    for program in PROGRAMS {
        custom.insert(
            format!("{program}_exec"),
            json!(format!("{WORK}/bin/{program}_exec")),
        );
    }
    let behaviours: Vec<Value> = failing
        .iter()
        .map(|name| {
            let program = PROGRAMS.contains(&name.as_str());
            let exec = if program {
                format!("{name}_exec")
            } else {
                "run_exec".to_owned()
            };
            let stage = if program { Value::Null } else { json!(name) };
            json!({"exec": exec, "stage": stage, "nth": null, "job": null,
                "do": [{"exit_env": "BUILD_FAILURE_EXIT_CODE"}]})
        })
        .collect();
    let document = json!({
        "scenario": "sequence",
        "inputs": {
            "config": {
                "global": {"concurrent": 1, "check_interval": 1},
                "runner": {"name": "runner", "executor": "custom", "shell": "bash",
                    "builds_dir": "/builds", "cache_dir": "/cache"},
                "custom": custom,
            },
            "payloads": [payload],
            "behaviours": behaviours,
        }
    });
    replay(&GoldenFile::parse(&document.to_string())?)
}

/// The calls of a job, one a line.
fn told(record: &Record) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for call in &record.calls {
        let stage = call.spec.stage.as_ref().map(ToString::to_string);
        let shown = match stage {
            Some(stage) => format!("{} SCRIPT {stage}", call.spec.program.config_key()),
            None => call.spec.program.config_key().to_owned(),
        };
        let end = match &call.end {
            Some((_, how)) if how != "exit 0" => format!("  -> {how}"),
            _ => String::new(),
        };
        let at = spoken_at(call.begun.since_start());
        lines.push(format!("{at:>8}  {shown}{end}"));
    }
    let outcome = record.jobs.first().and_then(|job| job.outcome.as_ref());
    lines.push(format!(
        "{:>8}  job: {}",
        "",
        outcome.map_or("none", |outcome| outcome.state())
    ));
    lines
}

/// Seconds are enough to see pauses.
fn spoken_at(time: Duration) -> String {
    if time.as_secs() == 0 {
        "0 s".to_owned()
    } else {
        spoken(Duration::from_secs(time.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use driver_conformance_advice::explain;
    use driver_conformance_scenarios::page;

    use super::*;

    #[test]
    fn every_blank_in_a_page_is_filled() {
        let (numbers, checks) = (numbers(), check_facts());
        for page in page::all() {
            let text = explain::page(page, &numbers, &checks).text();
            let open = text.find('{').filter(|at| {
                !text[*at..].starts_with("{ \"driver\"")
                    && !text[*at..].starts_with("{\"name\"")
                    && !text[*at..].starts_with("{ \"NAME\"")
            });
            assert_eq!(
                open.map(|at| &text[at..text.len().min(at + 30)]),
                None,
                "{}",
                page.name
            );
        }
    }

    #[test]
    fn every_check_has_its_facts() {
        assert_eq!(check_facts().len(), checks::all().len());
    }

    #[test]
    fn every_number_is_used() {
        let mut texts = String::new();
        for page in page::all() {
            texts.push_str(&page.timeline);
            for statement in &page.statements {
                texts.push_str(&statement.text);
            }
            for cell in page
                .table
                .iter()
                .flat_map(|table| table.rows.iter().flatten())
            {
                texts.push_str(cell);
            }
        }
        for name in numbers().names() {
            assert!(
                texts.contains(&format!("{{{name}}}")),
                "{name} is in no page"
            );
        }
    }

    /// Times and sizes in a text, in the words of pages and symptoms: seconds or KiB.
    fn quantities(text: &str) -> Vec<(String, u64)> {
        let pattern = regex::Regex::new(
            r"(?i)\b(\d+|an?|one|two|three|five|ten) (seconds?|s|minutes?|min|hours?|h|KiB|MiB)\b|\bbelow (\d+)\b",
        )
        .expect("a constant pattern");
        let value = |word: &str| match word.to_lowercase().as_str() {
            "a" | "an" | "one" => 1,
            "two" => 2,
            "three" => 3,
            "five" => 5,
            "ten" => 10,
            digits => digits.parse().unwrap_or(u64::MAX),
        };
        let found = pattern.captures_iter(text).map(|found| {
            let whole = found[0].to_owned();
            let Some(number) = found.get(1) else {
                return (whole, value(&found[3]));
            };
            let unit = match found[2].to_lowercase().chars().next() {
                Some('m') if found[2].to_lowercase() == "mib" => KIB as u64,
                Some('m') => 60,
                Some('h') => 3600,
                _ => 1,
            };
            (whole, value(number.as_str()).saturating_mul(unit))
        });
        found.collect()
    }

    /// Quantities that are none of the emulated runner's.
    fn foreign(text: &str) -> Vec<String> {
        let numbers = numbers();
        let filled: Vec<String> = numbers
            .names()
            .map(|name| numbers.fill(&format!("{{{name}}}")))
            .collect();
        let known: Vec<u64> = filled
            .iter()
            .flat_map(|value| quantities(value))
            .map(|(_, value)| value)
            .collect();
        let all = quantities(text).into_iter();
        // Nothing is nothing in every unit.
        all.filter(|(_, value)| *value != 0 && !known.contains(value))
            .map(|(text, _)| text)
            .collect()
    }

    /// Pages have no numbers of their own, but the symptoms and requirements in them do, in words or in digits.
    #[test]
    fn times_and_sizes_in_pages_are_those_of_the_runner() {
        let (numbers, checks) = (numbers(), check_facts());
        let (mut compared, mut wrong) = (0, Vec::new());
        for page in page::all() {
            let text = explain::page(page, &numbers, &checks).text();
            // A text that was wrapped is one text all the same.
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            wrong.extend(foreign(&text).into_iter().map(|what| (page.name, what)));
            compared += quantities(&text).len();
        }
        assert_eq!(wrong, []);
        assert!(compared >= 30, "{compared} compared");
        assert_eq!(
            foreign("It waits for seven minutes, then 7 min, an hour, 129 KiB, below 290."),
            ["7 min", "129 KiB", "below 290"]
        );
    }

    /// What the pages say of numbers is what the contract's clauses and the emulated runner have.
    #[test]
    fn numbers_are_those_of_the_runner() {
        let filled = numbers().fill("{prepare_attempts} {prepare_pause} {graceful} {force} {exec_timeout} {shutdown} {run_wait}");
        assert_eq!(filled, "3 3 s 10 min 10 s 1 h 30 s 5 min");
    }
}
