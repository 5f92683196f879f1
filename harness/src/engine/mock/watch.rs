//! Calls that hang: notices them by the limits of [`Watch`](crate::plan::hang::Watch), and ends them and with them the case.

use std::time::Instant;

use super::{Engine, EngineError, Phase};
use crate::contract::protocol::{Event, KillSignal};
use crate::contract::stage::Program;
use crate::plan::hang::{CallLimit, Ending};
use crate::trace::{Abortion, CallIndex};

/// A call that hangs and is being ended.
#[derive(Debug)]
pub(super) struct GivenUp {
    job: usize,
    call: CallIndex,
    since: Instant,
    step: Step,
}

/// What was done last to end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Told,
    Killed,
    Closed,
}

impl Engine<'_> {
    /// Notices calls that hang, and brings those that were noticed before nearer to their end.
    pub(super) fn watch_calls(&mut self) -> Result<(), EngineError> {
        if self.environment.watch.is_none() {
            return Ok(());
        }
        for position in 0..self.given_up.len() {
            self.next_step(position)?;
        }
        while let Some((job, call)) = self.hanging() {
            self.give_up(job, call)?;
        }
        Ok(())
    }

    fn limit(&self, program: Program) -> Option<CallLimit> {
        let limits = &self.environment.watch.as_ref()?.limits;
        limits.get(&program).copied()
    }

    /// A call beyond its limit that nothing was done to.
    fn hanging(&self) -> Option<(usize, CallIndex)> {
        let jobs = self.jobs.iter().enumerate();
        jobs.filter(|(_, job)| job.phase == Phase::Running)
            .flat_map(|(number, job)| job.calls.iter().map(move |call| (number, call)))
            .filter(|(_, (_, call))| call.is_running() && !call.abandoned)
            .filter(|(_, (index, call))| {
                self.limit(call.program)
                    .is_some_and(|limit| self.is_beyond(limit, **index))
            })
            .find(|(_, (index, _))| !self.is_excused(**index))
            .map(|(job, (index, _))| (job, *index))
    }

    fn is_beyond(&self, limit: CallLimit, call: CallIndex) -> bool {
        let record = &self.trace.calls[call.0];
        let now = self.now();
        match record.leader_exit {
            Some((exit, _)) => now.since(exit) > limit.held,
            None => now.since(record.started) > limit.whole,
        }
    }

    /// It has been given up already, or the scenario did something while it was alive.
    fn is_excused(&self, call: CallIndex) -> bool {
        let known = self.given_up.iter().any(|given_up| given_up.call == call);
        known
            || self
                .trace
                .stimuli
                .iter()
                .any(|stimulus| stimulus.hit == Some(call))
    }

    fn give_up(&mut self, job: usize, call: CallIndex) -> Result<(), EngineError> {
        let first = self.given_up.is_empty();
        self.given_up.push(GivenUp {
            job,
            call,
            since: Instant::now(),
            step: Step::Told,
        });
        if first {
            self.abort(job, Abortion::Hang { call });
            // Unlike a runner that is told to stop (H13), this ends the call whatever it is.
            self.stop_jobs(&Event::Abort)?;
        }
        if self.is_ended_here(call) && self.is_running(job, call) {
            self.kill_from_outside(job, call, KillSignal::Term)?;
        }
        Ok(())
    }

    /// The emulated runner does not end a cleanup because the job is over in GitLab.
    fn is_ended_here(&self, call: CallIndex) -> bool {
        let ending = self.environment.watch.as_ref().map(|watch| watch.ending);
        let cleanup = self.trace.calls[call.0].program == Program::Cleanup;
        cleanup || ending == Some(Ending::AtOnce)
    }

    fn is_running(&self, job: usize, call: CallIndex) -> bool {
        let call = self.jobs[job].calls.get(&call);
        call.is_some_and(super::Call::is_running)
    }

    fn next_step(&mut self, position: usize) -> Result<(), EngineError> {
        let GivenUp {
            job,
            call,
            since,
            step,
        } = self.given_up[position];
        let Some(watch) = &self.environment.watch else {
            return Ok(());
        };
        let (kill, close) = (watch.kill_after, watch.kill_after + watch.close_after);
        if !self.is_running(job, call) || !self.is_ended_here(call) {
            return Ok(());
        }
        if step == Step::Told && since.elapsed() >= kill {
            self.given_up[position].step = Step::Killed;
            self.kill_from_outside(job, call, KillSignal::Kill)?;
        } else if step == Step::Killed && since.elapsed() >= close {
            self.given_up[position].step = Step::Closed;
            if let Some(call) = self.jobs[job].calls.get_mut(&call) {
                call.close_pipes();
            }
            self.end_if_complete(job, call)?;
        }
        Ok(())
    }
}
