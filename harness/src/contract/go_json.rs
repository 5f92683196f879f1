//! JSON as Go's `encoding/json` writes it (I1, I2).

use serde::Serialize;

/// Encodes a value in one line, with `<`, `>`, `&` and the two line separators escaped as Go does.
///
/// The value must be one that JSON can hold (string keys, finite numbers); anything else gives an empty text.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> String {
    let json = serde_json::to_string(value).unwrap_or_default();
    if !json.contains(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        return json;
    }
    // Outside of strings none of these can occur, so no look at the structure is needed.
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
mod tests {
    #[test]
    fn escapes_markup() {
        assert_eq!(
            super::encode("<a>&\u{2028}é\u{1}\t"),
            r#""\u003ca\u003e\u0026\u2028é\u0001\t""#
        );
    }
}
