//! A JSON reader that accepts and refuses what Go's `encoding/json` does, in its words (C3, C5, C6).

use super::go_text::quote;

/// Deepest nesting Go reads.
const DEPTH_MAX: usize = 10_000;

/// A JSON value. What is in numbers and arrays is of no use here and is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// Any number.
    Number,
    /// A string with its escapes resolved; what is not UTF-8 has become U+FFFD.
    Text(String),
    /// Any array.
    Array,
    /// Members in their order, repeated keys included.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Go's word for the kind of value in error messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Number => "number",
            Self::Text(_) => "string",
            Self::Array => "array",
            Self::Object(_) => "object",
        }
    }
}

/// Reads one JSON document with blanks around it. The error is Go's text.
pub fn parse(bytes: &[u8]) -> Result<Json, String> {
    let mut scanner = Scanner {
        bytes,
        position: 0,
        depth: 0,
    };
    let value = scanner.value()?;
    scanner.skip_blanks();
    match scanner.peek() {
        None => Ok(value),
        Some(byte) => Err(unexpected(byte, "after top-level value")),
    }
}

struct Scanner<'a> {
    bytes: &'a [u8],
    position: usize,
    depth: usize,
}

fn unexpected(byte: u8, context: &str) -> String {
    let shown = match byte {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        other => {
            let quoted = quote(&char::from(other).to_string());
            format!("'{}'", &quoted[1..quoted.len() - 1])
        }
    };
    format!("invalid character {shown} {context}")
}

/// At the end of the input Go looks whether a blank would end the value; if not, either the blank is wrong or more is
/// missing.
fn end_of_input() -> String {
    "unexpected end of JSON input".into()
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.position).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.position += 1;
        }
    }

    /// The next byte that is no blank.
    fn next_token(&mut self) -> Result<u8, String> {
        self.skip_blanks();
        self.peek().ok_or_else(end_of_input)
    }

    fn value(&mut self) -> Result<Json, String> {
        match self.next_token()? {
            b'{' => self.nested(Self::object),
            b'[' => self.nested(Self::array),
            b'"' => Ok(Json::Text(self.text()?)),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.literal("true", Json::Bool(true)),
            b'f' => self.literal("false", Json::Bool(false)),
            b'n' => self.literal("null", Json::Null),
            other => Err(unexpected(other, "looking for beginning of value")),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Json, String>) -> Result<Json, String> {
        self.position += 1;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("exceeded max depth".into());
        }
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Json, String> {
        let mut members = Vec::new();
        if self.next_token()? == b'}' {
            self.position += 1;
            return Ok(Json::Object(members));
        }
        loop {
            match self.next_token()? {
                b'"' => {}
                other => {
                    return Err(unexpected(
                        other,
                        "looking for beginning of object key string",
                    ));
                }
            }
            let key = self.text()?;
            match self.next_token()? {
                b':' => self.position += 1,
                other => return Err(unexpected(other, "after object key")),
            }
            members.push((key, self.value()?));
            match self.next_token()? {
                b',' => self.position += 1,
                b'}' => {
                    self.position += 1;
                    return Ok(Json::Object(members));
                }
                other => return Err(unexpected(other, "after object key:value pair")),
            }
        }
    }

    fn array(&mut self) -> Result<Json, String> {
        if self.next_token()? == b']' {
            self.position += 1;
            return Ok(Json::Array);
        }
        loop {
            self.value()?;
            match self.next_token()? {
                b',' => self.position += 1,
                b']' => {
                    self.position += 1;
                    return Ok(Json::Array);
                }
                other => return Err(unexpected(other, "after array element")),
            }
        }
    }

    fn literal(&mut self, word: &str, value: Json) -> Result<Json, String> {
        for expected in word.bytes() {
            let found = self.peek().unwrap_or(b' ');
            if found != expected {
                return Err(unexpected(
                    found,
                    &format!("in literal {word} (expecting '{}')", char::from(expected)),
                ));
            }
            self.position += 1;
        }
        Ok(value)
    }

    fn digits(&mut self, context: &str) -> Result<(), String> {
        let start = self.position;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.position += 1;
        }
        if self.position == start {
            return Err(unexpected(self.peek().unwrap_or(b' '), context));
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Json, String> {
        if self.peek() == Some(b'-') {
            self.position += 1;
        }
        if self.peek() == Some(b'0') {
            self.position += 1;
        } else {
            self.digits("in numeric literal")?;
        }
        if self.peek() == Some(b'.') {
            self.position += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.position += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.position += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        Ok(Json::Number)
    }

    fn text(&mut self) -> Result<String, String> {
        self.position += 1;
        let mut text = String::new();
        loop {
            match self.peek().ok_or_else(end_of_input)? {
                b'"' => {
                    self.position += 1;
                    return Ok(text);
                }
                b'\\' => {
                    self.position += 1;
                    text.push(self.escape()?);
                }
                byte @ 0..0x20 => return Err(unexpected(byte, "in string literal")),
                _ => text.push(self.character()),
            }
        }
    }

    /// One character of a string; a byte that begins none is U+FFFD, each by itself.
    fn character(&mut self) -> char {
        let rest = &self.bytes[self.position..];
        let longest = rest.len().min(4);
        let decoded = (1..=longest)
            .find_map(|length| std::str::from_utf8(&rest[..length]).ok()?.chars().next());
        let character = decoded.unwrap_or(char::REPLACEMENT_CHARACTER);
        self.position += decoded.map_or(1, char::len_utf8);
        character
    }

    fn escape(&mut self) -> Result<char, String> {
        let byte = self.peek().unwrap_or(b' ');
        let character = match byte {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'"' | b'\\' | b'/' => char::from(byte),
            b'u' => {
                self.position += 1;
                return self.unicode_escape();
            }
            other => return Err(unexpected(other, "in string escape code")),
        };
        self.position += 1;
        Ok(character)
    }

    fn unicode_escape(&mut self) -> Result<char, String> {
        let first = self.hexadecimal()?;
        if !(0xd800..0xdc00).contains(&first)
            || self.bytes.get(self.position..self.position + 2) != Some(br"\u")
        {
            return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let after_first = self.position;
        self.position += 2;
        let second = self.hexadecimal()?;
        if (0xdc00..0xe000).contains(&second) {
            let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        // Not a pair: the second escape counts for itself.
        self.position = after_first;
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn hexadecimal(&mut self) -> Result<u32, String> {
        let mut code = 0;
        for _ in 0..4 {
            let byte = self.peek().unwrap_or(b' ');
            let digit = char::from(byte)
                .to_digit(16)
                .ok_or_else(|| unexpected(byte, "in \\u hexadecimal character escape"))?;
            code = code * 16 + digit;
            self.position += 1;
        }
        Ok(code)
    }
}
