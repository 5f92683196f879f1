//! The control socket: a line of JSON in, a line of JSON out.
//!
//! ```text
//! {"do":"open-case","tag":"mine"}
//! {"ok":{"shims":"/tmp/…/cases/mine/bin"}}
//! {"do":"arm","fault":{"kind":"hang","trigger":{"verb":"run"}}}
//! {"ok":{"fault":1}}
//! {"do":"disarm"}
//! {"ok":{}}
//! ```

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::backend::Backend;
use crate::faults::Fault;
use crate::host;
use crate::ledger::{Caller, now_ms};
use crate::place;
use crate::protocol::Isolation;
use crate::runtime::world::{BOX, Object, Plan, RECORD, State};

/// What can be asked over the control socket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Command {
    /// Say what this backend is.
    Status,
    /// Open a case: make its directory of shims.
    OpenCase {
        /// Its name: letters, digits, `-`, `_`, `.`.
        tag: String,
    },
    /// Put an object of somebody else into a case.
    Seed {
        /// The case.
        tag: String,
        /// Kind of the object.
        kind: String,
        /// Its name.
        name: String,
    },
    /// A call of the driver is about to be started.
    CallStarts {
        /// The case.
        tag: String,
        /// What is known of it; the process is not yet.
        caller: Caller,
    },
    /// It was started.
    CallStarted {
        /// The case.
        tag: String,
        /// Its number.
        call: u64,
        /// Its process and process group.
        process: i32,
    },
    /// It has ended, or was not started.
    CallEnded {
        /// The case.
        tag: String,
        /// Its number.
        call: u64,
    },
    /// Say what is in a case.
    Case {
        /// The case.
        tag: String,
    },
    /// Say what was asked in a case.
    Entries {
        /// The case.
        tag: String,
    },
    /// End all that is in a case and forget it.
    CloseCase {
        /// The case.
        tag: String,
    },
    /// Switch a fault on.
    Arm {
        /// The fault.
        fault: Fault,
    },
    /// Switch faults off: one, those of a case, or all.
    Disarm {
        /// By what `arm` has returned.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        id: Option<u64>,
        /// Those whose trigger names this case.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        tag: Option<String>,
    },
    /// List the faults that are on, with how often they struck.
    Faults,
}

/// What is in a case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseContent {
    /// Its objects, the oldest first, without those that were deleted and go later, and without jobs that have ended,
    /// which a backend only remembers; then what is left on its fixed host.
    pub objects: Vec<Object>,
    /// What was asked for and is not emulated: a gap of ours, for which no driver is to blame.
    pub not_emulated: Vec<String>,
    /// How many requests there were.
    pub requests: u64,
}

/// What a backend is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Name of its personality.
    pub personality: String,
    /// The programs that it puts on PATH.
    pub programs: Vec<String>,
    /// How its boxes are kept from the machine.
    pub isolation: Isolation,
    /// It passes everything through to real tools.
    pub real: bool,
}

/// Serves one connection until it is closed.
pub(crate) fn serve(backend: &Backend, client: &UnixStream) -> io::Result<()> {
    let mut lines = BufReader::new(client);
    let mut writer = client;
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if line.trim().is_empty() {
            continue;
        }
        let answer = match serde_json::from_str::<Command>(&line) {
            Ok(command) => match obey(backend, command) {
                Ok(value) => json!({ "ok": value }),
                Err(error) => json!({ "error": error.to_string() }),
            },
            Err(error) => json!({ "error": format!("not understood: {error}") }),
        };
        writer.write_all(format!("{answer}\n").as_bytes())?;
    }
}

fn obey(backend: &Backend, command: Command) -> io::Result<Value> {
    let case = |tag: &str| {
        let found = backend.case(tag);
        found.ok_or_else(|| io::Error::other(format!("there is no case {tag}")))
    };
    match command {
        Command::Status => Ok(serde_json::to_value(status(backend))?),
        Command::OpenCase { tag } => {
            backend.open_case(&tag)?;
            Ok(json!({
                "shims": place::shims(&backend.root, &tag),
                "environment": backend.environment(&tag),
            }))
        }
        Command::Seed { tag, kind, name } => {
            let case = case(&tag)?;
            let mut state = case.lock();
            let plan = Plan {
                kind,
                name,
                made_at_ms: now_ms(),
                ..Plan::default()
            };
            let made = state.change(|world| world.make(plan).cloned());
            let made = made.map_err(|refusal| io::Error::other(refusal.to_string()))?;
            // Somebody else's box has run and is off: the prey of those who sweep.
            if made.kind == BOX {
                state.change(|world| {
                    world.change(&made.id, |object| object.state = State::Stopped { code: 0 });
                });
            }
            Ok(json!({ "id": made.id }))
        }
        Command::CallStarts { tag, caller } => {
            case(&tag)?.call_starts(caller);
            Ok(json!({}))
        }
        Command::CallStarted { tag, call, process } => {
            case(&tag)?.call_is(call, Some(process), false);
            Ok(json!({}))
        }
        Command::CallEnded { tag, call } => {
            case(&tag)?.call_is(call, None, true);
            Ok(json!({}))
        }
        Command::Case { tag } => Ok(serde_json::to_value(content(backend, &tag)?)?),
        Command::Entries { tag } => Ok(serde_json::to_value(backend.ledger.entries(&tag))?),
        Command::CloseCase { tag } => backend.close_case(&tag).map(|()| json!({})),
        Command::Arm { fault } => Ok(json!({ "fault": backend.faults.arm(fault) })),
        Command::Disarm { id, tag } => {
            backend.faults.disarm(id, tag.as_deref());
            Ok(json!({}))
        }
        Command::Faults => Ok(serde_json::to_value(backend.faults.all())?),
    }
}

/// What a backend is.
pub(crate) fn status(backend: &Backend) -> Status {
    Status {
        personality: backend.personality.name().to_owned(),
        programs: backend.personality.programs().to_vec(),
        isolation: backend.isolation,
        real: backend.real.is_some(),
    }
}

fn content(backend: &Backend, tag: &str) -> io::Result<CaseContent> {
    let case = backend.case(tag);
    let case = case.ok_or_else(|| io::Error::other(format!("there is no case {tag}")))?;
    let on_host = host::left(&case, &backend.ledger.entries(tag));
    let state = case.lock();
    let is_record = |object: &&Object| {
        object.attribute(RECORD).is_some() && matches!(object.state, State::Stopped { .. })
    };
    let stays = |object: &&Object| !state.is_going(&object.id) && !is_record(object);
    let mut objects: Vec<Object> = state.world.all().iter().filter(stays).cloned().collect();
    objects.extend(on_host);
    Ok(CaseContent {
        objects,
        not_emulated: state.not_emulated.clone(),
        requests: state.requests,
    })
}

/// What `open-case` answers.
#[derive(Debug, Clone, Deserialize)]
pub struct Opened {
    /// The directory that must come first on the PATH of the case.
    pub shims: PathBuf,
    /// Variables that a driver needs beside that.
    pub environment: Vec<(String, String)>,
}
