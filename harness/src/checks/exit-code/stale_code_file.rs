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
    deviation, each, exit_code, exit_codes, lone_scripts, own_code, stale_code,
};
use crate::plan::case::Case;
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let reported = lone_scripts(case, trace).into_iter().filter(|run| {
        let build_failure = exit_codes(case, run.call).map(|(code, _)| code);
        let file = run.call.exit_code_file_before.is_some();
        file && run.started() && exit_code(run.call) == build_failure
    });
    each(reported, |run| {
        let value = stale_code(trace, &run)?;
        let message = "let the exit code of an earlier call stand for a new failure";
        let expected = own_code(run.probe)?.to_string();
        Some(deviation(
            trace,
            run.index,
            message,
            &[&expected, "no file"],
            value.to_string(),
        ))
    })
}

#[cfg(test)]
mod tests {
    use crate::checks::testing::{BUILD_FAILURE, Scene, exits};
    use crate::plan::case::{Probe, ProbeEnding};

    const ID: &str = "exit-code/stale-code-file";

    fn scene(probe: Probe, before: &str, after: Option<&str>) -> Scene {
        let bytes = |text: &str| text.as_bytes().to_vec();
        Scene::new()
            .run("build_script", exits(42), BUILD_FAILURE)
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
        scene(killed, "42", Some("42")).expect(ID, 1);
    }

    #[test]
    fn a_code_that_no_earlier_script_had_is_not_its_matter() {
        scene(exits(3), "1", Some("1")).expect_clean(ID);
    }

    #[test]
    fn the_code_of_a_success_is_never_left() {
        Scene::new()
            .run("get_sources", exits(0), 0)
            .run("build_script", exits(42), BUILD_FAILURE)
            .but(|call| {
                call.exit_code_file_before = Some(b"0".to_vec());
                call.exit_code_file_after = Some(b"0".to_vec());
            })
            .expect_clean(ID);
    }

    #[test]
    fn a_file_left_by_a_success_is_not_read() {
        Scene::new()
            .run("after_script", exits(0), 0)
            .but(|call| call.exit_code_file_before = Some(b"42".to_vec()))
            .expect_silent(ID);
    }
}
