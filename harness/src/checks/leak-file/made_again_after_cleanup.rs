//! # What it verifies
//!
//! A run call that comes after cleanup makes nothing that belongs to the job again.
//!
//! # Why it matters
//!
//! When the runner gives up on a run call that does not end, cleanup begins while it is alive. What the call makes
//! after that is never removed by anybody.
//!
//! # How drivers break it
//!
//! They make whatever they miss: the directory for the script, a stopped box, the whole environment.
//!
//! # Example of the fix
//!
//! Let prepare alone make things, and take what is missing for the driver's own trouble:
//!
//! ```text
//!     [ -e "$box/ready" ] || exit "$SYSTEM_FAILURE_EXIT_CODE"
//! ```
//!
//! # Clause
//!
//! Should: F6, H7.

use crate::checks::Deviation;
use crate::checks::evidence::{
    calls, deviation, each, earlier, exit_code, in_builds_or_cache, names_number, overlapping,
    undisturbed,
};
use crate::contract::stage::Program;
use crate::plan::case::Case;
use crate::trace::{CallIndex, LeakCategory, Trace};

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    if overlapping(case) {
        return None;
    }
    let late = calls(trace).filter(|(index, call)| {
        call.program == Program::Run && undisturbed(trace, *index) && is_last(trace, *index)
    });
    let late = late.filter(|(index, _)| cleaned_up_before(trace, *index));
    each(late, |(index, call)| {
        let id = case.jobs.get(call.job)?.job_id;
        let made: Vec<String> = trace
            .left_files
            .iter()
            .filter(|file| file.made_by == Some(index))
            .filter(|file| names_number(&file.path.to_string_lossy(), id))
            .filter(|file| !in_builds_or_cache(case, trace, &file.path))
            .map(|file| file.path.display().to_string())
            .chain(of_backend(trace, index))
            .collect();
        let message = "made again what cleanup had removed";
        let expected = ["nothing that belongs to one job alone"];
        (!made.is_empty()).then(|| deviation(trace, index, message, &expected, made.join(", ")))
    })
}

/// What the call made in a mock backend and what is there at the end.
fn of_backend(trace: &Trace, index: CallIndex) -> impl Iterator<Item = String> {
    let left = trace.leaks.iter();
    left.filter(move |leak| leak.category == LeakCategory::Backend && leak.made_by == Some(index))
        .map(|leak| leak.what.clone())
}

/// No later call could have removed what this one made.
fn is_last(trace: &Trace, index: CallIndex) -> bool {
    let job = trace.calls[index.0].job;
    calls(trace)
        .skip(index.0 + 1)
        .all(|(_, call)| call.job != job)
}

/// There was a prepare, and a cleanup after it that succeeded.
fn cleaned_up_before(trace: &Trace, index: CallIndex) -> bool {
    let last = earlier(trace, index)
        .rev()
        .find(|(_, call)| matches!(call.program, Program::Prepare | Program::Cleanup));
    let prepared = earlier(trace, index).any(|(_, call)| call.program == Program::Prepare);
    prepared
        && last
            .is_some_and(|(_, call)| call.program == Program::Cleanup && exit_code(call) == Some(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    use crate::checks::testing::{SYSTEM_FAILURE, Scene, exits};
    use crate::trace::{Evidence, Leak, LeftFile};

    const ID: &str = "leak-file/made-again-after-cleanup";

    fn scene(path: &str) -> Scene {
        let mut scene = Scene::new()
            .call(Program::Prepare, 0)
            .call(Program::Cleanup, 0)
            .run("build_script", exits(0), SYSTEM_FAILURE);
        scene.trace.left_files.push(LeftFile {
            path: PathBuf::from(path),
            mode: 0o040_755,
            made_by: Some(CallIndex(2)),
        });
        scene
    }

    #[test]
    fn what_a_late_call_makes_is_found() {
        scene("/home/ci/boxes/job-12/script").expect(ID, 1);
    }

    #[test]
    fn so_is_what_it_makes_in_a_backend() {
        let made_by = |call| {
            let mut scene = scene("/home/ci/boxes/log");
            scene.trace.leaks.push(Leak {
                detector: "mock-backend",
                category: LeakCategory::Backend,
                kind: "box",
                what: "box a3f9".into(),
                identity: "a3f9".into(),
                made_by: Some(CallIndex(call)),
                evidence: Some(Evidence::Maker(CallIndex(call))),
            });
            scene
        };
        made_by(2).expect(ID, 1);
        made_by(0).expect_clean(ID);
    }

    #[test]
    fn what_belongs_to_no_job_and_builds_are_fine() {
        scene("/home/ci/boxes/log").expect_clean(ID);
        scene("/data/builds/12/file").expect_clean(ID);
    }

    #[test]
    fn what_a_cleanup_may_have_missed_is_another_matter() {
        scene("/home/ci/boxes/job-12/script")
            .call(Program::Cleanup, 0)
            .expect_silent(ID);
    }
}
