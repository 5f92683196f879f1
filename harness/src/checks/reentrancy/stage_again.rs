//! # What it verifies
//!
//! When a stage comes again with another script, the new script runs, once, and no earlier one.
//!
//! # Why it matters
//!
//! The runner repeats stages, and stages of the same name differ. An old script that runs again fetches the wrong
//! commit, or publishes twice.
//!
//! # How drivers break it
//!
//! They copy the script into the environment under the name of the stage and keep a copy that is already there; or
//! they append to it.
//!
//! # Example of the fix
//!
//! Overwrite, or copy nothing at all:
//!
//! ```text
//!     box exec "$name" bash -s < "$script"
//! ```
//!
//! # Clause
//!
//! Must: E21, E6.

use crate::checks::Deviation;
use crate::checks::evidence::{deviation, each, lone_scripts, ran_earlier_script};
use crate::plan::case::Case;
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let relevant = lone_scripts(case, trace)
        .into_iter()
        .filter(|run| run.call.nth > 1);
    each(relevant, |run| {
        let stale = ran_earlier_script(trace, run.index);
        let message = "ran the script of an earlier call again";
        let actual = if run.started() {
            "both scripts ran"
        } else {
            "only the earlier script ran"
        };
        stale.then(|| {
            deviation(
                trace,
                run.index,
                message,
                &["the script of this call, alone"],
                actual.to_owned(),
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use crate::checks::testing::{Scene, exits};

    const ID: &str = "reentrancy/stage-again";

    #[test]
    fn a_new_script_is_fine() {
        Scene::new()
            .run("get_sources", exits(0), 0)
            .run("get_sources", exits(0), 0)
            .expect_clean(ID);
    }

    #[test]
    fn an_old_script_is_found() {
        Scene::new()
            .run("get_sources", exits(0), 0)
            .run("get_sources", exits(0), 0)
            .but(|call| call.stdout.bytes = b"driver-conformance:nonce0:start\n".to_vec())
            .expect(ID, 1);
    }

    #[test]
    fn a_stage_that_comes_once_says_nothing() {
        Scene::new()
            .run("get_sources", exits(0), 0)
            .expect_silent(ID);
    }
}
