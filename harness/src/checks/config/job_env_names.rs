//! # What it verifies
//!
//! The variables in `job_env` have names of the driver's own: none that begins with `CUSTOM_ENV_`, and none of those that
//! the runner sets.
//!
//! # Why it matters
//!
//! A variable of the job with the same name replaces one that begins with `CUSTOM_ENV_`, so that the job decides what the
//! driver reads; and a changed `BUILD_EXIT_CODE_FILE` or TMPDIR leads the driver away from what the runner reads.
//!
//! # How drivers break it
//!
//! They name a setting like a variable of the job, or want to move TMPDIR for all stages.
//!
//! # Example of the fix
//!
//! Choose a prefix of your own:
//!
//! ```text
//!     {"job_env": {"BOX_HOST": "..."}}
//! ```
//!
//! # Clause
//!
//! Should: B5, C5.

use crate::checks::Deviation;
use crate::checks::evidence::{config_objects, deviation, each};
use crate::plan::case::Case;
use crate::trace::Trace;

/// Variables that the runner sets for every call.
const OF_THE_RUNNER: [&str; 5] = [
    "TMPDIR",
    "BUILD_FAILURE_EXIT_CODE",
    "SYSTEM_FAILURE_EXIT_CODE",
    "BUILD_EXIT_CODE_FILE",
    "JOB_RESPONSE_FILE",
];
/// What the names of the job's variables begin with.
const OF_THE_JOB: &str = "CUSTOM_ENV_";

/// Looks at one case.
pub(crate) fn examine(_: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    each(config_objects(trace), |(index, object)| {
        let wrong: Vec<&str> = object
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case("job_env"))
            .filter_map(|(_, value)| value.as_object())
            .flat_map(|variables| variables.keys())
            .map(String::as_str)
            .filter(|name| name.starts_with(OF_THE_JOB) || OF_THE_RUNNER.contains(name))
            .collect();
        let message = "gave a variable in job_env a name that is not its own";
        let expected = ["names that neither the job nor the runner uses"];
        (!wrong.is_empty()).then(|| deviation(trace, index, message, &expected, wrong.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use crate::checks::testing::{Scene, capture};
    use crate::contract::stage::Program;

    const ID: &str = "config/job-env-names";

    fn scene(printed: &str) -> Scene {
        Scene::new()
            .call(Program::Config, 0)
            .but(|call| call.stdout = capture(printed.as_bytes()))
    }

    #[test]
    fn names_of_others_are_found() {
        scene(r#"{"job_env": {"CUSTOM_ENV_BOX_HOST": "h"}}"#).expect(ID, 1);
        scene(r#"{"job_env": {"TMPDIR": "/tmp", "BOX": "1"}}"#).expect(ID, 1);
    }

    #[test]
    fn own_names_are_fine() {
        scene(r#"{"job_env": {"BOX_HOST": "h", "PATH": "/opt/box:/bin"}}"#).expect_clean(ID);
        scene("{}").expect_clean(ID);
    }
}
