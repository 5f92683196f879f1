//! The command line: one file per subcommand.

use std::process::ExitCode;

/// Runs the command line and returns the process exit code (design: exit codes).
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
