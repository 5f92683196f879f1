//! # What it verifies
//!
//! No call prints the value of a secret variable of the job.
//!
//! # Why it matters
//!
//! The log of a job is read by many, and that of the runner is not masked at all. A token in it is good for as long
//! as the job runs, a password for longer.
//!
//! # How drivers break it
//!
//! They trace their own commands, print the environment to help with debugging, or repeat the failed command with
//! all of its arguments.
//!
//! # Example of the fix
//!
//! Print names, never values, and keep tracing away from secrets:
//!
//! ```text
//!     echo "logging in to $CUSTOM_ENV_CI_REGISTRY" >&2
//! ```
//!
//! # Clause
//!
//! Must: I2.

use crate::checks::Deviation;
use crate::checks::evidence::{calls, contains, deviation, each};
use crate::contract::stage::Program;
use crate::plan::case::Case;
use crate::trace::{CallRecord, Trace};

/// Variables that hold secrets in every job.
const SECRETS: [&str; 3] = [
    "CUSTOM_ENV_CI_JOB_TOKEN",
    "CUSTOM_ENV_CI_REGISTRY_PASSWORD",
    "CUSTOM_ENV_CI_DEPLOY_PASSWORD",
];
/// How the values of the suite's own secrets begin.
const CANARY: &str = "canary-";
/// Shorter values may stand in an output by chance.
const LENGTH_MIN: usize = 8;

/// Looks at one case.
pub(crate) fn examine(_case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    each(
        calls(trace).filter(|(_, call)| secrets(call).next().is_some()),
        |(index, call)| {
            let shown: Vec<&str> = secrets(call)
                .filter(|(_, value)| shows(call, value))
                .map(|(name, _)| name)
                .collect();
            let message = "printed a secret of the job";
            (!shown.is_empty())
                .then(|| deviation(trace, index, message, &["no secret"], shown.join(", ")))
        },
    )
}

fn secrets(call: &CallRecord) -> impl Iterator<Item = (&str, &str)> {
    call.environment
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .filter(|(name, value)| {
            SECRETS.contains(name) || (name.starts_with("CUSTOM_ENV_") && value.starts_with(CANARY))
        })
        .filter(|(_, value)| value.len() >= LENGTH_MIN)
}

/// Whether a value is in what is shown to anybody. The standard output of config goes to the runner alone.
fn shows(call: &CallRecord, value: &str) -> bool {
    let shown = call.program != Program::Config && contains(&call.stdout.bytes, value.as_bytes());
    shown || contains(&call.stderr.bytes, value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{Scene, capture};

    const ID: &str = "secret/not-in-output";

    fn scene(program: Program, printed: &str) -> Scene {
        Scene::new().call(program, 0).but(|call| {
            call.environment
                .push(("CUSTOM_ENV_DEPLOY_SECRET".into(), "canary-secret-77".into()));
            call.stdout = capture(printed.as_bytes());
        })
    }

    #[test]
    fn names_are_fine() {
        scene(Program::Prepare, "using DEPLOY_SECRET\n").expect_clean(ID);
    }

    #[test]
    fn a_value_is_found() {
        scene(Program::Prepare, "DEPLOY_SECRET=canary-secret-77\n").expect(ID, 1);
        scene(Program::Cleanup, "")
            .but(|call| call.stderr = capture(b"+ x canary-secret-77"))
            .expect(ID, 1);
    }

    #[test]
    fn config_may_hand_a_secret_to_the_runner() {
        scene(Program::Config, r#"{"job_env": {"T": "canary-secret-77"}}"#).expect_clean(ID);
    }
}
