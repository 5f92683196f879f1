//! Looking at the programs of a driver before the first call: what would make every call fail is one clear error.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::contract::stage::Program;

use super::problem::{Problem, SourceFile};
use super::{Driver, DriverKind, directory, tools};

/// Bytes of a program that are read for its `#!` line; the kernel reads 256.
const SHEBANG_BYTES_MAX: usize = 256;

/// Where a `config.toml` names its programs.
pub(super) struct Places {
    /// The file.
    pub(super) file: SourceFile,
    /// The values of the `…_exec` keys.
    pub(super) spans: Vec<(Program, Range<usize>)>,
}

/// Whether every program there is could be started.
pub(super) fn examine(driver: &Driver, places: Option<&Places>) -> Result<(), Problem> {
    if driver.program(Program::Run).is_none() {
        return Err(match driver.kind {
            DriverKind::Directory => directory::without_run(&driver.path),
            DriverKind::Executable => Problem::new(
                "`run_exec` is empty, so there is no driver to test",
                "name the program that runs the scripts",
            ),
            DriverKind::ConfigToml => Problem::new(
                format!(
                    "[runners.custom] of the runner `{}` in {} has no `run_exec`",
                    driver.config.name,
                    driver.path.display()
                ),
                "add it, or name the program with --run-exec; without it the runner fails every job",
            ),
        });
    }
    for program in Program::ALL {
        let Some(invocation) = driver.program(program) else {
            continue;
        };
        examine_one(program, &invocation.executable).map_err(|problem| {
            let place = places.and_then(|places| {
                let (_, span) = places.spans.iter().find(|(known, _)| *known == program)?;
                // An override names another program than the file does.
                let named = &places.file.text[span.clone()];
                named
                    .contains(&invocation.executable)
                    .then_some((&places.file, span.clone()))
            });
            match place {
                Some((file, span)) => problem.at(file, span, "named here"),
                None => problem,
            }
        })?;
    }
    Ok(())
}

fn examine_one(program: Program, executable: &str) -> Result<(), Problem> {
    if !executable.contains('/') {
        return match tools::find_in_path(executable) {
            Some(_) => Ok(()),
            None => Err(Problem::new(
                format!("`{executable}`, the program of {program}, is not in PATH"),
                format!("install it, correct PATH, or name another program with --{program}-exec"),
            )),
        };
    }
    let path = Path::new(executable);
    if path.is_relative() {
        // As written in config.toml: the emulated runner shows what the real one makes of it.
        return Ok(());
    }
    let metadata = path.metadata().map_err(|error| {
        Problem::new(
            format!("{executable}, the program of {program}, cannot be used: {error}"),
            format!("correct the path, or name a copy on this machine with --{program}-exec"),
        )
    })?;
    if !metadata.is_file() {
        return Err(Problem::new(
            format!("{executable}, the program of {program}, is not a file"),
            "name an executable file",
        ));
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err(Problem::new(
            format!(
                "{executable}, the program of {program}, is not executable, so the runner cannot start it"
            ),
            format!("run `chmod +x {}`", tools::shell_quoted(executable)),
        ));
    }
    examine_interpreter(path)
}

/// A missing interpreter gives "no such file or directory" about a file that is there: worth a better sentence.
fn examine_interpreter(path: &Path) -> Result<(), Problem> {
    let Some(words) = shebang(path) else {
        return Ok(());
    };
    let shown = path.display();
    if words.iter().any(|word| word.ends_with('\r')) {
        return Err(Problem::new(
            format!(
                "{shown} has Windows line ends, so the system looks for an interpreter \
                 whose name ends with a carriage return"
            ),
            format!(
                "run `sed -i 's/\\r$//' {}`",
                tools::shell_quoted(&shown.to_string())
            ),
        ));
    }
    let Some(interpreter) = words.first() else {
        return Ok(());
    };
    let through_env = Path::new(interpreter)
        .file_name()
        .is_some_and(|name| name == "env");
    let missing = match words.get(1) {
        _ if interpreter.starts_with('/') && !Path::new(interpreter).exists() => Some(interpreter),
        Some(name) if through_env && !name.starts_with('-') && !name.contains(['=', '/']) => {
            tools::find_in_path(name).is_none().then_some(name)
        }
        _ => None,
    };
    match missing {
        Some(name) => Err(Problem::new(
            format!("{shown} is run by `{name}`, which is not on this machine"),
            format!("install `{name}`, or correct the first line of the file"),
        )),
        None => Ok(()),
    }
}

/// The words of a program's `#!` line.
fn shebang(path: &Path) -> Option<Vec<String>> {
    let mut start = Vec::new();
    let file = File::open(path).ok()?;
    file.take(SHEBANG_BYTES_MAX as u64)
        .read_to_end(&mut start)
        .ok()?;
    let line = start
        .strip_prefix(b"#!")?
        .split(|byte| *byte == b'\n')
        .next()?;
    let line = String::from_utf8_lossy(line);
    // Only blanks separate: a carriage return is part of the name, which is the point of looking for it.
    let words = line.split([' ', '\t']).filter(|word| !word.is_empty());
    Some(words.map(str::to_owned).collect())
}
