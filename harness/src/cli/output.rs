//! The two streams of the process, and whether they want colour.

use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use clap::ValueEnum;
use driver_conformance_reports::terminal::TerminalOptions;

use crate::driver::Problem;

use super::ExpectedError;

/// Columns where there is no terminal to ask.
const WIDTH_DEFAULT: usize = 100;

/// Value of `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Where a command prints.
pub struct Output {
    out: Box<dyn Write>,
    out_color: bool,
    err: Box<dyn Write>,
    err_color: bool,
    /// Standard output belongs to a report (`--report FORMAT=-`), so text for people goes to standard error.
    out_taken: bool,
}

impl Output {
    /// Standard output and standard error of the process.
    pub fn new(when: ColorWhen) -> Self {
        match when {
            ColorWhen::Auto => ColorChoice::Auto,
            ColorWhen::Always => ColorChoice::AlwaysAnsi,
            ColorWhen::Never => ColorChoice::Never,
        }
        .write_global();
        let colored = |choice: ColorChoice| choice != ColorChoice::Never;
        Self {
            out_color: colored(AutoStream::choice(&io::stdout())),
            out: Box::new(io::stdout()),
            err_color: colored(AutoStream::choice(&io::stderr())),
            err: Box::new(io::stderr()),
            out_taken: false,
        }
    }

    /// Streams that are kept, without colour.
    #[cfg(test)]
    pub(super) fn captured(out: impl Write + 'static, err: impl Write + 'static) -> Self {
        Self {
            out: Box::new(out),
            out_color: false,
            err: Box::new(err),
            err_color: false,
            out_taken: false,
        }
    }

    /// Keeps standard output for a report.
    pub fn keep_out_for_report(&mut self) {
        self.out_taken = true;
    }

    /// How the report for people is to be drawn.
    pub fn terminal_options(&self, verbosity: u8) -> TerminalOptions {
        TerminalOptions {
            color: if self.out_taken {
                self.err_color
            } else {
                self.out_color
            },
            width: terminal_width(),
            verbosity,
        }
    }

    /// Text for people: lists, reports.
    pub fn text(&mut self, text: &str) {
        let stream = if self.out_taken {
            &mut self.err
        } else {
            &mut self.out
        };
        write(stream, text.as_bytes());
    }

    /// Bytes for standard output, whatever they are. Fails if it is closed or full.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.out.flush()
    }

    /// Why the command ends.
    pub fn error(&mut self, error: &ExpectedError) {
        let text = error.render(self.err_color);
        write(&mut self.err, format!("{text}\n").as_bytes());
    }

    /// Something odd that stops nothing.
    pub fn warning(&mut self, problem: &Problem) {
        let text = problem.render_warning(self.err_color);
        write(&mut self.err, format!("{text}\n").as_bytes());
    }
}

/// A reader that has gone away (`| head`) is no error of the command: its exit code is what counts.
fn write(stream: &mut Box<dyn Write>, bytes: &[u8]) {
    let _ = stream.write_all(bytes).and_then(|()| stream.flush());
}

fn terminal_width() -> usize {
    if !io::stdout().is_terminal() {
        return WIDTH_DEFAULT;
    }
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        _ => WIDTH_DEFAULT,
    }
}
