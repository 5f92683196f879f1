//! What is quoted, and that a suggestion can be read back, is tested around the default command (`cli/run/tests.rs`).

use super::*;

#[test]
fn a_quoted_text_is_toml_whatever_is_in_it() {
    let text = "say \"no\" \\ \u{1b}[31m\n\u{202e}end";
    let line = format!("text = {}", quoted(text));
    assert_eq!(line.lines().count(), 1);
    let table: toml::Table = toml::from_str(&line).expect("it is TOML");
    assert_eq!(table["text"].as_str(), Some(text));
}
