//! # What it verifies
//!
//! The last line of a script arrives also if no newline ends it.
//!
//! # Why it matters
//!
//! Error messages of many tools end without a newline, and they are the last thing printed.
//!
//! # How drivers break it
//!
//! They read line by line, in a loop that ends before it has looked at an unfinished line.
//!
//! # Example of the fix
//!
//! In a shell, look at what read has left:
//!
//! ```text
//!     while IFS= read -r line || [ -n "$line" ]; do printf '%s\n' "$line"; done
//! ```
//!
//! # Clause
//!
//! Must: B14.

use crate::checks::Deviation;
use crate::checks::evidence::{captured_whole, deviation, each, lone_scripts};
use crate::plan::case::{Case, ProbeOutput};
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let relevant = lone_scripts(case, trace).into_iter().filter(|run| {
        run.probe.output == ProbeOutput::Unterminated && run.finished() && captured_whole(run.call)
    });
    each(relevant, |run| {
        let message = "lost a last line that no newline ended";
        (!run.printed("unterminated")).then(|| {
            deviation(
                trace,
                run.index,
                message,
                &["the whole line"],
                "nothing of it".to_owned(),
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Scene;
    use crate::plan::case::Probe;

    const ID: &str = "output/last-line-without-newline";

    fn scene(last: &str) -> Scene {
        let probe = Probe {
            output: ProbeOutput::Unterminated,
            ..Probe::default()
        };
        Scene::new()
            .run("build_script", probe, 0)
            .printing(&format!("NONCE:start\nNONCE:end\n{last}"))
    }

    #[test]
    fn the_line_with_or_without_a_newline_is_fine() {
        scene("NONCE:unterminated").expect_clean(ID);
        scene("NONCE:unterminated\n").expect_clean(ID);
    }

    #[test]
    fn a_lost_line_is_found() {
        scene("").expect(ID, 1);
    }
}
