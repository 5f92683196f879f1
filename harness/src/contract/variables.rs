//! CI variables with the runner's semantics: last one wins, expansion happens once, file variables are paths when
//! referred to (B6, B8).

use serde::{Deserialize, Serialize};

use super::{go_path, go_text};

/// The variable that holds the job's temporary project directory; file variables are written below it.
pub const TEMP_PROJECT_DIR: &str = "RUNNER_TEMP_PROJECT_DIR";

/// One CI variable. Field order is the order in the job response file (I2).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "one per flag of the API")]
pub struct Variable {
    /// Name.
    pub key: String,
    /// Value; for a file variable the content of the file.
    pub value: String,
    /// May be shown.
    pub public: bool,
    /// Made by the runner, not by GitLab.
    #[serde(skip)]
    pub internal: bool,
    /// Scripts get the path of a file with the value.
    pub file: bool,
    /// Hidden in the job log.
    pub masked: bool,
    /// `$` has no meaning in the value.
    pub raw: bool,
}

impl Variable {
    /// A plain variable.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
            ..Self::default()
        }
    }

    /// A variable the runner itself defines.
    pub fn internal(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            public: true,
            internal: true,
            ..Self::new(key, value)
        }
    }
}

/// An ordered list of variables; a key may occur more than once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Variables(Vec<Variable>);

impl Variables {
    /// The variables in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Variable> {
        self.0.iter()
    }

    /// Adds one at the end.
    pub fn push(&mut self, variable: Variable) {
        self.0.push(variable);
    }

    /// How many entries there are, repeated keys counted each time.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a reference to `key` gives: the value, or the path of a file variable (B8). Empty if unknown.
    pub fn get(&self, key: &str) -> String {
        match key {
            "$" => "$".into(),
            _ if is_positional(key) => String::new(),
            _ => match self.last(key) {
                Some(variable) if variable.file => self.temporary_file(key),
                Some(variable) => variable.value.clone(),
                None => String::new(),
            },
        }
    }

    /// The value of `key`, for a file variable its content. Empty if unknown.
    pub fn value(&self, key: &str) -> &str {
        match key {
            "$" => "$",
            _ if is_positional(key) => "",
            _ => self.last(key).map_or("", |variable| &variable.value),
        }
    }

    fn last(&self, key: &str) -> Option<&Variable> {
        self.0.iter().rev().find(|variable| variable.key == key)
    }

    fn temporary_file(&self, name: &str) -> String {
        go_path::join(&[self.value(TEMP_PROJECT_DIR), name])
    }

    /// Reads a variable as a truth value: a Go boolean in any case, else the number 1.
    pub fn bool(&self, key: &str) -> bool {
        let value = self.get(key);
        go_text::parse_bool(&value.to_lowercase()).unwrap_or_else(|| value.parse::<i32>() == Ok(1))
    }

    /// Replaces references in a text (B8).
    pub fn expand_value(&self, text: &str) -> String {
        go_text::expand(text, |name| self.get(name))
    }

    /// All values with their references replaced once; raw variables stay (B8).
    #[must_use]
    pub fn expand(&self) -> Self {
        self.clone().into_expanded()
    }

    /// Like [`expand`](Self::expand), without a copy of what stays as it is.
    #[must_use]
    pub fn into_expanded(mut self) -> Self {
        let needs_expansion = |variable: &Variable| !variable.raw && variable.value.contains('$');
        let expanded: Vec<(usize, String)> = self
            .0
            .iter()
            .enumerate()
            .filter(|(_, variable)| needs_expansion(variable))
            .map(|(index, variable)| (index, self.expand_value(&variable.value)))
            .collect();
        for (index, value) in expanded {
            self.0[index].value = value;
        }
        self
    }

    /// Like [`expand`](Self::expand), with the values of `source`.
    #[must_use]
    pub fn expand_with(&self, source: &Self) -> Self {
        let expand = |variable: &Variable| {
            let mut expanded = variable.clone();
            if !variable.raw && variable.value.contains('$') {
                expanded.value = source.expand_value(&variable.value);
            }
            expanded
        };
        Self(self.0.iter().map(expand).collect())
    }

    /// Values to hide in the job log.
    pub fn masked(&self) -> Vec<String> {
        self.0
            .iter()
            .filter(|variable| variable.masked)
            .map(|variable| variable.value.clone())
            .collect()
    }

    /// Replaces the first entry of that key, which a later one may still hide (E13). Unknown key: nothing happens.
    pub fn overwrite_key(&mut self, key: &str, variable: Variable) {
        if let Some(entry) = self.0.iter_mut().find(|entry| entry.key == key) {
            *entry = variable;
        }
    }

    /// One entry per key, sorted by key: the first (`keep_original`) or the last one.
    #[must_use]
    pub fn dedup(&self, keep_original: bool) -> Self {
        let mut entries = self.0.clone();
        if !keep_original {
            entries.reverse();
        }
        entries.sort_by(|left, right| left.key.cmp(&right.key));
        entries.dedup_by(|left, right| left.key == right.key);
        Self(entries)
    }
}

/// Names that are always empty: shell parameters that a job cannot define.
fn is_positional(key: &str) -> bool {
    matches!(key, "*" | "#" | "@" | "!" | "?") || matches!(key.as_bytes(), [b'0'..=b'9'])
}

impl From<Vec<Variable>> for Variables {
    fn from(variables: Vec<Variable>) -> Self {
        Self(variables)
    }
}

impl Extend<Variable> for Variables {
    fn extend<T: IntoIterator<Item = Variable>>(&mut self, variables: T) {
        self.0.extend(variables);
    }
}

impl FromIterator<Variable> for Variables {
    fn from_iter<T: IntoIterator<Item = Variable>>(variables: T) -> Self {
        Self(variables.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a Variables {
    type Item = &'a Variable;
    type IntoIter = std::slice::Iter<'a, Variable>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs
            .iter()
            .map(|(key, value)| Variable::new(*key, *value))
            .collect()
    }

    #[test]
    fn the_last_one_wins_and_expansion_happens_once() {
        let variables = variables(&[
            ("A", "1"),
            ("A", "2"),
            ("B", "$A-${C}"),
            ("C", "$A"),
            ("D", "$$A $unknown."),
        ]);
        let expanded = variables.expand();
        assert_eq!(variables.clone().into_expanded(), expanded);
        assert_eq!(expanded.value("B"), "2-$A");
        assert_eq!(expanded.value("D"), "$A .");
    }

    #[test]
    fn a_reference_to_a_file_is_its_path() {
        let mut variables = variables(&[(TEMP_PROJECT_DIR, "/b/p.tmp"), ("R", "$F")]);
        variables.push(Variable {
            file: true,
            ..Variable::new("F", "content")
        });
        assert_eq!(variables.expand().value("R"), "/b/p.tmp/F");
        assert_eq!(variables.expand().value("F"), "content");
    }

    #[test]
    fn overwriting_reaches_only_the_first_entry() {
        let mut variables = variables(&[("S", "running"), ("S", "mine")]);
        variables.overwrite_key("S", Variable::new("S", "success"));
        assert_eq!(variables.value("S"), "mine");
        assert_eq!(variables.iter().next().unwrap().value, "success");
    }

    #[test]
    fn dedup_keeps_the_chosen_end() {
        let variables = variables(&[("A", "1"), ("B", "x"), ("A", "2")]);
        assert_eq!(variables.dedup(true).value("A"), "1");
        assert_eq!(variables.dedup(false).value("A"), "2");
    }
}
