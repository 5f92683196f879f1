//! Snapshots of one case compared: what appeared, during which call, and whether it is the case's.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::trace::{CallIndex, Evidence, Leak, LeakCategory};

use super::evidence::CaseMarks;
use super::lists::{self, ListWatcher, Lists};
use super::mount_table::{WatchedTable, points_below};
use super::{Detector, Object, Watcher, all};

/// Watches the machine while one case runs.
pub(crate) struct LeakWatch {
    marks: CaseMarks,
    sorts: Vec<Sort>,
    calls: Vec<Window>,
    root: PathBuf,
    table: WatchedTable,
    mount_points: Vec<PathBuf>,
}

/// When a call was alive, by the clock that stamps files: since the Unix epoch.
#[derive(Debug)]
struct Window {
    call: CallIndex,
    job: usize,
    from: Duration,
    until: Option<Duration>,
}

/// What is left when a case is over.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// Tied to the case.
    pub(crate) leaks: Vec<Leak>,
    /// Tied to nobody.
    pub(crate) suspicions: Vec<Leak>,
    /// In the lists of a backend, tied to the case or not.
    pub(crate) listed: Vec<Leak>,
}

/// A call that has just ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EndedCall {
    /// The call.
    pub(crate) call: CallIndex,
    /// Its job.
    pub(crate) job: usize,
    /// No other call of the case was running.
    pub(crate) alone: bool,
    /// No other call of its job was running.
    pub(crate) alone_in_job: bool,
}

/// One detector at work.
struct Sort {
    name: &'static str,
    category: LeakCategory,
    /// The lists of a backend, if this sort is what they show.
    lists: Option<Arc<Lists>>,
    watcher: Box<dyn Watcher>,
    before: BTreeSet<String>,
    appeared: BTreeMap<String, Option<CallIndex>>,
    /// This machine does not show it.
    blind: bool,
}

impl LeakWatch {
    /// Begins to watch: what is there now is nobody's.
    pub(crate) fn begin(root: &Path, job_ids: impl IntoIterator<Item = u64>) -> Self {
        Self::with(CaseMarks::new(root, job_ids), root, all())
    }

    /// Watches the objects of a backend as well; `every_call`: with a look after each call.
    pub(crate) fn add_lists(&mut self, lists: &Arc<Lists>, every_call: bool) {
        let mut watcher = ListWatcher::new(Arc::clone(lists), every_call);
        let seen = watcher.look();
        self.sorts.push(Sort {
            name: lists::DETECTOR,
            category: LeakCategory::Backend,
            lists: Some(Arc::clone(lists)),
            blind: seen.is_err(),
            before: identities(seen.unwrap_or_default()),
            watcher: Box::new(watcher),
            appeared: BTreeMap::new(),
        });
    }

    fn with(marks: CaseMarks, root: &Path, detectors: &[&'static Detector]) -> Self {
        let begin = |detector: &&'static Detector| {
            let mut watcher = (detector.watcher)(&marks);
            let seen = watcher.look();
            Sort {
                name: detector.name,
                category: detector.category,
                lists: None,
                blind: seen.is_err(),
                before: identities(seen.unwrap_or_default()),
                watcher,
                appeared: BTreeMap::new(),
            }
        };
        Self {
            sorts: detectors.iter().map(begin).collect(),
            marks,
            calls: Vec::new(),
            root: root.to_path_buf(),
            table: WatchedTable::default(),
            mount_points: Vec::new(),
        }
    }

    /// What ties a thing to the case.
    pub(crate) fn marks(&self) -> &CaseMarks {
        &self.marks
    }

    /// Places in the private directories of the case where something was mounted when last looked.
    pub(crate) fn mount_points(&mut self) -> Vec<PathBuf> {
        if self.table.may_have_changed() {
            let mounts = self.table.read().unwrap_or_default();
            self.mount_points = points_below(&mounts, &self.root);
        }
        self.mount_points.clone()
    }

    /// A call is about to be started.
    pub(crate) fn call_starts(&mut self, call: CallIndex, job: usize) {
        self.calls.push(Window {
            call,
            job,
            // Files are stamped with the time of the last tick of the kernel.
            from: now(ClockId::RealtimeCoarse),
            until: None,
        });
    }

    /// A call has ended: what is new was made by it, unless it belongs to another job of the case.
    pub(crate) fn call_ended(&mut self, ended: EndedCall) {
        let known = self
            .calls
            .iter_mut()
            .rfind(|known| known.call == ended.call);
        if let Some(window) = known {
            window.until = Some(now(ClockId::Realtime));
        }
        for sort in &mut self.sorts {
            if sort.blind || !sort.watcher.may_have_changed() {
                continue;
            }
            let Ok(objects) = sort.watcher.look() else {
                continue;
            };
            for object in objects {
                sort.note(object, ended, &self.marks);
            }
        }
    }

    /// The case is over and its processes are gone: what is there now and was not at the beginning. `makers` are the
    /// processes of the case that are known, with the calls they come from.
    pub(crate) fn left(&mut self, makers: &[(u32, CallIndex)]) -> Left {
        let mut left = Left::default();
        for sort in self.sorts.iter_mut().filter(|sort| !sort.blind) {
            let objects = sort.watcher.look().unwrap_or_default();
            for object in objects {
                if sort.before.contains(&object.identity) {
                    continue;
                }
                let evidence = self.marks.evidence(&object, makers);
                let born_in = match (&object.born, evidence) {
                    (Some(born), Some(Evidence::NamesJob(job))) => {
                        alive_in(&self.calls, Some(job), born)
                    }
                    (Some(born), None) => alive_in(&self.calls, None, born),
                    _ => None,
                };
                let leak = sort.leak(object, evidence, born_in);
                if sort.lists.is_some() {
                    left.listed.push(leak);
                } else if evidence.is_some() {
                    left.leaks.push(leak);
                } else {
                    left.suspicions.push(leak);
                }
            }
        }
        left
    }
}

impl Sort {
    fn note(&mut self, object: Object, ended: EndedCall, marks: &CaseMarks) {
        if self.before.contains(&object.identity) || self.appeared.contains_key(&object.identity) {
            return;
        }
        let named = object.names.iter().find_map(|name| marks.job_in(name));
        if let Some(lists) = &self.lists {
            lists.appears(named.is_some());
        }
        let maker = match named {
            // Another job's call is running, or was before; its end will tell.
            Some(job) if job != ended.job => return,
            Some(_) => ended.alone_in_job,
            None => ended.alone,
        };
        let maker = maker.then_some(ended.call);
        self.appeared.insert(object.identity, maker);
    }

    fn leak(&self, object: Object, evidence: Option<Evidence>, born_in: Option<CallIndex>) -> Leak {
        let seen = self.appeared.get(&object.identity).copied().flatten();
        let made_by = match evidence {
            Some(Evidence::Maker(call)) => Some(call),
            _ => seen.or(born_in),
        };
        Leak {
            detector: self.name,
            category: self
                .lists
                .as_ref()
                .map_or(self.category, |lists| lists.category(&object.identity)),
            kind: object.kind,
            what: object.what,
            identity: object.identity,
            made_by,
            evidence,
        }
    }
}

fn now(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).unwrap_or_default()
}

/// The one call of a job, or of any, that was alive between two times; `None` if the tick of the clock leaves a doubt.
fn alive_in(
    calls: &[Window],
    job: Option<usize>,
    times: &RangeInclusive<Duration>,
) -> Option<CallIndex> {
    let mut alive = calls.iter().filter(|window| {
        let until = window.until.unwrap_or(Duration::MAX);
        job.is_none_or(|job| window.job == job)
            && window.from <= *times.end()
            && *times.start() <= until
    });
    let first = alive.next()?;
    alive.next().is_none().then_some(first.call)
}

fn identities(objects: Vec<Object>) -> BTreeSet<String> {
    objects.into_iter().map(|object| object.identity).collect()
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use super::*;

    /// What the made-up machine of these tests holds.
    static MACHINE: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

    struct MadeUp;

    impl Watcher for MadeUp {
        fn look(&mut self) -> io::Result<Vec<Object>> {
            let names = MACHINE.lock().expect("one test at a time").clone();
            Ok(names
                .into_iter()
                .map(|name| Object {
                    identity: name.into(),
                    kind: "thing",
                    what: name.into(),
                    names: vec![name.into()],
                    creator: None,
                    born: None,
                })
                .collect())
        }
    }

    struct Refused;

    impl Watcher for Refused {
        fn look(&mut self) -> io::Result<Vec<Object>> {
            Err(io::ErrorKind::PermissionDenied.into())
        }
    }

    static MADE_UP: Detector = Detector {
        name: "made-up",
        category: LeakCategory::Network,
        unseen_without_privileges: "",
        watcher: |_| Box::new(MadeUp),
    };
    static REFUSED: Detector = Detector {
        name: "refused",
        category: LeakCategory::Network,
        unseen_without_privileges: "",
        watcher: |_| Box::new(Refused),
    };

    fn appears(name: &'static str) {
        MACHINE.lock().expect("one test at a time").push(name);
    }

    fn ended(call: usize, job: usize, alone: bool) -> EndedCall {
        EndedCall {
            call: CallIndex(call),
            job,
            alone,
            alone_in_job: true,
        }
    }

    #[test]
    fn a_time_tells_the_call_unless_two_come_into_question() {
        let window = |call, job, from, until| Window {
            call: CallIndex(call),
            job,
            from: Duration::from_secs(from),
            until: Some(Duration::from_secs(until)),
        };
        let calls = [
            window(0, 0, 10, 20),
            window(1, 0, 20, 30),
            window(2, 1, 12, 40),
        ];
        let between = |job, first, last| {
            let times = Duration::from_secs(first)..=Duration::from_secs(last);
            alive_in(&calls, Some(job), &times)
        };
        let at = |job, second| between(job, second, second);
        assert_eq!(between(0, 13, 18), Some(CallIndex(0)));
        assert_eq!(between(0, 18, 22), None);
        assert_eq!(at(0, 15), Some(CallIndex(0)));
        assert_eq!(at(0, 20), None);
        assert_eq!(at(0, 35), None);
        assert_eq!(at(1, 35), Some(CallIndex(2)));
    }

    #[test]
    fn what_appears_is_tied_to_its_case_job_and_call() {
        appears("old-45600712");
        let marks = CaseMarks::new(Path::new("/case"), [45_600_712, 456_007_123]);
        let mut watch = LeakWatch::with(marks, Path::new("/case"), &[&MADE_UP, &REFUSED]);
        appears("vm-45600712");
        appears("vm-456007123");
        appears("stranger");
        // Two calls were running; each names its own job.
        watch.call_ended(ended(0, 0, false));
        watch.call_ended(ended(1, 1, true));
        appears("/case/home/socket");
        watch.call_ended(ended(2, 0, true));
        appears("/case/home/late");
        let left = watch.left(&[]);
        let shown: Vec<_> = left
            .leaks
            .iter()
            .map(|leak| (&*leak.what, leak.made_by, leak.evidence))
            .collect();
        assert_eq!(
            shown,
            [
                (
                    "vm-45600712",
                    Some(CallIndex(0)),
                    Some(Evidence::NamesJob(0))
                ),
                (
                    "vm-456007123",
                    Some(CallIndex(1)),
                    Some(Evidence::NamesJob(1))
                ),
                (
                    "/case/home/socket",
                    Some(CallIndex(2)),
                    Some(Evidence::InsideCase)
                ),
                ("/case/home/late", None, Some(Evidence::InsideCase)),
            ]
        );
        let suspicions: Vec<_> = left.suspicions.iter().map(|leak| &*leak.what).collect();
        assert_eq!(suspicions, ["stranger"]);
    }
}
