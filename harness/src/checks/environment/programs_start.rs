//! # What it verifies
//!
//! The programs of the driver can be started.
//!
//! # Why it matters
//!
//! A program that cannot be started fails every job, cleanup included, so that nothing is ever removed.
//!
//! # How drivers break it
//!
//! The file is not executable, its interpreter is not installed, or it was built for another machine.
//!
//! # Example of the fix
//!
//! Make it executable and name an interpreter that is there:
//!
//! ```text
//!     chmod +x prepare; head -n 1 prepare   # #!/usr/bin/env bash
//! ```
//!
//! # Clause
//!
//! Must: B2.

use crate::checks::Deviation;
use crate::checks::evidence::{calls, deviation, each};
use crate::plan::case::Case;
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(_case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    each(calls(trace), |(index, call)| {
        let failure = call.start_failure.as_ref()?;
        let program = call.argv.first().map_or("", String::as_str);
        Some(deviation(
            trace,
            index,
            "could not be started",
            &["a running program"],
            failure.message(program),
        ))
    })
}

#[cfg(test)]
mod tests {
    use crate::checks::testing::Scene;
    use crate::contract::exit::StartFailure;
    use crate::contract::stage::Program;

    const ID: &str = "environment/programs-start";

    #[test]
    fn a_started_program_is_fine() {
        Scene::new().call(Program::Config, 0).expect_clean(ID);
    }

    #[test]
    fn a_program_that_cannot_be_started_is_found() {
        Scene::new()
            .call(Program::Config, 0)
            .but(|call| call.start_failure = Some(StartFailure::PermissionDenied))
            .expect(ID, 1);
    }
}
