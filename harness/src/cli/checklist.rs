//! `checklist`: what a cleanup that may be called at any time must be able to do.

use std::path::PathBuf;

use clap::Args;
use driver_conformance_advice::checklist;

use super::explain::{PageFormat, print};
use super::table::read_report;
use super::{ExpectedError, Output};

/// Arguments of `checklist`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A report (JSON) of a driver: each item is ticked, failed or untested by what it has seen
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Form of the checklist
    #[arg(long, value_enum, default_value_t = PageFormat::Text, value_name = "FORMAT")]
    format: PageFormat,
}

/// Prints the checklist.
pub(super) fn execute(arguments: &Arguments, output: &mut Output) -> Result<u8, ExpectedError> {
    let report = arguments.report.as_deref().map(read_report).transpose()?;
    print(
        &checklist::checklist(report.as_ref()),
        arguments.format,
        output,
    );
    Ok(0)
}
