//! Jobs of a batch system: boxes in which the machine's own files are seen, and which run a script in the background.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::box_root;
use crate::faults::Twists;
use crate::ledger::now_ms;
use crate::personality::{Misunderstood, Parameters, Verb, arguments};
use crate::runtime::running::null;
use crate::runtime::world::{BOX, Object, Plan, RECORD, Refusal, reason};
use crate::session::{Answer, Scene};

use super::shown::fields;
use super::{Trouble, done, each, execution, making, tables};

/// Exit code of a job that was cancelled, as a shell has SIGTERM.
const CANCELLED: i32 = 143;
/// The first number of a job, less one.
const FIRST: u64 = 1000;
/// Where a job finds its script.
const SCRIPT: &str = "run/job/slurm_script";
/// By which a step knows its job.
const JOB: &str = "SLURM_JOB_ID";
/// How often a caller that waits is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Reads a script, makes a job of it and starts it.
pub(super) fn submit(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let script = script(scene)?;
    let mut parameters = written_in(scene.verb, &script)?;
    parameters.extend(scene.parameters);
    let object = make(scene, &parameters)?;
    let path = scene
        .case
        .box_directory(&object.id)
        .join("root")
        .join(SCRIPT);
    fs::create_dir_all(path.parent().unwrap_or(&path))?;
    fs::write(&path, &script)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    making::start(scene, &object, streams(&object, &parameters)?)?;
    let mut answer = done(scene, &fields(scene, &object, twists));
    if parameters.has("parsable") {
        answer.output = format!("{}\n", object.name).into_bytes();
    }
    if parameters.has("wait") {
        answer.code = ending(scene, &object).unwrap_or(1);
    }
    Ok(answer)
}

fn script(scene: &Scene<'_>) -> Result<String, Trouble> {
    if let Some(command) = scene.parameters.last("wrap") {
        return Ok(format!("#!/bin/sh\n{command}\n"));
    }
    let Some(name) = scene.parameters.last("script") else {
        return Err(Trouble::NotEmulated(
            "a script on standard input".to_owned(),
        ));
    };
    let path = scene.shim.working_directory.join(name);
    let text = fs::read_to_string(&path).map_err(|error| making::no_file(&path, &error))?;
    if text.starts_with("#!") {
        Ok(text)
    } else {
        let message = "This does not look like a batch script";
        Err(Refusal::new(reason::BROKEN, "script", name, message).into())
    }
}

/// The options that a script brings along.
fn written_in(verb: &Verb, script: &str) -> Result<Parameters, Trouble> {
    let options = Verb {
        arguments: Vec::new(),
        ..verb.clone()
    };
    let mut parameters = Parameters::default();
    let lines = script
        .lines()
        .take_while(|line| line.starts_with('#') || line.is_empty());
    for line in lines.filter_map(|line| line.strip_prefix("#SBATCH ")) {
        let words = line.split_whitespace().map(|word| word.replace('"', ""));
        let words: Vec<String> = words.collect();
        arguments::after_verb(&options, &words, &mut parameters).map_err(|problem| {
            Trouble::NotEmulated(match problem {
                Misunderstood::NotEmulated(what) | Misunderstood::Usage(what) => what,
            })
        })?;
    }
    Ok(parameters)
}

fn make(scene: &Scene<'_>, parameters: &Parameters) -> Result<Object, Trouble> {
    let own = &scene.shim.working_directory;
    let directory = own.join(parameters.last("chdir").unwrap_or("."));
    let script = parameters.last("script").unwrap_or("wrap");
    let script = Path::new(script).file_name().unwrap_or_default();
    let script = script.to_string_lossy().into_owned();
    let mut state = scene.case.lock();
    let mut numbers = (FIRST + scene.request.number..).map(|number| number.to_string());
    let free = numbers.find(|name| state.world.check_name(BOX, name).is_ok());
    let name = free.unwrap_or_default();
    let mut environment = caller_environment(scene);
    environment.push(format!("{JOB}={name}"));
    environment.push(format!("SLURM_SUBMIT_DIR={}", own.display()));
    let job_name = parameters.last("job-name").unwrap_or(&script).to_owned();
    let mut command = vec![format!("/{SCRIPT}")];
    command.extend_from_slice(parameters.all("arguments"));
    let attributes = [
        (RECORD, vec!["true".to_owned()]),
        ("job-name", vec![job_name]),
        ("command", command),
        ("environment", environment),
        ("workdir", vec![directory.display().to_string()]),
        ("volume", machine_files()),
    ];
    let attributes = attributes.map(|(name, values)| (name.to_owned(), values));
    let plan = Plan {
        kind: BOX.to_owned(),
        name,
        attributes: BTreeMap::from(attributes),
        made_by: scene.request.sequence,
        made_at_ms: now_ms(),
        ..Plan::default()
    };
    let object = state.change(|world| world.make(plan).cloned())?;
    scene.note("make", &object)?;
    drop(state);
    making::furnish(scene, &object)?;
    Ok(object)
}

fn caller_environment(scene: &Scene<'_>) -> Vec<String> {
    let all = scene.shim.environment.iter();
    all.map(|(name, value)| format!("{name}={value}")).collect()
}

/// Every directory of the machine that is not in each box anyway: nodes share their files.
fn machine_files() -> Vec<String> {
    let entries = fs::read_dir("/").into_iter().flatten().flatten();
    let own = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let paths = own.map(|entry| entry.path());
    let paths = paths.filter(|path| !box_root::is_shared(path) && path != Path::new("/run"));
    paths
        .map(|path| format!("{0}:{0}", path.display()))
        .collect()
}

/// Nothing to read, and the files that the caller names for output.
fn streams(object: &Object, parameters: &Parameters) -> Result<[OwnedFd; 3], Trouble> {
    let directory = PathBuf::from(object.attribute("workdir").unwrap_or("/"));
    let job_name = object.attribute("job-name").unwrap_or_default();
    let open = |pattern: &str| -> Result<fs::File, Trouble> {
        let name = pattern
            .replace("%j", &object.name)
            .replace("%A", &object.name);
        let path = directory.join(name.replace("%x", job_name));
        let mut options = fs::OpenOptions::new();
        let file = options.create(true).append(true).open(&path);
        Ok(file.map_err(|error| making::no_file(&path, &error))?)
    };
    let output = open(parameters.last("output").unwrap_or("slurm-%j.out"))?;
    let errors = match parameters.last("error") {
        Some(pattern) => open(pattern)?,
        None => output.try_clone()?,
    };
    Ok([null(false)?, output.into(), errors.into()])
}

/// Waits for the end of a job; `None` if whoever waits is gone first.
fn ending(scene: &Scene<'_>, object: &Object) -> Option<i32> {
    let mut state = scene.case.lock();
    while state.boxes.contains_key(&object.id) {
        if scene.client_leaves_within(Duration::ZERO, || false) {
            return None;
        }
        state = scene.case.wait(state, LOOK);
    }
    state.codes.get(&object.id).copied()
}

/// Runs a program as a step of the job that asks; without a job, as one of its own.
pub(super) fn step(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let command = scene.parameters.all("command").to_vec();
    let mut environment = scene.shim.environment.iter();
    if let Some((_, job)) = environment.find(|(name, _)| name == JOB) {
        return execution::execute_as(scene, twists, job, command, &[]);
    }
    let object = make(scene, scene.parameters)?;
    let mut state = scene.case.lock();
    state.change(|world| {
        world.change(&object.id, |object| {
            object.attributes.insert("command".to_owned(), command);
        });
    });
    drop(state);
    execution::run_main(scene, &object, twists)
}

/// Ends jobs, by number or by name. One that has ended already is no trouble.
pub(super) fn cancel(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let parameters = scene.parameters;
    let mut names = parameters.all("name").to_vec();
    let by_name = parameters.all("job-name");
    let state = scene.case.lock();
    let wanted = |job: &&Object| {
        job.state.is_up()
            && (parameters.has("all")
                || by_name
                    .iter()
                    .any(|name| job.attribute("job-name") == Some(name)))
    };
    names.extend(
        state
            .world
            .of_kind(BOX)
            .filter(wanted)
            .map(|job| job.name.clone()),
    );
    drop(state);
    each(scene, &names, |name| {
        let mut state = scene.case.lock();
        let object = state.world.find(BOX, name)?.clone();
        if object.state.is_up() {
            scene.note("end", &object)?;
            state.end_box(scene.case, &object.id, CANCELLED);
        }
        drop(state);
        scene.case.notify();
        Ok(Some(fields(scene, &object, twists)))
    })
}

/// Lists jobs in the columns that are asked for. With `must-be-known`, a number of no such job is refused.
pub(super) fn list(scene: &Scene<'_>, twists: &Twists) -> Result<Answer, Trouble> {
    let parameters = scene.parameters;
    let ids = parameters.all("job").iter().flat_map(|ids| ids.split(','));
    let ids: Vec<&str> = ids.collect();
    let state = scene.case.lock();
    let wanted = |job: &&Object| {
        let named = parameters.all("job-name");
        (ids.is_empty() || ids.contains(&job.name.as_str()))
            && (named.is_empty()
                || named
                    .iter()
                    .any(|name| job.attribute("job-name") == Some(name)))
            && (job.state.is_up() || !parameters.has("only-running"))
    };
    let jobs = state.view(twists.stale).of_kind(BOX).filter(wanted);
    let jobs: Vec<Object> = jobs.cloned().collect();
    drop(state);
    if parameters.has("must-be-known") && !ids.is_empty() && jobs.is_empty() {
        return Err(Refusal::new(reason::ABSENT, BOX, ids[0], "there is none").into());
    }
    let mut rows = Vec::new();
    for job in &jobs {
        let row = fields(scene, job, twists);
        let mut batch = row.clone();
        rows.push(row);
        // The script itself is the first step of its job.
        if parameters.has("steps") {
            batch.insert("name".to_owned(), format!("{}.batch", job.name));
            batch.insert("job-name".to_owned(), "batch".to_owned());
            rows.push(batch);
        }
    }
    tables::print(scene, &rows)
}
