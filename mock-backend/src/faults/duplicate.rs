//! The request arrives twice, as when a proxy repeats it.

use super::{Before, Effect, Twists};
use crate::session::Scene;

pub(super) struct Duplicate;

impl Effect for Duplicate {
    fn before(&self, _scene: &Scene<'_>, twists: &mut Twists) -> Before {
        twists.twice = true;
        Before::Proceed
    }
}
