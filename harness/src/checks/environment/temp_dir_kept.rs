//! # What it verifies
//!
//! config, prepare and run leave TMPDIR in place: it is the runner's, and the working directory of the calls that
//! follow.
//!
//! # Why it matters
//!
//! Without it, no program of the driver can be started any more, cleanup included, so that the job fails and everything
//! it has made is left.
//!
//! # How drivers break it
//!
//! They remove TMPDIR, or whatever their working directory is, when they tidy up after themselves.
//!
//! # Example of the fix
//!
//! Make a directory of your own inside, and remove that:
//!
//! ```text
//!     work=$(mktemp -d "$TMPDIR/work.XXXXXX")
//!     trap 'rm -rf "$work"' EXIT
//! ```
//!
//! # Clause
//!
//! Must: F4, B4.

use crate::checks::Deviation;
use crate::checks::evidence::{calls, deviation, each};
use crate::contract::stage::Program;
use crate::plan::case::Case;
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(_case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    // After cleanup the runner removes the directory itself.
    let relevant = calls(trace)
        .filter(|(_, call)| call.program != Program::Cleanup && call.start_failure.is_none());
    each(relevant, |(index, call)| {
        let message = "removed TMPDIR, which the later calls of the job need";
        let actual = format!("{} is gone", call.temp_dir.display());
        call.temp_dir_lost
            .then(|| deviation(trace, index, message, &["TMPDIR as it was"], actual))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::checks::testing::Scene;

    const ID: &str = "environment/temp-dir-kept";

    #[test]
    fn the_call_that_removed_it_is_found() {
        Scene::new()
            .call(Program::Prepare, 0)
            .but(|call| call.temp_dir_lost = true)
            .call(Program::Cleanup, 0)
            .expect(ID, 1);
    }

    #[test]
    fn cleanup_may_remove_it() {
        Scene::new()
            .call(Program::Prepare, 0)
            .call(Program::Cleanup, 0)
            .but(|call| call.temp_dir_lost = true)
            .expect_clean(ID);
    }
}
