//! Reading one table of a TOML file key by key, with errors that point at the value and a list of what was not read.
//!
//! Not serde: it stops at the first error without the key's place, and cannot tell a warning from an error for a key
//! it does not know.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toml::value::{Date, Datetime};

use super::problem::{Problem, SourceFile};

/// Similarity from which on a key is offered as what was meant: one or two letters off in a usual key.
const SUGGESTION_SIMILARITY_MIN: f32 = 0.7;

/// A parsed file; [`Document::root`] is where reading starts.
pub(super) struct Document<'file> {
    file: &'file SourceFile,
    table: Spanned<DeTable<'file>>,
}

impl<'file> Document<'file> {
    /// Parses a file.
    pub(super) fn parse(file: &'file SourceFile) -> Result<Self, Problem> {
        let table = DeTable::parse(&file.text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            let message = format!("{} is not valid TOML", file.path.display());
            Problem::new(
                message,
                "correct the marked place; strings need quotes, lists need brackets",
            )
            .at(file, span, error.message())
        })?;
        Ok(Self { file, table })
    }

    /// The top level of the file.
    pub(super) fn root(&self) -> Section<'_> {
        Section {
            file: self.file,
            name: String::new(),
            table: self.table.get_ref(),
            span: self.table.span(),
            known: Vec::new(),
        }
    }
}

/// One table of a file.
pub(super) struct Section<'document> {
    file: &'document SourceFile,
    name: String,
    table: &'document DeTable<'document>,
    span: Range<usize>,
    known: Vec<&'static str>,
}

/// A key that nothing has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnknownKey {
    /// The key.
    pub(super) key: String,
    /// Where it is.
    pub(super) span: Range<usize>,
    /// The key that was probably meant.
    pub(super) suggestion: Option<&'static str>,
}

impl<'document> Section<'document> {
    /// The file it is in.
    pub(super) fn file(&self) -> &'document SourceFile {
        self.file
    }

    /// `[runners.custom]`, or `the top level`.
    pub(super) fn title(&self) -> String {
        if self.name.is_empty() {
            "the top level".to_owned()
        } else {
            format!("[{}]", self.name)
        }
    }

    /// Where it is.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Where the value of a key is, or the whole section.
    pub(super) fn span_of(&self, key: &str) -> Range<usize> {
        let is_key = |entry: &(&Spanned<_>, &Spanned<DeValue<'_>>)| {
            let name: &Spanned<toml::de::DeString<'_>> = entry.0;
            name.get_ref().as_ref() == key
        };
        self.table
            .iter()
            .find(is_key)
            .map_or_else(|| self.span(), |(_, value)| value.span())
    }

    fn value(&mut self, key: &'static str) -> Option<&'document Spanned<DeValue<'document>>> {
        self.known.push(key);
        self.table
            .iter()
            .find(|(name, _)| name.get_ref().as_ref() == key)
            .map(|(_, value)| value)
    }

    fn mismatch(&self, key: &str, expected: &Expected, value: &Spanned<DeValue<'_>>) -> Problem {
        let found = value.get_ref().type_str();
        let message = format!(
            "`{key}` in {} must be {}, but is {}",
            self.title(),
            expected.what,
            with_article(found)
        );
        let label = format!("expected {}, found {}", expected.what, with_article(found));
        let remedy = format!("write it like this: `{key} = {}`", expected.example);
        Problem::new(message, remedy).at(self.file, value.span(), label)
    }

    /// A string.
    pub(super) fn string(&mut self, key: &'static str) -> Result<Option<String>, Problem> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        match value.get_ref() {
            DeValue::String(text) => Ok(Some(text.to_string())),
            _ => Err(self.mismatch(key, &STRING, value)),
        }
    }

    /// A day: a TOML date without a time.
    pub(super) fn date(&mut self, key: &'static str) -> Result<Option<Date>, Problem> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        match value.get_ref() {
            DeValue::Datetime(Datetime {
                date: Some(date),
                time: None,
                offset: None,
            }) => Ok(Some(*date)),
            _ => Err(self.mismatch(key, &DATE, value)),
        }
    }

    /// A whole number.
    pub(super) fn integer(&mut self, key: &'static str) -> Result<Option<i64>, Problem> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let number = match value.get_ref() {
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        number
            .map(Some)
            .ok_or_else(|| self.mismatch(key, &INTEGER, value))
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: &'static str) -> Result<Option<bool>, Problem> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        match value.get_ref() {
            DeValue::Boolean(truth) => Ok(Some(*truth)),
            _ => Err(self.mismatch(key, &BOOLEAN, value)),
        }
    }

    /// A list of strings.
    pub(super) fn strings(&mut self, key: &'static str) -> Result<Option<Vec<String>>, Problem> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let DeValue::Array(items) = value.get_ref() else {
            return Err(self.mismatch(key, &STRINGS, value));
        };
        let mut strings = Vec::new();
        for item in items {
            match item.get_ref() {
                DeValue::String(text) => strings.push(text.to_string()),
                _ => return Err(self.mismatch(key, &STRINGS, item)),
            }
        }
        Ok(Some(strings))
    }

    /// One string, or a list of them.
    pub(super) fn words(&mut self, key: &'static str) -> Result<Option<Vec<String>>, Problem> {
        match self.value(key).map(Spanned::get_ref) {
            Some(DeValue::String(text)) => Ok(Some(vec![text.to_string()])),
            _ => self.strings(key),
        }
    }

    /// A table with free keys and values of one kind, in the order of the file.
    fn entries<T>(
        &mut self,
        key: &'static str,
        expected: &Expected,
        read: fn(&DeValue<'_>) -> Option<T>,
    ) -> Result<Vec<(String, T)>, Problem> {
        let Some(value) = self.value(key) else {
            return Ok(Vec::new());
        };
        let DeValue::Table(table) = value.get_ref() else {
            return Err(self.mismatch(key, &TABLE, value));
        };
        let mut entries = Vec::new();
        for (name, value) in table {
            let Some(entry) = read(value.get_ref()) else {
                return Err(self.mismatch(name.get_ref(), expected, value));
            };
            entries.push((name.span().start, name.get_ref().to_string(), entry));
        }
        entries.sort_by_key(|(start, _, _)| *start);
        Ok(entries
            .into_iter()
            .map(|(_, name, entry)| (name, entry))
            .collect())
    }

    /// A table of strings with free keys.
    pub(super) fn string_entries(
        &mut self,
        key: &'static str,
    ) -> Result<Vec<(String, String)>, Problem> {
        self.entries(key, &STRING, |value| value.as_str().map(str::to_owned))
    }

    /// A table of truth values with free keys.
    pub(super) fn boolean_entries(
        &mut self,
        key: &'static str,
    ) -> Result<Vec<(String, bool)>, Problem> {
        self.entries(key, &BOOLEAN, boolean_of)
    }

    fn child_name(&self, key: &str) -> String {
        if self.name.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.name)
        }
    }

    /// A table.
    pub(super) fn section(
        &mut self,
        key: &'static str,
    ) -> Result<Option<Section<'document>>, Problem> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let DeValue::Table(table) = value.get_ref() else {
            return Err(self.mismatch(key, &TABLE, value));
        };
        Ok(Some(Section {
            file: self.file,
            name: self.child_name(key),
            table,
            span: value.span(),
            known: Vec::new(),
        }))
    }

    /// A list of tables: `[[key]]`.
    pub(super) fn sections(
        &mut self,
        key: &'static str,
    ) -> Result<Vec<Section<'document>>, Problem> {
        let Some(value) = self.value(key) else {
            return Ok(Vec::new());
        };
        let DeValue::Array(items) = value.get_ref() else {
            return Err(self.mismatch(key, &TABLES, value));
        };
        let mut sections = Vec::new();
        for item in items {
            let DeValue::Table(table) = item.get_ref() else {
                return Err(self.mismatch(key, &TABLES, item));
            };
            sections.push(Section {
                file: self.file,
                name: self.child_name(key),
                table,
                span: item.span(),
                known: Vec::new(),
            });
        }
        Ok(sections)
    }

    /// Keys that nothing has asked for so far, in the order of the file.
    pub(super) fn unknown_keys(&self) -> Vec<UnknownKey> {
        let mut unknown: Vec<UnknownKey> = self
            .table
            .keys()
            .filter(|key| !self.known.contains(&key.get_ref().as_ref()))
            .map(|key| UnknownKey {
                key: key.get_ref().to_string(),
                span: key.span(),
                suggestion: similar_name(key.get_ref(), &self.known),
            })
            .collect();
        unknown.sort_by_key(|unknown| unknown.span.start);
        unknown
    }

    /// An error for the first key that nothing has asked for.
    pub(super) fn deny_unknown_keys(&self) -> Result<(), Problem> {
        let Some(unknown) = self.unknown_keys().into_iter().next() else {
            return Ok(());
        };
        let mut known = self.known.clone();
        known.sort_unstable();
        known.dedup();
        let remedy = match unknown.suggestion {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("known here: {}", known.join(", ")),
        };
        let message = format!("`{}` is not a key of {}", unknown.key, self.title());
        Err(Problem::new(message, remedy).at(self.file, unknown.span, "unknown key"))
    }
}

/// The most similar of some names, if it is similar enough to have been meant.
pub fn similar_name<'name>(word: &str, names: &[&'name str]) -> Option<&'name str> {
    similar::get_close_matches(word, names, 1, SUGGESTION_SIMILARITY_MIN)
        .into_iter()
        .next()
}

/// A kind of value, for error messages.
struct Expected {
    what: &'static str,
    example: &'static str,
}

const STRING: Expected = Expected {
    what: "a string",
    example: "\"text\"",
};
const INTEGER: Expected = Expected {
    what: "an integer",
    example: "60",
};
const DATE: Expected = Expected {
    what: "a date without quotes",
    example: "2027-01-31",
};
const BOOLEAN: Expected = Expected {
    what: "a boolean",
    example: "true",
};
const STRINGS: Expected = Expected {
    what: "an array of strings",
    example: "[\"one\", \"two\"]",
};
const TABLE: Expected = Expected {
    what: "a table",
    example: "{ name = … }",
};
const TABLES: Expected = Expected {
    what: "an array of tables",
    example: "[{ name = … }]",
};

fn with_article(noun: &str) -> String {
    let vowel = noun.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {noun}", if vowel { "an" } else { "a" })
}

/// A named function, since the method's type is not general enough for [`Section::entries`].
fn boolean_of(value: &DeValue<'_>) -> Option<bool> {
    value.as_bool()
}
