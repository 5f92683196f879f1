//! The pages of `explain` and the checklist as data, and their loader.
//!
//! Numbers are not written in them: `{prepare_attempts}` and the like are filled in from the emulated runner.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::SourceFile;
use crate::contract::ClauseId;
use crate::error::{ScenarioError, line_of};

/// The embedded pages, sorted by name.
pub static FILES: &[SourceFile] = include!(concat!(env!("OUT_DIR"), "/page_files.rs"));
/// The checklist.
const CHECKLIST: &str = include_str!("../checklist.toml");

static PAGES: LazyLock<Vec<Page>> =
    LazyLock::new(|| load().expect("the embedded pages are valid: a test loads them"));
static ITEMS: LazyLock<Vec<Item>> =
    LazyLock::new(|| checklist().expect("the embedded checklist is valid: a test loads it"));

/// What a page is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A question that goes across calls.
    Topic,
    /// One of the four programs.
    Exec,
    /// A run stage.
    Stage,
}

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What it is asked for by: the name of the file.
    pub name: &'static str,
    /// Its heading.
    pub title: String,
    /// What it is about, in a few words.
    pub about: String,
    /// What kind of thing it is about.
    pub kind: Kind,
    /// Other names for it.
    pub aliases: Vec<String>,
    /// Programs that it is about; symptoms of them are shown.
    pub calls: Vec<String>,
    /// Run stages that it is about.
    pub stages: Vec<String>,
    /// A drawing.
    pub timeline: String,
    /// What it says.
    pub statements: Vec<Statement>,
    /// A table.
    pub table: Option<Table>,
}

/// One statement and the clauses that it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// One or a few sentences.
    pub text: String,
    /// The clauses.
    pub clauses: Vec<ClauseId>,
}

/// A table and the clauses that it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Headings of its columns.
    pub head: Vec<String>,
    /// Its rows.
    pub rows: Vec<Vec<String>>,
    /// The clauses.
    pub clauses: Vec<ClauseId>,
}

/// One item of the checklist.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// What a driver does.
    pub text: String,
    /// Why, or how.
    pub hint: String,
    /// Checks that prove it.
    pub checks: Vec<String>,
    /// Globs of cases in which it shows.
    pub cases: Vec<String>,
    /// Clauses of the contract.
    pub clauses: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageEntry {
    title: String,
    about: String,
    kind: Kind,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    calls: Vec<String>,
    #[serde(default)]
    stages: Vec<String>,
    #[serde(default)]
    timeline: String,
    statement: Vec<StatementEntry>,
    table: Option<TableEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatementEntry {
    text: String,
    clauses: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableEntry {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    clauses: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChecklistEntry {
    item: Vec<Item>,
}

/// Every page, topics first.
///
/// # Panics
///
/// If an embedded page is invalid, which a test rules out.
pub fn all() -> &'static [Page] {
    &PAGES
}

/// Every item of the checklist, in order.
///
/// # Panics
///
/// If the embedded checklist is invalid, which a test rules out.
pub fn items() -> &'static [Item] {
    &ITEMS
}

/// The page with this name or alias.
pub fn named(name: &str) -> Option<&'static Page> {
    let name = name.to_lowercase();
    let is_it = |page: &&Page| page.name == name || page.aliases.contains(&name);
    all().iter().find(is_it).or_else(|| {
        // Names of steps are open.
        let step = name.starts_with("step_");
        step.then(|| named("build_script")).flatten()
    })
}

/// The pages on which a word stands, for those who ask for something that has no page of its own.
pub fn speaking_of(word: &str) -> impl Iterator<Item = &'static Page> {
    // What is one word for a program is several ones in a sentence.
    let plain = |text: &str| text.to_lowercase().replace('_', " ");
    let word = plain(word);
    all().iter().filter(move |page| {
        let statements = page.statements.iter().map(|statement| &statement.text);
        let cells = page
            .table
            .iter()
            .flat_map(|table| table.rows.iter().flatten());
        let mut texts = statements.chain(cells).chain([&page.timeline]);
        texts.any(|text| plain(text).contains(&word))
    })
}

/// Reads the embedded pages.
pub fn load() -> Result<Vec<Page>, ScenarioError> {
    let mut pages: Vec<Page> = FILES
        .iter()
        .map(|file| parse(file.path, file.text))
        .collect::<Result<_, _>>()?;
    pages.sort_by_key(|page| (page.kind, page.name));
    Ok(pages)
}

/// Reads the embedded checklist.
pub fn checklist() -> Result<Vec<Item>, ScenarioError> {
    let entry: ChecklistEntry = read("checklist.toml", CHECKLIST)?;
    for item in &entry.item {
        clauses("checklist.toml", &item.clauses)?;
    }
    Ok(entry.item)
}

fn read<T: serde::de::DeserializeOwned>(path: &str, text: &str) -> Result<T, ScenarioError> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        let remedy = "see the keys that scenarios/src/page.rs documents";
        ScenarioError::new(path, line, error.message(), remedy)
    })
}

fn clauses(path: &str, names: &[String]) -> Result<Vec<ClauseId>, ScenarioError> {
    let found = names.iter().map(|name| {
        ClauseId::from_name(name).ok_or_else(|| {
            let problem = format!("there is no clause `{name}`");
            ScenarioError::new(path, 1, &problem, "see contract.toml")
        })
    });
    let found: Vec<ClauseId> = found.collect::<Result<_, _>>()?;
    if found.is_empty() {
        let problem = "something stands on no clause";
        return Err(ScenarioError::new(path, 1, problem, "name the clauses"));
    }
    Ok(found)
}

/// Reads one page.
pub fn parse(path: &'static str, text: &str) -> Result<Page, ScenarioError> {
    let entry: PageEntry = read(path, text)?;
    let statements = entry.statement.into_iter().map(|statement| {
        Ok(Statement {
            clauses: clauses(path, &statement.clauses)?,
            text: statement.text,
        })
    });
    let table = entry.table.map(|table| {
        Ok(Table {
            clauses: clauses(path, &table.clauses)?,
            head: table.head,
            rows: table.rows,
        })
    });
    let name = path.rsplit('/').next().unwrap_or(path);
    Ok(Page {
        name: name.strip_suffix(".toml").unwrap_or(name),
        title: entry.title,
        about: entry.about,
        kind: entry.kind,
        aliases: entry.aliases,
        calls: entry.calls,
        stages: entry.stages,
        timeline: entry.timeline,
        statements: statements.collect::<Result<_, ScenarioError>>()?,
        table: table.transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_pages_load() {
        let pages = load().unwrap_or_else(|error| panic!("{error}"));
        let mut names: Vec<&str> = pages
            .iter()
            .flat_map(|page| page.aliases.iter().map(String::as_str).chain([page.name]))
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "a name is there twice");
        for page in &pages {
            for row in page.table.iter().flat_map(|table| &table.rows) {
                let head = page.table.as_ref().map_or(0, |table| table.head.len());
                assert_eq!(row.len(), head, "{}: {row:?}", page.name);
            }
        }
    }

    #[test]
    fn the_embedded_checklist_loads() {
        let items = checklist().unwrap_or_else(|error| panic!("{error}"));
        assert!(items.len() >= 10);
    }

    #[test]
    fn names_of_steps_are_open() {
        assert_eq!(
            named("step_release").map(|page| page.name),
            Some("build_script")
        );
        assert_eq!(named("no such page"), None);
    }
}
