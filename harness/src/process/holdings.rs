//! What a process holds open, read from `/proc`: ends of pipes, sockets it listens on.

use std::collections::HashMap;
use std::fs;
use std::ops::RangeInclusive;
use std::os::fd::AsFd;
use std::time::Duration;

use super::tree;

/// The state of a TCP socket that listens, in the tables of the kernel.
const LISTENS: &str = "0A";
/// The flag of a Unix socket that accepts connections.
const ACCEPTS: u32 = 1 << 16;

/// The number by which the kernel knows a pipe; 0 if it does not tell.
pub(super) fn pipe_number(pipe: impl AsFd) -> u64 {
    rustix::fs::fstat(pipe).map_or(0, |stat| stat.st_ino)
}

/// The descendants of a process that hold an end of a pipe, with their command lines.
pub(crate) fn holders_of_pipe(ancestor: u32, pipe: impl AsFd) -> Vec<(u32, String)> {
    let number = pipe_number(pipe);
    let Ok(ancestor) = i32::try_from(ancestor) else {
        return Vec::new();
    };
    let wanted = format!("pipe:[{number}]");
    tree::descendants(ancestor)
        .into_iter()
        .filter(|process| descriptors(process.pid).contains(&wanted))
        .map(|process| {
            let command = tree::command_line(process.pid);
            (process.pid.unsigned_abs(), command)
        })
        .collect()
}

/// A process that does not descend from the driver's calls.
pub(crate) struct DistantProcess {
    /// Its command line.
    pub(crate) command: String,
    /// Between which times it was started, since the Unix epoch.
    pub(crate) born: Option<RangeInclusive<Duration>>,
}

/// A living process; `None`: it is gone, or belongs to the kernel.
pub(crate) fn distant_process(pid: i32) -> Option<DistantProcess> {
    Some(DistantProcess {
        command: tree::living_command_line(pid)?,
        born: tree::born(pid),
    })
}

/// What a process listens on, in words. The kernel's table of sockets is long: not to be asked about each process there is.
pub(crate) fn listens_on(pid: i32) -> Vec<String> {
    of(pid, &[])
}

/// What a process holds, in words. `output` are the pipes of the call it comes from.
pub(super) fn of(pid: i32, output: &[u64]) -> Vec<String> {
    let descriptors = descriptors(pid);
    let mut holds = Vec::new();
    let is_output = |link: &String| {
        let mut numbers = output.iter().filter(|number| **number != 0);
        numbers.any(|number| *link == format!("pipe:[{number}]"))
    };
    if descriptors.iter().any(is_output) {
        holds.push("holds the output of the call".to_owned());
    }
    if descriptors.iter().any(|link| link.starts_with("socket:[")) {
        let listening = listening(pid);
        let mut places: Vec<&String> = descriptors
            .iter()
            .filter_map(|link| listening.get(link))
            .collect();
        places.sort();
        places.dedup();
        holds.extend(places.iter().map(|place| format!("listens on {place}")));
    }
    holds
}

/// Where the descriptors of a process lead: `pipe:[7]`, `socket:[8]`, `/path`.
fn descriptors(pid: i32) -> Vec<String> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .map(|target| target.to_string_lossy().into_owned())
        .collect()
}

/// The listening sockets in the network namespace of a process: `socket:[8]` and where it listens.
fn listening(pid: i32) -> HashMap<String, String> {
    let table = |name: &str| {
        let text = fs::read(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    };
    let mut found = HashMap::new();
    for name in ["tcp", "tcp6"] {
        found.extend(table(name).lines().skip(1).filter_map(tcp_listener));
    }
    found.extend(table("unix").lines().skip(1).filter_map(unix_listener));
    found
}

/// `number: local remote state … inode …`
fn tcp_listener(line: &str) -> Option<(String, String)> {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let (local, state, inode) = (columns.get(1)?, *columns.get(3)?, columns.get(9)?);
    let (_, port) = local.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    (state == LISTENS).then(|| (format!("socket:[{inode}]"), format!("TCP port {port}")))
}

/// `number: references protocol flags type state inode path`
fn unix_listener(line: &str) -> Option<(String, String)> {
    let mut columns = line.split_whitespace();
    let flags = u32::from_str_radix(columns.nth(3)?, 16).ok()?;
    let inode = columns.nth(2)?;
    let path = columns.collect::<Vec<_>>().join(" ");
    (flags & ACCEPTS != 0 && !path.is_empty()).then(|| {
        (
            format!("socket:[{inode}]"),
            format!("the unix socket {path}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn own_pid() -> i32 {
        i32::try_from(std::process::id()).expect("a process id")
    }

    #[test]
    fn sockets_that_listen_are_named() {
        let port = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a b.sock");
        let _socket = UnixListener::bind(&path).expect("bound");
        let holds = of(own_pid(), &[]);
        let number = port.local_addr().expect("bound").port();
        assert!(
            holds.contains(&format!("listens on TCP port {number}")),
            "{holds:?}"
        );
        let unix = format!("listens on the unix socket {}", path.display());
        assert!(holds.contains(&unix), "{holds:?}");
    }

    #[test]
    fn a_held_pipe_is_told_by_its_number() {
        let (read, _write) = rustix::pipe::pipe().expect("a pipe");
        let number = pipe_number(&read);
        let words = "holds the output of the call".to_owned();
        assert!(of(own_pid(), &[number]).contains(&words));
        assert!(!of(own_pid(), &[0]).contains(&words));
    }
}
