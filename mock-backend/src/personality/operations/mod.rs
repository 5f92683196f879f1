//! What verbs do: operations of the runtime, one file for each group. A personality names them and says what is printed.

mod cloning;
mod copying;
mod describing;
mod disks;
mod execution;
mod files;
mod holding;
mod jobs;
mod life;
mod login;
mod making;
mod nested;
mod plain;
mod remote;
mod removal;
mod showing;
pub(crate) mod shown;
mod tables;

use std::io;

use crate::faults::Twists;
use crate::runtime::world::{Object, Refusal, World};
use crate::session::{Answer, Scene};

use super::text::{Fields, fill};

/// Why an operation was not done.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The real backend would refuse it, too.
    Refused(Refusal),
    /// The real backend may do it; this one does not.
    NotEmulated(String),
    /// Something of ours is broken.
    Broken(io::Error),
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

type Operation = fn(&Scene<'_>, &Twists) -> Result<Answer, Trouble>;

/// All operations, by the names that personalities use.
const ALL: [(&str, Operation); 44] = [
    ("box.create", making::create),
    ("box.run", making::run),
    ("box.start", life::start),
    ("box.stop", life::stop),
    ("box.kill", life::kill),
    ("box.restart", life::restart),
    ("box.wait", life::wait),
    ("box.rename", life::rename),
    ("box.remove", removal::remove_box),
    ("box.exec", execution::execute),
    ("box.exec-foreground", execution::foreground),
    ("box.logs", showing::logs),
    ("box.address", showing::address),
    ("box.terminate", removal::terminate),
    ("remote.shell", remote::shell),
    ("remote.copy", remote::copy),
    ("remote.key", remote::key),
    ("disk.create", disks::create),
    ("disk.copy", disks::copy),
    ("disk.remove", disks::remove),
    ("disk.info", disks::info),
    ("nested", nested::nested),
    ("box.exec-or-nested", nested::in_box_or_nested),
    ("box.clone", cloning::clone),
    ("box.hold", holding::hold),
    ("copy-slashed", copying::slashed),
    ("file.make", files::make),
    ("object.table", tables::table),
    ("job.submit", jobs::submit),
    ("job.step", jobs::step),
    ("job.cancel", jobs::cancel),
    ("job.list", jobs::list),
    ("object.show", describing::show),
    ("copy", copying::copy),
    ("copy-in", copying::copy_in),
    ("object.make", making::object),
    ("object.remove", removal::remove_object),
    ("object.list", showing::list),
    ("object.inspect", showing::inspect),
    ("object.exists", showing::exists),
    ("image.pull", making::pull),
    ("prune", removal::prune),
    ("session.login", login::login),
    ("text", plain::text),
];

/// Does what the verb of a request says.
pub(crate) fn perform(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let name = scene.verb.operation.as_str();
    match ALL.iter().find(|(known, _)| *known == name) {
        Some((_, operation)) => operation(scene, twists),
        None => Err(Trouble::NotEmulated(format!("the operation {name}"))),
    }
}

pub(crate) use self::remote::box_at;

/// Whether there is an operation of this name.
pub(crate) fn is_known(name: &str) -> bool {
    ALL.iter().any(|(known, _)| *known == name)
}

/// The names of all operations.
pub(crate) fn names() -> Vec<&'static str> {
    ALL.iter().map(|(name, _)| *name).collect()
}

/// Does something to each of several objects; one that is refused does not keep it from the others.
fn each(
    scene: &Scene<'_>,
    names: &[String],
    mut act: impl FnMut(&str) -> Result<Option<Fields>, Trouble>,
) -> Result<Answer, Trouble> {
    let mut answer = Answer::default();
    for name in names {
        match act(name) {
            Ok(None) => {}
            Ok(Some(mut fields)) => {
                fields.insert("given".to_owned(), name.clone());
                answer
                    .output
                    .extend(fill(&scene.verb.output, &fields).bytes());
                answer
                    .errors
                    .extend(fill(&scene.verb.error_output, &fields).bytes());
            }
            Err(Trouble::Refused(refusal)) => {
                let refused = scene.refused(&refusal);
                answer.output.extend(refused.output);
                answer.errors.extend(refused.errors);
                answer.code = refused.code;
            }
            Err(trouble) => return Err(trouble),
        }
    }
    Ok(answer)
}

/// The object of a kind that is named, as the verb looks for it.
fn found<'a>(
    scene: &Scene<'_>,
    world: &'a World,
    kind: &str,
    name: &str,
) -> Result<&'a Object, Refusal> {
    if scene.parameters.has("by-beginning") {
        world.find_by_beginning(kind, name)
    } else {
        world.find(kind, name)
    }
}

/// What a verb prints when it has succeeded with one object.
fn done(scene: &Scene<'_>, fields: &Fields) -> Answer {
    let output = if scene.parameters.has("quiet") {
        scene.verb.quiet.as_deref().unwrap_or_default()
    } else {
        &scene.verb.output
    };
    Answer {
        output: fill(output, fields).into_bytes(),
        errors: fill(&scene.verb.error_output, fields).into_bytes(),
        ..Answer::default()
    }
}
