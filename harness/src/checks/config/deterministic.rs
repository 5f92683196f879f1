//! # What it verifies
//!
//! config, called again for the same job, prints the same directories and the same shell.
//!
//! # Why it matters
//!
//! The runner calls config once for each attempt. If the directories change, a retry finds neither the sources nor
//! the caches.
//!
//! # How drivers break it
//!
//! They put the time, a process id or a random word into the path, or count up something on each call.
//!
//! # Example of the fix
//!
//! Make the path from the ids of the job:
//!
//! ```text
//!     {"builds_dir": "/builds/runner-7-project-3-slot-0"}
//! ```
//!
//! # Clause
//!
//! Should: C13.

use crate::checks::Deviation;
use crate::checks::evidence::{config_objects, deviation, each};
use crate::plan::case::Case;
use crate::trace::{CallIndex, Trace};
use serde_json::{Map, Value};

/// What must not change from call to call. `job_env` may: a fresh token for each attempt is in order.
const STEADY: [&str; 4] = ["builds_dir", "cache_dir", "builds_dir_is_shared", "shell"];

/// Looks at one case.
pub(crate) fn examine(_: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let objects = config_objects(trace);
    let again = objects.iter().enumerate().filter_map(|(position, later)| {
        let job = |index: &CallIndex| trace.calls[index.0].job;
        // The first call of a job sees no directories yet (B11), so what it prints may differ: compare with the second.
        let same: Vec<_> = objects[..position]
            .iter()
            .filter(|(index, _)| job(index) == job(&later.0))
            .collect();
        same.get(1).map(|before| (&before.1, later))
    });
    each(again, |(before, (index, now))| {
        let changed: Vec<String> = STEADY
            .into_iter()
            .filter_map(|key| change(key, before, now))
            .collect();
        let message = "printed other settings for the same job than before";
        (!changed.is_empty()).then(|| {
            deviation(
                trace,
                *index,
                message,
                &["the same settings"],
                changed.join(", "),
            )
        })
    })
}

fn change(key: &str, before: &Map<String, Value>, now: &Map<String, Value>) -> Option<String> {
    let text = |object: &Map<String, Value>| {
        object
            .get(key)
            .map_or_else(|| "nothing".to_owned(), Value::to_string)
    };
    (before.get(key) != now.get(key))
        .then(|| format!("{key}: first {}, then {}", text(before), text(now)))
}

#[cfg(test)]
mod tests {
    use crate::checks::testing::{Scene, capture};
    use crate::contract::stage::Program;

    const ID: &str = "config/deterministic";

    fn scene(printed: [&str; 3]) -> Scene {
        printed.into_iter().fold(Scene::new(), |scene, printed| {
            scene
                .call(Program::Config, 0)
                .but(|call| call.stdout = capture(printed.as_bytes()))
        })
    }

    #[test]
    fn the_same_settings_are_fine() {
        let same = r#"{"builds_dir": "/b", "job_env": {"T": "1"}}"#;
        scene([same, same, r#"{"builds_dir": "/b", "job_env": {"T": "2"}}"#]).expect_clean(ID);
    }

    #[test]
    fn the_first_call_may_differ() {
        let later = r#"{"builds_dir": "/b"}"#;
        scene([r#"{"builds_dir": "/other"}"#, later, later]).expect_clean(ID);
    }

    #[test]
    fn changed_settings_are_found() {
        scene([
            r#"{"builds_dir": "/b/1"}"#,
            r#"{"builds_dir": "/b/2"}"#,
            r#"{"builds_dir": "/b/3"}"#,
        ])
        .expect(ID, 1);
    }
}
