//! What is seen while a suite runs: a bar on a terminal, plain lines elsewhere.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use driver_conformance_reports::model::Status;
use driver_conformance_reports::text::visible_line;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::suite::{FinishedCase, Progress};

/// How often the bar is drawn anew while nothing happens, so that its clock runs.
const TICK: Duration = Duration::from_millis(250);
/// Into how many parts a run without a terminal is divided: one line for each.
const PARTS: usize = 10;

/// The progress that suits standard error.
pub(super) fn for_standard_error(verbosity: u8) -> Box<dyn Progress> {
    if io::stderr().is_terminal() {
        Box::new(Bar::new(verbosity))
    } else {
        Box::new(Lines {
            verbosity,
            tally: Tally::default(),
            folding: Folding::of_ci(|name| std::env::var(name).ok()),
            folded: false,
        })
    }
}

/// Whether a finished case is worth a line of its own.
fn is_told(case: &FinishedCase<'_>, verbosity: u8) -> bool {
    verbosity >= 1
        || matches!(
            case.status,
            Status::Fail | Status::Error | Status::UnexpectedPass
        )
}

fn told(case: &FinishedCase<'_>) -> String {
    let mut line = format!(
        "{:>12} {} ({:.1} s)",
        case.status.name(),
        visible_line(case.name),
        case.duration.as_secs_f64()
    );
    if !case.findings.is_empty() {
        line.push_str(": ");
        line.push_str(&case.findings.join(", "));
    }
    line
}

/// What was seen so far.
#[derive(Default)]
struct Tally {
    begun: Option<Instant>,
    total: usize,
    done: usize,
    /// Checks that found something that counts.
    found: BTreeSet<&'static str>,
}

impl Tally {
    fn begin(&mut self, total: usize) {
        self.begun = Some(Instant::now());
        self.total = total;
    }

    fn add(&mut self, case: &FinishedCase<'_>) {
        self.done += 1;
        if matches!(case.status, Status::Fail | Status::UnexpectedPass) {
            self.found.extend(case.findings);
        }
    }

    /// `, 3 findings` or nothing.
    fn findings(&self) -> String {
        match self.found.len() {
            0 => String::new(),
            1 => ", 1 finding".to_owned(),
            count => format!(", {count} findings"),
        }
    }

    /// How long the rest takes, if it takes as long as what is done.
    fn rest(&self) -> Option<Duration> {
        rest(self.begun?.elapsed(), self.done, self.total)
    }
}

fn rest(elapsed: Duration, done: usize, total: usize) -> Option<Duration> {
    let done_before = u32::try_from(done).ok().filter(|done| *done > 0)?;
    let left = u32::try_from(total.checked_sub(done)?).ok()?;
    Some(elapsed / done_before * left)
}

struct Bar {
    drawn: ProgressBar,
    verbosity: u8,
    tally: Tally,
}

impl Bar {
    fn new(verbosity: u8) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        Self {
            drawn: bar,
            verbosity,
            tally: Tally::default(),
        }
    }
}

impl Progress for Bar {
    fn started(&mut self, cases: usize) {
        self.tally.begin(cases);
        self.drawn.set_length(cases as u64);
        if let Ok(style) = ProgressStyle::with_template(
            "{elapsed:>5} [{bar:30}] {pos}/{len} cases{msg}, {eta} left",
        ) {
            self.drawn.set_style(style.progress_chars("=> "));
        }
        self.drawn.enable_steady_tick(TICK);
    }

    fn case_finished(&mut self, case: &FinishedCase<'_>) {
        if is_told(case, self.verbosity) {
            self.drawn.println(told(case));
        }
        self.tally.add(case);
        self.drawn.set_message(self.tally.findings());
        self.drawn.inc(1);
    }

    fn note(&mut self, text: &str) {
        self.drawn.println(visible_line(text));
    }

    fn finished(&mut self) {
        self.drawn.finish_and_clear();
    }
}

/// How the log of a CI job folds lines away, so that the report is what one sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Folding {
    Never,
    GitLab,
    GitHub,
}

/// What the folded part is called.
const SECTION: &str = "driver_conformance_cases";

impl Folding {
    fn of_ci(variable: impl Fn(&str) -> Option<String>) -> Self {
        let is_true = |name: &str| variable(name).as_deref() == Some("true");
        if is_true("GITLAB_CI") {
            Self::GitLab
        } else if is_true("GITHUB_ACTIONS") {
            Self::GitHub
        } else {
            Self::Never
        }
    }

    fn opening(self, unix_seconds: u64, title: &str) -> String {
        match self {
            Self::Never => title.to_owned(),
            Self::GitLab => format!(
                "\x1b[0Ksection_start:{unix_seconds}:{SECTION}[collapsed=true]\r\x1b[0K{title}"
            ),
            Self::GitHub => format!("::group::{title}"),
        }
    }

    fn closing(self, unix_seconds: u64) -> Option<String> {
        match self {
            Self::Never => None,
            Self::GitLab => Some(format!(
                "\x1b[0Ksection_end:{unix_seconds}:{SECTION}\r\x1b[0K"
            )),
            Self::GitHub => Some("::endgroup::".to_owned()),
        }
    }
}

fn unix_seconds() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}

struct Lines {
    verbosity: u8,
    tally: Tally,
    folding: Folding,
    /// The fold is open.
    folded: bool,
}

impl Lines {
    fn line(text: &str) {
        // A log that is gone must not end the run.
        let _ = writeln!(io::stderr(), "{text}");
    }
}

impl Progress for Lines {
    fn started(&mut self, cases: usize) {
        self.tally.begin(cases);
        self.folded = true;
        let noun = if cases == 1 { "case" } else { "cases" };
        let title = format!("running {cases} {noun}");
        Self::line(&self.folding.opening(unix_seconds(), &title));
    }

    fn case_finished(&mut self, case: &FinishedCase<'_>) {
        let total = self.tally.total.max(1);
        let part = |done: usize| done * PARTS / total;
        let part_before = part(self.tally.done);
        self.tally.add(case);
        if is_told(case, self.verbosity) {
            Self::line(&told(case));
        }
        if part(self.tally.done) > part_before {
            let rest = self.tally.rest().filter(|_| self.tally.done < total);
            let rest = rest.map_or_else(String::new, |rest| {
                format!(", about {} s left", rest.as_secs() + 1)
            });
            let findings = self.tally.findings();
            Self::line(&format!(
                "{}/{total} cases{findings}{rest}",
                self.tally.done
            ));
        }
    }

    fn note(&mut self, text: &str) {
        Self::line(&visible_line(text));
    }

    fn finished(&mut self) {
        if std::mem::take(&mut self.folded)
            && let Some(closing) = self.folding.closing(unix_seconds())
        {
            Self::line(&closing);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_estimated_from_what_is_done() {
        let seconds = Duration::from_secs;
        assert_eq!(rest(seconds(10), 5, 20), Some(seconds(30)));
        assert_eq!(rest(seconds(10), 20, 20), Some(seconds(0)));
        assert_eq!(rest(seconds(10), 0, 20), None);
        assert_eq!(rest(seconds(10), 21, 20), None, "a case that was run again");
    }

    #[test]
    fn logs_of_ci_jobs_are_folded_in_their_own_way() {
        let of = |set: &str| {
            let set = set.to_owned();
            Folding::of_ci(move |name| (name == set).then(|| "true".to_owned()))
        };
        assert_eq!(
            of("GITLAB_CI").opening(7, "running 3 cases"),
            "\u{1b}[0Ksection_start:7:driver_conformance_cases[collapsed=true]\r\u{1b}[0Krunning 3 cases"
        );
        assert_eq!(
            of("GITLAB_CI").closing(9).as_deref(),
            Some("\u{1b}[0Ksection_end:9:driver_conformance_cases\r\u{1b}[0K")
        );
        assert_eq!(of("GITHUB_ACTIONS").opening(7, "x"), "::group::x");
        assert_eq!(of("CI").opening(7, "x"), "x");
        assert_eq!(of("CI").closing(7), None);
    }
}
