//! Where the parts of a running backend are.
//!
//! ```text
//! ROOT/shims.socket        shims talk to the backend here
//! ROOT/control.socket      the harness and people do: JSON lines
//! ROOT/ledger.jsonl        the ledger
//! ROOT/cases/TAG/bin/      links to this executable, one for each tool: first on the PATH of a case
//! ROOT/cases/TAG/boxes/    the boxes of the case
//! ROOT/cases/TAG/volumes/  its volumes
//! ```

use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Names under which this executable is never a shim.
pub(crate) const OWN_PROGRAMS: [&str; 2] = ["driver-conformance", "mock-backend"];
/// Longest path that the address of a socket holds, bytes.
const SOCKET_PATH_BYTES_MAX: usize = 107;

pub(crate) fn shim_socket(root: &Path) -> PathBuf {
    root.join("shims.socket")
}

/// The socket that belongs to a directory of shims.
pub(crate) fn shim_socket_of(directory: &Path) -> Option<PathBuf> {
    Some(shim_socket(directory.parent()?.parent()?.parent()?))
}

/// The control socket of the backend with this root directory.
pub fn control_socket(root: &Path) -> PathBuf {
    root.join("control.socket")
}

/// The ledger of the backend with this root directory.
pub fn ledger(root: &Path) -> PathBuf {
    root.join("ledger.jsonl")
}

/// The directories of a case.
pub(crate) fn case(root: &Path, tag: &str) -> PathBuf {
    root.join("cases").join(tag)
}

/// The directory that must come first on the PATH of a case.
pub fn shims(root: &Path, tag: &str) -> PathBuf {
    case(root, tag).join("bin")
}

/// The case to which a directory of shims belongs.
pub(crate) fn tag_of(directory: &Path) -> Option<&str> {
    directory.parent()?.file_name()?.to_str()
}

/// Connects to a socket, however long its path is.
pub(crate) fn connect(path: &Path) -> io::Result<UnixStream> {
    if path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
        return UnixStream::connect(path);
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::NotFound.into());
    };
    let parent = std::fs::File::open(parent)?;
    let short = Path::new("/proc/self/fd").join(parent.as_raw_fd().to_string());
    UnixStream::connect(short.join(name))
}
