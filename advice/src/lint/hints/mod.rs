//! Hints for a driver's shell scripts, one file each: patterns by which drivers often break.

mod errexit_in_cleanup;
mod failure_hidden;
mod literal_exit_code;
mod secret_in_arguments;
mod status_passed_on;
mod unprefixed_variable;

use std::ops::Range;

use regex::Regex;

use super::{LintProblem, Severity};

/// A hint.
pub(super) type Hint = fn(&str, &[Line<'_>]) -> Vec<LintProblem>;

/// Every hint.
pub(super) const ALL: &[Hint] = &[
    errexit_in_cleanup::look,
    failure_hidden::look,
    literal_exit_code::look,
    secret_in_arguments::look,
    status_passed_on::look,
    unprefixed_variable::look,
];

/// Their ids.
pub(super) const IDS: &[&str] = &[
    errexit_in_cleanup::ID,
    failure_hidden::ID,
    literal_exit_code::ID,
    secret_in_arguments::ID,
    status_passed_on::ID,
    unprefixed_variable::ID,
];

/// A line of a script that is no comment and no part of a text for others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line<'text> {
    start: usize,
    text: &'text str,
    /// It is part of a text for others, into which variables are put.
    is_text: bool,
    /// The quote that is open where it begins.
    quote: Option<char>,
}

impl Line<'_> {
    /// Where the group of a pattern for commands is; a text for others has none, nor has one in quotes: it is for another shell,
    /// unless it is what a trap does.
    fn find_command(&self, pattern: &str) -> Vec<Range<usize>> {
        if self.is_text {
            return Vec::new();
        }
        let mut found = self.find(pattern);
        found.retain(|span| {
            let before = &self.text[..span.start - self.start];
            quote_after(before, self.quote).is_none() || is_of_trap(before)
        });
        found
    }

    /// Where the group of a pattern is; of several groups that one which takes part.
    fn find(&self, pattern: &str) -> Vec<Range<usize>> {
        let pattern = Regex::new(pattern).expect("a constant pattern, which a test uses");
        let found = pattern
            .captures_iter(self.text)
            .filter_map(|found| found.iter().skip(1).flatten().next());
        found
            .map(|group| self.start + group.start()..self.start + group.end())
            .collect()
    }
}

/// The quote that is open behind a text, if this one was open before it.
fn quote_after(text: &str, before: Option<char>) -> Option<char> {
    let mut quote = before;
    let mut last = ' ';
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some('\''), '\\') => {}
            (_, '\\') => {
                letters.next();
            }
            (None, '#') if last.is_whitespace() => break,
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            _ => {}
        }
        last = letter;
    }
    quote
}

/// Whether what follows is the action of a trap.
fn is_of_trap(before: &str) -> bool {
    let opened = before.rfind(['\'', '"']);
    opened.is_some_and(|at| before[..at].trim_end().ends_with("trap"))
}

/// The first line and the lines of a script without comments and without texts of `<<` that nothing is put into.
pub(super) fn lines(text: &str) -> Vec<Line<'_>> {
    let begins =
        Regex::new(r#"(?:^|[^<])<<-?\s*(['"\\]?)([A-Za-z_]+)"#).expect("a constant pattern");
    let mut lines = Vec::new();
    let mut start = 0;
    let mut until: Option<(String, bool)> = None;
    let mut quote = None;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        match &until {
            Some((end, _)) if content.trim() == end => until = None,
            Some((_, is_quoted)) => {
                if !is_quoted {
                    lines.push(Line {
                        start,
                        text: content,
                        is_text: true,
                        quote: None,
                    });
                }
            }
            None => {
                until = begins
                    .captures(content)
                    .map(|found| (found[2].to_owned(), !found[1].is_empty()));
                let is_comment = quote.is_none() && content.trim_start().starts_with('#');
                if !is_comment || (start == 0 && content.starts_with("#!")) {
                    lines.push(Line {
                        start,
                        text: content,
                        is_text: false,
                        quote,
                    });
                    quote = quote_after(content, quote);
                }
            }
        }
        start += line.len();
    }
    lines
}

/// A hint: what is wrong, what stands beside the place, what to do.
fn hint(
    rule: &'static str,
    span: Range<usize>,
    clauses: &'static [&'static str],
    [message, label, help]: [&str; 3],
) -> LintProblem {
    LintProblem {
        rule,
        severity: Severity::Hint,
        message: message.to_owned(),
        label: label.to_owned(),
        help: help.to_owned(),
        span,
        edit: None,
        clauses,
    }
}
