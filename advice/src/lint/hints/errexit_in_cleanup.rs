//! `set -e` in a cleanup: the first thing that is gone already ends it.

use super::super::LintProblem;
use super::{Line, hint};

pub(super) const ID: &str = "errexit-in-cleanup";

pub(super) fn look(name: &str, lines: &[Line<'_>]) -> Vec<LintProblem> {
    if !name.contains("clean") {
        return Vec::new();
    }
    let found = lines.iter().flat_map(|line| {
        line.find_command(
            r"^\s*(set -[a-zA-Z]*e[a-zA-Z]*|set -o errexit)|^#!.*\s(-[a-zA-Z]*e[a-zA-Z]*)$",
        )
    });
    found
        .map(|span| {
            hint(ID, span, &["F6"], ["this cleanup ends at the first command that fails", "what comes behind it is left", "go on after each error, remember that there was one, and exit with it at the end"])
})
        .collect()
}
