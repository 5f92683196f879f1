//! The contract between GitLab Runner and a driver, clause by clause: what `contract.toml` says, and its loader.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use serde::Deserialize;
use toml::Spanned;

use crate::error::{ScenarioError, line_of};

mod id {
    include!(concat!(env!("OUT_DIR"), "/clause_id.rs"));
}

pub use id::ClauseId;

/// The file of the clauses.
const FILE: &str = "contract.toml";
/// Its text.
const TEXT: &str = include_str!("../contract.toml");
/// Where GitLab documents the Custom executor; links are sections of it.
const DOCUMENTATION: &str = "https://docs.gitlab.com/runner/executors/custom/#";

static CLAUSES: LazyLock<Vec<Clause>> =
    LazyLock::new(|| load().expect("the embedded contract is valid: a test loads it"));

impl ClauseId {
    /// The clause with this name, in either letter case.
    pub fn from_name(name: &str) -> Option<Self> {
        let all = Self::ALL.iter().copied();
        let mut matching = all.filter(|id| id.name().eq_ignore_ascii_case(name));
        matching.next()
    }

    /// The letter of its chapter.
    pub fn chapter(self) -> char {
        self.name().chars().next().unwrap_or_default()
    }

    /// What the contract says there.
    ///
    /// # Panics
    ///
    /// If the embedded contract is invalid, which a test rules out.
    pub fn clause(self) -> &'static Clause {
        // The ids are made from the same file, so there is always one; the loader sees to it.
        let found = all().iter().find(|clause| clause.id == self);
        found.expect("every id has its clause")
    }
}

impl fmt::Display for ClauseId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// Defines an enum whose words stand in the file, with its name function and what each word means.
macro_rules! words {
    ($(#[$enum_doc:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal: $meaning:literal),+ $(,)? }) => {
        $(#[$enum_doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        pub enum $name { $($(#[$doc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// The word in the file.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// What the word means to a reader.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),+ }
            }
        }
    };
}

words! {
    /// How binding a clause is.
    Level {
        /// A driver that does otherwise breaks jobs.
        Must = "must": "a driver that does otherwise breaks jobs",
        /// It troubles users or operators.
        Should = "should": "a driver that does otherwise troubles users or operators",
        /// Good to know.
        May = "may": "nothing to comply with, but good to know",
    }
}

words! {
    /// How a clause is known.
    Provenance {
        /// The public documentation says it.
        Documented = "documented": "GitLab's public documentation",
        /// The source of the runner says it.
        Source = "source": "the source of the runner",
        /// Runs of a real runner show it.
        Measured = "measured": "runs of a real runner",
    }
}

words! {
    /// Why no check stands on a clause.
    Unchecked {
        /// No driver can do it wrong.
        RunnerSide = "runner-side": "the runner does it, and no driver can do it wrong",
        /// The harness does not begin.
        Refused = "refused": "a driver that does otherwise is refused before anything is run",
        /// It shows only at the backend.
        NeedsBackend = "needs-backend": "it shows only where the backend of the driver can be watched or broken",
        /// It does not show at all.
        NotObservable = "not-observable": "it does not show from outside",
        /// Not yet.
        Planned = "planned": "it can be checked, and is not yet",
    }
}

/// A version of the runner, as in `17.9`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Version {
    /// The first number.
    pub major: u16,
    /// The second number.
    pub minor: u16,
}

impl TryFrom<String> for Version {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let numbers = text.split_once('.').and_then(|(major, minor)| {
            Some(Self {
                major: major.parse().ok()?,
                minor: minor.parse().ok()?,
            })
        });
        numbers.ok_or_else(|| format!("`{text}` is no version such as `17.9`"))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}

/// One rule of the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// Its id.
    pub id: ClauseId,
    /// How binding it is.
    pub level: Level,
    /// What a driver does, or must cope with.
    pub sentence: String,
    /// How it is known; never empty.
    pub provenance: Vec<Provenance>,
    /// Golden traces that show it; there are some if it was measured.
    pub traces: Vec<String>,
    /// The first version it holds for, if that is known.
    pub since: Option<Version>,
    /// The last version it holds for, if it no longer does.
    pub until: Option<Version>,
    /// Section of the public documentation.
    pub link: Option<String>,
    /// What the public documentation says otherwise.
    pub docs_differ: Option<String>,
    /// Why no check stands on it, if none does.
    pub unchecked: Option<Unchecked>,
}

impl Clause {
    /// Whether a check may fail a driver for it: it is written down for everybody, or was seen.
    pub fn is_well_founded(&self) -> bool {
        let firm = [Provenance::Documented, Provenance::Measured];
        firm.iter().any(|known| self.provenance.contains(known))
    }

    /// `12.4 and later`, `16.8`, if anything is known.
    pub fn versions(&self) -> Option<String> {
        match (self.since, self.until) {
            (Some(since), None) => Some(format!("{since} and later")),
            (Some(since), Some(until)) if since == until => Some(since.to_string()),
            (Some(since), Some(until)) => Some(format!("{since} to {until}")),
            (None, Some(until)) => Some(format!("up to {until}")),
            (None, None) => None,
        }
    }
}

/// Every clause, in the order of the file.
pub fn all() -> &'static [Clause] {
    &CLAUSES
}

/// Reads the embedded contract.
pub fn load() -> Result<Vec<Clause>, ScenarioError> {
    parse(FILE, TEXT)
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    clause: Vec<Spanned<Entry>>,
}

/// One `[[clause]]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    level: Level,
    sentence: String,
    provenance: Vec<Provenance>,
    #[serde(default)]
    traces: Vec<String>,
    since: Option<Version>,
    until: Option<Version>,
    link: Option<String>,
    docs_differ: Option<String>,
    unchecked: Option<Unchecked>,
}

/// Reads clauses. The first thing that is wrong is an error that names its line.
pub fn parse(file: &str, text: &str) -> Result<Vec<Clause>, ScenarioError> {
    let document: Document = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        let remedy = "the head of the file says what a clause holds";
        ScenarioError::new(file, line, error.message(), remedy)
    })?;
    let mut lines: BTreeMap<ClauseId, usize> = BTreeMap::new();
    let mut clauses = Vec::new();
    for entry in document.clause {
        let line = line_of(text, entry.span().start);
        let clause = clause(entry.into_inner())
            .map_err(|(problem, remedy)| ScenarioError::new(file, line, &problem, remedy))?;
        if let Some(first) = lines.insert(clause.id, line) {
            let problem = format!("clause {} is already there in line {first}", clause.id);
            let remedy = "give it the next free number of its chapter";
            return Err(ScenarioError::new(file, line, &problem, remedy));
        }
        clauses.push(clause);
    }
    Ok(clauses)
}

/// The clause of an entry, or what is wrong with it and what to do.
fn clause(entry: Entry) -> Result<Clause, (String, &'static str)> {
    let name = entry.id;
    let Some(id) = ClauseId::from_name(&name).filter(|id| id.name() == name) else {
        let remedy = "begin its line with `id = `, a capital letter and a number";
        return Err((format!("clause `{name}` is not among the ids"), remedy));
    };
    for (key, text) in [
        ("sentence", Some(&entry.sentence)),
        ("docs_differ", entry.docs_differ.as_ref()),
    ] {
        if text.is_some_and(|text| text.trim().len() < 2 || !text.ends_with('.')) {
            let problem = format!("`{key}` of clause {id} is no sentence");
            return Err((problem, "write one that ends with a full stop"));
        }
    }
    if entry.provenance.is_empty() {
        let problem = format!("clause {id} does not say how it is known");
        return Err((problem, "name documented, source or measured"));
    }
    if entry.provenance.contains(&Provenance::Measured) == entry.traces.is_empty() {
        let problem = format!("clause {id} has measured without traces, or traces without it");
        return Err((problem, "a clause is measured if golden traces show it"));
    }
    if let (Some(since), Some(until)) = (entry.since, entry.until)
        && since > until
    {
        let problem = format!("clause {id} ends with {until}, before it begins with {since}");
        return Err((problem, "exchange them"));
    }
    let section = entry.link.as_deref().map(|l| l.strip_prefix(DOCUMENTATION));
    if section.is_some_and(|section| section.is_none_or(str::is_empty)) {
        let problem = format!("the link of clause {id} is no section of the documentation");
        return Err((problem, "see the other clauses for its address"));
    }
    Ok(Clause {
        id,
        level: entry.level,
        sentence: entry.sentence,
        provenance: entry.provenance,
        traces: entry.traces,
        since: entry.since,
        until: entry.until,
        link: entry.link,
        docs_differ: entry.docs_differ,
        unchecked: entry.unchecked,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const GOOD: &str = "[[clause]]\nid = \"G8\"\nlevel = \"must\"\nsentence = \"It does.\"\nprovenance = [\"source\"]\n";

    fn problem(text: &str) -> String {
        let error = parse("contract.toml", text).expect_err("it is wrong");
        error.to_string()
    }

    #[test]
    fn the_embedded_contract_holds_every_id_once_and_in_order() {
        let clauses = load().expect("the embedded contract is valid");
        let ids: Vec<ClauseId> = clauses.iter().map(|clause| clause.id).collect();
        assert_eq!(ids, ClauseId::ALL);
        let key = |id: &ClauseId| (id.chapter(), id.name()[1..].parse::<u8>().expect("digits"));
        assert!(ids.is_sorted_by_key(key), "{ids:?}");
        assert_eq!(ClauseId::G8.clause().id, ClauseId::G8);
    }

    #[test]
    fn every_trace_that_a_clause_names_is_there() {
        let traces = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/19.4");
        for clause in all() {
            for trace in &clause.traces {
                let file = traces.join(format!("{trace}.json"));
                assert!(file.is_file(), "{}: no trace {trace}", clause.id);
            }
        }
    }

    #[test]
    fn what_is_documented_has_a_link() {
        for clause in all() {
            let documented = clause.provenance.contains(&Provenance::Documented);
            assert!(
                !documented || clause.link.is_some(),
                "{}: documented without a link",
                clause.id
            );
        }
    }

    #[test]
    fn a_clause_twice_names_both_places() {
        let shown = problem(&format!("# head\n{GOOD}{GOOD}"));
        assert!(
            shown.starts_with("contract.toml:7: clause G8 is already there in line 2; "),
            "{shown}"
        );
    }

    #[test]
    fn an_unknown_level_names_its_line() {
        let shown = problem(&GOOD.replace("must", "shall"));
        assert!(shown.starts_with("contract.toml:3: "), "{shown}");
        assert!(shown.contains("shall") && shown.contains("must"), "{shown}");
    }

    #[test]
    fn a_clause_without_a_sentence_names_its_line() {
        let missing = problem(&format!(
            "{GOOD}{}",
            GOOD.replace("sentence = \"It does.\"\n", "")
                .replace("G8", "G1")
        ));
        assert!(missing.starts_with("contract.toml:6: "), "{missing}");
        assert!(missing.contains("sentence"), "{missing}");
        let empty = problem(&GOOD.replace("It does.", ""));
        assert!(
            empty.starts_with("contract.toml:1: `sentence` of clause G8"),
            "{empty}"
        );
    }

    #[test]
    fn what_else_can_be_wrong_is_told() {
        for (change, expected) in [
            (
                GOOD.replace("G8", "Z99"),
                "clause `Z99` is not among the ids",
            ),
            (GOOD.replace("[\"source\"]", "[]"), "how it is known"),
            (
                GOOD.replace("source", "measured"),
                "measured without traces",
            ),
            (
                format!("{GOOD}traces = [\"ok_full\"]\n"),
                "traces without it",
            ),
            (format!("{GOOD}since = \"12\"\n"), "`12` is no version"),
            (
                format!("{GOOD}since = \"12.10\"\nuntil = \"12.9\"\n"),
                "before it begins",
            ),
            (
                format!("{GOOD}link = \"https://example.com\"\n"),
                "no section",
            ),
            (format!("{GOOD}sentense = \"x\"\n"), "sentense"),
            (format!("{GOOD}docs_differ = \"no stop\"\n"), "no sentence"),
            (format!("{GOOD}unchecked = \"lazy\"\n"), "lazy"),
        ] {
            let shown = problem(&change);
            assert!(shown.contains(expected), "{shown}");
        }
    }

    #[test]
    fn versions_are_told_as_a_range() {
        let versions = |rest: &str| {
            let text = format!("{GOOD}{rest}");
            parse("contract.toml", &text).expect("it is right")[0].versions()
        };
        assert_eq!(versions(""), None);
        assert_eq!(
            versions("since = \"12.4\"\n").as_deref(),
            Some("12.4 and later")
        );
        let both = "since = \"16.8\"\nuntil = \"16.10\"\n";
        assert_eq!(versions(both).as_deref(), Some("16.8 to 16.10"));
    }
}
