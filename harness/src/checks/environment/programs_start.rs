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
use crate::contract::stage::Program;
use crate::plan::case::Case;
use crate::trace::{CallIndex, Trace};

/// Looks at one case.
pub(crate) fn examine(_case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let relevant = calls(trace).filter(|(index, _)| !without_directory(trace, *index));
    each(relevant, |(index, call)| {
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

/// The working directory is gone: a call has removed it, which is `environment/temp-dir-kept`. Or the program has been
/// started before, and a cleanup came between, which may remove the directory: the runner does so too, and calls nothing
/// there any more.
fn without_directory(trace: &Trace, index: CallIndex) -> bool {
    let directory = &trace.calls[index.0].temp_dir;
    let lost = calls(trace)
        .take(index.0)
        .any(|(_, call)| call.temp_dir_lost && call.temp_dir == *directory);
    if lost {
        return true;
    }
    let (job, program) = (trace.calls[index.0].job, trace.calls[index.0].program);
    calls(trace)
        .take(index.0)
        .filter(|(_, call)| call.job == job)
        .map(|(_, call)| call)
        .skip_while(|call| call.program != program || call.start_failure.is_some())
        .any(|call| call.program == Program::Cleanup)
}

#[cfg(test)]
mod tests {
    use super::Program;
    use crate::checks::testing::{Scene, exits};
    use crate::contract::exit::StartFailure;

    const ID: &str = "environment/programs-start";

    #[test]
    fn a_started_program_is_fine() {
        Scene::new().call(Program::Config, 0).expect_clean(ID);
    }

    #[test]
    fn what_worked_before_a_cleanup_lost_its_directory_with_it() {
        Scene::new()
            .run("build_script", exits(0), 0)
            .call(Program::Cleanup, 0)
            .run("build_script", exits(0), 0)
            .but(|call| call.start_failure = Some(StartFailure::NotFound))
            .expect_clean(ID);
    }

    #[test]
    fn a_program_that_cannot_be_started_is_found() {
        Scene::new()
            .call(Program::Config, 0)
            .but(|call| call.start_failure = Some(StartFailure::PermissionDenied))
            .expect(ID, 1);
    }
}
