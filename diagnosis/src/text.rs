//! From bytes to lines: encodings, line ends, the numbers of lines. No file is too large or too broken for this.

use std::borrow::Cow;

use regex::Regex;

/// Most bytes of one line that are looked at; the runner's own lines are far shorter.
pub const LINE_BYTES_MAX: usize = 16 * 1024;

/// What a constant pattern matches.
///
/// # Panics
///
/// If it is no pattern, which a test shows that uses it.
pub(crate) fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern, which a test uses")
}

/// A file, or as much of it as was read: where it is larger than the caller wants to hold, its middle is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Input {
    /// What the user calls it.
    pub name: String,
    /// The beginning, or all of it.
    pub head: Vec<u8>,
    /// How many line breaks were left out.
    pub lines_left_out: usize,
    /// The end, if something was left out.
    pub tail: Vec<u8>,
}

impl Input {
    /// A file that was read as a whole.
    pub fn whole(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            head: bytes.into(),
            ..Self::default()
        }
    }

    /// Whether the middle was left out.
    pub fn is_partial(&self) -> bool {
        !self.tail.is_empty()
    }

    /// The text of a file that was read as a whole; what is not UTF-8 becomes U+FFFD.
    pub fn text(&self) -> Cow<'_, str> {
        decode(&self.head)
    }

    /// Each line with its number, from 1; of a very long one only the beginning.
    pub fn lines(&self) -> Vec<(usize, String)> {
        let mut lines = self.whole_lines();
        for (_, line) in &mut lines {
            cut(line);
        }
        lines
    }

    /// Each line with its number, from 1, however long it is.
    pub(crate) fn whole_lines(&self) -> Vec<(usize, String)> {
        let mut lines: Vec<(usize, String)> = Vec::new();
        push_lines(&mut lines, &self.head, 1);
        if self.is_partial() {
            let first = count_breaks(&self.head) + self.lines_left_out + 1;
            push_lines(&mut lines, &self.tail, first);
        }
        lines
    }
}

/// Leaves as much of a line as is looked at.
pub(crate) fn cut(line: &mut String) {
    let mut end = line.len().min(LINE_BYTES_MAX);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line.truncate(end);
}

fn count_breaks(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .fold(0, |count, byte| count + usize::from(*byte == b'\n'))
}

fn push_lines(lines: &mut Vec<(usize, String)>, bytes: &[u8], first: usize) {
    let text = decode(bytes);
    for (index, line) in text.split('\n').enumerate() {
        lines.push((first + index, line.trim_end_matches('\r').to_owned()));
    }
    if lines.last().is_some_and(|(_, line)| line.is_empty()) {
        lines.pop();
    }
}

/// UTF-8 with or without its mark, or UTF-16 with its mark, as Windows programs save what was copied.
fn decode(bytes: &[u8]) -> Cow<'_, str> {
    let utf16 = |big: bool| {
        let units: Vec<u16> = bytes[2..]
            .chunks_exact(2)
            .map(|pair| {
                let pair = [pair[0], pair[1]];
                if big {
                    u16::from_be_bytes(pair)
                } else {
                    u16::from_le_bytes(pair)
                }
            })
            .collect();
        Cow::Owned(String::from_utf16_lossy(&units))
    };
    match bytes {
        [0xff, 0xfe, ..] => utf16(false),
        [0xfe, 0xff, ..] => utf16(true),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        _ => String::from_utf8_lossy(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_as_an_editor_does() {
        let input = Input::whole("x", &b"one\r\ntwo\n\nfour"[..]);
        let lines = input.lines();
        let expected = [(1, "one"), (2, "two"), (3, ""), (4, "four")];
        assert_eq!(lines.len(), 4);
        for ((number, line), (wanted, text)) in lines.iter().zip(expected) {
            assert_eq!((*number, line.as_str()), (wanted, text));
        }
    }

    #[test]
    fn numbers_go_on_behind_what_was_left_out() {
        let input = Input {
            name: String::new(),
            head: b"1\n2\n".to_vec(),
            lines_left_out: 5,
            tail: b"8\n9\n".to_vec(),
        };
        let numbers: Vec<usize> = input.lines().iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [1, 2, 8, 9]);
    }

    #[test]
    fn other_encodings_are_read() {
        let mut bytes = vec![0xff, 0xfe];
        bytes.extend("käse\n".encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(Input::whole("x", bytes).lines(), [(1, "käse".to_owned())]);
        assert_eq!(Input::whole("x", &b"\xef\xbb\xbfa"[..]).lines()[0].1, "a");
        assert_eq!(Input::whole("x", &b"a\xffb"[..]).lines()[0].1, "a\u{fffd}b");
        assert!(Input::whole("x", &b""[..]).lines().is_empty());
    }
}
