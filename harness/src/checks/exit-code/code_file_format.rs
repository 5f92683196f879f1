//! # What it verifies
//!
//! When a call exits with `BUILD_FAILURE_EXIT_CODE`, the first line of `BUILD_EXIT_CODE_FILE`, if the file is there, is
//! one decimal integer and nothing else.
//!
//! # Why it matters
//!
//! The runner cannot read anything else: the failure of the user becomes an unknown error of the system, and in
//! config or prepare it is even tried again.
//!
//! # How drivers break it
//!
//! They write "exit status 42", leave an empty file behind, or put a blank before the number.
//!
//! # Example of the fix
//!
//! Digits and a newline:
//!
//! ```text
//!     printf '%s\n' "$code" > "$BUILD_EXIT_CODE_FILE"
//! ```
//!
//! # Clause
//!
//! Must: G3.

use crate::checks::Deviation;
use crate::checks::evidence::{
    calls, code_file_value, deviation, each, exit_code, exit_codes, undisturbed,
};
use crate::plan::case::Case;
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let read = calls(trace).filter_map(|(index, call)| {
        let content = call.exit_code_file_after.as_deref()?;
        let (build_failure, _) = exit_codes(case, call)?;
        let relevant = undisturbed(trace, index) && exit_code(call) == Some(build_failure);
        relevant.then_some((index, content))
    });
    each(read, |(index, content)| {
        let message = "left an exit-code file that the runner cannot read";
        let actual = format!(
            "{:?}",
            String::from_utf8_lossy(&content[..content.len().min(80)])
        );
        code_file_value(content).is_none().then(|| {
            deviation(
                trace,
                index,
                message,
                &["decimal digits on the first line", "no file"],
                actual,
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use crate::checks::testing::{BUILD_FAILURE, Scene, exits};

    const ID: &str = "exit-code/code-file-format";

    fn scene(content: &str, code: i32) -> Scene {
        let content = content.as_bytes().to_vec();
        Scene::new()
            .run("build_script", exits(42), code)
            .but(|call| call.exit_code_file_after = Some(content))
    }

    #[test]
    fn what_the_runner_reads_is_fine() {
        for content in ["42", "42\n", "42\r\n", "+5", "-1", "042", "42\ngarbage"] {
            scene(content, BUILD_FAILURE).expect_clean(ID);
        }
    }

    #[test]
    fn what_it_cannot_read_is_found() {
        for content in ["", "\n42", " 42", "0x2a", "exit status 42", "42 "] {
            scene(content, BUILD_FAILURE).expect(ID, 1);
        }
    }

    #[test]
    fn a_file_that_is_not_read_does_not_matter() {
        scene("", 0).expect_silent(ID);
    }
}
