//! How the runner quotes words for shells (E17).

/// Quotes a word for bash: as it is if every byte is harmless, else in ANSI-C form `$'…'`.
pub fn ansi_c(word: &str) -> String {
    if word.is_empty() {
        return "''".into();
    }
    let mut escaped = String::with_capacity(word.len() + word.len() / 8 + 3);
    let mut needs_quotes = false;
    // Bytes that stay as they are come in long runs, which are copied at once.
    let mut copied = 0;
    for (at, byte) in word.bytes().enumerate() {
        let escape = ansi_c_escape(byte);
        if matches!(escape, AnsiC::Escaped(_) | AnsiC::Hexadecimal) {
            // What stays is ASCII. Within another character there is nothing between its bytes.
            escaped.push_str(word.get(copied..at).unwrap_or_default());
            copied = at + 1;
        }
        match escape {
            AnsiC::Literal => {}
            AnsiC::Quoted => needs_quotes = true,
            AnsiC::Escaped(text) => {
                escaped.push_str(text);
                needs_quotes = true;
            }
            AnsiC::Hexadecimal => {
                escaped.push_str("\\x");
                escaped.push(hexadecimal_digit(byte >> 4));
                escaped.push(hexadecimal_digit(byte & 0xf));
                needs_quotes = true;
            }
        }
    }
    escaped.push_str(&word[copied..]);
    if needs_quotes {
        format!("$'{escaped}'")
    } else {
        escaped
    }
}

enum AnsiC {
    Literal,
    Quoted,
    Escaped(&'static str),
    Hexadecimal,
}

fn ansi_c_escape(byte: u8) -> AnsiC {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b',' | b'-' | b'.' | b'/' | b'@' | b'_' => {
            AnsiC::Literal
        }
        0x07 => AnsiC::Escaped("\\a"),
        0x08 => AnsiC::Escaped("\\b"),
        b'\t' => AnsiC::Escaped("\\t"),
        b'\n' => AnsiC::Escaped("\\n"),
        0x0b => AnsiC::Escaped("\\v"),
        0x0c => AnsiC::Escaped("\\f"),
        b'\r' => AnsiC::Escaped("\\r"),
        b'\'' => AnsiC::Escaped("\\'"),
        b'\\' => AnsiC::Escaped("\\\\"),
        b' '..=b'~' => AnsiC::Quoted,
        _ => AnsiC::Hexadecimal,
    }
}

fn hexadecimal_digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16).unwrap_or('0')
}

/// Quotes a word for any POSIX shell with double quotes (`FF_POSIXLY_CORRECT_ESCAPES`).
pub fn posix(word: &str) -> String {
    if word.is_empty() {
        return "''".into();
    }
    let mut escaped = String::with_capacity(word.len() + word.len() / 8 + 2);
    let mut needs_quotes = false;
    for character in word.chars() {
        match character {
            '`' | '"' | '\\' | '$' => {
                escaped.push('\\');
                needs_quotes = true;
            }
            ' ' | '!' | '#' | '%' | '&' | '(' | ')' | '*' | '<' | '=' | '>' | '?' | '[' | '|' => {
                needs_quotes = true;
            }
            _ => {}
        }
        escaped.push(character);
    }
    if needs_quotes {
        format!("\"{escaped}\"")
    } else {
        escaped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ansi_c_quotes_only_what_needs_it() {
        assert_eq!(ansi_c("a-b/c.d,@_9"), "a-b/c.d,@_9");
        assert_eq!(ansi_c(""), "''");
        assert_eq!(ansi_c("it's\n\u{1b}é~"), "$'it\\'s\\n\\x1b\\xc3\\xa9~'");
    }

    #[test]
    fn posix_quotes_with_double_quotes() {
        assert_eq!(posix("a'b;c"), "a'b;c");
        assert_eq!(posix("a $b"), "\"a \\$b\"");
    }
}
