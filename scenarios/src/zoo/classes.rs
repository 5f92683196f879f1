//! The kinds of bugs that real drivers have, from `bug_classes.toml`.

use std::sync::OnceLock;

/// The file.
const TEXT: &str = include_str!("../../bug_classes.toml");

/// A kind of bugs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BugClass {
    /// Its name, in words with hyphens.
    pub name: String,
    /// What such a driver does, in one sentence.
    pub sentence: String,
}

/// All kinds, in the order of the file.
///
/// # Panics
///
/// If `bug_classes.toml` is not a list of names and sentences, which a test rules out.
pub fn bug_classes() -> &'static [BugClass] {
    static CLASSES: OnceLock<Vec<BugClass>> = OnceLock::new();
    CLASSES.get_or_init(|| {
        let table: toml::Table =
            toml::from_str(TEXT).unwrap_or_else(|error| panic!("bug_classes.toml: {error}"));
        let class = |(name, value): (String, toml::Value)| {
            let sentence = value.as_str().unwrap_or_default().to_owned();
            BugClass { name, sentence }
        };
        table.into_iter().map(class).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_a_name_in_kebab_case_and_a_sentence() {
        assert!(!bug_classes().is_empty());
        for class in bug_classes() {
            let plain = class
                .name
                .split('-')
                .all(|word| !word.is_empty() && word.chars().all(char::is_alphanumeric));
            assert!(plain, "{class:?}");
            assert!(class.sentence.ends_with('.'), "{class:?}");
        }
    }
}
