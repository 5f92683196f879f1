//! # What it verifies
//!
//! A run call that exits with 0 has run the script it was given, also if a helper of the driver died meanwhile.
//!
//! # Why it matters
//!
//! The job is green, and nothing was built, tested or deployed.
//!
//! # How drivers break it
//!
//! They leave early with success when they do not find their environment or do not know the name of the stage, return a
//! value that the language turns into exit code 0, or take the end of a connection for the end of the script.
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
use crate::checks::evidence::{
    deviation, each, exit_code, lone_scripts, ran_earlier_script, scripts_without_helpers,
};
use crate::plan::case::{Case, ProbeOutput};
use crate::trace::{Helpers, Trace};

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let successes = lone_scripts(case, trace)
        .into_iter()
        // Where bytes that are not UTF-8 take the rest of the output along, `output/binary-unharmed` says so.
        .filter(|run| run.probe.output != ProbeOutput::Binary)
        .filter(|run| exit_code(run.call) == Some(0));
    let without_helpers = scripts_without_helpers(trace).into_iter();
    let without_helpers = without_helpers.filter(|run| exit_code(run.call) == Some(0));
    each(successes.chain(without_helpers), |run| {
        let other = ran_earlier_script(trace, run.index);
        let lost_helpers = run.call.helpers == Helpers::KilledMeanwhile;
        let cut_off = lost_helpers && run.started() && !run.finished();
        let (message, trace_of) = match (cut_off, run.started() || other) {
            (true, _) => (
                "reported success although its own helper had died under the script",
                "no trace of the end of the script",
            ),
            (false, false) => (
                "reported success although the script was not run",
                "no trace of the script",
            ),
            (false, true) => return None,
        };
        let expected = ["the output of the script", "SYSTEM_FAILURE_EXIT_CODE"];
        let actual = format!("exit status 0 and {trace_of}");
        Some(deviation(trace, run.index, message, &expected, actual))
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
    fn success_is_not_told_when_a_helper_died_under_the_script() {
        let scene = |printed: &str, code: i32| {
            let run = Scene::new().run("get_sources", exits(0), code);
            run.printing(printed).losing_helpers()
        };
        scene("NONCE:start\n", 0).expect(ID, 1);
        scene("NONCE:start\nNONCE:end\n", 0).expect_clean(ID);
        scene("NONCE:start\n", SYSTEM_FAILURE).expect_silent(ID);
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
