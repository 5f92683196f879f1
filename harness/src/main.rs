//! The `driver-conformance` command: a thin shell around [`driver_conformance::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    // First of all: a shim has little time.
    if let Some(code) = driver_conformance_mock_backend::run_if_requested() {
        return code;
    }
    if let Some(code) = driver_conformance::process::supervisor::run_if_requested() {
        return code;
    }
    driver_conformance::cli::main()
}
