//! What a value of the wrong type was probably meant to be.

use std::sync::LazyLock;

use regex::Regex;
use toml::de::DeValue;

/// Part of a duration: `5m`, `1.5 h`, `90 seconds`.
static PART: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)^\s*(\d{1,9})\s*(seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d),?")
        .expect("a constant pattern")
});

/// A value as it should be written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Converted {
    /// What to do.
    pub(super) help: String,
    /// The value, where replacing it is all there is to do.
    pub(super) text: Option<String>,
}

/// The value that a key of this type should have instead, if it can be told.
pub(super) fn converted(key: &str, wanted: &str, value: &DeValue<'_>) -> Option<Converted> {
    let text = match (wanted, value) {
        ("an integer", DeValue::String(text)) => {
            let number = text.trim().parse().ok().or_else(|| seconds(text))?;
            number.to_string()
        }
        ("an integer", DeValue::Float(number)) => {
            let whole = number.as_str().strip_suffix(".0")?;
            whole.parse::<i64>().ok()?.to_string()
        }
        ("a list of strings", DeValue::String(text)) => format!("[{text:?}]"),
        ("a list of strings", DeValue::Table(table)) => {
            let pairs = table.iter().map(|(name, value)| match value.get_ref() {
                DeValue::String(text) => {
                    Some(format!("{:?}", format!("{}={text}", name.get_ref())))
                }
                _ => None,
            });
            let pairs: Option<Vec<String>> = pairs.collect();
            format!("[{}]", pairs?.join(", "))
        }
        ("a string", DeValue::Array(items)) => {
            let words = items.iter().map(|item| match item.get_ref() {
                DeValue::String(text) => Some(format!("{text:?}")),
                _ => None,
            });
            let words: Option<Vec<String>> = words.collect();
            return command(key, &words?);
        }
        _ => return None,
    };
    let unit = if key.ends_with("timeout") {
        ", in seconds"
    } else {
        ""
    };
    Some(Converted {
        help: format!("write it like this{unit}: `{key} = {text}`"),
        text: Some(text),
    })
}

/// A program together with its arguments, as other tools have it.
fn command(key: &str, words: &[String]) -> Option<Converted> {
    let (program, arguments) = words.split_first()?;
    if arguments.is_empty() {
        return Some(Converted {
            help: format!("write it like this: `{key} = {program}`"),
            text: Some(program.clone()),
        });
    }
    let list = key.strip_suffix("_exec")?;
    Some(Converted {
        help: format!(
            "write the arguments apart: `{key} = {program}` and `{list}_args = [{}]`",
            arguments.join(", ")
        ),
        text: None,
    })
}

/// The seconds of a duration as people and other programs write it.
fn seconds(text: &str) -> Option<i64> {
    let (mut rest, mut total) = (text.trim(), 0_i64);
    if rest.is_empty() {
        return None;
    }
    while !rest.trim().is_empty() {
        let part = PART.captures(rest)?;
        let number: i64 = part[1].parse().ok()?;
        let unit = match part[2].to_ascii_lowercase().as_bytes()[0] {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            _ => 86400,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[part[0].len()..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_seconds() {
        for (text, wanted) in [
            ("5m", Some(300)),
            ("1h30m", Some(5400)),
            ("90 s", Some(90)),
            ("10 minutes", Some(600)),
            ("1 day, 2 hours", Some(93600)),
            ("PT5M", None),
            ("soon", None),
            ("5 months", None),
            ("", None),
        ] {
            assert_eq!(seconds(text), wanted, "{text}");
        }
    }
}
