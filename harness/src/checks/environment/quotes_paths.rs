//! # What it verifies
//!
//! A driver works as usual when the paths that the runner gives it have a blank in them.
//!
//! # Why it matters
//!
//! A runner whose temporary directory is called so fails all jobs, and a path that a shell takes apart can make a
//! command touch another file than it was meant for.
//!
//! # How drivers break it
//!
//! They use the path of the script, TMPDIR or `BUILD_EXIT_CODE_FILE` without quotes.
//!
//! # Example of the fix
//!
//! Quote every expansion:
//!
//! ```text
//!     bash "$1"
//! ```
//!
//! # Clause
//!
//! Must: B1, E21.

use crate::checks::Deviation;
use crate::checks::evidence::{
    calls, deviation, each, ending, exit_code, overlapping, undisturbed,
};
use crate::plan::case::Case;
use crate::trace::{CallIndex, CallRecord, Trace};

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let has_blank = |call: &CallRecord| {
        let job = case.jobs.get(call.job);
        job.is_some_and(|job| job.blank_in_temp_dir)
    };
    let relevant = calls(trace).filter(|(index, call)| {
        has_blank(call) && !overlapping(case) && undisturbed(trace, *index)
    });
    // What goes wrong after the first call that went wrong follows from it.
    let mut failed = false;
    each(relevant, |(index, call)| {
        let plain = without_blank(case, trace, call)?;
        if failed || exit_code(call) == exit_code(&trace.calls[plain.0]) {
            return None;
        }
        failed = true;
        let message = "failed because a path has a blank in it";
        let usual = format!("{}, as with other paths", ending(&trace.calls[plain.0]));
        Some(deviation(trace, index, message, &[&usual], ending(call)))
    })
}

/// The same call of a job whose paths are without a blank.
fn without_blank(case: &Case, trace: &Trace, call: &CallRecord) -> Option<CallIndex> {
    let same = calls(trace).find(|(index, other)| {
        let job = case.jobs.get(other.job);
        job.is_some_and(|job| !job.blank_in_temp_dir)
            && undisturbed(trace, *index)
            && (other.program, &other.stage, other.nth) == (call.program, &call.stage, call.nth)
    });
    same.map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use crate::checks::testing::{BUILD_FAILURE, SYSTEM_FAILURE, Scene, exits};
    use crate::plan::case::JobOrder;

    const ID: &str = "environment/quotes-paths";

    fn scene(plain: i32, blank: i32) -> Scene {
        let mut scene = Scene::with_jobs(&[12, 123], JobOrder::Sequential)
            .run("build_script", exits(3), plain)
            .run_of(1, "build_script", exits(3), blank);
        scene.case.jobs[1].blank_in_temp_dir = true;
        scene
    }

    #[test]
    fn another_result_is_found() {
        scene(BUILD_FAILURE, SYSTEM_FAILURE).expect(ID, 1);
    }

    #[test]
    fn the_same_result_is_fine_even_if_it_is_a_wrong_one() {
        scene(BUILD_FAILURE, BUILD_FAILURE).expect_clean(ID);
        scene(SYSTEM_FAILURE, SYSTEM_FAILURE).expect_clean(ID);
    }

    #[test]
    fn a_case_without_blanks_says_nothing() {
        Scene::new()
            .run("build_script", exits(0), 0)
            .expect_silent(ID);
    }
}
