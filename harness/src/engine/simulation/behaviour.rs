//! How a scripted driver behaves: the vocabulary of the golden traces (`golden/README`, `inputs.behaviours`).

use std::time::Duration;

use serde_json::{Map, Value};

use crate::contract::protocol::Stream;
use crate::contract::stage::{Program, Stage};

/// A behaviour that could not be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct BehaviourError {
    /// Where in the file, for example `behaviours[2].do[0]`.
    pub place: String,
    /// What is wrong there.
    pub problem: String,
}

/// One rule: which calls it is for and what the driver does in them. The first rule that fits wins.
#[derive(Debug, Clone, PartialEq)]
pub struct Behaviour {
    /// Which program; `None`: any.
    pub program: Option<Program>,
    /// Which stage, by driver name; `None`: any.
    pub stage: Option<String>,
    /// Which calls of the same program and stage within the job, from 1; empty: all.
    pub nth: Vec<u32>,
    /// Which job; `None`: any.
    pub job: Option<i64>,
    /// What it does.
    pub steps: Vec<Step>,
}

impl Behaviour {
    /// Whether the rule is for this call.
    pub fn fits(&self, program: Program, stage: Option<&Stage>, nth: u32, job: i64) -> bool {
        self.program.is_none_or(|wanted| wanted == program)
            && self
                .stage
                .as_ref()
                .is_none_or(|wanted| stage.is_some_and(|stage| stage.driver_name() == *wanted))
            && (self.nth.is_empty() || self.nth.contains(&nth))
            && self.job.is_none_or(|wanted| wanted == job)
    }
}

/// One thing that a scripted driver does.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Print its one line.
    Hello,
    /// Print a text, as often as told.
    Print {
        /// What, with its newline if it has one.
        text: Vec<u8>,
        /// How often.
        times: u32,
        /// Where.
        to: Stream,
    },
    /// Wait, printing a line each tick if there is one.
    Sleep {
        /// How long.
        length: Duration,
        /// A line each.
        tick: Option<Duration>,
        /// Where the lines go.
        tick_to: Stream,
    },
    /// What SIGTERM does from here on.
    OnTerm(OnTerm),
    /// Write the exit-code file.
    WriteExitFile(String),
    /// Make a directory where the exit-code file should be.
    MakeExitDirectory,
    /// Make an empty file in TMPDIR.
    Touch(String),
    /// Remove the directory that an environment variable names.
    RemoveTree(String),
    /// Close file descriptors.
    Close(Vec<u32>),
    /// Start a child process.
    Spawn(Child),
    /// Run the stage's script with a shell; on failure write the exit-code file and exit with the build-failure code.
    RunScript,
    /// Die of a signal.
    KillSelf(i32),
    /// Send a signal to the own process group.
    KillGroup(i32),
    /// Exit with the value of an environment variable.
    ExitWithVariable(String),
    /// Exit with a code.
    Exit(i32),
}

/// What SIGTERM does to a scripted process.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum OnTerm {
    /// It dies of it.
    #[default]
    Die,
    /// Nothing.
    Ignore,
    /// It exits with this code at once.
    Exit(i32),
    /// It exits with this code after this long.
    ExitAfter(Duration, i32),
}

/// A child process of a scripted driver.
#[derive(Debug, Clone, PartialEq)]
pub struct Child {
    /// How long it lives.
    pub life: Duration,
    /// Whether it keeps the driver's stdout and stderr open.
    pub holds_output: bool,
    /// Whether it has a session, so a process group, of its own.
    pub own_session: bool,
    /// What SIGTERM does to it.
    pub on_term: OnTerm,
    /// A line of output each, while it holds the output.
    pub tick: Option<Duration>,
}

/// Reads the list `inputs.behaviours`.
pub fn parse_behaviours(value: &Value) -> Result<Vec<Behaviour>, BehaviourError> {
    let list = value
        .as_array()
        .ok_or_else(|| problem("behaviours", "is not a list"))?;
    list.iter()
        .enumerate()
        .map(|(index, rule)| parse_behaviour(rule, &format!("behaviours[{index}]")))
        .collect()
}

fn problem(place: &str, problem: impl Into<String>) -> BehaviourError {
    BehaviourError {
        place: place.to_owned(),
        problem: problem.into(),
    }
}

fn parse_behaviour(value: &Value, place: &str) -> Result<Behaviour, BehaviourError> {
    let rule = value
        .as_object()
        .ok_or_else(|| problem(place, "is not an object"))?;
    let program = match rule.get("exec").and_then(Value::as_str) {
        None => None,
        Some(name) => Some(
            parse_program(name).ok_or_else(|| problem(place, format!("unknown exec {name:?}")))?,
        ),
    };
    let nth = match rule.get("nth") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(list)) => list.iter().filter_map(as_u32).collect(),
        Some(number) => vec![as_u32(number).ok_or_else(|| problem(place, "nth is not a number"))?],
    };
    let steps = rule.get("do").and_then(Value::as_array);
    let steps = steps.ok_or_else(|| problem(place, "`do` is not a list"))?;
    let steps = steps
        .iter()
        .enumerate()
        .map(|(index, step)| parse_step(step, &format!("{place}.do[{index}]")))
        .collect::<Result<_, _>>()?;
    Ok(Behaviour {
        program,
        stage: rule.get("stage").and_then(Value::as_str).map(str::to_owned),
        nth,
        job: rule.get("job").and_then(as_id),
        steps,
    })
}

fn as_u32(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|number| u32::try_from(number).ok())
}

/// A job id, written as number or as text.
pub fn as_id(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// `config_exec` or `config`, and so on.
pub fn parse_program(name: &str) -> Option<Program> {
    let short = name.strip_suffix("_exec").unwrap_or(name);
    Program::ALL
        .into_iter()
        .find(|program| program.name() == short)
}

fn parse_step(value: &Value, place: &str) -> Result<Step, BehaviourError> {
    let step = value
        .as_object()
        .ok_or_else(|| problem(place, "is not an object"))?;
    let word = |key: &str| step.get(key).and_then(Value::as_str).map(str::to_owned);
    let text =
        |key: &str| word(key).ok_or_else(|| problem(place, format!("`{key}` is not a text")));
    let number = |key: &str| {
        let number = step
            .get(key)
            .and_then(Value::as_i64)
            .and_then(|n| i32::try_from(n).ok());
        number.ok_or_else(|| problem(place, format!("`{key}` is not a number")))
    };
    let Some(first) = step.keys().find(|key| !is_modifier(key)) else {
        return Err(problem(place, "has no action"));
    };
    Ok(match first.as_str() {
        "hello" => Step::Hello,
        "print" => parse_print(step, place)?,
        "json" => Step::Print {
            text: format!("{}\n", step["json"]).into_bytes(),
            times: 1,
            to: Stream::Stdout,
        },
        "sleep" => parse_sleep(step, place)?,
        "term" => Step::OnTerm(parse_on_term(&text("term")?, place)?),
        "write_exit_file" => Step::WriteExitFile(text("write_exit_file")?),
        "mkdir_exit_file" => Step::MakeExitDirectory,
        "touch" => Step::Touch(text("touch")?),
        "rmtree" => Step::RemoveTree(text("rmtree")?),
        "close" => Step::Close(
            step["close"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(as_u32)
                .collect(),
        ),
        "spawn" => Step::Spawn(parse_child(&step["spawn"], place)?),
        "run_script" => Step::RunScript,
        "kill_self" => Step::KillSelf(number("kill_self")?),
        "kill_group" => Step::KillGroup(number("kill_group")?),
        "exit_env" => Step::ExitWithVariable(text("exit_env")?),
        "exit" => Step::Exit(number("exit")?),
        other => return Err(problem(place, format!("unknown action `{other}`"))),
    })
}

fn is_modifier(key: &str) -> bool {
    matches!(key, "times" | "to" | "tick" | "tick_to")
}

fn parse_print(step: &Map<String, Value>, place: &str) -> Result<Step, BehaviourError> {
    let text = step["print"]
        .as_str()
        .ok_or_else(|| problem(place, "`print` is not a text"))?;
    Ok(Step::Print {
        text: crate::golden::file::raw_bytes(text),
        times: step.get("times").and_then(as_u32).unwrap_or(1),
        to: parse_stream(step.get("to")),
    })
}

fn parse_stream(value: Option<&Value>) -> Stream {
    match value.and_then(Value::as_str) {
        Some("stderr") => Stream::Stderr,
        _ => Stream::Stdout,
    }
}

fn parse_sleep(step: &Map<String, Value>, place: &str) -> Result<Step, BehaviourError> {
    Ok(Step::Sleep {
        length: seconds(step.get("sleep"), place)?,
        tick: step
            .get("tick")
            .map(|tick| seconds(Some(tick), place))
            .transpose()?,
        tick_to: parse_stream(step.get("tick_to")),
    })
}

fn seconds(value: Option<&Value>, place: &str) -> Result<Duration, BehaviourError> {
    value
        .and_then(Value::as_f64)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| problem(place, "not a number of seconds"))
}

fn parse_on_term(text: &str, place: &str) -> Result<OnTerm, BehaviourError> {
    let bad = || problem(place, format!("unknown behaviour on SIGTERM {text:?}"));
    let parts: Vec<&str> = text.split(':').collect();
    Ok(match parts.as_slice() {
        ["default"] => OnTerm::Die,
        ["ignore"] => OnTerm::Ignore,
        ["exit", code] => OnTerm::Exit(code.parse().map_err(|_| bad())?),
        ["slow", wait, code] => {
            let wait: f64 = wait.parse().map_err(|_| bad())?;
            let wait = Duration::try_from_secs_f64(wait).map_err(|_| bad())?;
            OnTerm::ExitAfter(wait, code.parse().map_err(|_| bad())?)
        }
        _ => return Err(bad()),
    })
}

fn parse_child(value: &Value, place: &str) -> Result<Child, BehaviourError> {
    let child = value
        .as_object()
        .ok_or_else(|| problem(place, "`spawn` is not an object"))?;
    let flag = |key: &str| child.get(key).and_then(Value::as_bool).unwrap_or(false);
    let on_term = match child.get("term").and_then(Value::as_str) {
        None => OnTerm::Die,
        Some(text) => parse_on_term(text, place)?,
    };
    Ok(Child {
        life: seconds(child.get("seconds"), place)?,
        holds_output: flag("hold_stdout"),
        own_session: flag("setsid"),
        on_term,
        tick: child
            .get("tick")
            .map(|tick| seconds(Some(tick), place))
            .transpose()?,
    })
}
