//! # What it verifies
//!
//! The values in the output of config have the types that the runner expects.
//!
//! # Why it matters
//!
//! A boolean written as a string, or a number in `job_env`, makes the runner refuse the whole output: three attempts,
//! then a system failure.
//!
//! # How drivers break it
//!
//! They put every value into quotes, or none.
//!
//! # Example of the fix
//!
//! Booleans bare, everything in `job_env` quoted:
//!
//! ```text
//!     {"builds_dir_is_shared": true, "job_env": {"BOX_COUNT": "2"}}
//! ```
//!
//! # Clause
//!
//! Must: C4, C6.

use crate::checks::Deviation;
use crate::checks::evidence::{config_objects, deviation, each};
use crate::plan::case::Case;
use crate::trace::Trace;
use serde_json::Value;

/// Looks at one case.
pub(crate) fn examine(_: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    each(config_objects(trace), |(index, object)| {
        let wrong: Vec<String> = object
            .iter()
            .filter_map(|(key, value)| wrong_type(key, value))
            .collect();
        let message = "printed a value of a type that the runner refuses";
        let expected = [
            "strings; a boolean for builds_dir_is_shared; objects of strings for job_env and driver",
        ];
        (!wrong.is_empty()).then(|| deviation(trace, index, message, &expected, wrong.join(", ")))
    })
}

/// What is wrong with one value. Null counts as absent, keys match in any case (C5).
fn wrong_type(key: &str, value: &Value) -> Option<String> {
    let fits = match key.to_ascii_lowercase().as_str() {
        "hostname" | "builds_dir" | "cache_dir" | "shell" => value.is_string(),
        "builds_dir_is_shared" => value.is_boolean(),
        "job_env" => strings(value, |_| true),
        "driver" => strings(value, |name| {
            matches!(name.to_ascii_lowercase().as_str(), "name" | "version")
        }),
        _ => true,
    };
    (!fits && !value.is_null()).then(|| format!("{key}: {value}"))
}

/// An object whose relevant values are strings.
fn strings(value: &Value, relevant: impl Fn(&str) -> bool) -> bool {
    value.as_object().is_some_and(|object| {
        object
            .iter()
            .all(|(name, value)| !relevant(name) || value.is_string() || value.is_null())
    })
}

#[cfg(test)]
mod tests {
    use crate::checks::testing::{Scene, capture};
    use crate::contract::stage::Program;

    const ID: &str = "config/value-types";

    fn scene(printed: &str) -> Scene {
        Scene::new()
            .call(Program::Config, 0)
            .but(|call| call.stdout = capture(printed.as_bytes()))
    }

    #[test]
    fn the_right_types_are_fine() {
        scene(r#"{"builds_dir": "/b", "builds_dir_is_shared": true, "job_env": {"A": "1", "B": null}, "shell": null}"#)
            .expect_clean(ID);
        scene(r#"{"driver": {"name": "n", "version": "1", "more": 2}, "other": [1]}"#)
            .expect_clean(ID);
    }

    #[test]
    fn wrong_types_are_found() {
        for printed in [
            r#"{"builds_dir_is_shared": "true"}"#,
            r#"{"job_env": {"A": 1}}"#,
            r#"{"job_env": ["A=1"]}"#,
            r#"{"driver": "n"}"#,
            r#"{"Builds_Dir": 1}"#,
        ] {
            scene(printed).expect(ID, 1);
        }
    }

    #[test]
    fn no_output_says_nothing() {
        scene("").expect_silent(ID);
    }
}
