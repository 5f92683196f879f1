//! # What it verifies
//!
//! After a stage whose script has failed, the next stages of the job still run in its environment.
//!
//! # Why it matters
//!
//! `after_script`, the cache and the artifacts of failed jobs are lost: what the user needs to understand the failure. And the
//! failure of the script is followed by one of the system, so that nobody knows which of the two counts.
//!
//! # How drivers break it
//!
//! They take a failed script for the end of the job, and remove or stop the environment before they exit.
//!
//! # Example of the fix
//!
//! Leave the environment alone in run, whatever the script ended with; removing it is what cleanup is for:
//!
//! ```text
//!     box exec "$name" < "$script" || die_build "$?"    # not: || { box rm "$name"; die_build 1; }
//! ```
//!
//! # Clause
//!
//! Must: E5, E15.

use crate::checks::Deviation;
use crate::checks::evidence::{
    after_failed_script, deviation, each, ending, fails_to_run, prepared_scripts,
};
use crate::plan::case::Case;
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let relevant = prepared_scripts(case, trace)
        .into_iter()
        .filter_map(|run| Some((run, after_failed_script(trace, run.index)?)));
    each(relevant, |(run, failed)| {
        let message = "could not run a script after that of an earlier stage had failed";
        let actual = format!("{} after {failed} had failed", ending(run.call));
        let expected = ["the output of the script"];
        fails_to_run(case, trace, &run)
            .then(|| deviation(trace, run.index, message, &expected, actual))
    })
}

#[cfg(test)]
mod tests {
    use crate::checks::testing::{BUILD_FAILURE, SYSTEM_FAILURE, Scene, exits};
    use crate::contract::stage::Program;

    const ID: &str = "environment/kept-after-failure";

    fn scene(first: i32, second: i32) -> Scene {
        let script = u8::from(first != 0) * 3;
        Scene::new()
            .call(Program::Prepare, 0)
            .run("build_script", exits(script), first)
            .run("after_script", exits(0), second)
    }

    #[test]
    fn a_stage_that_finds_no_environment_is_found_with_the_one_before() {
        let scene = scene(BUILD_FAILURE, SYSTEM_FAILURE).printing("no such box\n");
        let scene = scene
            .run("upload_artifacts_on_failure", exits(0), SYSTEM_FAILURE)
            .printing("no such box\n");
        scene.expect(ID, 2);
        let actual = &scene.findings(ID).expect("judged")[1].actual;
        assert!(actual.contains("after build_script had failed"), "{actual}");
        scene.expect_clean("environment/every-stage-runs");
    }

    #[test]
    fn a_stage_that_runs_is_fine() {
        scene(BUILD_FAILURE, 0).expect_clean(ID);
    }

    #[test]
    fn a_stage_after_one_that_succeeded_is_not_its_matter() {
        let scene = scene(0, SYSTEM_FAILURE).printing("no such box\n");
        scene.expect_silent(ID);
        scene.expect("environment/every-stage-runs", 1);
    }
}
