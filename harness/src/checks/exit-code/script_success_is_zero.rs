//! # What it verifies
//!
//! A run call whose script succeeded exits with 0.
//!
//! # Why it matters
//!
//! A job whose script succeeded turns red, and nothing in its log says why.
//!
//! # How drivers break it
//!
//! They guess the result from a side channel, such as text on stderr; or an error in the housekeeping after the
//! script overrides its result.
//!
//! # Example of the fix
//!
//! Take the result from the status of the script alone:
//!
//! ```text
//!     box exec "$name" < "$script" || fail_build $?
//!     exit 0
//! ```
//!
//! # Clause
//!
//! Must: G1.

use crate::checks::Deviation;
use crate::checks::evidence::{deviation, each, ending, exit_code, lone_scripts};
use crate::plan::case::Case;
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let succeeded = lone_scripts(case, trace)
        .into_iter()
        .filter(|run| run.finished() && run.script_code() == Some(0));
    each(succeeded, |run| {
        let message = "reported a failure although the script succeeded";
        (exit_code(run.call) != Some(0)).then(|| {
            deviation(
                trace,
                run.index,
                message,
                &["exit status 0"],
                ending(run.call),
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use crate::checks::testing::{BUILD_FAILURE, Scene, exits};

    const ID: &str = "exit-code/script-success-is-zero";

    #[test]
    fn zero_is_fine() {
        Scene::new()
            .run("build_script", exits(0), 0)
            .expect_clean(ID);
    }

    #[test]
    fn any_other_code_is_found() {
        Scene::new()
            .run("build_script", exits(0), BUILD_FAILURE)
            .run("after_script", exits(0), 7)
            .expect(ID, 2);
    }

    #[test]
    fn a_failing_script_is_not_its_matter() {
        Scene::new()
            .run("build_script", exits(1), BUILD_FAILURE)
            .expect_silent(ID);
    }
}
