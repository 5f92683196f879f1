//! The runner's side: jobs, their actions, and the updates to GitLab.

use std::collections::VecDeque;
use std::time::Duration;

use crate::contract::job::Job;
use crate::contract::log_updates::{Answer, JobStatus, LogUpdates, Request};
use crate::contract::moment::Moment;
use crate::contract::outcome::{FailureReason, Outcome};
use crate::contract::protocol::{Action, Emulation, Event};

use super::{Occurrence, World};

/// A job that was handed out.
pub(super) struct RunningJob {
    pub(super) emulation: Job,
    pub(super) updates: LogUpdates,
    pub(super) outcome: Option<Outcome>,
    concurrent_id: u32,
    pub(super) removed: bool,
    interrupted: bool,
    /// The runner refuses it before it is one of its jobs (A9).
    pub(super) is_refused: bool,
    pub(super) log: Vec<u8>,
}

impl RunningJob {
    /// Whether the runner is through with it.
    pub(super) fn is_removed(&self) -> bool {
        self.removed
    }
}

impl World<'_> {
    pub(super) fn hand_out(&mut self, index: usize) {
        while self.jobs.len() <= index {
            self.jobs.push(None);
        }
        if !self.runner.takes_jobs() {
            return;
        }
        self.outstanding -= 1;
        let id = self.source.id(index);
        let concurrent_id = self.free_concurrent_id();
        let emulation = self.source.make(index, concurrent_id, self.reloads);
        let is_refused = emulation.build().request_error().is_some();
        let updates = LogUpdates::new(self.now, emulation.build().runner());
        self.jobs[index] = Some(RunningJob {
            emulation,
            updates,
            is_refused,
            outcome: None,
            concurrent_id,
            removed: false,
            interrupted: false,
            log: Vec::new(),
        });
        self.log_received(index);
        if is_refused {
            self.tell(index, Event::Begin);
            return;
        }
        let first = self.coordinator.answer(id, Request::Touch, 0);
        self.log_first_update(index, first);
        if let Answer::Status { code, job, .. } = first
            && (job.is_over() || matches!(code, 403 | 404) || job == JobStatus::Canceling)
        {
            self.lost_before_start(index, job == JobStatus::Canceling);
            return;
        }
        self.log_processing(index, "Added job to processing list");
        self.tell(index, Event::Begin);
        if let Some(word) = self.interrupt {
            self.interrupt_job(index, word);
        }
    }

    /// Cancelled or aborted before the first call (contract A9).
    fn lost_before_start(&mut self, index: usize, canceled: bool) {
        if canceled {
            let id = self.record.jobs[index].id;
            let last = self.coordinator.answer(id, Request::Final, 0);
            self.log_update(index, Request::Final, last);
            self.record.jobs[index].outcome = Some(Outcome::Failed {
                reason: FailureReason::JobCanceled,
                internal_reason: FailureReason::JobCanceled,
                exit_code: 0,
            });
        }
        self.jobs[index] = None;
        self.ask_for_next_job();
        self.let_runner_end();
    }

    fn free_concurrent_id(&self) -> u32 {
        let taken: Vec<u32> = self
            .jobs
            .iter()
            .flatten()
            .filter(|job| !job.removed)
            .map(|job| job.concurrent_id)
            .collect();
        (0..=u32::MAX).find(|id| !taken.contains(id)).unwrap_or(0)
    }

    /// Gives a job an event, and does what it answers, until it is quiet.
    pub(super) fn tell(&mut self, index: usize, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            if self.runner.is_gone() {
                return;
            }
            let Some(job) = self.jobs[index].as_mut() else {
                return;
            };
            let actions = job.emulation.handle(event, self.now);
            for action in actions {
                self.act(index, action, &mut events);
            }
        }
    }

    fn act(&mut self, index: usize, action: Action, events: &mut VecDeque<Event>) {
        match action {
            Action::MakeTempDir { path, .. } => {
                self.files.make_temp_dir(path);
                events.push_back(Event::TempDirMade);
            }
            Action::RemoveTempDir { path } => self.files.remove_tree(&path),
            Action::StartCall(spec) => events.push_back(self.start_driver(index, *spec)),
            Action::SignalGroup { call, signal } => {
                let result = self.signal_group(index, call, signal, events);
                events.push_back(Event::SignalSent {
                    call,
                    signal,
                    result,
                });
            }
            Action::Abandon { .. } | Action::KillHelpers | Action::EndSequence => {}
            Action::JobLog(data) => {
                self.record.jobs[index].full_log.extend_from_slice(&data);
                if let Some(job) = self.jobs[index].as_mut() {
                    job.log.extend_from_slice(&data);
                }
            }
            Action::RunnerLog(entry) => self.log(&entry),
            Action::Finish(outcome) => {
                if let Some(job) = self.jobs[index].as_mut() {
                    job.outcome = Some(outcome);
                    job.updates.finish(self.now);
                }
            }
        }
    }

    pub(super) fn interrupt_jobs(&mut self, word: &'static str) {
        self.interrupt = Some(word);
        for index in 0..self.jobs.len() {
            self.interrupt_job(index, word);
        }
    }

    fn interrupt_job(&mut self, index: usize, word: &'static str) {
        if let Some(job) = self.jobs[index].as_mut()
            && !std::mem::replace(&mut job.interrupted, true)
        {
            self.tell(index, Event::Interrupt(word));
        }
    }

    pub(super) fn next_runner_wake(&self) -> Option<Moment> {
        if self.runner.is_gone() {
            return None;
        }
        let jobs = self.jobs.iter().flatten().flat_map(|job| {
            let updates = if job.removed {
                None
            } else {
                job.updates.next_wake()
            };
            [job.emulation.next_wake(), updates]
        });
        jobs.chain([self.runner.next_wake()]).flatten().min()
    }

    pub(super) fn wake_runner(&mut self) {
        for index in 0..self.jobs.len() {
            let due = self.jobs[index]
                .as_ref()
                .and_then(|job| job.emulation.next_wake())
                .is_some_and(|moment| moment <= self.now);
            if due {
                self.tell(index, Event::Wake);
            }
            self.send_updates(index);
        }
        let (builds, workers) = self.load();
        let actions = self.runner.wake(self.now, builds, workers);
        self.process_actions(actions);
        self.let_runner_end();
    }

    /// The runner asks again at its next full interval.
    pub(super) fn ask_for_next_job(&mut self) {
        if self.next_job >= self.source.count() {
            return;
        }
        let interval = self.scenario.check_interval.max(Duration::from_secs(1));
        let since = self.now.since_start().as_nanos() % interval.as_nanos();
        let wait = interval.saturating_sub(Duration::from_nanos(u64::try_from(since).unwrap_or(0)));
        let next = self.next_job;
        self.next_job += 1;
        self.schedule(wait, Occurrence::HandOut(next));
    }
}
