//! `$CI_…` without `CUSTOM_ENV_`: a variable that is not there, or is the runner's own.

use super::super::LintProblem;
use super::{Line, hint};

pub(super) const ID: &str = "unprefixed-variable";

pub(super) fn look(_: &str, lines: &[Line<'_>]) -> Vec<LintProblem> {
    let found = lines
        .iter()
        .flat_map(|line| line.find(r"(\$\{?(?:CI|GITLAB)_[A-Z][A-Z0-9_]*)"));
    found
        .map(|span| {
            hint(ID, span, &["B6"], ["variables of the job have the prefix CUSTOM_ENV_ here", "empty, or the runner's own", "write CUSTOM_ENV_ before the name; inside the job's script the name has no prefix"])
})
        .collect()
}
