//! The tool prints the beginning of its output, then dies.

use super::{Before, Effect, Twists};
use crate::session::{Answer, Scene};

pub(super) struct PartialOutput(pub(super) u64);

impl Effect for PartialOutput {
    fn before(&self, _scene: &Scene<'_>, twists: &mut Twists) -> Before {
        twists.kept_back = true;
        Before::Proceed
    }

    fn after(&self, _scene: &Scene<'_>, mut answer: Answer) -> Option<Answer> {
        let room = usize::try_from(self.0).unwrap_or(usize::MAX);
        answer.output.truncate(room);
        answer
            .errors
            .truncate(room.saturating_sub(answer.output.len()));
        answer.dies = true;
        Some(answer)
    }
}
