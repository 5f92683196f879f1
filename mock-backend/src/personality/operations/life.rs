//! Starting, stopping and ending boxes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backend::KILLED;
use crate::faults::Twists;
use crate::personality::text::Fields;
use crate::runtime::world::{BOX, Object, Refusal, State, reason};
use crate::session::{Answer, Scene};

use super::shown::fields;
use super::{Trouble, done, each, making};

/// How long a box has to end by itself, if the caller does not say.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// The main program is the first that is started in a box.
const MAIN: u64 = 0;
/// SIGTERM.
const TERM: i32 = 15;
/// Names of signals that tools take.
const SIGNALS: [(&str, i32); 9] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("KILL", 9),
    ("USR1", 10),
    ("USR2", 12),
    ("TERM", 15),
    ("CONT", 18),
    ("STOP", 19),
];

fn found(scene: &Scene<'_>, name: &str) -> Result<Object, Refusal> {
    scene.case.lock().world.find(BOX, name).cloned()
}

fn shown(scene: &Scene<'_>, id: &str, twists: &Twists) -> Option<Fields> {
    let state = scene.case.lock();
    let object = state.world.find(BOX, id).ok()?.clone();
    drop(state);
    Some(fields(scene, &object, twists))
}

/// Starts boxes.
pub(super) fn start(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    each(scene, scene.parameters.all("name"), |name| {
        let object = found(scene, name)?;
        if object.state.is_up() && scene.parameters.has("must-be-off") {
            return Err(Refusal::of(reason::NOT_STOPPED, &object, name, "it runs already").into());
        }
        making::start_detached(scene, &object)?;
        Ok(shown(scene, &object.id, twists))
    })
}

/// Stops boxes: asks them, and ends them when the time is over.
pub(super) fn stop(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let ignore = scene.parameters.has("ignore");
    each(scene, scene.parameters.all("name"), |name| {
        let object = match found(scene, name) {
            Err(_) if ignore => return Ok(None),
            found => found?,
        };
        if !object.state.is_up() && scene.parameters.has("must-run") {
            return Err(Refusal::of(reason::NOT_RUNNING, &object, name, "it does not run").into());
        }
        stop_one(scene, &object)?;
        Ok(shown(scene, &object.id, twists))
    })
}

fn stop_one(scene: &Scene<'_>, object: &Object) -> Result<(), Trouble> {
    let mut state = scene.case.lock();
    let Some(running) = state.boxes.get(&object.id).map(Arc::clone) else {
        return Ok(());
    };
    scene.note("end", object)?;
    let asked = scene
        .parameters
        .last("timeout")
        .and_then(|text| text.parse().ok());
    let deadline = Instant::now() + asked.map_or(STOP_PATIENCE, Duration::from_secs);
    let force = scene.parameters.has("force");
    if !force && running.signal(MAIN, TERM).is_ok() {
        while state.boxes.contains_key(&object.id) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = scene.case.wait(state, left);
        }
    }
    if state.boxes.contains_key(&object.id) {
        state.end_box(scene.case, &object.id, KILLED);
    }
    drop(state);
    scene.case.notify();
    Ok(())
}

/// Sends boxes a signal; SIGKILL ends them.
pub(super) fn kill(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let word = scene.parameters.last("signal").unwrap_or("KILL");
    let plain = word.trim_start_matches("SIG");
    let named = SIGNALS.iter().find(|(name, _)| *name == plain);
    let number = plain.parse().ok().or(named.map(|(_, number)| *number));
    let signal = number.ok_or_else(|| Trouble::NotEmulated(format!("the signal {word}")))?;
    each(scene, scene.parameters.all("name"), |name| {
        let object = found(scene, name)?;
        let mut state = scene.case.lock();
        let Some(running) = state.boxes.get(&object.id).map(Arc::clone) else {
            return Err(Refusal::of(reason::NOT_RUNNING, &object, name, "it does not run").into());
        };
        scene.note("end", &object)?;
        if signal == 9 {
            state.end_box(scene.case, &object.id, KILLED);
        } else {
            running.signal(MAIN, signal)?;
        }
        drop(state);
        scene.case.notify();
        Ok(shown(scene, &object.id, twists))
    })
}

/// Stops boxes and starts them again.
pub(super) fn restart(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    each(scene, scene.parameters.all("name"), |name| {
        let object = found(scene, name)?;
        stop_one(scene, &object)?;
        making::start_detached(scene, &object)?;
        Ok(shown(scene, &object.id, twists))
    })
}

/// Waits until boxes have ended and prints their codes.
pub(super) fn wait(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    each(scene, scene.parameters.all("name"), |name| {
        let object = found(scene, name)?;
        loop {
            let state = scene.case.lock();
            let now = state.world.find(BOX, &object.id).map(|object| object.state);
            drop(state);
            match now {
                Ok(State::Stopped { .. }) => return Ok(shown(scene, &object.id, twists)),
                Ok(_) if !scene.client_leaves_within(Duration::from_millis(20), || false) => {}
                _ => return Ok(None),
            }
        }
    })
}

/// Gives a box another name.
pub(super) fn rename(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let parameters = scene.parameters;
    let object = found(scene, parameters.last("name").unwrap_or_default())?;
    let name = parameters.last("new-name").unwrap_or_default().to_owned();
    let mut state = scene.case.lock();
    state.world.check_name(BOX, &name)?;
    scene.note("rename", &object)?;
    state.change(|world| world.change(&object.id, |object| object.name = name));
    drop(state);
    Ok(done(scene, &fields(scene, &object, twists)))
}
