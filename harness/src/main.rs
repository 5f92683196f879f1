//! The `driver-conformance` command: a thin shell around [`driver_conformance::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    driver_conformance::cli::main()
}
