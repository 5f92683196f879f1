//! The call of the driver that asked is ended, with all of its process group, right before or right after the effect.

use std::time::Duration;

use super::{Before, Effect, KillSignal, Moment, Twists};
use crate::session::{Answer, Scene};

/// How long the tool may take to die with its caller. If it lives on, since its caller ignores SIGTERM, so does the request.
const DEATH_PATIENCE: Duration = Duration::from_millis(500);

pub(super) struct KillDriver {
    pub(super) signal: KillSignal,
    pub(super) when: Moment,
}

impl KillDriver {
    /// Whether the tool died as well.
    fn kill(&self, scene: &Scene<'_>) -> bool {
        scene.kill_caller(self.signal);
        // Over HTTP the caller's end is not seen, and its request is lost with it.
        scene.http_delay.is_some() || scene.client_leaves_within(DEATH_PATIENCE, || false)
    }
}

impl Effect for KillDriver {
    fn before(&self, scene: &Scene<'_>, _twists: &mut Twists) -> Before {
        if self.when == Moment::Before && self.kill(scene) {
            Before::Gone
        } else {
            Before::Proceed
        }
    }

    fn after(&self, scene: &Scene<'_>, answer: Answer) -> Option<Answer> {
        let died = self.when == Moment::After && self.kill(scene);
        (!died).then_some(answer)
    }
}
