//! Files that a tool writes for its caller, as images that are fetched into a file.

use std::fs;
use std::io::{self, Write as _};

use crate::faults::Twists;
use crate::personality::text::Fields;
use crate::runtime::world::{Refusal, reason};
use crate::session::{Answer, Scene};

use super::making::no_file;
use super::{Trouble, done};

/// Writes `file` for `name`; by default, a file that is called after it. One that is there is not touched.
pub(super) fn make(scene: &Scene<'_>, _twists: &Twists) -> Result<Answer, Trouble> {
    let parameters = scene.parameters;
    let name = parameters.last("name").unwrap_or_default();
    let plain = name.split_once("://").map_or(name, |(_, plain)| plain);
    let plain = plain.rsplit(['@', '#']).next().unwrap_or(plain);
    let ending = parameters.last("ending").unwrap_or_default();
    let own = plain.replace(['/', ':'], "+") + ending;
    let path = parameters.last("file").unwrap_or(&own);
    let path = scene.shim.working_directory.join(path);
    let shown = path.display().to_string();
    let file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path);
    match file {
        Ok(mut file) => file.write_all(name.as_bytes())?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Refusal::new(reason::NAME_IN_USE, "file", &shown, "it exists").into());
        }
        Err(error) => return Err(no_file(&path, &error).into()),
    }
    Ok(done(scene, &Fields::from([("given".to_owned(), shown)])))
}
