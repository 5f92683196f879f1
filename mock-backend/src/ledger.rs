//! The ledger: what was asked of the backend, by whom, what was done, and what was answered.
//!
//! It is a file of JSON lines, each written before the thing it tells is done; a request is followed by its effects and
//! its result. So it is true up to the moment at which anything broke, and tells for each object the call that made it.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Who asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The process: the shim.
    pub process: i32,
    /// The call of the driver, by the number that the harness gave it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub call: Option<u64>,
    /// Its job in the case, from 0.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub job: Option<u64>,
    /// Its program: config, prepare, run, cleanup.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub program: Option<String>,
    /// Its stage, for run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stage: Option<String>,
}

/// Something asked of the backend.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its number in the ledger, from 1.
    pub sequence: u64,
    /// The case.
    pub tag: String,
    /// Its number in the case, from 1: the coordinate of faults.
    pub number: u64,
    /// Who asked.
    pub caller: Caller,
    /// The tool: `podman`.
    pub tool: String,
    /// The verb, in its first spelling; empty if it was not understood.
    pub verb: String,
    /// All arguments as given.
    pub arguments: Vec<String>,
    /// When, milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// `make`, `start`, `end`, `execute`, `remove`, `copy`, `fault` …
    pub what: String,
    /// The kind of the object.
    pub kind: String,
    /// Its name; or for a fault, its kind.
    pub name: String,
    /// Its id.
    pub id: String,
}

/// A request with what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The request.
    #[serde(flatten)]
    pub request: Request,
    /// What was done, in order.
    #[serde(default)]
    pub effects: Vec<Effect>,
    /// The exit code of the tool, or the HTTP status; `None`: no answer was given (yet).
    pub code: Option<i32>,
    /// When the answer was given.
    pub answered_at_ms: Option<u64>,
}

#[derive(Serialize)]
#[serde(tag = "line", rename_all = "kebab-case")]
enum Line<'a> {
    Request(&'a Request),
    Effect {
        sequence: u64,
        #[serde(flatten)]
        effect: &'a Effect,
    },
    Result {
        sequence: u64,
        code: Option<i32>,
        at_ms: u64,
    },
}

/// The ledger of a backend.
#[derive(Debug)]
pub(crate) struct Ledger {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    sequence: u64,
    entries: HashMap<String, Vec<Entry>>,
    /// The case of each request that has no result yet.
    open: HashMap<u64, String>,
}

impl Ledger {
    pub(crate) fn begin(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self {
            inner: Mutex::new(Inner {
                file,
                sequence: 0,
                entries: HashMap::new(),
                open: HashMap::new(),
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request before anything is done for it; returns its number.
    pub(crate) fn request(&self, mut request: Request) -> io::Result<u64> {
        let mut inner = self.lock();
        inner.sequence += 1;
        request.sequence = inner.sequence;
        inner.write(&Line::Request(&request))?;
        let sequence = request.sequence;
        inner.open.insert(sequence, request.tag.clone());
        let entries = inner.entries.entry(request.tag.clone()).or_default();
        entries.push(Entry {
            request,
            effects: Vec::new(),
            code: None,
            answered_at_ms: None,
        });
        Ok(sequence)
    }

    /// Notes what is about to be done.
    pub(crate) fn effect(&self, sequence: u64, effect: Effect) -> io::Result<()> {
        let mut inner = self.lock();
        inner.write(&Line::Effect {
            sequence,
            effect: &effect,
        })?;
        if let Some(entry) = inner.entry(sequence) {
            entry.effects.push(effect);
        }
        Ok(())
    }

    /// Notes what is about to be answered; `None`: nothing, since nobody is there.
    pub(crate) fn result(&self, sequence: u64, code: Option<i32>) -> io::Result<()> {
        let mut inner = self.lock();
        let at_ms = now_ms();
        inner.write(&Line::Result {
            sequence,
            code,
            at_ms,
        })?;
        if let Some(entry) = inner.entry(sequence) {
            entry.code = code;
            entry.answered_at_ms = Some(at_ms);
        }
        inner.open.remove(&sequence);
        Ok(())
    }

    /// What was asked in a case, in order.
    pub(crate) fn entries(&self, tag: &str) -> Vec<Entry> {
        self.lock().entries.get(tag).cloned().unwrap_or_default()
    }

    /// Forgets a case; the file does not.
    pub(crate) fn forget(&self, tag: &str) {
        self.lock().entries.remove(tag);
    }
}

impl Inner {
    fn write(&mut self, line: &Line<'_>) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.file.write_all(&text)
    }

    fn entry(&mut self, sequence: u64) -> Option<&mut Entry> {
        let tag = self.open.get(&sequence)?;
        let mut entries = self.entries.get_mut(tag)?.iter_mut();
        entries.rfind(|entry| entry.request.sequence == sequence)
    }
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_written_before_the_next_thing_is_done() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("ledger.jsonl");
        let ledger = Ledger::begin(&path).expect("a file");
        let lines = || {
            std::fs::read_to_string(&path)
                .expect("written")
                .lines()
                .count()
        };
        let asked = Request {
            tag: "t".into(),
            number: 1,
            tool: "podman".into(),
            ..Request::default()
        };
        let sequence = ledger.request(asked).expect("noted");
        assert_eq!((sequence, lines()), (1, 1));
        let effect = Effect {
            what: "make".into(),
            kind: "box".into(),
            name: "a".into(),
            id: "1".into(),
        };
        ledger.effect(sequence, effect).expect("noted");
        assert_eq!(lines(), 2);
        ledger.result(sequence, Some(0)).expect("noted");
        let entries = ledger.entries("t");
        assert_eq!((entries[0].code, entries[0].effects.len()), (Some(0), 1));
        let text = std::fs::read_to_string(&path).expect("written");
        assert!(
            text.lines()
                .last()
                .expect("a line")
                .starts_with(r#"{"line":"result","sequence":1,"code":0"#)
        );
        assert!(ledger.entries("other").is_empty());
    }
}
