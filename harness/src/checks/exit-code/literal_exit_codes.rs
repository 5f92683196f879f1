//! # What it verifies
//!
//! A driver takes its exit codes from the environment: it does not exit with 1 or 2 where `BUILD_FAILURE_EXIT_CODE`
//! and `SYSTEM_FAILURE_EXIT_CODE` have other values.
//!
//! # Why it matters
//!
//! The values are part of the contract because they may change; and an accidental 1, from a crash of the driver
//! itself, is taken for the failure of the user.
//!
//! # How drivers break it
//!
//! They write exit 1 or exit 2, pass the string of the variable to a function that wants a number, or die of an
//! uncaught error: 1 in Python and in a shell with errexit, 2 in Go.
//!
//! # Example of the fix
//!
//! Read the variables, as numbers, and catch what is not foreseen:
//!
//! ```text
//!     trap 'exit "$SYSTEM_FAILURE_EXIT_CODE"' ERR
//! ```
//!
//! # Clause
//!
//! Must: G8.

use crate::checks::Deviation;
use crate::checks::evidence::{
    ScriptRun, calls, deviation, each, ending, exit_code, exit_codes, lone_scripts, undisturbed,
};
use crate::contract::stage::Program;
use crate::plan::case::Case;
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let scripts = lone_scripts(case, trace);
    let relevant = calls(trace)
        .filter(|(index, call)| call.program != Program::Cleanup && undisturbed(trace, *index));
    each(relevant, |(index, call)| {
        let (build_failure, system_failure) = exit_codes(case, call)?;
        let code = exit_code(call)?;
        if !matches!(code, 1 | 2) || code == build_failure || code == system_failure {
            return None;
        }
        // A script that succeeded is another check's matter; one that ended with the same code may have been passed on.
        let script = scripts
            .iter()
            .find(|run| run.index == index && run.finished());
        if script
            .and_then(ScriptRun::script_code)
            .is_some_and(|own| own == 0 || own == code)
        {
            return None;
        }
        let expected = [
            format!("exit status {build_failure} (BUILD_FAILURE_EXIT_CODE)"),
            format!("exit status {system_failure} (SYSTEM_FAILURE_EXIT_CODE)"),
        ];
        let message = "exited with a fixed code instead of the value in the environment";
        Some(deviation(
            trace,
            index,
            message,
            &[&expected[0], &expected[1]],
            ending(call),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{BUILD_FAILURE, Scene, exits};
    use crate::contract::exit::ExitCodes;

    const ID: &str = "exit-code/literal-exit-codes";

    #[test]
    fn values_of_the_environment_are_fine() {
        Scene::new()
            .run("build_script", exits(3), BUILD_FAILURE)
            .expect_clean(ID);
        let mut scene = Scene::new().run("build_script", exits(3), 1);
        scene.case.jobs[0].exit_codes = ExitCodes::RUNNER;
        scene.expect_clean(ID);
    }

    #[test]
    fn literals_are_found_in_every_program() {
        Scene::new()
            .run("build_script", exits(3), 1)
            .call(Program::Prepare, 2)
            .expect(ID, 2);
    }

    #[test]
    fn a_code_that_may_have_been_passed_on_is_not_its_matter() {
        Scene::new()
            .run("build_script", exits(1), 1)
            .run("build_script", exits(0), 1)
            .expect(ID, 0);
    }
}
