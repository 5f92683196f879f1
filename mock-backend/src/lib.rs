//! A backend that lives on the test machine, keeps a ledger, and can be broken at every call.
//!
//! A driver calls the tool of its backend, say `podman`. First on its PATH is a link of that name to this executable, a
//! *shim*, which sends its arguments to the *backend*, a process of its own. There a *personality* (a TOML file) says
//! what they mean; the *runtime* does it with *boxes*, which are processes in namespaces with a root directory of their
//! own, and with networks, volumes and images, which are names; *faults* break it. All that is asked and done is in the
//! *ledger*, with the call of the driver that asked.
//!
//! | module | what it is |
//! |---|---|
//! | `shim`, `wire`, `protocol` | the shim, and what it and the backend say to each other |
//! | `serve`, `session`, `control` | the process of the backend; one request; the control socket |
//! | `http` | the HTTP API, for personalities with routes |
//! | `backend`, `runtime` | cases, objects and their processes |
//! | `host` | the fixed host of a case, and what is left on it |
//! | `box_init`, `box_root` | the first process of a box, and its file system |
//! | `personality` | which tool the shims are |
//! | `pass_through` | the real tool in its place |
//! | [`faults`] | what can be broken, one file each |
//! | [`ledger`] | what was asked and done |
//! | [`client`] | the harness's side |

mod backend;
mod box_init;
mod box_root;
pub mod client;
pub mod control;
pub mod faults;
mod host;
mod http;
pub mod ledger;
mod pass_through;
mod personality;
pub mod place;
mod protocol;
mod runtime;
mod serve;
mod session;
mod shim;
mod wire;

use std::process::ExitCode;

pub use host::{DIRECTORY as HOST_DIRECTORY, FILE as HOST_FILE, PROCESS as HOST_PROCESS};
pub use http::TOOL as HTTP_TOOL;
pub use personality::{Personality, PersonalityError};
pub use protocol::Isolation;
pub use runtime::world::{BOX, Object, State};

/// Becomes a shim, a box or a backend if this process was started as one; returns its exit code then. Must be called first
/// thing in `main`: a shim has little time.
pub fn run_if_requested() -> Option<ExitCode> {
    let arguments: Vec<_> = std::env::args_os().take(3).collect();
    box_init::run_if_requested(&arguments)
        .or_else(|| serve::run_if_requested(&arguments))
        .or_else(shim::run_if_requested)
}
