//! # What it verifies
//!
//! The environment offers git, git-lfs and gitlab-runner, as far as the machine of the runner has them.
//!
//! # Why it matters
//!
//! Sources cannot be fetched without git; without gitlab-runner, caches and artifacts are passed over with a warning
//! that nobody reads.
//!
//! # How drivers break it
//!
//! They make an environment, or a PATH for it, that holds the tools of the build and not those of the runner.
//!
//! # Example of the fix
//!
//! Install them in the image, or pass the PATH of the machine on.
//!
//! ```text
//!     apt-get install --yes git git-lfs gitlab-runner
//! ```
//!
//! # Clause
//!
//! Should: E20.

use crate::checks::Deviation;
use crate::checks::evidence::{deviation, each, lone_scripts, prepared};
use crate::plan::case::Case;
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let looked = lone_scripts(case, trace).into_iter().filter(|run| {
        !run.probe.look_for.is_empty() && run.finished() && prepared(trace, run.index)
    });
    each(looked, |run| {
        let lacking: Vec<&str> = run
            .probe
            .look_for
            .iter()
            .filter(|tool| run.printed(&format!("lacks-{tool}")))
            .map(String::as_str)
            .collect();
        let message = "made an environment without tools that the scripts of jobs need";
        (!lacking.is_empty()).then(|| {
            let actual = format!("not found: {}", lacking.join(", "));
            let expected = ["the tools, in the PATH of the scripts"];
            deviation(trace, run.index, message, &expected, actual)
        })
    })
}

#[cfg(test)]
mod tests {
    use crate::checks::testing::Scene;
    use crate::plan::case::Probe;

    const ID: &str = "environment/offers-tools";

    fn looking() -> Probe {
        Probe {
            look_for: vec!["git".into(), "git-lfs".into()],
            ..Probe::default()
        }
    }

    #[test]
    fn a_missing_tool_is_found() {
        Scene::new()
            .run("build_script", looking(), 0)
            .printing("NONCE:start\nNONCE:lacks-git\nNONCE:end\n")
            .expect(ID, 1);
    }

    #[test]
    fn all_there_is_fine() {
        Scene::new()
            .run("build_script", looking(), 0)
            .expect_clean(ID);
    }

    #[test]
    fn a_script_that_did_not_look_says_nothing() {
        Scene::new()
            .run("build_script", Probe::default(), 0)
            .expect_silent(ID);
    }
}
