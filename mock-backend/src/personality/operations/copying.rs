//! Copying files into boxes and out of them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::box_root::{is_shared, on_machine};
use crate::faults::Twists;
use crate::runtime::world::{BOX, Object, Refusal, reason};
use crate::session::{Answer, Scene};

use super::shown::fields;
use super::{Trouble, done};

/// A side of a copy.
pub(super) enum Side {
    Machine(PathBuf),
    Box(Object, PathBuf),
}

/// `SOURCE BOX:TARGET`, or the other way round.
pub(super) fn copy(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let word = |name| scene.parameters.last(name).unwrap_or_default();
    let (source, target) = (side(scene, word("source"))?, side(scene, word("target"))?);
    between(scene, &source, &target, twists)
}

/// `SOURCE` into the box `name` at `target`.
pub(super) fn copy_in(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let word = |name| scene.parameters.last(name).unwrap_or_default();
    let source = Side::Machine(scene.shim.working_directory.join(word("source")));
    let state = scene.case.lock();
    let object = state.world.find(BOX, word("name"))?.clone();
    drop(state);
    between(
        scene,
        &source,
        &Side::Box(object, PathBuf::from(word("target"))),
        twists,
    )
}

/// `SOURCE… BOX/TARGET`, or with `pull` `BOX/SOURCE… TARGET`: tools that have a slash between box and path.
pub(super) fn slashed(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let pull = scene.parameters.has("pull");
    let inside = |word: &str| -> Result<Side, Trouble> {
        let (name, path) = word.split_once('/').unwrap_or((word, ""));
        let state = scene.case.lock();
        let object = state.world.find(BOX, name)?.clone();
        Ok(Side::Box(object, Path::new("/").join(path)))
    };
    let outside = |word: &str| match word {
        "-" => Err(Trouble::NotEmulated(
            "a file on a standard stream".to_owned(),
        )),
        word => Ok(Side::Machine(scene.shim.working_directory.join(word))),
    };
    let (sources, target) = match scene.parameters.all("path").split_last() {
        Some((target, sources)) if !sources.is_empty() => (sources, target),
        _ => return Err(Trouble::NotEmulated("a copy of nothing".to_owned())),
    };
    let mut answer = Answer::default();
    for source in sources {
        answer = if pull {
            between(scene, &inside(source)?, &outside(target)?, twists)?
        } else {
            between(scene, &outside(source)?, &inside(target)?, twists)?
        };
    }
    Ok(answer)
}

fn side(scene: &Scene<'_>, word: &str) -> Result<Side, Trouble> {
    if word == "-" {
        return Err(Trouble::NotEmulated(
            "an archive on a standard stream".to_owned(),
        ));
    }
    match word.split_once(':') {
        Some((name, path)) if !name.starts_with(['/', '.']) => {
            let state = scene.case.lock();
            let object = state.world.find(BOX, name)?.clone();
            Ok(Side::Box(object, PathBuf::from(path)))
        }
        _ => Ok(Side::Machine(scene.shim.working_directory.join(word))),
    }
}

pub(super) fn between(
    scene: &Scene<'_>,
    source: &Side,
    target: &Side,
    twists: &Twists,
) -> Result<Answer, Trouble> {
    let ((Side::Box(object, _), _) | (_, Side::Box(object, _))) = (source, target) else {
        return Err(Trouble::NotEmulated(
            "a copy between two places of the machine".to_owned(),
        ));
    };
    scene.note("copy", object)?;
    let from = place(scene, source)?;
    let mut to = place(scene, target)?;
    if to.is_dir()
        && let Some(name) = from.file_name()
    {
        to.push(name);
    }
    copy_all(&from, &to).map_err(|error| no_file(source, target, &error))?;
    Ok(done(scene, &fields(scene, object, twists)))
}

fn place(scene: &Scene<'_>, side: &Side) -> Result<PathBuf, Trouble> {
    match side {
        Side::Machine(path) => Ok(path.clone()),
        Side::Box(_, inside) if is_shared(inside) => {
            let text = format!(
                "a copy to or from {}, which belongs to the machine",
                inside.display()
            );
            Err(Trouble::NotEmulated(text))
        }
        Side::Box(object, inside) => {
            let root = scene.case.box_directory(&object.id).join("root");
            Ok(on_machine(&root, inside))
        }
    }
}

fn no_file(source: &Side, target: &Side, error: &io::Error) -> Refusal {
    let path = match (source, target) {
        (Side::Machine(path) | Side::Box(_, path), Side::Box(..)) | (_, Side::Machine(path)) => {
            path
        }
    };
    let problem = if error.kind() == io::ErrorKind::NotFound {
        "no such file or directory".to_owned()
    } else {
        error.to_string()
    };
    Refusal::new(
        reason::NO_FILE,
        "file",
        &path.display().to_string(),
        &problem,
    )
}

/// Copies a file with its mode, or a directory with all that is in it.
pub(super) fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    if !from.metadata()?.is_dir() {
        return fs::copy(from, to).map(|_| ());
    }
    fs::create_dir_all(to)?;
    fs::set_permissions(to, from.metadata()?.permissions())?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let below = to.join(entry.file_name());
        if entry.file_type()?.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, below)?;
        } else {
            copy_all(&entry.path(), &below)?;
        }
    }
    Ok(())
}
