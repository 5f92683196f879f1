//! `exit 1` and `exit 2` instead of the values in the environment.

use super::super::LintProblem;
use super::{Line, hint};

pub(super) const ID: &str = "literal-exit-code";

pub(super) fn look(_: &str, lines: &[Line<'_>]) -> Vec<LintProblem> {
    let found = lines.iter().flat_map(|line| {
        line.find_command(
            r#"(?:^|[;&|{(]|\b(?:then|else|do)\b|\btrap\s+["'])\s*(exit [12])(?:$|[;&|})\s"'])"#,
        )
    });
    found
        .map(|span| {
            hint(ID, span, &["G8"], ["a fixed exit code; its meaning is the runner's to choose", "1 is taken for the failure of the user's script", "exit with \"$SYSTEM_FAILURE_EXIT_CODE\", or with \"$BUILD_FAILURE_EXIT_CODE\" if the script failed"])
})
        .collect()
}
