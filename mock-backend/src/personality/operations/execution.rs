//! Running programs in boxes.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::backend::KILLED;
use crate::box_root;
use crate::faults::Twists;
use crate::protocol::{Reply, Status};
use crate::runtime::running::{Execution, Program, StatusLines, null};
use crate::runtime::world::{BOX, Object, Refusal, State, reason};
use crate::session::{Answer, Scene};
use crate::wire;

use super::shown::fields;
use super::{Trouble, done, making, removal};

/// PATH of a box, before what the backend itself has.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Bytes of output that are dropped at once when nobody reads it any more.
const DROP_BYTES: usize = 64 * 1024;

/// The environment of a program: what every box has, what the personality adds, what the caller asks for.
pub(super) fn whole_environment(scene: &Scene<'_>, asked: &[String]) -> Vec<(String, String)> {
    let mut all = BTreeMap::new();
    let guest = if scene.backend.personality.guest().is_empty() {
        String::new()
    } else {
        format!("/{}:", box_root::GUEST)
    };
    all.insert("PATH".to_owned(), guest + &path());
    all.insert("HOME".to_owned(), "/root".to_owned());
    all.extend(scene.backend.personality.environment().clone());
    let pairs = asked.iter().filter_map(|item| item.split_once('='));
    all.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
    all.into_iter().collect()
}

/// The usual places, and where the machine has its programs beside these.
fn path() -> String {
    let own = std::env::var("PATH").unwrap_or_default();
    let known: Vec<&str> = PATH.split(':').collect();
    let more = own
        .split(':')
        .filter(|place| place.starts_with('/') && !known.contains(place));
    let all: Vec<&str> = known.iter().copied().chain(more).collect();
    all.join(":")
}

/// Why a program was not started.
pub(super) fn not_started(object: &Object, program: &str, errno: i32) -> Refusal {
    let (reason, problem) = match Errno::from_raw_os_error(errno) {
        Errno::NOENT => (reason::NOT_FOUND_IN_BOX, "No such file or directory"),
        _ => (reason::NOT_EXECUTABLE, "Permission denied"),
    };
    let mut refusal = Refusal::of(reason, object, program, problem);
    program.clone_into(&mut refusal.name);
    refusal
}

/// Runs a program in a box that runs.
pub(super) fn execute(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let name = scene.parameters.last("name").unwrap_or_default();
    let argv = scene.parameters.all("command").to_vec();
    execute_as(scene, twists, name, argv, &[])
}

/// The same for a program that the words of the caller do not name as it is, with variables that the way into the box sets.
pub(super) fn execute_as(
    scene: &Scene<'_>,
    twists: &Twists,
    name: &str,
    argv: Vec<String>,
    of_session: &[String],
) -> Result<Answer, Trouble> {
    let parameters = scene.parameters;
    let asked = making::environment(scene)?;
    let mut state = scene.case.lock();
    let id = state.world.find(BOX, name)?.id.clone();
    let now = state.world.poll(&id);
    let object = state.world.find(BOX, &id)?.clone();
    match now {
        Some(State::Running) => {}
        Some(State::Starting { .. }) => {
            return Err(Refusal::of(reason::NOT_READY, &object, name, "it is not ready").into());
        }
        _ => return Err(Refusal::of(reason::NOT_RUNNING, &object, name, "it does not run").into()),
    }
    let Some(running) = state.boxes.get(&id).cloned() else {
        return Err(Refusal::of(reason::NOT_RUNNING, &object, name, "it does not run").into());
    };
    drop(state);
    scene.note("execute", &object)?;
    let of_box = object
        .attributes
        .get("environment")
        .cloned()
        .unwrap_or_default();
    let environment = whole_environment(scene, &[&of_box, &asked, of_session].concat());
    let own = object.attribute("workdir").unwrap_or("/");
    let execution = Execution {
        argv,
        environment,
        directory: PathBuf::from(parameters.last("workdir").unwrap_or(own)),
    };
    let program = execution.argv.first().cloned().unwrap_or_default();
    let reads = parameters.has("stdin") && !parameters.has("no-stdin");
    let streams = Streams::new(reads)?;
    let started = running.execute(execution, streams.there);
    let Ok(started) = started.and_then(Program::started) else {
        // It ended just now.
        return Err(Refusal::of(reason::NOT_RUNNING, &object, name, "it does not run").into());
    };
    match started {
        (Ok(()), lines) if parameters.has("detach") => {
            drop(lines);
            Ok(done(scene, &fields(scene, &object, twists)))
        }
        (Ok(()), lines) => match proxy(scene, streams.here, lines)? {
            Some(code) => Ok(Answer {
                code: parameters.number("code").unwrap_or(code),
                ..Answer::default()
            }),
            None => Err(Refusal::of(reason::DIED, &object, name, "it has ended").into()),
        },
        (Err(errno), _) => Err(not_started(&object, &program, errno).into()),
    }
}

/// Runs a program in a box as its main one: for tools whose boxes have processes only as long as a program runs in them.
pub(super) fn foreground(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let parameters = scene.parameters;
    let name = parameters.last("name").unwrap_or_default();
    let environment = making::environment(scene)?;
    let mut state = scene.case.lock();
    if state.world.find(BOX, name).is_err() && state.world.find("image", name).is_ok() {
        let text = format!("{} of an image, without a container", scene.verb.name());
        return Err(Trouble::NotEmulated(text));
    }
    let object = state.world.find(BOX, name)?.clone();
    if object.state.is_up() {
        drop(state);
        return execute(scene, twists);
    }
    // What the caller says holds for this run.
    state.change(|world| {
        world.change(&object.id, |object| {
            for name in making::ATTRIBUTES {
                let values = parameters.all(name);
                if !values.is_empty() {
                    object.attributes.insert(name.to_owned(), values.to_vec());
                }
            }
            object
                .attributes
                .insert("environment".to_owned(), environment);
        });
    });
    drop(state);
    run_main(scene, &object, twists)
}

/// Starts a box whose main program's streams are those of the tool, and ends with its code.
pub(super) fn run_main(
    scene: &Scene<'_>,
    object: &Object,
    _twists: &Twists,
) -> Result<Answer, Trouble> {
    scene.case.lock().codes.remove(&object.id);
    let streams = Streams::new(scene.parameters.has("stdin"))?;
    let [output, errors, input] = streams.here;
    if let Err(trouble) = making::start(scene, object, streams.there) {
        if object.attribute("remove").is_some() {
            removal::take_out(scene, &mut scene.case.lock(), BOX, &object.id)?;
        }
        return Err(trouble);
    }
    let outputs = attach(scene, [output, errors, input]);
    let mut state = scene.case.lock();
    while !state.codes.contains_key(&object.id)
        && state.boxes.contains_key(&object.id)
        && !scene.client_leaves_within(Duration::ZERO, || false)
    {
        state = scene.case.wait(state, WAIT_STEP);
    }
    let code = state.codes.get(&object.id).copied();
    if code.is_none() && scene.parameters.has("attached") {
        // No server stands between the tool and its program: they end together.
        state.end_box(scene.case, &object.id, KILLED);
    }
    drop(state);
    // If nobody is there any more, the program goes on. Else the output is the tool's alone, which may still be copying.
    if code.is_none() {
        drop_output(outputs)?;
    }
    Ok(Answer {
        code: code.unwrap_or(KILLED),
        ..Answer::default()
    })
}

/// How often a wait for the end of a box looks whether somebody still waits.
const WAIT_STEP: Duration = Duration::from_millis(100);

/// The two sides of a program's streams.
struct Streams {
    /// Output, error output, and input if there is one.
    here: [Option<OwnedFd>; 3],
    /// Input, output, error output.
    there: [OwnedFd; 3],
}

impl Streams {
    fn new(stdin: bool) -> io::Result<Self> {
        let (output, output_there) = pipe_with(PipeFlags::CLOEXEC)?;
        let (errors, errors_there) = pipe_with(PipeFlags::CLOEXEC)?;
        let (input_there, input) = if stdin {
            let (there, here) = pipe_with(PipeFlags::CLOEXEC)?;
            (there, Some(here))
        } else {
            (null(false)?, None)
        };
        Ok(Self {
            here: [Some(output), Some(errors), input],
            there: [input_there, output_there, errors_there],
        })
    }
}

/// Gives the pipes to the shim. Returns copies of those that a program writes into.
fn attach(scene: &Scene<'_>, here: [Option<OwnedFd>; 3]) -> [Option<OwnedFd>; 2] {
    let [output, errors, input] = here;
    let stdin = input.is_some();
    let passed: Vec<BorrowedFd<'_>> = [&output, &errors, &input]
        .into_iter()
        .flatten()
        .map(AsFd::as_fd)
        .collect();
    // A shim that was killed meanwhile takes nothing along: whoever waits for the program notices.
    let _gone_already = wire::send(scene.client.as_fd(), &Reply::Proxy { stdin }, b"", &passed);
    drop(input);
    [output, errors]
}

/// Lets the shim copy the streams of a program until it has ended. If the shim is killed, its input ends, its output is
/// read by nobody, and it goes on. `None`: the box has ended, in the tools that tell that from an ending of the program.
fn proxy(
    scene: &Scene<'_>,
    here: [Option<OwnedFd>; 3],
    mut lines: StatusLines,
) -> Result<Option<i32>, Trouble> {
    let tells_death = scene.verb.refusals.contains_key(reason::DIED);
    let outputs = attach(scene, here);
    loop {
        let mut watched = [
            PollFd::new(lines.pipe(), PollFlags::IN),
            PollFd::new(scene.client, PollFlags::RDHUP),
        ];
        match poll(&mut watched, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(io::Error::from(errno).into()),
        }
        if !watched[0].revents().is_empty() {
            let status = lines.next()?;
            return Ok(match status {
                Some(Status::Exited(code)) => Some(code),
                _ if tells_death => None,
                status => Some(status.and_then(Status::code).unwrap_or(KILLED)),
            });
        }
        if !watched[1].revents().is_empty() {
            drop_output(outputs)?;
            return Ok(Some(KILLED));
        }
    }
}

/// Reads what a program prints and drops it, in a thread of its own, so that it does not wait for a reader.
fn drop_output(outputs: [Option<OwnedFd>; 2]) -> io::Result<()> {
    for output in outputs.into_iter().flatten() {
        std::thread::Builder::new().spawn(move || {
            let mut buffer = vec![0; DROP_BYTES];
            while rustix::io::read(&output, &mut buffer).is_ok_and(|count| count > 0) {}
        })?;
    }
    Ok(())
}
