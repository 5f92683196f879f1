//! The name is taken by somebody else.

use super::{Before, Effect, Twists};
use crate::runtime::world::reason;
use crate::session::Scene;

pub(super) struct NameConflict;

impl Effect for NameConflict {
    fn before(&self, _scene: &Scene<'_>, _twists: &mut Twists) -> Before {
        Before::Refuse {
            reason: reason::NAME_IN_USE,
            message: "the name is in use".to_owned(),
        }
    }
}
