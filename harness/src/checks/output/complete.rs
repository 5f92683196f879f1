//! # What it verifies
//!
//! What a script prints on standard output and standard error arrives, each line exactly once.
//!
//! # Why it matters
//!
//! The job log is all that a user has to find out why a job failed. The line that matters is often the one that is
//! lost.
//!
//! # How drivers break it
//!
//! They read only one of the streams, show standard error only on failure, stop reading at a byte they cannot
//! decode, or exit before the last of the output has been passed on.
//!
//! # Example of the fix
//!
//! Pass the streams on as they are, and copy nothing:
//!
//! ```text
//!     exec box exec "$name" < "$script"
//! ```
//!
//! # Clause
//!
//! Must: B14.

use crate::checks::Deviation;
use crate::checks::evidence::{ScriptRun, captured_whole, deviation, each, lone_scripts, numbers};
use crate::plan::case::{Case, ProbeOutput};
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let relevant = lone_scripts(case, trace)
        .into_iter()
        .filter(|run| run.started() && run.script_code().is_some() && captured_whole(run.call));
    each(relevant, |run| {
        let message = "lost or repeated output of a script";
        let actual = faults(&run);
        (!actual.is_empty()).then(|| {
            deviation(
                trace,
                run.index,
                message,
                &["every line once"],
                actual.join("; "),
            )
        })
    })
}

/// What is missing or too much, in words.
fn faults(run: &ScriptRun<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    if let ProbeOutput::Lines(count) = run.probe.output {
        for (word, stream) in [
            ("line", "standard output"),
            ("error-line", "standard error"),
        ] {
            let mut seen = numbers(run, word);
            let total = seen.len();
            seen.sort_unstable();
            seen.dedup();
            let missing: Vec<u64> = (1..=u64::from(count))
                .filter(|number| seen.binary_search(number).is_err())
                .collect();
            if let (Some(first), Some(last)) = (missing.first(), missing.last()) {
                faults.push(format!(
                    "{} of {count} lines of {stream} are missing, between {first} and {last}",
                    missing.len()
                ));
            }
            if total > seen.len() {
                faults.push(format!(
                    "{} lines of {stream} came twice",
                    total - seen.len()
                ));
            }
        }
    }
    if !run.finished() {
        faults.push("the last line is missing".to_owned());
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{Scene, capture};
    use crate::plan::case::Probe;

    const ID: &str = "output/complete";

    fn scene(stdout: &[u32], stderr: &[u32]) -> Scene {
        let lines = |word: &str, numbers: &[u32]| -> String {
            let line = |number| format!("driver-conformance:nonce0:{word}:{number}\n");
            numbers.iter().map(line).collect::<Vec<_>>().concat()
        };
        let probe = Probe {
            output: ProbeOutput::Lines(3),
            ..Probe::default()
        };
        Scene::new()
            .run("build_script", probe, 0)
            .printing(&format!(
                "NONCE:start\n{}NONCE:end\n",
                lines("line", stdout)
            ))
            .but(|call| call.stderr = capture(lines("error-line", stderr).as_bytes()))
    }

    #[test]
    fn every_line_once_is_fine() {
        scene(&[1, 2, 3], &[1, 2, 3]).expect_clean(ID);
    }

    #[test]
    fn missing_and_repeated_lines_are_found() {
        scene(&[1, 3], &[1, 2, 3]).expect(ID, 1);
        scene(&[1, 2, 3], &[]).expect(ID, 1);
        scene(&[1, 2, 3, 3], &[1, 2, 3]).expect(ID, 1);
    }

    #[test]
    fn a_missing_end_is_found() {
        Scene::new()
            .run("build_script", Probe::default(), 0)
            .printing("NONCE:start\n")
            .expect(ID, 1);
    }

    #[test]
    fn what_was_not_kept_says_nothing() {
        scene(&[1], &[])
            .but(|call| call.stdout.bytes_total = 1 << 30)
            .expect_silent(ID);
    }
}
