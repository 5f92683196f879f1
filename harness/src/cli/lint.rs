//! `lint`: a runner's `config.toml` and a driver's shell scripts, looked at without running anything.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use driver_conformance_advice::lint::{
    LintProblem, Looked, PathState, Severity, Surroundings, fixed, has_custom_runner, lint_config,
    lint_script, render, report,
};
use driver_conformance_reports::model::{Category, ExitCode, Status};
use driver_conformance_reports::text::counted;

use crate::advice;
use crate::driver::tools::{find_in_path, interpreter_name};
use crate::driver::{Problem, SourceFile};
use crate::suite::utc_timestamp;

use super::report_target::{self, ReportTarget};
use super::table::read_report;
use super::{ExpectedError, Output};

/// How deep a directory is searched for scripts.
const DEPTH_MAX: usize = 3;

/// Arguments of `lint`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A runner's config.toml, a shell script of a driver, or a directory with such scripts; `-` is standard input; may be
    /// repeated
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Make the mechanical corrections in config.toml, and tell what is left
    #[arg(long)]
    fix: bool,

    /// A report (JSON) of the driver, for rules that ask how it behaves
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,

    /// Do not look at the programs on this machine: the file is for another one
    #[arg(long)]
    elsewhere: bool,

    /// Also write the problems as a report (- is standard output); may be repeated
    #[arg(long = "report", value_name = "FORMAT=FILE", value_parser = report_target::parse)]
    reports: Vec<ReportTarget>,
}

/// One file that was looked at.
struct Found {
    path: String,
    text: String,
    problems: Vec<LintProblem>,
}

/// Looks, mends, shows; the exit code is 1 if there is an error.
pub(super) fn execute(arguments: &Arguments, output: &mut Output) -> Result<u8, ExpectedError> {
    let targets = arguments
        .reports
        .iter()
        .map(ReportTarget::open)
        .collect::<Result<Vec<_>, _>>()?;
    if arguments
        .reports
        .iter()
        .any(ReportTarget::is_standard_output)
    {
        output.keep_out_for_report();
    }
    let evidence = arguments.evidence.as_deref().map(read_report).transpose()?;
    let isolation_fails = evidence.is_some_and(|report| {
        let mut findings = report.findings.iter();
        findings.any(|finding| {
            finding.category == Category::Isolation && finding.status == Status::Fail
        })
    });
    if arguments.fix && arguments.files.iter().any(|path| is_standard_input(path)) {
        let problem = Problem::new(
            "--fix cannot write to standard input",
            "give the file by its name, or leave --fix out",
        );
        return Err(problem.into());
    }
    let mut found = Vec::new();
    for path in files(&arguments.files)? {
        found.push(look(arguments, &path, isolation_fails, output)?);
    }
    let color = output.terminal_options(0).color;
    for file in &found {
        for problem in &file.problems {
            let text = render(&file.path, &file.text, problem, color);
            output.text(&format!("{text}\n\n"));
        }
    }
    let all = || found.iter().flat_map(|file| &file.problems);
    let count = |severity| all().filter(|problem| problem.severity == severity).count();
    let (errors, warnings, hints) = (
        count(Severity::Error),
        count(Severity::Warning),
        count(Severity::Hint),
    );
    output.text(&format!(
        "{}, {}, {}\n",
        counted(errors, "error"),
        counted(warnings, "warning"),
        counted(hints, "hint")
    ));
    for file in found.iter().filter(|file| file.problems.is_empty()) {
        if !is_script(&file.text) && !has_custom_runner(&file.text) {
            output.text(&format!(
                "{}: no runner of the Custom executor is in it, so there was nothing to look at\n",
                file.path
            ));
        }
    }
    let looked: Vec<Looked<'_>> = found
        .iter()
        .map(|file| {
            (
                file.path.as_str(),
                file.text.as_str(),
                file.problems.as_slice(),
            )
        })
        .collect();
    let version = env!("CARGO_PKG_VERSION");
    let report = report(version, &utc_timestamp(SystemTime::now()), &looked);
    for target in targets {
        target.write(&report, output)?;
    }
    Ok(if errors > 0 {
        ExitCode::NONCONFORMING
    } else {
        ExitCode::CONFORMS
    })
}

fn look(
    arguments: &Arguments,
    path: &Path,
    isolation_fails: bool,
    output: &mut Output,
) -> Result<Found, ExpectedError> {
    let file = if is_standard_input(path) {
        SourceFile::read_standard_input()?
    } else {
        SourceFile::read(path)?
    };
    let shown = file.path.display().to_string();
    if is_script(&file.text) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        return Ok(Found {
            problems: lint_script(&name, &file.text),
            path: shown,
            text: file.text.to_string(),
        });
    }
    if let Some(interpreter) = interpreter_name(&file.text) {
        let problem = Problem::new(
            format!("{shown} is a script for {interpreter}, which lint does not know"),
            "give scripts for a POSIX shell or a runner's config.toml; the suite itself runs drivers in any language",
        );
        return Err(problem.into());
    }
    let state = |program: &str| (!arguments.elsewhere).then(|| program_state(program));
    let surroundings = Surroundings {
        path_state: &state,
        times: advice::times(),
        isolation_fails,
    };
    let mut text = file.text.to_string();
    let mut problems = lint_config(&text, &surroundings);
    if arguments.fix {
        let (mended, count) = fixed(&text, &surroundings);
        if count > 0 {
            replace(path, &mended).map_err(|error| {
                let problem = Problem::new(
                    format!("{shown} cannot be written: {error}"),
                    "nothing was changed; see that you may write it",
                );
                ExpectedError::NotWritten(problem)
            })?;
            output.text(&format!("{shown}: {count} corrected\n\n"));
            problems = lint_config(&mended, &surroundings);
            text = mended;
        }
    }
    Ok(Found {
        path: shown,
        text,
        problems,
    })
}

fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

/// Writes a file beside its place and moves it there, with the rights that it had: whatever goes wrong, nobody reads half of it.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = path.canonicalize()?;
    let before = fs::metadata(&path)?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(before.permissions())?;
    chown(file.path(), Some(before.uid()), Some(before.gid()))?;
    file.persist(&path)?;
    Ok(())
}

fn path_state(path: &Path) -> PathState {
    match fs::metadata(path) {
        Err(_) => PathState::Missing,
        Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => {
            PathState::Program
        }
        Ok(_) => PathState::NotExecutable,
    }
}

/// A name without a directory is looked for in the PATH.
fn program_state(program: &str) -> PathState {
    if program.contains('/') {
        return path_state(Path::new(program));
    }
    find_in_path(program).map_or(PathState::Missing, |_| PathState::Program)
}

/// Whether it begins like a script for a POSIX shell.
fn is_script(text: &str) -> bool {
    interpreter_name(text).is_some_and(|name| ["sh", "bash", "dash", "ash", "ksh"].contains(&name))
}

/// The files that are named, and the scripts in the directories that are.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Problem> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            scripts_below(path, DEPTH_MAX, &mut files);
        } else {
            files.push(path.clone());
        }
    }
    if files.is_empty() {
        return Err(Problem::new(
            "there is no shell script in these directories",
            "name the files, or a runner's config.toml",
        ));
    }
    Ok(files)
}

fn scripts_below(directory: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    paths.sort();
    for path in paths {
        // Links lead to files that are looked at by their own names.
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() && depth > 0 {
            scripts_below(&path, depth - 1, files);
        } else if fs::read_to_string(&path).is_ok_and(|text| is_script(&text)) {
            files.push(path);
        }
    }
}
