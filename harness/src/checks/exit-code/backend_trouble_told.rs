//! # What it verifies
//!
//! When the backend fails at a request, the call does not report success for what was not done, and does not blame the user.
//!
//! # Why it matters
//!
//! The runner tries again, and operators are called, only for a system failure. A green job whose script never ran is
//! deployed; a red one that blames the user is looked into by the wrong people.
//!
//! # How drivers break it
//!
//! They do not look at the result of a request, hide it with `|| true`, or end with the code of whatever command failed.
//!
//! # Example of the fix
//!
//! Check each request, and report everything unexpected as trouble of your own:
//!
//! ```text
//!     trap 'exit "$SYSTEM_FAILURE_EXIT_CODE"' ERR
//!     podman run --detach --name "$name" "$image" sleep infinity || exit "$SYSTEM_FAILURE_EXIT_CODE"
//! ```
//!
//! # Clause
//!
//! Must: G8, D2.

use crate::checks::Deviation;
use crate::checks::evidence::{
    backend_failed, calls, deviation, each, ending, exit_code, exit_codes, printed, undisturbed,
};
use crate::contract::stage::Program;
use crate::faults::{ends_driver, meets_script};
use crate::plan::case::Case;
use crate::trace::{CallIndex, CallRecord, Trace};

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let fault = case.surroundings.backend_fault?;
    if ends_driver(fault.kind) {
        return None;
    }
    let met = calls(trace)
        .filter(|(index, call)| call.program != Program::Cleanup && backend_failed(trace, *index));
    each(met, |(index, call)| {
        let (build_failure, system_failure) = exit_codes(case, call)?;
        let code = exit_code(call)?;
        let message = if code == build_failure && !is_the_scripts(fault.kind, call) {
            "blamed the user for a failure of the backend"
        } else if code == 0 && was_not_done(trace, index, call) {
            "reported success although the backend had failed and the work was not done"
        } else {
            return None;
        };
        let expected = format!("exit status {system_failure} (SYSTEM_FAILURE_EXIT_CODE)");
        let mut found = deviation(trace, index, message, &[&expected], ending(call));
        found.actual = format!("{}, after {}", found.actual, fault.kind);
        Some(found)
    })
}

/// The script was run, and met the trouble itself.
fn is_the_scripts(kind: &str, call: &CallRecord) -> bool {
    let nonce = call.nonce.as_deref();
    meets_script(kind) && nonce.is_some_and(|nonce| printed(call, nonce, "start"))
}

/// The script was not run to its end; or no script runs in what was prepared.
fn was_not_done(trace: &Trace, index: CallIndex, call: &CallRecord) -> bool {
    let runs = |call: &CallRecord, word: &str| {
        let nonce = call.nonce.as_deref();
        nonce.is_none_or(|nonce| printed(call, nonce, word))
    };
    match call.program {
        Program::Run => !runs(call, "end"),
        Program::Prepare => {
            let mut later = calls(trace).skip(index.0 + 1);
            let next = later.find(|(_, later)| later.job == call.job);
            next.is_some_and(|(next, stage)| {
                stage.program == Program::Run && undisturbed(trace, next) && !runs(stage, "start")
            })
        }
        Program::Config | Program::Cleanup => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{BUILD_FAILURE, SYSTEM_FAILURE, Scene, exits};
    use crate::plan::case::BackendFault;
    use crate::trace::BackendRequest;

    const ID: &str = "exit-code/backend-trouble-told";

    fn struck(mut scene: Scene, call: usize, kind: &'static str) -> Scene {
        scene.case.surroundings.backend_fault = Some(BackendFault {
            call,
            nth: 1,
            lasts: false,
            kind,
        });
        scene.trace.requests.push(BackendRequest {
            call: Some(CallIndex(call)),
            tool: "podman".to_owned(),
            verb: "run".to_owned(),
            struck: true,
        });
        scene
    }

    #[test]
    fn the_blame_is_not_the_users() {
        let prepare = |code| Scene::new().call(Program::Prepare, code);
        struck(prepare(BUILD_FAILURE), 0, "reply-lost").expect(ID, 1);
        struck(prepare(SYSTEM_FAILURE), 0, "reply-lost").expect_clean(ID);
        struck(prepare(BUILD_FAILURE), 0, "kill-after").expect_silent(ID);
    }

    #[test]
    fn a_script_that_meets_it_fails_by_itself() {
        let run = |printed: &str, kind| {
            let scene = Scene::new().call(Program::Prepare, 0);
            let scene = scene.run("build_script", exits(0), BUILD_FAILURE);
            struck(scene.printing(printed), 1, kind)
        };
        run("NONCE:start\n", "disk-full").expect_clean(ID);
        run("", "disk-full").expect(ID, 1);
        run("NONCE:start\n", "slow").expect(ID, 1);
    }

    #[test]
    fn success_must_be_one() {
        let run = |printed: &str| {
            let scene = Scene::new().call(Program::Prepare, 0);
            let scene = scene.run("build_script", exits(0), 0).printing(printed);
            struck(scene, 1, "connection-refused")
        };
        run("NONCE:start\nNONCE:end\n").expect_clean(ID);
        run("").expect(ID, 1);
    }

    #[test]
    fn a_prepare_that_succeeds_has_prepared_something() {
        let prepared = |printed: &str, code| {
            let scene = Scene::new().call(Program::Prepare, 0);
            let scene = scene.run("get_sources", exits(0), code).printing(printed);
            struck(scene, 0, "error-before-effect")
        };
        prepared("NONCE:start\nNONCE:end\n", 0).expect_clean(ID);
        prepared("no box\n", SYSTEM_FAILURE).expect(ID, 1);
    }
}
