//! What is seen while a suite runs: a bar on a terminal, plain lines elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

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
            total: 0,
            done: 0,
            failed: 0,
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

struct Bar {
    drawn: ProgressBar,
    verbosity: u8,
    failed: usize,
}

impl Bar {
    fn new(verbosity: u8) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        Self {
            drawn: bar,
            verbosity,
            failed: 0,
        }
    }
}

impl Progress for Bar {
    fn started(&mut self, cases: usize) {
        self.drawn.set_length(cases as u64);
        if let Ok(style) =
            ProgressStyle::with_template("{elapsed:>5} [{bar:30}] {pos}/{len} cases{msg}")
        {
            self.drawn.set_style(style.progress_chars("=> "));
        }
        self.drawn.enable_steady_tick(TICK);
    }

    fn case_finished(&mut self, case: &FinishedCase<'_>) {
        if is_told(case, self.verbosity) {
            self.drawn.println(told(case));
        }
        if matches!(case.status, Status::Fail | Status::UnexpectedPass) {
            self.failed += 1;
            self.drawn.set_message(format!(", {} failed", self.failed));
        }
        self.drawn.inc(1);
    }

    fn note(&mut self, text: &str) {
        self.drawn.println(visible_line(text));
    }

    fn finished(&mut self) {
        self.drawn.finish_and_clear();
    }
}

struct Lines {
    verbosity: u8,
    total: usize,
    done: usize,
    failed: usize,
}

impl Lines {
    fn line(text: &str) {
        // A log that is gone must not end the run.
        let _ = writeln!(io::stderr(), "{text}");
    }
}

impl Progress for Lines {
    fn started(&mut self, cases: usize) {
        self.total = cases;
        let noun = if cases == 1 { "case" } else { "cases" };
        Self::line(&format!("running {cases} {noun}"));
    }

    fn case_finished(&mut self, case: &FinishedCase<'_>) {
        let part = |done: usize| done * PARTS / self.total.max(1);
        let part_before = part(self.done);
        let part_now = part(self.done + 1);
        self.done += 1;
        if matches!(case.status, Status::Fail | Status::UnexpectedPass) {
            self.failed += 1;
        }
        if is_told(case, self.verbosity) {
            Self::line(&told(case));
        }
        if part_now > part_before {
            Self::line(&format!(
                "{}/{} cases, {} failed",
                self.done, self.total, self.failed
            ));
        }
    }

    fn note(&mut self, text: &str) {
        Self::line(&visible_line(text));
    }

    fn finished(&mut self) {}
}
