//! # What it verifies
//!
//! A run call whose script failed by itself exits with the value of `BUILD_FAILURE_EXIT_CODE`.
//!
//! # Why it matters
//!
//! A failing script that is reported as a system failure is shown as trouble of the runner, is retried where the
//! job asks for it, and hides from the user that the code is broken; one that is reported as success lets a broken
//! build through.
//!
//! # How drivers break it
//!
//! They exit with the system-failure value for every failure, or treat only exit code 1 of a script as the failure
//! of the user, or forget to look at the status of a remote command.
//!
//! # Example of the fix
//!
//! Map every code of the script to the build failure, whatever its value:
//!
//! ```text
//!     box exec "$name" < "$script"; code=$?
//!     [ "$code" -eq 0 ] || exit "$BUILD_FAILURE_EXIT_CODE"
//! ```
//!
//! # Clause
//!
//! Must: G8, G1.

use crate::checks::Deviation;
use crate::checks::evidence::{deviation, each, exit_code, exit_codes, lone_scripts, own_code};
use crate::plan::case::Case;
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let failed = lone_scripts(case, trace)
        .into_iter()
        .filter(|run| run.finished() && own_code(run.probe).is_some_and(|code| code != 0));
    each(failed, |run| {
        let (build_failure, system_failure) = exit_codes(case, run.call)?;
        let code = exit_code(run.call)?;
        // Whether a script that was killed is the user's failure or the system's is for the driver to judge.
        let killed = run.script_code().is_none();
        let message = match code {
            0 => "reported success although the script failed",
            code if code == system_failure && !killed => {
                "reported a system failure although the script failed by itself"
            }
            _ => return None,
        };
        let expected = format!("exit status {build_failure} (BUILD_FAILURE_EXIT_CODE)");
        let actual = format!(
            "exit status {code} after exit {} of the script",
            own_code(run.probe)?
        );
        Some(deviation(trace, run.index, message, &[&expected], actual))
    })
}

#[cfg(test)]
mod tests {
    use crate::checks::testing::{BUILD_FAILURE, SYSTEM_FAILURE, Scene, exits};
    use crate::contract::stage::Program;
    use crate::plan::case::{Probe, ProbeEnding};

    const ID: &str = "exit-code/user-failure-is-build-failure";

    #[test]
    fn a_mapped_failure_is_fine() {
        Scene::new()
            .run("build_script", exits(3), BUILD_FAILURE)
            .expect_clean(ID);
    }

    #[test]
    fn a_system_failure_and_a_success_are_found() {
        Scene::new()
            .run("build_script", exits(3), SYSTEM_FAILURE)
            .expect(ID, 1);
        Scene::new()
            .run("build_script", exits(3), 0)
            .run("after_script", exits(1), 0)
            .expect(ID, 2);
    }

    #[test]
    fn a_killed_script_may_be_the_failure_of_either_but_no_success() {
        let killed = Probe {
            ending: ProbeEnding::Signal(9),
            ..Probe::default()
        };
        let scene = Scene::new().run("build_script", killed.clone(), SYSTEM_FAILURE);
        scene
            .run("build_script", killed.clone(), BUILD_FAILURE)
            .expect_clean(ID);
        Scene::new().run("build_script", killed, 0).expect(ID, 1);
    }

    #[test]
    fn a_script_that_never_finished_says_nothing() {
        Scene::new()
            .run("build_script", exits(3), SYSTEM_FAILURE)
            .printing("box gone\n")
            .expect_silent(ID);
        Scene::new()
            .call(Program::Prepare, SYSTEM_FAILURE)
            .expect_silent(ID);
    }
}
