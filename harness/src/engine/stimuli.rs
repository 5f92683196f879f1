//! When the stimuli of a job are due: pure bookkeeping over what was seen.

use std::time::Duration;

use crate::contract::moment::Moment;
use crate::contract::protocol::TimeLimit;
use crate::contract::stage::{Program, Stage};
use crate::plan::case::{ChildPlace, Stimulus, StimulusAction, Trigger};
use crate::process::client::TrapMoment;
use crate::trace::{CallIndex, Marker};

/// A stimulus whose trigger has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    /// When to apply it.
    pub(super) at: Moment,
    /// What to do.
    pub(super) action: StimulusAction,
    /// The call that triggered it.
    pub(super) call: CallIndex,
    /// For the trace.
    pub(super) words: String,
}

/// The stimuli of one job; each is applied once.
#[derive(Debug, Default)]
pub(super) struct StimulusBoard {
    /// What still waits for its trigger, with how many calls have matched so far.
    waiting: Vec<(Stimulus, u32)>,
    /// What still waits for its moment.
    due: Vec<Due>,
    /// What waits for a call to come to a program, and the call.
    armed: Vec<(Stimulus, CallIndex)>,
}

impl StimulusBoard {
    pub(super) fn new(stimuli: Vec<Stimulus>) -> Self {
        Self {
            waiting: stimuli.into_iter().map(|stimulus| (stimulus, 0)).collect(),
            due: Vec::new(),
            armed: Vec::new(),
        }
    }

    /// A call is about to be started: where among the programs that it starts it is to be signalled, and what is done.
    pub(super) fn trap(
        &mut self,
        program: Program,
        stage: Option<&Stage>,
        call: CallIndex,
    ) -> Option<(ChildPlace, StimulusAction)> {
        let mut hits = |(stimulus, matched): &mut (Stimulus, u32)| {
            let Trigger::Child {
                program: wanted,
                stage: wanted_stage,
                nth,
                ..
            } = &stimulus.when
            else {
                return false;
            };
            let matches = *wanted == program
                && wanted_stage
                    .as_ref()
                    .is_none_or(|wanted| Some(wanted) == stage);
            *matched += u32::from(matches);
            matches && *matched == *nth
        };
        // All of them count the call, whichever is hit.
        let hit: Vec<bool> = self.waiting.iter_mut().map(&mut hits).collect();
        let position = hit.iter().position(|hit| *hit)?;
        let (stimulus, _) = self.waiting.remove(position);
        let Trigger::Child { child, .. } = &stimulus.when else {
            return None;
        };
        let trap = (child.clone(), stimulus.action);
        self.armed.push((stimulus, call));
        Some(trap)
    }

    /// A call has come to the program at which it was to be signalled, and has been.
    pub(super) fn sprung(&mut self, call: CallIndex, now: Moment) -> Option<Due> {
        let position = self.armed.iter().position(|(_, armed)| *armed == call)?;
        let (stimulus, _) = self.armed.remove(position);
        Some(Due {
            at: now,
            action: stimulus.action,
            call,
            words: words(&stimulus),
        })
    }

    /// A call has started.
    pub(super) fn call_started(
        &mut self,
        program: Program,
        stage: Option<&Stage>,
        call: CallIndex,
        now: Moment,
    ) {
        self.trigger(call, now, |trigger, matched| match trigger {
            Trigger::CallStarted {
                program: wanted,
                stage: wanted_stage,
                nth,
                delay,
            } => {
                let matches = *wanted == program
                    && wanted_stage
                        .as_ref()
                        .is_none_or(|wanted| Some(wanted) == stage);
                *matched += u32::from(matches);
                (matches && *matched == *nth).then_some(*delay)
            }
            Trigger::Marker { .. } | Trigger::Child { .. } => None,
        });
    }

    /// A marker was seen in the output of a call.
    pub(super) fn marker_seen(
        &mut self,
        stage: Option<&Stage>,
        marker: &Marker,
        call: CallIndex,
        now: Moment,
    ) {
        self.trigger(call, now, |trigger, _| match trigger {
            Trigger::Marker {
                stage: wanted,
                word,
            } => (Some(wanted) == stage && *word == marker.word).then_some(Duration::ZERO),
            Trigger::CallStarted { .. } | Trigger::Child { .. } => None,
        });
    }

    /// Moves the stimuli that `delay_of` gives a delay to the due ones.
    fn trigger(
        &mut self,
        call: CallIndex,
        now: Moment,
        mut delay_of: impl FnMut(&Trigger, &mut u32) -> Option<Duration>,
    ) {
        let due = &mut self.due;
        self.waiting.retain_mut(|(stimulus, matched)| {
            let Some(delay) = delay_of(&stimulus.when, matched) else {
                return true;
            };
            due.push(Due {
                at: now + delay,
                action: stimulus.action,
                call,
                words: words(stimulus),
            });
            false
        });
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<Moment> {
        self.due.iter().map(|due| due.at).min()
    }

    /// Takes the earliest one that is due at `now`.
    pub(super) fn take_due(&mut self, now: Moment) -> Option<Due> {
        let (position, _) = self
            .due
            .iter()
            .enumerate()
            .filter(|(_, due)| due.at <= now)
            .min_by_key(|(position, due)| (due.at, *position))?;
        Some(self.due.remove(position))
    }
}

/// For example: `cancel, on marker start of build_script`.
fn words(stimulus: &Stimulus) -> String {
    let action = match stimulus.action {
        StimulusAction::Cancel => "the job was cancelled in GitLab",
        StimulusAction::Abort => "the job was over in GitLab",
        StimulusAction::TimeIsUp(TimeLimit::Call) => "the time of the call or its stage was up",
        StimulusAction::TimeIsUp(TimeLimit::Job) => "the time of the job was up",
        StimulusAction::RunnerTerm => "the runner got SIGTERM",
        StimulusAction::RunnerTermTwice => "the runner got SIGTERM twice",
        StimulusAction::RunnerKill => "the runner was killed",
        StimulusAction::DriverTerm => "the driver got SIGTERM from outside",
        StimulusAction::DriverKill => "the driver was killed with SIGKILL",
        StimulusAction::HelpersKill => {
            "everything that earlier calls had left running was killed with SIGKILL"
        }
    };
    match &stimulus.when {
        Trigger::Marker { stage, word } => format!("{action} on marker {word} of {stage}"),
        Trigger::Child {
            program,
            stage,
            child,
            ..
        } => {
            let moment = match child.moment {
                TrapMoment::Begins => "began",
                TrapMoment::Ends => "ended",
            };
            format!(
                "{action} when {} {} of {program}{} {moment}",
                child.name,
                child.nth,
                of_stage(stage.as_ref())
            )
        }
        Trigger::CallStarted {
            program,
            stage,
            nth,
            delay,
        } => {
            let stage = of_stage(stage.as_ref());
            format!(
                "{action} {} ms after start {nth} of {program}{stage}",
                delay.as_millis()
            )
        }
    }
}

fn of_stage(stage: Option<&Stage>) -> String {
    stage.map(|stage| format!(" {stage}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::START;

    fn on_start(stage: Option<Stage>, nth: u32, delay_ms: u64) -> Stimulus {
        Stimulus {
            when: Trigger::CallStarted {
                program: Program::Run,
                stage,
                nth,
                delay: Duration::from_millis(delay_ms),
            },
            action: StimulusAction::Cancel,
        }
    }

    #[test]
    fn the_nth_matching_call_triggers_once() {
        let mut board = StimulusBoard::new(vec![on_start(Some(Stage::GetSources), 2, 0)]);
        board.call_started(Program::Run, Some(&Stage::GetSources), CallIndex(0), NOW);
        board.call_started(Program::Run, Some(&Stage::AfterScript), CallIndex(1), NOW);
        assert_eq!(board.next_due(), None);
        board.call_started(Program::Run, Some(&Stage::GetSources), CallIndex(2), NOW);
        assert_eq!(board.take_due(NOW).map(|due| due.call), Some(CallIndex(2)));
        board.call_started(Program::Run, Some(&Stage::GetSources), CallIndex(3), NOW);
        assert_eq!(board.next_due(), None);
    }

    #[test]
    fn without_a_stage_any_call_of_the_program_counts() {
        let mut board = StimulusBoard::new(vec![on_start(None, 2, 0)]);
        board.call_started(Program::Config, None, CallIndex(0), NOW);
        board.call_started(Program::Run, Some(&Stage::GetSources), CallIndex(1), NOW);
        board.call_started(Program::Run, Some(&Stage::AfterScript), CallIndex(2), NOW);
        assert_eq!(board.take_due(NOW).map(|due| due.call), Some(CallIndex(2)));
    }

    #[test]
    fn a_delay_is_kept_and_the_earliest_comes_first() {
        let mut board = StimulusBoard::new(vec![on_start(None, 1, 50), on_start(None, 1, 20)]);
        board.call_started(Program::Run, None, CallIndex(0), NOW);
        let at = |ms| NOW + Duration::from_millis(ms);
        assert_eq!(board.next_due(), Some(at(20)));
        assert_eq!(board.take_due(at(19)), None);
        assert_eq!(board.take_due(at(60)).map(|due| due.at), Some(at(20)));
        assert_eq!(board.take_due(at(60)).map(|due| due.at), Some(at(50)));
    }

    #[test]
    fn a_marker_of_the_right_stage_triggers() {
        let when = Trigger::Marker {
            stage: Stage::build_script(),
            word: "start".into(),
        };
        let mut board = StimulusBoard::new(vec![Stimulus {
            when,
            action: StimulusAction::RunnerTerm,
        }]);
        let marker = Marker {
            word: "start".into(),
            number: None,
        };
        board.marker_seen(Some(&Stage::GetSources), &marker, CallIndex(0), NOW);
        assert_eq!(board.next_due(), None);
        board.marker_seen(Some(&Stage::build_script()), &marker, CallIndex(1), NOW);
        let due = board.take_due(NOW).expect("due");
        assert_eq!(
            due.words,
            "the runner got SIGTERM on marker start of build_script"
        );
    }
}
