//! Embeds every scenario file of `cases/<theme>/` into the crate, so that the binary needs no files beside it, and makes
//! an enum of the clauses in `contract.toml`, so that code that names a clause there is none of does not build.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let cases = root.join("cases");
    println!("cargo::rerun-if-changed={}", cases.display());
    let mut files = Vec::new();
    for theme in entries(&cases).into_iter().filter(|path| path.is_dir()) {
        println!("cargo::rerun-if-changed={}", theme.display());
        files.extend(entries(&theme).into_iter().filter(|path| is_scenario(path)));
    }
    let mut text = String::from("&[\n");
    for file in files {
        println!("cargo::rerun-if-changed={}", file.display());
        let relative = file
            .strip_prefix(&root)
            .expect("below the root")
            .display()
            .to_string();
        writeln!(
            text,
            "    SourceFile {{ path: {relative:?}, text: include_str!({:?}) }},",
            file.display().to_string()
        )
        .expect("writing to a string");
    }
    text.push_str("]\n");
    let target = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    fs::write(target.join("files.rs"), text).expect("OUT_DIR is writable");
    fs::write(target.join("clause_id.rs"), clause_id(&root)).expect("OUT_DIR is writable");
}

/// The enum of clause ids. Only the ids are read here; the loader looks at all the rest, and that it finds the same ids.
fn clause_id(root: &Path) -> String {
    let path = root.join("contract.toml");
    println!("cargo::rerun-if-changed={}", path.display());
    let contract = fs::read_to_string(&path).expect("a readable contract.toml");
    let mut ids: Vec<&str> = Vec::new();
    for (index, line) in contract.lines().enumerate() {
        let Some(id) = line.strip_prefix("id = ") else {
            continue;
        };
        let id = id.trim().trim_matches('"');
        let number = id.trim_start_matches(|letter: char| letter.is_ascii_uppercase());
        assert!(
            number.len() + 1 == id.len() && number.parse::<u8>().is_ok(),
            "contract.toml:{}: an id is a capital letter and a number, not `{id}`",
            index + 1
        );
        // A clause that is there twice is for the loader to tell, which names both.
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    let lines = |line: fn(&str) -> String| ids.iter().map(|id| line(id)).collect::<String>();
    format!(
        "/// A clause of the contract, by its id.\n\
         #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]\n\
         pub enum ClauseId {{\n{}}}\n\n\
         impl ClauseId {{\n\
         /// Every clause, in the order of the file.\n\
         pub const ALL: &'static [Self] = &[\n{}];\n\n\
         /// The id as people write it.\n\
         pub const fn name(self) -> &'static str {{\nNAMES[self as usize]\n}}\n}}\n\n\
         const NAMES: &[&str] = &[\n{}];\n",
        lines(|id| format!("    /// Clause {id}.\n    {id},\n")),
        lines(|id| format!("    Self::{id},\n")),
        lines(|id| format!("    {id:?},\n")),
    )
}

/// The entries of a directory, sorted, so that the order of cases does not depend on the file system.
fn entries(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| entry.expect("readable entry").path())
        .collect();
    paths.sort();
    paths
}

fn is_scenario(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "toml")
}
