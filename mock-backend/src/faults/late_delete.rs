//! Eventual consistency: what was deleted is seen for a while longer, and its name is taken.

use std::time::Duration;

use super::{Before, Effect, Twists};
use crate::session::Scene;

pub(super) struct LateDelete(pub(super) Duration);

impl Effect for LateDelete {
    fn before(&self, _scene: &Scene<'_>, twists: &mut Twists) -> Before {
        twists.late_delete = Some(self.0);
        Before::Proceed
    }
}
