//! Verbs that only print something.

use crate::faults::Twists;
use crate::personality::text::go_template;
use crate::session::{Answer, Scene};

use super::{Trouble, done};
use crate::personality::text::{Fields, document};

/// Prints the verb's output; with a format of the caller, its document.
pub(super) fn text(scene: &Scene<'_>, _twists: &Twists) -> Result<Answer, Trouble> {
    let named = scene.verb.document.as_deref();
    let template = named.and_then(|name| scene.backend.personality.document(name));
    let (Some(format), Some(template)) = (scene.parameters.last("format"), template) else {
        return Ok(done(scene, &Fields::new()));
    };
    let document = document(template, &Fields::new());
    let text = match format {
        "json" => document.to_string(),
        format => go_template(format, &document).map_err(Trouble::NotEmulated)?,
    };
    Ok(Answer {
        output: format!("{text}\n").into_bytes(),
        ..Answer::default()
    })
}
