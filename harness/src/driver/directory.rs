//! A driver that is a directory with programs named `config`, `prepare`, `run` and `cleanup`.

use std::path::{Path, PathBuf};

use crate::contract::config::CustomConfig;
use crate::contract::stage::Program;

use super::problem::Problem;
use super::program_slots;
use super::tools::is_executable;

/// Extensions of files that lie beside programs and are none: `config.toml` is a runner's configuration.
const DATA_EXTENSIONS: [&str; 18] = [
    "toml", "json", "yaml", "yml", "md", "txt", "ini", "conf", "cfg", "env", "example", "template",
    "bak", "orig", "log", "service", "c", "o",
];

/// Finds the programs of a directory.
pub(super) fn programs(directory: &Path) -> Result<CustomConfig, Problem> {
    let files = files(directory)?;
    let mut custom = CustomConfig::default();
    for program in Program::ALL {
        let candidates: Vec<&PathBuf> = files
            .iter()
            .filter(|file| is_candidate(file, program.name()))
            .collect();
        match candidates.as_slice() {
            [] => {}
            [file] => {
                *program_slots(&mut custom, program).0 = file.to_string_lossy().into_owned();
            }
            several => return Err(ambiguous(directory, program, several)),
        }
    }
    Ok(custom)
}

/// The regular files (or links to them) right in the directory, sorted.
fn files(directory: &Path) -> Result<Vec<PathBuf>, Problem> {
    let unreadable = |error: std::io::Error| {
        Problem::new(
            format!(
                "the directory {} cannot be read: {error}",
                directory.display()
            ),
            "check that you may list it",
        )
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// `run`, `run.sh`, `run.py`; not `run.sh.bak`, `run.md`, `run.sh~`.
fn is_candidate(file: &Path, program: &str) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    match name.strip_prefix(program) {
        Some("") => true,
        Some(rest) => rest.strip_prefix('.').is_some_and(|extension| {
            !extension.is_empty()
                && !extension.contains('.')
                && !extension.ends_with('~')
                && !DATA_EXTENSIONS.contains(&extension)
        }),
        None => false,
    }
}

fn ambiguous(directory: &Path, program: Program, candidates: &[&PathBuf]) -> Problem {
    let names: Vec<String> = candidates
        .iter()
        .map(|file| {
            format!(
                "`{}`",
                file.file_name().unwrap_or_default().to_string_lossy()
            )
        })
        .collect();
    Problem::new(
        format!(
            "{} has several programs for `{program}`: {}",
            directory.display(),
            names.join(", ")
        ),
        format!(
            "keep one of them, or name it with --{program}-exec or with {} in driver-conformance.toml",
            program.config_key()
        ),
    )
}

/// Why a directory without `run` is no driver, with what seems to have been meant.
pub(super) fn without_run(directory: &Path) -> Problem {
    let message = format!(
        "{} is a directory without a program named `run` (or `run.sh`, `run.py` …), so it is no driver",
        directory.display()
    );
    let config = directory.join("config.toml");
    let remedy = if config.is_file() {
        format!(
            "it holds a runner configuration: point at {}",
            config.display()
        )
    } else if let Some(executable) = only_executable(directory) {
        format!(
            "if {} takes `run` as its first argument, point at it; else add an executable file `run`, or name it with --run-exec",
            executable.display()
        )
    } else {
        "add an executable file `run`, point at the directory that has one, or name it with --run-exec".to_owned()
    };
    Problem::new(message, remedy)
}

fn only_executable(directory: &Path) -> Option<PathBuf> {
    let files = files(directory).ok()?.into_iter();
    let mut files = files.filter(|file| is_executable(file));
    files.next().filter(|_| files.next().is_none())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_with_one_executable_leads_to_it() {
        let home = tempfile::tempdir().expect("a directory");
        let program = home.path().join("box.py");
        std::fs::write(&program, "").expect("written");
        assert!(!without_run(home.path()).line().contains("box.py"));
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&program, mode).expect("allowed");
        assert!(
            without_run(home.path())
                .line()
                .contains("box.py takes `run`")
        );
    }

    #[test]
    fn a_program_has_at_most_one_extension() {
        for name in ["run", "run.sh", "run.py", "run.bash"] {
            assert!(is_candidate(Path::new(name), "run"), "{name}");
        }
        for name in [
            "runner",
            "run.sh.bak",
            "run.sh~",
            "run.",
            "run.md",
            "config.toml",
            "rerun",
        ] {
            assert!(!is_candidate(Path::new(name), "run"), "{name}");
        }
        assert!(!is_candidate(Path::new("config.toml"), "config"));
    }
}
