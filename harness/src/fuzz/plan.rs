//! What is drawn: a list of wishes. Whatever they are, [`super::scenario()`] makes something of them that a runner could do;
//! so every shorter list is a legal one as well, and a failure can be shrunk by leaving events out.

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;

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
    },
}

/// What a script does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// It succeeds.
    Succeeds,
    /// It leaves a word in the project directory.
    Remembers,
    /// It looks for the word.
    Recalls,
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

/// All plans.
pub fn strategy() -> impl Strategy<Value = Plan> {
    prop_oneof![
        5 => vec(event(Just(false).boxed()), 1..=EVENTS_MAX).prop_map(Plan::Calls),
        2 => vec(event(any::<bool>().boxed()), 2..=EVENTS_MAX).prop_map(Plan::Calls),
        1 => (any::<bool>(), vec(job_event(), 1..=JOBS_MAX))
            .prop_map(|(at_once, jobs)| Plan::Jobs { at_once, jobs }),
    ]
}

fn event(second_job: BoxedStrategy<bool>) -> impl Strategy<Value = Event> {
    let what = prop_oneof![
        4 => any::<bool>().prop_map(|in_new_attempt| What::Cleanup { in_new_attempt }),
        6 => Just(What::Attempt),
        1 => Just(What::ConfigAlone),
        14 => (step(), script()).prop_map(|(step, script)| What::Stage { step, script }),
    ];
    (second_job, what, weighted(0.08, hit())).prop_map(|(second_job, what, hit)| Event {
        second_job,
        what,
        hit,
    })
}

fn step() -> impl Strategy<Value = usize> {
    prop_oneof![3 => Just(0), 4 => Just(1), 2 => Just(2), 1 => Just(3)]
}

fn script() -> impl Strategy<Value = Script> {
    prop_oneof![
        4 => Just(Script::Succeeds),
        2 => Just(Script::Remembers),
        2 => Just(Script::Recalls),
        3 => prop_oneof![Just(1), Just(2), Just(3), Just(42), Just(255)].prop_map(Script::Fails),
        1 => (1_u32..200).prop_map(Script::Prints),
    ]
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
