//! # What it verifies
//!
//! What config prints on standard output is nothing at all, or one JSON object.
//!
//! # Why it matters
//!
//! The runner parses the output after every success, and one stray word, or one quote in a branch name, fails the
//! job, three times over.
//!
//! # How drivers break it
//!
//! They print messages to standard output, source a profile that greets, or paste values into JSON text without
//! escaping them.
//!
//! # Example of the fix
//!
//! Messages go to standard error, values through a JSON writer:
//!
//! ```text
//!     echo "choosing a box" >&2
//!     jq -n --arg name "$name" '{job_env: {BOX: $name}}'
//! ```
//!
//! # Clause
//!
//! Must: C2, C3, C6.

use crate::checks::Deviation;
use crate::checks::evidence::{config_document, configs, deviation, each};
use crate::plan::case::Case;
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(_: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    each(configs(trace), |(index, call)| {
        let error = config_document(call).err()?;
        let shown = String::from_utf8_lossy(&call.stdout.bytes[..call.stdout.bytes.len().min(200)])
            .into_owned();
        let message = "printed something that is no JSON object";
        let expected = ["one JSON object", "nothing at all"];
        Some(deviation(
            trace,
            index,
            message,
            &expected,
            format!("{error}, in {shown:?}"),
        ))
    })
}

#[cfg(test)]
mod tests {
    use crate::checks::testing::{Scene, capture};
    use crate::contract::stage::Program;

    const ID: &str = "config/valid-json";

    fn scene(printed: &str, code: i32) -> Scene {
        Scene::new()
            .call(Program::Config, code)
            .but(|call| call.stdout = capture(printed.as_bytes()))
    }

    #[test]
    fn an_object_or_nothing_is_fine() {
        for printed in ["", "{}", " {\"builds_dir\": \"/builds\"}\n", "null"] {
            scene(printed, 0).expect_clean(ID);
        }
    }

    #[test]
    fn anything_else_is_found() {
        for printed in [
            "\n",
            "Configuring\n{}",
            "{} done",
            "[]",
            "{\"a\": \"b\"quote\"}",
            "{\"a\": 1,}",
            "\u{feff}{}",
        ] {
            scene(printed, 0).expect(ID, 1);
        }
    }

    #[test]
    fn the_output_of_a_failed_config_is_not_read() {
        scene("oops", 74).expect_silent(ID);
    }
}
