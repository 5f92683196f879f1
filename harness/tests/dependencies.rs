//! House rules for dependencies: each says what it is for, and each has a licence that ours allows.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Licences that programs under Apache-2.0 OR MIT may be built with. A crate that offers a choice needs one of them.
const LICENSES_ALLOWED: [&str; 10] = [
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "MIT",
    "MIT-0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a member of the workspace")
}

#[test]
fn every_workspace_dependency_says_what_it_is_for() {
    let manifest =
        std::fs::read_to_string(root().join("Cargo.toml")).expect("the workspace has a manifest");
    let lines = manifest
        .lines()
        .skip_while(|line| *line != "[workspace.dependencies]")
        .skip(1);
    // A comment speaks for the lines behind it, up to a blank line.
    let mut explained = false;
    for line in lines.take_while(|line| !line.starts_with('[')) {
        if line.trim().is_empty() {
            explained = false;
        } else if line.starts_with('#') {
            explained = true;
        } else {
            let ours = line.contains("path = ");
            assert!(
                explained || ours,
                "no comment says what this is for: {line}"
            );
        }
    }
}

#[test]
fn members_take_their_dependencies_from_the_workspace() {
    for member in [
        "harness",
        "scenarios",
        "mock-backend",
        "reports",
        "diagnosis",
    ] {
        let path = root().join(member).join("Cargo.toml");
        let manifest = std::fs::read_to_string(path).expect("every member has a manifest");
        let mut in_dependencies = false;
        for line in manifest.lines() {
            if line.starts_with('[') {
                in_dependencies = line.contains("dependencies");
            } else if in_dependencies && line.contains('=') {
                assert!(line.contains("workspace = true"), "{member}: {line}");
            }
        }
    }
}

#[test]
fn every_license_is_allowed() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--format-version", "1"])
        // Crates for other systems are not on this machine.
        .args(["--filter-platform", &host()])
        .current_dir(root())
        .output()
        .expect("cargo runs the tests, so it is there");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    assert!(packages.len() > 20, "the list is complete");
    for package in packages {
        let license = package["license"].as_str().unwrap_or_default();
        assert!(
            is_allowed(license),
            "{}: licence {license:?}",
            package["name"]
        );
    }
}

/// The system the tests run on, as cargo names it.
fn host() -> String {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .expect("rustc is beside cargo");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    line.expect("rustc names its host").to_owned()
}

/// A licence expression: `AND` needs all its parts, `OR` (in old manifests `/`) one.
fn is_allowed(expression: &str) -> bool {
    let plain = expression.replace(['(', ')'], "").replace('/', " OR ");
    plain.split(" AND ").all(|part| {
        let mut choices = part.split(" OR ");
        choices.any(|choice| LICENSES_ALLOWED.contains(&choice.trim()))
    })
}

#[test]
fn license_expressions_are_read_as_written() {
    assert!(is_allowed("MIT OR GPL-3.0"));
    assert!(is_allowed("Unlicense/MIT"));
    assert!(is_allowed("(MIT OR Apache-2.0) AND Unicode-3.0"));
    assert!(!is_allowed("MIT AND GPL-3.0"));
    assert!(!is_allowed(""));
}
