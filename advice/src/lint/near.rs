//! Which key was meant by one that the runner does not know: by its words and by the type of its value.

use super::config::{ARGUMENTS, PROGRAMS, TIMEOUTS};

/// Fewest letters of a word that may be misspelt and still be known.
const LETTERS_MIN: usize = 3;

/// Words that people use for those of the runner.
const SYNONYMS: [(&str, &str); 14] = [
    ("arg", "args"),
    ("argument", "args"),
    ("arguments", "args"),
    ("bin", "exec"),
    ("cmd", "exec"),
    ("command", "exec"),
    ("executable", "exec"),
    ("path", "exec"),
    ("program", "exec"),
    ("script", "exec"),
    ("clean", "cleanup"),
    ("graceful", "graceful"),
    ("time", "timeout"),
    ("seconds", "timeout"),
];

/// What was meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meant {
    /// This key.
    Key(&'static str),
    /// A timeout of `run_exec`, which there is none of.
    RunTimeout,
    /// One of these, or none.
    OneOf(&'static [&'static str]),
    /// Nobody knows.
    Unknown,
}

/// The key of `[runners.custom]` that was meant. `found` is the type of the value, as TOML calls it.
pub(super) fn meant(written: &str, found: &str) -> Meant {
    let words = words(written);
    let has = |word: &str| words.iter().any(|own| own == word);
    if has("run") && has("timeout") {
        return Meant::RunTimeout;
    }
    let of_type: &'static [&'static str] = match found {
        "string" => &PROGRAMS,
        "integer" | "float" => &TIMEOUTS,
        "array" => &ARGUMENTS,
        _ => &[],
    };
    if let Some(key) = nearest(&words, of_type).or_else(|| nearest(&words, &all())) {
        return Meant::Key(key);
    }
    if of_type.is_empty() {
        Meant::Unknown
    } else {
        Meant::OneOf(of_type)
    }
}

/// The known name that another one is, but for its letters and for how it joins its words.
pub(super) fn misspelt(written: &str, known: &[&'static str]) -> Option<&'static str> {
    let is_known = known.iter().any(|name| name.eq_ignore_ascii_case(written));
    if is_known {
        return None;
    }
    let words = words(written);
    let is_meant = |name: &&&'static str| {
        let own: Vec<&str> = name.split('_').collect();
        let alike = || {
            let mut pairs = words.iter().zip(&own);
            pairs.all(|(written, known)| is_spelt(written, known))
        };
        (own.len() == words.len() && alike()) || is_spelt(&words.concat(), &own.concat())
    };
    known.iter().find(is_meant).copied()
}

fn all() -> Vec<&'static str> {
    PROGRAMS
        .into_iter()
        .chain(TIMEOUTS)
        .chain(ARGUMENTS)
        .collect()
}

/// The one of these keys that has all the words and the fewest others.
fn nearest(written: &[String], known: &[&'static str]) -> Option<&'static str> {
    let missing = |key: &str| {
        let words: Vec<&str> = key.split('_').collect();
        // The public documentation speaks of `prepare_exec_args`.
        let needless = |word: &str| word == "exec" && words.contains(&"args");
        let fits =
            |word: &String| needless(word) || words.iter().any(|known| is_spelt(word, known));
        let run_together = is_spelt(&written.concat(), &words.concat());
        (run_together || written.iter().all(fits))
            .then(|| words.len().saturating_sub(written.len()))
    };
    let mut fitting: Vec<(usize, &'static str)> = known
        .iter()
        .filter_map(|key| Some((missing(key)?, *key)))
        .collect();
    fitting.sort_unstable();
    match fitting.as_slice() {
        [only] => Some(only.1),
        [first, second, ..] if first.0 < second.0 => Some(first.1),
        _ => None,
    }
}

/// The words of a key, whichever way it joins them.
fn words(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_small = false;
    for letter in key.chars() {
        let begins = !letter.is_alphanumeric() || (after_small && letter.is_uppercase());
        if begins {
            words.push(String::new());
        }
        if letter.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(letter.to_lowercase());
        }
        after_small = letter.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    for word in &mut words {
        let synonym = SYNONYMS.iter().find(|(other, _)| other == word);
        if let Some((_, own)) = synonym {
            (*own).clone_into(word);
        }
    }
    words
}

fn is_spelt(written: &str, known: &str) -> bool {
    written == known || (written.len() >= LETTERS_MIN && differs_by_one(written, known))
}

/// Whether one letter more, less or other, or two exchanged ones, make the difference.
fn differs_by_one(a: &str, b: &str) -> bool {
    let start = a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a.as_bytes()[start..], &b.as_bytes()[start..]);
    let end = a
        .iter()
        .rev()
        .zip(b.iter().rev())
        .take_while(|(x, y)| x == y)
        .count();
    let (a, b) = (&a[..a.len() - end], &b[..b.len() - end]);
    let exchanged = a.len() == 2 && b.len() == 2 && a[0] == b[1] && a[1] == b[0];
    (a.len() <= 1 && b.len() <= 1) || exchanged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_its_words_and_its_value() {
        for (written, found, key) in [
            ("prepare_timeout", "integer", "prepare_exec_timeout"),
            ("prepare_timeout", "string", "prepare_exec_timeout"),
            ("cleanup_exec_timout", "integer", "cleanup_exec_timeout"),
            ("prepareExecTimeout", "integer", "prepare_exec_timeout"),
            ("graceful_timeout", "integer", "graceful_kill_timeout"),
            ("gracefull_kil_timeout", "integer", "graceful_kill_timeout"),
            ("force_kill", "integer", "force_kill_timeout"),
            ("prepare", "string", "prepare_exec"),
            ("prepare", "array", "prepare_args"),
            ("prepare-exec", "string", "prepare_exec"),
            ("prepare_script", "string", "prepare_exec"),
            ("runexec", "string", "run_exec"),
            ("clean_exec", "string", "cleanup_exec"),
            ("run_exec_args", "array", "run_args"),
            ("config_arguments", "array", "config_args"),
            ("run_arg", "string", "run_args"),
        ] {
            assert_eq!(meant(written, found), Meant::Key(key), "{written}");
        }
    }

    #[test]
    fn a_misspelt_name_is_nearly_a_known_one() {
        let known = ["builds_dir", "cache_dir", "environment", "limit"];
        for (written, meant) in [
            ("build_dir", Some("builds_dir")),
            ("buildsdir", Some("builds_dir")),
            ("cache-dir", Some("cache_dir")),
            ("environmnt", Some("environment")),
            ("Builds_Dir", None),
            ("cache", None),
            ("url", None),
            ("custom_build_dir", None),
        ] {
            assert_eq!(misspelt(written, &known), meant, "{written}");
        }
    }

    #[test]
    fn what_could_be_several_is_not_guessed() {
        assert_eq!(meant("exec_timeout", "integer"), Meant::OneOf(&TIMEOUTS));
        assert_eq!(meant("kill_timeout", "integer"), Meant::OneOf(&TIMEOUTS));
        assert_eq!(meant("image", "string"), Meant::OneOf(&PROGRAMS));
        assert_eq!(meant("image", "boolean"), Meant::Unknown);
        assert_eq!(meant("runTimeout", "integer"), Meant::RunTimeout);
    }
}
