//! What a job writes into the job log and the runner log.

use std::sync::Arc;

use super::super::build::Build;
use super::super::job_log::{LineKind, LogOptions, LogStream, LogWriter, ansi};
use super::super::protocol::{Action, RunnerLogEntry, RunnerLogLevel};
use super::Job;

/// Options of all writers of a job.
pub(super) fn options(build: &Build, started_at_unix_us: u64) -> LogOptions {
    let mut token_prefixes = build.token_mask_prefixes();
    let defaults = &super::super::job_log::DEFAULT_PREFIXES;
    let used = if build.feature("FF_MASK_ALL_DEFAULT_TOKENS") {
        defaults.len()
    } else {
        1
    };
    token_prefixes.extend(defaults[..used].iter().map(|prefix| (*prefix).to_owned()));
    LogOptions {
        masked_phrases: bytes(build.masked_phrases()),
        token_prefixes: bytes(token_prefixes),
        timestamps: build.feature("FF_TIMESTAMPS"),
        started_at_unix_us,
    }
}

fn bytes(words: Vec<String>) -> Vec<Vec<u8>> {
    words.into_iter().map(String::into_bytes).collect()
}

/// A writer for the runner's own lines.
pub(super) fn runner_writer(options: &LogOptions) -> LogWriter {
    LogWriter::new(options, LogStream::Executor, LineKind::Stdout)
}

impl Job {
    pub(super) fn append_to_job_log(&mut self, data: &[u8]) {
        if self.log_closed {
            return;
        }
        let accepted = self.log.write(data);
        if !accepted.is_empty() {
            self.actions.push(Action::JobLog(accepted));
        }
    }

    pub(super) fn raw_line(&mut self, text: &str) {
        let data = self.writer.write(text.as_bytes(), self.now);
        self.append_to_job_log(&data);
    }

    /// A neutral line; the runner log has it at debug level.
    pub(super) fn print(&mut self, text: &str) {
        self.raw_line(&format!("{}{text}{}\n", ansi::CLEAR, ansi::RESET));
        self.logger_entry(RunnerLogLevel::Debug, text, &[]);
    }

    pub(super) fn heading(&mut self, text: &str) {
        self.print(&format!("{}{text}{}", ansi::BOLD_CYAN, ansi::RESET));
    }

    pub(super) fn notice(&mut self, text: &str) {
        self.raw_line(&format!("{}{text}{}\n", ansi::BOLD_GREEN, ansi::RESET));
        self.logger_entry(RunnerLogLevel::Info, text, &[]);
    }

    pub(super) fn warning(&mut self, text: &str) {
        self.warning_with(text, &[]);
    }

    pub(super) fn warning_with(&mut self, text: &str, fields: &[(&str, String)]) {
        self.raw_line(&format!("{}WARNING: {text}{}\n", ansi::YELLOW, ansi::RESET));
        self.logger_entry(RunnerLogLevel::Warning, text, fields);
    }

    /// An error in the job log that is only a warning in the runner log.
    pub(super) fn soft_error(&mut self, text: &str) {
        self.raw_line(&format!("{}ERROR: {text}{}\n", ansi::BOLD_RED, ansi::RESET));
        self.logger_entry(RunnerLogLevel::Warning, text, &[]);
    }

    pub(super) fn section_start(&mut self, name: &str) {
        self.section("section_start", name);
    }

    pub(super) fn section_end(&mut self, name: &str) {
        self.section("section_end", name);
    }

    fn section(&mut self, word: &str, name: &str) {
        if !self.build.payload().features.trace_sections {
            return;
        }
        let elapsed_s = self.now.since_start().as_secs();
        let unix_s = self.log_options.started_at_unix_us / 1_000_000 + elapsed_s;
        self.raw_line(&format!("{word}:{unix_s}:{name}\r{}", ansi::CLEAR));
    }

    /// An entry about the job in the runner log alone.
    pub(super) fn log_entry(
        &mut self,
        level: RunnerLogLevel,
        message: &str,
        fields: &[(&str, String)],
    ) {
        let job_fields = self.build.log_fields();
        self.push_entry(level, message, job_fields, fields);
    }

    /// The runner log's part of what goes to both logs.
    pub(super) fn logger_entry(
        &mut self,
        level: RunnerLogLevel,
        message: &str,
        fields: &[(&str, String)],
    ) {
        let job_fields = self.build.logger_fields();
        self.push_entry(level, message, job_fields, fields);
    }

    fn push_entry(
        &mut self,
        level: RunnerLogLevel,
        message: &str,
        job_fields: Arc<[(String, String)]>,
        fields: &[(&str, String)],
    ) {
        let fields = fields.iter();
        self.actions.push(Action::RunnerLog(RunnerLogEntry {
            level,
            message: message.to_owned(),
            job_fields,
            fields: fields
                .map(|(key, value)| ((*key).to_owned(), value.clone()))
                .collect(),
        }));
    }

    pub(super) fn debug(&mut self, message: &str) {
        self.log_entry(RunnerLogLevel::Debug, message, &[]);
    }
}
