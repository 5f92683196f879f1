//! Boxes that are made from other ones, with what these hold.

use crate::faults::Twists;
use crate::runtime::world::BOX;
use crate::session::{Answer, Scene};

use super::shown::fields;
use super::{Trouble, copying, done, making};

/// Makes a box from another one, or from an image if there is no box of that name.
pub(super) fn clone(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let source = scene.parameters.last("image").unwrap_or_default();
    let state = scene.case.lock();
    let original = state.world.find(BOX, source).cloned();
    drop(state);
    let original = match original {
        Ok(object) => Some(object),
        Err(refusal) if scene.parameters.has("from-box") => return Err(refusal.into()),
        Err(_) => None,
    };
    let object = making::make_box(scene)?;
    if let Some(original) = original {
        let root = |id: &str| scene.case.box_directory(id).join("root");
        copying::copy_all(&root(&original.id), &root(&object.id))?;
    }
    Ok(done(scene, &fields(scene, &object, twists)))
}
