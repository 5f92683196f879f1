//! # What it verifies
//!
//! A call of run or config that is ended by SIGTERM before its work is done does not exit with 0.
//!
//! # Why it matters
//!
//! The runner takes 0 for success: a job that was cancelled or ran out of time passes for a good one, and of config it
//! uses what was printed so far.
//!
//! # How drivers break it
//!
//! Their trap for SIGTERM ends with a plain exit, or the last command of it succeeds.
//!
//! # Example of the fix
//!
//! Exit with the code for the driver's own trouble:
//!
//! ```text
//!     trap 'kill_work; exit "$SYSTEM_FAILURE_EXIT_CODE"' TERM
//! ```
//!
//! # Clause
//!
//! Must: H4, C12, H10.

use crate::checks::Deviation;
use crate::checks::evidence::{
    calls, config_document, config_objects, deviation, each, ending, exit_code, hangs, printed,
    terminated,
};
use crate::contract::stage::Program;
use crate::plan::case::Case;
use crate::trace::{CallRecord, Trace};

/// Looks at one case.
pub(crate) fn examine(_: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let ended = calls(trace).filter(|(_, call)| {
        terminated(call)
            && match call.program {
                Program::Run => hangs(call) && began(call),
                Program::Config => true,
                Program::Prepare | Program::Cleanup => false,
            }
    });
    each(ended, |(index, call)| {
        if exit_code(call) != Some(0) {
            return None;
        }
        let message = match call.program {
            Program::Run => "reported success for a script that was ended before its end",
            _ if unfinished(trace, call) => {
                "reported success when it was ended before it had printed what it has to say"
            }
            _ => return None,
        };
        let expected = ["exit status of SYSTEM_FAILURE_EXIT_CODE"];
        Some(deviation(trace, index, message, &expected, ending(call)))
    })
}

fn began(call: &CallRecord) -> bool {
    let nonce = call.nonce.as_deref().unwrap_or_default();
    printed(call, nonce, "start")
}

/// config printed nothing, and undisturbed it prints something. What cannot be read at all fails the attempt anyway.
fn unfinished(trace: &Trace, call: &CallRecord) -> bool {
    let usual = config_objects(trace);
    let usual = usual.iter().any(|(_, object)| !object.is_empty());
    usual && config_document(call) == Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::checks::testing::{SYSTEM_FAILURE, Scene, capture, hangs};

    const ID: &str = "exit-code/terminated-work-not-success";

    #[test]
    fn a_script_that_was_ended_is_no_success() {
        Scene::new()
            .run("build_script", hangs(), 0)
            .terminated()
            .expect(ID, 1);
        Scene::new()
            .run("build_script", hangs(), SYSTEM_FAILURE)
            .terminated()
            .expect_clean(ID);
    }

    #[test]
    fn a_script_that_never_began_and_one_that_was_not_ended_say_nothing() {
        Scene::new()
            .run("build_script", hangs(), 0)
            .terminated()
            .printing("")
            .expect_silent(ID);
        Scene::new()
            .run("build_script", hangs(), 0)
            .expect_silent(ID);
    }

    #[test]
    fn a_config_that_says_less_than_usual_is_no_success() {
        let usual = || {
            Scene::new()
                .call(Program::Config, 0)
                .but(|call| call.stdout = capture(br#"{"builds_dir": "/b"}"#))
                .call(Program::Config, 0)
                .terminated()
        };
        usual().expect(ID, 1);
        usual()
            .but(|call| call.stdout = capture(br#"{"builds_dir": "/b"}"#))
            .expect_clean(ID);
        Scene::new()
            .call(Program::Config, 0)
            .terminated()
            .expect_clean(ID);
    }
}
