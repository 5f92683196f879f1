//! # What it verifies
//!
//! What a stage leaves in the project directory is there in the later stages of the job.
//!
//! # Why it matters
//!
//! The stages of a job share their files: without them the build script finds no sources, and the artifacts are
//! empty.
//!
//! # How drivers break it
//!
//! They run each stage in a fresh environment, or in one that is chosen anew and is another one after a retry.
//!
//! # Example of the fix
//!
//! Make the environment once, in prepare, and find it again by a name made from the ids of the job:
//!
//! ```text
//!     name="runner-$CUSTOM_ENV_CI_RUNNER_ID-project-$CUSTOM_ENV_CI_PROJECT_ID-job-$CUSTOM_ENV_CI_JOB_ID"
//! ```
//!
//! # Clause
//!
//! Must: E19, E15.

use crate::checks::Deviation;
use crate::checks::evidence::{deviation, each, earlier, lone_scripts, prepared, printed};
use crate::contract::stage::Program;
use crate::plan::case::Case;
use crate::trace::{CallIndex, Trace};

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let asked = lone_scripts(case, trace).into_iter().filter(|run| {
        let known = run
            .probe
            .recall
            .as_ref()
            .is_some_and(|(_, word)| remembered(trace, run.index, word));
        known && prepared(trace, run.index)
    });
    each(asked, |run| {
        let message = "ran a stage in an environment without the files of an earlier stage";
        let expected = ["the file that an earlier stage left in the project directory"];
        run.printed("forgotten").then(|| {
            deviation(
                trace,
                run.index,
                message,
                &expected,
                "no such file".to_owned(),
            )
        })
    })
}

/// An earlier stage in the same environment left the word.
fn remembered(trace: &Trace, index: CallIndex, word: &str) -> bool {
    earlier(trace, index)
        .rev()
        .take_while(|(_, call)| call.program == Program::Run)
        .any(|(_, call)| {
            let left = call
                .probe
                .as_ref()
                .and_then(|probe| probe.remember.as_ref());
            let nonce = call.nonce.as_deref().unwrap_or_default();
            left.is_some_and(|(_, left)| left == word) && printed(call, nonce, "remembered")
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Scene;
    use crate::plan::case::Probe;

    const ID: &str = "environment/state-persists";

    fn scene(left: &str, found: &str) -> Scene {
        let word = Some(("memory".to_owned(), "apple".to_owned()));
        Scene::new()
            .call(Program::Prepare, 0)
            .run(
                "get_sources",
                Probe {
                    remember: word.clone(),
                    ..Probe::default()
                },
                0,
            )
            .printing(&format!("NONCE:start\nNONCE:{left}\nNONCE:end\n"))
            .run(
                "build_script",
                Probe {
                    recall: word,
                    ..Probe::default()
                },
                0,
            )
            .printing(&format!("NONCE:start\nNONCE:{found}\nNONCE:end\n"))
    }

    #[test]
    fn a_recalled_word_is_fine() {
        scene("remembered", "recalled").expect_clean(ID);
    }

    #[test]
    fn a_forgotten_word_is_found() {
        scene("remembered", "forgotten").expect(ID, 1);
    }

    #[test]
    fn a_word_that_could_not_be_left_says_nothing() {
        scene("nothing", "forgotten").expect_silent(ID);
    }
}
