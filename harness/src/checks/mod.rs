//! The checks: one file, one pure function from the trace of a case to findings.
//!
//! A check is the file `<theme>/<name>.rs`: its theme is its category, its path is its id, its head comment is its data
//! sheet, and its function `examine` looks at one case. `build.rs` finds the files and writes the registry, so adding a
//! check touches nothing else. (Since no `mod` line names these files, `cargo fmt` does not see them: `.ci/run` calls
//! rustfmt on all files.)
//!
//! Rules for a check: it returns all deviations, not the first; it names the call to blame; it prefers logical evidence
//! over time; it is silent where a sound driver could show the same.

mod consequences;
pub(crate) mod evidence;
pub(crate) mod leftovers;
#[cfg(test)]
pub(crate) mod testing;
pub mod verdict;

use driver_conformance_scenarios::contract::ClauseId;

use crate::plan::case::Case;
use crate::trace::{CallIndex, Trace};

/// Category of findings: a closed list, part of the report format (design §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// Wrong exit code or exit-code file.
    ExitCode,
    /// A repeated call trips over the one before.
    Reentrancy,
    /// Cleanup fails, or not twice, or not alone.
    Cleanup,
    /// A process is left.
    LeakProcess,
    /// A file is left.
    LeakFile,
    /// A mount is left.
    LeakMount,
    /// A network object is left.
    LeakNetwork,
    /// A backend object is left.
    LeakBackend,
    /// A signal is not heeded.
    Signal,
    /// Something takes too long.
    Timeout,
    /// Output lost, late or changed.
    Output,
    /// The JSON of config.
    Config,
    /// Jobs disturb each other.
    Isolation,
    /// Variables, working directory, tools.
    Environment,
    /// Secrets shown or left.
    Secret,
}

impl Category {
    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::ExitCode => "exit-code",
            Self::Reentrancy => "reentrancy",
            Self::Cleanup => "cleanup",
            Self::LeakProcess => "leak-process",
            Self::LeakFile => "leak-file",
            Self::LeakMount => "leak-mount",
            Self::LeakNetwork => "leak-network",
            Self::LeakBackend => "leak-backend",
            Self::Signal => "signal",
            Self::Timeout => "timeout",
            Self::Output => "output",
            Self::Config => "config",
            Self::Isolation => "isolation",
            Self::Environment => "environment",
            Self::Secret => "secret",
        }
    }
}

/// How binding a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// A finding fails the run.
    Must,
    /// A finding fails the run with `--strict`.
    Should,
}

/// A check: its data sheet and its function.
#[derive(Debug)]
pub struct Check {
    /// `theme/kebab-name`, never a number.
    pub id: &'static str,
    /// Clauses of the contract it stands on; the one that binds most comes first.
    pub clauses: &'static [ClauseId],
    /// Category of its findings.
    pub category: Category,
    /// How binding it is.
    pub level: Level,
    /// One sentence: what a conforming driver does.
    pub requirement: &'static str,
    /// Why it matters to users: what goes wrong in production.
    pub why: &'static str,
    /// How drivers usually come to break it.
    pub broken_by: &'static str,
    /// What to change in the driver.
    pub fix: &'static str,
    /// Looks at one case. `None`: this case says nothing about it.
    pub examine: fn(&Case, &Trace) -> Option<Vec<Deviation>>,
}

/// One deviation found by a check in one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deviation {
    /// The call to blame; `None`: the whole sequence.
    pub call: Option<CallIndex>,
    /// One sentence in past tense: what the driver did.
    pub message: String,
    /// What would have been right; alternatives.
    pub expected: Vec<String>,
    /// What it was.
    pub actual: String,
    /// First and last event of the trace that show it.
    pub evidence: (usize, usize),
    /// The deviation was judged by time on a machine too busy to tell.
    pub inconclusive: bool,
    /// It was judged by time: something came too late, or was there for too long.
    pub by_time: bool,
}

impl Deviation {
    /// Says that it was judged by time, which leaves doubts if the machine had none for the case.
    pub(crate) fn judge_by_time(&mut self, trace: &Trace) {
        self.by_time = true;
        self.inconclusive = evidence::starved(trace);
    }
}

/// The checks that stand on a clause, sorted by id.
pub fn of_clause(clause: ClauseId) -> impl Iterator<Item = &'static Check> {
    let all = all().iter().copied();
    all.filter(move |check| check.clauses.contains(&clause))
}

/// All checks, sorted by id.
pub fn all() -> &'static [&'static Check] {
    registry::ALL
}

/// The check with this id.
pub fn by_id(id: &str) -> Option<&'static Check> {
    all().iter().copied().find(|check| check.id == id)
}

/// What `build.rs` found: one module per check and the list of their data sheets.
mod registry {
    include!(concat!(env!("OUT_DIR"), "/checks.rs"));
}

#[cfg(test)]
mod tests {
    use driver_conformance_scenarios::contract;

    use super::*;

    #[test]
    fn ids_are_unique_and_sorted() {
        let ids: Vec<&str> = all().iter().map(|check| check.id).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
    }

    #[test]
    fn the_theme_of_an_id_is_its_category() {
        for check in all() {
            assert!(
                check.id.starts_with(&format!("{}/", check.category.name())),
                "{}",
                check.id
            );
        }
    }

    #[test]
    fn a_check_that_fails_drivers_stands_on_firm_ground() {
        for check in all().iter().filter(|check| check.level == Level::Must) {
            let mut clauses = check.clauses.iter().map(|id| id.clause());
            assert!(
                clauses.any(|clause| clause.level == contract::Level::Must
                    && clause.is_well_founded()),
                "{}: none of {:?} is a must that is documented or measured",
                check.id,
                check.clauses
            );
        }
    }

    #[test]
    fn a_clause_without_a_check_says_why_and_one_with_a_check_does_not() {
        for clause in contract::all() {
            let checks: Vec<&str> = of_clause(clause.id).map(|check| check.id).collect();
            assert!(
                checks.is_empty() == clause.unchecked.is_some(),
                "clause {} of scenarios/contract.toml: `unchecked` is {:?}, and its checks are {checks:?}; \
                 exactly one of the two is to be there",
                clause.id,
                clause.unchecked.map(contract::Unchecked::name),
            );
        }
    }

    #[test]
    fn every_scenario_names_checks_that_exist() {
        for variant in driver_conformance_scenarios::load().expect("valid scenarios") {
            for id in &variant.scenario.only_checks {
                assert!(by_id(id).is_some(), "{}: no check {id}", variant.name);
            }
        }
    }
}
