//! # What it verifies
//!
//! `builds_dir` and `cache_dir`, if config prints them, are absolute paths.
//!
//! # Why it matters
//!
//! An empty directory is a configuration error that ends the job at once. A relative one means another place in
//! each script, since scripts change their directory.
//!
//! # How drivers break it
//!
//! A variable that the path is made from is empty, as `CI_PROJECT_DIR` is in the first call of config.
//!
//! # Example of the fix
//!
//! Build the path on something that is always there, or leave the key out:
//!
//! ```text
//!     {"builds_dir": "/builds"}
//! ```
//!
//! # Clause
//!
//! Must: C7, B11, A5.

use crate::checks::Deviation;
use crate::checks::evidence::{config_objects, deviation, each};
use crate::plan::case::Case;
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(_: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    each(config_objects(trace), |(index, object)| {
        let wrong: Vec<String> = object
            .iter()
            .filter(|(key, _)| {
                matches!(
                    key.to_ascii_lowercase().as_str(),
                    "builds_dir" | "cache_dir"
                )
            })
            .filter_map(|(key, value)| Some((key, value.as_str()?)))
            .filter(|(_, path)| !absolute(path))
            .map(|(key, path)| format!("{key}: {path:?}"))
            .collect();
        let message = "printed a directory that is no absolute path";
        (!wrong.is_empty()).then(|| {
            deviation(
                trace,
                index,
                message,
                &["an absolute path", "no such key"],
                wrong.join(", "),
            )
        })
    })
}

/// Absolute on Unix, or with a drive letter: the environment need not be like the machine of the driver.
fn absolute(path: &str) -> bool {
    let bytes = path.as_bytes();
    let drive = bytes.len() > 2
        && bytes[0].is_ascii_alphabetic()
        && bytes[1] == b':'
        && matches!(bytes[2], b'/' | b'\\');
    path.starts_with('/') || path.starts_with("\\\\") || drive
}

#[cfg(test)]
mod tests {
    use crate::checks::testing::{Scene, capture};
    use crate::contract::stage::Program;

    const ID: &str = "config/absolute-directories";

    fn scene(printed: &str) -> Scene {
        Scene::new()
            .call(Program::Config, 0)
            .but(|call| call.stdout = capture(printed.as_bytes()))
    }

    #[test]
    fn absolute_paths_are_fine() {
        scene(r#"{"builds_dir": "/b", "cache_dir": "C:\\cache"}"#).expect_clean(ID);
        scene(r#"{"hostname": ""}"#).expect_clean(ID);
    }

    #[test]
    fn empty_and_relative_paths_are_found() {
        scene(r#"{"builds_dir": "", "cache_dir": "/c"}"#).expect(ID, 1);
        scene(r#"{"builds_dir": "builds"}"#).expect(ID, 1);
        scene(r#"{"cache_dir": "~/cache"}"#).expect(ID, 1);
    }
}
