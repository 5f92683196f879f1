//! # What it verifies
//!
//! config and prepare succeed for a plain job on a machine with nothing left over.
//!
//! # Why it matters
//!
//! Nothing else works without them. If this fails on the machine of the test and not in production, the machine
//! lacks something that the driver needs, and the other checks could not look.
//!
//! # How drivers break it
//!
//! They need an image, a variable or a value of a kind that not every job has: an image where the job names none, a
//! branch name without quotes.
//!
//! # Example of the fix
//!
//! Name defaults for what a job may lack:
//!
//! ```text
//!     image="${CUSTOM_ENV_CI_JOB_IMAGE:-$default_image}"
//! ```
//!
//! # Clause
//!
//! Must: D2, C1, B6, B9, B12.

use crate::checks::Deviation;
use crate::checks::evidence::{
    calls, deviation, each, earlier, ending, exit_code, overlapping, undisturbed,
};
use crate::contract::stage::Program;
use crate::plan::case::Case;
use crate::trace::{CallIndex, Trace};

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let relevant = calls(trace).filter(|(index, call)| {
        let first = match call.program {
            Program::Config => true,
            Program::Prepare => first_prepare(trace, *index),
            Program::Run | Program::Cleanup => false,
        };
        first && !overlapping(case) && undisturbed(trace, *index)
    });
    each(relevant, |(index, call)| {
        let message = "failed although nothing stood in its way";
        (exit_code(call) != Some(0))
            .then(|| deviation(trace, index, message, &["exit status 0"], ending(call)))
    })
}

/// Nothing can be left over from an earlier prepare of the case, and the config before it did not fail.
fn first_prepare(trace: &Trace, index: CallIndex) -> bool {
    let earlier_prepare = calls(trace)
        .take(index.0)
        .any(|(_, call)| call.program == Program::Prepare);
    let config = earlier(trace, index).rfind(|(_, call)| call.program == Program::Config);
    !earlier_prepare && config.is_none_or(|(_, call)| exit_code(call) == Some(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{SYSTEM_FAILURE, Scene};

    const ID: &str = "environment/prepare-succeeds";

    #[test]
    fn success_is_fine() {
        Scene::new()
            .call(Program::Config, 0)
            .call(Program::Prepare, 0)
            .expect_clean(ID);
    }

    #[test]
    fn a_failure_is_found_once() {
        Scene::new()
            .call(Program::Config, SYSTEM_FAILURE)
            .call(Program::Prepare, SYSTEM_FAILURE)
            .expect(ID, 1);
        Scene::new()
            .call(Program::Config, 0)
            .call(Program::Prepare, SYSTEM_FAILURE)
            .expect(ID, 1);
    }

    #[test]
    fn a_second_prepare_and_a_terminated_one_are_not_its_matter() {
        Scene::new()
            .call(Program::Prepare, 0)
            .call(Program::Prepare, SYSTEM_FAILURE)
            .expect(ID, 0);
        Scene::new()
            .call(Program::Prepare, SYSTEM_FAILURE)
            .terminated()
            .expect_silent(ID);
    }
}
