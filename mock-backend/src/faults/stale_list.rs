//! What is listed or inspected is as it was before the latest change.

use super::{Before, Effect, Twists};
use crate::session::Scene;

pub(super) struct StaleList;

impl Effect for StaleList {
    fn before(&self, _scene: &Scene<'_>, twists: &mut Twists) -> Before {
        twists.stale = true;
        Before::Proceed
    }
}
