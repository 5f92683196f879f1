//! Where in the driver a finding is: the file of the program to blame, and the line if the driver itself named it.
//!
//! A line is never guessed. It is known where a shell says that a command failed (`./run: line 12: foo: not found`),
//! where a driver traces itself with file and line in `PS4`, and from the traceback of a Python program.

use std::path::{Path, PathBuf};

use driver_conformance_reports::model::{DriverProgram, Location};

use crate::contract::stage::Program;
use crate::driver::Driver;
use crate::trace::CallRecord;

use super::call_of;

/// Only the end of what a call printed is searched: what ran last is told last.
const SEARCHED_BYTES_MAX: usize = 64 * 1024;

/// The files of the driver's programs, relative to the working directory where that is shorter. A link is followed: what
/// shows findings beside lines shows them beside those of the file itself.
pub(super) fn programs(driver: &Driver) -> Vec<DriverProgram> {
    let here = std::env::current_dir().unwrap_or_default();
    let here = here.canonicalize().unwrap_or(here);
    let program = |program: Program| {
        let invocation = driver.program(program)?;
        let path = PathBuf::from(&invocation.executable);
        // A name alone is looked up in PATH.
        let path = if path.is_absolute() {
            path.canonicalize().unwrap_or(path)
        } else {
            path
        };
        Some(DriverProgram {
            call: call_of(program),
            file: relative(&path, &here),
        })
    };
    Program::ALL.into_iter().filter_map(program).collect()
}

/// A path below `here` without it; any other as it is.
fn relative(path: &Path, here: &Path) -> String {
    let short = path.strip_prefix(here).ok();
    let short = short.filter(|short| !short.as_os_str().is_empty());
    short.unwrap_or(path).display().to_string()
}

/// The place of a finding. `line` is what its call named, if it did.
pub(super) fn of(
    programs: &[DriverProgram],
    program: Option<Program>,
    line: Option<u32>,
) -> Option<Location> {
    // What no call is to blame for is looked for where every driver has a program.
    let wanted = call_of(program.unwrap_or(Program::Run));
    let file = programs.iter().find(|known| known.call == wanted)?;
    Some(Location {
        file: file.file.clone(),
        line: program.and(line),
    })
}

/// The last line of its own program that a call named.
pub(super) fn line_named(call: &CallRecord) -> Option<u32> {
    let program = Path::new(call.argv.first()?).file_name()?.to_str()?;
    let printed = &call.stderr.bytes;
    let end = &printed[printed.len().saturating_sub(SEARCHED_BYTES_MAX)..];
    let text = String::from_utf8_lossy(end);
    text.lines().rev().find_map(|line| line_in(line, program))
}

/// The number in `…/PROGRAM: line 12: `, `…/PROGRAM:12: ` (a trace, or dash with a blank), `File "…/PROGRAM", line 12`.
fn line_in(line: &str, program: &str) -> Option<u32> {
    let mut rest = line;
    while let Some(at) = rest.find(program) {
        let before = rest[..at].chars().next_back();
        let after = &rest[at + program.len()..];
        let whole = before.is_none_or(|letter| matches!(letter, '/' | '+' | ' ' | '"' | '(' | '['));
        if whole && let Some(number) = number_behind(after) {
            return Some(number);
        }
        rest = after;
    }
    None
}

fn number_behind(text: &str) -> Option<u32> {
    let digits = ["\", line ", ": line ", ": ", ":"]
        .iter()
        .find_map(|between| text.strip_prefix(between))?;
    let end = digits.find(|letter: char| !letter.is_ascii_digit());
    let number: u32 = digits[..end.unwrap_or(digits.len())].parse().ok()?;
    // A time of day, or a port, is followed by something else.
    let ends = end
        .is_some_and(|end| digits[end..].starts_with(": ") || digits[end..].starts_with(", in "));
    (ends && number > 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_the_driver_says_and_nothing_else() {
        for (text, expected) in [
            (
                "/opt/driver/run: line 12: podman: command not found",
                Some(12),
            ),
            ("/opt/driver/run: 7: podman: not found", Some(7)),
            ("+/opt/driver/run:31: exit 1", Some(31)),
            ("++ run:31: exit 1", Some(31)),
            ("  File \"/opt/driver/run\", line 4, in <module>", Some(4)),
            ("run: 10 boxes left", None),
            ("/opt/driver/overrun: line 3: x: not found", None),
            ("run took 12 s", None),
            ("cannot reach run:8080", None),
        ] {
            assert_eq!(line_in(text, "run"), expected, "{text}");
        }
    }

    #[test]
    fn a_file_below_the_working_directory_is_named_without_it() {
        let here = Path::new("/home/me/project");
        assert_eq!(
            relative(Path::new("/home/me/project/driver/run"), here),
            "driver/run"
        );
        assert_eq!(
            relative(Path::new("/opt/driver/run"), here),
            "/opt/driver/run"
        );
        assert_eq!(relative(Path::new("run-from-path"), here), "run-from-path");
    }
}
