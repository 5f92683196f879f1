//! It was done, but the tool does not hear of it and fails.

use super::Effect;
use crate::runtime::world::reason;
use crate::session::{Answer, Scene};

pub(super) struct ReplyLost;

impl Effect for ReplyLost {
    fn after(&self, scene: &Scene<'_>, _answer: Answer) -> Option<Answer> {
        Some(scene.refuse(reason::LOST, "the connection was lost before the answer"))
    }
}
