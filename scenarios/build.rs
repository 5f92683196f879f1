//! Embeds every scenario file of `cases/<theme>/` into the crate, so that the binary needs no files beside it.

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
