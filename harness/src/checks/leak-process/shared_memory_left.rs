//! # What it verifies
//!
//! When cleanup has ended, no shared memory, semaphore or message queue of System V stays that each job makes anew.
//!
//! # Why it matters
//!
//! It outlives every process: the memory is lost until the machine is started again, and the kernel allows only so
//! many.
//!
//! # How drivers break it
//!
//! They let a helper make it and end the helper with SIGKILL, so that nobody removes it.
//!
//! # Example of the fix
//!
//! Note what was made, and remove it in cleanup:
//!
//! ```text
//!     [ ! -s "$state/segment" ] || ipcrm -m "$(cat "$state/segment")"
//! ```
//!
//! # Clause
//!
//! Must: F6.

use crate::checks::Deviation;
use crate::checks::leftovers::left_after_cleanup_where;
use crate::leaks::is_distant_process;
use crate::plan::case::Case;
use crate::trace::{Leak, LeakCategory, Trace};

/// Looks at one case.
pub(crate) fn examine(_case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let (message, expected) = (
        "left shared memory behind",
        "no shared memory, semaphore or queue of a job",
    );
    let wanted = |leak: &Leak| leak.category == LeakCategory::Process && !is_distant_process(leak);
    left_after_cleanup_where(trace, wanted, message, expected)
}

#[cfg(test)]
mod tests {
    use crate::checks::leftovers::tests::scene;
    use crate::checks::testing::Scene;
    use crate::contract::stage::Program;
    use crate::trace::{Evidence, LeakCategory};

    const ID: &str = "leak-process/shared-memory-left";

    #[test]
    fn what_is_left_for_a_job_is_found() {
        let left = [(Some(0), "thing", Evidence::NamesJob(0))];
        scene(LeakCategory::Process, &left).expect(ID, 1);
    }

    #[test]
    fn nothing_and_what_serves_all_jobs_are_fine() {
        scene(LeakCategory::Process, &[]).expect_clean(ID);
        let once = [(Some(0), "thing", Evidence::InsideCase)];
        scene(LeakCategory::Process, &once).expect_clean(ID);
    }

    #[test]
    fn without_a_cleanup_it_says_nothing() {
        Scene::new().call(Program::Prepare, 0).expect_silent(ID);
    }
}
