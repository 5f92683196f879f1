//! What is drawn: a list of wishes. Whatever they are, [`super::scenario()`] makes something of them that a runner could do;
//! so every shorter list is a legal one as well, and a failure can be shrunk by leaving events out.
//!
//! Each list is drawn by [`Habits`] of its own: some kinds of events come often in it and others never. Lists in which
//! everything comes at its usual rate are all alike, and what needs one event many times, or none of another, is in none of
//! them (swarm testing).

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::select;

/// Most events of one plan.
const EVENTS_MAX: usize = 12;
/// Most jobs of one plan that are run as a runner runs them.
const JOBS_MAX: usize = 3;

/// What is done to a driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Calls of one or two jobs, one after the other, as over crashes of a runner.
    Calls(Vec<Event>),
    /// Whole jobs as a runner runs them.
    Jobs {
        /// All at once, or one after the other.
        at_once: bool,
        /// The jobs.
        jobs: Vec<JobEvent>,
    },
}

/// One event of a list of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Which of the two jobs.
    pub second_job: bool,
    /// What.
    pub what: What,
    /// The driver gets a signal meanwhile.
    pub hit: Option<Hit>,
}

/// What an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// `cleanup`; in a new attempt, as at the next start of a runner, or in the one that is going on.
    Cleanup {
        /// Config comes first.
        in_new_attempt: bool,
    },
    /// A new attempt: config and prepare.
    Attempt,
    /// A new attempt that ends after config.
    ConfigAlone,
    /// A stage of the attempt.
    Stage {
        /// How many stages further than the first one that may come.
        step: usize,
        /// What its script does.
        script: Script,
        /// It first looks for what the stage before it has left in the project directory, and leaves something itself.
        memory: bool,
    },
}

/// What a script does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// It succeeds.
    Succeeds,
    /// It ends with this code.
    Fails(u8),
    /// It prints this many lines.
    Prints(u32),
}

/// A signal to the driver during a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// SIGKILL, and not SIGTERM.
    pub kill: bool,
    /// When, in percent of the call's usual time.
    pub percent: u32,
}

/// One whole job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobEvent {
    /// Its build script fails.
    pub fails: bool,
    /// It has an `after_script`.
    pub after_script: bool,
    /// What happens to it.
    pub fate: Option<Fate>,
}

/// What happens to a job, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    /// Its place in [`super::scenario::ACTIONS`].
    pub action: usize,
    /// While prepare works, at this share of its usual time, and not while the build script hangs.
    pub in_prepare: Option<u32>,
}

/// What the sequences that are drawn with them are inclined to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Habits {
    shape: Shape,
    /// How often each kind of event comes, relative to the others.
    attempts: u32,
    cleanups: u32,
    configs_alone: u32,
    stages: u32,
    /// The most stages that are left out at once.
    step_max: usize,
    /// How often scripts fail and print, when they succeed once.
    failures: u32,
    prints: u32,
    /// Out of a hundred events, how many a signal meets.
    hits: u32,
}

/// What a sequence consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Calls of one job.
    OneJob,
    /// Calls of two jobs, by turns.
    TwoJobs,
    /// Whole jobs.
    Jobs,
}

impl Habits {
    /// Some habits out of all.
    pub fn strategy() -> impl Strategy<Value = Self> {
        let shape = prop_oneof![
            4 => Just(Shape::OneJob),
            3 => Just(Shape::TwoJobs),
            1 => Just(Shape::Jobs),
        ];
        let kinds = (
            select(vec![1, 3, 6]),
            select(vec![0, 2, 6]),
            select(vec![0, 0, 2]),
            select(vec![2, 12, 24]),
        );
        let stages = (
            select(vec![1, 2, 9]),
            select(vec![0, 1, 3]),
            select(vec![0, 0, 1]),
            select(vec![1, 1, 15]),
        );
        (shape, kinds, stages).prop_map(|(shape, kinds, stages)| Self {
            shape,
            attempts: kinds.0,
            cleanups: kinds.1,
            configs_alone: kinds.2,
            stages: kinds.3,
            step_max: stages.0,
            failures: stages.1,
            prints: stages.2,
            hits: stages.3,
        })
    }

    /// The plans of one with these habits.
    pub fn plans(self) -> BoxedStrategy<Plan> {
        match self.shape {
            Shape::OneJob => vec(self.event(Just(false).boxed()), 1..=EVENTS_MAX)
                .prop_map(Plan::Calls)
                .boxed(),
            Shape::TwoJobs => vec(self.event(any::<bool>().boxed()), 2..=EVENTS_MAX)
                .prop_map(Plan::Calls)
                .boxed(),
            Shape::Jobs => (any::<bool>(), vec(job_event(), 1..=JOBS_MAX))
                .prop_map(|(at_once, jobs)| Plan::Jobs { at_once, jobs })
                .boxed(),
        }
    }

    fn event(self, second_job: BoxedStrategy<bool>) -> impl Strategy<Value = Event> {
        let stage = (0..=self.step_max, self.script(), weighted(0.9, Just(())));
        let what = prop_oneof![
            self.attempts => Just(What::Attempt),
            self.stages => stage.prop_map(|(step, script, memory)| What::Stage {
                step,
                script,
                memory: memory.is_some(),
            }),
            self.cleanups => any::<bool>().prop_map(|in_new_attempt| What::Cleanup { in_new_attempt }),
            self.configs_alone => Just(What::ConfigAlone),
        ];
        let hits = f64::from(self.hits) / 100.0;
        (second_job, what, weighted(hits, hit())).prop_map(|(second_job, what, hit)| Event {
            second_job,
            what,
            hit,
        })
    }

    fn script(self) -> impl Strategy<Value = Script> {
        prop_oneof![
            4 => Just(Script::Succeeds),
            self.failures => select(vec![1, 2, 3, 42, 255]).prop_map(Script::Fails),
            self.prints => (1_u32..200).prop_map(Script::Prints),
        ]
    }
}

fn hit() -> impl Strategy<Value = Hit> {
    (any::<bool>(), 0_u32..100).prop_map(|(kill, percent)| Hit { kill, percent })
}

fn job_event() -> impl Strategy<Value = JobEvent> {
    let fate = (0..super::scenario::ACTIONS.len(), weighted(0.4, 0_u32..100))
        .prop_map(|(action, in_prepare)| Fate { action, in_prepare });
    (any::<bool>(), any::<bool>(), weighted(0.5, fate)).prop_map(|(fails, after_script, fate)| {
        JobEvent {
            fails,
            after_script,
            fate,
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    use super::*;

    /// Lists of events in which one comes at least three times, and lists without it.
    fn extremes(is: impl Fn(&What) -> bool) -> (usize, usize) {
        let mut runner = TestRunner::deterministic();
        let mut counts = (0, 0);
        for _ in 0..400 {
            let habits = Habits::strategy().new_tree(&mut runner).expect("habits");
            let plan = habits.current().plans().new_tree(&mut runner);
            let Plan::Calls(events) = plan.expect("a plan").current() else {
                continue;
            };
            let times = events.iter().filter(|event| is(&event.what)).count();
            counts.0 += usize::from(times >= 3);
            counts.1 += usize::from(times == 0);
        }
        counts
    }

    #[test]
    fn each_kind_of_event_is_often_repeated_and_often_absent() {
        let kinds: [fn(&What) -> bool; 3] = [
            |what| matches!(what, What::Attempt),
            |what| matches!(what, What::Cleanup { .. }),
            |what| matches!(what, What::Stage { .. }),
        ];
        for (number, kind) in kinds.into_iter().enumerate() {
            let (repeated, absent) = extremes(kind);
            assert!(
                repeated > 40 && absent > 20,
                "{number}: {repeated} {absent}"
            );
        }
    }
}
