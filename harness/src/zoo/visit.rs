//! Runs the suite on one animal, in a process of its own, as a user would.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use driver_conformance_scenarios::zoo::{Animal, Content};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::Command;

use crate::checks;
use crate::driver::tools::{find_in_path, interpreter};
use crate::suite::{InterruptSignal, Interruption};

pub use driver_conformance_reports::model::Report;

/// Longest time for a visit. A run of the suite bounds each of its cases; this bounds a harness that does not.
const VISIT_MAX: Duration = Duration::from_mins(20);
/// Longest time in which a visit ends that was asked to.
const END_MAX: Duration = Duration::from_mins(1);
/// Cases of which a quick visit makes some beside those that the animal names: one or two of each kind, so that a check that
/// finds what it must not is noticed.
pub(super) const CASES_ALWAYS: &[&str] = &[
    "cleanup/first",
    "cleanup/twice",
    "config/odd-values/value:quote",
    "environment/minimal",
    "exit-code/build-script/code:3",
    "isolation/in-turns",
    "job/every-stage",
    "job/failing-script",
    "leak/two-jobs",
    "output/lines/lines:30/code:0",
    "reentrancy/prepare-after-stages",
    "secret/canaries",
    "signal/build-script/action:cancel/script:heed-term",
    "signal/terminated-prepare/after_percent:40",
];
/// Each animal is shown one in so many of them; those whose names have other lengths see the others.
const ALWAYS_DIVISOR: usize = 4;
/// Cases of one animal that are run at once. There are several animals at once, and their interpreters must not keep each
/// other from the processors until the times of a good driver look like those of a broken one.
const CASES_AT_ONCE: usize = 3;
/// What the report is called.
const REPORT_FILE: &str = "report.json";

/// Visits animals.
#[derive(Debug, Clone)]
pub struct Keeper {
    /// The `driver-conformance` to run.
    pub program: PathBuf,
    /// Only the cases that an animal names, where it names some, and a few of each kind.
    pub quick: bool,
    /// Ends a visit.
    pub interruption: Interruption,
}

/// What became of a visit.
#[derive(Debug)]
pub enum Visit {
    /// The animal cannot live on this machine.
    LeftOut {
        /// Why.
        reason: String,
    },
    /// The suite was run.
    Seen {
        /// What it found.
        report: Box<Report>,
        /// How long it took, with everything around it.
        duration: Duration,
    },
    /// The suite was not run to its end.
    Failed {
        /// Why.
        reason: String,
    },
}

impl Keeper {
    /// Puts the animal into a directory and runs the suite on it.
    pub fn visit(&self, animal: &Animal) -> Visit {
        if let Some(reason) = missing(animal) {
            return Visit::LeftOut { reason };
        }
        let started = Instant::now();
        let visited = self.try_visit(animal);
        if let Some(tidy) = animal.tidy.as_deref().filter(|tidy| !works(tidy)) {
            let reason = format!("what it leaves cannot be taken away: `{tidy}` failed");
            return Visit::Failed { reason };
        }
        match visited {
            Ok(report) => Visit::Seen {
                report: Box::new(report),
                duration: started.elapsed(),
            },
            Err(reason) => Visit::Failed { reason },
        }
    }

    fn try_visit(&self, animal: &Animal) -> Result<Report, String> {
        let directory = tempfile::tempdir()
            .map_err(|error| format!("no temporary directory can be made: {error}"))?;
        let driver = animal
            .write(&directory.path().join(&animal.name))
            .map_err(|error| format!("it cannot be written: {error}"))?;
        let report = directory.path().join(REPORT_FILE);
        let _service = Service::start(animal, &directory.path().join(&animal.name))
            .map_err(|error| format!("its service cannot be started: {error}"))?;
        let output = self
            .run(&self.command(animal, &driver, &report))
            .map_err(|error| format!("{} cannot be run: {error}", self.program.display()))?;
        let text = std::fs::read_to_string(&report).map_err(|_| {
            format!(
                "there is no report, {}: {}{}",
                output.status,
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            )
        })?;
        serde_json::from_str(&text).map_err(|error| format!("the report is no report: {error}"))
    }

    fn command(&self, animal: &Animal, driver: &Path, report: &Path) -> Vec<String> {
        let sweep = animal.faults.then(|| "faults".to_owned());
        let mut arguments: Vec<String> = sweep.into_iter().collect();
        arguments.extend([
            driver.display().to_string(),
            "--report".to_owned(),
            format!("json={}", report.display()),
            format!("--jobs={CASES_AT_ONCE}"),
        ]);
        if let Some(backend) = &animal.backend {
            arguments.push(format!("--backend={backend}"));
        }
        if self.quick {
            let globs = quick_globs(animal).into_iter();
            arguments.extend(globs.map(|glob| format!("--only={glob}")));
        }
        arguments
    }

    /// Runs the suite; an interruption is passed on, and waited for.
    fn run(&self, arguments: &[String]) -> io::Result<Output> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let child = Command::new(&self.program)
                .args(arguments)
                // In CI the suite keeps evidence; of animals, nobody wants it.
                .env_remove("CI")
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .kill_on_drop(true)
                .spawn()?;
            let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
            let mut ended = pin!(child.wait_with_output());
            let signal = tokio::select! {
                output = &mut ended => return output,
                signal = self.interruption.raised() => signal,
                () = tokio::time::sleep(VISIT_MAX) => InterruptSignal::Terminate,
            };
            if let Some(pid) = pid {
                let signal = match signal {
                    InterruptSignal::Interrupt => Signal::INT,
                    InterruptSignal::Terminate => Signal::TERM,
                };
                // It may just have ended.
                let _ = kill_process(pid, signal);
            }
            let too_slow = || io::Error::new(io::ErrorKind::TimedOut, "it does not end");
            tokio::time::timeout(END_MAX, ended)
                .await
                .map_err(|_| too_slow())?
        })
    }
}

/// The service that an animal brings along; ends with all that it started when dropped.
struct Service(std::process::Child);

impl Service {
    fn start(animal: &Animal, directory: &Path) -> io::Result<Option<Self>> {
        let Some(command) = &animal.service else {
            return Ok(None);
        };
        let child = std::process::Command::new("bash")
            .args(["-c", command])
            .current_dir(directory)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Some(Self(child)))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(group) = Pid::from_raw(self.0.id().cast_signed()) {
            // It may have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.0.wait();
    }
}

/// What a quick visit chooses; empty: all.
fn quick_globs(animal: &Animal) -> Vec<String> {
    if animal.cases.is_empty() {
        return Vec::new();
    }
    if animal.faults {
        return animal.cases.clone();
    }
    let always = CASES_ALWAYS
        .iter()
        .copied()
        .enumerate()
        .filter(|(index, _)| (index + animal.name.len()).is_multiple_of(ALWAYS_DIVISOR))
        .map(|(_, glob)| glob);
    // Some case is called like a check, and would choose it alone: all checks judge what is run.
    let checks = checks::all().iter().map(|check| check.id);
    let globs = animal.cases.iter().map(String::as_str);
    let globs = globs.chain(always).chain(checks);
    globs.map(str::to_owned).collect()
}

/// What the animal needs and this machine does not have.
fn missing(animal: &Animal) -> Option<String> {
    let interpreters = interpreters(animal);
    let absent: Vec<&str> = interpreters
        .into_iter()
        .filter(|interpreter| find_in_path(interpreter).is_none())
        .collect();
    if !absent.is_empty() {
        return Some(format!("{} is not on this machine", absent.join(", ")));
    }
    let refused = animal.needs.iter().find(|command| !works(command))?;
    Some(format!("`{refused}` does not work on this machine"))
}

/// Whether a shell command succeeds.
fn works(command: &str) -> bool {
    let status = std::process::Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// The interpreters in the first lines of the animal's programs.
fn interpreters(animal: &Animal) -> BTreeSet<&str> {
    animal
        .files
        .iter()
        .filter_map(|file| match &file.content {
            Content::Text { text, .. } => interpreter(text),
            Content::Link { .. } => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use driver_conformance_scenarios::zoo;

    use super::*;

    #[test]
    fn an_animal_that_cannot_live_here_is_left_out_with_the_reason() {
        let mut animal = zoo::by_name("good-bash").expect("it is there").clone();
        assert_eq!(missing(&animal), None);
        animal.needs = vec!["true".to_owned(), "false".to_owned()];
        assert_eq!(
            missing(&animal).as_deref(),
            Some("`false` does not work on this machine")
        );
        animal.files[0].content = Content::Text {
            text: "#!/usr/bin/env no-such-interpreter\n".to_owned(),
            executable: true,
        };
        assert_eq!(
            missing(&animal).as_deref(),
            Some("no-such-interpreter is not on this machine")
        );
    }

    #[test]
    fn a_quick_visit_runs_the_cases_that_are_named_and_a_few() {
        let mut animal = zoo::by_name("good-bash").expect("it is there").clone();
        animal.cases = vec!["signal/cancel".to_owned()];
        let mut keeper = Keeper {
            program: PathBuf::from("driver-conformance"),
            quick: true,
            interruption: Interruption::default(),
        };
        let quick = keeper.command(&animal, Path::new("/d"), Path::new("/r"));
        assert_eq!(
            quick[..5],
            [
                "/d",
                "--report",
                "json=/r",
                "--jobs=3",
                "--only=signal/cancel"
            ]
        );
        let share = CASES_ALWAYS.len().div_ceil(ALWAYS_DIVISOR);
        let always = quick.len() - 5 - checks::all().len();
        assert!(
            (share - 1..=share).contains(&always),
            "{always} of {}",
            CASES_ALWAYS.len()
        );
        keeper.quick = false;
        let whole = keeper.command(&animal, Path::new("/d"), Path::new("/r"));
        assert_eq!(whole.len(), 4);
    }
}
