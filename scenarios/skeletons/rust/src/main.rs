//! A driver for GitLab Runner's Custom executor: the part that the runner sees. Four calls, exit codes.
//! What a job runs in, its box, is in `backend`; `client` starts programs and knows signals.
//!
//!     driver config | prepare | run SCRIPT STAGE | cleanup
//!
//! The calls are separate processes that share nothing, and any of them can be killed at any moment or come twice. So a box is
//! named after its job, and whatever has to be known is looked up by that name.

mod backend;
mod client;

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::process::{self, Command, Stdio};
use std::{env, fmt};

use backend::JobBox;

/// Runs in the box, which may outlive the call: `$1` is a directory for notes, `$2` the stage, standard input the script.
/// Its process group is written down before the script begins, so that it can be ended later, and how it has ended is written
/// down, since the code of the tool that leads into the box may be one of the tool's own.
const IN_BOX: &str = r#"
rm -f "$1/$2.code"
echo "$$" >"$1/$2.group" || exit
[ ! -e "$1/stop" ] || exit
cat >"$1/$2.script" || exit
code=0
bash "$1/$2.script" </dev/null || code=$?
echo "$code" >"$1/$2.code"
rm -f "$1/$2.group" "$1/$2.script"
exit "$code"
"#;

/// Runs in the box: ends the scripts that have begun. With `$2` = stop, one that is about to begin does not, either.
const END_WORK: &str = r#"
cd "$1" || exit
rm -f ./*.code
if [ "$2" = stop ]; then : >stop; else rm -f stop; fi
for file in *.group; do
    [ ! -s "$file" ] || kill -s KILL -- "-$(cat "$file")" 2>/dev/null
    rm -f "$file"
done
"#;

/// How long a box may take to end its script.
const PATIENCE_S: &str = "5";

/// Why a call fails.
pub enum Failure {
    /// The script itself has failed, with this code, which GitLab compares with `allow_failure: exit_codes`.
    Build(i32),
    /// Trouble that the job's author cannot help. The runner tries prepare again, and `retry: when` knows it apart.
    System(String),
}

impl Failure {
    /// Trouble with a thing, and its reason.
    pub fn system(what: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Self::System(format!("{what}: {reason}"))
    }
}

fn main() {
    client::handle_signals();
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let code = match call(&arguments) {
        Ok(()) => 0,
        Err(Failure::Build(code)) => {
            if let Some(file) = code_file() {
                let _ = fs::write(file, format!("{code}\n"));
            }
            exit_code("BUILD_FAILURE_EXIT_CODE", 1)
        }
        Err(Failure::System(message)) => {
            // Nobody may be there to read it: a runner that was killed has closed the pipe.
            let _ = writeln!(io::stderr(), "driver: {message}");
            exit_code("SYSTEM_FAILURE_EXIT_CODE", 2)
        }
    };
    process::exit(code)
}

/// The values of both codes are the runner's to choose; by hand, they are what it chooses today.
fn exit_code(variable: &str, by_hand: i32) -> i32 {
    let value = env::var(variable).ok();
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or(by_hand)
}

fn call(arguments: &[&str]) -> Result<(), Failure> {
    let job_box = JobBox::named(name_of_box()?);
    match arguments {
        ["config"] => config(&job_box),
        ["prepare"] => prepare(&job_box),
        ["run", script, stage] => run(&job_box, script, stage),
        ["stop"] => client::run(&mut end_work(&job_box, "stop")?).map(|_| ()),
        ["cleanup"] => cleanup(&job_box),
        _ => Err(Failure::System(
            "call me with config, prepare, run SCRIPT STAGE, or cleanup".to_owned(),
        )),
    }
}

/// A CI variable of the job; empty if it has none of this name.
pub fn variable(name: &str) -> String {
    env::var(format!("CUSTOM_ENV_{name}")).unwrap_or_default()
}

/// The same in all calls of a job, and in no other job. Ids only: names of branches and projects are chosen by others.
fn name_of_box() -> Result<String, Failure> {
    let [runner, project, job] = ["CI_RUNNER_ID", "CI_PROJECT_ID", "CI_JOB_ID"].map(variable);
    if job.is_empty() {
        let message = "there is no CUSTOM_ENV_CI_JOB_ID: only a runner can call me";
        return Err(Failure::System(message.to_owned()));
    }
    Ok(format!("runner-{runner}-project-{project}-job-{job}"))
}

/// Standard output is JSON for the runner and nothing else; messages belong on standard error.
fn config(job_box: &JobBox) -> Result<(), Failure> {
    say(&format!(
        r#"{{"driver": {{"name": "my-driver", "version": "0.1.0"}}, "hostname": {}, "builds_dir": {}, "cache_dir": {}}}"#,
        json_string(&job_box.name),
        json_string(&job_box.builds_dir),
        json_string(&job_box.cache_dir),
    ))
}

fn prepare(job_box: &JobBox) -> Result<(), Failure> {
    // An earlier attempt, or a runner that was killed, may have left a box half-made: it is never used again.
    job_box.remove()?;
    job_box.create()?;
    say(&format!("{} is ready", job_box.name))
}

fn run(job_box: &JobBox, script: &str, stage: &str) -> Result<(), Failure> {
    // The stages share this file: the code of an earlier one must not be taken for this one's.
    if let Some(file) = code_file() {
        let _ = fs::remove_file(file);
    }
    let name = &job_box.name;
    if !job_box.exists()? {
        return Err(Failure::System(format!("there is no {name}")));
    }
    // The runner may have given up on an earlier call, whose script is still there.
    if !client::run(&mut end_work(job_box, "go-on")?)?.succeeded() {
        return Err(Failure::System(format!("{name} cannot be reached")));
    }
    let text = File::open(script).map_err(|error| Failure::system(script, error))?;
    // A session of its own makes the script and all that it starts one group.
    let notes = &job_box.notes;
    let words = ["setsid", "--wait", "bash", "-c", IN_BOX, "-", notes, stage];
    let ended = client::run(job_box.command(&words)?.stdin(text)).inspect_err(|_| stop_work())?;
    if ended.succeeded() {
        return Ok(());
    }
    let mut cat = job_box.command(&["cat", &format!("{notes}/{stage}.code")])?;
    let last = client::run(cat.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    match ended.code {
        Some(code) if last.output.trim() == code.to_string() => Err(Failure::Build(code)),
        _ => Err(Failure::System(format!(
            "{name} was lost while {stage} ran"
        ))),
    }
}

/// May come at any time: before prepare, after a crash, twice. What is not there needs no removing and is no failure.
fn cleanup(job_box: &JobBox) -> Result<(), Failure> {
    job_box.remove()?;
    if job_box.exists()? {
        return Err(Failure::System(format!("{} is still there", job_box.name)));
    }
    Ok(())
}

/// What ends the script that runs in the box; `how` is "stop" or "go-on".
pub fn end_work(job_box: &JobBox, how: &str) -> Result<Command, Failure> {
    let words = ["bash", "-c", END_WORK, "-", &job_box.notes, how];
    let mut command = job_box.command(&words)?;
    command.stdin(Stdio::null()).stdout(Stdio::null());
    Ok(command)
}

/// On a signal: the script would go on in the box, so it is ended there. In a process that can be ended itself: a backend that does
/// not answer must not keep a job that is over.
fn stop_work() {
    let Ok(driver) = env::current_exe() else {
        return;
    };
    let mut timeout = Command::new("timeout");
    timeout.args(["--signal=KILL", PATIENCE_S]);
    let _ = timeout.arg(driver).arg("stop").status();
}

/// Where the runner looks for the code of a script that has failed; older runners do not.
fn code_file() -> Option<String> {
    let file = env::var("BUILD_EXIT_CODE_FILE").ok();
    file.filter(|file| !file.is_empty())
}

/// Unlike `println!`, which panics, and so ends the driver with a code that nobody knows.
fn say(line: &str) -> Result<(), Failure> {
    writeln!(io::stdout(), "{line}").map_err(|error| Failure::system("standard output", error))
}

fn json_string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars().filter(|letter| !letter.is_control()) {
        if letter == '"' || letter == '\\' {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    quoted + "\""
}
