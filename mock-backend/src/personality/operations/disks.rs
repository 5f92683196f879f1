//! Disks of virtual machines: files on this machine, which the backend knows as objects as long as the files are there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::backend::CaseState;
use crate::faults::Twists;
use crate::ledger::now_ms;
use crate::runtime::world::{Object, Plan, Refusal, reason};
use crate::session::{Answer, Scene};

use super::making::no_file;
use super::shown::fields;
use super::{Trouble, done, each};

/// The kind of these objects.
pub(super) const DISK: &str = "disk";
/// The attribute that says which file an object is; without the file, there is no object.
pub(crate) const FILE: &str = "file";

/// The path in what `--disk` says: `PATH`, `path=PATH,format=qcow2` or `PATH,bus=virtio`.
fn path_of(word: &str) -> Option<&str> {
    let first = word.split(',').next()?;
    match first.split_once('=') {
        Some(("path", path)) => Some(path),
        Some(_) => None,
        None => Some(first),
    }
}

/// The disks that a box is made with. Their files must be there.
pub(super) fn of_box(
    scene: &Scene<'_>,
    state: &CaseState,
    words: &[String],
) -> Result<Vec<String>, Refusal> {
    let mut found = Vec::new();
    for path in words.iter().filter_map(|word| path_of(word)) {
        let path = scene.shim.working_directory.join(path);
        fs::metadata(&path).map_err(|error| no_file(&path, &error))?;
        let known = state.world.find(DISK, &path.display().to_string());
        found.extend(known.map(|disk| disk.id.clone()));
    }
    Ok(found)
}

fn whole(scene: &Scene<'_>, parameter: &str) -> Option<PathBuf> {
    let word = scene.parameters.last(parameter)?;
    Some(scene.shim.working_directory.join(word))
}

/// Makes a disk, over one of that name if no machine uses it.
pub(super) fn create(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    if let Some(base) = whole(scene, "base") {
        fs::metadata(&base).map_err(|error| no_file(&base, &error))?;
    }
    let size = scene.parameters.last("size").unwrap_or("8589934592");
    make(scene, twists, format!("QFI\u{fb} {size}\n").as_bytes())
}

/// Makes a disk that is like another one.
pub(super) fn copy(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let source = whole(scene, "source").unwrap_or_default();
    let content = fs::read(&source).map_err(|error| no_file(&source, &error))?;
    make(scene, twists, &content)
}

fn make(scene: &Scene<'_>, twists: &Twists, content: &[u8]) -> Result<Answer, Trouble> {
    let path = whole(scene, "name").unwrap_or_default();
    let name = path.display().to_string();
    let mut state = scene.case.lock();
    if let Ok(known) = state.world.find(DISK, &name).cloned() {
        check_idle(&state, &known)?;
        state.change(|world| world.remove(&known.id));
    }
    let plan = Plan {
        kind: DISK.to_owned(),
        name: name.clone(),
        attributes: BTreeMap::from([(FILE.to_owned(), vec![name])]),
        made_by: scene.request.sequence,
        made_at_ms: now_ms(),
        ..Plan::default()
    };
    let disk = state.change(|world| world.make(plan).cloned())?;
    scene.note("make", &disk)?;
    if let Err(error) = fs::write(&path, content) {
        state.change(|world| world.remove(&disk.id));
        return Err(no_file(&path, &error).into());
    }
    drop(state);
    Ok(done(scene, &fields(scene, &disk, twists)))
}

/// A disk that a running machine writes to is locked.
fn check_idle(state: &CaseState, disk: &Object) -> Result<(), Refusal> {
    let mut users = state.world.users(&disk.id);
    match users.find(|user| user.state.is_up()) {
        None => Ok(()),
        Some(user) => Err(Refusal::of(reason::IN_USE, disk, &disk.name, &user.name)),
    }
}

/// Removes disks that were made here; no other file of the machine is touched.
pub(super) fn remove(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    each(scene, scene.parameters.all("name"), |name| {
        let path = scene.shim.working_directory.join(name);
        let mut state = scene.case.lock();
        let disk = found(&state, &path, name)?;
        check_idle(&state, &disk)?;
        let shown = fields(scene, &disk, twists);
        take(scene, &mut state, &disk)?;
        Ok(Some(shown))
    })
}

/// By its path, or by its file name as in a pool.
fn found(state: &CaseState, path: &Path, name: &str) -> Result<Object, Refusal> {
    let is_it = |disk: &&Object| {
        Path::new(&disk.name) == path || Path::new(&disk.name).file_name() == Some(name.as_ref())
    };
    let disk = state.world.of_kind(DISK).find(is_it);
    disk.cloned().ok_or_else(|| {
        Refusal::new(
            reason::ABSENT,
            DISK,
            name,
            "no storage vol with matching name",
        )
    })
}

/// Takes out a disk and its file.
pub(super) fn take(scene: &Scene<'_>, state: &mut CaseState, disk: &Object) -> Result<(), Trouble> {
    scene.note("remove", disk)?;
    fs::remove_file(&disk.name)?;
    state.change(|world| world.remove(&disk.id));
    Ok(())
}

/// The disks of a box.
pub(super) fn used_by(state: &CaseState, object: &Object) -> Vec<Object> {
    let is_its = |disk: &&Object| object.references.contains(&disk.id);
    state.world.of_kind(DISK).filter(is_its).cloned().collect()
}

/// Tells of a file whether it is there, and which.
pub(super) fn info(scene: &Scene<'_>, _twists: &Twists) -> Result<Answer, Trouble> {
    let path = whole(scene, "name").unwrap_or_default();
    fs::metadata(&path).map_err(|error| no_file(&path, &error))?;
    let shown = path.display().to_string();
    let output = match scene.parameters.last("format") {
        Some("json") => serde_json::json!({
            "filename": shown, "format": "qcow2", "virtual-size": 8_589_934_592_u64,
        })
        .to_string(),
        _ => format!("image: {shown}\nfile format: qcow2\nvirtual size: 8 GiB (8589934592 bytes)"),
    };
    Ok(Answer {
        output: format!("{output}\n").into_bytes(),
        ..Answer::default()
    })
}

#[cfg(test)]
mod tests {
    use super::path_of;

    #[test]
    fn a_disk_is_named_in_several_ways() {
        assert_eq!(path_of("/i/a.qcow2"), Some("/i/a.qcow2"));
        assert_eq!(path_of("path=/i/a,format=qcow2"), Some("/i/a"));
        assert_eq!(path_of("/i/a,bus=virtio"), Some("/i/a"));
        assert_eq!(path_of("size=8"), None);
    }
}
