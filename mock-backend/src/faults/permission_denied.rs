//! The tool may not do this.

use super::{Before, Effect, Twists};
use crate::runtime::world::reason;
use crate::session::Scene;

pub(super) struct PermissionDenied;

impl Effect for PermissionDenied {
    fn before(&self, _scene: &Scene<'_>, _twists: &mut Twists) -> Before {
        Before::Refuse {
            reason: reason::PERMISSION,
            message: "permission denied".to_owned(),
        }
    }
}
