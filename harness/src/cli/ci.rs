//! `ci`: prints what puts the suite into a pipeline, for the driver at hand.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use driver_conformance_reports::model::ExitCode;

use crate::contract::stage::Program;
use crate::driver::tools::interpreter_name;
use crate::driver::{Driver, Problem};
use crate::suite::report::PROFILE;

use super::{DriverArguments, ExpectedError, Output};

/// Bytes of a program that may hold its first line.
const FIRST_LINE_BYTES_MAX: usize = 256;

/// Arguments of `ci`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// What to print
    #[arg(value_enum)]
    template: Template,

    /// The driver: a path within the repository
    path: PathBuf,

    /// Only the cases for the worst defects
    #[arg(long, conflicts_with = "exhaustive")]
    quick: bool,

    /// Also the cases that lead the driver into every transition there is
    #[arg(long)]
    exhaustive: bool,

    /// Let deviations from a SHOULD fail the gate, too
    #[arg(long)]
    strict: bool,

    #[command(flatten)]
    driver: DriverArguments,
}

/// What can be printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Template {
    /// A job for .gitlab-ci.yml
    Gitlab,
    /// A GitLab CI/CD component with inputs, that spreads the cases over several jobs
    GitlabComponent,
    /// A workflow of GitHub Actions
    Github,
    /// A hook for pre-commit
    PreCommit,
    /// An image with the suite and what the driver's programs are run by
    Containerfile,
}

impl Template {
    fn text(self) -> &'static str {
        match self {
            Self::Gitlab => include_str!("ci/gitlab.yml"),
            Self::GitlabComponent => include_str!("ci/gitlab-component.yml"),
            Self::Github => include_str!("ci/github.yml"),
            Self::PreCommit => include_str!("ci/pre-commit.yml"),
            Self::Containerfile => include_str!("ci/Containerfile"),
        }
    }
}

/// Prints a template.
pub(super) fn execute(arguments: &Arguments, output: &mut Output) -> Result<u8, ExpectedError> {
    let driver = arguments.driver.discover(&arguments.path)?;
    let path = within_repository(&arguments.path)?;
    output.text(&arguments.filled(&driver, &path));
    Ok(ExitCode::CONFORMS)
}

/// The path as a job of the repository sees it; it stands in YAML, so that it must be plain.
fn within_repository(path: &Path) -> Result<String, ExpectedError> {
    let here = std::env::current_dir().unwrap_or_default();
    let short = path.strip_prefix(&here).unwrap_or(path);
    let refused = |message: &str, remedy: &str| {
        let message = format!("{}: {message}", path.display());
        Err(ExpectedError::Usage(Problem::new(message, remedy)))
    };
    if short.is_absolute() {
        return refused(
            "a pipeline knows only what is in the repository",
            "run this at the top of the repository, and give a path below it",
        );
    }
    let text = short.to_string_lossy();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./+".contains(letter);
    if text.chars().all(plain) {
        Ok(text.into_owned())
    } else {
        refused(
            "a template is YAML and shell at once, in which this path would have to be quoted twice",
            "give the driver a path of letters, digits and - _ . / +",
        )
    }
}

impl Arguments {
    fn filled(&self, driver: &Driver, path: &str) -> String {
        let budget = match (self.quick, self.exhaustive) {
            (true, _) => "quick",
            (_, true) => "exhaustive",
            _ => "default",
        };
        let mut flags = self.driver.typed();
        if budget != "default" {
            flags.extend([" --", budget]);
        }
        let strict = if self.strict { " --strict" } else { "" };
        flags.push_str(strict);
        let packages: Vec<String> = packages(driver).into_iter().collect();
        self.template
            .text()
            .replace("@DRIVER@", path)
            .replace("@FLAGS@", &flags)
            .replace("@STRICT@", &format!("{}{strict}", self.driver.typed()))
            .replace("@PROFILE@", PROFILE)
            .replace("@BUDGET@", budget)
            .replace("@LEVEL@", if self.strict { "should" } else { "must" })
            .replace("@PACKAGES@", &packages.join(" "))
    }
}

/// Packages of Debian with the interpreters of the driver's programs, and what every job needs.
fn packages(driver: &Driver) -> BTreeSet<String> {
    let mut packages: BTreeSet<String> =
        ["bash", "ca-certificates", "git"].map(str::to_owned).into();
    for program in Program::ALL {
        let Some(invocation) = driver.program(program) else {
            continue;
        };
        let text = beginning(Path::new(&invocation.executable));
        let package = match text.as_deref().and_then(interpreter_name) {
            Some("python3" | "python") => "python3",
            Some("perl") => "perl",
            Some("ruby") => "ruby",
            Some("node") => "nodejs",
            _ => continue,
        };
        packages.insert(package.to_owned());
    }
    packages
}

/// The beginning of a program, with the first line that a script has.
fn beginning(path: &Path) -> Option<String> {
    let mut beginning = Vec::new();
    let file = File::open(path).ok()?;
    file.take(FIRST_LINE_BYTES_MAX as u64)
        .read_to_end(&mut beginning)
        .ok()?;
    Some(String::from_utf8_lossy(&beginning).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interpreter_is_read_from_the_first_line() {
        let home = tempfile::tempdir().expect("a temporary directory can be made");
        let program = home.path().join("program");
        for (text, expected) in [
            ("#!/usr/bin/env python3\n", Some("python3")),
            ("#!/usr/bin/env -S perl -w\n", Some("perl")),
            ("#!/bin/sh -e\n", Some("sh")),
            ("\x7fELF", None),
            ("", None),
        ] {
            std::fs::write(&program, text).expect("our own directory");
            let beginning = beginning(&program);
            let found = beginning.as_deref().and_then(interpreter_name);
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
