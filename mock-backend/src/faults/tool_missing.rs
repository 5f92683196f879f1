//! The tool is not there: what a shell says then.

use super::{Before, Effect, Twists};
use crate::session::{Answer, Scene};

/// The exit code of a shell for a command that it does not find.
const NOT_FOUND: i32 = 127;

pub(super) struct ToolMissing;

impl Effect for ToolMissing {
    fn before(&self, scene: &Scene<'_>, _twists: &mut Twists) -> Before {
        Before::Answer(Answer {
            code: NOT_FOUND,
            errors: format!("{}: command not found\n", scene.tool()).into_bytes(),
            ..Answer::default()
        })
    }
}
