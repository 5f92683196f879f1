//! `fuzz`: leads a driver through random sequences of what a runner can do, and shrinks what fails.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::fuzz::{REGRESSIONS_FILE, Regressions};
use crate::plan::select::Globs;
use crate::suite::Fuzzer;

use super::faults::duration;
use super::run::{self, SharedArguments};
use super::{ExpectedError, Output};

/// Arguments of `fuzz`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The driver: a directory, an executable, or a runner's config.toml
    pub(super) path: PathBuf,

    /// How long to try new sequences (90s, 10m, 1h)
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10m", help_heading = "Running")]
    time: Duration,

    /// Go on when something was found
    #[arg(long, help_heading = "Running")]
    keep_going: bool,

    /// Where sequences that fail are kept, if not in driver-conformance-regressions.toml beside the driver
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    regressions: Option<PathBuf>,

    #[command(flatten)]
    pub(super) shared: SharedArguments,
}

/// Fuzzes, and shows and writes the report.
pub(super) fn execute(arguments: &Arguments, output: &mut Output) -> Result<u8, ExpectedError> {
    let path = arguments.regressions.clone();
    let path = path.unwrap_or_else(|| regressions_beside(&arguments.path));
    let fuzzer = Fuzzer {
        time: arguments.time,
        globs: Globs::default(),
        keep_going: arguments.keep_going,
        regressions: Regressions::read(&path)?,
    };
    run::execute(
        &run::Arguments::of("fuzz", &arguments.path, &arguments.shared),
        &fuzzer,
        output,
    )
}

/// The file of a driver: in its directory, or beside it if it is a file.
pub(super) fn regressions_beside(driver: &Path) -> PathBuf {
    if driver.is_dir() {
        driver.join(REGRESSIONS_FILE)
    } else {
        driver.with_file_name(REGRESSIONS_FILE)
    }
}
