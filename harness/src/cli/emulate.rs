//! `emulate`: feeds golden traces to the simulated runner.

use std::path::PathBuf;

use clap::Args;

use super::{ExpectedError, Output};

/// Arguments of `emulate`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Golden trace: a JSON file with the inputs and what a real runner did
    #[arg(long = "golden", value_name = "FILE", required = true, num_args = 1..)]
    golden: Vec<PathBuf>,

    /// Compare with what the real runner did: exit code 0 equal, 1 different, 2 file not understood
    #[arg(long)]
    check: bool,
}

/// Replays the traces and prints the emulated ones or the differences.
pub(super) fn execute(arguments: &Arguments, _output: &mut Output) -> Result<u8, ExpectedError> {
    let _ = (&arguments.golden, arguments.check);
    Err(ExpectedError::not_available("`emulate`"))
}
