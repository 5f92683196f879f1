//! # What it verifies
//!
//! When cleanup has ended, the commands that list the objects of the backend (`[[list]]`, `--list`) show none that one
//! job has made.
//!
//! # Why it matters
//!
//! Containers, machines, volumes and networks that nobody removes cost money and disk space, and block names.
//!
//! # How drivers break it
//!
//! Cleanup stops at an error before it comes to them, or they have no name from which it could find them.
//!
//! # Example of the fix
//!
//! Name everything after the job, and remove by that name, whatever is there:
//!
//! ```text
//!     backend delete --ignore-missing "$name"
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
        "left an object of the backend behind",
        "no object of a job in the lists",
    );
    left_after_cleanup(trace, LeakCategory::Backend, message, expected)
}

#[cfg(test)]
mod tests {
    use crate::checks::leftovers::tests::scene;
    use crate::checks::testing::Scene;
    use crate::contract::stage::Program;
    use crate::trace::{Evidence, LeakCategory};

    const ID: &str = "leak-backend/left-after-cleanup";

    #[test]
    fn what_is_left_for_a_job_is_found() {
        let left = [(Some(0), "thing", Evidence::NamesJob(0))];
        scene(LeakCategory::Backend, &left).expect(ID, 1);
    }

    #[test]
    fn nothing_and_what_serves_all_jobs_are_fine() {
        scene(LeakCategory::Backend, &[]).expect_clean(ID);
        let once = [(Some(0), "thing", Evidence::InsideCase)];
        scene(LeakCategory::Backend, &once).expect_clean(ID);
    }

    #[test]
    fn without_a_cleanup_it_says_nothing() {
        Scene::new().call(Program::Prepare, 0).expect_silent(ID);
    }
}
