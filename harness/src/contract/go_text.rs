//! Text rules of the Go standard library that decide what the runner prints or accepts: quoting, `$VAR` expansion,
//! numbers and booleans in variables.

/// `strconv.Quote`: a double-quoted literal. The runner writes paths into scripts with it (E17).
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        push_quoted(&mut quoted, character);
    }
    quoted.push('"');
    quoted
}

fn push_quoted(quoted: &mut String, character: char) {
    match character {
        '"' => quoted.push_str("\\\""),
        '\\' => quoted.push_str("\\\\"),
        '\u{7}' => quoted.push_str("\\a"),
        '\u{8}' => quoted.push_str("\\b"),
        '\u{c}' => quoted.push_str("\\f"),
        '\n' => quoted.push_str("\\n"),
        '\r' => quoted.push_str("\\r"),
        '\t' => quoted.push_str("\\t"),
        '\u{b}' => quoted.push_str("\\v"),
        ' ' => quoted.push(' '),
        other if is_printable(other) => quoted.push(other),
        other => {
            let code = u32::from(other);
            let escape = match code {
                0..0x20 | 0x7f => format!("\\x{code:02x}"),
                0x80..0x1_0000 => format!("\\u{code:04x}"),
                _ => format!("\\U{code:08x}"),
            };
            quoted.push_str(&escape);
        }
    }
}

/// Close to Go's `unicode.IsPrint`; differs at most for code points that no Unicode version of one of the two knows.
fn is_printable(character: char) -> bool {
    let invisible = matches!(
        character,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e000}'..='\u{f8ff}'
    );
    !character.is_control() && !character.is_whitespace() && !invisible
}

/// `strings.ToLower`: each character by itself, whatever stands beside it, and never by more than one.
pub fn to_lower(text: &str) -> String {
    let lowered = text.chars().map(|character| {
        let mut lowered = character.to_lowercase();
        lowered.next().unwrap_or(character)
    });
    lowered.collect()
}

/// `os.Expand`: replaces `$name` and `${name}` by `lookup(name)` (B8).
pub fn expand(text: &str, mut lookup: impl FnMut(&str) -> String) -> String {
    let bytes = text.as_bytes();
    if !bytes.contains(&b'$') {
        return text.to_owned();
    }
    let mut expanded = String::with_capacity(text.len());
    let mut copied = 0;
    let mut position = 0;
    while position < bytes.len() {
        if bytes[position] != b'$' || position + 1 == bytes.len() {
            position += 1;
            continue;
        }
        expanded.push_str(&text[copied..position]);
        let (name, width) = shell_name(&text[position + 1..]);
        match (name, width) {
            ("", 0) => expanded.push('$'),
            ("", _) => {}
            (name, _) => expanded.push_str(&lookup(name)),
        }
        position += 1 + width;
        copied = position;
    }
    expanded.push_str(&text[copied..]);
    expanded
}

/// The variable name at the start of `text` and how many bytes it takes; an empty name with a width is a syntax error
/// that Go swallows.
fn shell_name(text: &str) -> (&str, usize) {
    let bytes = text.as_bytes();
    if bytes[0] == b'{' {
        if bytes.len() > 2 && is_special(bytes[1]) && bytes[2] == b'}' {
            return (&text[1..2], 3);
        }
        return match text.find('}') {
            Some(1) => ("", 2),
            Some(end) => (&text[1..end], end + 1),
            None => ("", 1),
        };
    }
    if is_special(bytes[0]) {
        return (&text[..1], 1);
    }
    let width = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
        .count();
    (&text[..width], width)
}

fn is_special(byte: u8) -> bool {
    matches!(
        byte,
        b'*' | b'#' | b'$' | b'@' | b'!' | b'?' | b'-' | b'0'..=b'9'
    )
}

/// `strconv.ParseBool`: `None` where Go gives an error.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// `strconv.ParseInt(text, 10, 64)`: `None` where Go gives an error.
pub fn parse_int(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// `regexp.QuoteMeta`.
pub fn quote_pattern(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for character in text.chars() {
        if r"\.+*?()|[]{}^$".contains(character) {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted
}

/// `%v` of a string slice with each element quoted (`%q`): `["a" "b"]`.
pub fn quote_list(items: &[String]) -> String {
    let quoted: Vec<String> = items.iter().map(|item| quote(item)).collect();
    format!("[{}]", quoted.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expands_as_go_does() {
        let cases = [
            ("a$X-b", "a<X>-b"),
            ("${X}Y", "<X>Y"),
            ("$", "$"),
            ("$ x", "$ x"),
            ("${}x", "x"),
            ("${x", "x"),
            ("$$X", "<$>X"),
            ("$1X", "<1>X"),
            ("${?}", "<?>"),
            ("é$é", "é$é"),
            ("$A$B", "<A><B>"),
        ];
        for (text, expected) in cases {
            assert_eq!(expand(text, |name| format!("<{name}>")), expected, "{text}");
        }
    }

    #[test]
    fn quotes_as_go_does() {
        assert_eq!(
            quote("a\"b\\c\n\u{7}\u{1}é\u{85}"),
            "\"a\\\"b\\\\c\\n\\a\\x01é\\u0085\""
        );
    }

    #[test]
    fn parses_signed_integers() {
        assert_eq!(parse_int("+5"), Some(5));
        assert_eq!(parse_int("-5"), Some(-5));
        assert_eq!(parse_int(" 5"), None);
        assert_eq!(parse_int("9223372036854775808"), None);
    }
}
