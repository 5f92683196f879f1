//! `init`: a new driver that passes the suite. Skeletons are the good drivers by which the suite is tested itself, so that
//! what is offered is what has passed.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use driver_conformance_advice::config_block::{Basis, ProgramLine, config_block};
use driver_conformance_scenarios::zoo::{self, Animal};

use crate::advice;
use crate::driver::Problem;

use super::{ExpectedError, Output};

/// Arguments of `init`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Directory to write; nothing that is there is overwritten
    #[arg(default_value = "my-driver")]
    directory: PathBuf,

    /// Language of the driver
    #[arg(long, value_enum, default_value_t = Language::Bash)]
    lang: Language,

    /// What jobs run in
    #[arg(long, value_enum, default_value_t = Backend::None)]
    backend: Backend,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    Bash,
    Python,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Backend {
    /// Private directories on the machine of the runner
    None,
    /// Podman's containers
    Podman,
}

/// The good driver that is the skeleton; nothing where none has passed the suite.
fn skeleton(language: Language, backend: Backend) -> Option<&'static Animal> {
    let name = match (language, backend) {
        (Language::Bash, Backend::None) => "good-bash",
        (Language::Python, Backend::None) => "good-python",
        (Language::Bash, Backend::Podman) => "good-podman",
        (Language::Python, Backend::Podman) => return None,
    };
    zoo::by_name(name)
}

/// Writes the driver and what belongs to it.
pub(super) fn execute(arguments: &Arguments, output: &mut Output) -> Result<u8, ExpectedError> {
    let directory = &arguments.directory;
    let Some(animal) = skeleton(arguments.lang, arguments.backend) else {
        return Err(ExpectedError::Usage(Problem::new(
            "there is no driver in this language for this backend",
            "offered are those that pass the suite: bash with none or podman, python with none",
        )));
    };
    if directory.exists() {
        return Err(ExpectedError::Usage(Problem::new(
            format!("{} is there already", directory.display()),
            "name a directory that is not there; nothing is overwritten",
        )));
    }
    let not_written = |error: std::io::Error| {
        ExpectedError::NotWritten(Problem::new(
            format!("{} cannot be written: {error}", directory.display()),
            "name a directory that you may make",
        ))
    };
    let driver = animal
        .write(&directory.join("driver"))
        .map_err(not_written)?;
    let relative = driver.strip_prefix(directory).unwrap_or(&driver);
    for (name, text, executable) in companions(animal, relative, arguments.backend) {
        write(&directory.join(name), &text, executable).map_err(not_written)?;
    }
    output.text(&format!(
        "{0}: a driver, its tests, a block for config.toml and a job for your pipeline\n\
         next: cd {0} && ./test\n",
        directory.display()
    ));
    Ok(0)
}

fn write(path: &Path, text: &str, executable: bool) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut file = fs::File::create_new(path)?;
    file.write_all(text.as_bytes())?;
    if executable {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// What stands beside the driver: name, text, whether it is a program.
fn companions(
    animal: &Animal,
    driver: &Path,
    backend: Backend,
) -> Vec<(&'static str, String, bool)> {
    let driver = driver.display();
    let programs: Vec<ProgramLine> = ["config", "prepare", "run", "cleanup"]
        .into_iter()
        .map(|name| match animal.program {
            Some(_) => ProgramLine {
                name,
                executable: format!("/opt/my-driver/{driver}"),
                args: vec![name.to_owned()],
            },
            None => ProgramLine {
                name,
                executable: format!("/opt/my-driver/{driver}/{name}"),
                args: Vec::new(),
            },
        })
        .collect();
    let basis = Basis {
        programs: &programs,
        durations: &[],
        slowest_end_ms: None,
        times: advice::times(),
    };
    // The mock takes the place of the tool, so that the pipeline needs none; without the option the real one is used.
    let option = match backend {
        Backend::None => "",
        Backend::Podman => " --backend mock:podman",
    };
    let test = format!(
        "#!/bin/sh\n# Is the driver safe to put behind a runner? Exit code 0: it is.\ncd \"$(dirname \"$0\")\" || exit\nexec driver-conformance {driver}{option} \"$@\"\n"
    );
    let readme = format!(
        "# My driver\n\nA driver for GitLab Runner's Custom executor: {}\n\n- `./test` runs the conformance suite on it.\n\
         - `config.toml` is a block for the runner; `driver-conformance advise config {driver}` reckons it anew from measurements.\n\
         - `driver-conformance lint config.toml` looks at it once it is yours.\n\
         - `driver-conformance explain lifecycle` tells what is called when.\n",
        animal.about
    );
    let gate = "conformance:\n  script:\n    - ./test --report json=conformance.json --report junit=conformance.xml\n  artifacts:\n    when: always\n    paths: [conformance.json]\n    reports:\n      junit: conformance.xml\n";
    let settings = "# What the suite must know about this driver; docs/configuration.md of driver-conformance lists every key.\n";
    vec![
        ("test", test, true),
        ("README.md", readme, false),
        (".gitlab-ci.yml", gate.to_owned(), false),
        ("config.toml", config_block(&basis), false),
        ("driver-conformance.toml", settings.to_owned(), false),
    ]
}
