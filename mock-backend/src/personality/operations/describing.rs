//! Telling one line, or some, of an object.

use crate::faults::Twists;
use crate::runtime::world::{BOX, Refusal, State, reason};
use crate::session::{Answer, Scene};

use super::shown::fields;
use super::{Trouble, each};

/// Prints the verb's output for objects, or of its lines `NAME=value` those that the caller names. With `must-run`, a box
/// that does not run is refused.
pub(super) fn show(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let mut answer = described(scene, twists)?;
    let wanted = scene.parameters.all("property");
    if !wanted.is_empty() {
        let text = String::from_utf8_lossy(&answer.output).into_owned();
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        let pairs = pairs.filter(|(name, _)| wanted.iter().any(|one| one == name));
        let shown = pairs.map(|(name, value)| {
            let name = if scene.parameters.has("value") {
                String::new()
            } else {
                format!("{name}=")
            };
            format!("{name}{value}\n")
        });
        answer.output = shown.collect::<String>().into_bytes();
    }
    Ok(answer)
}

fn described(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
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
