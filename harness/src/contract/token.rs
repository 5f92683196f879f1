//! Runner tokens in the short form that appears in paths and logs (A7).

const SHORT_TOKEN_BYTES: usize = 9;

/// The short form of a token: known prefixes stripped, first nine characters (A7).
pub fn shorten(token: &str) -> String {
    let rest = strip_authentication_prefix(token);
    let rest = rest.strip_prefix("glcbt-").unwrap_or(rest);
    let rest = strip_registration_prefix(rest);
    let mut end = rest.len().min(SHORT_TOKEN_BYTES);
    while !rest.is_char_boundary(end) {
        end -= 1;
    }
    rest[..end].to_owned()
}

fn strip_authentication_prefix(token: &str) -> &str {
    if let Some(rest) = token.strip_prefix("glrt-") {
        return strip_partition(rest);
    }
    if let Some(rest) = token.strip_prefix("glrtr-") {
        return rest;
    }
    strip_partition(token)
}

/// Removes `t1_`, `t2_` or `t3_`.
fn strip_partition(token: &str) -> &str {
    ["t1_", "t2_", "t3_"]
        .into_iter()
        .find_map(|partition| token.strip_prefix(partition))
        .unwrap_or(token)
}

/// Removes the prefix of the registration tokens of old: `GR` and seven hexadecimal digits.
fn strip_registration_prefix(token: &str) -> &str {
    match token.strip_prefix("GR") {
        Some(rest) if rest.len() >= 7 && rest.as_bytes()[..7].iter().all(u8::is_ascii_hexdigit) => {
            &rest[7..]
        }
        _ => token,
    }
}

#[cfg(test)]
mod tests {
    use super::shorten;

    #[test]
    fn strips_prefixes_and_cuts() {
        assert_eq!(shorten("glrt-t1_abcdefghijkl"), "abcdefghi");
        assert_eq!(shorten("glrtr-abcdefghijkl"), "abcdefghi");
        assert_eq!(shorten("t2_abc"), "abc");
        assert_eq!(shorten("GR1348941abcdefghijkl"), "abcdefghi");
        assert_eq!(shorten("plain"), "plain");
        assert_eq!(shorten(""), "");
    }
}
