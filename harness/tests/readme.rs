//! The README does not rot: its marked blocks are run, and its table of exit codes is the real one.
//!
//! A block is marked by a comment right before it: `<!-- run: 0 -->`, with the exit code its last command must have. In a
//! `console` block, lines that begin with `$ ` are commands; what stands below them, if anything does, is what they print
//! on standard output, but for figures that differ from run to run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use driver_conformance_reports::model::ExitCode;

/// What a user types, and what the built binary takes the place of.
const TYPED: &str = "cargo run --release --";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a member of the workspace")
}

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).expect("the repository has a README")
}

/// A block that is to be run.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    exit_code: i32,
    commands: Vec<String>,
    /// What they print; empty if the block does not show it.
    printed: Vec<String>,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let marker = line
            .strip_prefix("<!-- run: ")
            .and_then(|rest| rest.strip_suffix(" -->"));
        let Some(code) = marker else { continue };
        let exit_code = code.parse().expect("a marker holds an exit code");
        let fence = lines.next().unwrap_or_default();
        let content = lines.by_ref().take_while(|line| !line.starts_with("```"));
        let content: Vec<String> = content.map(str::to_owned).collect();
        let (commands, printed) = match fence {
            "```console" => content.into_iter().partition(|line| line.starts_with("$ ")),
            "```sh" => (content, Vec::new()),
            other => panic!("a marker stands before a console or sh block, not before {other:?}"),
        };
        let commands: Vec<String> = commands
            .into_iter()
            .map(|line: String| line.trim_start_matches("$ ").to_owned())
            .collect();
        blocks.push(Block {
            exit_code,
            commands,
            printed,
        });
    }
    blocks
}

/// Runs the commands of a block in a directory that looks like the repository, so that files they write do no harm.
fn run(block: &Block) {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    std::os::unix::fs::symlink(root().join("scenarios"), home.path().join("scenarios"))
        .expect("our own directory");
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_driver-conformance"));
    let directory = binary.parent().expect("a binary is in a directory");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories = vec![directory.to_owned()];
    directories.extend(std::env::split_paths(&path));
    let script = block
        .commands
        .join("\n")
        .replace(TYPED, "driver-conformance");
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(home.path())
        .env(
            "PATH",
            std::env::join_paths(directories).expect("directories without colons"),
        )
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .expect("every system has sh");
    assert_eq!(
        output.status.code(),
        Some(block.exit_code),
        "{script}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    if block.printed.is_empty() {
        return;
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let printed: Vec<String> = text.lines().map(without_figures).collect();
    let shown: Vec<String> = block
        .printed
        .iter()
        .map(|line| without_figures(line))
        .collect();
    assert_eq!(shown, printed, "the README shows something else:\n{text}");
}

/// A line of a report without what differs from run to run, or changes with every new case: counts and times. Codes and
/// names stay.
fn without_figures(line: &str) -> String {
    let counts = [
        "FAIL ",
        "  also in ",
        "  cases ",
        "checks ",
        "cases ",
        "calls ",
        "covered ",
    ];
    let more = line.trim_start().starts_with("exit-code/") && line.ends_with(" more");
    if !more && !counts.iter().any(|start| line.starts_with(start)) {
        return line.to_owned();
    }
    let is_figure = |word: &str| word.starts_with(|letter: char| letter.is_ascii_digit());
    // A quick machine needs milliseconds where another one needs seconds.
    let (line, time) = match line.split_once(" in ") {
        Some((calls, _)) if line.starts_with("calls ") => (calls, " in T"),
        _ => (line, ""),
    };
    let words: Vec<&str> = line
        .split(' ')
        .map(|word| {
            if is_figure(word.trim_start_matches('(')) {
                "N"
            } else {
                word
            }
        })
        .collect();
    words.join(" ") + time
}

#[test]
fn marked_blocks_of_the_readme_do_what_they_say() {
    let text = readme();
    for block in blocks(&text) {
        run(&block);
    }
}

#[test]
fn the_time_of_a_run_is_no_difference_in_any_unit() {
    let shown = without_figures("calls    137 in 4.1 s");
    assert_eq!(shown, without_figures("calls    96 in 982 ms"));
    assert_eq!(shown, without_figures("calls    137 in 2 min 3 s"));
    assert_ne!(shown, without_figures("calls    137"));
}

#[test]
fn the_first_command_of_the_readme_is_run() {
    let text = readme();
    let first = &blocks(&text)[0];
    assert_eq!(first.exit_code, 0);
    assert_eq!(
        first.commands[0],
        format!("{TYPED} scenarios/drivers/good-bash")
    );
}

#[test]
fn the_readme_lists_every_exit_code() {
    let text = readme();
    for (code, sentence) in ExitCode::TABLE {
        let row = format!("| {code} | {sentence} |");
        assert!(text.contains(&row), "the README lacks: {row}");
    }
}

#[test]
fn blocks_are_found_by_their_markers() {
    let text = "```sh\nnot this\n```\n<!-- run: 1 -->\n```console\n$ one\noutput\n$ two\n```\n<!-- run: 0 -->\n```sh\nthree\n```\n";
    let found = blocks(text);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].exit_code, 1);
    assert_eq!(found[0].commands, ["one", "two"]);
    assert_eq!(found[0].printed, ["output"]);
    assert_eq!(found[1].commands, ["three"]);
}
