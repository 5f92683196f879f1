//! Telling an emulation what happened, and doing what it answers.

use std::collections::VecDeque;
use std::path::Path;

use super::super::stimuli::Due;
use super::{Engine, EngineError, Phase, files};
use crate::contract::protocol::{
    Action, CallId, Event, KillSignal, RunnerLogEntry, RunnerLogLevel,
};
use crate::plan::case::StimulusAction;
use crate::process::client::Supervised;
use crate::trace::{AppliedStimulus, CallIndex, JOB_LOG_BYTES_MAX, TraceEventKind};

impl Engine<'_> {
    /// Gives an event to the emulation of a job and performs what it answers, until there is nothing left to do at once.
    /// A job whose runner was killed gets no events.
    pub(super) fn deliver(&mut self, job: usize, event: Event) -> Result<(), EngineError> {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let state = &mut self.jobs[job];
            // A settled job gets what becomes of an abandoned call, too.
            if matches!(state.phase, Phase::Waiting | Phase::RunnerKilled) {
                return Ok(());
            }
            let now = state.moment();
            for action in state.emulation.handle(event, now) {
                events.extend(self.perform(job, action)?);
            }
        }
        Ok(())
    }

    /// Does one thing; returns its answer if there is one at once.
    fn perform(&mut self, job: usize, action: Action) -> Result<Option<Event>, EngineError> {
        match action {
            Action::MakeTempDir {
                path,
                response_json,
            } => {
                self.check_place(&path)?;
                self.files.runner_made(&path);
                let made = files::make_temp_dir(&path, &response_json);
                self.trace.place.temp_dirs.push((path, response_json));
                return Ok(Some(match made {
                    Ok(()) => Event::TempDirMade,
                    Err(error) => Event::TempDirFailed(error),
                }));
            }
            Action::StartCall(spec) => {
                if let Some(script) = &spec.script {
                    self.check_place(&script.path)?;
                }
                if self.is_held(job, &spec) {
                    self.jobs[job].held = Some(spec);
                    return Ok(None);
                }
                return self.start_call(job, &spec);
            }
            Action::SignalGroup { call, signal } => self.signal_from_runner(job, call, signal)?,
            Action::Abandon { call } => self.abandon(job, call),
            Action::JobLog(text) => {
                if let Some(listener) = &mut self.jobs[job].log_listener {
                    listener(&text);
                }
                let log = &mut self.trace.jobs[job].job_log;
                let room = JOB_LOG_BYTES_MAX.saturating_sub(log.len());
                log.extend_from_slice(&text[..text.len().min(room)]);
            }
            Action::RunnerLog(entry) => {
                self.trace.jobs[job]
                    .runner_log
                    .push(runner_log_line(&entry));
            }
            Action::RemoveTempDir { path } => {
                self.check_place(&path)?;
                files::remove_temp_dir(&path);
                self.files.runner_removed(&path);
            }
            Action::Finish(outcome) => {
                self.jobs[job].finished = true;
                self.trace.jobs[job].outcome = Some(outcome.clone());
                self.record(job, TraceEventKind::JobFinished(outcome));
            }
            Action::KillHelpers => self.kill_helpers(job)?,
            Action::EndSequence => self.jobs[job].finished = true,
        }
        Ok(None)
    }

    /// The engine makes and removes nothing outside the case, whatever an emulation says.
    fn check_place(&self, path: &Path) -> Result<(), EngineError> {
        let runner_temp = self.environment.directories.runner_temp();
        if files::is_below(path, &runner_temp) {
            Ok(())
        } else {
            Err(EngineError::OutsideRunnerTemp {
                path: path.to_path_buf(),
                runner_temp,
            })
        }
    }

    /// Kills what earlier calls left running, before the next one starts.
    fn kill_helpers(&mut self, job: usize) -> Result<(), EngineError> {
        let state = &mut self.jobs[job];
        state.helpers_killed = true;
        let told = state
            .supervisor
            .as_mut()
            .map_or(Ok(()), Supervised::kill_helpers);
        told.or_else(|error| super::calls::supervisor_trouble(job, error))?;
        let words = "everything that earlier calls had left running was killed";
        self.record(job, TraceEventKind::Stimulus(words.to_owned()));
        Ok(())
    }

    fn abandon(&mut self, job: usize, call: CallId) {
        let Some(index) = self.jobs[job].numbers.get(&call).copied() else {
            return;
        };
        if let Some(call) = self.jobs[job].calls.get_mut(&index) {
            call.abandoned = true;
        }
        self.trace.calls[index.0].abandoned = Some(self.now());
        self.record(job, TraceEventKind::CallAbandoned(index));
    }

    /// Applies a stimulus of the scenario.
    pub(super) fn apply(&mut self, job: usize, due: Due) -> Result<(), EngineError> {
        if self.jobs[job].phase != Phase::Running {
            return Ok(());
        }
        let hit = self.hit_by(job, &due);
        self.trace.stimuli.push(AppliedStimulus {
            at: self.now(),
            job,
            action: due.action,
            hit,
        });
        self.record(job, TraceEventKind::Stimulus(due.words));
        match due.action {
            StimulusAction::Cancel => self.deliver(job, Event::Cancel),
            StimulusAction::Abort => self.deliver(job, Event::Abort),
            StimulusAction::RunnerTerm => self.deliver(job, Event::Interrupt("terminated")),
            StimulusAction::TimeIsUp(limit) => self.deliver(job, Event::TimeIsUp(limit)),
            StimulusAction::RunnerTermTwice => {
                self.deliver(job, Event::Interrupt("terminated"))?;
                self.kill_runner(job);
                Ok(())
            }
            StimulusAction::RunnerKill => {
                self.kill_runner(job);
                Ok(())
            }
            StimulusAction::DriverTerm => self.kill_from_outside(job, due.call, KillSignal::Term),
            StimulusAction::DriverKill => self.kill_from_outside(job, due.call, KillSignal::Kill),
            StimulusAction::HelpersKill => self.kill_earlier(job, due.call),
        }
    }

    /// Kills what earlier calls left running, while a later one goes on.
    fn kill_earlier(&mut self, job: usize, index: CallIndex) -> Result<(), EngineError> {
        let told = self.jobs[job]
            .supervisor
            .as_mut()
            .map_or(Ok(()), |supervisor| {
                supervisor.kill_earlier(super::calls::number(index))
            });
        told.or_else(|error| super::calls::supervisor_trouble(job, error))
    }

    /// The call that a stimulus meets, if it meets one.
    fn hit_by(&self, job: usize, due: &Due) -> Option<CallIndex> {
        let aimed = matches!(
            due.action,
            StimulusAction::DriverTerm | StimulusAction::DriverKill | StimulusAction::HelpersKill
        );
        let calls = self.jobs[job].calls.iter();
        calls
            .filter(|(_, call)| call.is_running() && !call.abandoned)
            .map(|(index, _)| *index)
            .rfind(|index| !aimed || *index == due.call)
    }

    /// The runner process dies: nobody is signalled, nothing is cleaned up, all pipes break (H12).
    fn kill_runner(&mut self, job: usize) {
        let state = &mut self.jobs[job];
        state.phase = Phase::RunnerKilled;
        state.held = None;
        for call in state.calls.values_mut() {
            call.break_pipes();
        }
    }
}

/// One line of the runner log: level as the runner prefixes it, text, fields sorted by key.
fn runner_log_line(entry: &RunnerLogEntry) -> String {
    let prefix = match entry.level {
        RunnerLogLevel::Debug | RunnerLogLevel::Info => "",
        RunnerLogLevel::Warning => "WARNING: ",
        RunnerLogLevel::Error => "ERROR: ",
        RunnerLogLevel::Fatal => "FATAL: ",
    };
    let fields = entry.sorted_fields();
    let mut words = vec![format!("{prefix}{}", entry.message)];
    words.extend(fields.iter().map(|(key, value)| format!("{key}={value}")));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runner_log_line_has_its_fields_sorted() {
        let entry = RunnerLogEntry {
            level: RunnerLogLevel::Warning,
            message: "Failed to terminate process: no such process".into(),
            job_fields: [("b".into(), "2".into())].into(),
            fields: vec![("PID".into(), "1".into())],
        };
        assert_eq!(
            runner_log_line(&entry),
            "WARNING: Failed to terminate process: no such process PID=1 b=2"
        );
    }
}
