//! # What it verifies
//!
//! What a run call writes into `BUILD_EXIT_CODE_FILE` is the exit code of the script that has just failed.
//!
//! # Why it matters
//!
//! The wrong number is shown to the user and decides over `allow_failure` and retry: a failure that is allowed for
//! code 42 turns the pipeline red, or another one is let through.
//!
//! # How drivers break it
//!
//! They write the code of the tool that ran the script, the literal 1, or the result of a command that came
//! between.
//!
//! # Example of the fix
//!
//! Keep the code in a variable at once:
//!
//! ```text
//!     box exec "$name" < "$script"; code=$?
//!     log "script ended with $code"
//!     printf '%s\n' "$code" > "$BUILD_EXIT_CODE_FILE"
//! ```
//!
//! # Clause
//!
//! Must: G3.

use crate::checks::Deviation;
use crate::checks::evidence::{
    code_file_value, deviation, each, exit_code, exit_codes, lone_scripts, stale_code,
};
use crate::plan::case::Case;
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let written = lone_scripts(case, trace).into_iter().filter_map(|run| {
        let content = run.call.exit_code_file_after.as_deref()?;
        let (build_failure, _) = exit_codes(case, run.call)?;
        let fresh = stale_code(trace, &run).is_none();
        let relevant = fresh && run.finished() && exit_code(run.call) == Some(build_failure);
        Some((run, code_file_value(content)?, run.script_code()?)).filter(|_| relevant)
    });
    each(written, |(run, value, code)| {
        let message = "wrote another code than the script's into the exit-code file";
        (value != i64::from(code)).then(|| {
            deviation(
                trace,
                run.index,
                message,
                &[&code.to_string()],
                value.to_string(),
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use crate::checks::testing::{BUILD_FAILURE, Scene, exits};

    const ID: &str = "exit-code/code-file-holds-script-code";

    fn scene(content: &str) -> Scene {
        let content = content.as_bytes().to_vec();
        Scene::new()
            .run("build_script", exits(42), BUILD_FAILURE)
            .but(|call| call.exit_code_file_after = Some(content))
    }

    #[test]
    fn the_code_of_the_script_is_fine() {
        scene("42").expect_clean(ID);
        scene("042\nmore").expect_clean(ID);
    }

    #[test]
    fn another_code_is_found() {
        scene("1").expect(ID, 1);
    }

    #[test]
    fn a_code_that_no_script_had_is_found_also_when_it_was_there_before() {
        scene("7")
            .but(|call| call.exit_code_file_before = Some(b"7".to_vec()))
            .expect(ID, 1);
    }

    #[test]
    fn text_and_the_code_of_an_earlier_script_are_not_its_matter() {
        scene("exit status 42").expect_silent(ID);
        Scene::new()
            .run("get_sources", exits(7), BUILD_FAILURE)
            .run("build_script", exits(42), BUILD_FAILURE)
            .but(|call| {
                call.exit_code_file_before = Some(b"7".to_vec());
                call.exit_code_file_after = Some(b"7".to_vec());
            })
            .expect_silent(ID);
    }
}
