//! What the tool prints on standard output is not what it says in the manual. What a program in a box prints is its own.

use super::{Before, Effect, Twists};
use crate::session::{Answer, Scene};

/// In the place of the output: no id, no JSON, no table, no UTF-8.
const GARBAGE: &[u8] = b"\xff\xfe<html>502 Bad Gateway</html>\n";

pub(super) struct GarbledOutput;

impl Effect for GarbledOutput {
    fn before(&self, _scene: &Scene<'_>, twists: &mut Twists) -> Before {
        twists.kept_back = true;
        Before::Proceed
    }

    fn after(&self, _scene: &Scene<'_>, mut answer: Answer) -> Option<Answer> {
        if !answer.output.is_empty() {
            answer.output = GARBAGE.to_vec();
        }
        Some(answer)
    }
}
