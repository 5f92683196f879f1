//! How a runner tells GitLab about a job, and so how it learns of a cancel or an abort (contract H14, H15).
//!
//! A pure machine beside the job: [`LogUpdates::due`] says what to send, [`LogUpdates::answered`] what the answer means.

use std::time::Duration;

use super::config::RunnerConfig;
use super::moment::Moment;

/// Interval until GitLab asks for another one (K).
pub const UPDATE_INTERVAL_DEFAULT: Duration = Duration::from_secs(3);
/// Longest interval GitLab may ask for (K).
const UPDATE_INTERVAL_MAX: Duration = Duration::from_mins(15);
/// A silent job is touched when nothing was sent for longer than this (K).
pub const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Longest such silence with `FF_USE_DYNAMIC_TRACE_FORCE_SEND_INTERVAL`, which follows the interval of log updates.
const DYNAMIC_SILENCE_MAX: Duration = Duration::from_mins(30);
/// By what the flag multiplies the interval.
const DYNAMIC_SILENCE_INTERVALS: u32 = 4;
/// Tries of the final update, unless the runner's configuration says otherwise (K).
pub const FINAL_UPDATE_TRIES: u32 = 10;
/// First pause between them; doubles up to an hour (K).
const FINAL_UPDATE_PAUSE: Duration = Duration::from_secs(1);
const FINAL_UPDATE_PAUSE_MAX: Duration = Duration::from_hours(1);
/// HTTP status by which GitLab takes a part of the log; it is the only one that the runner takes for a yes.
const PATCH_ACCEPTED: u16 = 202;
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
        /// `Range` of an answer of 416: a patch was refused since GitLab's log, of so many bytes, ends elsewhere.
        held_bytes: Option<u64>,
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
    silence_max: Duration,
    follows_interval: bool,
    final_tries: u32,
    sent_bytes: u64,
    sent_at: Option<Moment>,
    touch_pending: bool,
    skip_patch: bool,
}

impl LogUpdates {
    /// Begins when the job does, on a runner with these settings.
    pub fn new(now: Moment, runner: &RunnerConfig) -> Self {
        let follows_interval = runner
            .feature_flags
            .get("FF_USE_DYNAMIC_TRACE_FORCE_SEND_INTERVAL");
        Self {
            silence_max: SILENCE_MAX,
            follows_interval: follows_interval.copied().unwrap_or(false),
            final_tries: runner.final_update_tries(),
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
            .is_none_or(|sent_at| now.since(sent_at) > self.silence_max);
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
            if self.follows_interval {
                let silence = self.interval * DYNAMIC_SILENCE_INTERVALS;
                self.silence_max = silence.clamp(SILENCE_MAX, DYNAMIC_SILENCE_MAX);
            }
        }
        self.continue_where_gitlab_is(request, answer, now);
        match self.phase {
            Phase::Watching { .. } => self.answered_while_running(request, answer, now),
            Phase::Finishing { tries, .. } => {
                self.answered_while_finishing(request, answer, now, tries);
                Effect::default()
            }
            Phase::Silenced | Phase::Done => Effect::default(),
        }
    }

    fn continue_where_gitlab_is(&mut self, request: Request, answer: Answer, now: Moment) {
        if let Answer::Status {
            held_bytes: Some(held_bytes),
            job,
            ..
        } = answer
            && matches!(request, Request::Patch { .. })
            && !job.is_over()
        {
            self.sent_bytes = held_bytes;
            self.sent_at = Some(now);
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
        let expected = match request {
            Request::Patch { .. } => PATCH_ACCEPTED,
            Request::Touch | Request::Final => 200,
        };
        let accepted = code == expected;
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
            (Request::Patch { to, .. }, PATCH_ACCEPTED) => self.sent_bytes = to,
            (Request::Patch { .. }, 403 | 404) => self.skip_patch = true,
            (Request::Patch { .. }, 416) => self.phase = again,
            (Request::Final, 202) => {
                self.skip_patch = false;
                self.phase = again;
            }
            (Request::Final, 412) => {
                self.skip_patch = false;
                self.sent_bytes = 0;
                self.phase = again;
            }
            (Request::Final, 200 | 403 | 404) => self.phase = Phase::Done,
            _ => self.retry_finish(now, tries),
        }
    }

    fn retry_finish(&mut self, now: Moment, tries: u32) {
        let tries = tries + 1;
        self.skip_patch = false;
        if tries >= self.final_tries {
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

    fn new_updates() -> LogUpdates {
        LogUpdates::new(Moment::START, &RunnerConfig::default())
    }

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    fn accepted_with(code: u16) -> Answer {
        Answer::Status {
            code,
            job: JobStatus::Running,
            interval: None,
            held_bytes: None,
        }
    }

    fn accepted(job: JobStatus) -> Answer {
        Answer::Status {
            code: 202,
            job,
            interval: Some(Duration::from_secs(1)),
            held_bytes: None,
        }
    }

    #[test]
    fn fresh_output_is_patched_after_three_seconds_and_then_at_the_servers_pace() {
        let mut updates = new_updates();
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
        let mut updates = new_updates();
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
            held_bytes: None,
        };
        let mut updates = new_updates();
        let patch = updates.due(at(3), 10).expect("there is something to send");
        assert_eq!(updates.answered(patch, not_found, at(3)), Effect::default());
        let effect = new_updates().answered(Request::Touch, not_found, at(3));
        assert!(effect.abort);
    }

    #[test]
    fn each_try_of_the_final_update_begins_with_the_runners_own_interval() {
        let mut updates = new_updates();
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
    /// H15, with `job_status_final_update_retry_limit`.
    #[test]
    fn the_runners_settings_say_how_often_the_final_update_is_tried() {
        let tried = |limit: i64| {
            let runner = RunnerConfig {
                job_status_final_update_retry_limit: limit,
                ..RunnerConfig::default()
            };
            let mut updates = LogUpdates::new(Moment::START, &runner);
            updates.finish(Moment::START);
            let mut tries = 0;
            while let Some(moment) = updates.next_wake() {
                let request = updates.due(moment, 0).expect("the final update");
                updates.answered(request, Answer::Refused, moment);
                tries += 1;
            }
            tries
        };
        assert_eq!(tried(0), FINAL_UPDATE_TRIES);
        assert_eq!(tried(2), 2);
        assert_eq!(tried(-1), FINAL_UPDATE_TRIES);
    }

    /// H14, with `FF_USE_DYNAMIC_TRACE_FORCE_SEND_INTERVAL` in the runner's configuration.
    #[test]
    fn a_slow_server_may_leave_a_silent_job_alone_for_longer() {
        let mut runner = RunnerConfig::default();
        let flag = "FF_USE_DYNAMIC_TRACE_FORCE_SEND_INTERVAL".to_owned();
        runner.feature_flags.insert(flag, true);
        let mut updates = LogUpdates::new(Moment::START, &runner);
        let request = updates.due(at(3), 10).expect("there is something to send");
        let slow = Answer::Status {
            code: 202,
            job: JobStatus::Running,
            interval: Some(Duration::from_secs(10)),
            held_bytes: None,
        };
        updates.answered(request, slow, at(3));
        let touched = (3..90).find(|second| updates.due(at(*second), 10) == Some(Request::Touch));
        assert_eq!(touched, Some(53));
    }

    /// H14: GitLab took the patch with which it said that the job is over, and then it was not.
    #[test]
    fn a_patch_that_gitlab_has_already_is_not_sent_for_ever() {
        let mut updates = new_updates();
        updates.finish(at(0));
        let all = Request::Patch { from: 0, to: 10 };
        assert_eq!(updates.due(at(0), 10), Some(all));
        let held_elsewhere = Answer::Status {
            code: 416,
            job: JobStatus::Running,
            interval: None,
            held_bytes: Some(4),
        };
        updates.answered(all, held_elsewhere, at(0));
        let rest = Request::Patch { from: 4, to: 10 };
        assert_eq!(updates.due(at(3), 10), Some(rest));
        updates.answered(rest, accepted_with(202), at(3));
        assert_eq!(updates.due(at(3), 10), Some(Request::Final));
    }

    /// H15: a patch that is not found is left out of this try only.
    #[test]
    fn the_log_is_sent_again_in_the_next_try() {
        let status = |code| Answer::Status {
            code,
            job: JobStatus::Unsaid,
            interval: None,
            held_bytes: None,
        };
        let mut updates = new_updates();
        updates.finish(at(0));
        let patch = Request::Patch { from: 0, to: 10 };
        assert_eq!(updates.due(at(0), 10), Some(patch));
        updates.answered(patch, status(404), at(0));
        assert_eq!(updates.due(at(0), 10), Some(Request::Final));
        updates.answered(Request::Final, status(201), at(0));
        let next = updates.next_wake().expect("another try");
        assert_eq!(updates.due(next, 10), Some(patch));
    }
}
