//! # What it verifies
//!
//! When a stage comes again with another script, the new script runs, once, and no earlier one, and its own result is told.
//!
//! # Why it matters
//!
//! The runner repeats stages, and stages of the same name differ. An old script that runs again fetches the wrong
//! commit, or publishes twice; an old result ends a retry that had succeeded.
//!
//! # How drivers break it
//!
//! They copy the script into the environment under the name of the stage and keep a copy that is already there; or
//! they append to it. Or they wait for a file with the result, and the one of the earlier call is still there.
//!
//! # Example of the fix
//!
//! Overwrite, or copy nothing at all, and remove an old result before the script is started:
//!
//! ```text
//!     rm -f "$box/result"
//!     box exec "$name" bash -s < "$script"
//! ```
//!
//! # Clause
//!
//! Must: E21, E6.

use crate::checks::Deviation;
use crate::checks::evidence::{
    ScriptRun, deviation, each, ending, exit_code, exit_codes, lone_scripts, ran_earlier_script,
};
use crate::plan::case::Case;
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let relevant = lone_scripts(case, trace)
        .into_iter()
        .filter(|run| run.call.nth > 1);
    each(relevant, |run| {
        if told_earlier_result(case, trace, &run) {
            let message = "reported the result of an earlier call of the stage";
            let expected = match run.script_code() {
                Some(0) => "exit status 0, as its own script",
                _ => "the failure of its own script",
            };
            return Some(deviation(
                trace,
                run.index,
                message,
                &[expected],
                ending(run.call),
            ));
        }
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

/// The script ran to its end, and what was reported is right for the script of the call before, but not for this one. A driver
/// that always says the same has another defect: this one was seen to tell the two apart.
fn told_earlier_result(case: &Case, trace: &Trace, run: &ScriptRun<'_>) -> bool {
    let told = |run: &ScriptRun<'_>| {
        let (build_failure, _) = exit_codes(case, run.call)?;
        match exit_code(run.call)? {
            0 => Some(true),
            code if code == build_failure => Some(false),
            _ => None,
        }
    };
    let right = |run: &ScriptRun<'_>| run.script_code().map(|code| code == 0);
    let Some(success) = told(run).filter(|_| run.finished()) else {
        return false;
    };
    let scripts = lone_scripts(case, trace);
    let earlier = || {
        let same_job = scripts
            .iter()
            .filter(|other| other.call.job == run.call.job);
        same_job.filter(|other| other.index < run.index)
    };
    let before = earlier().rfind(|other| other.call.stage == run.call.stage);
    let can_tell =
        earlier().any(|other| right(other) == Some(!success) && told(other) == right(other));
    right(run) == Some(!success)
        && before.is_some_and(|before| right(before) == Some(success))
        && can_tell
}

#[cfg(test)]
mod tests {
    use crate::checks::testing::{BUILD_FAILURE, Scene, exits};

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

    #[test]
    fn the_result_of_the_call_before_is_found() {
        let scene = |codes: [i32; 3]| {
            Scene::new()
                .run("prepare_script", exits(0), codes[0])
                .run("get_sources", exits(3), codes[1])
                .run("get_sources", exits(0), codes[2])
        };
        scene([0, BUILD_FAILURE, BUILD_FAILURE]).expect(ID, 1);
        scene([0, BUILD_FAILURE, 0]).expect_clean(ID);
        // It always fails, which is no matter of earlier calls.
        scene([BUILD_FAILURE, BUILD_FAILURE, BUILD_FAILURE]).expect_clean(ID);
    }
}
