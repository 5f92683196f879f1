//! From a plan to the scenario that carries it out. What a runner would not do is left out.

use std::fmt::Write as _;

use super::plan::{Event, Fate, JobEvent, Plan, Script, What};

/// Stages in the order in which a runner comes to them.
const STAGES: [&str; 10] = [
    "prepare_script",
    "get_sources",
    "restore_cache",
    "download_artifacts",
    "build_script",
    "step_release",
    "after_script",
    "archive_cache",
    "upload_artifacts_on_success",
    "cleanup_file_variables",
];
/// The stage that fetches sources.
const SOURCES: usize = 1;
/// The last stage that is tried again when it fails.
const LAST_REPEATED: usize = 4;
/// The first stage that comes also after a failure.
const FIRST_AFTER_FAILURE: usize = 6;
/// What happens to whole jobs.
pub(super) const ACTIONS: [&str; 7] = [
    "cancel",
    "abort",
    "runner-term",
    "driver-term",
    "driver-kill",
    "runner-kill",
    "runner-term-twice",
];
/// Ids of the jobs: the second begins with the first. The harness makes longer ones of them, which fit into 32 bits.
const IDS: [u64; 3] = [12, 123, 7];
/// The words that scripts leave begin with it.
const WORD: &str = "quince";

/// A call as a scenario writes it, with what is done to it.
struct Call {
    text: String,
    job: usize,
    stimulus: Option<String>,
    /// It is none of the plan's own events.
    is_end: bool,
}

/// The attempt that a job is in.
#[derive(Default)]
struct Attempt {
    begun: bool,
    /// The first stage that may come; none if nothing but a cleanup or another attempt follows.
    stage: Option<usize>,
    /// Something may be there that cleanup has not removed.
    dirty: bool,
}

/// What was told of a job so far.
#[derive(Default)]
struct Told {
    /// It has had a call.
    begun: bool,
    /// How many words the stages of the attempt have left.
    words: usize,
}

/// How many events of a plan are carried out.
pub fn events(plan: &Plan) -> usize {
    match plan {
        Plan::Jobs { jobs, .. } => jobs.len(),
        Plan::Calls(list) => legal(list).0.len(),
    }
}

/// The text of the scenario; `None` if nothing of the plan can be carried out.
pub fn scenario(plan: &Plan) -> Option<String> {
    match plan {
        Plan::Calls(list) => {
            let (events, attempts) = legal(list);
            of_calls(&events, &attempts)
        }
        Plan::Jobs { at_once, jobs } => Some(of_jobs(*at_once, jobs)),
    }
}

/// The events that a runner could bring about, in their order; a stage where no attempt is going on begins one, since a wish
/// that comes to nothing teaches nothing. Each with its stage; and where the jobs are then.
fn legal(list: &[Event]) -> (Vec<(Event, Option<usize>)>, [Attempt; 2]) {
    let mut attempts = [Attempt::default(), Attempt::default()];
    let mut events = Vec::new();
    for event in list {
        let attempt = &mut attempts[usize::from(event.second_job)];
        let What::Stage { step, .. } = event.what else {
            if take(attempt, event, None) {
                events.push((*event, None));
            }
            continue;
        };
        if attempt.stage.is_none() {
            let begin = Event {
                what: What::Attempt,
                hit: None,
                ..*event
            };
            take(attempt, &begin, None);
            events.push((begin, None));
        }
        let stage = attempt
            .stage
            .map(|first| (first + step).min(STAGES.len() - 1));
        if take(attempt, event, stage) {
            events.push((*event, stage));
        }
    }
    (events, attempts)
}

/// Whether an event can come now, and what it makes of the attempt.
fn take(attempt: &mut Attempt, event: &Event, stage: Option<usize>) -> bool {
    let hit = event.hit.is_some();
    match event.what {
        What::Attempt => {
            attempt.stage = (!hit).then_some(0);
            attempt.dirty = true;
        }
        What::ConfigAlone => attempt.stage = None,
        What::Cleanup { in_new_attempt } => {
            if !attempt.begun && !in_new_attempt {
                return false;
            }
            attempt.stage = None;
            attempt.dirty &= hit;
        }
        What::Stage { script, .. } => {
            let (Some(first), Some(stage)) = (attempt.stage, stage) else {
                return false;
            };
            let fails = matches!(script, Script::Fails(_)) && stage != SOURCES;
            let next = if fails {
                first.max(FIRST_AFTER_FAILURE)
            } else {
                stage + usize::from(stage > LAST_REPEATED)
            };
            attempt.stage = Some(next).filter(|next| !hit && *next < STAGES.len());
        }
    }
    attempt.begun = true;
    true
}

fn of_calls(list: &[(Event, Option<usize>)], attempts: &[Attempt; 2]) -> Option<String> {
    let mut calls = Vec::new();
    let mut told = [Told::default(), Told::default()];
    for (event, stage) in list {
        let job = usize::from(event.second_job);
        calls.extend(calls_of(event, *stage, &mut told[job]));
    }
    // Every job is cleaned up at the end, as by the next start of a runner, so that it can be told what stays.
    for (job, attempt) in attempts.iter().enumerate() {
        if attempt.begun && attempt.dirty {
            calls.push(end(job, "config", true));
            calls.push(end(job, "cleanup", false));
        }
    }
    if calls.is_empty() {
        return None;
    }
    let jobs: Vec<usize> = (0..2)
        .filter(|job| calls.iter().any(|call| call.job == *job))
        .collect();
    let order = if jobs.len() > 1 {
        "listed"
    } else {
        "sequential"
    };
    let mut text = format!(
        "about = \"A sequence that was found by chance.\"\norder = \"{order}\"\ncalls = [\n"
    );
    for call in &calls {
        let remark = if call.is_end { " # the end" } else { "" };
        let _ = writeln!(text, "    {},{remark}", call.text);
    }
    text.push_str("]\n");
    for job in jobs {
        let _ = write!(
            text,
            "\n[[job]]\nid = {}\nconcurrent_id = {job}\n",
            IDS[job]
        );
    }
    write_stimuli(&mut text, &calls);
    Some(text)
}

fn end(job: usize, call: &str, new_attempt: bool) -> Call {
    let new = if new_attempt {
        ", new_attempt = true"
    } else {
        ""
    };
    Call {
        text: format!("{{ job = {}, call = \"{call}\"{new} }}", IDS[job]),
        job,
        stimulus: None,
        is_end: true,
    }
}

/// The calls of one event.
fn calls_of(event: &Event, stage: Option<usize>, told: &mut Told) -> Vec<Call> {
    let job = usize::from(event.second_job);
    let was_begun = std::mem::replace(&mut told.begun, true);
    if !matches!(event.what, What::Stage { .. }) {
        told.words = 0;
    }
    let call = |call: &str, new_attempt: bool, does: &str| {
        let new = if new_attempt {
            ", new_attempt = true"
        } else {
            ""
        };
        let does = if does.is_empty() {
            String::new()
        } else {
            format!(", does = {{ {does} }}")
        };
        Call {
            text: format!("{{ job = {}, call = \"{call}\"{new}{does} }}", IDS[job]),
            job,
            stimulus: None,
            is_end: false,
        }
    };
    let (mut calls, hit_call) = match event.what {
        What::Attempt => (
            vec![call("config", was_begun, ""), call("prepare", false, "")],
            "prepare".to_owned(),
        ),
        What::ConfigAlone => (vec![call("config", was_begun, "")], "config".to_owned()),
        What::Cleanup { in_new_attempt } => {
            let mut calls = Vec::new();
            if in_new_attempt {
                calls.push(call("config", was_begun, ""));
            }
            calls.push(call("cleanup", false, ""));
            (calls, "cleanup".to_owned())
        }
        What::Stage { script, memory, .. } => {
            let name = format!("run {}", STAGES[stage.unwrap_or_default()]);
            let mut does = match script {
                Script::Succeeds => Vec::new(),
                Script::Fails(code) => vec![format!("exit = {code}")],
                Script::Prints(lines) => vec![format!("output = \"lines\", lines = {lines}")],
            };
            if memory {
                does.extend(words_of(job, told));
            }
            (vec![call(&name, false, &does.join(", "))], name)
        }
    };
    if let (Some(hit), Some(last)) = (event.hit, calls.last_mut()) {
        let action = if hit.kill {
            "driver-kill"
        } else {
            "driver-term"
        };
        last.stimulus = Some(format!(
            "job = {}\naction = \"{action}\"\nduring = \"{hit_call}\"\nafter_percent = {}\n",
            IDS[job], hit.percent
        ));
    }
    calls
}

/// A stage looks for the word that was left last, and leaves the next one.
fn words_of(job: usize, told: &mut Told) -> Vec<String> {
    let word = |number: usize| format!("\"{WORD}-{}-{number}\"", IDS[job]);
    let last = told.words;
    told.words += 1;
    let mut does = vec![format!("remember = {}", word(told.words))];
    if last > 0 {
        does.push(format!("recall = {}", word(last)));
    }
    does
}

/// The stimuli, each with the number of its call among those of its name.
fn write_stimuli(text: &mut String, calls: &[Call]) {
    let name_of = |call: &Call| {
        let name = call.text.split("call = \"").nth(1).unwrap_or_default();
        name.split('"').next().unwrap_or_default().to_owned()
    };
    for (index, call) in calls.iter().enumerate() {
        let Some(stimulus) = &call.stimulus else {
            continue;
        };
        let same = calls[..=index]
            .iter()
            .filter(|other| other.job == call.job && name_of(other) == name_of(call));
        let _ = write!(text, "\n[[stimulus]]\n{stimulus}nth = {}\n", same.count());
    }
}

fn of_jobs(at_once: bool, jobs: &[JobEvent]) -> String {
    let order = if at_once && jobs.len() > 1 {
        "concurrent"
    } else {
        "sequential"
    };
    let mut text =
        format!("about = \"Jobs that were put together by chance.\"\norder = \"{order}\"\n");
    for (slot, (job, id)) in jobs.iter().zip(IDS).enumerate() {
        let _ = write!(
            text,
            "\n[[job]]\nid = {id}\nconcurrent_id = {}\nafter_script = {}\n",
            slot % 3,
            job.after_script
        );
    }
    for (job, id) in jobs.iter().zip(IDS) {
        let hangs = job.fate.is_some_and(|fate| fate.in_prepare.is_none());
        let does = match (hangs, job.fails) {
            (true, _) => "hang = \"heed-term\"",
            (false, true) => "exit = 3",
            (false, false) => continue,
        };
        let _ = write!(
            text,
            "\n[[probe]]\njob = {id}\nstage = \"build_script\"\ndoes = {{ {does} }}\n"
        );
    }
    for (job, id) in jobs.iter().zip(IDS) {
        let Some(Fate { action, in_prepare }) = job.fate else {
            continue;
        };
        let when = match in_prepare {
            Some(percent) => format!("during = \"prepare\"\nafter_percent = {percent}\n"),
            None => "during = \"run build_script\"\nmarker = \"start\"\n".to_owned(),
        };
        let _ = write!(
            text,
            "\n[[stimulus]]\njob = {id}\naction = \"{}\"\n{when}",
            ACTIONS[action]
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::plan::{Habits, Hit};
    use super::*;

    proptest! {
        #[test]
        fn every_plan_is_a_scenario(plan in Habits::strategy().prop_flat_map(Habits::plans)) {
            if let Some(text) = scenario(&plan) {
                let read = driver_conformance_scenarios::parse("cases/fuzz/x.toml", &text);
                prop_assert!(read.is_ok(), "{}\n{text}", read.unwrap_err());
            }
        }
    }

    fn event(what: What) -> Event {
        Event {
            second_job: false,
            what,
            hit: None,
        }
    }

    #[test]
    fn what_a_runner_would_not_do_is_left_out() {
        let stage = |step, script| {
            event(What::Stage {
                step,
                script,
                memory: false,
            })
        };
        let killed = Event {
            hit: Some(Hit {
                kill: true,
                percent: 50,
            }),
            ..event(What::Attempt)
        };
        let list = [
            event(What::Cleanup {
                in_new_attempt: false,
            }), // there is nothing to clean up
            event(What::Attempt),
            stage(4, Script::Fails(3)),
            stage(0, Script::Succeeds), // the first that comes after a failure
            killed,
            stage(1, Script::Succeeds), // prepare did not succeed: a new attempt
        ];
        let plan = Plan::Calls(list.to_vec());
        assert_eq!(events(&plan), 6);
        let text = scenario(&plan).expect("something is left");
        let expected = r#"about = "A sequence that was found by chance."
order = "sequential"
calls = [
    { job = 12, call = "config" },
    { job = 12, call = "prepare" },
    { job = 12, call = "run build_script", does = { exit = 3 } },
    { job = 12, call = "run after_script" },
    { job = 12, call = "config", new_attempt = true },
    { job = 12, call = "prepare" },
    { job = 12, call = "config", new_attempt = true },
    { job = 12, call = "prepare" },
    { job = 12, call = "run get_sources" },
    { job = 12, call = "config", new_attempt = true }, # the end
    { job = 12, call = "cleanup" }, # the end
]

[[job]]
id = 12
concurrent_id = 0

[[stimulus]]
job = 12
action = "driver-kill"
during = "prepare"
after_percent = 50
nth = 2
"#;
        assert_eq!(text, expected);
    }

    #[test]
    fn each_stage_looks_for_the_word_of_the_one_before() {
        let stage = event(What::Stage {
            step: 0,
            script: Script::Fails(3),
            memory: true,
        });
        let attempt = event(What::Attempt);
        let plan = Plan::Calls(vec![attempt, stage, stage, attempt, stage]);
        let text = scenario(&plan).expect("something is left");
        let does: Vec<&str> = text
            .lines()
            .filter_map(|line| Some(line.split_once("exit = 3, ")?.1))
            .collect();
        let expected = [
            "remember = \"quince-12-1\" } },",
            "remember = \"quince-12-2\", recall = \"quince-12-1\" } },",
            "remember = \"quince-12-1\" } },",
        ];
        assert_eq!(does, expected);
    }

    #[test]
    fn a_plan_without_anything_legal_is_none() {
        let cleanup = event(What::Cleanup {
            in_new_attempt: false,
        });
        assert_eq!(scenario(&Plan::Calls(vec![cleanup])), None);
    }
}
