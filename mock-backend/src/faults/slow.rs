//! It takes longer.

use std::time::Duration;

use super::{Before, Effect, Twists};
use crate::session::Scene;

pub(super) struct Slow(pub(super) Duration);

impl Effect for Slow {
    fn before(&self, scene: &Scene<'_>, _twists: &mut Twists) -> Before {
        if scene.client_leaves_within(self.0, || false) {
            Before::Gone
        } else {
            Before::Proceed
        }
    }
}
