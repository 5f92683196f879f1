//! `lint`: a runner's `config.toml` and a driver's shell scripts, looked at without running anything.
//!
//! One file per rule. A rule is a pure function from the parsed file to problems, each with its place in the file and,
//! where the remedy is mechanical, the edit that makes it.

mod config;
mod conversion;
mod hints;
mod near;
mod report;
mod rules;

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use driver_conformance_reports::text::visible_line;

pub use config::{Config, Custom, Runner};
pub use report::{Looked, report};

/// How much a problem matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Jobs fail.
    Error,
    /// Jobs suffer in some situation.
    Warning,
    /// Worth a look: a pattern that often goes wrong.
    Hint,
}

/// An edit of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced.
    pub span: Range<usize>,
    /// By what.
    pub text: String,
}

/// Something that a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LintProblem {
    /// Id of the rule.
    pub rule: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// A sentence without full stop.
    pub message: String,
    /// What stands beside the place.
    pub label: String,
    /// What to do.
    pub help: String,
    /// Where.
    pub span: Range<usize>,
    /// The mechanical remedy.
    pub edit: Option<Edit>,
    /// Clauses of the contract behind it.
    pub clauses: &'static [&'static str],
}

/// What is at a path of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PathState {
    /// Nothing.
    Missing,
    /// Something that cannot be executed.
    NotExecutable,
    /// A program.
    Program,
}

/// What rules may ask, apart from the file.
pub struct Surroundings<'a> {
    /// What is at a path; nothing if the configuration is for another machine.
    pub path_state: &'a dyn Fn(&str) -> Option<PathState>,
    /// Times of the emulated runner.
    pub times: Times,
    /// Whether a report of this driver has findings of the category isolation.
    pub isolation_fails: bool,
}

/// Times of the runner that rules reckon with, seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Default of `config_exec_timeout`, `prepare_exec_timeout` and `cleanup_exec_timeout`.
    pub exec: i64,
    /// Default of `graceful_kill_timeout`.
    pub graceful_kill: i64,
    /// Default of `force_kill_timeout`.
    pub force_kill: i64,
    /// Default of `shutdown_timeout`.
    pub shutdown: i64,
    /// How long the runner waits for a `run_exec` that ignores SIGTERM.
    pub run_wait: i64,
    /// How often a job is prepared.
    pub prepare_attempts: i64,
    /// Pause between attempts.
    pub prepare_pause: i64,
}

#[cfg(test)]
impl Times {
    /// Those of the runner, for tests of this crate: the product has them from whoever emulates the runner.
    pub(crate) const RUNNER: Self = Self {
        exec: 3600,
        graceful_kill: 600,
        force_kill: 10,
        shutdown: 30,
        run_wait: 300,
        prepare_attempts: 3,
        prepare_pause: 3,
    };
}

/// Looks at a runner's `config.toml`. A file that is no TOML is one problem.
pub fn lint_config(text: &str, surroundings: &Surroundings<'_>) -> Vec<LintProblem> {
    let config = match Config::parse(text) {
        Ok(config) => config,
        Err(problem) => return vec![*problem],
    };
    let mut problems: Vec<LintProblem> = config.type_problems.clone();
    for (_, look) in rules::ALL {
        problems.extend(look(&config, surroundings));
    }
    sorted(problems)
}

/// Whether rules have a runner to look at in a `config.toml`: one of the Custom executor.
pub fn has_custom_runner(text: &str) -> bool {
    Config::parse(text).is_ok_and(|config| !config.runners.is_empty())
}

/// Looks at a shell script of a driver. All it finds are hints.
pub fn lint_script(name: &str, text: &str) -> Vec<LintProblem> {
    let lines = hints::lines(text);
    let problems = hints::ALL.iter().flat_map(|hint| hint(name, &lines));
    sorted(problems.collect())
}

fn sorted(mut problems: Vec<LintProblem>) -> Vec<LintProblem> {
    problems.sort_by_key(|problem| (problem.span.start, problem.severity, problem.rule));
    problems
}

/// The problem in rustc's form.
pub fn render(path: &str, text: &str, problem: &LintProblem, color: bool) -> String {
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Hint => Level::NOTE,
    };
    let annotation = AnnotationKind::Primary
        .span(problem.span.clone())
        .label(visible_line(&problem.label));
    let snippet = Snippet::source(text)
        .path(path.to_owned())
        .annotation(annotation);
    let group = level
        .primary_title(visible_line(&problem.message))
        .id(problem.rule)
        .element(snippet)
        .element(Level::HELP.message(visible_line(&problem.help)));
    renderer.render(&[group])
}

/// A remedy may leave something that has a remedy itself; more steps than this no value needs.
const STEPS_MAX: usize = 8;

/// A `config.toml` with all mechanical remedies, and how many there were; once more changes nothing.
pub fn fixed(text: &str, surroundings: &Surroundings<'_>) -> (String, usize) {
    let (mut fixed, mut count) = (text.to_owned(), 0);
    for _ in 0..STEPS_MAX {
        let (next, made) = step(&fixed, &lint_config(&fixed, surroundings));
        if made == 0 {
            break;
        }
        (fixed, count) = (next, count + made);
    }
    (fixed, count)
}

/// Makes the edits of some problems, but none that overlaps another one, or that would break the file.
fn step(text: &str, problems: &[LintProblem]) -> (String, usize) {
    let mut edits: Vec<&Edit> = problems
        .iter()
        .filter_map(|problem| problem.edit.as_ref())
        .collect();
    // From the end, so that the places before keep their numbers.
    edits.sort_by_key(|edit| std::cmp::Reverse(edit.span.start));
    let mut fixed = text.to_owned();
    let (mut behind, mut count) = (text.len(), 0);
    for edit in edits {
        if edit.span.end > behind {
            continue;
        }
        let mut next = fixed.clone();
        next.replace_range(edit.span.clone(), &edit.text);
        if toml::de::DeTable::parse(&next).is_err() {
            continue;
        }
        (fixed, behind, count) = (next, edit.span.start, count + 1);
    }
    (fixed, count)
}

/// Ids of all rules and hints, for documentation and tests.
pub fn rule_ids() -> Vec<&'static str> {
    let mut ids = vec![config::SYNTAX, config::WRONG_TYPE];
    ids.extend(rules::ALL.iter().map(|(id, _)| *id));
    ids.extend(hints::IDS);
    ids
}

#[cfg(test)]
mod tests;
