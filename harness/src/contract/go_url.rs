//! The part of Go's `net/url` that decides about project paths and git remotes (A7, E18).

use std::fmt::Write as _;

use super::go_text::quote;

/// A parsed URL. Path, query and fragment are kept as they were written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GoUrl {
    /// Scheme in lower case; empty for a reference without one.
    pub scheme: String,
    /// `user` or `user:password`, percent-encoded.
    pub user: Option<String>,
    /// Host with port; empty if there is none.
    pub host: String,
    /// Path, percent-encoded.
    pub path: String,
    /// Text after the scheme if no slash follows it, as in `mailto:x`.
    pub opaque: String,
    /// `?…` and `#…`
    pub suffix: String,
    /// Written as `scheme:/path`, without the two slashes of a host.
    pub omits_host: bool,
}

impl GoUrl {
    /// `url.Parse`; the error is Go's text for the common mistakes.
    pub fn parse(text: &str) -> Result<Self, String> {
        let without_fragment = text.split_once('#').map_or(text, |(before, _)| before);
        Self::parse_parts(text)
            .map_err(|reason| format!("parse {}: {reason}", quote(without_fragment)))
    }

    fn parse_parts(text: &str) -> Result<Self, String> {
        if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
            return Err("net/url: invalid control character in URL".into());
        }
        let (before_fragment, _) = text.split_once('#').unwrap_or((text, ""));
        let (scheme, rest) = split_scheme(before_fragment)?;
        let (rest, _) = rest.split_once('?').unwrap_or((rest, ""));
        let mut suffix =
            before_fragment[before_fragment.len() - query_length(before_fragment)..].to_owned();
        suffix.push_str(&normalised_fragment(&text[before_fragment.len()..])?);
        let mut url = Self {
            scheme: scheme.to_lowercase(),
            suffix,
            ..Self::default()
        };
        if !rest.starts_with('/') {
            if !url.scheme.is_empty() {
                rest.clone_into(&mut url.opaque);
                return Ok(url);
            }
            let segment = rest.split('/').next().unwrap_or(rest);
            if segment.contains(':') {
                return Err("first path segment in URL cannot contain colon".into());
            }
        }
        let has_authority =
            rest.starts_with("//") && (!url.scheme.is_empty() || !rest.starts_with("///"));
        if has_authority {
            let authority_and_path = &rest[2..];
            let end = authority_and_path
                .find('/')
                .unwrap_or(authority_and_path.len());
            url.set_authority(&authority_and_path[..end])?;
            authority_and_path[end..].clone_into(&mut url.path);
        } else {
            rest.clone_into(&mut url.path);
            url.omits_host = !url.scheme.is_empty();
        }
        let decoded = decode(&url.path)?;
        if !url
            .path
            .bytes()
            .all(|byte| byte == b'%' || is_allowed_in_path(byte))
        {
            url.set_path(&decoded);
        }
        Ok(url)
    }

    fn set_authority(&mut self, authority: &str) -> Result<(), String> {
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user.to_owned()), host),
            None => (None, authority),
        };
        if let Some(character) = host
            .chars()
            .find(|character| matches!(character, ' ' | '\\' | '^' | '`' | '{' | '|' | '}'))
        {
            return Err(format!(
                "invalid character {} in host name",
                quote(&character.to_string())
            ));
        }
        if let Some(escape) = ascii_escape(host) {
            return Err(format!("invalid URL escape {}", quote(escape)));
        }
        check_literal_and_port(host, self.is_http())?;
        self.user = user.as_deref().map(normalised_user).transpose()?;
        host.clone_into(&mut self.host);
        Ok(())
    }

    /// `URL.Path`: the decoded path.
    pub fn decoded_path(&self) -> String {
        decode(&self.path).unwrap_or_else(|_| self.path.clone())
    }

    /// Sets the path from a decoded one.
    pub fn set_path(&mut self, decoded: &str) {
        self.path = encode(decoded, |byte| b"$&+,/:;=@".contains(&byte));
    }

    /// Replaces the credentials by a user and a password.
    pub fn set_password(&mut self, user: &str, password: &str) {
        self.user = Some(format!("{}:{}", encode_user(user), encode_user(password)));
    }

    /// Scheme and host only.
    #[must_use]
    pub fn scheme_and_host(&self) -> Self {
        Self {
            scheme: self.scheme.clone(),
            host: self.host.clone(),
            ..Self::default()
        }
    }

    /// Without credentials, query and fragment.
    #[must_use]
    pub fn cleaned(&self) -> Self {
        Self {
            user: None,
            suffix: String::new(),
            ..self.clone()
        }
    }

    /// Whether the scheme is `http` or `https`.
    pub fn is_http(&self) -> bool {
        matches!(self.scheme.as_str(), "http" | "https")
    }
}

impl std::fmt::Display for GoUrl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.scheme.is_empty() {
            write!(formatter, "{}:", self.scheme)?;
        }
        if !self.opaque.is_empty() {
            return write!(formatter, "{}{}", self.opaque, self.suffix);
        }
        if !self.scheme.is_empty() || !self.host.is_empty() || self.user.is_some() {
            let has_host = !self.host.is_empty() || self.user.is_some();
            if has_host || !self.path.is_empty() && !self.omits_host {
                formatter.write_str("//")?;
            }
            if let Some(user) = &self.user {
                write!(formatter, "{user}@")?;
            }
            formatter.write_str(&encode(&self.host, |byte| {
                b"!$&'()*+,;=:[]<>\"%".contains(&byte)
            }))?;
            if !self.path.is_empty() && !self.path.starts_with('/') && !self.host.is_empty() {
                formatter.write_str("/")?;
            }
        }
        write!(formatter, "{}{}", self.path, self.suffix)
    }
}

/// How many bytes of `text` (which has no fragment) are `?…`.
fn query_length(text: &str) -> usize {
    text.find('?').map_or(0, |start| text.len() - start)
}

fn split_scheme(text: &str) -> Result<(&str, &str), String> {
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if index > 0 => {}
            b':' if index == 0 => return Err("missing protocol scheme".into()),
            b':' => return Ok((&text[..index], &text[index + 1..])),
            _ => return Ok(("", text)),
        }
    }
    Ok(("", text))
}

/// `host:port` or `[address]:port`, where the brackets are for addresses with colons only.
fn check_literal_and_port(host: &str, is_http: bool) -> Result<(), String> {
    let port = match host.rfind('[') {
        Some(0) => {
            let end = host.rfind(']').ok_or("missing ']' in host")?;
            let address = &host[1..end];
            let without_zone = address.split("%25").next().unwrap_or(address);
            if without_zone.parse::<std::net::Ipv4Addr>().is_ok() {
                return Err("invalid IP-literal".into());
            }
            if without_zone.parse::<std::net::Ipv6Addr>().is_err() {
                let address = quote(address);
                return Err(format!(
                    "invalid host: ParseAddr({address}): unable to parse IP"
                ));
            }
            &host[end + 1..]
        }
        Some(_) => return Err("invalid IP-literal".into()),
        None => {
            let colon = if is_http {
                host.find(':')
            } else {
                host.rfind(':')
            };
            colon.map_or("", |colon| &host[colon..])
        }
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    let has_colon = port.is_empty() || port.starts_with(':');
    if has_colon && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(());
    }
    Err(format!("invalid port {} after host", quote(port)))
}

/// The first percent-escape of a host that Go refuses: it allows only those of bytes that are not ASCII.
fn ascii_escape(host: &str) -> Option<&str> {
    host.match_indices('%').find_map(|(start, _)| {
        let digits = host.get(start + 1..start + 3);
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(0x80..) => None,
            _ => Some(host.get(start..start + 3).unwrap_or(&host[start..])),
        }
    })
}

/// Percent-decoding; invalid UTF-8 becomes U+FFFD.
fn decode(text: &str) -> Result<String, String> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut position = 0;
    while position < bytes.len() {
        if bytes[position] != b'%' {
            decoded.push(bytes[position]);
            position += 1;
            continue;
        }
        let digits = bytes
            .get(position + 1..position + 3)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else {
            let shown = String::from_utf8_lossy(&bytes[position..bytes.len().min(position + 3)]);
            return Err(format!("invalid URL escape {}", quote(&shown)));
        };
        decoded.push(byte);
        position += 3;
    }
    Ok(String::from_utf8_lossy(&decoded).into_owned())
}

fn encode_user(text: &str) -> String {
    encode(text, |byte| b"$&+,;=".contains(&byte))
}

/// Percent-encodes all but unreserved characters and those that are `allowed`.
fn encode(text: &str, allowed: impl Fn(u8) -> bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_unreserved(byte) || allowed(byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)
}

/// What Go leaves in a path as it was written.
fn is_allowed_in_path(byte: u8) -> bool {
    is_unreserved(byte) || b"!$&'()*+,;=:@[]/".contains(&byte)
}

/// A fragment with its `#` as Go writes it back.
fn normalised_fragment(text: &str) -> Result<String, String> {
    if text == "#" {
        return Ok(String::new());
    }
    let decoded = decode(text)?;
    if text
        .bytes()
        .all(|byte| b"#%?".contains(&byte) || is_allowed_in_path(byte))
    {
        return Ok(text.to_owned());
    }
    Ok(format!(
        "#{}",
        encode(&decoded[1..], |byte| b"$&+,/:;=?@!()*".contains(&byte))
    ))
}

/// Credentials as Go writes them back.
fn normalised_user(text: &str) -> Result<String, String> {
    if !text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte))
    {
        return Err("net/url: invalid userinfo".into());
    }
    Ok(match text.split_once(':') {
        Some((user, password)) => format!(
            "{}:{}",
            encode_user(&decode(user)?),
            encode_user(&decode(password)?)
        ),
        None => encode_user(&decode(text)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_url_apart_and_puts_it_together() {
        let text = "http://gitlab-ci-token:t%40k@host:81/a/b.git?x=1#f";
        let url = GoUrl::parse(text).unwrap();
        assert_eq!(
            (url.scheme.as_str(), url.host.as_str(), url.path.as_str()),
            ("http", "host:81", "/a/b.git")
        );
        assert_eq!(url.suffix, "?x=1#f");
        assert_eq!(url.to_string(), text);
        assert_eq!(url.cleaned().to_string(), "http://host:81/a/b.git");
        assert_eq!(url.scheme_and_host().to_string(), "http://host:81");
    }

    #[test]
    fn refuses_what_go_refuses() {
        assert_eq!(
            GoUrl::parse("git@host:a/b.git").unwrap_err(),
            "parse \"git@host:a/b.git\": first path segment in URL cannot contain colon"
        );
        assert_eq!(
            GoUrl::parse(":x").unwrap_err(),
            "parse \":x\": missing protocol scheme"
        );
        assert!(
            GoUrl::parse("http://h/%zz")
                .unwrap_err()
                .contains("invalid URL escape \"%zz\"")
        );
    }

    #[test]
    fn hosts_in_brackets_are_addresses() {
        let reason = |url: &str| {
            let error = GoUrl::parse(url).unwrap_err();
            error.rsplit("\": ").next().unwrap_or_default().to_owned()
        };
        assert_eq!(GoUrl::parse("http://[::1]:80/a").unwrap().host, "[::1]:80");
        assert_eq!(reason("http://[::1"), "missing ']' in host");
        assert_eq!(reason("http://a[::1]"), "invalid IP-literal");
        assert_eq!(reason("http://[127.0.0.1]"), "invalid IP-literal");
        assert_eq!(reason("http://[::1]80"), "invalid port \"80\" after host");
        assert_eq!(reason("http://a:1:2"), "invalid port \":1:2\" after host");
        assert_eq!(GoUrl::parse("ssh://a:1:2").unwrap().host, "a:1:2");
    }

    #[test]
    fn paths_without_host_stay() {
        assert_eq!(GoUrl::parse("/a/b").unwrap().to_string(), "/a/b");
        assert_eq!(
            GoUrl::parse("file:///a/b").unwrap().to_string(),
            "file:///a/b"
        );
    }
}
