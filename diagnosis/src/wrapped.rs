//! Logs inside of other files: a job log that is a string of JSON, as the API of GitLab answers, or a log whose lines are objects or
//! elements of an array, as collectors of logs keep them. Which key holds the log is not known by its name, but by what it holds.

use std::collections::BTreeMap;

use serde_json::{Deserializer, Value};

/// Lines with their numbers, from 1.
pub(crate) type Lines = Vec<(usize, String)>;

/// How deep a string may lie in an object to be a line of a log.
const DEPTH_MAX: usize = 5;
/// Most keys that are tried as the one that holds the lines.
const COLUMNS_MAX: usize = 8;
/// What a job log begins with.
const BEGINNING: &str = "Preparing the \"";

/// One way to read a file: the logs that it then holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The logs.
    pub(crate) logs: Vec<Lines>,
    /// Whether their lines have the numbers of the file's own lines.
    pub(crate) numbered_as_file: bool,
}

/// The lines that are neither JSON nor hold a string of several lines.
pub(crate) fn plain(lines: &Lines) -> Lines {
    if document(lines).is_some() {
        return Lines::new();
    }
    let own = lines.iter().filter(|(_, line)| !is_wrapped(line));
    own.cloned().collect()
}

fn is_wrapped(line: &str) -> bool {
    starts_json(line) || may_be_string(line)
}

fn starts_json(line: &str) -> bool {
    line.trim_start().starts_with(['{', '['])
        && serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok()
}

/// Whether a text looks like the inside of a string of several lines, as programs write it out.
fn may_be_string(text: &str) -> bool {
    text.match_indices("\\n").nth(1).is_some()
}

/// Every way to read a file that is not a log itself, the likeliest first.
pub(crate) fn readings(lines: &Lines) -> Vec<Reading> {
    let values = document(lines).unwrap_or_else(|| values_of_lines(lines));
    let mut texts = Vec::new();
    for (_, value) in &values {
        long_strings(value, &mut texts);
    }
    let begun = texts.iter().filter(|text| text.contains(BEGINNING));
    // Pieces of one log, or several logs.
    let in_pieces = texts.len() > 1 && begun.count() < 2;
    let mut readings = Vec::new();
    if !texts.is_empty() {
        readings.push(Reading {
            logs: texts.iter().map(|text| split(text)).collect(),
            numbered_as_file: false,
        });
    }
    let columns = columns(&values);
    let at = if in_pieces { 0 } else { readings.len() };
    readings.splice(at..at, columns);
    let broken: Vec<&str> = lines
        .iter()
        .map(|(_, line)| line.as_str())
        .filter(|line| may_be_string(line) && !starts_json(line))
        .collect();
    for quote in quotes(&broken) {
        let texts = broken.iter().flat_map(|line| literals(line, quote));
        let logs: Vec<Lines> = texts.map(|text| split(&text)).collect();
        if !logs.is_empty() {
            readings.push(Reading {
                logs,
                numbered_as_file: false,
            });
        }
    }
    readings
}

fn split(text: &str) -> Lines {
    let lines = text.trim_end_matches('\n').split('\n').enumerate();
    lines
        .map(|(index, line)| (index + 1, line.trim_end_matches('\r').to_owned()))
        .collect()
}

/// The values of a file that is JSON as a whole, each with the line that it begins in.
fn document(lines: &Lines) -> Option<Vec<(usize, Value)>> {
    let (_, first) = lines.iter().find(|(_, line)| !line.trim().is_empty())?;
    if !first.trim_start().starts_with(['{', '[', '"']) {
        return None;
    }
    let texts: Vec<&str> = lines.iter().map(|(_, line)| line.as_str()).collect();
    let text = texts.join("\n");
    let mut stream = Deserializer::from_str(&text).into_iter::<Value>();
    let (mut values, mut line, mut counted) = (Vec::new(), 0, 0);
    while let Some(value) = stream.next() {
        let value = value.ok()?;
        let end = stream.byte_offset();
        // A value on one line belongs to it; of one on several lines, the last one is as good as any.
        line += text[counted..end].matches('\n').count();
        counted = end;
        values.push((lines.get(line).map_or(1, |(number, _)| *number), value));
    }
    Some(values)
}

/// The values of the lines that are JSON, where others are not.
fn values_of_lines(lines: &Lines) -> Vec<(usize, Value)> {
    let objects = lines.iter().filter(|(_, line)| starts_json(line));
    objects
        .filter_map(|(number, line)| Some((*number, serde_json::from_str(line).ok()?)))
        .collect()
}

/// The strings of several lines.
fn long_strings(value: &Value, found: &mut Vec<String>) {
    match value {
        // Also one that is JSON itself, whose strings are found in their turn.
        Value::String(text) if text.trim().contains('\n') || may_be_string(text) => {
            found.push(text.clone());
        }
        Value::Array(values) => values.iter().for_each(|value| long_strings(value, found)),
        Value::Object(values) => values.values().for_each(|value| long_strings(value, found)),
        _ => {}
    }
}

/// Each list of objects, or of arrays or strings, read down one key: the longest texts first.
fn columns(values: &[(usize, Value)]) -> Vec<Reading> {
    let mut found: Vec<(usize, Reading)> = Vec::new();
    let top: Vec<(usize, &Value)> = values.iter().map(|(line, value)| (*line, value)).collect();
    columns_of(&top, true, &mut found);
    for (_, value) in values {
        columns_within(value, &mut found);
    }
    found.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
    found.truncate(COLUMNS_MAX);
    found.into_iter().map(|(_, reading)| reading).collect()
}

fn columns_within(value: &Value, found: &mut Vec<(usize, Reading)>) {
    match value {
        Value::Array(values) => {
            let rows: Vec<(usize, &Value)> = (1..).zip(values).collect();
            columns_of(&rows, false, found);
            for value in values {
                columns_within(value, found);
            }
        }
        Value::Object(values) => {
            for value in values.values() {
                columns_within(value, found);
            }
        }
        _ => {}
    }
}

fn columns_of(rows: &[(usize, &Value)], numbered: bool, found: &mut Vec<(usize, Reading)>) {
    if rows.len() < 2 {
        return;
    }
    let mut columns: BTreeMap<String, Lines> = BTreeMap::new();
    for (number, row) in rows {
        let mut cells = BTreeMap::new();
        flatten(row, String::new(), 0, &mut cells);
        for (path, text) in cells {
            columns.entry(path).or_default().push((*number, text));
        }
    }
    for column in columns.into_values() {
        // What few of them have is no column.
        if column.len() * 2 < rows.len() {
            continue;
        }
        let length = column.iter().map(|(_, text)| text.len()).sum();
        let single = column
            .iter()
            .all(|(_, text)| !text.trim_end().contains('\n'));
        let numbered_as_file = numbered && single;
        let lines = if numbered_as_file {
            let trim = |(number, text): (usize, String)| (number, text.trim_end().to_owned());
            column.into_iter().map(trim).collect()
        } else {
            let ended = column.into_iter().map(|(_, text)| {
                // Pieces of a text have their own line breaks, and lines have none.
                if single {
                    text.trim_end().to_owned() + "\n"
                } else {
                    text
                }
            });
            split(&ended.collect::<String>())
        };
        let reading = Reading {
            logs: vec![lines],
            numbered_as_file,
        };
        found.push((length, reading));
    }
}

/// The strings of one row by the way to them; those of a list of objects are one text.
fn flatten(value: &Value, path: String, depth: usize, cells: &mut BTreeMap<String, String>) {
    match value {
        Value::String(text) => cells.entry(path).or_default().push_str(text),
        Value::Array(values) if depth < DEPTH_MAX => {
            for (index, value) in values.iter().enumerate() {
                let key = match value {
                    Value::String(_) => index.to_string(),
                    _ => "*".to_owned(),
                };
                flatten(value, format!("{path}/{key}"), depth + 1, cells);
            }
        }
        Value::Object(values) if depth < DEPTH_MAX => {
            for (key, value) in values {
                flatten(value, format!("{path}/{key}"), depth + 1, cells);
            }
        }
        _ => {}
    }
}

/// The marks by which strings may be quoted: the first one in the text is the likelier.
fn quotes(lines: &[&str]) -> [char; 2] {
    let first = lines.first().and_then(|line| line.find(['"', '\'']));
    match first {
        Some(at) if lines[0][at..].starts_with('\'') => ['\'', '"'],
        _ => ['"', '\''],
    }
}

/// The strings of several lines in a line that is no whole JSON: cut off, printed by another language, or with words around it.
fn literals(line: &str, quote: char) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        if letter == quote {
            pieces.push(String::new());
            continue;
        }
        let Some(piece) = pieces.last_mut() else {
            break;
        };
        piece.push(letter);
        if letter == '\\' {
            piece.extend(letters.next());
        }
    }
    let texts = pieces.iter().filter(|piece| may_be_string(piece));
    texts.map(|piece| unescape(piece)).collect()
}

/// What an escaped text stands for.
fn unescape(text: &str) -> String {
    let mut units: Vec<u16> = Vec::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let mut encode = |letter: char| units.extend(letter.encode_utf16(&mut [0; 2]).iter());
        if letter != '\\' {
            encode(letter);
            continue;
        }
        match letters.next() {
            Some('n') => encode('\n'),
            Some('r') => encode('\r'),
            Some('t') => encode('\t'),
            Some('e') => encode('\u{1b}'),
            Some('u') => units.extend(number(&mut letters, 4, 16)),
            Some('x') => units.extend(number(&mut letters, 2, 16)),
            Some('0') => units.extend(number(&mut letters, 2, 8)),
            Some(other) => encode(other),
            None => {}
        }
    }
    String::from_utf16_lossy(&units)
}

fn number(letters: &mut std::str::Chars<'_>, digits: usize, radix: u32) -> Option<u16> {
    let text: String = letters.as_str().chars().take(digits).collect();
    let value = u16::from_str_radix(&text, radix).ok()?;
    letters.nth(digits - 1);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Lines {
        split(text)
    }

    fn first(text: &str) -> Vec<Lines> {
        let readings = readings(&lines(text));
        readings
            .into_iter()
            .next()
            .map(|reading| reading.logs)
            .unwrap_or_default()
    }

    #[test]
    fn a_string_of_several_lines_is_a_log() {
        let log = lines("one\ntwo\u{1b}[0;m");
        for text in [
            r#"{"id": 1, "log": "one\ntwo\u001b[0;m\n"}"#,
            "[\n  {\n    \"a\": {\"b\": \"one\\ntwo\\u001b[0;m\"}\n  }\n]",
            r#""one\r\ntwo\u001b[0;m\r\n""#,
            // Cut off, and printed by other programs.
            r#"{"id": 1, "log": "one\ntwo\u001b[0;m\n"#,
            r#"HTTP/1.1 200 {"log": "one\ntwo\x1b[0;m\n"}"#,
            r"{'log': 'one\ntwo\033[0;m\n'}",
        ] {
            assert_eq!(first(text), std::slice::from_ref(&log), "{text}");
        }
    }

    #[test]
    fn rows_are_read_down_the_key_with_the_most_text() {
        let log = lines("line one\nline two\nline three");
        for text in [
            "{\"at\": \"1\", \"m\": \"line one\\n\"}\n{\"at\": \"2\", \"m\": \"line two\\n\"}\n{\"at\": \"3\", \"m\": \"line three\\n\"}",
            r#"{"values": [["1", "line one"], ["2", "line two"], ["3", "line three"]]}"#,
            r#"["line one", "line two", "line three"]"#,
            r#"{"lines": [{"o": 0, "c": [{"text": "line "}, {"text": "one"}]}, {"c": [{"text": "line two"}]}, {"c": [{"text": "line three"}]}]}"#,
        ] {
            assert_eq!(first(text), std::slice::from_ref(&log), "{text}");
        }
    }

    #[test]
    fn lines_of_objects_keep_their_numbers() {
        let text = "\n{\"m\": \"one\"}\n\n{\"m\": \"two\"}\n";
        let reading = readings(&lines(text)).swap_remove(0);
        assert!(reading.numbered_as_file);
        assert_eq!(
            reading.logs,
            [[(2, "one".to_owned()), (4, "two".to_owned())]]
        );
    }

    #[test]
    fn what_is_not_wrapped_is_left_alone() {
        let text = "a log\n{\"one\": \"object\"}\nof a script\n";
        assert_eq!(plain(&lines(text)).len(), 2);
        assert!(plain(&lines("{\"a\": 1}\n{\n\"b\": 2}")).is_empty());
        assert!(readings(&lines("a log\nof a script")).is_empty());
    }
}
