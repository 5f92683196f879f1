//! What `init` writes, as a new user tries it: each driver that the command offers is written, made as its own `test` makes it,
//! and must pass a part of the suite, and of the sweep with faults where there is a mock of its backend. Which ones are offered is
//! what the command itself goes by, so that none is left out here.
//!
//! One whose language is not on this machine is left out, with a note.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use driver_conformance_scenarios::skeleton::{self, Backend, Language, Skeleton};
use serde_json::Value;
use tempfile::TempDir;

/// How many drivers are tried at once: a driver waits more than it works.
const AT_ONCE: usize = 4;

/// What tells most about a backend for the time it takes: the code of a script, a second prepare, which has something to remove, as
/// the first has not. The whole suite finds nothing in any of them either; it takes minutes.
const CASES: [&str; 2] = ["exit-code/build-script/code:3", "reentrancy/prepare-again"];

/// What tells more about the part that does not depend on the backend, and is tried with one of them: a second cleanup, a signal, a
/// box that is gone.
const CASES_OF_LANGUAGE: [&str; 3] = [
    "cleanup/twice",
    "signal/build-script/action:cancel/script:ignore-term",
    "exit-code/environment-gone",
];

const REPORT_FILE: &str = "conformance.json";
const REPORT: &str = "json=conformance.json";

/// The points of the sweep with faults that tell most: an object is made, as the second or third thing that prepare asks for, and
/// the driver does not hear of it. The whole sweep passes, too; it takes minutes for each driver.
const POINTS: &str = "faults/prepare/[23]-*/reply-lost";

fn home() -> TempDir {
    tempfile::tempdir().expect("a temporary directory can be made")
}

/// Runs a program with the command in PATH, as a user has it.
fn run(program: &str, arguments: &[&str], directory: &Path) -> Output {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_driver-conformance"));
    let own = binary
        .parent()
        .expect("a file is in a directory")
        .to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&path)));
    Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .env("PATH", path.expect("directories without colons"))
        .env("NO_COLOR", "1")
        // Where the tests of this repository are built is no place for a user's driver.
        .env_remove("CARGO_TARGET_DIR")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"))
}

fn init(directory: &Path, language: Language, backend: Backend) -> Output {
    let arguments = [
        "init",
        "--lang",
        language.name(),
        "--backend",
        backend.name(),
    ];
    run("driver-conformance", &arguments, directory)
}

/// What went wrong with one of them, if anything did.
fn trial(skeleton: &Skeleton) -> Result<(), String> {
    let home = home();
    let output = init(home.path(), skeleton.language, skeleton.backend);
    succeeded("init", &output)?;
    let driver = home.path().join("my-driver");
    let config = run(
        "driver-conformance",
        &["lint", "config.toml", "--elsewhere"],
        &driver,
    );
    succeeded("lint", &config)?;
    let mut arguments = vec!["--report", REPORT, "--jobs", "2"];
    let mut cases = CASES.to_vec();
    if skeleton.backend == Backend::None {
        cases.extend(CASES_OF_LANGUAGE);
    }
    arguments.extend(cases.iter().flat_map(|case| ["--only", case]));
    let test = driver.join("test");
    let output = run(&test.to_string_lossy(), &arguments, &driver);
    succeeded("test", &output)?;
    passed(&driver, cases.len())?;
    if skeleton.backend != Backend::None {
        let arguments = ["faults", ".", "--only", POINTS, "--report", REPORT];
        let output = run("driver-conformance", &arguments, &driver);
        succeeded("faults", &output)?;
        passed(&driver, 1)?;
    }
    Ok(())
}

/// Whether so many cases were run, so that none passes by being left out.
fn passed(driver: &Path, wanted: usize) -> Result<(), String> {
    let report = std::fs::read(driver.join(REPORT_FILE));
    let report = report.map_err(|error| error.to_string())?;
    let report: Value = serde_json::from_slice(&report).map_err(|error| error.to_string())?;
    let passed = report["summary"]["passed"].as_u64().unwrap_or(0);
    if passed < wanted as u64 {
        return Err(format!("only {passed} cases were run"));
    }
    Ok(())
}

fn succeeded(what: &str, output: &Output) -> Result<(), String> {
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("{what}: {}\n{text}{errors}", output.status))
}

/// Whether the tools of a language are there.
fn can_be_made(language: Language) -> bool {
    let asked = Command::new(language.tool())
        .arg(if language == Language::Go {
            "version"
        } else {
            "--version"
        })
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let there = asked.is_ok_and(|status| status.success());
    if !there {
        // Not by a macro: the test runner would keep it to itself, and nothing must be left out silently.
        let tool = language.tool();
        let _ = writeln!(
            std::io::stderr(),
            "note: drivers in {} are left out: there is no {tool}",
            language.name()
        );
    }
    there
}

#[test]
fn every_driver_that_is_offered_passes() {
    let languages = Language::ALL
        .into_iter()
        .filter(|language| can_be_made(*language));
    let languages: Vec<Language> = languages.collect();
    let mut skeletons = skeleton::all();
    skeletons.retain(|skeleton| languages.contains(&skeleton.language));
    assert!(!skeletons.is_empty());
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(skeleton) = skeletons.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(problem) = trial(skeleton) {
                        let (language, backend) = (skeleton.language, skeleton.backend);
                        let name = format!("{} with {}", language.name(), backend.name());
                        let mut wrong = wrong.lock().unwrap_or_else(PoisonError::into_inner);
                        wrong.push(format!("{name}: {problem}"));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn what_is_there_stays_and_what_is_not_offered_is_refused() {
    let home = home();
    let first = init(home.path(), Language::Bash, Backend::None);
    assert!(first.status.success());
    let again = init(home.path(), Language::Bash, Backend::None);
    assert_eq!(again.status.code(), Some(2), "nothing is overwritten");
    let empty = home.path().join("empty");
    std::fs::create_dir(&empty).expect("our own directory");
    let here = run("driver-conformance", &["init", "."], &empty);
    assert!(here.status.success(), "an empty directory can be used");
    let file = run("driver-conformance", &["init", "empty/test"], home.path());
    assert_eq!(file.status.code(), Some(2), "a file stays");
    let below = run("driver-conformance", &["init", "empty/test/x"], home.path());
    let text = String::from_utf8_lossy(&below.stderr).into_owned();
    assert_eq!(below.status.code(), Some(3), "{text}");
    assert!(text.contains("cannot be written"), "{text}");
    for language in Language::ALL {
        for backend in Backend::ALL {
            if skeleton::of(language, backend).is_none() {
                let refused = init(home.path(), language, backend);
                let text = String::from_utf8_lossy(&refused.stderr).into_owned();
                assert_eq!(refused.status.code(), Some(2), "{text}");
                assert!(text.contains("bash with podman"), "{text}");
            }
        }
    }
}

#[test]
fn the_readme_names_what_is_offered() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = std::fs::read_to_string(root.join("README.md")).expect("the repository has one");
    let rows = readme.lines().filter(|line| line.starts_with("| `"));
    let rows: Vec<&str> = rows.collect();
    let word = |name: &str| format!("`{name}`");
    for language in Language::ALL {
        for backend in Backend::ALL {
            let named = rows.iter().any(|row| {
                let (left, right) = row[1..].split_once('|').unwrap_or_default();
                left.contains(&word(language.name())) && right.contains(&word(backend.name()))
            });
            let offered = skeleton::of(language, backend).is_some();
            assert_eq!(
                named,
                offered,
                "{} with {}",
                language.name(),
                backend.name()
            );
        }
    }
}
