//! The mounts of this mount namespace, and taking away those that a driver left below a directory of ours.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::mount::{UnmountFlags, unmount};

use crate::process::wait_ready;

/// Where the kernel lists them.
const TABLE: &str = "/proc/self/mountinfo";
/// Most rounds of unmounting: mounts may be stacked on one place, but not for ever.
const ROUNDS_MAX: usize = 64;
/// Programs that unmount a FUSE file system for a user without privileges.
const FUSE_TOOLS: [&str; 2] = ["fusermount3", "fusermount"];

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// The kernel's number, unique while it is mounted.
    pub(crate) id: u64,
    /// What of the file system is mounted: `/` or a part of it, or `net:[4026531840]` of nsfs.
    pub(crate) root: String,
    /// Where.
    pub(crate) point: PathBuf,
    /// Type of the file system.
    pub(crate) kind: String,
    /// Device, or whatever was given instead.
    pub(crate) source: String,
    /// Options of the file system, in which an overlay names its directories.
    pub(crate) options: String,
}

impl Mount {
    /// Whether it keeps a network namespace alive.
    pub(crate) fn is_network_namespace(&self) -> bool {
        self.kind == "nsfs" && self.root.starts_with("net:[")
    }
}

/// Reads the table of mounts.
pub(crate) fn read() -> io::Result<Vec<Mount>> {
    let text = std::fs::read(TABLE)?;
    Ok(parse(&String::from_utf8_lossy(&text)))
}

/// The table kept open: the kernel then says by `poll` that it has changed, which spares reading it.
#[derive(Debug, Default)]
pub(crate) struct WatchedTable {
    file: Option<File>,
}

impl WatchedTable {
    /// Whether it may have changed since it was read or asked.
    pub(crate) fn may_have_changed(&mut self) -> bool {
        let Some(file) = &self.file else {
            return true;
        };
        let mut watched = [PollFd::new(file, PollFlags::PRI)];
        let asked = wait_ready(&mut watched, Some(Duration::ZERO));
        asked.is_err() || watched[0].revents().contains(PollFlags::PRI)
    }

    /// Reads it.
    pub(crate) fn read(&mut self) -> io::Result<Vec<Mount>> {
        if self.file.is_none() {
            self.file = File::open(TABLE).ok();
        }
        read()
    }
}

/// `36 35 98:0 /root /point options [fields …] - kind source super-options`
pub(crate) fn parse(text: &str) -> Vec<Mount> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Mount> {
    let (place, system) = line.split_once(" - ")?;
    let mut place = place.split(' ');
    let id = place.next()?.parse().ok()?;
    let root = unescaped(place.nth(2)?);
    let point = PathBuf::from(unescaped(place.next()?));
    let mut system = system.split(' ');
    Some(Mount {
        id,
        root,
        point,
        kind: system.next()?.to_owned(),
        source: unescaped(system.next()?),
        options: unescaped(system.next().unwrap_or_default()),
    })
}

/// The kernel writes blanks, tabs, line ends and backslashes as `\040` and the like.
fn unescaped(text: &str) -> String {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let code = tail
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(byte) => {
                plain.push(byte);
                rest = &tail[3..];
            }
            None => plain.push(*first),
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// The places below `directory` (and itself) where something is mounted, the innermost and latest first.
pub(crate) fn points_below(mounts: &[Mount], directory: &Path) -> Vec<PathBuf> {
    let inside = mounts
        .iter()
        .rev()
        .filter(|mount| mount.point.starts_with(directory));
    let mut points: Vec<PathBuf> = inside.map(|mount| mount.point.clone()).collect();
    points.sort_by_key(|point| std::cmp::Reverse(point.components().count()));
    points
}

/// Whether something is mounted below a directory. If that cannot be told, yes: the question is asked before removing.
pub(crate) fn is_mounted_below(directory: &Path) -> bool {
    let directory = resolved(directory);
    read().map_or(true, |mounts| !points_below(&mounts, &directory).is_empty())
}

/// Unmounts everything below a directory; what stays mounted makes it fail.
fn unmount_below(directory: &Path) -> io::Result<()> {
    let directory = resolved(directory);
    for _ in 0..ROUNDS_MAX {
        let mounts = read()?;
        let points = points_below(&mounts, &directory);
        let Some(point) = points.first() else {
            return Ok(());
        };
        let mount = mounts.iter().rfind(|mount| &mount.point == point);
        let is_fuse = mount.is_some_and(|mount| mount.kind.starts_with("fuse"));
        // Lazily: whatever still uses it must not keep the directory.
        let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
        match unmount(point, flags) {
            Ok(()) => {}
            Err(_) if is_fuse && unmount_fuse(point) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(io::Error::other("mounts keep coming"))
}

fn unmount_fuse(point: &Path) -> bool {
    FUSE_TOOLS.iter().any(|tool| {
        let mut command = Command::new(tool);
        command.args(["-u", "-z", "--"]).arg(point);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let status = command.stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    })
}

/// Takes away what a driver mounted below one of our own directories, so that the directory can be removed. Where that is
/// not possible, it fails, and the directory must not be removed: what is mounted may be a directory of the machine, and
/// would be emptied.
pub(crate) fn free_for_removal(directory: &Path) -> io::Result<()> {
    if is_mounted_below(directory) {
        unmount_below(directory)
    } else {
        Ok(())
    }
}

/// The kernel lists places without symbolic links in them.
fn resolved(directory: &Path) -> PathBuf {
    directory
        .canonicalize()
        .unwrap_or_else(|_| directory.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE_TEXT: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
40 27 0:50 / /case/home/a\\040b rw,relatime shared:7 - tmpfs none rw,size=64k
41 40 0:4 net:[4026532288] /case/netns/box rw - nsfs nsfs rw
42 27 0:51 / /caseother rw - overlay overlay rw,lowerdir=/l,upperdir=/case/u
43 40 0:52 / /case/home/a\\040b/deep rw - tmpfs none rw
44 40 0:53 / /case/home/a\\040b/deep rw - tmpfs none rw
cut line";

    #[test]
    fn the_table_is_read_with_optional_fields_and_escapes() {
        let mounts = parse(TABLE_TEXT);
        assert_eq!(mounts.len(), 6);
        assert_eq!(mounts[1].point, Path::new("/case/home/a b"));
        assert_eq!((mounts[1].id, mounts[1].kind.as_str()), (40, "tmpfs"));
        assert!(mounts[2].is_network_namespace());
        assert!(!mounts[1].is_network_namespace());
        assert!(mounts[3].options.ends_with("upperdir=/case/u"));
    }

    #[test]
    fn the_innermost_comes_first_and_a_stacked_one_twice() {
        let points = points_below(&parse(TABLE_TEXT), Path::new("/case"));
        let deep = Path::new("/case/home/a b/deep");
        assert_eq!(points[..2], [deep, deep]);
        assert_eq!(points.len(), 4);
    }

    #[test]
    fn a_lone_backslash_stays() {
        assert_eq!(unescaped("a\\"), "a\\");
        assert_eq!(unescaped("a\\x40"), "a\\x40");
        assert_eq!(unescaped("\\134\\012"), "\\\n");
    }

    #[test]
    fn a_directory_without_mounts_is_free() {
        let directory = tempfile::tempdir().expect("a directory");
        assert!(!is_mounted_below(directory.path()));
        free_for_removal(directory.path()).expect("nothing is mounted there");
    }
}
