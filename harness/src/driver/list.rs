//! `[[list]]` of `driver-conformance.toml`: a command that lists objects of the backend, or a preset of some.

use std::path::Path;

use crate::leaks::lists::{ListCommand, PRESETS, preset};
use crate::trace::LeakCategory;

use super::problem::Problem;
use super::section::Section;

/// The words for categories.
const CATEGORIES: [(&str, LeakCategory); 5] = [
    ("leak-backend", LeakCategory::Backend),
    ("leak-process", LeakCategory::Process),
    ("leak-file", LeakCategory::File),
    ("leak-mount", LeakCategory::Mount),
    ("leak-network", LeakCategory::Network),
];

/// Reads one section; a program with a slash in its name is looked for in `home`, where the command runs.
pub(super) fn read(section: &mut Section<'_>, home: &Path) -> Result<Vec<ListCommand>, Problem> {
    let wrong = |section: &Section<'_>, message: String, remedy: String, key: &str| {
        Problem::new(message, remedy).at(section.file(), section.span_of(key), "this one")
    };
    let category = read_category(section)?;
    let name = section.string("name")?;
    let command = section.words("command")?;
    let mut lists = match (section.string("preset")?, command) {
        (Some(known), None) => preset(&known).ok_or_else(|| {
            let names = preset_names();
            let message = format!("there is no preset `{known}`");
            wrong(
                section,
                message,
                format!("the presets are {names}"),
                "preset",
            )
        })?,
        (None, Some(argv)) if argv.iter().any(|word| !word.trim().is_empty()) => {
            vec![command_of(argv, name, home)]
        }
        _ => {
            let message = "a [[list]] needs either `command` or `preset`".to_owned();
            let remedy =
                "for example: command = [\"podman\", \"ps\", \"-a\", \"--format\", \"{{.Names}}\"]";
            return Err(wrong(section, message, remedy.to_owned(), "command"));
        }
    };
    if let Some(category) = category {
        for list in &mut lists {
            list.category = category;
        }
    }
    Ok(lists)
}

/// Names of the presets, for messages.
fn preset_names() -> String {
    PRESETS.map(|preset| preset.name).join(", ")
}

fn read_category(section: &mut Section<'_>) -> Result<Option<LeakCategory>, Problem> {
    let Some(word) = section.string("category")? else {
        return Ok(None);
    };
    let known = CATEGORIES.iter().find(|(name, _)| *name == word);
    let Some((_, category)) = known else {
        let words = CATEGORIES.map(|(name, _)| name).join(", ");
        let message = format!("`{word}` is no category of leaks");
        let span = section.span_of("category");
        return Err(Problem::new(
            message,
            format!("write one of {words}; the default is leak-backend"),
        )
        .at(section.file(), span, "not known"));
    };
    Ok(Some(*category))
}

/// One string is a line for the shell, several are program and arguments.
fn command_of(mut argv: Vec<String>, name: Option<String>, home: &Path) -> ListCommand {
    let directory = home.to_path_buf();
    let mut list = if argv.len() == 1 {
        ListCommand::of_shell("", &argv.remove(0), directory)
    } else {
        if argv[0].contains('/') {
            argv[0] = home.join(&argv[0]).to_string_lossy().into_owned();
        }
        ListCommand {
            name: String::new(),
            argv,
            directory,
            category: LeakCategory::Backend,
        }
    };
    list.name = name.unwrap_or_else(|| list.shown());
    list
}
