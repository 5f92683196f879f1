//! `exit $?`: the code of a script or a tool goes to the runner as it is.

use super::super::LintProblem;
use super::{Line, hint};

pub(super) const ID: &str = "status-passed-on";

pub(super) fn look(_: &str, lines: &[Line<'_>]) -> Vec<LintProblem> {
    let found = lines.iter().flat_map(|line| {
        line.find_command(r#"(?:^|[;&|{(\s])(exit "?\$(?:\?|\{\?\}|\{PIPESTATUS\[\d+\]\})"?)"#)
    });
    found
        .map(|span| {
            hint(ID, span, &["G1", "G8"], ["the exit code of the command before goes to the runner as it is", "anything but 0 and the two failure codes is an unknown failure", "map it: a failed script to \"$BUILD_FAILURE_EXIT_CODE\" and its number into \"$BUILD_EXIT_CODE_FILE\", all else to \"$SYSTEM_FAILURE_EXIT_CODE\""])
})
        .collect()
}
