//! Tools that are the box: it runs as long as they do.

use std::time::Duration;

use crate::backend::KILLED;
use crate::faults::Twists;
use crate::runtime::world::{BOX, Refusal, reason};
use crate::session::{Answer, Scene};

use super::{Trouble, making};

/// How often the tool looks whether it is still there itself.
const LOOK: Duration = Duration::from_millis(50);

/// Starts a box and stays until it has ended; the box ends with the tool.
pub(super) fn hold(scene: &Scene<'_>, _twists: &Twists) -> Result<Answer, Trouble> {
    let name = scene.parameters.last("name").unwrap_or_default();
    let object = scene.case.lock().world.find(BOX, name)?.clone();
    if object.state.is_up() {
        return Err(Refusal::of(reason::NOT_STOPPED, &object, name, "it runs already").into());
    }
    making::start_detached(scene, &object)?;
    let mut state = scene.case.lock();
    while state.boxes.contains_key(&object.id) {
        if scene.client_leaves_within(Duration::ZERO, || false) {
            scene.note("end", &object)?;
            state.end_box(scene.case, &object.id, KILLED);
            break;
        }
        state = scene.case.wait(state, LOOK);
    }
    drop(state);
    scene.case.notify();
    Ok(Answer::default())
}
