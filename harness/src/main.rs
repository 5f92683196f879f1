//! The `driver-conformance` command: a thin shell around [`driver_conformance::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = driver_conformance::process::supervisor::run_if_requested() {
        return code;
    }
    driver_conformance::cli::main()
}
