//! There is no room left for another object.

use super::{Before, Effect, Twists};
use crate::runtime::world::reason;
use crate::session::Scene;

pub(super) struct QuotaExceeded;

impl Effect for QuotaExceeded {
    fn before(&self, _scene: &Scene<'_>, _twists: &mut Twists) -> Before {
        Before::Refuse {
            reason: reason::QUOTA,
            message: "quota exceeded".to_owned(),
        }
    }
}
