//! # What it verifies
//!
//! config prints no keys but those the runner knows.
//!
//! # Why it matters
//!
//! The runner ignores an unknown key without a word: a setting that is misspelt has no effect, and nobody is told.
//!
//! # How drivers break it
//!
//! They misspell a key or use one from another interface, such as `runner_hostname`.
//!
//! # Example of the fix
//!
//! The keys are driver, hostname, `builds_dir`, `cache_dir`, `builds_dir_is_shared`, shell and `job_env`:
//!
//! ```text
//!     {"hostname": "box-7"}
//! ```
//!
//! # Clause
//!
//! Should: C4, C5.

use crate::checks::Deviation;
use crate::checks::evidence::{config_objects, deviation, each};
use crate::plan::case::Case;
use crate::trace::Trace;

/// The keys of the schema.
const KEYS: [&str; 7] = [
    "driver",
    "hostname",
    "builds_dir",
    "cache_dir",
    "builds_dir_is_shared",
    "shell",
    "job_env",
];

/// Looks at one case.
pub(crate) fn examine(_: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    each(config_objects(trace), |(index, object)| {
        let unknown: Vec<&str> = object
            .keys()
            .map(String::as_str)
            .filter(|key| !KEYS.contains(&key.to_ascii_lowercase().as_str()))
            .collect();
        let message = "printed a key that the runner ignores";
        (!unknown.is_empty()).then(|| deviation(trace, index, message, &KEYS, unknown.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use crate::checks::testing::{Scene, capture};
    use crate::contract::stage::Program;

    const ID: &str = "config/known-keys";

    fn scene(printed: &str) -> Scene {
        Scene::new()
            .call(Program::Config, 0)
            .but(|call| call.stdout = capture(printed.as_bytes()))
    }

    #[test]
    fn known_keys_are_fine() {
        scene(r#"{"builds_dir": "/b", "job_env": {"ANY": "1"}, "Hostname": "h"}"#).expect_clean(ID);
    }

    #[test]
    fn an_unknown_key_is_found() {
        scene(r#"{"runner_hostname": "h"}"#).expect(ID, 1);
    }
}
