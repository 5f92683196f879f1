//! Updates from the runner to GitLab, and what the runner logs about them.

use std::sync::Arc;

use crate::contract::log_updates::{Answer, Request};
use crate::contract::protocol::{Event, RunnerLogEntry, RunnerLogLevel};
use crate::contract::update_log::{UpdateFacts, entries, first_entries};

use super::World;

/// Id that ties a request to its answer in the logs; the simulation has no second party to tell apart.
const CORRELATION_ID: &str = "00000000000000000000000000000000";

/// HTTP status by which GitLab says that the log it has is not the one the runner means.
const LOG_NOT_VALID: u16 = 412;

impl World<'_> {
    pub(super) fn send_updates(&mut self, index: usize) {
        loop {
            let now = self.now;
            let Some(job) = self.jobs[index].as_mut() else {
                return;
            };
            if job.removed || self.runner.is_gone() {
                return;
            }
            let Some(request) = job.updates.due(now, job.emulation.job_log_bytes()) else {
                return;
            };
            self.send_update(index, request);
        }
    }

    fn send_update(&mut self, index: usize, request: Request) {
        let now = self.now;
        let stored = self.record.jobs[index].log.len() as u64;
        let id = self.record.jobs[index].id;
        let answer = self.coordinator.answer(id, request, stored);
        let Some(job) = self.jobs[index].as_mut() else {
            return;
        };
        match (request, answer) {
            (Request::Patch { from, to }, Answer::Status { code: 202, .. }) => {
                let range = usize::try_from(from).unwrap_or(0)..usize::try_from(to).unwrap_or(0);
                let sent = job.log.get(range).unwrap_or_default();
                self.record.jobs[index].log.extend_from_slice(sent);
            }
            (Request::Final, Answer::Status { code, .. }) => {
                if code == LOG_NOT_VALID {
                    // GitLab drops what it has and takes the log anew.
                    self.record.jobs[index].log.clear();
                }
                self.record.jobs[index].outcome.clone_from(&job.outcome);
            }
            _ => {}
        }
        let effect = job.updates.answered(request, answer, now);
        let done = job.updates.is_done();
        self.log_update(index, request, answer);
        if effect.cancel {
            self.tell(index, Event::Cancel);
        }
        if effect.abort {
            self.tell(index, Event::Abort);
        }
        if done {
            self.job_done(index);
        }
    }

    fn job_done(&mut self, index: usize) {
        if let Some(job) = self.jobs[index].as_mut() {
            job.removed = true;
        }
        self.log_end(index);
        self.ask_for_next_job();
        self.let_runner_end();
    }

    pub(super) fn log_update(&mut self, index: usize, request: Request, answer: Answer) {
        let facts = self.update_facts(index);
        let entries = facts.map(|facts| entries(request, answer, &facts));
        for entry in entries.unwrap_or_default() {
            self.log(&entry);
        }
    }

    fn update_facts(&self, index: usize) -> Option<UpdateFacts<'_>> {
        let job = self.jobs[index].as_ref()?;
        let build = job.emulation.build();
        Some(UpdateFacts {
            job: self.record.jobs[index].id,
            runner: build.short_token(),
            runner_name: build.runner().name.clone(),
            log_bytes: job.emulation.job_log_bytes(),
            log: &job.log,
            stored_bytes: self.record.jobs[index].log.len() as u64,
            correlation_id: CORRELATION_ID.into(),
            url: &build.runner().url,
        })
    }

    pub(super) fn log_received(&mut self, index: usize) {
        let Some(job) = self.jobs[index].as_ref() else {
            return;
        };
        let build = job.emulation.build();
        let fields = [
            ("correlation_id", CORRELATION_ID.to_owned()),
            ("job", self.record.jobs[index].id.to_string()),
            ("repo_url", job.emulation.clean_repository_url()),
            ("runner", build.short_token()),
            ("runner_name", build.runner().name.clone()),
        ];
        let fields = if build.runner().name.is_empty() {
            &fields[..4]
        } else {
            &fields[..]
        };
        let message = "Checking for jobs... received";
        self.log_bare(RunnerLogLevel::Info, message, fields);
    }

    pub(super) fn log_first_update(&mut self, index: usize, first: Answer) {
        let facts = self.update_facts(index);
        let entries = facts.map(|facts| first_entries(first, &facts));
        for entry in entries.unwrap_or_default() {
            self.log(&entry);
        }
    }

    fn log_end(&mut self, index: usize) {
        if self.is_single() {
            self.log_end_of_single(index);
            return;
        }
        if self.jobs[index].as_ref().is_some_and(|job| job.is_refused) {
            return;
        }
        self.log_processing(index, "Removed job from processing list");
        let Some(job) = self.jobs[index].as_ref() else {
            return;
        };
        let Some(failure) = job.emulation.failure() else {
            return;
        };
        if failure.is_build_error {
            return;
        }
        let build = job.emulation.build();
        let (builds, workers) = self.load();
        let fields = [
            ("builds", builds.to_string()),
            ("error", failure.message.clone()),
            ("executor", build.runner().executor.clone()),
            ("max_builds", workers.to_string()),
            ("runner", build.short_token()),
            ("runner_name", build.runner().name.clone()),
        ];
        self.log_bare(RunnerLogLevel::Warning, "Failed to process runner", &fields);
    }

    /// A process for one job tells any failure of it.
    fn log_end_of_single(&mut self, index: usize) {
        let job = self.jobs[index].as_ref();
        if let Some(failure) = job.and_then(|job| job.emulation.failure()) {
            let error = [("error", failure.message.clone())];
            self.log_bare(RunnerLogLevel::Error, "Failed to process build", &error);
        }
        let message = "This runner has processed its build limit, so now exiting";
        self.log_bare(RunnerLogLevel::Info, message, &[]);
    }

    /// Logs an entry of the process itself, not of a job.
    fn log_bare(&mut self, level: RunnerLogLevel, message: &str, fields: &[(&str, String)]) {
        let fields = fields
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect();
        self.log(&RunnerLogEntry {
            job_fields: Arc::default(),
            level,
            message: message.into(),
            fields,
        });
    }

    pub(super) fn log_processing(&mut self, index: usize, message: &str) {
        if self.is_single() {
            return;
        }
        let Some(job) = self.jobs[index].as_ref() else {
            return;
        };
        let (builds, workers) = self.load();
        let mut fields = job.emulation.processing_fields();
        fields.push(("builds".into(), builds.to_string()));
        fields.push(("max_builds".into(), workers.to_string()));
        let message = message.to_owned();
        self.log(&RunnerLogEntry {
            job_fields: Arc::default(),
            level: RunnerLogLevel::Info,
            message,
            fields,
        });
    }
}
