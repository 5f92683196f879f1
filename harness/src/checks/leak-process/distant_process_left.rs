//! # What it verifies
//!
//! When cleanup has ended, no process is alive that another program started for the job: a virtual machine, a container,
//! a service, as far as its command line names the job.
//!
//! # Why it matters
//!
//! The machine or container of each job stays and costs memory, money and licences, and nobody knows whose it is.
//!
//! # How drivers break it
//!
//! They have a service of the machine start what the job needs, and cleanup ends only what it started itself, or asks for
//! the end and does not wait for it.
//!
//! # Example of the fix
//!
//! End the machine by the name that prepare gave it, and wait until it is gone:
//!
//! ```text
//!     virsh destroy "$name" || :
//!     virsh undefine "$name"
//! ```
//!
//! # Clause
//!
//! Must: F6.

use crate::checks::Deviation;
use crate::checks::leftovers::left_after_cleanup_where;
use crate::leaks::is_distant_process;
use crate::plan::case::Case;
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(_case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let (message, expected) = (
        "had a process started that is still alive after cleanup",
        "no process for one job alone",
    );
    left_after_cleanup_where(trace, is_distant_process, message, expected)
}

#[cfg(test)]
mod tests {
    use crate::checks::leftovers::tests::scene;
    use crate::checks::testing::Scene;
    use crate::contract::stage::Program;
    use crate::trace::{Evidence, LeakCategory};

    const ID: &str = "leak-process/distant-process-left";

    #[test]
    fn what_is_left_for_a_job_is_found() {
        let left = [(Some(0), "thing", Evidence::NamesJob(0))];
        let mut scene = scene(LeakCategory::Process, &left);
        scene.trace.leaks[0].detector = "distant-processes";
        scene.expect(ID, 1);
    }

    #[test]
    fn nothing_and_what_is_no_process_are_fine() {
        scene(LeakCategory::Process, &[]).expect_clean(ID);
        let left = [(Some(0), "thing", Evidence::NamesJob(0))];
        scene(LeakCategory::Process, &left).expect_clean(ID);
    }

    #[test]
    fn without_a_cleanup_it_says_nothing() {
        Scene::new().call(Program::Prepare, 0).expect_silent(ID);
    }
}
