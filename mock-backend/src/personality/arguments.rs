//! A command line taken apart as a personality says.

use std::collections::BTreeMap;

use super::file::{Options, Verb};

/// What a command line comes to: named values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Parameters {
    values: BTreeMap<String, Vec<String>>,
}

impl Parameters {
    /// All values of a parameter, in their order.
    pub(crate) fn all(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    /// The last value of a parameter.
    pub(crate) fn last(&self, name: &str) -> Option<&str> {
        self.all(name).last().map(String::as_str)
    }

    /// Whether a flag is set.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.last(name)
            .is_some_and(|value| !["false", "0"].contains(&value))
    }

    /// Sets a flag: `name`, or `name=value` for one that stands for a value.
    fn flag(&mut self, name: &str, given: Option<&str>) {
        match name.split_once('=') {
            Some((name, value)) => self.add(name, value),
            None => self.add(name, given.unwrap_or("true")),
        }
    }

    /// Takes over what others set, after the own values.
    pub(crate) fn extend(&mut self, others: &Self) {
        for (name, values) in &others.values {
            let own = self.values.entry(name.clone()).or_default();
            own.extend_from_slice(values);
        }
    }

    /// A parameter that is a number.
    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.last(name).and_then(|text| text.parse().ok())
    }

    /// Adds a value.
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        if !name.is_empty() {
            let values = self.values.entry(name.to_owned()).or_default();
            values.push(value.to_owned());
        }
    }
}

/// Why a command line is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Misunderstood {
    /// The real tool may understand it; this one does not.
    NotEmulated(String),
    /// The real tool would not understand it either.
    Usage(String),
}

/// Looks for the options before the verb. Returns the words that are left.
pub(crate) fn before_verb<'a>(
    options: &Options,
    mut words: &'a [String],
    into: &mut Parameters,
) -> Result<&'a [String], Misunderstood> {
    while let Some(word) = words.first().filter(|word| is_option(word)) {
        words = option(&options.flags, &options.values, word, &words[1..], into)?;
    }
    Ok(words)
}

/// Takes the words after the verb apart.
pub(crate) fn after_verb(
    verb: &Verb,
    mut words: &[String],
    into: &mut Parameters,
) -> Result<(), Misunderstood> {
    // Whatever the caller says comes later, and the last one counts.
    for (name, value) in &verb.with {
        into.add(name, value);
    }
    let mut positional = Vec::new();
    while let Some((word, rest)) = words.split_first() {
        if word == "--" {
            positional.extend_from_slice(rest);
            break;
        }
        if is_option(word) {
            words = option(&verb.flags, &verb.values, word, rest, into)?;
        } else if verb.options_first && positional.len() >= verb.options_after {
            positional.extend_from_slice(words);
            break;
        } else {
            positional.push(word.clone());
            words = rest;
        }
    }
    name_positional(verb, positional, into)
}

fn is_option(word: &str) -> bool {
    word.len() > 1 && word.starts_with('-')
}

type Spellings = BTreeMap<String, String>;

fn meaning<'a>(spellings: &'a Spellings, option: &str) -> Option<&'a str> {
    let known = spellings.iter();
    let mut matching = known.filter(|(all, _)| all.split_whitespace().any(|one| one == option));
    matching.next().map(|(_, name)| name.as_str())
}

/// Takes one word of options; returns what follows it and its value.
fn option<'a>(
    flags: &Spellings,
    values: &Spellings,
    word: &str,
    rest: &'a [String],
    into: &mut Parameters,
) -> Result<&'a [String], Misunderstood> {
    let (option, inline) = match word.split_once('=') {
        Some((option, value)) if word.starts_with("--") => (option, Some(value)),
        _ => (word, None),
    };
    if let Some(name) = meaning(flags, option) {
        into.flag(name, inline);
        return Ok(rest);
    }
    if let Some(name) = meaning(values, option) {
        return match (inline, rest.split_first()) {
            (Some(value), _) => {
                into.add(name, value);
                Ok(rest)
            }
            (None, Some((value, rest))) => {
                into.add(name, value);
                Ok(rest)
            }
            (None, None) => Err(Misunderstood::Usage(format!(
                "flag needs an argument: {option}"
            ))),
        };
    }
    if word.starts_with("--") || word.chars().count() == 2 {
        return Err(Misunderstood::NotEmulated(format!("the option {option}")));
    }
    cluster(flags, values, word, rest, into)
}

/// `-itv A:B`, `-eNAME=value`: one letter after the other.
fn cluster<'a>(
    flags: &Spellings,
    values: &Spellings,
    word: &str,
    rest: &'a [String],
    into: &mut Parameters,
) -> Result<&'a [String], Misunderstood> {
    for (at, letter) in word.char_indices().skip(1) {
        let option = format!("-{letter}");
        if let Some(name) = meaning(flags, &option) {
            into.flag(name, None);
            continue;
        }
        let Some(name) = meaning(values, &option) else {
            return Err(Misunderstood::NotEmulated(format!("the option {option}")));
        };
        let value = &word[at + letter.len_utf8()..];
        if !value.is_empty() {
            into.add(name, value.strip_prefix('=').unwrap_or(value));
            return Ok(rest);
        }
        let Some((value, rest)) = rest.split_first() else {
            let text = format!("flag needs an argument: {option}");
            return Err(Misunderstood::Usage(text));
        };
        into.add(name, value);
        return Ok(rest);
    }
    Ok(rest)
}

fn name_positional(
    verb: &Verb,
    positional: Vec<String>,
    into: &mut Parameters,
) -> Result<(), Misunderstood> {
    let mut left = positional.into_iter();
    for argument in &verb.arguments {
        let name = argument.trim_end_matches(['?', '+', '.']);
        let many = argument.ends_with('+') || argument.ends_with("...");
        let needed = !argument.ends_with('?') && !argument.ends_with("...");
        let first = left.next();
        if needed && first.is_none() {
            let text = format!("requires an argument: {name}");
            return Err(Misunderstood::Usage(text));
        }
        if let Some(first) = first {
            into.add(name, &first);
        }
        if many {
            for word in left.by_ref() {
                into.add(name, &word);
            }
        }
    }
    match left.next() {
        None => Ok(()),
        Some(word) => Err(Misunderstood::Usage(format!("too many arguments: {word}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verb(text: &str) -> Verb {
        toml::from_str(&format!("words = ['x']\noperation = 'x'\n{text}")).expect("a verb")
    }

    fn parsed(verb: &Verb, line: &str) -> Result<Parameters, Misunderstood> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let mut parameters = Parameters::default();
        after_verb(verb, &words, &mut parameters).map(|()| parameters)
    }

    const RUN: &str = "flags = { '-d --detach' = 'detach', '-i' = 'stdin', '-t' = '' }
        values = { '-e --env' = 'environment', '--name' = 'name' }
        arguments = ['image', 'command...']\noptions_first = true";

    #[test]
    fn options_are_found_in_all_their_spellings() {
        let run = verb(RUN);
        let line = "-dit --name=a -e K=1 -eL=2 --env M=3 alpine sh -c -x";
        let found = parsed(&run, line).expect("understood");
        assert!(found.has("detach") && found.has("stdin"));
        assert_eq!(found.last("name"), Some("a"));
        assert_eq!(found.all("environment"), ["K=1", "L=2", "M=3"]);
        assert_eq!(found.last("image"), Some("alpine"));
        assert_eq!(found.all("command"), ["sh", "-c", "-x"]);
    }

    #[test]
    fn what_is_not_known_is_not_emulated_and_what_is_missing_is_wrong_usage() {
        let run = verb(RUN);
        assert_eq!(
            parsed(&run, "--gpus all alpine"),
            Err(Misunderstood::NotEmulated("the option --gpus".into()))
        );
        assert!(matches!(parsed(&run, "-d"), Err(Misunderstood::Usage(_))));
        let remove = verb("flags = { '-f --force' = 'force' }\narguments = ['name+']");
        let found = parsed(&remove, "a -f b --force=false -- -c").expect("understood");
        assert_eq!(found.all("name"), ["a", "b", "-c"]);
        assert!(!found.has("force"), "the last one wins");
    }
}
