//! What the logs of one job tell, before anybody judges: its sections, its failures, what was said where.

use driver_conformance_scenarios::symptom::{Ending, Fact, FailureClass, Subject};

/// A line that speaks for something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Evidence {
    /// Which input, from 0.
    pub input: usize,
    /// Which line of it, from 1.
    pub line: usize,
    /// The line.
    pub text: String,
}

/// Where in a job something was seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The call.
    pub call: Subject,
    /// The stage, for run, as the driver knows it.
    pub stage: Option<String>,
    /// Whether the log really tells, or it is only the most likely one.
    pub certain: bool,
}

impl Place {
    /// A program that has no stages, or of which the stage is not known.
    pub fn of(call: Subject) -> Self {
        Self {
            call,
            stage: None,
            certain: true,
        }
    }

    /// A run stage, by the name that the driver knows it by.
    pub fn run(stage: &str) -> Self {
        Self {
            call: Subject::Run,
            stage: Some(stage.to_owned()),
            certain: true,
        }
    }

    /// The place of a section of the job log; not for `prepare_executor`, which is two calls.
    pub fn of_section(section: &str) -> Self {
        match section {
            "step_script" => Self::run("build_script"),
            other => Self::run(other),
        }
    }

    /// The same, as a guess.
    #[must_use]
    pub fn guessed(mut self) -> Self {
        self.certain = false;
        self
    }

    /// Whether a word of a symptom's `at` means it: a call, a stage, or `step`.
    pub fn is(&self, word: &str) -> bool {
        if self.call.name() == word {
            return true;
        }
        match self.stage.as_deref() {
            Some(stage) => stage == word || (word == "step" && is_step(stage)),
            None => false,
        }
    }
}

/// Whether a stage is a step of the job.
pub fn is_step(stage: &str) -> bool {
    stage == "build_script" || stage.starts_with("step_")
}

/// Whether a line is a command of a script, which the runner lets its shell print.
pub fn is_echo(text: &str) -> bool {
    text.trim_start().starts_with("$ ")
}

/// Process ids, times and addresses differ from call to call.
pub fn without_numbers(text: &str) -> String {
    let letters = text.chars().filter(|letter| !letter.is_ascii_digit());
    letters.collect()
}

/// A call that failed, or a job that was ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// The runner's error, without what is put around it.
    pub message: String,
    /// Where.
    pub place: Place,
    /// Of which kind.
    pub class: FailureClass,
    /// Whether it is why the job ended as it did.
    pub decisive: bool,
    /// The lines that say it.
    pub evidence: Vec<Evidence>,
    /// What structure shows about the call that failed.
    pub facts: Vec<Fact>,
}

/// A line of a driver or a script, or a warning of the runner.
#[derive(Debug, Clone, PartialEq)]
pub struct Remark {
    /// What it says.
    pub text: String,
    /// Where it stands.
    pub place: Place,
    /// The line.
    pub evidence: Evidence,
}

/// An entry of the runner's log.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// The entry.
    pub entry: crate::runner_log::Entry,
    /// The line.
    pub evidence: Evidence,
}

/// Everything that is known about one job, or about the runner apart from jobs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Story {
    /// The job's id, where the log names it.
    pub job: Option<String>,
    /// How the log ends; nothing where a log cannot be expected to have a verdict.
    pub ending: Option<Ending>,
    /// What failed, in order.
    pub failures: Vec<Failure>,
    /// Warnings of the runner.
    pub warnings: Vec<Remark>,
    /// What drivers and scripts printed.
    pub outputs: Vec<Remark>,
    /// Entries of the runner's log.
    pub told: Vec<Told>,
    /// What structure shows about the job as a whole.
    pub facts: Vec<Fact>,
    /// Where the log ends, if it has no verdict, and its last lines.
    pub open: Option<(Place, Vec<Evidence>)>,
}

/// A verdict or an error taken apart: the runner's error and the kind of failure.
pub fn parse_failure(message: &str) -> (String, FailureClass, bool) {
    let (class, rest) = match message.strip_prefix("(system failure): ") {
        Some(rest) => (FailureClass::System, rest),
        None => (
            FailureClass::Script,
            message.strip_prefix(": ").unwrap_or(message),
        ),
    };
    let rest = rest.trim();
    match rest.strip_prefix("prepare environment: ") {
        Some(inner) => {
            let end = inner.find(". Check https://").unwrap_or(inner.len());
            (inner[..end].to_owned(), class, true)
        }
        None => (as_of_custom_executor(rest), class, false),
    }
}

/// Other executors say `exit code` where the Custom executor says `exit status`, and who writes a log down from memory mixes them up.
fn as_of_custom_executor(message: &str) -> String {
    let code = message.strip_prefix("exit code ");
    match code.filter(|code| code.parse::<i64>().is_ok()) {
        Some(code) => format!("exit status {code}"),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_taken_out_of_what_surrounds_them() {
        let (message, class, environment) = parse_failure(
            "(system failure): prepare environment: exit status 2. Check https://docs.gitlab.com/runner/shells/#x for more information",
        );
        assert_eq!((message.as_str(), environment), ("exit status 2", true));
        assert_eq!(class, FailureClass::System);
        let (message, class, environment) = parse_failure(": exit status 1");
        assert_eq!((message.as_str(), environment), ("exit status 1", false));
        assert_eq!(class, FailureClass::Script);
    }

    #[test]
    fn a_step_is_known_by_each_of_its_names() {
        let place = Place::of_section("step_script");
        assert!(place.is("run") && place.is("build_script") && place.is("step"));
        assert!(!Place::of_section("get_sources").is("step"));
    }
}
