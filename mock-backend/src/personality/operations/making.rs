//! Making boxes and other objects.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::backend::{CaseState, Start, logged};
use crate::box_root;
use crate::faults::Twists;
use crate::ledger::now_ms;
use crate::protocol::Bind;
use crate::runtime::running::Execution;
use crate::runtime::world::{BOX, Object, Plan, Refusal, World, reason};
use crate::session::{Answer, Scene};

use super::shown::fields;
use super::{Trouble, disks, done, execution, removal};

/// Networks that are always there, or are none.
const NETWORKS: [&str; 9] = [
    "",
    "bridge",
    "default",
    "host",
    "none",
    "podman",
    "private",
    "pasta",
    "slirp4netns",
];
/// Parameters that become attributes of a box as they are.
pub(super) const ATTRIBUTES: [&str; 10] = [
    "image",
    "command",
    "entrypoint",
    "environment",
    "label",
    "network",
    "volume",
    "workdir",
    "hostname",
    "remove",
];
/// What a box without a command runs, so that it stays.
const IDLE: [&str; 2] = ["sleep", "infinity"];

/// Makes a box.
pub(super) fn create(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let object = make_box(scene)?;
    Ok(done(scene, &fields(scene, &object, twists)))
}

/// Makes a box and starts it. Unless detached, its main program is the tool's.
pub(super) fn run(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let object = make_box(scene)?;
    if !scene.parameters.has("detach") {
        return execution::run_main(scene, &object, twists);
    }
    start_detached(scene, &object)?;
    let state = scene.case.lock();
    let object = state.world.find(BOX, &object.id).cloned().unwrap_or(object);
    drop(state);
    Ok(done(scene, &fields(scene, &object, twists)))
}

pub(super) fn make_box(scene: &Scene<'_>) -> Result<Object, Trouble> {
    let parameters = scene.parameters;
    let mut attributes = BTreeMap::new();
    for name in ATTRIBUTES {
        if !parameters.all(name).is_empty() {
            attributes.insert(name.to_owned(), parameters.all(name).to_vec());
        }
    }
    let environment = environment(scene)?;
    attributes.insert("environment".to_owned(), environment);
    if !parameters.has("remove") {
        attributes.remove("remove");
    }
    for path in parameters.all("must-exist") {
        let path = scene.shim.working_directory.join(path);
        fs::metadata(&path).map_err(|error| no_file(&path, &error))?;
    }
    let name = parameters.last("name").unwrap_or_default().to_owned();
    let mut state = scene.case.lock();
    if parameters.has("replace") && state.world.find(BOX, &name).is_ok() {
        removal::take_out(scene, &mut state, BOX, &name)?;
    }
    state.world.check_name(BOX, &name)?;
    if let Some(image) = parameters.last("image") {
        ensure_image(scene, &mut state, image)?;
    }
    let mut references = networks(&state, parameters.all("network"))?;
    references.extend(volumes(scene, &mut state, parameters.all("volume"))?);
    references.extend(disks::of_box(scene, &state, parameters.all("disk"))?);
    let plan = Plan {
        kind: BOX.to_owned(),
        name,
        attributes,
        references,
        made_by: scene.request.sequence,
        made_at_ms: now_ms(),
    };
    let object = state.change(|world| world.make(plan).cloned())?;
    scene.note("make", &object)?;
    furnish(scene, &object)?;
    Ok(object)
}

/// Makes the file system of a box.
pub(super) fn furnish(scene: &Scene<'_>, object: &Object) -> Result<(), Trouble> {
    let root = scene.case.box_directory(&object.id).join("root");
    box_root::make(&root)?;
    box_root::furnish(&root, scene.backend.personality.guest().iter())?;
    Ok(())
}

/// `NAME=value`; a bare `NAME` is taken from the caller's environment if it is there; and what is in files.
pub(super) fn environment(scene: &Scene<'_>) -> Result<Vec<String>, Trouble> {
    let mut found = Vec::new();
    let mut words = Vec::new();
    for path in scene.parameters.all("environment-file") {
        let path = scene.shim.working_directory.join(path);
        let text = fs::read_to_string(&path).map_err(|error| no_file(&path, &error))?;
        let lines = text.lines().map(str::trim);
        words.extend(
            lines
                .filter(|line| !line.is_empty() && !line.starts_with('#'))
                .map(str::to_owned),
        );
    }
    words.extend_from_slice(scene.parameters.all("environment"));
    for word in words {
        if word.contains('=') {
            found.push(word);
            continue;
        }
        let own = scene
            .shim
            .environment
            .iter()
            .find(|(name, _)| *name == word);
        found.extend(own.map(|(name, value)| format!("{name}={value}")));
    }
    Ok(found)
}

/// Says as tools do that a file of the machine cannot be used.
pub(super) fn no_file(path: &Path, error: &std::io::Error) -> Refusal {
    let problem = match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    };
    Refusal::new(
        reason::NO_FILE,
        "file",
        &path.display().to_string(),
        &problem,
    )
}

/// The image of a box; one that is not there is fetched, as tools do.
fn ensure_image(scene: &Scene<'_>, state: &mut CaseState, name: &str) -> Result<Object, Trouble> {
    if name.is_empty() {
        return Err(Refusal::new(reason::ABSENT, "image", name, "invalid reference format").into());
    }
    if let Ok(image) = state.world.find("image", name) {
        return Ok(image.clone());
    }
    let plan = Plan {
        kind: "image".to_owned(),
        name: name.to_owned(),
        made_by: scene.request.sequence,
        made_at_ms: now_ms(),
        ..Plan::default()
    };
    let image = state.change(|world| world.make(plan).cloned())?;
    scene.note("make", &image)?;
    Ok(image)
}

/// Fetches an image.
pub(super) fn pull(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let name = scene.parameters.last("name").unwrap_or_default();
    let mut state = scene.case.lock();
    let image = ensure_image(scene, &mut state, name)?;
    drop(state);
    Ok(done(scene, &fields(scene, &image, twists)))
}

fn networks(state: &CaseState, names: &[String]) -> Result<Vec<String>, Refusal> {
    let mut found = Vec::new();
    for name in names.iter().flat_map(|names| names.split(',')) {
        let plain = name.split(':').next().unwrap_or_default();
        match name.strip_prefix("container:") {
            Some(other) => found.push(state.world.find(BOX, other)?.id.clone()),
            None if NETWORKS.contains(&plain) => {}
            None => found.push(state.world.find("network", plain)?.id.clone()),
        }
    }
    Ok(found)
}

/// The volumes that are mounted by name; one that is not there is made, as tools do.
fn volumes(
    scene: &Scene<'_>,
    state: &mut CaseState,
    words: &[String],
) -> Result<Vec<String>, Trouble> {
    let mut found = Vec::new();
    for word in words {
        let (source, _) = word.split_once(':').unwrap_or((word, ""));
        if source.starts_with(['/', '.']) {
            let path = scene.shim.working_directory.join(source);
            fs::metadata(&path).map_err(|error| no_file(&path, &error))?;
            continue;
        }
        let volume = match state.world.find("volume", source) {
            Ok(volume) => volume.clone(),
            Err(_) => make_object(scene, state, "volume", source)?,
        };
        found.push(volume.id);
    }
    Ok(found)
}

/// Makes an object that is no box.
pub(super) fn object(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let mut state = scene.case.lock();
    let name = scene.parameters.last("name").unwrap_or_default();
    if scene.parameters.has("ignore")
        && let Ok(known) = state.world.find(&scene.verb.kind, name)
    {
        return Ok(done(scene, &fields(scene, known, twists)));
    }
    let object = make_object(scene, &mut state, &scene.verb.kind, name)?;
    Ok(done(scene, &fields(scene, &object, twists)))
}

fn make_object(
    scene: &Scene<'_>,
    state: &mut CaseState,
    kind: &str,
    name: &str,
) -> Result<Object, Trouble> {
    let labels = scene.parameters.all("label").to_vec();
    let plan = Plan {
        kind: kind.to_owned(),
        name: name.to_owned(),
        attributes: BTreeMap::from([("label".to_owned(), labels)]),
        made_by: scene.request.sequence,
        made_at_ms: now_ms(),
        ..Plan::default()
    };
    let object = state.change(|world| world.make(plan).cloned())?;
    scene.note("make", &object)?;
    if kind == "volume" {
        fs::create_dir_all(scene.case.volume_directory(&object.id))?;
    }
    Ok(object)
}

/// Starts a box whose output goes to its log.
pub(super) fn start_detached(scene: &Scene<'_>, object: &Object) -> Result<(), Trouble> {
    let log = scene.case.box_directory(&object.id).join("log");
    start(scene, object, logged(&log)?)
}

/// Starts a box with the given streams for its main program.
pub(super) fn start(
    scene: &Scene<'_>,
    object: &Object,
    streams: [std::os::fd::OwnedFd; 3],
) -> Result<(), Trouble> {
    let mut state = scene.case.lock();
    let object = state.world.find(BOX, &object.id)?.clone();
    if object.state.is_up() {
        return Ok(());
    }
    scene.note("start", &object)?;
    let execution = main_program(scene, &object);
    let program = execution.argv.first().cloned().unwrap_or_default();
    let hostname = object
        .attribute("hostname")
        .unwrap_or(&object.id[..12])
        .to_owned();
    let binds = binds(scene, &state.world, &object);
    let started = scene.case.start_box(
        &mut state,
        Start {
            object: &object,
            hostname,
            isolation: scene.backend.isolation,
            binds,
            main: Some((execution, streams)),
            ready_after_polls: scene.backend.personality.ready_after_polls(),
        },
    )?;
    drop(state);
    scene.case.notify();
    match started {
        Ok(()) => Ok(()),
        Err(errno) => Err(execution::not_started(&object, &program, errno).into()),
    }
}

fn main_program(scene: &Scene<'_>, object: &Object) -> Execution {
    let all = |name: &str| object.attributes.get(name).map_or(&[][..], Vec::as_slice);
    let mut argv: Vec<String> = all("entrypoint").to_vec();
    argv.extend_from_slice(all("command"));
    if argv.is_empty() {
        argv = IDLE.map(str::to_owned).into();
    }
    Execution {
        argv,
        environment: execution::whole_environment(scene, all("environment")),
        directory: PathBuf::from(object.attribute("workdir").unwrap_or("/")),
    }
}

/// What `SOURCE:TARGET[:OPTIONS]` shows in a box.
fn binds(scene: &Scene<'_>, world: &World, object: &Object) -> Vec<Bind> {
    let words = object.attributes.get("volume").into_iter().flatten();
    let bind = |word: &String| {
        let mut parts = word.splitn(3, ':');
        let (source, target) = (parts.next()?, parts.next()?);
        let options = parts.next().unwrap_or_default();
        let source = if source.starts_with(['/', '.']) {
            scene.shim.working_directory.join(source)
        } else {
            let volume = world.find("volume", source).ok()?;
            scene.case.volume_directory(&volume.id)
        };
        Some(Bind {
            source,
            target: PathBuf::from(target),
            read_only: options.split(',').any(|option| option == "ro"),
        })
    };
    words.filter_map(bind).collect()
}
