//! # What it verifies
//!
//! A driver touches no file that it has not made: not what other programs and other runners keep beside it, and not
//! what a variable of the job points to.
//!
//! # Why it matters
//!
//! A job deletes the work of others, or whatever its author points a variable to, with the rights of the runner.
//!
//! # How drivers break it
//!
//! They clear directories that they share with others, remove the parent of their temporary directory, or believe a job
//! that calls any path its project directory.
//!
//! # Example of the fix
//!
//! Remove what carries the name of the job, in a place of the driver's own, and take no path from a variable that a job
//! can set:
//!
//! ```text
//!     rm -rf "${state:?}/$name"
//! ```
//!
//! # Clause
//!
//! Must: B7, B17.

use crate::checks::Deviation;
use crate::checks::evidence::{deviation, each};
use crate::plan::case::Case;
use crate::trace::{CallIndex, Trace};

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    if !case.surroundings.keepsakes {
        return None;
    }
    let calls = (0..trace.calls.len()).map(CallIndex);
    each(calls, |index| {
        let touched: Vec<String> = trace
            .touched_keepsakes
            .iter()
            .filter(|file| file.made_by == Some(index))
            .map(|file| {
                let what = if file.gone { "removed" } else { "changed" };
                format!("{what} {}", file.path.display())
            })
            .collect();
        let message = "touched files that belong to somebody else";
        (!touched.is_empty()).then(|| {
            deviation(
                trace,
                index,
                message,
                &["no such thing"],
                touched.join(", "),
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    use crate::checks::testing::Scene;
    use crate::contract::stage::Program;
    use crate::trace::TouchedKeepsake;

    const ID: &str = "isolation/others-untouched";

    fn scene() -> Scene {
        let mut scene = Scene::new()
            .call(Program::Prepare, 0)
            .call(Program::Cleanup, 0);
        scene.case.surroundings.keepsakes = true;
        scene
    }

    #[test]
    fn what_one_call_touched_is_found_once() {
        let mut scene = scene();
        for (path, gone) in [("/home/ci/keepsake", true), ("/tmp/keepsake", false)] {
            scene.trace.touched_keepsakes.push(TouchedKeepsake {
                path: PathBuf::from(path),
                gone,
                made_by: Some(CallIndex(1)),
            });
        }
        scene.expect(ID, 1);
    }

    #[test]
    fn nothing_touched_is_fine() {
        scene().expect_clean(ID);
        Scene::new().call(Program::Prepare, 0).expect_silent(ID);
    }
}
