//! Removing boxes and other objects.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use crate::backend::CaseState;
use crate::faults::Twists;
use crate::personality::text::Fields;
use crate::runtime::world::{BOX, Object, Refusal, reason};
use crate::session::{Answer, Scene};

use super::shown::fields;
use super::{Trouble, disks, each, found};

/// Removes boxes.
pub(super) fn remove_box(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let parameters = scene.parameters;
    let force = parameters.has("force");
    let all: Vec<String> = if parameters.has("all") {
        let state = scene.case.lock();
        state
            .world
            .of_kind(BOX)
            .map(|object| object.name.clone())
            .collect()
    } else {
        parameters.all("name").to_vec()
    };
    each(scene, &all, |name| {
        let mut state = scene.case.lock();
        let object = match state.world.find(BOX, name) {
            Err(_) if force && !parameters.has("force-needs-it") => return Ok(None),
            Err(_) if parameters.has("ignore") => return Ok(None),
            found => found?.clone(),
        };
        if object.state.is_up() && parameters.has("lets-run") {
            scene.note("forget", &object)?;
            let goes = ("remove".to_owned(), vec!["true".to_owned()]);
            state.change(|world| {
                world.change(&object.id, |object| object.attributes.extend([goes]));
            });
            return Ok(Some(fields(scene, &object, twists)));
        }
        if object.state.is_up() && !force {
            return Err(Refusal::of(reason::NOT_STOPPED, &object, name, "it runs").into());
        }
        let shown = fields(scene, &object, twists);
        let disks = disks::used_by(&state, &object);
        take(scene, &mut state, &object, twists)?;
        for disk in disks.iter().filter(|_| parameters.has("storage")) {
            disks::take(scene, &mut state, disk)?;
        }
        if parameters.has("volumes") {
            remove_nameless_volumes(scene, &mut state, &object, twists)?;
        }
        drop(state);
        scene.case.notify();
        Ok(Some(shown))
    })
}

/// How long a box that is being ended can still be seen, if the verb does not say.
const ENDING: Duration = Duration::from_millis(50);

/// Has boxes ended that go with their end, and does not wait for that.
pub(super) fn terminate(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let delay = scene.parameters.number("delay-ms");
    let delay = twists.late_delete.or(delay.map(Duration::from_millis));
    let delay = delay.unwrap_or(ENDING);
    each(scene, scene.parameters.all("name"), |name| {
        let mut state = scene.case.lock();
        let object = state.world.find(BOX, name)?.clone();
        if !object.state.is_up() {
            return Err(Refusal::of(reason::NOT_RUNNING, &object, name, "it does not run").into());
        }
        scene.note("remove", &object)?;
        state.remove_after(&object.id, delay);
        drop(state);
        let case = Arc::clone(scene.case);
        std::thread::Builder::new().spawn(move || {
            std::thread::sleep(delay);
            // What is due is done by whoever looks.
            drop(case.lock());
            case.notify();
        })?;
        Ok(Some(fields(scene, &object, twists)))
    })
}

/// Volumes without a name go with their box.
fn remove_nameless_volumes(
    scene: &Scene<'_>,
    state: &mut CaseState,
    object: &Object,
    twists: &Twists,
) -> Result<(), Trouble> {
    let nameless = |volume: &&Object| {
        object.references.contains(&volume.id) && volume.name.starts_with("made-up-")
    };
    let volumes: Vec<Object> = state
        .world
        .of_kind("volume")
        .filter(nameless)
        .cloned()
        .collect();
    for volume in volumes {
        take(scene, state, &volume, twists)?;
    }
    Ok(())
}

/// Takes an object out, at once or later.
fn take(
    scene: &Scene<'_>,
    state: &mut CaseState,
    object: &Object,
    twists: &Twists,
) -> Result<(), Trouble> {
    scene.note("remove", object)?;
    match twists.late_delete {
        Some(delay) => state.remove_after(&object.id, delay),
        None => state.remove(scene.case, &object.id),
    }
    Ok(())
}

/// Takes an object out at once.
pub(super) fn take_out(
    scene: &Scene<'_>,
    state: &mut MutexGuard<'_, CaseState>,
    kind: &str,
    name: &str,
) -> Result<(), Trouble> {
    let object = state.world.find(kind, name)?.clone();
    take(scene, state, &object, &Twists::default())
}

/// Removes objects that are no boxes, unless one needs them.
pub(super) fn remove_object(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let parameters = scene.parameters;
    let force = parameters.has("force");
    let is_no_matter = parameters.has("ignore") || force && !parameters.has("force-needs-it");
    each(scene, parameters.all("name"), |name| {
        let mut state = scene.case.lock();
        let object = match found(scene, &state.world, &scene.verb.kind, name) {
            Err(refusal) if is_no_matter && refusal.reason == reason::ABSENT => return Ok(None),
            found => found?.clone(),
        };
        if let Err(refusal) = state.world.check_unused(&object, name) {
            if !force {
                return Err(refusal.into());
            }
            let users: Vec<Object> = state.world.users(&object.id).cloned().collect();
            for user in users {
                take(scene, &mut state, &user, twists)?;
            }
        }
        let shown = fields(scene, &object, twists);
        take(scene, &mut state, &object, twists)?;
        drop(state);
        scene.case.notify();
        Ok(Some(shown))
    })
}

/// Removes all that nobody uses, whoever made it.
pub(super) fn prune(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let mut kinds: Vec<&str> = scene.verb.kind.split(' ').collect();
    if scene.parameters.has("volumes") {
        kinds.push("volume");
    }
    let mut state = scene.case.lock();
    let mut removed = Vec::new();
    for kind in kinds {
        let unused = |object: &&Object| {
            !object.state.is_up() && state.world.users(&object.id).next().is_none()
        };
        let unused: Vec<Object> = state.world.of_kind(kind).filter(unused).cloned().collect();
        for object in unused {
            removed.push(fields(scene, &object, twists));
            take(scene, &mut state, &object, twists)?;
        }
    }
    drop(state);
    let print = |fields: &Fields| crate::personality::text::fill(&scene.verb.output, fields);
    Ok(Answer {
        output: removed.iter().map(print).collect::<String>().into_bytes(),
        ..Answer::default()
    })
}
