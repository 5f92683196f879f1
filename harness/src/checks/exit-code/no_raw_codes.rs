//! # What it verifies
//!
//! Calls of config, prepare and run exit with 0, `BUILD_FAILURE_EXIT_CODE` or `SYSTEM_FAILURE_EXIT_CODE` and nothing
//! else.
//!
//! # Why it matters
//!
//! The runner knows no other code. It reports an unknown executable exit code as a system failure without an exit
//! code, so that `allow_failure` and retry rules on codes do not work.
//!
//! # How drivers break it
//!
//! The last command of the program is the tool that runs the script, and its status leaves the driver as it is: 3
//! from a script, 255 from ssh, 137 after a kill.
//!
//! # Example of the fix
//!
//! End with an explicit mapping:
//!
//! ```text
//!     box exec "$name" < "$script"; code=$?
//!     case $code in
//!         0) exit 0 ;;
//!         125) exit "$SYSTEM_FAILURE_EXIT_CODE" ;;
//!         *) printf '%s\n' "$code" > "$BUILD_EXIT_CODE_FILE"; exit "$BUILD_FAILURE_EXIT_CODE" ;;
//!     esac
//! ```
//!
//! # Clause
//!
//! Must: G8, G1.

use crate::checks::Deviation;
use crate::checks::evidence::{
    calls, deviation, each, ending, exit_code, exit_codes, lone_scripts, undisturbed,
};
use crate::contract::stage::Program;
use crate::plan::case::Case;
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let succeeded: Vec<_> = lone_scripts(case, trace)
        .into_iter()
        .filter(|run| run.finished() && run.script_code() == Some(0))
        .map(|run| run.index)
        .collect();
    // What cleanup exits with changes nothing for the job; a script that succeeded is another check's matter.
    let relevant = calls(trace).filter(|(index, call)| {
        call.program != Program::Cleanup && undisturbed(trace, *index) && !succeeded.contains(index)
    });
    each(relevant, |(index, call)| {
        let (build_failure, system_failure) = exit_codes(case, call)?;
        // 1 and 2 are the runner's usual values: a driver that exits with these has them as literals.
        let known = [0, build_failure, system_failure, 1, 2];
        if exit_code(call).is_some_and(|code| known.contains(&code)) {
            return None;
        }
        let expected = [
            "exit status 0".to_owned(),
            format!("exit status {build_failure} (BUILD_FAILURE_EXIT_CODE)"),
            format!("exit status {system_failure} (SYSTEM_FAILURE_EXIT_CODE)"),
        ];
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        let message = "ended in a way that the runner has no meaning for";
        Some(deviation(trace, index, message, &expected, ending(call)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{BUILD_FAILURE, SYSTEM_FAILURE, Scene, exits};
    use crate::contract::exit::ExitStatus;

    const ID: &str = "exit-code/no-raw-codes";

    #[test]
    fn the_three_known_codes_are_fine() {
        Scene::new()
            .call(Program::Prepare, SYSTEM_FAILURE)
            .run("build_script", exits(3), BUILD_FAILURE)
            .call(Program::Config, 0)
            .expect_clean(ID);
    }

    #[test]
    fn a_passed_on_code_and_a_signal_are_found() {
        Scene::new()
            .run("build_script", exits(3), 3)
            .call(Program::Prepare, 255)
            .call(Program::Config, 0)
            .but(|call| {
                call.leader_exit = call.leader_exit.map(|(at, _)| (at, ExitStatus::Signal(11)));
            })
            .expect(ID, 3);
    }

    #[test]
    fn cleanup_and_terminated_calls_are_not_its_matter() {
        Scene::new()
            .call(Program::Cleanup, 5)
            .call(Program::Prepare, 143)
            .terminated()
            .expect_silent(ID);
    }
}
