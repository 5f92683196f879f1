//! The process of a backend.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::backend::Backend;
use crate::control;
use crate::personality::Personality;
use crate::place;
use crate::session;

/// First argument of the process.
pub(crate) const ARGUMENT: &str = "__mock-backend";

/// What the process must know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Its directory; made if it is not there, and removed at the end.
    pub(crate) root: PathBuf,
    /// Name of the personality, or path of its file.
    pub(crate) personality: String,
    /// Pass-through: the PATH with the real tools.
    pub(crate) real: Option<String>,
}

/// Becomes a backend if this process was started as one.
pub(crate) fn run_if_requested(arguments: &[OsString]) -> Option<ExitCode> {
    if arguments.get(1)?.to_str() != Some(ARGUMENT) {
        return None;
    }
    let order = arguments.get(2).and_then(|text| text.to_str());
    let begun = order
        .ok_or_else(|| "it is started by driver-conformance".to_owned())
        .and_then(|text| serde_json::from_str::<Order>(text).map_err(|error| error.to_string()))
        .and_then(|order| begin(&order));
    Some(match begun {
        Ok(backend) => {
            let status = control::status(&backend);
            tell(&serde_json::json!({ "ok": status }));
            wait_for_end();
            backend.end();
            let _left_for_the_harness = fs::remove_dir_all(&backend.root);
            ExitCode::SUCCESS
        }
        Err(problem) => {
            tell(&serde_json::json!({ "error": problem }));
            ExitCode::FAILURE
        }
    })
}

fn tell(value: &serde_json::Value) {
    let mut stdout = io::stdout().lock();
    let _nobody_there = writeln!(stdout, "{value}").and_then(|()| stdout.flush());
}

/// The harness closes standard input, also by dying.
fn wait_for_end() {
    let mut byte = [0; 64];
    let mut stdin = io::stdin().lock();
    while !matches!(stdin.read(&mut byte), Ok(0) | Err(_)) {}
}

fn begin(order: &Order) -> Result<Arc<Backend>, String> {
    let personality = Personality::find(&order.personality).map_err(|error| error.to_string())?;
    let failed = |error: io::Error| format!("{}: {error}", order.root.display());
    // The harness may be told to end by the terminal; this process ends when the harness does.
    let _leader_already = rustix::process::setsid();
    let own = rustix::process::getpid();
    rustix::process::set_child_subreaper(Some(own)).map_err(|error| error.to_string())?;
    let mut builder = fs::DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o700)
        .create(&order.root)
        .map_err(failed)?;
    let backend = Backend::begin(&order.root, personality, order.real.clone()).map_err(failed)?;
    let backend = Arc::new(backend);
    if backend.personality.http().is_some() {
        let address = crate::http::start(&backend).map_err(failed)?;
        let _only_once = backend.http.set(address);
    }
    let shims = listen(&place::shim_socket(&order.root)).map_err(failed)?;
    let control = listen(&place::control_socket(&order.root)).map_err(failed)?;
    accept(shims, &backend, session::serve).map_err(failed)?;
    accept(control, &backend, control::serve).map_err(failed)?;
    Ok(backend)
}

/// Listens on a socket, however long its path is.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let parent = fs::File::open(parent)?;
    let short = Path::new("/proc/self/fd").join(parent.as_raw_fd().to_string());
    UnixListener::bind(short.join(name))
}

type Serve = fn(&Backend, &UnixStream) -> io::Result<()>;

/// Serves each connection in a thread of its own.
fn accept(listener: UnixListener, backend: &Arc<Backend>, serve: Serve) -> io::Result<()> {
    let backend = Arc::clone(backend);
    let accepting = move || {
        for client in listener.incoming() {
            let Ok(client) = client else { continue };
            let backend = Arc::clone(&backend);
            let serving = move || {
                // A client that is gone, or does not speak properly, gets no answer.
                let _connection_broken = serve(&backend, &client);
            };
            let _no_thread_left = std::thread::Builder::new().spawn(serving);
        }
    };
    std::thread::Builder::new().spawn(accepting).map(drop)
}
