//! Writes the registry of checks: every file `src/checks/<theme>/<name>.rs` becomes a module and an entry of `ALL`, whose
//! data sheet is the file's head comment. A file whose comment lacks a section, or names a clause that is not in
//! `scenarios/contract.toml`, does not build.
//!
//! Writes likewise the registry of leak detectors from `src/leaks/detectors/<name>.rs`.
//!
//! Writes also the tests of the zoo, one for each file of `scenarios/zoo/`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Sections of a check's head comment, in order, and the fields of `Check` they become.
const SECTIONS: [(&str, &str); 4] = [
    ("What it verifies", "requirement"),
    ("Why it matters", "why"),
    ("How drivers break it", "broken_by"),
    ("Example of the fix", "fix"),
];

/// Last section: level and clauses, as in `Must: G8, G3.`
const CLAUSE_SECTION: &str = "Clause";

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let checks = root.join("src/checks");
    println!("cargo::rerun-if-changed={}", checks.display());
    let mut modules = String::new();
    let mut entries = String::new();
    for theme in sorted(&checks).into_iter().filter(|path| path.is_dir()) {
        println!("cargo::rerun-if-changed={}", theme.display());
        let theme_name = stem(&theme);
        writeln!(modules, "mod {} {{", identifier(&theme_name)).expect("writing to a string");
        for file in sorted(&theme)
            .into_iter()
            .filter(|path| has_extension(path, "rs"))
        {
            println!("cargo::rerun-if-changed={}", file.display());
            let module = identifier(&stem(&file));
            let path = file.display().to_string();
            writeln!(
                modules,
                "    #[path = {path:?}]\n    pub(super) mod {module};"
            )
            .expect("writing to a string");
            entries.push_str(&entry(&file, &theme_name));
        }
        modules.push_str("}\n");
    }
    let text = format!(
        "use super::{{Category, Check, ClauseId, Level}};\n\n{modules}\n/// Every check, sorted by id.\n\
         pub(super) static ALL: &[&Check] = &[\n{entries}];\n"
    );
    let target = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    fs::write(target.join("checks.rs"), text).expect("OUT_DIR is writable");
    fs::write(target.join("detectors.rs"), detectors(&root)).expect("OUT_DIR is writable");
    fs::write(target.join("zoo.rs"), zoo_tests(&root)).expect("OUT_DIR is writable");
}

/// A module for each detector and the list of their records.
fn detectors(root: &Path) -> String {
    let directory = root.join("src/leaks/detectors");
    println!("cargo::rerun-if-changed={}", directory.display());
    let (mut modules, mut entries) = (String::new(), String::new());
    for file in sorted(&directory)
        .into_iter()
        .filter(|path| has_extension(path, "rs"))
    {
        let (module, path) = (stem(&file), file.display().to_string());
        writeln!(modules, "#[path = {path:?}]\npub(super) mod {module};")
            .expect("writing to a string");
        writeln!(entries, "    &{module}::DETECTOR,").expect("writing to a string");
    }
    format!(
        "{modules}\n/// Every detector, sorted by name.\n\
         pub(super) static ALL: &[&super::Detector] = &[\n{entries}];\n"
    )
}

/// One test function for each animal of the zoo.
fn zoo_tests(root: &Path) -> String {
    let zoo = root.join("../scenarios/zoo");
    println!("cargo::rerun-if-changed={}", zoo.display());
    let mut text = String::new();
    for name in sorted(&zoo)
        .iter()
        .filter(|path| has_extension(path, "toml"))
        .map(|path| stem(path))
    {
        writeln!(
            text,
            "#[test]\nfn {}() {{\n    visit({name:?});\n}}",
            identifier(&name)
        )
        .expect("writing to a string");
    }
    text
}

/// The `Check` of one file, as Rust text.
fn entry(file: &Path, theme: &str) -> String {
    let text = fs::read_to_string(file).expect("readable check");
    let sections = sections(&text);
    let section = |title: &str| -> String {
        let found = sections.iter().find(|(name, _)| name == title);
        let body = found.map(|(_, body)| body.clone()).unwrap_or_default();
        assert!(
            !body.is_empty(),
            "{}: the head comment lacks a section `# {title}`",
            file.display()
        );
        body
    };
    let clause = section(CLAUSE_SECTION);
    let (level, clauses) = clause
        .trim_end_matches('.')
        .split_once(':')
        .unwrap_or_else(|| panic!("{}: write the clause as `Must: G8, G3.`", file.display()));
    assert!(
        matches!(level, "Must" | "Should"),
        "{}: level is Must or Should",
        file.display()
    );
    // Checked here for the shape alone: whether there is such a clause, the compiler says.
    let clauses: Vec<String> = clauses
        .split(',')
        .map(str::trim)
        .inspect(|id| {
            let plain = id.chars().all(|letter| letter.is_ascii_alphanumeric());
            assert!(plain, "{}: `{id}` is no clause", file.display());
        })
        .map(|id| format!("ClauseId::{id}"))
        .collect();
    let name = stem(file).replace('_', "-");
    let mut entry = format!(
        "    &Check {{ id: {:?}, clauses: &[{}], category: Category::{}, level: Level::{level},\n",
        format!("{theme}/{name}"),
        clauses.join(", "),
        camel_case(theme),
    );
    for (title, field) in SECTIONS {
        writeln!(entry, "        {field}: {:?},", section(title)).expect("writing to a string");
    }
    let path = format!("{}::{}", identifier(theme), identifier(&name));
    writeln!(entry, "        examine: {path}::examine }},").expect("writing to a string");
    entry
}

/// The sections of a head comment: title and text, each text on one line unless it is an indented example.
fn sections(text: &str) -> Vec<(String, String)> {
    let mut sections: Vec<(String, String)> = Vec::new();
    for line in text.lines().map_while(|line| line.strip_prefix("//!")) {
        let line = line.strip_prefix(' ').unwrap_or(line);
        if let Some(title) = line.strip_prefix("# ") {
            sections.push((title.to_owned(), String::new()));
        } else if let Some((_, body)) = sections.last_mut()
            && !line.trim().is_empty()
            && !line.starts_with("```")
        {
            if !body.is_empty() {
                body.push(if line.starts_with(' ') { '\n' } else { ' ' });
            }
            body.push_str(line);
        }
    }
    sections
}

fn sorted(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| entry.expect("readable entry").path())
        .collect();
    paths.sort();
    paths
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .expect("a file name")
        .to_string_lossy()
        .into_owned()
}

fn identifier(name: &str) -> String {
    name.replace('-', "_")
}

fn camel_case(name: &str) -> String {
    name.split('-')
        .map(|word| {
            let (first, rest) = word.split_at(1);
            first.to_uppercase() + rest
        })
        .collect()
}
