//! # What it verifies
//!
//! After cleanup, no file stays that belongs to one job alone, outside of the directories for builds and caches.
//!
//! # Why it matters
//!
//! What each job leaves fills the disk, and may hold secrets of the job for the next one to read.
//!
//! # How drivers break it
//!
//! They keep state or scripts under a name made for the job and forget them, or cleanup stops at an error before it
//! comes to them.
//!
//! # Example of the fix
//!
//! Keep all that belongs to a job in one directory, and remove it last:
//!
//! ```text
//!     rm -rf "${state:?}/$name"
//! ```
//!
//! # Clause
//!
//! Must: F6, E13, E3.

use crate::checks::evidence::{calls, cleaned_up_after, events_of, killed_outright, names_number};
use crate::checks::{Deviation, leftovers};
use crate::contract::stage::Program;
use crate::plan::case::Case;
use crate::trace::{CallIndex, CallRecord, LeakCategory, Trace};

use std::path::Path;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let cleaned: Vec<CallIndex> = calls(trace)
        .filter(|(index, call)| cleaned_up_after(trace, *index) && !killed_outright(call))
        .map(|(index, _)| index)
        .collect();
    if cleaned.is_empty() {
        return None;
    }
    let private = trace
        .left_files
        .iter()
        .filter_map(|file| Some((file.made_by?, file.path.as_path())))
        .filter(|(index, path)| of_one_job(case, trace, *index, path) || grows(trace, *index))
        .filter(|(index, path)| cleaned.contains(index) && !for_keeps(case, trace, *index, path))
        .map(|(index, path)| (Some(index), path));
    // In places that others use as well, only what names the job is known to be its own.
    let shared = leftovers::of_one_job(trace, |leak| leak.category == LeakCategory::File)
        .map(|leak| (leak.made_by, Path::new(&leak.what)))
        .filter(|(index, path)| !for_keeps(case, trace, index.unwrap_or(CallIndex(0)), path));
    let left: Vec<(Option<CallIndex>, &Path)> = private.chain(shared).collect();
    let mut makers: Vec<Option<CallIndex>> = left.iter().map(|(index, _)| *index).collect();
    makers.sort();
    makers.dedup();
    let found = makers.into_iter().map(|index| {
        let paths: Vec<String> = left
            .iter()
            .filter(|(maker, _)| *maker == index)
            .map(|(_, path)| path.display().to_string())
            .collect();
        Deviation {
            call: index,
            message: "left files of a job behind".to_owned(),
            expected: vec!["nothing that belongs to one job alone".to_owned()],
            actual: paths.join(", ") + elsewhere(trace, index),
            evidence: index.map_or((0, trace.events.len().saturating_sub(1)), |index| {
                events_of(trace, index)
            }),
            inconclusive: false,
            by_time: false,
        }
    });
    Some(found.collect())
}

/// What explains why cleanup did not find what a call made, if the case has seen to that.
fn elsewhere(trace: &Trace, maker: Option<CallIndex>) -> &'static str {
    let Some(maker) = maker.map(|index| &trace.calls[index.0]) else {
        return "";
    };
    let mut cleanups =
        calls(trace).filter(|(_, call)| call.program == Program::Cleanup && call.job == maker.job);
    if cleanups.all(|(_, call)| call.temp_dir != maker.temp_dir) {
        " (cleanup had another TMPDIR than this call, as after a restart of the runner)"
    } else {
        ""
    }
}

/// A place where things may stay from job to job: builds and caches, as set or as the driver chose, and logs.
fn for_keeps(case: &Case, trace: &Trace, index: CallIndex, path: &Path) -> bool {
    let call = &trace.calls[index.0];
    let set = case.jobs.get(call.job).map(|job| &job.runner);
    let set = set
        .into_iter()
        .flat_map(|runner| [runner.builds_dir.as_str(), runner.cache_dir.as_str()]);
    let chosen = trace
        .calls
        .iter()
        .flat_map(|call| &call.environment)
        .filter_map(|(name, value)| {
            matches!(
                name.as_str(),
                "CUSTOM_ENV_CI_BUILDS_DIR" | "CUSTOM_ENV_CI_PROJECT_DIR"
            )
            .then_some(value.as_str())
        });
    let kept = set
        .chain(chosen)
        .any(|directory| !directory.is_empty() && path.starts_with(directory));
    let log = path.extension().is_some_and(|extension| extension == "log")
        || path.iter().any(|part| part == "log" || part == "logs");
    kept || log
}

/// The path holds the id of the job as a number of its own.
fn of_one_job(case: &Case, trace: &Trace, index: CallIndex, path: &Path) -> bool {
    let Some(job) = case.jobs.get(trace.calls[index.0].job) else {
        return false;
    };
    names_number(&path.to_string_lossy(), job.job_id)
}

/// A job that was cleaned up before the one that made this file began has left files too: the second job of a kind finds
/// caches and directories in place, so what it adds grows with every job. Of jobs that are alive together, each may be the
/// first to need something that is kept for all.
fn grows(trace: &Trace, index: CallIndex) -> bool {
    let job = trace.calls[index.0].job;
    let begun = calls(trace).find(|(_, call)| call.job == job);
    let begun = begun.map_or(index, |(first, _)| first);
    trace
        .left_files
        .iter()
        .filter_map(|file| file.made_by)
        .any(|maker| {
            let cleaned_up = |(at, call): (CallIndex, &CallRecord)| {
                let same_job = call.job == trace.calls[maker.0].job;
                same_job && call.program == Program::Cleanup && maker < at && at < begun
            };
            cleaned_up_after(trace, maker) && calls(trace).any(cleaned_up)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    use crate::checks::testing::Scene;
    use crate::contract::stage::Program;
    use crate::plan::case::JobOrder;
    use crate::trace::{Evidence, Leak, LeftFile};

    const ID: &str = "leak-file/left-after-cleanup";

    fn scene(files: &[(usize, &str)]) -> Scene {
        let mut scene = Scene::with_jobs(&[12, 123], JobOrder::Sequential)
            .call(Program::Prepare, 0)
            .call(Program::Cleanup, 0)
            .call_of(1, Program::Prepare, 0)
            .call_of(1, Program::Cleanup, 0);
        for (call, path) in files {
            scene.trace.left_files.push(LeftFile {
                path: PathBuf::from(path),
                mode: 0o600,
                made_by: Some(CallIndex(*call)),
            });
        }
        scene
    }

    #[test]
    fn nothing_left_is_fine() {
        scene(&[]).expect_clean(ID);
    }

    #[test]
    fn a_file_named_for_the_job_is_found() {
        scene(&[(0, "/tmp/box-12/script"), (0, "/tmp/box-12/env")]).expect(ID, 1);
        scene(&[(0, "/tmp/box-112/a12b/script")]).expect_clean(ID);
    }

    #[test]
    fn another_temporary_directory_is_told() {
        let mut scene = scene(&[(0, "/tmp/box-12/script")]);
        let actual = |scene: &Scene| scene.findings(ID).expect("judged")[0].actual.clone();
        assert!(!actual(&scene).contains("TMPDIR"));
        scene.trace.calls[1].temp_dir = PathBuf::from("/data/tmp/custom-executor2");
        assert!(actual(&scene).contains("another TMPDIR"));
    }

    #[test]
    fn a_file_in_a_shared_place_is_found() {
        let mut scene = scene(&[]);
        scene.trace.leaks.push(Leak {
            detector: "shared-files",
            category: LeakCategory::File,
            kind: "file",
            what: "/var/lib/boxes/vm12.img".to_owned(),
            identity: "/var/lib/boxes/vm12.img".to_owned(),
            made_by: Some(CallIndex(0)),
            evidence: Some(Evidence::NamesJob(0)),
        });
        scene.expect(ID, 1);
        scene.trace.leaks[0].what = "/var/lib/boxes/vm12.log".to_owned();
        scene.expect_clean(ID);
    }

    #[test]
    fn what_grows_with_each_job_is_found() {
        scene(&[(0, "/tmp/tmp.aaaa"), (2, "/tmp/tmp.bbbb")]).expect(ID, 1);
    }

    #[test]
    fn what_stays_the_same_is_fine() {
        scene(&[(0, "/home/ci/.cache/image")]).expect_clean(ID);
        scene(&[(0, "/data/builds/12/file"), (0, "/var/log/box/12")]).expect_clean(ID);
    }

    /// Each of two jobs that are alive together is the first to need something: the place of all boxes, and the list of them.
    #[test]
    fn what_jobs_that_meet_make_for_all_is_fine() {
        let mut scene = Scene::with_jobs(&[12, 123], JobOrder::Turns)
            .call_of(1, Program::Prepare, 0)
            .call(Program::Prepare, 0)
            .call(Program::Cleanup, 0)
            .call_of(1, Program::Cleanup, 0);
        for (call, path) in [(0, "/home/ci/boxes"), (1, "/home/ci/boxes/list")] {
            scene.trace.left_files.push(LeftFile {
                path: PathBuf::from(path),
                mode: 0o600,
                made_by: Some(CallIndex(call)),
            });
        }
        scene.expect_clean(ID);
    }
}
