//! The fixed host of a case: it is there from the beginning, no driver makes or removes it, and all jobs of the case share it.
//! What they leave on it are objects: files and directories that were not there, and processes. The call that made one is found
//! by what a real host knows as well: for a process the connection that its environment names, for a file when it came to be.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use crate::backend::{Case, Start};
use crate::box_root;
use crate::ledger::{Entry, Request};
use crate::personality::operations::Trouble;
use crate::runtime::running::Running;
use crate::runtime::world::{BOX, Object, Plan, Refusal, State, reason};
use crate::session::Scene;

/// The attribute of the box that is a fixed host.
const HOST: &str = "host";
/// The kind of a directory that is left on a fixed host.
pub const DIRECTORY: &str = "host-directory";
/// The kind of a file that is left on a fixed host.
pub const FILE: &str = "host-file";
/// The kind of a process that is left on a fixed host.
pub const PROCESS: &str = "host-process";

/// What a restart empties: in memory on a real host.
const IN_MEMORY: [&str; 2] = ["run", "tmp"];
/// Most files and directories that are looked at.
const FILES_MAX: usize = 5_000;
/// Most letters of a command line that are shown.
const COMMAND_CHARACTERS_MAX: usize = 120;
/// How long a process that was killed may take to be gone.
const DEATH_PATIENCE: Duration = Duration::from_secs(3);
/// How often it is looked for meanwhile.
const DEATH_LOOK: Duration = Duration::from_millis(10);
/// By how much the time at which a file was made may be early: the kernel notes that of its latest tick.
const TICK_MS: u64 = 10;

/// The address of all clients.
const CLIENT: &str = "10.88.0.1";
/// The port of a client is this and the number of its request, as far as there are ports.
const PORT_FIRST: u64 = 20_000;
const PORTS: u64 = 40_000;

/// Puts the host into a new case. It boots when somebody first reaches it.
pub(crate) fn provide(case: &Case, name: &str) -> io::Result<()> {
    let plan = Plan {
        kind: BOX.to_owned(),
        name: name.to_owned(),
        attributes: BTreeMap::from([(HOST.to_owned(), vec!["true".to_owned()])]),
        ..Plan::default()
    };
    let made = case
        .lock()
        .world
        .make(plan)
        .map(|object| object.id.clone())
        .map_err(|refusal| io::Error::other(refusal.to_string()))?;
    fs::create_dir_all(case.box_directory(&made))
}

/// Whether a box is a fixed host.
pub(crate) fn is_host(object: &Object) -> bool {
    object.attribute(HOST).is_some()
}

/// Starts a host that is not up, the first time or after it went down: its files are still there.
pub(crate) fn boot(scene: &Scene<'_>, id: &str) -> Result<(), Trouble> {
    let mut state = scene.case.lock();
    let object = state.world.find(BOX, id)?.clone();
    if object.state.is_up() {
        return Ok(());
    }
    let root = scene.case.box_directory(id).join("root");
    for directory in IN_MEMORY {
        match fs::remove_dir_all(root.join(directory)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    box_root::make(&root)?;
    scene.note("start", &object)?;
    let start = Start {
        object: &object,
        hostname: object.name.clone(),
        isolation: scene.backend.isolation,
        binds: Vec::new(),
        main: None,
        ready_after_polls: 0,
    };
    match scene.case.start_box(&mut state, start)? {
        Ok(()) => {}
        Err(_) => return Err(Refusal::of(reason::NOT_RUNNING, &object, id, "it is off").into()),
    }
    scene
        .case
        .host_files
        .get_or_init(|| files_in(&root).into_iter().collect());
    Ok(())
}

/// What the server tells the shell of whoever logs in.
pub(crate) fn session(request: &Request) -> Vec<String> {
    let port = PORT_FIRST + request.number % PORTS;
    [
        format!("SSH_CLIENT={CLIENT} {port} 22"),
        format!("SSH_CONNECTION={CLIENT} {port} 10.88.0.2 22"),
        "USER=root".to_owned(),
        "LOGNAME=root".to_owned(),
    ]
    .into()
}

/// What the requests of a case have left on its host, if it has one.
pub(crate) fn left(case: &Case, entries: &[Entry]) -> Vec<Object> {
    let state = case.lock();
    let Some(host) = state.world.of_kind(BOX).find(|object| is_host(object)) else {
        return Vec::new();
    };
    let host = host.clone();
    let running = state.boxes.get(&host.id).cloned();
    drop(state);
    let ran: Vec<&Entry> = entries
        .iter()
        .filter(|entry| entry.effects.iter().any(|effect| effect.id == host.id))
        .collect();
    let processes = running.map(|running| processes_that_stay(&running));
    let mut left: Vec<Object> = processes
        .into_iter()
        .flatten()
        .map(|process| process.object(&host, &ran))
        .collect();
    if let Some(before) = case.host_files.get() {
        let root = case.box_directory(&host.id).join("root");
        let new = files_in(&root).into_iter();
        let new = new.filter(|path| !before.contains(path));
        left.extend(new.filter_map(|path| file_object(&host, &root, &path, &ran)));
    }
    left
}

/// Everything that can be written on the host, as it is called there: a directory before what is in it.
fn files_in(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![PathBuf::from("/")];
    while let Some(directory) = waiting.pop() {
        let place = box_root::on_machine(root, &directory);
        for entry in fs::read_dir(place).into_iter().flatten().flatten() {
            let path = directory.join(entry.file_name());
            if box_root::is_shared(&path) || found.len() >= FILES_MAX {
                continue;
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                waiting.push(path.clone());
            }
            found.push(path);
        }
    }
    found.sort();
    found
}

fn file_object(host: &Object, root: &Path, path: &Path, ran: &[&Entry]) -> Option<Object> {
    // It may be gone meanwhile.
    let metadata = box_root::on_machine(root, path).symlink_metadata().ok()?;
    let born = metadata.created().or_else(|_| metadata.modified());
    let born = born.unwrap_or(UNIX_EPOCH).duration_since(UNIX_EPOCH);
    let born_ms = u64::try_from(born.unwrap_or_default().as_millis()).unwrap_or(u64::MAX);
    let kind = if metadata.is_dir() { DIRECTORY } else { FILE };
    let name = path.to_string_lossy().into_owned();
    let made_by = maker_of_file(path, born_ms, ran);
    Some(object(host, kind, name, made_by, born_ms))
}

fn object(host: &Object, kind: &str, name: String, made_by: u64, made_at_ms: u64) -> Object {
    Object {
        // The same path may be on the host of another case.
        id: format!("{}:{name}", host.id),
        kind: kind.to_owned(),
        name,
        state: State::Present,
        attributes: BTreeMap::new(),
        references: Vec::new(),
        made_by,
        made_at_ms,
    }
}

/// The request to which a file is put down: of those that were under way when it was made, give or take a tick, the one that names
/// most of its path, and the latest of these. What goes on after its client is dead may make files as well: then it is one that
/// had ended.
fn maker_of_file(path: &Path, born_ms: u64, ran: &[&Entry]) -> u64 {
    let begun = |entry: &&&Entry| entry.request.at_ms <= born_ms.saturating_add(TICK_MS);
    let under_way = |entry: &Entry| entry.answered_at_ms.is_none_or(|at_ms| at_ms >= born_ms);
    let named = |entry: &Entry| {
        let parts = path.components().map(Component::as_os_str);
        let parts: Vec<_> = parts.filter_map(|part| part.to_str()).collect();
        let words = &entry.request.arguments;
        let holds = |part: &&&str| words.iter().any(|word| word.contains(**part));
        parts.iter().filter(holds).count()
    };
    let rank = |entry: &&&Entry| {
        let surely_begun = entry.request.at_ms <= born_ms;
        let sequence = entry.request.sequence;
        (under_way(entry), named(entry), surely_begun, sequence)
    };
    let maker = ran.iter().filter(begun).max_by_key(rank);
    maker.map_or(0, |entry| entry.request.sequence)
}

/// A process on the host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Process {
    pid: i32,
    command: String,
    /// Its working directory, as it is called on the host.
    directory: String,
    /// The port of the client by whose connection it came, as far as its environment still tells.
    port: Option<u64>,
}

impl Process {
    /// What is known of a process that is no zombie.
    fn read(pid: i32) -> Option<Self> {
        let place = PathBuf::from(format!("/proc/{pid}"));
        let command = fs::read(place.join("cmdline")).ok()?;
        let command = words_of(&command);
        if command.is_empty() {
            return None;
        }
        let directory = fs::read_link(place.join("cwd")).unwrap_or_default();
        let environment = fs::read(place.join("environ")).unwrap_or_default();
        Some(Self {
            pid,
            command,
            directory: directory.to_string_lossy().into_owned(),
            port: port_in(&environment),
        })
    }

    fn object(self, host: &Object, ran: &[&Entry]) -> Object {
        let of_port = |entry: &&&Entry| {
            let port = PORT_FIRST + entry.request.number % PORTS;
            self.port == Some(port)
        };
        // Whoever has cleared its environment is put down to the latest that can have started it.
        let maker = ran.iter().find(of_port).or(ran.last());
        let made_by = maker.map_or(0, |entry| entry.request.sequence);
        let at_ms = maker.map_or(0, |entry| entry.request.at_ms);
        let name = format!("`{}` in {}", self.command, self.directory);
        let object = object(host, PROCESS, name, made_by, at_ms);
        Object {
            id: format!("{}:process {}", host.id, self.pid),
            ..object
        }
    }
}

/// Words that end with NUL, as a line.
fn words_of(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let words: Vec<&str> = text.split_terminator('\0').collect();
    let line = words.join(" ").replace('\n', " ");
    line.chars().take(COMMAND_CHARACTERS_MAX).collect()
}

fn port_in(environment: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(environment);
    let mut variables = text.split('\0');
    let connection = variables.find_map(|variable| variable.strip_prefix("SSH_CONNECTION="))?;
    connection.split(' ').nth(1)?.parse().ok()
}

/// The processes of the host that are no part of the mock, once those that are about to die have done so.
fn processes_that_stay(running: &Running) -> BTreeSet<Process> {
    let deadline = Instant::now() + DEATH_PATIENCE;
    loop {
        let found: BTreeSet<Process> = running
            .programs()
            .into_iter()
            .filter_map(Process::read)
            .collect();
        if found.is_empty() || Instant::now() >= deadline {
            return found;
        }
        std::thread::sleep(DEATH_LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Effect;

    fn entry(sequence: u64, at_ms: u64, answered_at_ms: Option<u64>, line: &str) -> Entry {
        Entry {
            request: Request {
                sequence,
                number: sequence,
                arguments: vec!["build-host".into(), line.into()],
                at_ms,
                ..Request::default()
            },
            effects: vec![Effect {
                what: "execute".into(),
                kind: BOX.into(),
                name: "build-host".into(),
                id: "host".into(),
            }],
            code: None,
            answered_at_ms,
        }
    }

    fn maker(path: &str, born_ms: u64, entries: &[Entry]) -> u64 {
        let ran: Vec<&Entry> = entries.iter().collect();
        maker_of_file(Path::new(path), born_ms, &ran)
    }

    #[test]
    fn a_file_is_put_down_to_the_request_that_was_under_way() {
        let entries = [
            entry(1, 1000, Some(1100), "mkdir x"),
            entry(2, 1200, Some(1300), "true"),
            entry(3, 1400, None, "make"),
        ];
        assert_eq!(maker("/srv/x", 1050, &entries), 1);
        assert_eq!(maker("/srv/x", 1195, &entries), 2, "a tick early");
        let close = [
            entry(1, 1000, Some(1100), "mkdir x"),
            entry(2, 1103, Some(1200), "true"),
        ];
        assert_eq!(maker("/srv/x", 1099, &close), 1, "rather than a tick early");
        assert_eq!(maker("/srv/x", 9000, &entries), 3, "it goes on");
        assert_eq!(maker("/srv/x", 1350, &entries), 1, "of those that ended");
        assert_eq!(maker("/srv/x", 10, &entries), 0, "before anybody came");
    }

    #[test]
    fn of_two_jobs_at_once_the_one_that_names_the_path_is_meant() {
        let entries = [
            entry(1, 1000, None, "cd /srv/ci/job-456 && make"),
            entry(2, 1010, None, "cd /srv/ci/job-789 && make"),
        ];
        assert_eq!(maker("/srv/ci/job-456/builds", 1500, &entries), 1);
        assert_eq!(maker("/srv/ci/job-789/builds", 1500, &entries), 2);
    }

    #[test]
    fn a_process_names_its_connection_and_where_it_is() {
        let host = object(
            &Object {
                id: "host".into(),
                ..blank()
            },
            BOX,
            "build-host".into(),
            0,
            0,
        );
        let entries = [entry(7, 1, None, "x"), entry(8, 2, None, "y")];
        let ran: Vec<&Entry> = entries.iter().collect();
        let mut variables = session(&entries[0].request).join("\0").into_bytes();
        variables.push(0);
        let process = Process {
            pid: 5,
            command: words_of(b"sleep\x0060\x00"),
            directory: "/srv/job-456".into(),
            port: port_in(&variables),
        };
        let left = process.clone().object(&host, &ran);
        assert_eq!(left.name, "`sleep 60` in /srv/job-456");
        assert_eq!(left.made_by, 7);
        let nameless = Process {
            port: port_in(b"HOME=/root\0"),
            ..process
        };
        assert_eq!(nameless.object(&host, &ran).made_by, 8);
    }

    fn blank() -> Object {
        Object {
            id: String::new(),
            kind: String::new(),
            name: String::new(),
            state: State::Present,
            attributes: BTreeMap::new(),
            references: Vec::new(),
            made_by: 0,
            made_at_ms: 0,
        }
    }

    #[test]
    fn files_are_found_as_they_are_called_on_the_host() {
        let root = tempfile::tempdir().expect("a directory");
        for directory in ["usr/bin", "var/lib/ci"] {
            fs::create_dir_all(root.path().join(directory)).expect("made");
        }
        fs::write(root.path().join("var/lib/ci/lock"), "").expect("written");
        let found = files_in(root.path());
        let found: Vec<_> = found.iter().filter_map(|path| path.to_str()).collect();
        assert_eq!(
            found,
            ["/var", "/var/lib", "/var/lib/ci", "/var/lib/ci/lock"],
            "what belongs to the machine is not looked at"
        );
    }
}
