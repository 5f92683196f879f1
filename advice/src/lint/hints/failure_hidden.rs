//! `|| true` behind the user's script: failed jobs are green.

use super::super::LintProblem;
use super::{Line, hint};

pub(super) const ID: &str = "failure-hidden";

pub(super) fn look(name: &str, lines: &[Line<'_>]) -> Vec<LintProblem> {
    let cleanup = name.contains("clean");
    // What ends or removes something may well fail.
    let harmless = |line: &&Line<'_>| line.find(r"\b(kill|rm|unlink|umount)\b").is_empty();
    let found = lines
        .iter()
        .filter(|line| !cleanup && harmless(line))
        .flat_map(|line| {
            line.find_command(
                r#"(?:"?\$\{?(?:1|script|SCRIPT|script_path)\}?"?)[^#|]*(\|\| *(?:true|:))"#,
            )
        });
    found
        .map(|span| {
            hint(
                ID,
                span,
                &["G1", "G8"],
                [
                    "the failure of the user's script is hidden",
                    "a failed job is shown as successful",
                    "save the exit code of the script at once, and map it",
                ],
            )
        })
        .collect()
}
