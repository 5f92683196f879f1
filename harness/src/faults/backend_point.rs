//! A point at which the backend of a driver fails: one of the requests of a call, or all of them, and what goes wrong.

use std::collections::BTreeSet;

use driver_conformance_mock_backend::faults::{FaultKind, KillSignal, Moment};

use crate::plan::case::BackendFault;
use crate::trace::{BackendRequest, Trace};

use super::point::{
    FOLDER, NOMINAL, SHORT_TIMEOUT, in_new_attempt, nominal_place, plain, scenario,
};

/// What is tried at each request, by the name that it has in the names of cases: each strikes one request and is over.
const KINDS: [(&str, FaultKind); 10] = [
    ("error-before-effect", FaultKind::ErrorBeforeEffect),
    ("reply-lost", FaultKind::ReplyLost),
    ("garbled-output", FaultKind::GarbledOutput),
    ("permission-denied", FaultKind::PermissionDenied),
    ("connection-refused", FaultKind::ConnectionRefused),
    (
        "object-dies",
        FaultKind::ObjectDies {
            when: Moment::Before,
        },
    ),
    ("term-before", kill(KillSignal::Term, Moment::Before)),
    ("term-after", kill(KillSignal::Term, Moment::After)),
    ("kill-before", kill(KillSignal::Kill, Moment::Before)),
    ("kill-after", kill(KillSignal::Kill, Moment::After)),
];

/// What is tried from each request on, until its call is over: what a driver asks for in its own trouble fails as well.
const FROM_HERE: [(&str, FaultKind); 2] = [
    (HANG, FaultKind::Hang),
    ("outage", FaultKind::ConnectionRefused),
];
/// What is tried with each call that asks the backend for something, from its first request on until it is over.
const LASTING: [(&str, FaultKind); 9] = [
    ("slow", FaultKind::Slow { ms: 200 }),
    ("connection-refused", FaultKind::ConnectionRefused),
    (
        "too-many-requests",
        FaultKind::TooManyRequests { retry_after_s: 1 },
    ),
    ("unavailable", FaultKind::Unavailable { retry_after_s: 1 }),
    (DISK_FULL, FaultKind::DiskFull),
    ("tool-missing", FaultKind::ToolMissing),
    ("stale-list", FaultKind::StaleList),
    ("late-delete", FaultKind::LateDelete { ms: 300 }),
    // Whoever starts it again, or makes another one, meets the same.
    (
        "crash-loop",
        FaultKind::ObjectDies {
            when: Moment::After,
        },
    ),
];
/// There is no answer while the call lasts: it ends because it is told to.
const HANG: &str = "hang";
/// Nothing more can be written in the box, also when the call is over.
const DISK_FULL: &str = "disk-full";
/// In the names of points, where others have the request.
const WHOLE_CALL: &str = "whole-call";

const fn kill(signal: KillSignal, when: Moment) -> FaultKind {
    FaultKind::KillDriver { signal, when }
}

/// The fault of this name.
pub fn fault_kind(name: &str) -> Option<FaultKind> {
    let mut kinds = KINDS.iter().chain(&FROM_HERE).chain(&LASTING);
    let known = kinds.find(|(known, _)| *known == name);
    known.map(|(_, kind)| kind.clone())
}

/// Whether a fault ends the driver instead of answering it.
pub fn ends_driver(name: &str) -> bool {
    matches!(fault_kind(name), Some(FaultKind::KillDriver { .. }))
}

/// Whether what a script does in the box fails of it as well, which is no lie then.
pub fn meets_script(name: &str) -> bool {
    name == DISK_FULL
}

/// A point: which request fails, and how.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendPoint {
    /// The call, as its place in [`NOMINAL`].
    pub call: usize,
    /// The same, as its place among all calls of the case.
    pub index: usize,
    /// Which of the requests of the call, from 1, and its tool and verb, for people: `podman-exec`; `None`: all of them.
    pub request: Option<(u64, String)>,
    /// What goes wrong.
    pub kind: &'static str,
}

impl BackendPoint {
    /// Name of its case: `faults/prepare/3-podman-run/reply-lost`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.place(), self.kind)
    }

    /// What points have in common of which some are as good as all, at first: call, kind, and whether it lasts.
    pub fn stratum(&self) -> String {
        format!("{}/{}/{}", self.call, self.request.is_none(), self.kind)
    }

    /// The call does not end before it is told to.
    pub fn hangs(&self) -> bool {
        self.kind == HANG
    }

    fn lasts(&self) -> bool {
        self.request.is_none() || FROM_HERE.iter().any(|(kind, _)| *kind == self.kind)
    }

    fn place(&self) -> String {
        let call = NOMINAL[self.call].replace(' ', "-");
        match &self.request {
            Some((nth, request)) => format!("{FOLDER}/{call}/{nth}-{request}"),
            None => format!("{FOLDER}/{call}/{WHOLE_CALL}"),
        }
    }

    /// Where and how the backend fails.
    pub fn fault(&self) -> BackendFault {
        BackendFault {
            call: self.index,
            nth: self.request.as_ref().map_or(1, |(nth, _)| *nth),
            lasts: self.lasts(),
            kind: self.kind,
        }
    }

    /// The scenario that leads the driver to the point. The backend fails in this call alone; what follows has nothing in
    /// its way.
    pub fn scenario(&self, with_bystander: bool) -> String {
        let call = NOMINAL[self.call];
        let what = match &self.request {
            Some((nth, request)) => {
                let rest = if self.lasts() {
                    " and all that follow"
                } else {
                    ""
                };
                format!("request {nth} of {call} to the backend ({request}){rest}")
            }
            None => format!("every request of {call} to the backend"),
        };
        let about = format!(
            "Has {what} meet {}, then cleans up, and cleans up again.",
            self.kind
        );
        let mut calls: Vec<String> = NOMINAL[..=self.call]
            .iter()
            .map(|call| plain(call))
            .collect();
        if call == "prepare" && !meets_script(self.kind) {
            // Only a stage shows whether a prepare that reports success all the same has prepared anything. A box whose disk
            // is full is prepared, and no stage works in it.
            calls.push(plain("run get_sources"));
        }
        if call == "cleanup" {
            calls.push(in_new_attempt("config"));
        }
        calls.extend([plain("cleanup"), in_new_attempt("config"), plain("cleanup")]);
        let mut text = scenario(&about, &calls, with_bystander);
        if self.hangs() {
            text.push_str(SHORT_TIMEOUT);
        }
        text
    }
}

/// The names of the faults that cannot be done, where `can_be_done` says so.
pub fn out_of_reach(can_be_done: impl Fn(&FaultKind) -> bool) -> BTreeSet<&'static str> {
    let all = KINDS.iter().chain(&FROM_HERE).chain(&LASTING);
    let out = all.filter(|(_, kind)| !can_be_done(kind));
    out.map(|(name, _)| *name).collect()
}

/// The points of a driver, in the order in which a job comes to them: each fault at each request that its calls made in
/// both nominal jobs, and what lasts in each call that made one.
pub fn backend_points(first: &Trace, second: &Trace) -> Vec<BackendPoint> {
    let again: BTreeSet<(usize, u64, String)> = requests(second)
        .into_iter()
        .map(|(call, _, nth, request)| (call, nth, shown(request)))
        .collect();
    let mut points: Vec<BackendPoint> = Vec::new();
    let of_kinds =
        |kinds: &'static [(&'static str, FaultKind)], call, index, request: Option<_>| {
            kinds.iter().map(move |(kind, _)| BackendPoint {
                call,
                index,
                request: request.clone(),
                kind,
            })
        };
    let mut last: Option<(usize, usize)> = None;
    for (call, index, nth, request) in requests(first) {
        let request = shown(request);
        if !again.contains(&(call, nth, request.clone())) {
            continue;
        }
        if let Some((call, index)) = last.replace((call, index)).filter(|last| last.0 != call) {
            points.extend(of_kinds(&LASTING, call, index, None));
        }
        points.extend(of_kinds(&KINDS, call, index, Some((nth, request.clone()))));
        points.extend(of_kinds(&FROM_HERE, call, index, Some((nth, request))));
    }
    if let Some((call, index)) = last {
        points.extend(of_kinds(&LASTING, call, index, None));
    }
    points
}

/// The requests of the job that is hit, which is the last one of its case: the call in [`NOMINAL`], the call of the case,
/// which of its requests, the request.
fn requests(trace: &Trace) -> Vec<(usize, usize, u64, &BackendRequest)> {
    let mut counts = vec![0_u64; trace.calls.len()];
    let of_hit = trace.requests.iter().filter_map(|request| {
        let index = request.call?.0;
        let place = nominal_place(trace, index)?;
        counts[index] += 1;
        Some((place, index, counts[index], request))
    });
    of_hit.collect()
}

/// Tool and verb, in letters that may stand in the name of a case.
fn shown(request: &BackendRequest) -> String {
    let words = format!("{} {}", request.tool, request.verb);
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._+".contains(letter);
    words
        .trim()
        .chars()
        .map(|letter| if plain(letter) { letter } else { '-' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Scene;
    use crate::contract::stage::Program;
    use crate::trace::CallIndex;

    fn trace(verbs: &[(usize, &str)]) -> Trace {
        let mut trace = Scene::new()
            .call(Program::Config, 0)
            .call(Program::Prepare, 0)
            .call(Program::Cleanup, 0)
            .trace;
        trace.requests = verbs
            .iter()
            .map(|(call, verb)| BackendRequest {
                call: Some(CallIndex(*call)),
                tool: "podman".to_owned(),
                verb: (*verb).to_owned(),
                struck: false,
            })
            .collect();
        trace
    }

    #[test]
    fn each_request_that_comes_again_is_met_by_each_fault() {
        let first = trace(&[(1, "volume create"), (1, "run"), (2, "rm")]);
        let second = trace(&[(1, "volume create"), (1, "exec"), (2, "rm")]);
        let points = backend_points(&first, &second);
        let of_request = KINDS.len() + FROM_HERE.len();
        assert_eq!(points.len(), 2 * (of_request + LASTING.len()));
        assert_eq!(
            points[0].name(),
            "faults/prepare/1-podman-volume-create/error-before-effect"
        );
        assert_eq!(points[of_request].name(), "faults/prepare/whole-call/slow");
        let of_cleanup = &points[of_request + LASTING.len()];
        assert_eq!(
            of_cleanup.name(),
            "faults/cleanup/1-podman-rm/error-before-effect"
        );
        assert_eq!((of_cleanup.index, of_cleanup.fault().nth), (2, 1));
    }

    #[test]
    fn every_scenario_is_one_and_cleans_up_twice() {
        for call in 0..NOMINAL.len() {
            let point = BackendPoint {
                call,
                index: call,
                request: (call != 1).then(|| (1, "podman-rm".to_owned())),
                kind: ["reply-lost", "slow", HANG, "outage", HANG][call],
            };
            let text = point.scenario(true);
            let read = driver_conformance_scenarios::parse("cases/faults/x.toml", &text);
            let read = read.unwrap_or_else(|error| panic!("{error}\n{text}"));
            let calls = read[0].scenario.calls.iter();
            let cleanups = calls.filter(|call| call.call == "cleanup" && call.job == Some(12));
            assert!(cleanups.count() >= 2, "{text}");
        }
    }

    #[test]
    fn names_of_faults_are_found_again() {
        for (name, kind) in KINDS.into_iter().chain(FROM_HERE).chain(LASTING) {
            assert_eq!(fault_kind(name), Some(kind));
        }
        assert!(ends_driver("kill-after") && !ends_driver("reply-lost"));
    }
}
