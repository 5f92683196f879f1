//! # What it verifies
//!
//! A run call that exits with 0 has run the script it was given.
//!
//! # Why it matters
//!
//! The job is green, and nothing was built, tested or deployed.
//!
//! # How drivers break it
//!
//! They leave early with success when they do not find their environment or do not know the name of the stage, or
//! return a value that the language turns into exit code 0.
//!
//! # Example of the fix
//!
//! Not finding the environment is a failure of the system:
//!
//! ```text
//!     box state "$name" >/dev/null || exit "$SYSTEM_FAILURE_EXIT_CODE"
//! ```
//!
//! # Clause
//!
//! Must: E1, E2, G1.

use crate::checks::Deviation;
use crate::checks::evidence::{deviation, each, exit_code, lone_scripts, ran_earlier_script};
use crate::plan::case::{Case, ProbeOutput};
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let successes = lone_scripts(case, trace)
        .into_iter()
        // Where bytes that are not UTF-8 take the rest of the output along, `output/binary-unharmed` says so.
        .filter(|run| run.probe.output != ProbeOutput::Binary)
        .filter(|run| exit_code(run.call) == Some(0));
    each(successes, |run| {
        let other = ran_earlier_script(trace, run.index);
        let message = "reported success although the script was not run";
        (!run.started() && !other).then(|| {
            let expected = ["the output of the script", "SYSTEM_FAILURE_EXIT_CODE"];
            deviation(
                trace,
                run.index,
                message,
                &expected,
                "exit status 0 and no trace of the script".to_owned(),
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use crate::checks::testing::{SYSTEM_FAILURE, Scene, exits};

    const ID: &str = "exit-code/success-without-running";

    #[test]
    fn a_script_that_ran_is_fine() {
        Scene::new()
            .run("build_script", exits(0), 0)
            .expect_clean(ID);
    }

    #[test]
    fn success_without_output_is_found() {
        Scene::new()
            .run("step_release", exits(0), 0)
            .printing("unknown stage\n")
            .expect(ID, 1);
    }

    #[test]
    fn a_failure_or_an_older_script_is_not_its_matter() {
        Scene::new()
            .run("step_release", exits(0), SYSTEM_FAILURE)
            .printing("")
            .expect_silent(ID);
        Scene::new()
            .run("build_script", exits(0), 0)
            .run("build_script", exits(0), 0)
            .but(|call| call.stdout.bytes = b"driver-conformance:nonce0:start\n".to_vec())
            .expect_clean(ID);
    }
}
