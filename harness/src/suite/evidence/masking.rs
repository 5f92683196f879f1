//! Which values nobody who reads evidence may see.

use std::collections::BTreeSet;

use crate::trace::Trace;

/// What stands in the place of a secret.
const MASKED: &str = "[MASKED]";
/// Parts of the names of variables that hold secrets.
const TELLING: [&str; 7] = [
    "TOKEN",
    "PASSWORD",
    "PASSWD",
    "SECRET",
    "CREDENTIAL",
    "PRIVATE",
    "AUTHORIZATION",
];
/// How such names end.
const TELLING_ENDS: [&str; 3] = ["_KEY", "_AUTH", "_PASS"];
/// A shorter value is in every text by chance; it is masked where it stands as a value, and left alone elsewhere.
const VALUE_BYTES_MIN: usize = 6;

/// The secrets of a case.
#[derive(Debug)]
pub(in crate::suite) struct Mask {
    /// The longest first: one may be part of another.
    values: Vec<String>,
}

impl Mask {
    /// The values of all variables of all calls whose names tell that they are secret.
    pub(in crate::suite) fn of(trace: &Trace) -> Self {
        let variables = trace.calls.iter().flat_map(|call| &call.environment);
        let secret =
            variables.filter(|(name, value)| is_secret(name) && value.len() >= VALUE_BYTES_MIN);
        let values: BTreeSet<String> = secret.map(|(_, value)| value.clone()).collect();
        let mut values: Vec<String> = values.into_iter().collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self { values }
    }

    /// A text that may hold secrets.
    pub(in crate::suite) fn text(&self, text: &[u8]) -> Vec<u8> {
        let mut text = text.to_vec();
        for value in &self.values {
            text = replaced(&text, value.as_bytes());
        }
        text
    }
}

/// The value of a variable, if its name does not tell that it is secret.
pub(super) fn value<'value>(name: &str, value: &'value str) -> &'value str {
    if is_secret(name) && !value.is_empty() {
        MASKED
    } else {
        value
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    TELLING.iter().any(|part| name.contains(part))
        || TELLING_ENDS.iter().any(|end| name.ends_with(end))
}

fn replaced(text: &[u8], secret: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = crate::bytes::find(rest, secret) {
        result.extend_from_slice(&rest[..at]);
        result.extend_from_slice(MASKED.as_bytes());
        rest = &rest[at + secret.len()..];
    }
    result.extend_from_slice(rest);
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Scene;
    use crate::contract::stage::Program;

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        let scene = Scene::new().call(Program::Config, 0).but(|call| {
            call.environment = vec![
                (
                    "CUSTOM_ENV_CI_JOB_TOKEN".to_owned(),
                    "abc-123-token".to_owned(),
                ),
                (
                    "CUSTOM_ENV_CI_REPOSITORY_URL".to_owned(),
                    "https://ci:abc-123-token@host/x".to_owned(),
                ),
                ("MY_PASSWORD".to_owned(), "ab".to_owned()),
                ("PATH".to_owned(), "/bin".to_owned()),
            ];
        });
        let mask = Mask::of(&scene.trace);
        assert_eq!(value("MY_PASSWORD", "ab"), MASKED);
        assert_eq!(value("PATH", "/bin"), "/bin");
        let text = mask.text(b"clone https://ci:abc-123-token@host/x about");
        assert_eq!(text, b"clone https://ci:[MASKED]@host/x about");
    }

    #[test]
    fn a_secret_that_holds_another_one_is_masked_as_a_whole() {
        let mask = Mask {
            values: vec!["secret-long".to_owned(), "secret".to_owned()],
        };
        assert_eq!(mask.text(b"secret-long secret"), b"[MASKED] [MASKED]");
    }
}
