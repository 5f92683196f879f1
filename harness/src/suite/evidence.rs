//! `--keep`: what failing cases left to look at, without the machine they ran on.
//!
//! For each case with a finding there is a directory: its trace, what was asked of a mock backend, and for each call the
//! command, the environment, the script and what was printed. Values of secrets are masked everywhere.

pub(in crate::suite) mod masking;

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use crate::checks::verdict::Finding;
use crate::contract::exit::ExitStatus;
use crate::contract::moment::Moment;
use crate::trace::{CallRecord, Trace};

use super::call_name;
use masking::Mask;

/// Most bytes of one file: the beginning of it; a driver that floods fills no disk.
const FILE_BYTES_MAX: usize = 256 * 1024;
/// Most bytes in all.
const TOTAL_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// Most events in one file.
const EVENTS_MAX: usize = 20_000;

/// A directory for evidence.
#[derive(Debug)]
pub struct Evidence {
    directory: PathBuf,
    /// The directory was not there before.
    made: bool,
    written: AtomicU64,
    /// The first thing that went wrong.
    failure: Mutex<Option<String>>,
}

impl Evidence {
    /// Makes the directory, so that a wrong path is told before the run and not after it.
    pub fn begin(directory: &Path) -> io::Result<Self> {
        let made = !directory.exists();
        fs::create_dir_all(directory)?;
        // A directory that is there may still be one where nothing can be made.
        let probe = tempfile::Builder::new()
            .prefix(".keep-")
            .tempfile_in(directory)?;
        drop(probe);
        Ok(Self {
            directory: directory.to_owned(),
            made,
            written: AtomicU64::new(0),
            failure: Mutex::new(None),
        })
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Why something is missing, if it is.
    pub fn failure(&self) -> Option<String> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.clone()
    }

    /// Stores what a case shows; one without findings leaves nothing, not even what an earlier run of it left.
    pub(super) fn store(&self, case: &str, trace: &Trace, findings: &[Finding]) {
        let directory = self.directory.join(directory_name(case));
        let stored = if findings.is_empty() {
            match fs::remove_dir_all(&directory) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        } else {
            self.write_case(&directory, case, trace, findings)
        };
        if let Err(error) = stored {
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert_with(|| format!("{}: {error}", directory.display()));
        }
    }

    fn write_case(
        &self,
        directory: &Path,
        case: &str,
        trace: &Trace,
        findings: &[Finding],
    ) -> io::Result<()> {
        match fs::remove_dir_all(directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir_all(directory)?;
        let mask = Mask::of(trace);
        self.write(
            &directory.join("case.json"),
            &mask,
            summary(case, trace, findings).as_bytes(),
        )?;
        self.write(
            &directory.join("trace.jsonl"),
            &mask,
            events(trace).as_bytes(),
        )?;
        self.write(
            &directory.join("ledger.jsonl"),
            &mask,
            ledger(trace).as_bytes(),
        )?;
        for (index, job) in trace.jobs.iter().enumerate() {
            self.write(
                &directory.join(format!("job-{}.log", index + 1)),
                &mask,
                &job.job_log,
            )?;
            let runner = job.runner_log.join("\n");
            self.write(
                &directory.join(format!("runner-{}.log", index + 1)),
                &mask,
                runner.as_bytes(),
            )?;
        }
        for (index, call) in trace.calls.iter().enumerate() {
            let name = call_name(call.program, call.stage.as_ref()).replace(' ', "-");
            let directory = directory.join(format!("{:03}-{}", index + 1, file_name(&name)));
            self.write_call(&directory, call, &mask)?;
        }
        Ok(())
    }

    fn write_call(&self, directory: &Path, call: &CallRecord, mask: &Mask) -> io::Result<()> {
        fs::create_dir_all(directory)?;
        let mut environment = String::new();
        for (name, value) in &call.environment {
            let _ = writeln!(environment, "{name}={}", masking::value(name, value));
        }
        let command = serde_json::Value::from(call.argv.clone()).to_string();
        self.write(&directory.join("command.json"), mask, command.as_bytes())?;
        self.write(&directory.join("environment"), mask, environment.as_bytes())?;
        self.write(&directory.join("stdout"), mask, &call.stdout.bytes)?;
        self.write(&directory.join("stderr"), mask, &call.stderr.bytes)?;
        if let Some(script) = &call.script {
            self.write(&directory.join("script"), mask, script.as_bytes())?;
        }
        Ok(())
    }

    /// Writes the beginning of a text, without secrets. When there is enough, the rest is left out.
    fn write(&self, path: &Path, mask: &Mask, content: &[u8]) -> io::Result<()> {
        if content.is_empty() {
            return Ok(());
        }
        let mut text = mask.text(content);
        if text.len() > FILE_BYTES_MAX {
            let left_out = text.len() - FILE_BYTES_MAX;
            text.truncate(FILE_BYTES_MAX);
            text.extend_from_slice(format!("\n[{left_out} more bytes are not kept]\n").as_bytes());
        }
        let size = text.len() as u64;
        if self.written.fetch_add(size, Ordering::Relaxed) + size > TOTAL_BYTES_MAX {
            text = b"[not kept: there is too much of it]\n".to_vec();
        }
        fs::write(path, text)
    }
}

impl Drop for Evidence {
    fn drop(&mut self) {
        if self.made {
            // If it is not empty, it stays.
            let _ = fs::remove_dir(&self.directory);
        }
    }
}

/// The directory of a case below that of all evidence; the colon of an axis is none of the characters that every file
/// system and every artifact store take.
pub fn directory_name(case: &str) -> PathBuf {
    case.split('/').map(file_name).collect()
}

fn file_name(text: &str) -> String {
    let plain = |letter: char| {
        if letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.') {
            letter
        } else {
            '='
        }
    };
    let name: String = text.chars().map(plain).collect();
    // No part of a path leads elsewhere.
    if name.chars().all(|letter| letter == '.') {
        "=".repeat(name.len().max(1))
    } else {
        name
    }
}

fn summary(case: &str, trace: &Trace, findings: &[Finding]) -> String {
    let findings: Vec<_> = findings
        .iter()
        .map(|found| {
            json!({
                "check": found.check.id,
                "status": found.status.name(),
                "call": found.program.map(crate::contract::stage::Program::name),
                "stage": found.stage,
                "message": found.deviation.message,
                "expected": found.deviation.expected,
                "actual": found.deviation.actual,
                "evidence": [found.deviation.evidence.0, found.deviation.evidence.1],
                "fingerprint": found.fingerprint,
            })
        })
        .collect();
    let left: Vec<String> = trace
        .surviving_processes
        .iter()
        .map(|process| format!("process {}: {}", process.pid, process.command))
        .chain(
            trace
                .left_files
                .iter()
                .map(|file| file.path.display().to_string()),
        )
        .chain(
            trace
                .leaks
                .iter()
                .map(|leak| format!("{}: {}", leak.kind, leak.what)),
        )
        .collect();
    let aborted = trace.aborted.as_ref().map(ToString::to_string);
    let value = json!({ "case": case, "findings": findings, "left": left, "ended_early": aborted });
    format!("{value:#}\n")
}

/// One line for each event; its number is the one that `evidence` of a finding names.
fn events(trace: &Trace) -> String {
    let mut text = String::new();
    for (number, event) in trace.events.iter().enumerate().take(EVENTS_MAX) {
        let line = json!({
            "event": number,
            "at_us": event.at.microseconds(),
            "job": event.job + 1,
            "what": format!("{:?}", event.kind),
        });
        let _ = writeln!(text, "{line}");
    }
    for (index, call) in trace.calls.iter().enumerate() {
        let status = call
            .leader_exit
            .map(|(_, status): (_, ExitStatus)| status.to_string());
        let line = json!({
            "call": index,
            "program": call.program.name(),
            "stage": call.stage.as_ref().map(ToString::to_string),
            "exit": status,
        });
        let _ = writeln!(text, "{line}");
    }
    text
}

/// One line for each request to the mock backend; `call` is the number of the directory of the call that made it.
fn ledger(trace: &Trace) -> String {
    let mut text = String::new();
    for entry in &trace.ledger {
        let line = json!({
            "at_us": entry.at.microseconds(),
            "answered_at_us": entry.answered.map(Moment::microseconds),
            "call": entry.call.map(|call| call.0 + 1),
            "command": entry.command,
            "effects": entry.effects,
            "code": entry.code,
        });
        let _ = writeln!(text, "{line}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_of_a_case_is_below_that_of_all() {
        let name = |case| directory_name(case).display().to_string();
        assert_eq!(
            name("run/cancel/stage:get_sources"),
            "run/cancel/stage=get_sources"
        );
        assert_eq!(name("../../etc"), "==/==/etc");
        assert_eq!(name("/etc"), "=/etc");
    }
}
