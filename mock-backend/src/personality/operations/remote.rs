//! Reaching boxes over the network, as `ssh` and its relatives do: by address or name, with or without a user.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::faults::Twists;
use crate::host;
use crate::runtime::world::{BOX, Object, Refusal, World, reason};
use crate::session::{Answer, Scene};

use super::copying::{self, Side};
use super::shown::lasting_address;
use super::{Trouble, done, execution};
use crate::personality::text::Fields;

/// Where whoever logs in is.
const HOME: &str = "/root";
/// The shell of those who log in, and what stands in for it where the machine has none.
const SHELLS: [&str; 2] = ["/bin/bash", "/bin/sh"];

/// What runs a program that can make files and remove them, but write nothing into them.
const FULL_DISK: [&str; 4] = ["sh", "-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh"];

/// `USER@HOST`, `ssh://USER@HOST:PORT`: who, and where.
fn taken_apart(destination: &str) -> (Option<&str>, &str) {
    let plain = destination.strip_prefix("ssh://");
    let (user, host) = match plain.unwrap_or(destination).rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, plain.unwrap_or(destination)),
    };
    let port = plain.and_then(|_| host.split_once(':'));
    (user, port.map_or(host, |(host, _)| host))
}

/// The box at a place of the network.
pub(crate) fn box_at(world: &World, destination: &str) -> Option<Object> {
    let (_, host) = taken_apart(destination);
    let is_there = |object: &&Object| {
        object.name == host
            || object.attribute("hostname") == Some(host)
            || lasting_address(object) == host
    };
    world.of_kind(BOX).find(is_there).cloned()
}

/// The box that somebody wants to reach, if it is there and up. A fixed host that went down is up again.
fn reached(scene: &Scene<'_>, destination: &str) -> Result<Object, Trouble> {
    let (_, host) = taken_apart(destination);
    let mut state = scene.case.lock();
    if let Some(object) = box_at(&state.world, destination).filter(host::is_host) {
        drop(state);
        host::boot(scene, &object.id)?;
        return Ok(object);
    }
    let Some(object) = box_at(&state.world, destination) else {
        let is_address = host.parse::<std::net::IpAddr>().is_ok();
        let (why, message) = if is_address {
            (reason::NOT_RUNNING, "No route to host")
        } else {
            (reason::ABSENT, "Name or service not known")
        };
        return Err(Refusal::new(why, "host", host, message).into());
    };
    match state.world.poll(&object.id) {
        Some(now) if !now.is_up() => {
            let message = "No route to host";
            Err(Refusal::of(reason::NOT_RUNNING, &object, host, message).into())
        }
        _ => Ok(object),
    }
}

/// Runs a command by the shell of whoever logs in; without a command, the shell itself.
pub(super) fn shell(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let parameters = scene.parameters;
    let destination = parameters.last("destination").unwrap_or_default();
    let object = reached(scene, destination)?;
    if let Some(request) = parameters.last("control") {
        return Ok(about_master(request));
    }
    let there = SHELLS.into_iter().find(|shell| Path::new(shell).exists());
    let mut argv = vec![there.unwrap_or("sh").to_owned()];
    let command = parameters.all("command");
    if !command.is_empty() && parameters.has("no-shell") {
        argv = command.to_vec();
    } else if !command.is_empty() {
        argv.extend(["-c".to_owned(), command.join(" ")]);
    }
    if twists.disk_full && host::is_host(&object) {
        argv.splice(0..0, FULL_DISK.map(str::to_owned));
    }
    let of_session = host::session(scene.request);
    execution::execute_as(scene, twists, &object.id, argv, &of_session)
}

/// What `ssh -O REQUEST` says of a connection that others share: it is there, and goes if that is asked.
fn about_master(request: &str) -> Answer {
    let told = match request {
        "check" => "Master running (pid=1)\r\n".to_owned(),
        "exit" => "Exit request sent.\r\n".to_owned(),
        "stop" => "Stop listening request sent.\r\n".to_owned(),
        _ => String::new(),
    };
    Answer {
        errors: told.into_bytes(),
        ..Answer::default()
    }
}

/// `SOURCE… TARGET`, each of them `[USER@]HOST:PATH` or a path of this machine.
pub(super) fn copy(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let paths = scene.parameters.all("path");
    let Some((target, sources)) = paths
        .split_last()
        .filter(|(_, sources)| !sources.is_empty())
    else {
        let answer = scene
            .backend
            .personality
            .failure(scene.tool(), "not enough arguments");
        return Ok(answer.into());
    };
    for source in sources {
        copying::between(scene, &side(scene, source)?, &side(scene, target)?, twists)?;
    }
    Ok(Answer::default())
}

fn side(scene: &Scene<'_>, word: &str) -> Result<Side, Trouble> {
    match word.split_once(':') {
        Some((destination, path)) if !destination.contains('/') => {
            let object = reached(scene, destination)?;
            Ok(Side::Box(object, Path::new(HOME).join(path)))
        }
        _ => Ok(Side::Machine(scene.shim.working_directory.join(word))),
    }
}

/// Writes a pair of key files that are none; as the real tool, not over others. Or forgets a host, of which nothing is
/// ever noted.
pub(super) fn key(scene: &Scene<'_>, _twists: &Twists) -> Result<Answer, Trouble> {
    if let Some(host) = scene.parameters.last("forget") {
        return Ok(Answer {
            errors: format!("Host {host} not found in known_hosts\n").into_bytes(),
            ..Answer::default()
        });
    }
    let Some(path) = scene.parameters.last("file") else {
        return Err(Trouble::NotEmulated(
            "a key in the place of the user's own".to_owned(),
        ));
    };
    let path = scene.shim.working_directory.join(path);
    let shown = path.display().to_string();
    let public = PathBuf::from(format!("{shown}.pub"));
    let written = write(&path, 0o600, "-----BEGIN OPENSSH PRIVATE KEY-----\n")
        .and_then(|()| write(&public, 0o644, "ssh-ed25519 AAAA mock-backend\n"));
    match written {
        Ok(()) => {
            let fields = Fields::from([("given".to_owned(), shown)]);
            Ok(done(scene, &fields))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(Refusal::new(reason::NAME_IN_USE, "file", &shown, "it exists").into())
        }
        Err(error) => Err(super::making::no_file(&path, &error).into()),
    }
}

fn write(path: &Path, mode: u32, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::taken_apart;

    #[test]
    fn destinations_are_taken_apart() {
        assert_eq!(taken_apart("10.0.0.1"), (None, "10.0.0.1"));
        assert_eq!(taken_apart("ci@vm"), (Some("ci"), "vm"));
        assert_eq!(taken_apart("ssh://ci@vm:22"), (Some("ci"), "vm"));
        assert_eq!(taken_apart("ci@"), (Some("ci"), ""));
    }
}
