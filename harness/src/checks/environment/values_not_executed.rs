//! # What it verifies
//!
//! No part of the value of a variable is executed as code.
//!
//! # Why it matters
//!
//! Whoever may name a branch or write a commit message may run commands on the machine of the runner, with its rights.
//!
//! # How drivers break it
//!
//! They build a command line or a piece of shell from values, with eval, sh -c, or an ssh command, and quote it by hand
//! or not at all.
//!
//! # Example of the fix
//!
//! Pass a value as one argument or through the environment, and where it must become shell text, let the shell quote
//! it:
//!
//! ```text
//!     ssh "$host" "export CI_COMMIT_REF_NAME=$(printf %q "$CUSTOM_ENV_CI_COMMIT_REF_NAME"); ..."
//! ```
//!
//! # Clause
//!
//! Must: B9.

use crate::checks::Deviation;
use crate::checks::evidence::{calls, contains, deviation, each};
use crate::plan::case::Case;
use crate::trace::{CallRecord, Trace};

/// What the values of the case compute and print when they are executed. Printed as they are, they show the sum instead.
const RESULT: &str = "driver-conformance-executed-42";
/// How a value that prints it can be known.
const SUM: &str = "driver-conformance-executed-$((40+2))";

/// Looks at one case.
pub(crate) fn examine(_case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let told = calls(trace).filter(|(_, call)| variables(call).next().is_some());
    each(told, |(index, call)| {
        let executed = [&call.stdout, &call.stderr]
            .iter()
            .any(|capture| contains(&capture.bytes, RESULT.as_bytes()));
        let names: Vec<&str> = variables(call).collect();
        let message = "executed the value of a variable";
        executed.then(|| {
            let actual = format!("one of {} was run as code", names.join(", "));
            deviation(trace, index, message, &["the value as it is"], actual)
        })
    })
}

fn variables(call: &CallRecord) -> impl Iterator<Item = &str> {
    call.environment
        .iter()
        .filter(|(_, value)| value.contains(SUM))
        .map(|(name, _)| name.as_str())
}

#[cfg(test)]
mod tests {
    use crate::checks::testing::{Scene, capture};
    use crate::contract::stage::Program;

    const ID: &str = "environment/values-not-executed";

    fn scene(printed: &str) -> Scene {
        Scene::new().call(Program::Prepare, 0).but(|call| {
            let value = "$(echo driver-conformance-executed-$((40+2)) >&2)".to_owned();
            call.environment
                .push(("CUSTOM_ENV_CI_COMMIT_REF_NAME".into(), value));
            call.stderr = capture(printed.as_bytes());
        })
    }

    #[test]
    fn a_result_is_found() {
        scene("driver-conformance-executed-42\n").expect(ID, 1);
    }

    #[test]
    fn a_value_that_is_merely_printed_is_fine() {
        scene("on branch $(echo driver-conformance-executed-$((40+2)) >&2)\n").expect_clean(ID);
    }

    #[test]
    fn a_call_without_such_a_value_says_nothing() {
        Scene::new().call(Program::Prepare, 0).expect_silent(ID);
    }
}
