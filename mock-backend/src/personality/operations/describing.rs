//! Telling one line, or some, of an object.

use crate::faults::Twists;
use crate::runtime::world::{BOX, Refusal, State, reason};
use crate::session::{Answer, Scene};

use super::shown::fields;
use super::{Trouble, each};

/// Prints the verb's output for objects. With `must-run`, a box that does not run is refused.
pub(super) fn show(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let kinds: Vec<&str> = match scene.verb.kind.as_str() {
        "" => vec![BOX],
        kinds => kinds.split(' ').collect(),
    };
    each(scene, scene.parameters.all("name"), |name| {
        let mut state = scene.case.lock();
        let view = state.view(twists.stale);
        let found = kinds.iter().find_map(|kind| view.find(kind, name).ok());
        let Some(object) = found.cloned() else {
            return Err(Refusal::new(reason::ABSENT, kinds[0], name, "there is none").into());
        };
        // Whoever looks at a box brings it nearer to being ready.
        state.world.poll(&object.id);
        drop(state);
        let runs = matches!(object.state, State::Running | State::Starting { .. });
        if scene.parameters.has("must-run") && !runs {
            return Err(Refusal::of(reason::NOT_RUNNING, &object, name, "it does not run").into());
        }
        Ok(Some(fields(scene, &object, twists)))
    })
}
