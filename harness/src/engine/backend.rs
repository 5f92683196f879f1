//! A case's part of a mock backend: who calls is told, and what is left is asked.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use driver_conformance_mock_backend::client::{BackendProcess, Control};
use driver_conformance_mock_backend::control::{CaseContent, Opened};
use driver_conformance_mock_backend::faults::{Fault, Trigger};
use driver_conformance_mock_backend::ledger::{Caller, Effect, Entry};
use driver_conformance_mock_backend::{BOX, HOST_DIRECTORY, HOST_FILE, HOST_PROCESS, Object};

use crate::contract::moment::Moment;
use crate::contract::stage::{Program, Stage};
use crate::faults::fault_kind;
use crate::leaks::evidence::CaseMarks;
use crate::plan::case::BackendFault;
use crate::trace::{
    BackendRequest, CallIndex, Evidence, Leak, LeakCategory, LedgerEntry, TouchedKeepsake,
};

use super::on_host;

/// Name of the detector in leaks.
const DETECTOR: &str = "ledger";
/// Kinds of objects that a driver may leave: what was fetched serves later jobs as well.
const KEPT_KINDS: [&str; 2] = ["image", "login"];
/// Objects of somebody else, by kind and name, for cases that look after such.
const FOREIGN: [(&str, &str); 3] = [
    (BOX, "reports-database"),
    ("network", "reports"),
    ("volume", "reports-data"),
];
/// Most characters of a request that are shown.
const REQUEST_CHARACTERS_MAX: usize = 200;
/// Most entries of the ledger that are handed on.
const LEDGER_ENTRIES_MAX: usize = 5_000;

/// A case of a mock backend. Ends with all that is in it when dropped.
#[derive(Debug)]
pub struct CaseBackend {
    control: Mutex<Control>,
    tag: String,
    opened: Opened,
    seeded: bool,
}

/// What a case has left in the backend.
#[derive(Debug, Default)]
pub(crate) struct LeftInBackend {
    /// Objects that its calls have made.
    pub(crate) leaks: Vec<Leak>,
    /// Objects of somebody else that are gone.
    pub(crate) touched: Vec<TouchedKeepsake>,
    /// What is not emulated.
    pub(crate) gaps: Vec<String>,
    /// What was asked.
    pub(crate) requests: Vec<BackendRequest>,
    /// The same for a reader.
    pub(crate) ledger: Vec<LedgerEntry>,
}

impl CaseBackend {
    /// Opens a case with a name of its own. With `keepsakes`, somebody else has objects in it; `fault` is how it fails.
    pub fn open(
        backend: &BackendProcess,
        tag: &str,
        keepsakes: bool,
        fault: Option<BackendFault>,
    ) -> io::Result<Self> {
        let mut control = backend.control()?;
        let opened = control.open(tag)?;
        if let Some(fault) = fault.and_then(|fault| armed(tag, fault)) {
            control.arm(&fault)?;
        }
        if keepsakes {
            for (kind, name) in FOREIGN {
                control.seed(tag, kind, name)?;
            }
        }
        Ok(Self {
            control: Mutex::new(control),
            tag: tag.to_owned(),
            opened,
            seeded: keepsakes,
        })
    }

    /// The directory that must come first on the PATH of the case.
    pub fn shims(&self) -> &Path {
        &self.opened.shims
    }

    /// Variables that a driver needs to find the backend, beside PATH.
    pub fn environment(&self) -> &[(String, String)] {
        &self.opened.environment
    }

    /// The name of the case toward the backend, for the triggers of faults.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call is about to be started.
    pub(crate) fn call_starts(
        &self,
        call: CallIndex,
        job: usize,
        program: Program,
        stage: Option<&Stage>,
    ) -> io::Result<()> {
        let caller = Caller {
            process: 0,
            call: Some(call.0 as u64),
            job: Some(job as u64),
            program: Some(program.name().to_owned()),
            stage: stage.map(Stage::to_string),
        };
        self.control().call_starts(&self.tag, caller)
    }

    /// It was started.
    pub(crate) fn call_started(&self, call: CallIndex, pid: u32) -> io::Result<()> {
        let pid = i32::try_from(pid).unwrap_or_default();
        self.control().call_started(&self.tag, call.0 as u64, pid)
    }

    /// It has ended, or was not started.
    pub(crate) fn call_ended(&self, call: CallIndex) -> io::Result<()> {
        self.control().call_ended(&self.tag, call.0 as u64)
    }

    /// What is left when the case is over, which is `now` on its clock. Everything ends with that.
    pub(crate) fn conclude(&self, marks: &CaseMarks, now: Moment) -> io::Result<LeftInBackend> {
        let mut control = self.control();
        let content = control.case(&self.tag)?;
        let entries = control.entries(&self.tag)?;
        control.close_case(&self.tag)?;
        let mut left = judge(content, &entries, marks, self.seeded);
        let clock = Clock {
            now,
            wall_ms: now_ms(),
        };
        let kept = entries.iter().take(LEDGER_ENTRIES_MAX);
        left.ledger = kept.map(|entry| clock.entry(entry)).collect();
        Ok(left)
    }
}

impl Drop for CaseBackend {
    fn drop(&mut self) {
        // The backend itself may be gone, and with it the case.
        let _closed_already = self.control().close_case(&self.tag);
    }
}

/// A fault of a case as the backend knows it.
fn armed(tag: &str, fault: BackendFault) -> Option<Fault> {
    Some(Fault {
        kind: fault_kind(fault.kind)?,
        trigger: Trigger {
            tag: Some(tag.to_owned()),
            call: u64::try_from(fault.call).ok(),
            nth: (!fault.lasts).then_some(fault.nth),
            from: fault.lasts.then_some(fault.nth),
            times: (!fault.lasts).then_some(1),
            ..Trigger::default()
        },
    })
}

fn request(entry: &Entry) -> BackendRequest {
    BackendRequest {
        call: call_of(entry),
        tool: entry.request.tool.clone(),
        verb: entry.request.verb.clone(),
        struck: is_struck(entry),
    }
}

/// A fault came in between.
fn is_struck(entry: &Entry) -> bool {
    entry.effects.iter().any(|effect| effect.what == "fault")
}

/// What tells a moment of the case from the time in the ledger, which comes from another process.
#[derive(Debug, Clone, Copy)]
struct Clock {
    /// A moment of the case.
    now: Moment,
    /// The same moment, milliseconds since the Unix epoch.
    wall_ms: u64,
}

impl Clock {
    fn moment(self, at_ms: u64) -> Moment {
        let ago = Duration::from_millis(self.wall_ms.saturating_sub(at_ms));
        Moment::after_start(self.now.since_start().saturating_sub(ago))
    }

    fn entry(self, entry: &Entry) -> LedgerEntry {
        let request = &entry.request;
        let words = std::iter::once(&request.tool).chain(&request.arguments);
        LedgerEntry {
            at: self.moment(request.at_ms),
            answered: entry.answered_at_ms.map(|at_ms| self.moment(at_ms)),
            call: call_of(entry),
            verb: format!("{} {}", request.tool, request.verb),
            command: words.cloned().collect(),
            effects: entry.effects.iter().map(sentence).collect(),
            struck: is_struck(entry),
            code: entry.code,
        }
    }
}

fn sentence(effect: &Effect) -> String {
    let words = [&effect.what, &effect.kind, &effect.name].into_iter();
    let words: Vec<&str> = words
        .map(String::as_str)
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ")
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// Which of the objects are left by the case, with the calls that made them.
fn judge(
    content: CaseContent,
    entries: &[Entry],
    marks: &CaseMarks,
    seeded: bool,
) -> LeftInBackend {
    let left = content
        .objects
        .iter()
        .filter(|object| !object.is_foreign() && !KEPT_KINDS.contains(&object.kind.as_str()));
    let left = on_host::of_their_own(left.collect(), marks);
    let leaks = left.into_iter().map(|object| leak(object, entries, marks));
    let leaks = leaks.collect();
    let foreign = FOREIGN.iter().filter(|_| seeded);
    let is_gone = |(kind, name): &&(&str, &str)| {
        let mut objects = content.objects.iter();
        !objects.any(|object| object.is_foreign() && object.kind == *kind && object.name == *name)
    };
    let touched = foreign.filter(is_gone).map(|(kind, name)| TouchedKeepsake {
        path: PathBuf::from(format!("the {} {name}", kind_name(kind))),
        gone: true,
        made_by: remover(entries, kind, name),
    });
    LeftInBackend {
        leaks,
        touched: touched.collect(),
        gaps: content.not_emulated,
        requests: entries.iter().map(request).collect(),
        ledger: Vec::new(),
    }
}

fn leak(object: &Object, entries: &[Entry], marks: &CaseMarks) -> Leak {
    let mut made = entries.iter();
    let job = marks.job_in(&object.name);
    let made = made.find(|entry| entry.request.sequence == object.made_by);
    // On a host that several jobs share, what is put down to a call is no proof: that of another job cannot have made it.
    let of_job = |entry: &&Entry| match (job, entry.request.caller.job) {
        (Some(job), Some(caller)) if on_host::is_there(object) => job as u64 == caller,
        _ => true,
    };
    let made = made.filter(of_job);
    let made_by = made.and_then(call_of);
    let named = job.map(Evidence::NamesJob);
    let evidence = named.or(made_by.map(Evidence::Maker));
    let by = made.map_or(String::new(), |entry| {
        format!(", made by `{}`", shown(entry))
    });
    Leak {
        detector: DETECTOR,
        category: LeakCategory::Backend,
        kind: kind_name(&object.kind),
        what: format!("{} {}{by}", kind_name(&object.kind), object.name),
        identity: object.id.clone(),
        made_by,
        evidence,
    }
}

fn call_of(entry: &Entry) -> Option<CallIndex> {
    let call = entry.request.caller.call?;
    usize::try_from(call).ok().map(CallIndex)
}

/// The call that removed an object of somebody else.
fn remover(entries: &[Entry], kind: &str, name: &str) -> Option<CallIndex> {
    let removes = |entry: &&Entry| {
        let mut effects = entry.effects.iter();
        effects.any(|effect| effect.what == "remove" && effect.kind == kind && effect.name == name)
    };
    entries.iter().find(removes).and_then(call_of)
}

/// What people call a kind.
fn kind_name(kind: &str) -> &'static str {
    match kind {
        BOX => "box",
        "network" => "network",
        "volume" => "volume",
        "disk" => "disk",
        HOST_DIRECTORY => "directory of the host",
        HOST_FILE => "file of the host",
        HOST_PROCESS => "process of the host",
        _ => "object of the backend",
    }
}

/// A request as it was typed, more or less.
fn shown(entry: &Entry) -> String {
    let words = std::iter::once(&entry.request.tool).chain(&entry.request.arguments);
    let line = words.map(String::as_str).collect::<Vec<_>>().join(" ");
    let line = line.replace('\n', " ");
    if line.chars().count() <= REQUEST_CHARACTERS_MAX {
        return line;
    }
    let cut: String = line.chars().take(REQUEST_CHARACTERS_MAX).collect();
    format!("{cut} …")
}

#[cfg(test)]
mod tests {
    use driver_conformance_mock_backend::State;
    use driver_conformance_mock_backend::ledger::Request;

    use super::*;

    fn object(kind: &str, name: &str, made_by: u64) -> Object {
        Object {
            id: format!("id-{name}"),
            kind: kind.into(),
            name: name.into(),
            state: State::Present,
            attributes: std::collections::BTreeMap::default(),
            references: Vec::new(),
            made_by,
            made_at_ms: 0,
        }
    }

    fn entry(sequence: u64, call: u64, effects: Vec<Effect>) -> Entry {
        Entry {
            request: Request {
                sequence,
                tool: "podman".into(),
                arguments: vec!["run".into(), "x".into()],
                caller: Caller {
                    call: Some(call),
                    ..Caller::default()
                },
                ..Request::default()
            },
            effects,
            code: Some(0),
            answered_at_ms: None,
        }
    }

    #[test]
    fn the_ledger_is_told_on_the_clock_of_the_case() {
        let second = |number| Moment::after_start(Duration::from_secs(number));
        let clock = Clock {
            now: second(10),
            wall_ms: 1_010_000,
        };
        let made = Effect {
            what: "make".into(),
            kind: BOX.into(),
            name: "vm-1".into(),
            id: "id".into(),
        };
        let mut told = entry(1, 2, vec![made]);
        told.request.at_ms = 1_003_000;
        told.request.verb = "run".into();
        let entry = clock.entry(&told);
        assert_eq!((entry.at, entry.answered), (second(3), None));
        assert_eq!(entry.call, Some(CallIndex(2)));
        assert_eq!(entry.verb, "podman run");
        assert_eq!(entry.effects, [format!("make {BOX} vm-1")]);
        told.answered_at_ms = Some(1_020_000);
        let late = clock.entry(&told).answered;
        assert_eq!(late, Some(second(10)), "no entry is later than the end");
    }

    #[test]
    fn what_is_left_is_blamed_on_the_call_that_asked_for_it() {
        let content = CaseContent {
            objects: vec![
                object(BOX, "vm-45600712", 5),
                object("volume", "cache", 6),
                object("image", "alpine", 5),
                object(BOX, "reports-database", 0),
                object("network", "reports", 0),
            ],
            not_emulated: vec!["podman fly".into()],
            requests: 2,
        };
        let removed = Effect {
            what: "remove".into(),
            kind: "volume".into(),
            name: "reports-data".into(),
            id: String::new(),
        };
        let entries = [entry(5, 1, Vec::new()), entry(6, 3, vec![removed])];
        let marks = CaseMarks::new(Path::new("/case"), [45_600_712]);
        let left = judge(content, &entries, &marks, true);
        let shown: Vec<_> = left
            .leaks
            .iter()
            .map(|leak| (&*leak.what, leak.made_by, leak.evidence))
            .collect();
        let (made, other) = (CallIndex(1), CallIndex(3));
        assert_eq!(
            shown,
            [
                (
                    "box vm-45600712, made by `podman run x`",
                    Some(made),
                    Some(Evidence::NamesJob(0))
                ),
                (
                    "volume cache, made by `podman run x`",
                    Some(other),
                    Some(Evidence::Maker(other))
                ),
            ]
        );
        assert_eq!(left.touched.len(), 1);
        assert_eq!(left.touched[0].made_by, Some(other));
        assert_eq!(left.gaps, ["podman fly"]);
    }
}
