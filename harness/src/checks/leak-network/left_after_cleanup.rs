//! # What it verifies
//!
//! When cleanup has ended, no network namespace, network link or listening Unix socket stays that belongs to one job
//! alone.
//!
//! # Why it matters
//!
//! Names collide with those of later jobs, addresses stay taken, and the kernel gets slower with each link.
//!
//! # How drivers break it
//!
//! They delete the machine of a job and take it for granted that its tap, bridge or namespace goes with it.
//!
//! # Example of the fix
//!
//! Derive the names from the job, and delete them all in cleanup, also if some are gone already:
//!
//! ```text
//!     ip link delete "tap$id" 2>/dev/null || :
//!     ip netns delete "$name" 2>/dev/null || :
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
        "left a part of a network behind",
        "no namespace, link or socket for one job alone",
    );
    left_after_cleanup(trace, LeakCategory::Network, message, expected)
}

#[cfg(test)]
mod tests {
    use crate::checks::leftovers::tests::scene;
    use crate::checks::testing::Scene;
    use crate::contract::stage::Program;
    use crate::trace::{Evidence, LeakCategory};

    const ID: &str = "leak-network/left-after-cleanup";

    #[test]
    fn what_is_left_for_a_job_is_found() {
        let left = [(Some(0), "thing", Evidence::NamesJob(0))];
        scene(LeakCategory::Network, &left).expect(ID, 1);
    }

    #[test]
    fn nothing_and_what_serves_all_jobs_are_fine() {
        scene(LeakCategory::Network, &[]).expect_clean(ID);
        let once = [(Some(0), "thing", Evidence::InsideCase)];
        scene(LeakCategory::Network, &once).expect_clean(ID);
    }

    #[test]
    fn without_a_cleanup_it_says_nothing() {
        Scene::new().call(Program::Prepare, 0).expect_silent(ID);
    }
}
