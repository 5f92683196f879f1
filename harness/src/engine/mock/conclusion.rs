//! The end of a case: what is left, and that nothing is alive.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};

use super::{Engine, EngineError, Job};
use crate::contract::exit::ExitStatus;
use crate::process::client::{FINISH_PATIENCE, Report, Survivor};
use crate::process::wait_ready;
use crate::trace::{CallIndex, Holding, SurvivingProcess, Trace, TraceEventKind};

impl Engine<'_> {
    /// Lists what is left of the case, kills what is alive, and gives the record away.
    pub(super) fn conclude(mut self) -> Result<Trace, EngineError> {
        let aborted = matches!(&self.trace.aborted, Some(abortion) if !abortion.ends_in_order());
        let grace = if aborted {
            Duration::ZERO
        } else {
            self.environment.survivor_grace
        };
        for (job, state) in self.jobs.iter_mut().enumerate() {
            let Some(supervisor) = state.supervisor.as_mut() else {
                continue;
            };
            if let Err(error) = supervisor.finish(grace) {
                super::calls::supervisor_trouble(job, error)?;
            }
        }
        let deadline = Instant::now() + grace + FINISH_PATIENCE;
        while self.jobs.iter().any(|job| job.supervisor.is_some()) && Instant::now() < deadline {
            self.hear_last_words(deadline)?;
        }
        // Dropping a supervisor that has not answered ends it, and everything below it that can be killed.
        self.jobs.clear();
        // Before all else is looked at: the processes of a box are no leak beside that of the box.
        if let Some(backend) = &self.environment.backend {
            let left = backend.conclude(self.leaks.marks(), self.now());
            let left = left.map_err(EngineError::Backend)?;
            self.trace.leaks.extend(left.leaks);
            self.trace.touched_keepsakes.extend(left.touched);
            self.trace.backend_gaps = left.gaps;
            self.trace.requests = left.requests;
            self.trace.ledger = left.ledger;
        }
        let makers = self.known_makers();
        let left = self.leaks.left(&makers);
        self.trace.leaks.extend(left.leaks);
        self.trace.suspicions.extend(left.suspicions);
        self.trace.listed.extend(left.listed);
        self.files.mounted(self.leaks.mount_points());
        self.trace.left_files = self.files.left();
        self.trace.appeared_files = self.files.appeared();
        self.trace
            .touched_keepsakes
            .extend(self.keepsakes.touched());
        (self.trace.secret_files, self.trace.secret_arguments) = self.secrets.found();
        self.trace.scheduling_delay_max = self.ticker.worst;
        Ok(self.trace)
    }

    /// The processes of the case that are known by name, with the calls they come from.
    fn known_makers(&self) -> Vec<(u32, CallIndex)> {
        let calls = self.trace.calls.iter().enumerate();
        let leaders = calls.filter_map(|(index, call)| Some((call.pid?, CallIndex(index))));
        let survivors = self.trace.surviving_processes.iter();
        let survivors = survivors.filter_map(|process| Some((process.pid, process.made_by?)));
        leaders.chain(survivors).collect()
    }

    fn hear_last_words(&mut self, deadline: Instant) -> Result<(), EngineError> {
        let mut watched: Vec<PollFd<'_>> = self
            .jobs
            .iter()
            .filter_map(|job| job.supervisor.as_ref())
            .map(|supervisor| PollFd::from_borrowed_fd(supervisor.as_fd(), PollFlags::IN))
            .collect();
        let patience = deadline.saturating_duration_since(Instant::now());
        wait_ready(&mut watched, Some(patience)).map_err(EngineError::Wait)?;
        for job in 0..self.jobs.len() {
            let Some(supervisor) = self.jobs[job].supervisor.as_mut() else {
                continue;
            };
            let reports = supervisor
                .reports()
                .map_err(|source| EngineError::Supervisor { job, source })?;
            for report in reports {
                if let Report::LeaderExited { call, status } = report {
                    self.leader_exited_late(job, CallIndex(call as usize), status);
                } else {
                    take_last_report(&mut self.trace, &mut self.jobs[job], report);
                }
            }
        }
        Ok(())
    }

    /// A call that nobody waited for has ended in the grace; once survivors are listed, it is our SIGKILL that ends them.
    fn leader_exited_late(&mut self, job: usize, call: CallIndex, status: ExitStatus) {
        if !self.jobs[job].survivors_listed {
            self.trace.calls[call.0].leader_exit = Some((self.now(), status));
            self.record(job, TraceEventKind::LeaderExited(call, status));
        }
    }
}

/// What comes from a supervisor after `finish`.
fn take_last_report(trace: &mut Trace, job: &mut Job, report: Report) {
    match report {
        Report::Survivors(survivors) => {
            job.survivors_listed = true;
            for survivor in survivors {
                let pid = survivor.pid.unsigned_abs();
                let holds = survivor.holds.iter().cloned();
                trace
                    .holdings
                    .extend(holds.map(|what| Holding { pid, what }));
                trace.surviving_processes.push(surviving_process(survivor));
            }
        }
        Report::Gone { unkillable } => {
            trace.unkillable_processes.extend(unkillable);
            job.supervisor = None;
        }
        Report::Closed => job.supervisor = None,
        Report::Started { .. }
        | Report::NotStarted { .. }
        | Report::NotTraced { .. }
        | Report::Sprung { .. }
        | Report::Children { .. }
        | Report::LeaderExited { .. }
        | Report::KilledEarlier { .. }
        | Report::Signalled { .. } => {}
    }
}

fn surviving_process(survivor: Survivor) -> SurvivingProcess {
    SurvivingProcess {
        pid: survivor.pid.unsigned_abs(),
        command: survivor.command,
        made_by: survivor.call.map(|call| CallIndex(call as usize)),
        own_group: survivor.own_group,
    }
}
