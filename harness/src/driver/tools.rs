//! Which tool a driver misses on this machine, told from what its failed call printed.
//!
//! A driver for a backend that is not installed fails in every case. One sentence with the tool's name is worth more than
//! a list of findings.

use std::path::{Path, PathBuf};

use crate::contract::exit::ExitStatus;

/// Longest name that is taken for a tool: anything longer is text that only looks like it.
const NAME_LENGTH_MAX: usize = 64;

/// A tool that a call looked for in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingTool {
    /// Its name, or its path if the driver asked for one.
    pub name: String,
    /// The line that says so.
    pub line: String,
}

/// The tool that a failed call missed, if its error output says so. A pure function: whether the tool really is absent
/// on this machine (and not inside the driver's own environment) is for [`find_in_path`].
pub fn missing_tool(status: ExitStatus, stderr: &[u8]) -> Option<MissingTool> {
    if status.is_success() {
        return None;
    }
    let text = String::from_utf8_lossy(stderr);
    let raised_by_start = ["_execute_child", "subprocess.py", "os.exec", "posix_spawn"]
        .iter()
        .any(|word| text.contains(word));
    text.lines().find_map(|line| {
        let name = name_in(line.trim_end(), raised_by_start)?;
        is_tool_name(name).then(|| MissingTool {
            name: name.to_owned(),
            line: line.trim().to_owned(),
        })
    })
}

/// The name a line says is missing. `raised_by_start`: the output shows a Python trace through starting a program, so
/// that its message about a missing file is about a program.
fn name_in(line: &str, raised_by_start: bool) -> Option<&str> {
    let before = |suffix: &str| line.strip_suffix(suffix).map(last_field);
    // bash: `/x/prepare: line 3: podman: command not found`; sudo, ksh the same.
    before(": command not found")
        // dash, busybox: `/x/prepare: 3: podman: not found`
        .or_else(|| dash(line))
        // zsh: `zsh: command not found: podman`
        .or_else(|| after(line, "command not found: "))
        // Go: `exec: "lxc": executable file not found in $PATH`
        .or_else(|| quoted_between(line, "exec: \"", "\": executable file not found in"))
        // bash with a path: `/x/prepare: line 3: /opt/podman: No such file or directory`, only behind a line number
        .or_else(|| bash_path(line))
        // coreutils: `env: 'podman': No such file or directory`, `timeout: failed to run command 'podman': …`
        .or_else(|| coreutils(line))
        // Python: `FileNotFoundError: [Errno 2] No such file or directory: 'podman'`
        .or_else(|| {
            raised_by_start
                .then(|| {
                    quoted_between(
                        line,
                        "FileNotFoundError: [Errno 2] No such file or directory: '",
                        "'",
                    )
                })
                .flatten()
        })
        // Node.js: `Error: spawn podman ENOENT`
        .or_else(|| quoted_between(line, "spawn ", " ENOENT"))
        // Ruby: `No such file or directory - podman (Errno::ENOENT)`
        .or_else(|| quoted_between(line, "No such file or directory - ", " (Errno::ENOENT)"))
        // which: `which: no podman in (/usr/bin:/bin)`
        .or_else(|| quoted_between(line, "which: no ", " in ("))
}

/// What follows the last `: `.
fn last_field(text: &str) -> &str {
    text.rsplit(": ").next().unwrap_or(text)
}

fn after<'line>(line: &'line str, prefix: &str) -> Option<&'line str> {
    line.find(prefix).map(|start| &line[start + prefix.len()..])
}

fn quoted_between<'line>(line: &'line str, prefix: &str, suffix: &str) -> Option<&'line str> {
    let rest = after(line, prefix)?;
    rest.find(suffix).map(|end| &rest[..end])
}

/// Only as a shell says it: behind a line number, or by `sh` itself. Many tools end a sentence with `not found`.
fn dash(line: &str) -> Option<&str> {
    let (place, name) = line.strip_suffix(": not found")?.rsplit_once(": ")?;
    let number = last_field(place).parse::<u32>().is_ok();
    let shell = Path::new(place).file_name()?.to_str()?;
    (number || ["sh", "-sh", "ash", "dash"].contains(&shell)).then_some(name)
}

fn bash_path(line: &str) -> Option<&str> {
    let before = line.strip_suffix(": No such file or directory")?;
    let (place, name) = before.rsplit_once(": ")?;
    let (_, number) = place.rsplit_once(": line ")?;
    // A redirection into a missing directory reads the same, but never names something in a directory of programs.
    let in_programs = name.contains("/bin/") || name.contains("/sbin/");
    (number.parse::<u32>().is_ok() && in_programs).then_some(name)
}

fn coreutils(line: &str) -> Option<&str> {
    let (before, _) = line.split_once(": No such file or directory")?;
    let program = before.split(": ").next()?;
    let program = Path::new(program).file_name()?.to_str()?;
    if ![
        "env", "timeout", "nohup", "nice", "setsid", "xargs", "stdbuf", "exec",
    ]
    .contains(&program)
    {
        return None;
    }
    let name = last_field(before);
    let name = name.rsplit(' ').next().unwrap_or(name);
    Some(name.trim_matches(['\'', '"', '`', '‘', '’']))
}

fn is_tool_name(name: &str) -> bool {
    let plain = |character: char| character.is_ascii_alphanumeric() || "._+-/@".contains(character);
    !name.is_empty() && name.len() <= NAME_LENGTH_MAX && name.chars().all(plain)
}

/// The program that a script is for, by its first line: a path, or a name that `env` finds.
pub fn interpreter(text: &str) -> Option<&str> {
    let line = text.lines().next()?.strip_prefix("#!")?;
    let mut words = line.split_whitespace();
    let program = words.next()?;
    if program_name(program) != "env" {
        return Some(program);
    }
    words.find(|word| !word.starts_with('-'))
}

/// The name of the program that a script is for.
pub fn interpreter_name(text: &str) -> Option<&str> {
    interpreter(text).map(program_name)
}

fn program_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Where a program is in PATH; a name with a slash is taken as a path.
pub fn find_in_path(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return is_executable(Path::new(name)).then(|| PathBuf::from(name));
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|candidate| is_executable(candidate))
}

pub(super) fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// A word as it can be typed into a POSIX shell.
pub fn shell_quoted(word: &str) -> String {
    let plain =
        |character: char| character.is_ascii_alphanumeric() || "._+-/@:=,%".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The words of a line in which each was written by [`shell_quoted`].
pub fn shell_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' if !quoted => word.get_or_insert_default().extend(letters.next()),
            ' ' if !quoted => words.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_words_are_read_again() {
        let words = ["driver-conformance", "", "it's", "a b", "'", "\\", "ü*"];
        let line: Vec<String> = words.iter().map(|word| shell_quoted(word)).collect();
        assert_eq!(shell_words(&line.join(" ")), words);
    }

    #[test]
    fn interpreters_are_read_from_first_lines() {
        for (line, program, name) in [
            ("#!/usr/bin/env python3\n", "python3", "python3"),
            ("#!/usr/bin/env -S bash -e\n", "bash", "bash"),
            ("#! /bin/sh -e\n", "/bin/sh", "sh"),
        ] {
            assert_eq!(interpreter(line), Some(program));
            assert_eq!(interpreter_name(line), Some(name));
        }
        assert_eq!(interpreter("# text\n"), None);
    }

    fn found(stderr: &str) -> Option<String> {
        missing_tool(ExitStatus::Code(127), stderr.as_bytes()).map(|tool| tool.name)
    }

    #[test]
    fn every_language_has_its_own_words() {
        let python = "Traceback (most recent call last):\n  File \"/usr/lib/python3/subprocess.py\", line 1, \
                      in _execute_child\n\
                      FileNotFoundError: [Errno 2] No such file or directory: 'podman'";
        for stderr in [
            "/x/prepare.sh: line 12: podman: command not found\n",
            "+ create\n/x/prepare: 12: podman: not found",
            "sh: podman: not found",
            "zsh:3: command not found: podman",
            "sudo: podman: command not found",
            "panic: exec: \"podman\": executable file not found in $PATH",
            "/usr/bin/env: ‘podman’: No such file or directory",
            "env: 'podman': No such file or directory",
            "timeout: failed to run command ‘podman’: No such file or directory",
            "nohup: failed to run command 'podman': No such file or directory",
            "xargs: podman: No such file or directory",
            "setsid: failed to execute podman: No such file or directory",
            "Error: spawn podman ENOENT",
            "a.rb:1:in `spawn': No such file or directory - podman (Errno::ENOENT)",
            "which: no podman in (/usr/bin:/bin)",
            python,
        ] {
            assert_eq!(found(stderr).as_deref(), Some("podman"), "{stderr}");
        }
        let path = "/x/prepare: line 3: /usr/local/bin/podman: No such file or directory";
        assert_eq!(found(path).as_deref(), Some("/usr/local/bin/podman"));
    }

    #[test]
    fn other_failures_are_not_taken_for_missing_tools() {
        for stderr in [
            "cat: /tmp/state: No such file or directory",
            "/x/run: line 3: /var/lib/driver/state: No such file or directory",
            "FileNotFoundError: [Errno 2] No such file or directory: 'state.json'",
            "Error: container 12 not found: it was removed",
            "error: the image you asked for: not found",
            "Error: alpine: not found",
            "",
        ] {
            assert_eq!(found(stderr), None, "{stderr}");
        }
    }

    #[test]
    fn a_call_that_succeeded_misses_nothing() {
        assert_eq!(
            missing_tool(ExitStatus::Code(0), b"x: line 1: lxc: command not found"),
            None
        );
    }

    #[test]
    fn quoting_leaves_plain_words_alone() {
        assert_eq!(shell_quoted("./a-b/c.sh"), "./a-b/c.sh");
        assert_eq!(shell_quoted("it's"), r"'it'\''s'");
        assert_eq!(shell_quoted(""), "''");
    }
}
