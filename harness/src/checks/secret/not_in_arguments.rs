//! # What it verifies
//!
//! No program that a driver starts has a secret of the job in its arguments.
//!
//! # Why it matters
//!
//! Every user of the machine can read the arguments of every process, and process lists end up in logs and monitoring.
//!
//! # How drivers break it
//!
//! They give a password or token as an option, pass variables on by value, or hand over the whole script as one
//! argument.
//!
//! # Example of the fix
//!
//! Pass secrets through standard input, a private file, or the environment:
//!
//! ```text
//!     printf '%s' "$CUSTOM_ENV_CI_JOB_TOKEN" | podman login --username gitlab-ci-token --password-stdin "$registry"
//! ```
//!
//! # Clause
//!
//! Must: I2.

use crate::checks::Deviation;
use crate::checks::evidence::{deviation, events_of};
use crate::plan::case::Case;
use crate::trace::{SecretArgument, Trace};

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    if !case.surroundings.watch_secrets || trace.calls.is_empty() {
        return None;
    }
    let found = trace.secret_arguments.iter();
    Some(found.map(|argument| shown(trace, argument)).collect())
}

fn shown(trace: &Trace, argument: &SecretArgument) -> Deviation {
    let message = "started a program with a secret of the job in its arguments";
    let actual = format!("{} for {}", argument.secrets.join(", "), argument.program);
    let expected = "no secret in the arguments of a process";
    match argument.made_by {
        Some(index) => deviation(trace, index, message, &[expected], actual),
        None => Deviation {
            call: None,
            message: message.to_owned(),
            expected: vec![expected.to_owned()],
            actual,
            evidence: events_of(trace, crate::trace::CallIndex(0)),
            inconclusive: false,
            by_time: false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::checks::testing::Scene;
    use crate::contract::stage::Program;
    use crate::trace::CallIndex;

    const ID: &str = "secret/not-in-arguments";

    fn scene() -> Scene {
        let mut scene = Scene::new().call(Program::Prepare, 0);
        scene.case.surroundings.watch_secrets = true;
        scene
    }

    #[test]
    fn a_secret_argument_is_found() {
        let mut scene = scene();
        scene.trace.secret_arguments.push(SecretArgument {
            program: "podman".into(),
            secrets: vec!["CI_JOB_TOKEN".into()],
            made_by: Some(CallIndex(0)),
        });
        scene.expect(ID, 1);
    }

    #[test]
    fn none_is_fine() {
        scene().expect_clean(ID);
        Scene::new().expect_silent(ID);
    }
}
