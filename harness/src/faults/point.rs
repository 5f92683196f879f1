//! A point at which a driver is hit, its name, and its scenario.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::contract::stage::Program;
use crate::plan::case::ChildPlace;
use crate::process::client::TrapMoment;
use crate::trace::{ChildProgram, Trace};

/// The calls of the job that is hit, as scenarios write them.
pub const NOMINAL: [&str; 5] = [
    "config",
    "prepare",
    "run get_sources",
    "run build_script",
    "cleanup",
];
/// Name of the case in which nothing is hit.
pub const NOMINAL_NAME: &str = "faults/nominal";
/// The folder of all these cases.
pub(super) const FOLDER: &str = "faults";
/// Nothing ends a script whose driver is dead, but the time of the call. It stands behind the keys of the job that is hit.
pub(super) const SHORT_TIMEOUT: &str = "timeout = \"short\"\n";
/// Id of the job that is hit.
const HIT_JOB: u64 = 12;
/// Id of the job that is alive meanwhile and has nothing to do with it.
const BYSTANDER: u64 = 123;

/// What is sent to the process group of the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PointSignal {
    /// SIGTERM, as the runner sends it.
    Term,
    /// SIGKILL, as the runner sends it later, or a system without memory at once.
    Kill,
}

impl PointSignal {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Term, Self::Kill];

    fn name(self) -> &'static str {
        match self {
            Self::Term => "term",
            Self::Kill => "kill",
        }
    }
}

/// A point: where the driver is hit, and by what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FaultPoint {
    /// The call, as its place in [`NOMINAL`].
    pub call: usize,
    /// How many programs the call had started before, in the nominal job.
    pub position: usize,
    /// The program that the call starts, and the moment.
    pub place: ChildPlace,
    /// The signal.
    pub signal: PointSignal,
    /// The script of the call, if it runs one, has not ended by then: it does not end by itself, so that it is there to be
    /// ended.
    pub script_hangs: bool,
}

impl FaultPoint {
    /// Name of its case: `faults/run-build_script/setsid.1/begins/kill`.
    pub fn name(&self) -> String {
        format!(
            "{FOLDER}/{}/{}.{}/{}/{}",
            NOMINAL[self.call].replace(' ', "-"),
            self.place.name,
            self.place.nth,
            moment_name(self.place.moment),
            self.signal.name()
        )
    }

    /// What points have in common of which some are as good as all, at first: call, moment and signal.
    pub fn stratum(&self) -> String {
        let moment = moment_name(self.place.moment);
        format!("{}/{moment}/{}", self.call, self.signal.name())
    }

    /// The scenario that leads the driver to the point and hits it there.
    pub fn scenario(&self, with_bystander: bool) -> String {
        let call = NOMINAL[self.call];
        let (action, verb) = match self.signal {
            PointSignal::Term => ("driver-term", "Sends SIGTERM to"),
            PointSignal::Kill => ("driver-kill", "Kills"),
        };
        let ChildPlace { name, nth, moment } = &self.place;
        let moment = moment_name(*moment);
        let about = format!(
            "{verb} {call} when its program {name} ({nth}) {moment}, then cleans up, and cleans up again."
        );
        let mut calls: Vec<String> = NOMINAL[..self.call]
            .iter()
            .map(|call| plain(call))
            .collect();
        calls.push(if self.script_hangs {
            hanging(call)
        } else {
            plain(call)
        });
        if call == "prepare" && self.signal == PointSignal::Term {
            // Only a stage shows whether a prepare that reports success all the same has prepared anything.
            calls.push(plain("run get_sources"));
        }
        if call == "cleanup" {
            calls.push(in_new_attempt("config"));
        }
        calls.extend([plain("cleanup"), in_new_attempt("config"), plain("cleanup")]);
        let mut text = scenario(&about, &calls, with_bystander);
        if self.script_hangs {
            text.push_str(SHORT_TIMEOUT);
        }
        let _ = write!(
            text,
            "\n[[stimulus]]\njob = {HIT_JOB}\naction = \"{action}\"\nduring = \"{call}\"\n\
             child = {{ name = \"{name}\", nth = {nth}, moment = \"{moment}\" }}\n"
        );
        text
    }
}

fn moment_name(moment: TrapMoment) -> &'static str {
    match moment {
        TrapMoment::Begins => "begins",
        TrapMoment::Ends => "ends",
    }
}

/// The scenario in which nothing is hit.
pub fn nominal_scenario(with_bystander: bool) -> String {
    let calls: Vec<String> = NOMINAL.iter().map(|call| plain(call)).collect();
    let about = "Makes the calls of a small job with nothing in their way, and notes which programs they start.";
    scenario(about, &calls, with_bystander)
}

/// The scenario in which the scripts do not end, and the driver is killed while each of them runs.
pub fn hung_scenario(with_bystander: bool) -> String {
    let runs = || NOMINAL.iter().filter(|call| call.starts_with("run "));
    let calls: Vec<String> = NOMINAL
        .iter()
        .map(|call| {
            if call.starts_with("run ") {
                hanging(call)
            } else {
                plain(call)
            }
        })
        .collect();
    let about =
        "Kills the driver while its scripts run, and notes which programs it had started by then.";
    let mut text = scenario(about, &calls, with_bystander);
    text.push_str(SHORT_TIMEOUT);
    for call in runs() {
        let _ = write!(
            text,
            "\n[[stimulus]]\njob = {HIT_JOB}\naction = \"driver-kill\"\nduring = \"{call}\"\nmarker = \"start\"\n"
        );
    }
    text
}

fn hanging(call: &str) -> String {
    format!("{{ job = {HIT_JOB}, call = \"{call}\", does = {{ hang = \"heed-term\" }} }}")
}

pub(super) fn plain(call: &str) -> String {
    format!("{{ job = {HIT_JOB}, call = \"{call}\" }}")
}

pub(super) fn in_new_attempt(call: &str) -> String {
    format!("{{ job = {HIT_JOB}, call = \"{call}\", new_attempt = true }}")
}

/// A scenario with these calls of the job that is hit, within the life of another job if there is one.
pub(super) fn scenario(about: &str, calls: &[String], with_bystander: bool) -> String {
    let bystander = |call: &str, does: &str| {
        let does = if does.is_empty() {
            String::new()
        } else {
            format!(", does = {{ {does} }}")
        };
        format!("{{ job = {BYSTANDER}, call = \"{call}\"{does} }}")
    };
    let mut all = Vec::new();
    if with_bystander {
        all.extend([
            bystander("config", ""),
            bystander("prepare", ""),
            bystander("run get_sources", "remember = \"fig\""),
            bystander("run build_script", "recall = \"fig\""),
            bystander("cleanup", ""),
        ]);
    }
    all.extend_from_slice(calls);
    let order = if with_bystander {
        "around"
    } else {
        "sequential"
    };
    let mut text = format!("about = \"{about}\"\norder = \"{order}\"\ncalls = [\n");
    for call in all {
        let _ = writeln!(text, "    {call},");
    }
    text.push_str("]\n");
    if with_bystander {
        let _ = write!(text, "\n[[job]]\nid = {BYSTANDER}\nconcurrent_id = 1\n");
    }
    let _ = write!(text, "\n[[job]]\nid = {HIT_JOB}\n");
    text
}

/// The points of a driver, in the order in which a job comes to them: at each program that its calls started in both
/// nominal jobs. What came in one of them only need not come again. `hung` is the trace of [`hung_scenario`].
pub fn points(first: &Trace, second: &Trace, hung: &Trace) -> Vec<FaultPoint> {
    let before_end: BTreeSet<(usize, &str, u32)> = programs(hung)
        .into_iter()
        .filter(|(call, ..)| NOMINAL[*call].starts_with("run "))
        .map(|(call, _, program)| (call, program.name.as_str(), program.nth))
        .collect();
    let again = programs(second);
    let known: BTreeSet<(usize, &str, u32)> = again
        .iter()
        .map(|(call, _, program)| (*call, program.name.as_str(), program.nth))
        .collect();
    let ended: BTreeSet<(usize, &str, u32)> = again
        .iter()
        .filter(|(_, _, program)| program.ended)
        .map(|(call, _, program)| (*call, program.name.as_str(), program.nth))
        .collect();
    let mut points = Vec::new();
    for (call, position, program) in programs(first) {
        let key = (call, program.name.as_str(), program.nth);
        let mut moments = Vec::new();
        if known.contains(&key) {
            moments.push(TrapMoment::Begins);
        }
        if program.ended && ended.contains(&key) {
            moments.push(TrapMoment::Ends);
        }
        for moment in moments {
            points.extend(PointSignal::ALL.map(|signal| FaultPoint {
                call,
                position,
                place: ChildPlace {
                    name: program.name.clone(),
                    nth: program.nth,
                    moment,
                },
                signal,
                script_hangs: moment == TrapMoment::Begins && before_end.contains(&key),
            }));
        }
    }
    points
}

/// Which of the calls in [`NOMINAL`] a call is, if it is one of the job that is hit: the last one of its case.
pub(super) fn nominal_place(trace: &Trace, index: usize) -> Option<usize> {
    let hit = trace.jobs.len().saturating_sub(1);
    let call = trace.calls.get(index).filter(|call| call.job == hit)?;
    let name = match (&call.stage, call.program) {
        (Some(stage), Program::Run) => format!("run {stage}"),
        (_, program) => program.name().to_owned(),
    };
    NOMINAL.iter().position(|known| *known == name)
}

/// The programs that the calls of the job started, which is the last one of its case: the call, how many came before,
/// the program.
fn programs(trace: &Trace) -> Vec<(usize, usize, &ChildProgram)> {
    let mut counts = [0; NOMINAL.len()];
    let of_hit = trace
        .children
        .iter()
        .filter_map(|(index, program)| Some((nominal_place(trace, index.0)?, program)));
    of_hit
        .map(|(place, program)| {
            counts[place] += 1;
            (place, counts[place] - 1, program)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{Scene, exits};
    use crate::trace::CallIndex;

    fn point(call: usize, signal: PointSignal) -> FaultPoint {
        FaultPoint {
            call,
            position: 0,
            place: ChildPlace {
                name: "docker-credential.x".to_owned(),
                nth: 2,
                moment: TrapMoment::Ends,
            },
            signal,
            script_hangs: NOMINAL[call].starts_with("run "),
        }
    }

    #[test]
    fn the_name_tells_the_point() {
        assert_eq!(
            point(2, PointSignal::Kill).name(),
            "faults/run-get_sources/docker-credential.x.2/ends/kill"
        );
    }

    fn trace(programs: &[(&str, u32, bool)]) -> Trace {
        let mut scene = Scene::new().run("get_sources", exits(0), 0);
        for (name, nth, ended) in programs {
            let program = ChildProgram {
                name: (*name).to_owned(),
                nth: *nth,
                ended: *ended,
                holds: Vec::new(),
            };
            scene.trace.children.push((CallIndex(0), program));
        }
        scene.trace
    }

    #[test]
    fn only_what_comes_each_time_is_a_point() {
        let first = trace(&[
            ("rm", 1, true),
            ("sleep", 1, true),
            ("bash", 1, true),
            ("agent", 1, false),
        ]);
        let second = trace(&[("rm", 1, true), ("bash", 1, true), ("agent", 1, true)]);
        let hung = trace(&[("rm", 1, true), ("bash", 1, false)]);
        let found: Vec<(String, bool)> = points(&first, &second, &hung)
            .iter()
            .filter(|point| point.signal == PointSignal::Kill)
            .map(|point| (point.name(), point.script_hangs))
            .collect();
        let expected = [
            ("rm.1/begins", true),
            ("rm.1/ends", false),
            ("bash.1/begins", true),
            ("bash.1/ends", false),
            ("agent.1/begins", false),
        ];
        let expected =
            expected.map(|(name, hangs)| (format!("faults/run-get_sources/{name}/kill"), hangs));
        assert_eq!(found, expected);
    }

    #[test]
    fn every_scenario_is_one() {
        for bystander in [false, true] {
            let mut texts = vec![nominal_scenario(bystander), hung_scenario(bystander)];
            for call in 0..NOMINAL.len() {
                texts
                    .extend(PointSignal::ALL.map(|signal| point(call, signal).scenario(bystander)));
            }
            for text in texts {
                let read = driver_conformance_scenarios::parse("cases/faults/x.toml", &text);
                let read = read.unwrap_or_else(|error| panic!("{error}\n{text}"));
                assert_eq!(
                    read[0].scenario.job.jobs().len(),
                    1 + usize::from(bystander)
                );
                let cleanups = read[0].scenario.calls.iter();
                let cleanups =
                    cleanups.filter(|call| call.call == "cleanup" && call.job != Some(BYSTANDER));
                let hit = usize::from(text.contains("child = "));
                assert!(cleanups.count() > hit, "{text}");
            }
        }
    }
}
