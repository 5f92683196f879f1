//! The way to the backend is broken. A command-line tool says so; over HTTP the connection itself breaks.

use super::{Before, Effect, Twists};
use crate::runtime::world::reason;
use crate::session::{Answer, Scene};

/// Nobody listens.
pub(super) struct Refused;

impl Effect for Refused {
    fn before(&self, _scene: &Scene<'_>, _twists: &mut Twists) -> Before {
        Before::Refuse {
            reason: reason::LOST,
            message: "connect: connection refused".to_owned(),
        }
    }
}

/// The connection breaks after it was done.
pub(super) struct Reset;

impl Effect for Reset {
    fn after(&self, scene: &Scene<'_>, _answer: Answer) -> Option<Answer> {
        Some(scene.refuse(reason::LOST, "read: connection reset by peer"))
    }
}

/// The certificate is refused.
pub(super) struct Tls;

impl Effect for Tls {
    fn before(&self, _scene: &Scene<'_>, _twists: &mut Twists) -> Before {
        Before::Refuse {
            reason: reason::LOST,
            message: "tls: failed to verify certificate: certificate has expired".to_owned(),
        }
    }
}
