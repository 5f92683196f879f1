//! There is no answer until the fault is switched off; then it is done as ever.

use std::time::Duration;

use super::{Before, Effect, Twists};
use crate::session::Scene;

/// Nobody waits that long.
const PATIENCE: Duration = Duration::from_hours(24);

pub(super) struct Hang;

impl Effect for Hang {
    fn before(&self, scene: &Scene<'_>, _twists: &mut Twists) -> Before {
        if scene.client_leaves_within(PATIENCE, || !scene.is_armed()) {
            Before::Gone
        } else {
            Before::Proceed
        }
    }
}
