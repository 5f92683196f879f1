//! # What it verifies
//!
//! Output of a script is passed on while the script runs.
//!
//! # Why it matters
//!
//! Users follow a job in its log. A job that shows nothing looks stuck, and when it is ended from outside all of
//! its output is lost.
//!
//! # How drivers break it
//!
//! They collect the output and print it at the end, or pass it through a pipe whose writer buffers blocks.
//!
//! # Example of the fix
//!
//! Flush each piece, or let the child inherit the streams:
//!
//! ```text
//!     subprocess.run(command, stdout=None, stderr=None)
//! ```
//!
//! # Clause
//!
//! Should: B14, H14.

use crate::checks::Deviation;
use crate::checks::evidence::{deviation, each, lone_scripts};
use crate::plan::case::{Case, ProbeOutput};
use crate::trace::Trace;

use std::time::Duration;

/// Two lines that are a second apart must not arrive together.
const TOGETHER: Duration = Duration::from_millis(400);

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let paced = lone_scripts(case, trace).into_iter().filter_map(|run| {
        let at = |wanted: u64| {
            let seen = |number: Option<u64>| number == Some(wanted);
            run.call
                .markers
                .iter()
                .find(|(_, marker)| marker.word == "line" && seen(marker.number))
        };
        let (first, second) = (at(1)?.0, at(2)?.0);
        (run.probe.output == ProbeOutput::Paced).then(|| (run.index, second.since(first)))
    });
    each(paced, |(index, apart)| {
        let message = "held output back while the script ran";
        let actual = format!("{} ms apart", apart.as_millis());
        (apart < TOGETHER).then(|| {
            let mut found = deviation(trace, index, message, &["two lines a second apart"], actual);
            // Starved, the harness itself may have read both lines late.
            found.judge_by_time(trace);
            found
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{Scene, seen};
    use crate::plan::case::Probe;

    const ID: &str = "output/arrives-live";

    fn scene(second: u64) -> Scene {
        let probe = Probe {
            output: ProbeOutput::Paced,
            ..Probe::default()
        };
        Scene::new().run("build_script", probe, 0).but(|call| {
            call.markers = vec![
                seen(call, 10, "line", Some(1)),
                seen(call, second, "line", Some(2)),
            ];
        })
    }

    #[test]
    fn lines_that_come_apart_are_fine() {
        scene(1010).expect_clean(ID);
    }

    #[test]
    fn lines_that_come_together_are_found() {
        scene(11).expect(ID, 1);
    }

    #[test]
    fn without_markers_it_says_nothing() {
        scene(11).but(|call| call.markers.clear()).expect_silent(ID);
    }
}
