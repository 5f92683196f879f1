//! The box that the request is about ends by itself, as if the machine had no memory left.

use super::{Before, Effect, Moment, Twists};
use crate::session::{Answer, Scene};

pub(super) struct ObjectDies(pub(super) Moment);

impl Effect for ObjectDies {
    fn before(&self, scene: &Scene<'_>, _twists: &mut Twists) -> Before {
        if self.0 == Moment::Before {
            scene.end_boxes();
        }
        Before::Proceed
    }

    fn after(&self, scene: &Scene<'_>, answer: Answer) -> Option<Answer> {
        if self.0 == Moment::After {
            scene.end_boxes();
        }
        Some(answer)
    }
}
