//! A tool that runs another one: `sudo virsh …`, `systemd-run … systemd-nspawn …`.

use crate::faults::Twists;
use crate::personality::{Misunderstood, Parameters};
use crate::session::{Answer, Scene};

use super::{Trouble, execution, perform};

/// Does what the command after the own options says. What the verb sets holds for the other one, too.
pub(super) fn nested(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let command = scene.parameters.all("command");
    let Some((program, words)) = command.split_first() else {
        let said = scene
            .backend
            .personality
            .failure(scene.tool(), "a command is missing");
        return Ok(said.into());
    };
    let program = program.rsplit('/').next().unwrap_or(program);
    let personality = &scene.backend.personality;
    if !personality.programs().iter().any(|known| known == program) {
        let text = format!("{program}, started by {}", scene.tool());
        return Err(Trouble::NotEmulated(text));
    }
    match personality.understand(program, words) {
        Ok((verb, mut parameters)) => {
            pass_on(scene, &mut parameters);
            let inner = Scene {
                verb,
                parameters: &parameters,
                fault: scene.fault.clone(),
                ..*scene
            };
            perform(&inner, twists)
        }
        Err(Misunderstood::NotEmulated(what)) => Err(Trouble::NotEmulated(what)),
        Err(Misunderstood::Usage(message)) => Ok(personality.failure(program, &message).into()),
    }
}

/// Runs a program in a box that the caller names, or else another tool.
pub(super) fn in_box_or_nested(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    if scene.parameters.last("name").is_some() {
        execution::execute(scene, twists)
    } else {
        nested(scene, twists)
    }
}

fn pass_on(scene: &Scene<'_>, parameters: &mut Parameters) {
    for name in scene.verb.with.keys() {
        let value = scene.parameters.last(name).unwrap_or_default();
        parameters.add(name, value);
    }
}
