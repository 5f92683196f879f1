//! `init`: a new driver that passes the suite. What is offered is what there is a skeleton of, and a test runs the suite on each
//! of those.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use driver_conformance_advice::skeleton::files;
use driver_conformance_reports::model::ExitCode;
use driver_conformance_scenarios::skeleton::{self, Backend, Language};

use crate::advice;
use crate::driver::Problem;

use super::{ExpectedError, Output};

/// Where the driver is written, and its name if that of the directory would have to be quoted.
const NAME_DEFAULT: &str = "my-driver";

/// Arguments of `init`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Directory to write, new or empty
    #[arg(default_value = NAME_DEFAULT)]
    directory: PathBuf,

    /// Language of the driver
    #[arg(long, value_parser = languages(), default_value = "bash")]
    lang: Language,

    /// What jobs run in
    #[arg(long, value_parser = backends(), default_value = "none")]
    backend: Backend,
}

fn languages() -> impl TypedValueParser<Value = Language> {
    PossibleValuesParser::new(Language::ALL.map(Language::name)).try_map(|name| {
        Language::from_name(&name).ok_or_else(|| format!("there is no language {name}"))
    })
}

fn backends() -> impl TypedValueParser<Value = Backend> {
    let values =
        Backend::ALL.map(|backend| PossibleValue::new(backend.name()).help(backend.about()));
    PossibleValuesParser::new(values).try_map(|name| {
        Backend::from_name(&name).ok_or_else(|| format!("there is no backend {name}"))
    })
}

/// Writes the driver and what belongs to it.
pub(super) fn execute(arguments: &Arguments, output: &mut Output) -> Result<u8, ExpectedError> {
    let directory = &arguments.directory;
    let Some(skeleton) = skeleton::of(arguments.lang, arguments.backend) else {
        return Err(not_offered(arguments));
    };
    let not_written = |error: io::Error| {
        ExpectedError::NotWritten(Problem::new(
            format!("{} cannot be written: {error}", directory.display()),
            "name a directory that you may make",
        ))
    };
    if !is_free(directory).map_err(not_written)? {
        return Err(ExpectedError::Usage(Problem::new(
            format!("{} is there already, and not empty", directory.display()),
            "name a directory that is not there; nothing is overwritten",
        )));
    }
    fs::create_dir_all(directory).map_err(not_written)?;
    for file in files(&skeleton, name_of(directory), advice::times()) {
        file.write(directory).map_err(not_written)?;
    }
    output.text(&format!(
        "{0}: a driver, its tests, a block for config.toml and a job for your pipeline; README.md says more\n\
         next: cd {0} && ./test\n",
        directory.display()
    ));
    Ok(ExitCode::CONFORMS)
}

/// What is asked for is not there: says what is.
fn not_offered(arguments: &Arguments) -> ExpectedError {
    let message = format!(
        "there is no driver in {} for {} that passes the suite, so none is offered",
        arguments.lang.name(),
        arguments.backend.name()
    );
    let mut remedy = String::from("offered are: ");
    for language in Language::ALL {
        let backends = skeleton::all()
            .into_iter()
            .filter(|skeleton| skeleton.language == language);
        let backends: Vec<&str> = backends.map(|skeleton| skeleton.backend.name()).collect();
        if !backends.is_empty() {
            let _ = write!(remedy, "{} with {}; ", language.name(), backends.join(", "));
        }
    }
    remedy.push_str("the part that the runner sees does not depend on the backend, so the nearest one is a beginning");
    ExpectedError::Usage(Problem::new(message, remedy))
}

/// Whether a driver can be written there: nothing is there, or an empty directory.
fn is_free(directory: &Path) -> io::Result<bool> {
    match fs::metadata(directory) {
        Ok(metadata) if metadata.is_dir() => Ok(fs::read_dir(directory)?.next().is_none()),
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// The name of the driver: it stands in commands and in TOML.
fn name_of(directory: &Path) -> &str {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let name = directory.file_name().and_then(|name| name.to_str());
    name.filter(|name| name.chars().all(plain))
        .unwrap_or(NAME_DEFAULT)
}
