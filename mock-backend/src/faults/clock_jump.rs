//! The backend's clock goes wrong: times that it stamps and shows are not those of this machine.

use super::{Before, Effect, Twists};
use crate::session::Scene;

pub(super) struct ClockJump(pub(super) i64);

impl Effect for ClockJump {
    fn before(&self, _scene: &Scene<'_>, twists: &mut Twists) -> Before {
        twists.clock_s += self.0;
        Before::Proceed
    }
}
