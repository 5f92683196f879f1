//! `docs/contract.md`, `docs/checks.md` and the evidence in `README.md` are written from the data they describe. A difference
//! fails; `UPDATE_DOCS=1 cargo test --test docs` writes them anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use driver_conformance::checks::{self, Check, Level};
use driver_conformance::zoo::example;
use driver_conformance_scenarios::contract::{self, Clause, ClauseId};
use driver_conformance_scenarios::zoo::{self, Animal};

/// Set, it makes the tests write the files.
const UPDATE: &str = "UPDATE_DOCS";
/// What both files say about themselves.
const GENERATED: &str = "<!-- Written by `UPDATE_DOCS=1 cargo test --test docs`; do not edit. -->";
/// Where links to golden traces lead.
const TRACES: &str = "../scenarios/traces/19.4";
/// Titles of the chapters of the contract, by their letter.
const CHAPTERS: [(char, &str); 9] = [
    ('A', "Configuration"),
    ('B', "Invocation"),
    ('C', "The config stage"),
    ('D', "The prepare stage"),
    ('E', "The run stages"),
    ('F', "The cleanup stage"),
    ('G', "Exit codes"),
    ('H', "Termination"),
    ('I', "Services and the job response"),
];

/// The drivers that trip each check, by its id.
type Zoo = BTreeMap<&'static str, Vec<&'static Animal>>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a member of the workspace")
}

fn zoo() -> Zoo {
    let mut zoo = Zoo::new();
    for animal in zoo::all() {
        for finding in animal.findings() {
            let trips = zoo.entry(&finding.check).or_default();
            if !trips.contains(&animal) {
                trips.push(animal);
            }
        }
    }
    zoo
}

/// The anchor that GitLab and GitHub give a heading that is one check's id or one clause's id.
fn anchor(heading: &str) -> String {
    heading.to_lowercase().replace('/', "")
}

fn link_to_check(check: &Check) -> String {
    format!("[{}](checks.md#{})", check.id, anchor(check.id))
}

fn link_to_clause(id: ClauseId) -> String {
    format!("[{id}](contract.md#{})", anchor(id.name()))
}

fn link_to_driver(name: &str) -> String {
    format!("[{name}](../scenarios/zoo/{name}.toml)")
}

fn joined(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

fn checks_of(clause: &Clause) -> Vec<&'static Check> {
    checks::of_clause(clause.id).collect()
}

/// The drivers that trip any of these checks, each once.
fn animals(checks: &[&Check], zoo: &Zoo) -> Vec<&'static Animal> {
    let mut found: Vec<&Animal> = checks
        .iter()
        .flat_map(|check| zoo.get(check.id).into_iter().flatten())
        .copied()
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found.dedup();
    found
}

fn contract_page(zoo: &Zoo) -> String {
    let mut page = format!(
        "{GENERATED}\n\n# The contract, clause by clause\n\n\
         What GitLab Runner demands of a Custom executor driver and what it does to one, in our own words. Checks and \
         findings name these clauses; `driver-conformance show G8` prints one. The text comes from \
         `scenarios/contract.toml`.\n\n\
         A *must* is what jobs break without, a *should* troubles users or operators, a *may* is good to know. A clause is \
         *documented* if GitLab's public documentation says it, known from the *source* of the runner, or *measured* if \
         the golden traces it names, recordings of a real runner, show it. A check fails a driver only for a clause that is \
         documented or measured. [The table at the end](#coverage) says which checks stand on each clause, and which drivers \
         of the zoo break it.\n"
    );
    for (letter, title) in CHAPTERS {
        writeln!(page, "\n## {letter}. {title}").expect("writing to a string");
        let clauses = contract::all().iter();
        for clause in clauses.filter(|clause| clause.id.chapter() == letter) {
            page.push_str(&clause_section(clause));
        }
    }
    page.push_str(&coverage(zoo));
    page
}

fn clause_section(clause: &Clause) -> String {
    let mut text = format!("\n### {}\n\n{}\n\n", clause.id, clause.sentence);
    let mut item = |name: &str, content: &str| {
        if !content.is_empty() {
            writeln!(text, "- {name}: {content}").expect("writing to a string");
        }
    };
    item("level", clause.level.name());
    let known = clause
        .provenance
        .iter()
        .map(|known| known.name().to_owned());
    item("known", &joined(known));
    let traces = clause.traces.iter();
    item(
        "traces",
        &joined(traces.map(|trace| format!("[{trace}]({TRACES}/{trace}.json)"))),
    );
    item("runner", clause.versions().as_deref().unwrap_or_default());
    item("documentation", clause.link.as_deref().unwrap_or_default());
    let differs = clause.docs_differ.as_deref();
    item("documentation differs", differs.unwrap_or_default());
    let checks = checks_of(clause);
    item(
        "checks",
        &joined(checks.iter().map(|check| link_to_check(check))),
    );
    if let Some(reason) = clause.unchecked {
        item("no check", reason.meaning());
    }
    text
}

/// Which checks stand on each clause, and which drivers of the zoo trip them.
fn coverage(zoo: &Zoo) -> String {
    let mut text =
        "\n## Coverage\n\n| level | clauses | with a check |\n|---|---|---|\n".to_owned();
    for level in [
        contract::Level::Must,
        contract::Level::Should,
        contract::Level::May,
    ] {
        let clauses = || {
            contract::all()
                .iter()
                .filter(|clause| clause.level == level)
        };
        let checked = clauses().filter(|clause| !checks_of(clause).is_empty());
        let (all, checked) = (clauses().count(), checked.count());
        writeln!(text, "| {} | {all} | {checked} |", level.name()).expect("writing to a string");
    }
    text.push_str("\n### Clauses with a check\n\n| clause | level | checks | drivers that break it |\n|---|---|---|---|\n");
    for clause in contract::all() {
        let checks = checks_of(clause);
        if checks.is_empty() {
            continue;
        }
        let drivers = animals(&checks, zoo).into_iter();
        writeln!(
            text,
            "| {} | {} | {} | {} |",
            link_to_clause(clause.id),
            clause.level.name(),
            joined(checks.iter().map(|check| link_to_check(check))),
            joined(drivers.map(|animal| link_to_driver(&animal.name))),
        )
        .expect("writing to a string");
    }
    text.push_str(
        "\n### Clauses without a check\n\n| why | must | should | may |\n|---|---|---|---|\n",
    );
    let mut reasons: BTreeMap<_, BTreeMap<_, Vec<String>>> = BTreeMap::new();
    for clause in contract::all() {
        if let Some(reason) = clause.unchecked {
            let by_level = reasons.entry(reason).or_default();
            let ids = by_level.entry(clause.level).or_default();
            ids.push(link_to_clause(clause.id));
        }
    }
    for (reason, by_level) in reasons {
        let cell = |level| by_level.get(&level).map(|ids| ids.join(", "));
        writeln!(
            text,
            "| {} | {} | {} | {} |",
            reason.meaning(),
            cell(contract::Level::Must).unwrap_or_default(),
            cell(contract::Level::Should).unwrap_or_default(),
            cell(contract::Level::May).unwrap_or_default(),
        )
        .expect("writing to a string");
    }
    text
}

fn checks_page(zoo: &Zoo) -> String {
    let all = checks::all();
    let mut page = format!(
        "{GENERATED}\n\n# The checks\n\n\
         Every check with what it verifies, why that matters, how drivers come to break it and what to change. A *must* that \
         is broken fails the run, a *should* only with `--strict`. The text comes from the head comment of each check below \
         `harness/src/checks/`; `driver-conformance show ID` prints it. Drivers of the zoo are those by which the \
         suite is tested itself; `driver-conformance self-test --write NAME DIRECTORY` writes one. The clauses are those of [the contract](contract.md).\n\n\
         | check | level | clauses |\n|---|---|---|\n"
    );
    for check in all {
        writeln!(
            page,
            "| [{}](#{}) | {} | {} |",
            check.id,
            anchor(check.id),
            level_name(check.level),
            joined(check.clauses.iter().map(|id| link_to_clause(*id))),
        )
        .expect("writing to a string");
    }
    for check in all {
        page.push_str(&check_section(check, zoo));
    }
    page
}

fn check_section(check: &Check, zoo: &Zoo) -> String {
    let mut text = format!("\n## {}\n\n{}\n\n", check.id, check.requirement);
    let clauses = check.clauses.iter().map(|id| link_to_clause(*id));
    writeln!(text, "- level: {}", level_name(check.level)).expect("writing to a string");
    writeln!(text, "- clauses: {}", joined(clauses)).expect("writing to a string");
    write!(
        text,
        "\n**Why it matters.** {}\n\n**How drivers break it.** {}\n\n**Fix.** {}",
        check.why,
        check.broken_by,
        with_example(check.fix),
    )
    .expect("writing to a string");
    let drivers = animals(&[check], zoo);
    if drivers.is_empty() {
        text.push_str("\nNo driver of the zoo breaks it.\n");
    } else {
        text.push_str("\nDrivers of the zoo that break it:\n\n");
    }
    for animal in drivers {
        writeln!(text, "- {}: {}", link_to_driver(&animal.name), animal.about)
            .expect("writing to a string");
    }
    if let Some((animal, diff)) = example::of_check(check.id) {
        writeln!(
            text,
            "\nFor example {}; what has a minus is how it is done right:\n\n```diff\n{diff}```",
            animal.name
        )
        .expect("writing to a string");
    }
    text
}

/// The text of a fix, its indented lines as a block of code.
fn with_example(fix: &str) -> String {
    let mut text = String::new();
    let mut in_example = false;
    for line in fix.lines() {
        let code = line.strip_prefix("    ");
        match (code.is_some(), in_example) {
            (true, false) => text.push_str("\n```sh\n"),
            (false, true) => text.push_str("```\n\n"),
            _ => {}
        }
        in_example = code.is_some();
        text.push_str(code.unwrap_or(line));
        text.push('\n');
    }
    if in_example {
        text.push_str("```\n");
    }
    // What is no shell is best not coloured as such.
    let is_shell = !fix.lines().any(|line| {
        line.starts_with("    {") || line.contains("subprocess.") || line.contains("shutil.")
    });
    if is_shell {
        text
    } else {
        text.replace("```sh", "```text")
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Must => "must",
        Level::Should => "should",
    }
}

/// Compares a page with the file, or writes it.
fn settle(name: &str, page: &str) {
    let path = root().join("docs").join(name);
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, page).expect("the documentation can be written");
        return;
    }
    let file = std::fs::read_to_string(&path).unwrap_or_default();
    let mut lines = page.lines().zip(file.lines()).enumerate();
    let first = lines.find(|(_, (wanted, found))| wanted != found);
    assert!(
        file == page,
        "docs/{name} is not what the data says: {}; `{UPDATE}=1 cargo test --test docs` writes it anew",
        first.map_or("it ends elsewhere".to_owned(), |(index, (wanted, _))| {
            format!("line {} should be {wanted:?}", index + 1)
        })
    );
}

/// Where the figures in the README begin and end.
const EVIDENCE: [&str; 2] = ["<!-- evidence: ", "<!-- evidence ends -->"];

/// What the zoo and the contract come to, as figures. That the drivers are caught by just what is expected of them is what
/// the test `zoo` and `self-test` see to.
fn evidence() -> String {
    let broken = || zoo::all().iter().filter(|animal| !animal.is_good());
    let survivors: Vec<String> = broken()
        .filter(|animal| animal.findings().is_empty())
        .map(|animal| format!("`{}`", animal.name))
        .collect();
    let (all, good) = (broken().count(), zoo::all().len() - broken().count());
    let caught = all - survivors.len();
    let musts = || {
        let clauses = contract::all().iter();
        clauses.filter(|clause| clause.level == contract::Level::Must)
    };
    let checked = musts().filter(|clause| !checks_of(clause).is_empty());
    format!(
        "{}written by `UPDATE_DOCS=1 cargo test --test docs` -->\n\
         - {caught} of the {all} broken drivers are caught by just the checks that are expected, a mutation score of {} %; {good} \
         good drivers of\n  different styles are clean. The survivors say in their files why they are not caught: {}.\n\
         - {} of the {} clauses that bind a driver have a check; [docs/contract.md](docs/contract.md) says of the others why \
         not.\n{}",
        EVIDENCE[0],
        caught * 100 / all,
        survivors.join(", "),
        checked.count(),
        musts().count(),
        EVIDENCE[1],
    )
}

#[test]
fn the_evidence_in_the_readme_is_up_to_date() {
    let path = root().join("README.md");
    let file = std::fs::read_to_string(&path).expect("the repository has a README");
    let (before, rest) = file.split_once(EVIDENCE[0]).expect("the evidence begins");
    let (_, after) = rest.split_once(EVIDENCE[1]).expect("the evidence ends");
    settle("../README.md", &format!("{before}{}{after}", evidence()));
}

#[test]
fn the_page_of_the_contract_is_up_to_date() {
    settle("contract.md", &contract_page(&zoo()));
}

#[test]
fn the_page_of_the_checks_is_up_to_date() {
    settle("checks.md", &checks_page(&zoo()));
}

#[test]
fn every_chapter_of_the_contract_has_a_title() {
    for clause in contract::all() {
        let chapter = clause.id.chapter();
        let known = CHAPTERS.iter().any(|(letter, _)| *letter == chapter);
        assert!(known, "{}: chapter {chapter} has no title", clause.id);
    }
}

#[test]
fn an_example_becomes_a_block() {
    let shown = with_example("Do this:\n    one\n      two\nThen rest.");
    assert_eq!(shown, "Do this:\n\n```sh\none\n  two\n```\n\nThen rest.\n");
}
