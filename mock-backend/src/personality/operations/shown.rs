//! What is known of an object, as named texts.

use std::time::Duration;

use crate::faults::Twists;
use crate::ledger::now_ms;
use crate::personality::text::Fields;
use crate::runtime::world::{Object, State};
use crate::session::Scene;

/// Letters of a short id.
const SHORT_ID: usize = 12;

/// The fields of an object.
pub(crate) fn fields(scene: &Scene<'_>, object: &Object, twists: &Twists) -> Fields {
    let mut fields: Fields = object
        .attributes
        .iter()
        .map(|(name, values)| (name.clone(), values.join("\n")))
        .collect();
    let (is_up, code) = match object.state {
        State::Stopped { code } => (false, code),
        state => (state.is_up(), 0),
    };
    let made_ms = shifted(object.made_at_ms, twists.clock_s);
    let mut add = |name: &str, value: String| fields.insert(name.to_owned(), value);
    add("id", object.id.clone());
    add("short_id", object.id.chars().take(SHORT_ID).collect());
    add("kind", object.kind.clone());
    add("name", object.name.clone());
    add("given", object.name.clone());
    add("state", scene.backend.personality.state_word(object.state));
    add("running", is_up.to_string());
    add("exit_code", code.to_string());
    add("status", status(object, code));
    let address = address(object);
    let interface = if address.is_empty() { "" } else { " (eth0)" };
    add("interface", interface.to_owned());
    add("address", address);
    add("made_s", (made_ms / 1000).to_string());
    add("made", rfc3339(made_ms));
    add("directory", place(scene, object));
    fields
}

/// Where its files are, on this machine.
fn place(scene: &Scene<'_>, object: &Object) -> String {
    let path = match object.kind.as_str() {
        "volume" => scene.case.volume_directory(&object.id),
        _ => scene.case.box_directory(&object.id),
    };
    path.display().to_string()
}

/// A state as tools tell it to people.
fn status(object: &Object, code: i32) -> String {
    let age = Duration::from_millis(now_ms().saturating_sub(object.made_at_ms));
    match object.state {
        State::Running | State::Starting { .. } => format!("Up {} seconds", age.as_secs()),
        State::Stopped { .. } => format!("Exited ({code}) {} seconds ago", age.as_secs()),
        State::Created => "Created".to_owned(),
        State::Present => String::new(),
    }
}

/// An address that no other box has, as far as 16 bits of its id can tell.
fn address(object: &Object) -> String {
    if object.state.is_up() {
        lasting_address(object)
    } else {
        String::new()
    }
}

/// The same, whether the box is up or not.
pub(super) fn lasting_address(object: &Object) -> String {
    let byte = |at| u8::from_str_radix(object.id.get(at..at + 2).unwrap_or("1"), 16).unwrap_or(1);
    format!("10.88.{}.{}", byte(0), byte(2).clamp(2, 254))
}

fn shifted(ms: u64, seconds: i64) -> u64 {
    ms.saturating_add_signed(seconds.saturating_mul(1000))
}

fn rfc3339(ms: u64) -> String {
    let ms = i64::try_from(ms).unwrap_or_default();
    let stamp = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    format!("{stamp:.9}")
}
