//! # What it verifies
//!
//! When cleanup has ended, nothing is mounted, and no loop device is set up, that belongs to one job alone.
//!
//! # Why it matters
//!
//! What each job leaves adds up: directories cannot be removed, disks stay busy, and loop devices run out.
//!
//! # How drivers break it
//!
//! They unmount with `umount … || true` while something still uses the mount, or they remove the image of a disk
//! and forget the loop device that holds it.
//!
//! # Example of the fix
//!
//! Unmount in the reverse order of mounting, lazily if need be, before the directory is removed:
//!
//! ```text
//!     ! mountpoint -q "$box/root" || umount -l "$box/root"
//!     losetup -j "$box/disk.img" -O NAME -n | xargs -r -n 1 losetup -d
//! ```
//!
//! # Clause
//!
//! Must: F6.

use crate::checks::Deviation;
use crate::checks::leftovers::left_after_cleanup;
use crate::plan::case::Case;
use crate::trace::{LeakCategory, Trace};

/// Looks at one case.
pub(crate) fn examine(_case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let (message, expected) = (
        "left something mounted, or a loop device set up",
        "nothing mounted and no loop device for one job alone",
    );
    left_after_cleanup(trace, LeakCategory::Mount, message, expected)
}

#[cfg(test)]
mod tests {
    use crate::checks::leftovers::tests::scene;
    use crate::checks::testing::Scene;
    use crate::contract::stage::Program;
    use crate::trace::{Evidence, LeakCategory};

    const ID: &str = "leak-mount/left-after-cleanup";

    #[test]
    fn what_is_left_for_a_job_is_found() {
        let left = [(Some(0), "thing", Evidence::NamesJob(0))];
        scene(LeakCategory::Mount, &left).expect(ID, 1);
    }

    #[test]
    fn nothing_and_what_serves_all_jobs_are_fine() {
        scene(LeakCategory::Mount, &[]).expect_clean(ID);
        let once = [(Some(0), "thing", Evidence::InsideCase)];
        scene(LeakCategory::Mount, &once).expect_clean(ID);
    }

    #[test]
    fn without_a_cleanup_it_says_nothing() {
        Scene::new().call(Program::Prepare, 0).expect_silent(ID);
    }
}
