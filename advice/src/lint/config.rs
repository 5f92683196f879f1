//! Reading `config.toml` with places. Values of the wrong type are problems, not errors: the rest is looked at all the same.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{LintProblem, Severity, conversion, near};

/// Rule of a file that is no TOML.
pub(super) const SYNTAX: &str = "syntax";
/// Rule of a value that has another type than the runner expects.
pub(super) const WRONG_TYPE: &str = "wrong-type";

/// A value with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Where it is.
    pub span: Range<usize>,
    /// Where its key is.
    pub key: Range<usize>,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// The text, for edits of whole lines.
    pub text: String,
    /// `concurrent`
    pub concurrent: Option<Placed<i64>>,
    /// `shutdown_timeout`
    pub shutdown_timeout: Option<Placed<i64>>,
    /// Runners with the Custom executor.
    pub runners: Vec<Runner>,
    /// Keys that belong to another table, in a file with a runner of the Custom executor.
    pub misplaced: Vec<MisplacedKey>,
    /// Tables whose name is nearly that of one that the runner looks for.
    pub misspelt_tables: Vec<MisspeltName>,
    /// Executors whose name is that of the Custom executor but for its letters.
    pub misspelt_executors: Vec<Placed<String>>,
    /// Values of the wrong type.
    pub type_problems: Vec<LintProblem>,
}

/// A table of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// What stands before all tables.
    File,
    /// `[[runners]]`
    Runner,
    /// `[runners.custom]`
    Custom,
}

impl Home {
    /// What people call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::File => "the file itself",
            Self::Runner => "[[runners]]",
            Self::Custom => "[runners.custom]",
        }
    }

    /// How a key comes to it.
    pub(super) fn remedy(self, key: &str) -> String {
        match self {
            Self::File => format!("move `{key}` to the beginning of the file, above every table"),
            Self::Runner => {
                format!("move `{key}` up, between [[runners]] and the next line in brackets")
            }
            Self::Custom => format!("move `{key}` below [runners.custom]"),
        }
    }
}

/// A key in a table where the runner does not look for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MisplacedKey {
    /// The key.
    pub key: Placed<String>,
    /// Where it is.
    pub table: Home,
    /// Where it belongs.
    pub home: Home,
}

/// A name that the runner does not know and that is nearly one that it knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MisspeltName {
    /// What is written.
    pub key: Placed<String>,
    /// What was meant.
    pub meant: &'static str,
}

/// A key that the runner does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKey {
    /// The key.
    pub key: Placed<String>,
    /// The type of its value.
    pub found: &'static str,
}

/// One `[[runners]]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Runner {
    /// Its first line.
    pub header: Range<usize>,
    /// `name`
    pub name: String,
    /// `shell`
    pub shell: Option<Placed<String>>,
    /// `builds_dir`
    pub builds_dir: Option<Placed<String>>,
    /// `cache_dir`
    pub cache_dir: Option<Placed<String>>,
    /// The entries of `environment`.
    pub environment: Vec<Placed<String>>,
    /// `output_limit`, KiB
    pub output_limit: Option<Placed<i64>>,
    /// Keys that are nearly those of `[[runners]]`.
    pub misspelt: Vec<MisspeltName>,
    /// `[runners.custom]`
    pub custom: Option<Custom>,
}

/// `[runners.custom]`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Custom {
    /// Its first line.
    pub header: Range<usize>,
    /// Keys that the runner knows and that are written here.
    pub known: Vec<&'static str>,
    /// The programs that are named, by key.
    pub programs: Vec<(&'static str, Placed<String>)>,
    /// The timeouts that are set, by key.
    pub timeouts: Vec<(&'static str, Placed<i64>)>,
    /// Timeouts that are set to something that is no number of seconds.
    pub unreadable: Vec<&'static str>,
    /// Keys that the runner does not know.
    pub unknown: Vec<UnknownKey>,
}

impl Custom {
    /// A program.
    pub fn program(&self, key: &str) -> Option<&Placed<String>> {
        let mut named = self.programs.iter().filter(|(name, _)| *name == key);
        named.next().map(|(_, placed)| placed)
    }

    /// A timeout as the runner takes it: nothing if it is not set, or not positive.
    pub fn timeout(&self, key: &str) -> Option<&Placed<i64>> {
        let mut set = self.timeouts.iter().filter(|(name, _)| *name == key);
        set.next()
            .map(|(_, placed)| placed)
            .filter(|placed| (1..=SECONDS_MAX).contains(&placed.value))
    }

    /// The seconds of a timeout: what is set, else the default; nothing if what is set cannot be used.
    pub fn seconds(&self, key: &str, default: i64) -> Option<i64> {
        let too_long =
            |(name, placed): &(&str, Placed<i64>)| *name == key && placed.value > SECONDS_MAX;
        if self.unreadable.contains(&key) || self.timeouts.iter().any(too_long) {
            return None;
        }
        Some(self.timeout(key).map_or(default, |timeout| timeout.value))
    }

    /// Whether a key that the runner knows is written here.
    pub fn has(&self, key: &str) -> bool {
        self.known.contains(&key)
    }
}

/// The most seconds of a timeout: the runner counts nanoseconds in 64 bits.
pub(super) const SECONDS_MAX: i64 = i64::MAX / 1_000_000_000;

/// Keys of `[runners.custom]` that name programs.
pub(super) const PROGRAMS: [&str; 4] = ["config_exec", "prepare_exec", "run_exec", "cleanup_exec"];
/// Keys of lists of arguments.
pub(super) const ARGUMENTS: [&str; 4] = ["config_args", "prepare_args", "run_args", "cleanup_args"];
/// Keys of times, in seconds.
pub(super) const TIMEOUTS: [&str; 5] = [
    "config_exec_timeout",
    "prepare_exec_timeout",
    "cleanup_exec_timeout",
    "graceful_kill_timeout",
    "force_kill_timeout",
];

/// Keys before all tables.
const OF_FILE: [&str; 4] = [
    "concurrent",
    "check_interval",
    "shutdown_timeout",
    "log_level",
];
/// Keys of `[[runners]]` that people write elsewhere.
const OF_RUNNER: [&str; 8] = [
    "executor",
    "shell",
    "builds_dir",
    "cache_dir",
    "environment",
    "output_limit",
    "limit",
    "request_concurrency",
];

/// The table that a key belongs to.
fn home_of(key: &str) -> Option<Home> {
    let is = |known: &str| known.eq_ignore_ascii_case(key);
    if OF_FILE.iter().any(|known| is(known)) {
        return Some(Home::File);
    }
    if OF_RUNNER.iter().any(|known| is(known)) {
        return Some(Home::Runner);
    }
    let mut of_custom = PROGRAMS.iter().chain(&TIMEOUTS).chain(&ARGUMENTS);
    of_custom.any(|known| is(known)).then_some(Home::Custom)
}

type Table<'text> = DeTable<'text>;
type Value<'text> = Spanned<DeValue<'text>>;

#[derive(Default)]
struct Reader {
    problems: Vec<LintProblem>,
    misplaced: Vec<MisplacedKey>,
    misspelt_executors: Vec<Placed<String>>,
    misspelt_tables: Vec<MisspeltName>,
}

impl Config {
    /// Each `[runners.custom]`.
    pub fn customs(&self) -> impl Iterator<Item = &Custom> {
        self.runners
            .iter()
            .filter_map(|runner| runner.custom.as_ref())
    }

    /// Reads a file.
    pub(super) fn parse(text: &str) -> Result<Self, Box<LintProblem>> {
        let document = DeTable::parse(text).map_err(|error| {
            Box::new(LintProblem {
                rule: SYNTAX,
                severity: Severity::Error,
                message: "this is not TOML".to_owned(),
                label: error.message().to_owned(),
                help: "correct the marked place; strings need quotes, lists need brackets"
                    .to_owned(),
                span: error.span().unwrap_or(0..0),
                edit: None,
                clauses: &["A1"],
            })
        })?;
        let mut reader = Reader::default();
        let root = document.get_ref();
        let mut config = Self {
            text: text.to_owned(),
            concurrent: reader.integer(root, "concurrent"),
            shutdown_timeout: reader.integer(root, "shutdown_timeout"),
            ..Self::default()
        };
        for runner in reader.tables(root, "runners") {
            let DeValue::Table(table) = runner.get_ref() else {
                continue;
            };
            let header = first_line(text, runner.span());
            config.runners.extend(reader.runner(table, header));
        }
        reader
            .misspelt_tables
            .extend(misspelt(root, true, &["runners"]));
        if !config.runners.is_empty() {
            reader.misplaced_in(root, Home::File);
        }
        config.type_problems = reader.problems;
        config.misplaced = reader.misplaced;
        config.misspelt_tables = reader.misspelt_tables;
        config.misspelt_executors = reader.misspelt_executors;
        Ok(config)
    }
}

fn first_line(text: &str, span: Range<usize>) -> Range<usize> {
    let end = text[span.clone()].find('\n').unwrap_or(span.len());
    span.start..span.start + end
}

fn entry<'table, 'text>(
    table: &'table Table<'text>,
    key: &str,
) -> Option<(Range<usize>, &'table Spanned<DeValue<'text>>)> {
    let find =
        |fits: &dyn Fn(&str) -> bool| table.iter().find(|(name, _)| fits(name.get_ref().as_ref()));
    // The runner's reader of TOML takes a key in other letters where there is none in these.
    let found = find(&|name| name == key).or_else(|| find(&|name| name.eq_ignore_ascii_case(key)));
    found.map(|(name, value)| (name.span(), value))
}

impl Reader {
    fn mismatch(&mut self, key: &str, what: &str, example: &str, value: &Value<'_>) {
        let found = value.get_ref().type_str();
        let meant = conversion::converted(key, what, value.get_ref());
        let help = match &meant {
            Some(meant) => meant.help.clone(),
            None => format!("write it like this: `{key} = {example}`"),
        };
        self.problems.push(LintProblem {
            rule: WRONG_TYPE,
            severity: Severity::Error,
            message: format!("`{key}` must be {what}; the runner refuses the whole file"),
            label: format!("found {found}"),
            help,
            span: value.span(),
            edit: meant.and_then(|meant| meant.text).map(|text| super::Edit {
                span: value.span(),
                text,
            }),
            clauses: &["A1"],
        });
    }

    /// Notes the keys of a table that belong to another one.
    fn misplaced_in(&mut self, table: &Table<'_>, place: Home) {
        let keys = table.iter().filter_map(|(name, value)| {
            let home = home_of(name.get_ref())?;
            (home != place).then(|| MisplacedKey {
                key: placed(name.get_ref(), name.span(), value),
                table: place,
                home,
            })
        });
        self.misplaced.extend(keys);
    }

    fn integer(&mut self, table: &Table<'_>, key: &str) -> Option<Placed<i64>> {
        let (name, value) = entry(table, key)?;
        let DeValue::Integer(number) = value.get_ref() else {
            self.mismatch(key, "an integer", "60", value);
            return None;
        };
        let Ok(number) = i64::from_str_radix(number.as_str(), number.radix()) else {
            self.mismatch(key, "an integer of 64 bits", "60", value);
            return None;
        };
        Some(Placed {
            value: number,
            span: value.span(),
            key: name,
        })
    }

    fn string(&mut self, table: &Table<'_>, key: &str) -> Option<Placed<String>> {
        let (name, value) = entry(table, key)?;
        let DeValue::String(text) = value.get_ref() else {
            self.mismatch(key, "a string", "\"text\"", value);
            return None;
        };
        Some(Placed {
            value: text.to_string(),
            span: value.span(),
            key: name,
        })
    }

    fn strings(&mut self, table: &Table<'_>, key: &str) -> Vec<Placed<String>> {
        let Some((name, value)) = entry(table, key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value.get_ref() else {
            self.mismatch(key, "a list of strings", "[\"one\", \"two\"]", value);
            return Vec::new();
        };
        let strings: Option<Vec<Placed<String>>> = items
            .iter()
            .map(|item| match item.get_ref() {
                DeValue::String(text) => Some(Placed {
                    value: text.to_string(),
                    span: item.span(),
                    key: name.clone(),
                }),
                _ => None,
            })
            .collect();
        strings.unwrap_or_else(|| {
            self.mismatch(key, "a list of strings", "[\"one\", \"two\"]", value);
            Vec::new()
        })
    }

    /// The tables of a list of tables.
    fn tables<'table, 'text>(
        &mut self,
        table: &'table Table<'text>,
        key: &str,
    ) -> Vec<&'table Value<'text>> {
        let Some((_, value)) = entry(table, key) else {
            return Vec::new();
        };
        let is_table = |item: &&Value<'_>| matches!(item.get_ref(), DeValue::Table(_));
        match value.get_ref() {
            DeValue::Array(items) if items.iter().all(|item| is_table(&item)) => {
                items.iter().collect()
            }
            _ => {
                self.problems.push(LintProblem {
                    rule: WRONG_TYPE,
                    severity: Severity::Error,
                    message: format!(
                        "`{key}` must be a list of tables; the runner refuses the whole file"
                    ),
                    label: format!("found {}", value.get_ref().type_str()),
                    help: format!("begin each of them with `[[{key}]]`"),
                    span: value.span(),
                    edit: None,
                    clauses: &["A1"],
                });
                Vec::new()
            }
        }
    }

    fn runner(&mut self, table: &Table<'_>, header: Range<usize>) -> Option<Runner> {
        let executor = self.string(table, "executor");
        let custom = entry(table, "custom").map(|(_, value)| value);
        let is_custom = executor.as_ref().map_or(custom.is_some(), |executor| {
            executor.value.trim().eq_ignore_ascii_case("custom")
        });
        if !is_custom {
            return None;
        }
        let other_letters = executor.filter(|executor| executor.value != "custom");
        self.misspelt_executors.extend(other_letters);
        self.misplaced_in(table, Home::Runner);
        self.misspelt_tables
            .extend(misspelt(table, true, &["custom"]));
        Some(Runner {
            header: header.clone(),
            misspelt: misspelt(table, false, &OF_RUNNER),
            name: self
                .string(table, "name")
                .map(|name| name.value)
                .unwrap_or_default(),
            shell: self.string(table, "shell"),
            builds_dir: self.string(table, "builds_dir"),
            cache_dir: self.string(table, "cache_dir"),
            environment: self.strings(table, "environment"),
            output_limit: self.integer(table, "output_limit"),
            custom: custom.and_then(|value| {
                let DeValue::Table(table) = value.get_ref() else {
                    self.mismatch("custom", "a table", "{ run_exec = \"/path\" }", value);
                    return None;
                };
                Some(self.custom(table, value.span(), &header))
            }),
        })
    }

    fn custom(&mut self, table: &Table<'_>, span: Range<usize>, runner: &Range<usize>) -> Custom {
        let mut custom = Custom {
            // A table that is made by its keys alone has no place of its own.
            header: if span.is_empty() {
                runner.clone()
            } else {
                span.start..span.start + "[runners.custom]".len().min(span.len())
            },
            ..Custom::default()
        };
        for key in PROGRAMS {
            custom
                .programs
                .extend(self.string(table, key).map(|program| (key, program)));
        }
        for key in TIMEOUTS {
            match self.integer(table, key) {
                Some(timeout) => custom.timeouts.push((key, timeout)),
                None if entry(table, key).is_some() => custom.unreadable.push(key),
                None => {}
            }
        }
        for key in ARGUMENTS {
            self.strings(table, key);
        }
        for (name, value) in table {
            let written = name.get_ref().as_ref();
            let mut known = PROGRAMS.iter().chain(&TIMEOUTS).chain(&ARGUMENTS);
            match known.find(|known| known.eq_ignore_ascii_case(written)) {
                Some(known) => custom.known.push(known),
                // That is told by the table it belongs to.
                None if home_of(written).is_some() => {}
                None => custom.unknown.push(UnknownKey {
                    key: placed(written, name.span(), value),
                    found: value.get_ref().type_str(),
                }),
            }
        }
        self.misplaced_in(table, Home::Custom);
        custom.unknown.sort_by_key(|unknown| unknown.key.key.start);
        custom
    }
}

/// The tables of a table, or its other keys, whose names are nearly known ones.
fn misspelt(table: &Table<'_>, tables: bool, known: &[&'static str]) -> Vec<MisspeltName> {
    let is_table = |value: &Value<'_>| match value.get_ref() {
        DeValue::Table(_) => true,
        DeValue::Array(items) => {
            let mut items = items.iter();
            items.any(|item| matches!(item.get_ref(), DeValue::Table(_)))
        }
        _ => false,
    };
    let keys = table.iter().filter(|(_, value)| is_table(value) == tables);
    let found = keys.filter_map(|(name, value)| {
        let written = name.get_ref().as_ref();
        Some(MisspeltName {
            meant: near::misspelt(written, known)?,
            key: placed(written, name.span(), value),
        })
    });
    let mut found: Vec<MisspeltName> = found.collect();
    found.sort_by_key(|name| name.key.key.start);
    found
}

fn placed(text: &str, key: Range<usize>, value: &Value<'_>) -> Placed<String> {
    Placed {
        value: text.to_owned(),
        span: value.span(),
        key,
    }
}
