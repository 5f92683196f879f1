//! # What it verifies
//!
//! Scripts can make the project directory inside the environment, in the `builds_dir` that config or the runner's
//! settings name.
//!
//! # Why it matters
//!
//! No job can fetch its sources.
//!
//! # How drivers break it
//!
//! They name a directory that is there on the machine of the runner and not inside the environment, or that belongs to
//! another user than the one who runs the scripts.
//!
//! # Example of the fix
//!
//! Make the directory in prepare, for the user of the scripts:
//!
//! ```text
//!     box exec "$name" install -d -o builder /builds /cache
//! ```
//!
//! # Clause
//!
//! Must: E18.

use crate::checks::Deviation;
use crate::checks::evidence::{config_objects, deviation, each, lone_scripts, prepared};
use crate::plan::case::Case;
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let chosen = config_objects(trace)
        .iter()
        .flat_map(|(_, object)| object)
        .any(|(key, value)| {
            key.eq_ignore_ascii_case("builds_dir")
                && value.as_str().is_some_and(|value| !value.is_empty())
        });
    // Where the harness itself has put the directory, an environment far away need not have it.
    let set = |job: usize| {
        let job = case.jobs.get(job);
        chosen || job.is_some_and(|job| !job.runner.builds_dir.is_empty())
    };
    let asked = lone_scripts(case, trace).into_iter().filter(|run| {
        run.probe.remember.is_some()
            && run.started()
            && run.finished()
            && set(run.call.job)
            && prepared(trace, run.index)
    });
    each(asked, |run| {
        let message = "ran a script that could not write into the project directory";
        let expected = ["a `builds_dir` that scripts can write into"];
        (!run.printed("remembered")).then(|| {
            let actual = "no directory could be made there".to_owned();
            deviation(trace, run.index, message, &expected, actual)
        })
    })
}

#[cfg(test)]
mod tests {
    use crate::checks::testing::Scene;
    use crate::plan::case::Probe;

    const ID: &str = "environment/project-dir-writable";

    fn scene(printed: &str) -> Scene {
        let probe = Probe {
            remember: Some(("memory".into(), "fig".into())),
            ..Probe::default()
        };
        Scene::new().run("get_sources", probe, 0).printing(printed)
    }

    #[test]
    fn a_word_that_could_be_written_is_fine() {
        scene("NONCE:start\nNONCE:remembered\nNONCE:end\n").expect_clean(ID);
    }

    #[test]
    fn a_word_that_could_not_is_found() {
        scene("NONCE:start\nNONCE:end\n").expect(ID, 1);
    }

    #[test]
    fn a_directory_of_the_harness_says_nothing() {
        let mut scene = scene("NONCE:start\nNONCE:end\n");
        scene.case.jobs[0].runner.builds_dir.clear();
        scene.expect_silent(ID);
    }
}
