//! `janitor`: removes what a harness left that was killed.

use clap::Args;
use driver_conformance_reports::model::ExitCode;
use driver_conformance_reports::text::visible_line;

use crate::janitor::{Left, sweep};

use super::Output;

/// Arguments of `janitor`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only tell what would be removed
    #[arg(long)]
    dry_run: bool,
}

/// Sweeps, and tells what was there.
pub(super) fn execute(arguments: &Arguments, output: &mut Output) -> u8 {
    let found = sweep(arguments.dry_run);
    let verb = if arguments.dry_run {
        "would remove"
    } else {
        "removed"
    };
    for left in &found.removed {
        output.text(&format!("{verb} {}\n", told(left)));
    }
    for (left, reason) in &found.stays {
        output.text(&format!("cannot remove {}: {reason}\n", told(left)));
    }
    if found.removed.is_empty() && found.stays.is_empty() {
        output.text("nothing was left\n");
    }
    if found.stays.is_empty() {
        ExitCode::CONFORMS
    } else {
        ExitCode::HARNESS_ERROR
    }
}

fn told(left: &Left) -> String {
    match left {
        Left::Process(pid, command) => format!("process {pid}: {}", visible_line(command)),
        Left::Mounts(directory) => format!("the mounts below {}", directory.display()),
        Left::Directory(directory) => format!("the directory {}", directory.display()),
    }
}
