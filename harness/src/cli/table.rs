//! `table`: from symptoms to causes.

use std::path::{Path, PathBuf};

use clap::Args;
use driver_conformance_advice::table;
use driver_conformance_reports::model::Report;

use crate::driver::{Problem, SourceFile};

use super::explain::{PageFormat, print};
use super::{ExpectedError, Output};

/// Arguments of `table`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A report (JSON) of a driver: rows that its findings speak for are marked
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Form of the table
    #[arg(long, value_enum, default_value_t = PageFormat::Text, value_name = "FORMAT")]
    format: PageFormat,
}

/// Prints the table.
pub(super) fn execute(arguments: &Arguments, output: &mut Output) -> Result<u8, ExpectedError> {
    let report = arguments.report.as_deref().map(read_report).transpose()?;
    print(&table::table(report.as_ref()), arguments.format, output);
    Ok(0)
}

/// Reads a report that an earlier run has written.
pub(super) fn read_report(path: &Path) -> Result<Report, Problem> {
    let file = SourceFile::read(path)?;
    serde_json::from_str(&file.text).map_err(|error| {
        Problem::new(
            format!("{} is no report: {error}", path.display()),
            "write one with `driver-conformance PATH --report json=FILE`",
        )
    })
}
