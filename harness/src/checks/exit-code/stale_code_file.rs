//! # What it verifies
//!
//! A call that exits with `BUILD_FAILURE_EXIT_CODE` does not leave the code of an earlier call in
//! `BUILD_EXIT_CODE_FILE`.
//!
//! # Why it matters
//!
//! The file lives as long as the prepare attempt. The code of an earlier stage then speaks for a later failure: the
//! job is shown with, and judged by, a code that belongs to another script.
//!
//! # How drivers break it
//!
//! They write the file only if it is not there yet, or write it only on the path where the script itself failed and
//! exit with the build-failure code on others.
//!
//! # Example of the fix
//!
//! Begin each call by removing what an earlier one left:
//!
//! ```text
//!     rm -f "$BUILD_EXIT_CODE_FILE"
//! ```
//!
//! # Clause
//!
//! Must: G3, G4.

use crate::checks::Deviation;
use crate::checks::evidence::{
    ScriptRun, code_file_value, deviation, each, exit_code, exit_codes, lone_scripts,
};
use crate::plan::case::{Case, ProbeEnding};
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let reported = lone_scripts(case, trace).into_iter().filter(|run| {
        let build_failure = exit_codes(case, run.call).map(|(code, _)| code);
        let file = run.call.exit_code_file_before.is_some();
        file && run.started() && exit_code(run.call) == build_failure
    });
    each(reported, |run| {
        let before = run.call.exit_code_file_before.as_deref()?;
        let value = code_file_value(before)?;
        let stale =
            run.call.exit_code_file_after.as_deref() == Some(before) && value != own_code(&run)?;
        let message = "let the exit code of an earlier call stand for a new failure";
        let expected = own_code(&run)?.to_string();
        stale.then(|| {
            deviation(
                trace,
                run.index,
                message,
                &[&expected, "no file"],
                value.to_string(),
            )
        })
    })
}

/// The code that the script of the call ended with, as a shell would put it.
fn own_code(run: &ScriptRun<'_>) -> Option<i64> {
    match run.probe.ending {
        ProbeEnding::Signal(signal) => Some(128 + i64::from(signal)),
        _ => run.script_code().map(i64::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{BUILD_FAILURE, Scene, exits};
    use crate::plan::case::Probe;

    const ID: &str = "exit-code/stale-code-file";

    fn scene(probe: Probe, before: &str, after: Option<&str>) -> Scene {
        let bytes = |text: &str| text.as_bytes().to_vec();
        Scene::new()
            .run("after_script", probe, BUILD_FAILURE)
            .but(|call| {
                call.exit_code_file_before = Some(bytes(before));
                call.exit_code_file_after = after.map(bytes);
            })
    }

    #[test]
    fn a_rewritten_or_removed_file_is_fine() {
        scene(exits(3), "42", Some("3")).expect_clean(ID);
        scene(exits(3), "42", None).expect_clean(ID);
        scene(exits(42), "42", Some("42")).expect_clean(ID);
    }

    #[test]
    fn an_older_code_is_found() {
        scene(exits(3), "42", Some("42")).expect(ID, 1);
        let killed = Probe {
            ending: ProbeEnding::Signal(9),
            ..Probe::default()
        };
        scene(killed.clone(), "42", Some("42")).expect(ID, 1);
        scene(killed, "137", Some("137")).expect_clean(ID);
    }

    #[test]
    fn a_file_left_by_a_success_is_not_read() {
        Scene::new()
            .run("after_script", exits(0), 0)
            .but(|call| call.exit_code_file_before = Some(b"42".to_vec()))
            .expect_silent(ID);
    }
}
