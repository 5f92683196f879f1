//! A secret as an argument: every user of the machine can read it.

use super::super::LintProblem;
use super::{Line, hint};

pub(super) const ID: &str = "secret-in-arguments";

pub(super) fn look(_: &str, lines: &[Line<'_>]) -> Vec<LintProblem> {
    let found = lines.iter().flat_map(|line| {
        line.find(r#"((?:--?(?:password|passwd|token|secret|p|creds)[= ]"?|(?:-H|--header)[= ]["'][^"'$]*)\$\{?[A-Za-z_0-9]*(?:PASSWORD|TOKEN|SECRET|CREDENTIAL|password|token|secret)[A-Za-z_0-9]*\}?"?)"#)
    });
    found
        .map(|span| {
            hint(ID, span, &["I2"], ["a secret stands in the arguments of a command", "everybody on the machine can read it", "give it on standard input (`--password-stdin`) or in a file that only its owner may read"])
})
        .collect()
}
