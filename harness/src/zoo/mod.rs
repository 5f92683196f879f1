//! The harness examined by its own means: the suite is run on drivers of which it is known what it must find in them.
//!
//! [`Keeper`] visits one animal of the zoo; [`compare`] says how what was found differs from what the animal's file says;
//! [`upkeep`] says what the zoo as a whole lacks; [`SelfTest`] gathers it all, and [`matrix`] shows it. `self-test` and the
//! tests of this repository use the same functions.

pub mod compare;
pub mod example;
pub mod flaw;
pub mod matrix;
pub mod upkeep;
mod visit;

use driver_conformance_scenarios::zoo::Animal;

pub use compare::Difference;
pub use visit::{Keeper, Report, Visit};

/// Animals that are visited at once. Most of a visit is waiting for timeouts, so that one visit leaves the processors
/// idle; with too many, cases would be run again because the machine was busy.
pub const ANIMALS_AT_ONCE: usize = 3;

/// What became of one animal.
#[derive(Debug)]
pub struct Result {
    /// Which one.
    pub animal: &'static Animal,
    /// What was seen.
    pub visit: Visit,
    /// How that differs from what its file says.
    pub differences: Vec<Difference>,
}

impl Result {
    /// Compares what was seen with what the animal's file says.
    pub fn of(animal: &'static Animal, visit: Visit) -> Self {
        let differences = match &visit {
            Visit::LeftOut { .. } => Vec::new(),
            Visit::Seen { report, .. } => compare::differences(animal, report),
            Visit::Failed { reason } => vec![Difference::NotExamined {
                reason: reason.clone(),
            }],
        };
        Self {
            animal,
            visit,
            differences,
        }
    }
}

/// All of a self-test.
#[derive(Debug)]
pub struct SelfTest {
    /// Every animal that was chosen, sorted by name.
    pub results: Vec<Result>,
    /// What the zoo as a whole lacks, a sentence each.
    pub upkeep: Vec<String>,
}

impl SelfTest {
    /// Whether all is as it must be.
    pub fn passed(&self) -> bool {
        self.upkeep.is_empty()
            && self
                .results
                .iter()
                .all(|result| result.differences.is_empty())
    }

    /// How many broken animals were examined, and in how many of them just what is broken was found.
    pub fn score(&self) -> Score {
        let broken = || {
            let results = self.results.iter();
            results.filter(|result| {
                !result.animal.is_good() && !matches!(result.visit, Visit::LeftOut { .. })
            })
        };
        let caught = broken()
            .filter(|result| result.differences.is_empty() && result.animal.survives().is_none());
        Score {
            caught: caught.count(),
            broken: broken().count(),
        }
    }
}

/// The mutation score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Score {
    /// Broken animals in which just what is broken was found.
    pub caught: usize,
    /// Broken animals that were examined, known survivors included.
    pub broken: usize,
}
