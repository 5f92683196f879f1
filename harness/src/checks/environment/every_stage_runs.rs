//! # What it verifies
//!
//! Every run call in a prepared environment runs the script it is given, whatever the stage is called and however
//! large the script is.
//!
//! # Why it matters
//!
//! New runner versions send new stage names. A driver that knows a closed list fails the job, or leaves out the
//! upload of artifacts, with the next upgrade. And an environment that goes away in the middle of a job takes along all that
//! comes after.
//!
//! # How drivers break it
//!
//! They list the stage names of the documentation, misspell one, send one to another place, or pass the script as
//! one argument, which the kernel limits to 128 KiB. Or the environment is not there: it was named otherwise in prepare, is not
//! ready yet, or an earlier stage has removed it.
//!
//! # Example of the fix
//!
//! Do not look at the name, read the script from its file, and leave the environment to cleanup:
//!
//! ```text
//!     box exec "$name" bash -s < "$script"
//! ```
//!
//! # Clause
//!
//! Must: E1, E2, E17, B1, B12, E7, A10.

use crate::checks::Deviation;
use crate::checks::evidence::{
    after_failed_script, deviation, each, ending, fails_to_run, prepared_scripts,
};
use crate::plan::case::Case;
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    // What a failed script may have changed is the matter of `environment/kept-after-failure`.
    let after_failure = |index| after_failed_script(trace, index).is_some();
    each(prepared_scripts(case, trace), |run| {
        let message = "did not run the script of a stage in a prepared environment";
        let expected = ["the output of the script"];
        (fails_to_run(case, trace, &run) && !after_failure(run.index))
            .then(|| deviation(trace, run.index, message, &expected, ending(run.call)))
    })
}

#[cfg(test)]
mod tests {
    use crate::checks::testing::{SYSTEM_FAILURE, Scene, exits};
    use crate::contract::stage::Program;

    const ID: &str = "environment/every-stage-runs";

    #[test]
    fn a_script_that_ran_is_fine() {
        Scene::new()
            .call(Program::Prepare, 0)
            .run("step_release", exits(0), 0)
            .expect_clean(ID);
    }

    #[test]
    fn a_refused_stage_is_found() {
        Scene::new()
            .call(Program::Prepare, 0)
            .run("step_release", exits(0), SYSTEM_FAILURE)
            .printing("unknown stage\n")
            .expect(ID, 1);
    }

    #[test]
    fn an_environment_that_is_not_there_excuses() {
        let failed = Scene::new().call(Program::Prepare, SYSTEM_FAILURE);
        failed
            .run("get_sources", exits(0), SYSTEM_FAILURE)
            .printing("")
            .expect_silent(ID);
        let gone = Scene::new()
            .call(Program::Prepare, 0)
            .call(Program::Cleanup, 0);
        gone.run("get_sources", exits(0), SYSTEM_FAILURE)
            .printing("")
            .expect_silent(ID);
    }
}
