//! # What it verifies
//!
//! Bytes of a script that are not UTF-8 arrive as they are.
//!
//! # Why it matters
//!
//! Build tools print file names and sources in old encodings. A driver that replaces or refuses them spoils the
//! log, or fails the job.
//!
//! # How drivers break it
//!
//! They decode the output to text and encode it again.
//!
//! # Example of the fix
//!
//! Copy bytes, not text:
//!
//! ```text
//!     shutil.copyfileobj(process.stdout, sys.stdout.buffer)
//! ```
//!
//! # Clause
//!
//! Should: B14.

use crate::checks::Deviation;
use crate::checks::evidence::{
    ScriptRun, captured_whole, contains, deviation, each, exit_code, lone_scripts,
};
use crate::plan::case::{Case, ProbeOutput};
use crate::plan::probe::BINARY_BYTES;
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let relevant = lone_scripts(case, trace).into_iter().filter(|run| {
        run.probe.output == ProbeOutput::Binary
            && (run.printed("binary-start") || took_all_along(run))
            && captured_whole(run.call)
    });
    each(relevant, |run| {
        let whole = [&run.call.stdout, &run.call.stderr]
            .iter()
            .any(|capture| contains(&capture.bytes, BINARY_BYTES));
        let message = "changed bytes that are not UTF-8";
        (!whole).then(|| {
            deviation(
                trace,
                run.index,
                message,
                &["the same bytes"],
                "others, or none".to_owned(),
            )
        })
    })
}

/// Nothing of a successful script was shown: a reader that fails at these bytes loses what came with them.
fn took_all_along(run: &ScriptRun<'_>) -> bool {
    !run.started() && exit_code(run.call) == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{Scene, capture};
    use crate::plan::case::Probe;

    const ID: &str = "output/binary-unharmed";

    fn scene(bytes: &[u8]) -> Scene {
        let probe = Probe {
            output: ProbeOutput::Binary,
            ..Probe::default()
        };
        Scene::new().run("build_script", probe, 0).but(|call| {
            let mut printed =
                b"driver-conformance:nonce0:start\ndriver-conformance:nonce0:binary-start\n"
                    .to_vec();
            printed.extend_from_slice(bytes);
            call.stdout = capture(&printed);
        })
    }

    #[test]
    fn the_same_bytes_are_fine() {
        scene(BINARY_BYTES).expect_clean(ID);
    }

    #[test]
    fn replaced_bytes_are_found() {
        scene(String::from_utf8_lossy(BINARY_BYTES).as_bytes()).expect(ID, 1);
    }

    #[test]
    fn output_that_was_lost_with_the_bytes_is_found_once() {
        let lost = || scene(b"").but(|call| call.stdout = capture(b""));
        lost().expect(ID, 1);
        lost().expect_silent("exit-code/success-without-running");
    }
}
