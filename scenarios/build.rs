//! Embeds every scenario file of `cases/<theme>/`, the zoo, the skeletons and the symptoms into the crate, so that the binary needs no files beside it,
//! and makes an enum of the clauses in `contract.toml`, so that code that names a clause there is none of does not build.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
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
    let animals = toml_files(&root.join("zoo"));
    let symptoms = toml_files(&root.join("symptoms"));
    let pages = toml_files(&root.join("pages"));
    let target = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    for (name, text) in [
        ("files.rs", source_files(&root, &files)),
        ("symptom_files.rs", source_files(&root, &symptoms)),
        ("page_files.rs", source_files(&root, &pages)),
        ("zoo_files.rs", source_files(&root, &animals)),
        ("driver_files.rs", driver_files(&root.join("drivers"))),
        ("skeleton_files.rs", driver_files(&root.join("skeletons"))),
        ("clause_id.rs", clause_id(&root)),
    ] {
        fs::write(target.join(name), text).expect("OUT_DIR is writable");
    }
}

/// The TOML files of a directory.
fn toml_files(directory: &Path) -> Vec<PathBuf> {
    println!("cargo::rerun-if-changed={}", directory.display());
    let files = entries(directory).into_iter();
    files.filter(|path| is_scenario(path)).collect()
}

/// The list of these files with their texts.
fn source_files(root: &Path, files: &[PathBuf]) -> String {
    let mut text = String::from("&[\n");
    for file in files {
        println!("cargo::rerun-if-changed={}", file.display());
        let relative = relative(file, root);
        writeln!(
            text,
            "    SourceFile {{ path: {relative:?}, text: include_str!({:?}) }},",
            file.display().to_string()
        )
        .expect("writing to a string");
    }
    text.push_str("]\n");
    text
}

/// The list of the files of all drivers in a directory, with what makes them programs or links.
fn driver_files(drivers: &Path) -> String {
    println!("cargo::rerun-if-changed={}", drivers.display());
    let mut text = String::from("&[\n");
    for driver in entries(drivers).into_iter().filter(|path| path.is_dir()) {
        let name = relative(&driver, drivers);
        for file in files_below(&driver) {
            println!("cargo::rerun-if-changed={}", file.display());
            let path = relative(&file, &driver);
            let content = embedded_content(&file);
            writeln!(
                text,
                "    EmbeddedFile {{ driver: {name:?}, path: {path:?}, content: EmbeddedContent::{content} }},"
            )
            .expect("writing to a string");
        }
    }
    text.push_str("]\n");
    text
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    println!("cargo::rerun-if-changed={}", directory.display());
    let mut files = Vec::new();
    for path in entries(directory) {
        // What an interpreter keeps beside its programs is no part of a driver.
        if path.ends_with("__pycache__") {
            continue;
        }
        if path.is_dir() && !path.is_symlink() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

fn embedded_content(file: &Path) -> String {
    if file.is_symlink() {
        let target = fs::read_link(file).expect("a readable link");
        return format!("Link {{ target: {:?} }}", target.display().to_string());
    }
    let mode = file
        .metadata()
        .expect("a readable file")
        .permissions()
        .mode();
    let path = file.display().to_string();
    format!(
        "Text {{ text: include_str!({path:?}), executable: {} }}",
        mode & 0o111 != 0
    )
}

fn relative(path: &Path, base: &Path) -> String {
    let relative = path.strip_prefix(base).expect("below the base");
    relative.display().to_string()
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
