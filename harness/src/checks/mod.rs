//! The checks: one file, one pure function from the trace of a case to findings.

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
pub struct Check {
    /// `theme/kebab-name`, never a number.
    pub id: &'static str,
    /// Clauses of the contract it stands on, for example `G8`.
    pub clauses: &'static [&'static str],
    /// Category of its findings.
    pub category: Category,
    /// How binding it is.
    pub level: Level,
    /// One sentence: what a conforming driver does.
    pub requirement: &'static str,
    /// Why it matters to users: what goes wrong in production.
    pub why: &'static str,
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
}
