//! Nothing more can be written in the box.

use super::{Before, Effect, Twists};
use crate::session::{Answer, Scene};

pub(super) struct DiskFull;

impl Effect for DiskFull {
    fn before(&self, scene: &Scene<'_>, twists: &mut Twists) -> Before {
        scene.fill_disks();
        twists.disk_full = true;
        Before::Proceed
    }

    /// A box that was started just now.
    fn after(&self, scene: &Scene<'_>, answer: Answer) -> Option<Answer> {
        scene.fill_disks();
        Some(answer)
    }
}
