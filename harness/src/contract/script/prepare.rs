//! `prepare_script` (C8, E18).

use super::bash::BashWriter;
use super::commands::ENVIRONMENT_FILE;
use crate::contract::build::Build;
use crate::contract::go_text::quote;

/// Files of an earlier job that must not reach this one.
pub(super) const MASKING_FILE: &str = "masking.db";

/// `prepare_script`
pub(super) fn write_prepare_script(writer: &mut BashWriter, build: &Build) {
    let via = match build.hostname() {
        "" => String::new(),
        hostname => format!(" via {hostname}"),
    };
    let text = quote(&format!("Running on $(hostname){via}..."));
    writer.line(&format!("echo {text}"));
    for name in [ENVIRONMENT_FILE, MASKING_FILE] {
        let file = writer.temporary_file(name);
        writer.remove_file(&file);
    }
}
