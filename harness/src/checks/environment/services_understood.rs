//! # What it verifies
//!
//! prepare of a job with services works, refuses them as the user's mistake, or says which service the trouble is with.
//!
//! # Why it matters
//!
//! Jobs that name a service, as many do, fail with an error that tells their author nothing, and are tried three times.
//!
//! # How drivers break it
//!
//! They take `CUSTOM_ENV_CI_JOB_SERVICES` apart without a JSON parser, or expect an entrypoint and a command where both
//! may be null.
//!
//! # Example of the fix
//!
//! Parse it, and count with null and with the empty text:
//!
//! ```text
//!     services = json.loads(os.environ.get("CUSTOM_ENV_CI_JOB_SERVICES") or "[]")
//!     command = service["command"] or []
//! ```
//!
//! # Clause
//!
//! Should: I1.

use crate::checks::Deviation;
use crate::checks::evidence::{
    calls, contains, deviation, each, ending, exit_code, exit_codes, overlapping, undisturbed,
};
use crate::contract::stage::Program;
use crate::plan::case::{Case, CaseJob};
use crate::trace::{CallIndex, CallRecord, Trace};

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let with_services = calls(trace).filter(|(index, call)| {
        call.program == Program::Prepare
            && !overlapping(case)
            && undisturbed(trace, *index)
            && job_of(case, call).is_some_and(|job| !job.services.is_empty())
            && worked_without(case, trace, *index)
    });
    each(with_services, |(index, call)| {
        let (build_failure, _) = exit_codes(case, call)?;
        let refused = exit_code(call) == Some(build_failure);
        if refused || exit_code(call) == Some(0) || names_a_service(case, call) {
            return None;
        }
        let message = "failed for a job because it has services";
        let expected = [
            "exit status 0",
            "a message that names the service",
            "exit status of BUILD_FAILURE_EXIT_CODE, for a driver without services",
        ];
        Some(deviation(trace, index, message, &expected, ending(call)))
    })
}

fn job_of<'a>(case: &'a Case, call: &CallRecord) -> Option<&'a CaseJob> {
    case.jobs.get(call.job)
}

/// An earlier job of the case has the same image and no services, and was prepared.
fn worked_without(case: &Case, trace: &Trace, index: CallIndex) -> bool {
    let image = job_of(case, &trace.calls[index.0]).map(|job| &job.image);
    calls(trace).take(index.0).any(|(_, call)| {
        call.program == Program::Prepare
            && exit_code(call) == Some(0)
            && job_of(case, call)
                .is_some_and(|job| job.services.is_empty() && Some(&job.image) == image)
    })
}

/// The driver knew what it was asked for: that it cannot be had is another matter.
fn names_a_service(case: &Case, call: &CallRecord) -> bool {
    let names = job_of(case, call).map(|job| job.services.as_slice());
    names.unwrap_or_default().iter().any(|name| {
        let bare = name.rsplit('/').next().unwrap_or(name);
        let bare = bare.split(':').next().unwrap_or(bare);
        [&call.stdout, &call.stderr]
            .iter()
            .any(|capture| contains(&capture.bytes, bare.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::checks::testing::{BUILD_FAILURE, SYSTEM_FAILURE, Scene, capture};
    use crate::plan::case::JobOrder;

    const ID: &str = "environment/services-understood";

    fn scene(without: i32, with: i32) -> Scene {
        let mut scene = Scene::with_jobs(&[12, 123], JobOrder::Sequential)
            .call(Program::Prepare, without)
            .call_of(1, Program::Prepare, with);
        scene.case.jobs[1].services = vec!["registry.invalid/database:1".into()];
        scene
    }

    #[test]
    fn a_failure_that_comes_with_services_is_found() {
        scene(0, SYSTEM_FAILURE).expect(ID, 1);
        scene(0, 1).expect(ID, 1);
    }

    #[test]
    fn a_refusal_and_a_service_that_cannot_be_had_are_fine() {
        scene(0, BUILD_FAILURE).expect_clean(ID);
        scene(0, SYSTEM_FAILURE)
            .but(|call| call.stderr = capture(b"cannot pull registry.invalid/database:1"))
            .expect_clean(ID);
        scene(0, 0).expect_clean(ID);
    }

    #[test]
    fn a_driver_that_fails_anyway_says_nothing() {
        scene(SYSTEM_FAILURE, SYSTEM_FAILURE).expect_silent(ID);
    }
}
