//! How a runner tells GitLab about a job, and so how it learns of a cancel or an abort (contract H14, H15).
//!
//! A pure machine beside the job: [`LogUpdates::due`] says what to send, [`LogUpdates::answered`] what the answer means.

use std::time::Duration;

use super::moment::Moment;

/// Interval until GitLab asks for another one (K).
pub const UPDATE_INTERVAL_DEFAULT: Duration = Duration::from_secs(3);
/// Longest interval GitLab may ask for (K).
const UPDATE_INTERVAL_MAX: Duration = Duration::from_mins(15);
/// A silent job is touched when nothing was sent for longer than this (K).
pub const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Tries of the final update (K).
const FINAL_UPDATE_TRIES: u32 = 10;
/// First pause between them; doubles up to an hour (K).
const FINAL_UPDATE_PAUSE: Duration = Duration::from_secs(1);
const FINAL_UPDATE_PAUSE_MAX: Duration = Duration::from_hours(1);
/// Most bytes in one patch (K).
const PATCH_BYTES_MAX: u64 = 1024 * 1024;

/// Something to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// `PATCH` of the job log from one byte offset up to another.
    Patch {
        /// First byte.
        from: u64,
        /// One past the last byte.
        to: u64,
    },
    /// `PUT` with state `running`.
    Touch,
    /// `PUT` with the final state.
    Final,
}

/// What the header `Job-Status` of an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JobStatus {
    /// There is no such header.
    #[default]
    Unsaid,
    /// All is well.
    Running,
    /// The job is to be cancelled.
    Canceling,
    /// It was cancelled.
    Canceled,
    /// It was given up.
    Failed,
}

impl JobStatus {
    /// GitLab's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unsaid => "",
            Self::Running => "running",
            Self::Canceling => "canceling",
            Self::Canceled => "canceled",
            Self::Failed => "failed",
        }
    }

    /// Whether the job is over for GitLab.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Canceled | Self::Failed)
    }
}

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// HTTP status 2xx or an error status, with what the headers said.
    Status {
        /// HTTP status.
        code: u16,
        /// `Job-Status`.
        job: JobStatus,
        /// `X-GitLab-Trace-Update-Interval`.
        interval: Option<Duration>,
    },
    /// No connection.
    Refused,
    /// A connection that broke.
    Broken,
}

/// What an answer means for the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effect {
    /// The job is to be cancelled.
    pub cancel: bool,
    /// The job is to be aborted.
    pub abort: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The job runs; the next look is at this moment.
    Watching { next: Moment },
    /// An abort was seen: nothing is sent until the end.
    Silenced,
    /// The end: the rest of the log and the final state are sent.
    Finishing { next: Moment, tries: u32 },
    /// All done, or given up.
    Done,
}

/// The updates of one job.
#[derive(Debug, Clone)]
pub struct LogUpdates {
    phase: Phase,
    interval: Duration,
    sent_bytes: u64,
    sent_at: Option<Moment>,
    touch_pending: bool,
    skip_patch: bool,
}

impl LogUpdates {
    /// Begins when the job does.
    pub fn new(now: Moment) -> Self {
        Self {
            phase: Phase::Watching {
                next: now + UPDATE_INTERVAL_DEFAULT,
            },
            interval: UPDATE_INTERVAL_DEFAULT,
            sent_bytes: 0,
            sent_at: None,
            touch_pending: false,
            skip_patch: false,
        }
    }

    /// The job has its final state.
    pub fn finish(&mut self, now: Moment) {
        self.interval = UPDATE_INTERVAL_DEFAULT;
        self.touch_pending = false;
        self.phase = Phase::Finishing {
            next: now,
            tries: 0,
        };
    }

    /// Whether the final state was delivered or given up.
    pub fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// When [`due`](Self::due) is to be asked next.
    pub fn next_wake(&self) -> Option<Moment> {
        match self.phase {
            Phase::Watching { next } | Phase::Finishing { next, .. } => Some(next),
            Phase::Silenced | Phase::Done => None,
        }
    }

    /// What to send now, with `log_bytes` in the job log. `None`: nothing, until [`next_wake`](Self::next_wake).
    pub fn due(&mut self, now: Moment, log_bytes: u64) -> Option<Request> {
        match self.phase {
            Phase::Watching { next } if next <= now => self.due_while_running(now, log_bytes),
            Phase::Finishing { next, .. } if next <= now => {
                let unsent = self.sent_bytes != log_bytes && !self.skip_patch;
                Some(if unsent {
                    self.patch(log_bytes)
                } else {
                    Request::Final
                })
            }
            _ => None,
        }
    }

    fn due_while_running(&mut self, now: Moment, log_bytes: u64) -> Option<Request> {
        if !self.touch_pending && self.sent_bytes < log_bytes {
            return Some(self.patch(log_bytes));
        }
        self.touch_pending = false;
        let silent = self
            .sent_at
            .is_none_or(|sent_at| now.since(sent_at) > SILENCE_MAX);
        if silent {
            return Some(Request::Touch);
        }
        self.phase = Phase::Watching {
            next: now + self.interval,
        };
        None
    }

    fn patch(&self, log_bytes: u64) -> Request {
        Request::Patch {
            from: self.sent_bytes,
            to: log_bytes.min(self.sent_bytes + PATCH_BYTES_MAX),
        }
    }

    /// Takes the answer to a request.
    pub fn answered(&mut self, request: Request, answer: Answer, now: Moment) -> Effect {
        if let Answer::Status {
            interval: Some(interval),
            ..
        } = answer
            && !interval.is_zero()
        {
            self.interval = interval.min(UPDATE_INTERVAL_MAX);
        }
        match self.phase {
            Phase::Watching { .. } => self.answered_while_running(request, answer, now),
            Phase::Finishing { tries, .. } => {
                self.answered_while_finishing(request, answer, now, tries);
                Effect::default()
            }
            Phase::Silenced | Phase::Done => Effect::default(),
        }
    }

    fn answered_while_running(&mut self, request: Request, answer: Answer, now: Moment) -> Effect {
        let Answer::Status { code, job, .. } = answer else {
            self.phase = Phase::Watching {
                next: now + self.interval,
            };
            return Effect::default();
        };
        let gone = job.is_over() || code == 403;
        // Only a touch takes 404 for an abort; a patch that is not found does nothing (H15).
        let abort = gone || (request == Request::Touch && code == 404);
        let effect = Effect {
            cancel: job == JobStatus::Canceling,
            abort,
        };
        if abort {
            self.phase = Phase::Silenced;
            return effect;
        }
        let accepted = (200..300).contains(&code);
        if accepted {
            self.sent_at = Some(now);
        }
        match request {
            Request::Patch { to, .. } if accepted => {
                self.sent_bytes = to;
                self.touch_pending = true;
            }
            _ => {
                self.phase = Phase::Watching {
                    next: now + self.interval,
                }
            }
        }
        effect
    }

    fn answered_while_finishing(
        &mut self,
        request: Request,
        answer: Answer,
        now: Moment,
        tries: u32,
    ) {
        let code = match answer {
            Answer::Status { job, .. } if job.is_over() => 403,
            Answer::Status { code, .. } => code,
            Answer::Refused | Answer::Broken => 0,
        };
        let again = Phase::Finishing {
            next: now + self.interval,
            tries,
        };
        match (request, code) {
            (Request::Patch { to, .. }, 200..=299) => self.sent_bytes = to,
            (Request::Patch { .. }, 403 | 404) => self.skip_patch = true,
            (Request::Patch { .. }, 416) | (Request::Final, 202) => self.phase = again,
            (Request::Final, 412) => {
                self.sent_bytes = 0;
                self.phase = again;
            }
            (Request::Final, 200..=299 | 403 | 404) => self.phase = Phase::Done,
            _ => self.retry_finish(now, tries),
        }
    }

    fn retry_finish(&mut self, now: Moment, tries: u32) {
        let tries = tries + 1;
        if tries >= FINAL_UPDATE_TRIES {
            self.phase = Phase::Done;
            return;
        }
        let pause = FINAL_UPDATE_PAUSE * 2_u32.pow(tries - 1);
        let next = now + self.interval + pause.min(FINAL_UPDATE_PAUSE_MAX);
        self.phase = Phase::Finishing { next, tries };
        // Each try begins with the interval that the runner has of its own.
        self.interval = UPDATE_INTERVAL_DEFAULT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    fn accepted(job: JobStatus) -> Answer {
        Answer::Status {
            code: 202,
            job,
            interval: Some(Duration::from_secs(1)),
        }
    }

    #[test]
    fn fresh_output_is_patched_after_three_seconds_and_then_at_the_servers_pace() {
        let mut updates = LogUpdates::new(Moment::START);
        assert_eq!(updates.due(at(2), 10), None);
        let request = updates.due(at(3), 10).expect("there is something to send");
        assert_eq!(request, Request::Patch { from: 0, to: 10 });
        assert_eq!(
            updates.answered(request, accepted(JobStatus::Canceling), at(3)),
            Effect {
                cancel: true,
                abort: false
            }
        );
        assert_eq!(updates.due(at(3), 10), None);
        assert_eq!(updates.next_wake(), Some(at(4)));
    }

    #[test]
    fn a_silent_job_is_touched_after_thirty_seconds() {
        let mut updates = LogUpdates::new(Moment::START);
        let request = updates.due(at(3), 10).expect("there is something to send");
        updates.answered(request, accepted(JobStatus::Running), at(3));
        let touched = (3..60).find(|second| updates.due(at(*second), 10) == Some(Request::Touch));
        assert_eq!(touched, Some(34));
    }

    #[test]
    fn not_found_aborts_only_a_touch() {
        let not_found = Answer::Status {
            code: 404,
            job: JobStatus::Unsaid,
            interval: None,
        };
        let mut updates = LogUpdates::new(Moment::START);
        let patch = updates.due(at(3), 10).expect("there is something to send");
        assert_eq!(updates.answered(patch, not_found, at(3)), Effect::default());
        let effect = LogUpdates::new(Moment::START).answered(Request::Touch, not_found, at(3));
        assert!(effect.abort);
    }
    #[test]
    fn each_try_of_the_final_update_begins_with_the_runners_own_interval() {
        let mut updates = LogUpdates::new(Moment::START);
        updates.finish(at(10));
        let patch = updates.due(at(10), 10).expect("there is something to send");
        updates.answered(patch, accepted(JobStatus::Running), at(10));
        assert_eq!(updates.due(at(10), 10), Some(Request::Final));
        updates.answered(Request::Final, Answer::Refused, at(10));
        // One second as GitLab said with the patch, and the first pause.
        assert_eq!(updates.next_wake(), Some(at(12)));
        updates.answered(Request::Final, Answer::Refused, at(12));
        // Three seconds and the second pause: GitLab has said nothing in this try.
        assert_eq!(updates.next_wake(), Some(at(17)));
    }
}
