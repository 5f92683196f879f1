//! Making what a driver printed safe and short enough to be shown.
//!
//! A driver's output reaches reports inside messages. It must not move the cursor of the reader's terminal, change
//! its colours, reorder the line or bury the sentence that matters.

use std::fmt::Write as _;

pub use crate::phrases::counted;

/// Most characters of one value that are shown; the rest is counted.
pub const SHOWN_CHARACTERS_MAX: usize = 600;

/// Characters that change how the text around them is drawn: bidirectional controls, zero-width characters, the byte
/// order mark and line separators.
fn reshapes_its_surroundings(character: char) -> bool {
    matches!(
        character,
        '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{061c}'
            | '\u{feff}'
    )
}

/// The text with everything invisible written out (`\x1b`, `\u{202e}`), and cut after [`SHOWN_CHARACTERS_MAX`]
/// characters. Line breaks stay, since messages may have several lines.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut characters = text.chars();
    for character in characters.by_ref().take(SHOWN_CHARACTERS_MAX) {
        match character {
            '\n' => shown.push('\n'),
            '\t' => shown.push_str("\\t"),
            '\r' => shown.push_str("\\r"),
            control if control.is_control() => {
                let _ = write!(shown, "\\x{:02x}", u32::from(control));
            }
            other if reshapes_its_surroundings(other) => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(other));
            }
            plain => shown.push(plain),
        }
    }
    let hidden = characters.count();
    if hidden > 0 {
        let _ = write!(shown, " … ({hidden} more characters)");
    }
    shown
}

/// The same on one line: line breaks become `\n`.
pub fn visible_line(text: &str) -> String {
    visible(text).replace('\n', "\\n")
}

/// The same for bytes that may not be UTF-8: what is not becomes U+FFFD.
pub fn visible_bytes(bytes: &[u8]) -> String {
    visible(&String::from_utf8_lossy(bytes))
}

/// Breaks text into lines of at most `width` characters at blanks; a longer word stays whole, since paths and commands
/// are copied from it.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            let length = line.chars().count();
            if length > 0 && length + 1 + word.chars().count() > width {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_are_written_out() {
        assert_eq!(visible("\u{1b}[31mred\u{7}"), "\\x1b[31mred\\x07");
        assert_eq!(visible("a\u{202e}b\tc\rd"), "a\\u{202e}b\\tc\\rd");
        assert_eq!(visible_line("one\ntwo"), "one\\ntwo");
        assert_eq!(visible_bytes(b"caf\xe9"), "caf\u{fffd}");
    }

    #[test]
    fn long_text_is_cut_and_counted() {
        let shown = visible(&"x".repeat(SHOWN_CHARACTERS_MAX + 5));
        assert!(shown.ends_with("x … (5 more characters)"));
    }

    #[test]
    fn words_are_never_broken() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("averyverylongword b", 5), ["averyverylongword", "b"]);
        assert_eq!(wrap("", 5), [""]);
    }
}
