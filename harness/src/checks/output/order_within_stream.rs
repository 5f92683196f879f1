//! # What it verifies
//!
//! The lines of one stream of a script arrive in the order in which they were printed.
//!
//! # Why it matters
//!
//! A log whose lines changed places shows the cause after the effect, and sends the reader the wrong way.
//!
//! # How drivers break it
//!
//! Several threads or processes pass on pieces of the output, or it is collected in parts and put together by time.
//!
//! # Example of the fix
//!
//! Let one reader pass on each stream:
//!
//! ```text
//!     exec box exec "$name" < "$script"
//! ```
//!
//! # Clause
//!
//! Must: B14.

use std::collections::BTreeSet;

use crate::checks::Deviation;
use crate::checks::evidence::{captured_whole, deviation, each, lone_scripts, numbers};
use crate::plan::case::{Case, ProbeOutput};
use crate::trace::Trace;

/// Looks at one case.
pub(crate) fn examine(case: &Case, trace: &Trace) -> Option<Vec<Deviation>> {
    let relevant = lone_scripts(case, trace).into_iter().filter(|run| {
        let many = matches!(run.probe.output, ProbeOutput::Lines(count) if count > 1);
        many && run.started() && captured_whole(run.call)
    });
    each(relevant, |run| {
        let moved: Vec<String> = ["line", "error-line"]
            .into_iter()
            .filter_map(|word| {
                let numbers = numbers(&run, word);
                // Lines that come twice have a check of their own, and no order.
                if repeated(&numbers) {
                    return None;
                }
                let pair = numbers.windows(2).find(|pair| pair[0] > pair[1])?;
                Some(format!("{word} {} came before {word} {}", pair[0], pair[1]))
            })
            .collect();
        let message = "changed the order of a script's lines";
        (!moved.is_empty()).then(|| {
            deviation(
                trace,
                run.index,
                message,
                &["the order of printing"],
                moved.join("; "),
            )
        })
    })
}

fn repeated(numbers: &[u64]) -> bool {
    let distinct: BTreeSet<u64> = numbers.iter().copied().collect();
    distinct.len() < numbers.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Scene;
    use crate::plan::case::Probe;

    const ID: &str = "output/order-within-stream";

    fn scene(lines: &str) -> Scene {
        let probe = Probe {
            output: ProbeOutput::Lines(3),
            ..Probe::default()
        };
        Scene::new()
            .run("build_script", probe, 0)
            .printing(&format!("NONCE:start\n{lines}NONCE:end\n"))
    }

    #[test]
    fn the_order_of_printing_is_fine_also_with_gaps() {
        scene("NONCE:line:1\nNONCE:line:3\n").expect_clean(ID);
    }

    #[test]
    fn streams_may_be_mixed() {
        scene("NONCE:line:1\nNONCE:line:2\nNONCE:error-line:1\nNONCE:line:3\n").expect_clean(ID);
    }

    #[test]
    fn lines_that_come_twice_are_not_its_matter() {
        scene("NONCE:line:1\nNONCE:line:2\nNONCE:line:1\nNONCE:line:2\n").expect_clean(ID);
    }

    #[test]
    fn another_order_is_found() {
        scene("NONCE:line:2\nNONCE:line:1\nNONCE:line:3\n").expect(ID, 1);
    }
}
