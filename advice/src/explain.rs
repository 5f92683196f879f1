//! A page of `explain` as a document: statements with what they stand on, what the public documentation says otherwise,
//! and what it looks like when something goes wrong.

use std::collections::BTreeSet;

use driver_conformance_reports::model::Category;
use driver_conformance_scenarios::contract::{Clause, ClauseId};
use driver_conformance_scenarios::page::{self, Kind, Page};
use driver_conformance_scenarios::symptom;

use crate::document::{Block, Document, Statement};
use crate::numbers::Numbers;

/// Schema of a page as JSON.
const SCHEMA: &str = "driver-conformance/page/v1";

/// A check, as much of it as a page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckFacts {
    /// Its id.
    pub id: &'static str,
    /// What a conforming driver does.
    pub requirement: &'static str,
    /// Its category.
    pub category: Category,
    /// The clauses that it stands on.
    pub clauses: &'static [ClauseId],
}

/// The page as a document.
pub fn page(page: &Page, numbers: &Numbers, checks: &[CheckFacts]) -> Document {
    let mut blocks = vec![Block::Paragraph {
        text: capitalised(&numbers.fill(&page.about)),
    }];
    if !page.timeline.is_empty() {
        blocks.push(Block::Drawing {
            text: numbers.fill(&page.timeline),
        });
    }
    let items = page.statements.iter().map(|statement| Statement {
        text: numbers.fill(&statement.text),
        mark: None,
        clauses: names(&statement.clauses),
        known: known(&statement.clauses),
        versions: versions(&statement.clauses),
        notes: Vec::new(),
    });
    blocks.push(Block::Statements {
        items: items.collect(),
    });
    if let Some(table) = &page.table {
        blocks.push(Block::Table {
            head: table.head.clone(),
            rows: table
                .rows
                .iter()
                .map(|row| row.iter().map(|cell| numbers.fill(cell)).collect())
                .collect(),
            marked: Vec::new(),
        });
        let sources = format!(
            "The table stands on {} ({}).",
            names(&table.clauses).join(", "),
            known(&table.clauses).join(", ")
        );
        blocks.push(Block::Paragraph { text: sources });
    }
    blocks.extend(differences(page));
    blocks.extend(symptoms(page));
    blocks.extend(proofs(page, checks));
    Document {
        schema: SCHEMA,
        name: page.name.to_owned(),
        title: page.title.clone(),
        blocks,
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters
        .next()
        .map(|letter| letter.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

fn names(clauses: &[ClauseId]) -> Vec<String> {
    clauses.iter().map(|id| id.name().to_owned()).collect()
}

/// How all of these clauses are known: what each of them has.
fn known(clauses: &[ClauseId]) -> Vec<String> {
    let all: BTreeSet<&str> = clauses
        .iter()
        .flat_map(|id| id.clause().provenance.iter().map(|known| known.name()))
        .collect();
    all.into_iter().map(str::to_owned).collect()
}

/// The range of versions, if all clauses that have one have the same.
fn versions(clauses: &[ClauseId]) -> Option<String> {
    let ranges: BTreeSet<String> = clauses
        .iter()
        .filter_map(|id| id.clause().versions())
        .collect();
    let ranges: Vec<String> = ranges.into_iter().collect();
    match ranges.as_slice() {
        [] => None,
        [only] => Some(only.clone()),
        several => Some(several.join(" / ")),
    }
}

fn clauses_of(page: &Page) -> Vec<&'static Clause> {
    let stated = page
        .statements
        .iter()
        .flat_map(|statement| &statement.clauses);
    let listed = page.table.iter().flat_map(|table| &table.clauses);
    let ids: BTreeSet<ClauseId> = stated.chain(listed).copied().collect();
    ids.into_iter().map(ClauseId::clause).collect()
}

fn differences(page: &Page) -> Vec<Block> {
    let items: Vec<Statement> = clauses_of(page)
        .into_iter()
        .filter_map(|clause| {
            let differs = clause.docs_differ.as_ref()?;
            Some(plain(differs, vec![clause.id.name().to_owned()]))
        })
        .collect();
    under("Where the public documentation says otherwise", items)
}

fn plain(text: &str, clauses: Vec<String>) -> Statement {
    Statement {
        text: text.to_owned(),
        mark: None,
        clauses,
        known: Vec::new(),
        versions: None,
        notes: Vec::new(),
    }
}

fn under(heading: &str, items: Vec<Statement>) -> Vec<Block> {
    if items.is_empty() {
        return Vec::new();
    }
    let heading = heading.to_owned();
    vec![
        Block::Heading { text: heading },
        Block::Statements { items },
    ]
}

/// Symptoms that name a call or a stage of the page.
fn symptoms(page: &Page) -> Vec<Block> {
    let speaks_of = |symptom: &&symptom::Symptom| {
        let at = symptom.when.iter().flat_map(|when| &when.at);
        let stage = symptom
            .stage
            .iter()
            .chain(at)
            .any(|word| page.stages.contains(word));
        match page.kind {
            Kind::Stage => stage,
            Kind::Exec => page.calls.iter().any(|call| call == symptom.call.name()),
            Kind::Topic => false,
        }
    };
    let found = symptom::all().iter().filter(speaks_of);
    let items = found.map(|symptom| {
        let mut item = plain(&format!("{}.", symptom.title), symptom.clauses.clone());
        item.notes.push(format!("fix: {}", symptom.fix));
        item
    });
    under("When it goes wrong", items.collect())
}

fn proofs(page: &Page, checks: &[CheckFacts]) -> Vec<Block> {
    let ids: Vec<ClauseId> = clauses_of(page).iter().map(|clause| clause.id).collect();
    let found = checks
        .iter()
        .filter(|check| check.clauses.iter().any(|id| ids.contains(id)));
    let items =
        found.map(|check| plain(&format!("{}: {}", check.id, check.requirement), Vec::new()));
    under("Checks", items.collect())
}

/// The page of a category of findings.
pub fn category(category: Category, checks: &[CheckFacts]) -> Document {
    let own: Vec<&CheckFacts> = checks
        .iter()
        .filter(|check| check.category == category)
        .collect();
    let mut blocks = vec![Block::Paragraph {
        text: about(category).to_owned(),
    }];
    let items = own.iter().map(|check| {
        plain(
            &format!("{}: {}", check.id, check.requirement),
            names(check.clauses),
        )
    });
    blocks.extend(under("Checks", items.collect()));
    let shows = |symptom: &&symptom::Symptom| {
        symptom
            .checks
            .iter()
            .any(|id| own.iter().any(|check| check.id == id))
    };
    let items = symptom::all().iter().filter(shows).map(|symptom| {
        let mut item = plain(
            &format!("{}: {}.", symptom.cause, symptom.title),
            Vec::new(),
        );
        item.notes.push(symptom.symptom.clone());
        item
    });
    blocks.extend(under("What users see", items.collect()));
    blocks.push(Block::Drawing {
        text: format!("driver-conformance PATH --only '{}/**'", category.name()),
    });
    Document {
        schema: SCHEMA,
        name: category.name().to_owned(),
        title: format!("Findings of the category {}", category.name()),
        blocks,
    }
}

/// The page of a cause that `diagnose` names.
pub fn cause(symptom: &symptom::Symptom, checks: &[CheckFacts]) -> Document {
    let mut blocks = vec![Block::Statements {
        items: vec![
            plain(
                &format!("What one sees: {}", symptom.symptom),
                symptom.clauses.clone(),
            ),
            plain(&format!("How to tell: {}", symptom.observe), Vec::new()),
            plain(&format!("What to do: {}", symptom.fix), Vec::new()),
        ],
    }];
    let proving = checks
        .iter()
        .filter(|check| symptom.checks.iter().any(|id| id == check.id));
    let items =
        proving.map(|check| plain(&format!("{}: {}", check.id, check.requirement), Vec::new()));
    blocks.extend(under("Checks that prove it", items.collect()));
    Document {
        schema: SCHEMA,
        name: symptom.cause.to_owned(),
        title: symptom.title.clone(),
        blocks,
    }
}

/// What goes wrong in production when a driver has findings of a category.
fn about(category: Category) -> &'static str {
    match category {
        Category::ExitCode => {
            "The runner learns from the exit code alone who is to blame and whether to try again: a wrong one blames users for outages, or hides failures."
        }
        Category::Reentrancy => {
            "Calls are repeated after failures and crashes: a driver that trips over what the call before left fails every further attempt."
        }
        Category::Cleanup => {
            "cleanup_exec is called after every way in which a job can end; what it cannot remove is left for good."
        }
        Category::LeakProcess => {
            "Processes that outlive their job use up the machine and may touch the next job."
        }
        Category::LeakFile => "Files that outlive their job fill disks, and may hold secrets.",
        Category::LeakMount => {
            "Mounts that outlive their job keep files in use, and removing them later may remove what they show."
        }
        Category::LeakNetwork => {
            "Links and namespaces that outlive their job use up names and addresses."
        }
        Category::LeakBackend => {
            "Machines and containers that outlive their job cost money and take names away from the next one."
        }
        Category::Signal => {
            "Cancel, timeouts and shutdown are signals: a driver that does not heed them keeps users waiting, and its work goes on behind the back of everybody."
        }
        Category::Timeout => {
            "A call that does not end holds a slot of the runner until a timeout ends it."
        }
        Category::Output => {
            "The job log is all that users see: what is lost or late there is lost to them, and a silent job learns late that it was cancelled."
        }
        Category::Config => {
            "What config_exec prints decides about directories, shell and environment: one stray line fails every job."
        }
        Category::Isolation => "Jobs run side by side: one must not touch what belongs to another.",
        Category::Environment => {
            "Drivers run in the environment of a service, with variables that jobs choose: nothing else may be relied on."
        }
        Category::Secret => {
            "Tokens and passwords of jobs pass through the driver: they must not be shown, left or readable for others."
        }
    }
}

/// Everything that can be explained, with one line each.
pub fn list() -> Document {
    let rows = |kind: Kind| -> Vec<Vec<String>> {
        let pages = page::all().iter().filter(|page| page.kind == kind);
        pages
            .map(|page| vec![page.name.to_owned(), page.about.clone()])
            .collect()
    };
    let head = vec!["page".to_owned(), "about".to_owned()];
    let mut blocks = Vec::new();
    for (heading, rows) in [
        ("Topics", rows(Kind::Topic)),
        ("Programs", rows(Kind::Exec)),
        ("Run stages", rows(Kind::Stage)),
        (
            "Categories of findings",
            Category::ALL
                .iter()
                .map(|category| vec![category.name().to_owned(), about(*category).to_owned()])
                .collect(),
        ),
    ] {
        blocks.push(Block::Heading {
            text: heading.to_owned(),
        });
        blocks.push(Block::Table {
            head: head.clone(),
            rows,
            marked: Vec::new(),
        });
    }
    blocks.push(Block::Paragraph {
        text: "Checks, cases, clauses and the causes that `diagnose` names are explained as well: `driver-conformance list`, `list --clauses` and `table` name them.".to_owned(),
    });
    Document {
        schema: SCHEMA,
        name: "list".to_owned(),
        title: "What can be explained".to_owned(),
        blocks,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_has_a_page() {
        for category in Category::ALL {
            let text = super::category(*category, &[]).text();
            assert!(text.len() > 100, "{text}");
        }
    }

    #[test]
    fn every_page_is_in_the_list() {
        let text = list().text();
        for page in page::all() {
            assert!(text.contains(page.name), "{}", page.name);
        }
    }

    /// Numbers belong to the emulated runner; a page that writes one itself would go stale.
    #[test]
    fn pages_write_no_numbers_themselves() {
        for page in page::all() {
            let cells = page
                .table
                .iter()
                .flat_map(|table| table.rows.iter().flatten());
            let texts = page.statements.iter().map(|statement| &statement.text);
            for text in texts.chain(cells).chain([&page.timeline, &page.about]) {
                let digit = text.chars().find(char::is_ascii_digit);
                assert_eq!(digit, None, "{}: {text}", page.name);
            }
        }
    }
}
