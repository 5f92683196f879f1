//! The tool fails with an error of the backend, and nothing was done.

use super::{Before, Effect, Twists};
use crate::runtime::world::reason;
use crate::session::Scene;

pub(super) struct ErrorBeforeEffect;

impl Effect for ErrorBeforeEffect {
    fn before(&self, _scene: &Scene<'_>, _twists: &mut Twists) -> Before {
        Before::Refuse {
            reason: reason::BROKEN,
            message: "the backend has an internal error".to_owned(),
        }
    }
}
