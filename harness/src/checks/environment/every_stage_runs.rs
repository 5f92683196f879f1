//! # What it verifies
//!
//! Every run call in a prepared environment runs the script it is given, whatever the stage is called and however
//! large the script is.
//!
//! # Why it matters
//!
//! New runner versions send new stage names. A driver that knows a closed list fails the job, or leaves out the
//! upload of artifacts, with the next upgrade.
//!
//! # How drivers break it
//!
//! They list the stage names of the documentation, misspell one, send one to another place, or pass the script as
//! one argument, which the kernel limits to 128 KiB.
//!
//! # Example of the fix
//!
//! Do not look at the name; read the script from its file:
//!
//! ```text
//!     box exec "$name" bash -s < "$script"
//! ```
//!
//! # Clause
//!
//! Must: E1, E2, E17, B1, B12, E5, E7, E15, A10.

use crate::checks::Deviation;
use crate::checks::evidence::{
    deviation, each, earlier, ending, exit_code, exit_codes, lone_scripts, prepared, printed,
    ran_earlier_script,
};
use crate::contract::stage::Program;
use crate::plan::case::Case;
use crate::trace::{CallIndex, Trace};

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let relevant = lone_scripts(case, trace)
        .into_iter()
        .filter(|run| prepared(trace, run.index));
    each(relevant, |run| {
        let (build_failure, _) = exit_codes(case, run.call)?;
        // Success, and blame on the user, are graver and have checks of their own.
        let told = exit_code(run.call).is_none_or(|code| code != 0 && code != build_failure);
        let message = "did not run the script of a stage in a prepared environment";
        (told && !run.started() && !ran_earlier_script(trace, run.index)).then(|| {
            deviation(
                trace,
                run.index,
                message,
                &["the output of the script"],
                ending(run.call) + &after_failure(trace, run.index),
            )
        })
    })
}

/// The likely reason, if the stage before failed although its script ran: whoever removes the environment then, or leaves it in
/// disorder, sees the next stage fail.
fn after_failure(trace: &Trace, index: CallIndex) -> String {
    let before = earlier(trace, index).rfind(|(_, call)| call.program != Program::Config);
    let failed = before.filter(|(_, call)| {
        let ran = call
            .nonce
            .as_deref()
            .is_some_and(|nonce| printed(call, nonce, "start"));
        call.program == Program::Run && ran && exit_code(call) != Some(0)
    });
    let stage = failed.and_then(|(_, call)| call.stage.as_ref());
    stage.map_or_else(String::new, |stage| {
        format!(" (right after {stage} had failed: is the environment removed then?)")
    })
}

#[cfg(test)]
mod tests {
    use crate::checks::testing::{BUILD_FAILURE, SYSTEM_FAILURE, Scene, exits};
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
    fn a_failure_right_before_is_told() {
        let actual = |code: i32| {
            let scene = Scene::new()
                .call(Program::Prepare, 0)
                .run("build_script", exits(3), code)
                .run("after_script", exits(0), SYSTEM_FAILURE)
                .printing("no such box\n");
            scene.findings(ID).expect("judged")[0].actual.clone()
        };
        assert!(actual(BUILD_FAILURE).contains("right after build_script had failed"));
        assert!(!actual(0).contains("right after"));
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
