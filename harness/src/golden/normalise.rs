//! Taking out of log lines what differs from run to run.

use super::replay::{Names, SYSTEM_ID};

/// A job log with time stamps, section times and process ids replaced.
pub(super) fn job_log(log: &str, names: &Names) -> String {
    let lines: Vec<String> = log
        .split('\n')
        .map(|line| job_log_line(line, names))
        .collect();
    lines.join("\n")
}

fn job_log_line(line: &str, names: &Names) -> String {
    let line = match line.get(..28) {
        Some(stamp) if is_stamp(stamp) => format!("<TS> {}", &line[28..]),
        _ => line.to_owned(),
    };
    let line = replace_digits_after(&line, "section_start:", "<T>");
    let line = replace_digits_after(&line, "section_end:", "<T>");
    let line = replace_digits_after(&line, "PID=", "<PID>");
    names.replace(&line.replace(SYSTEM_ID, "<SYSID>"))
}

fn is_stamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes[4] == b'-' && bytes[10] == b'T' && bytes[26] == b'Z' && bytes[27] == b' '
}

/// A runner-log line with durations and process ids replaced.
pub(super) fn runner_log_line(line: &str, names: &Names) -> String {
    let line = replace_after(line, "duration_s\u{1b}[0;m=", "<D>", |character| {
        character.is_ascii_digit() || matches!(character, '.' | 'e' | '-')
    });
    let line = replace_digits_after(&line, "PID\u{1b}[0;m=", "<PID>");
    let line = replace_digits_after(&line, "PID=", "<PID>");
    let line = replace_digits_after(&line, "pid\u{1b}[0;m=", "<PID>");
    let line = replace_after(&line, "correlation_id\u{1b}[0;m=", "<HEX32>", |character| {
        character.is_ascii_hexdigit()
    });
    let line = replace_after(&line, "checksum\u{1b}[0;m=", "<SUM>", |character| {
        character.is_ascii_alphanumeric() || character == ':'
    });
    names.replace(&line.replace(SYSTEM_ID, "<SYSID>"))
}

fn replace_digits_after(line: &str, prefix: &str, placeholder: &str) -> String {
    replace_after(line, prefix, placeholder, |character| {
        character.is_ascii_digit()
    })
}

fn replace_after(
    line: &str,
    prefix: &str,
    placeholder: &str,
    part: impl Fn(char) -> bool,
) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(prefix) {
        let after = &rest[at + prefix.len()..];
        let end = after
            .find(|character| !part(character))
            .unwrap_or(after.len());
        out.push_str(&rest[..at + prefix.len()]);
        out.push_str(if end > 0 { placeholder } else { "" });
        rest = &after[end..];
    }
    out.push_str(rest);
    out
}
