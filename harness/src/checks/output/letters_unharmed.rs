//! # What it verifies
//!
//! Letters of several bytes arrive whole, wherever in the output they stand, and blanks, backslashes and other odd signs
//! as they were printed.
//!
//! # Why it matters
//!
//! Names and messages in other languages than English become unreadable in the job log, or a job fails now and then
//! because of what its tools print.
//!
//! # How drivers break it
//!
//! They read output in pieces of a fixed size and decode each piece by itself, so that a letter on the border is cut in
//! two. Or they read lines in a shell with `read line`, which takes away backslashes and leading blanks, and print them
//! with `echo $line` or as the format of `printf`.
//!
//! # Example of the fix
//!
//! Pass bytes on as bytes; best is not to read them at all:
//!
//! ```text
//!     sys.stdout.buffer.write(piece)
//!     while IFS= read -r line || [ -n "$line" ]; do printf '%s\n' "$line"; done
//! ```
//!
//! # Clause
//!
//! Must: B14.

use crate::checks::Deviation;
use crate::checks::evidence::{captured_whole, contains, deviation, each, lone_scripts, prepared};
use crate::plan::case::{Case, ProbeOutput};
use crate::plan::probe::{ODD_LINES, letters};
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let wanted = letters();
    let relevant = lone_scripts(case, trace).into_iter().filter(|run| {
        run.probe.output == ProbeOutput::Letters
            && run.printed("letters-start")
            && captured_whole(run.call)
            && prepared(trace, run.index)
    });
    each(relevant, |run| {
        // A driver may put a time stamp before each line and a carriage return behind it; and in which order lines come
        // is another check's matter. Each line is unlike all others.
        let shown = |line: &&str| {
            [&run.call.stdout, &run.call.stderr]
                .iter()
                .any(|capture| contains(&capture.bytes, line.as_bytes()))
        };
        let harmed = wanted.lines().find(|line| !shown(line));
        harmed.map(|line| {
            let message = if ODD_LINES.contains(&line) {
                "changed or lost blanks, backslashes or other signs of a line"
            } else {
                "changed or lost letters that have several bytes"
            };
            let actual = format!("not as it was printed: {line}");
            deviation(trace, run.index, message, &["the same letters"], actual)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::checks::testing::{Scene, capture};
    use crate::plan::case::Probe;

    const ID: &str = "output/letters-unharmed";

    fn scene(change: impl Fn(&str) -> String) -> Scene {
        let probe = Probe {
            output: ProbeOutput::Letters,
            ..Probe::default()
        };
        Scene::new().run("build_script", probe, 0).but(|call| {
            let nonce = format!(
                "driver-conformance:{}",
                call.nonce.clone().unwrap_or_default()
            );
            let printed = format!(
                "{nonce}:start\n{nonce}:letters-start\n{}{nonce}:letters-end\n{nonce}:end\n",
                change(&letters())
            );
            call.stdout = capture(printed.as_bytes());
        })
    }

    #[test]
    fn whole_letters_are_fine() {
        scene(str::to_owned).expect_clean(ID);
        scene(|text| text.replace('\n', "\r\n")).expect_clean(ID);
    }

    #[test]
    fn a_letter_that_was_cut_is_found() {
        scene(|text| text.replacen('☃', "\u{fffd}\u{fffd}", 1)).expect(ID, 1);
        scene(|text| text.lines().take(150).collect()).expect(ID, 1);
    }

    #[test]
    fn what_a_shell_does_to_lines_is_found() {
        for (from, to) in [
            (r"C:\", "C:"),
            ("  two", "two"),
            ("%s", ""),
            ("\tand", " and"),
        ] {
            scene(|text| text.replace(from, to)).expect(ID, 1);
        }
    }
}
