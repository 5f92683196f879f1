//! The flaw of a broken animal as a difference between two drivers, as people read it.

use driver_conformance_scenarios::zoo::{self, Animal, Content};
use similar::TextDiff;

/// Unchanged lines around a change.
const CONTEXT_LINES: usize = 1;

/// A unified diff from the base to the animal; empty for a good one.
pub fn diff(animal: &Animal) -> String {
    let Some(base) = animal
        .flaw
        .as_ref()
        .and_then(|flaw| zoo::by_name(&flaw.base))
    else {
        return String::new();
    };
    let mut text = String::new();
    for file in &animal.files {
        let before = base.files.iter().find(|other| other.path == file.path);
        let (Some(Content::Text { text: before, .. }), Content::Text { text: after, .. }) =
            (before.map(|before| &before.content), &file.content)
        else {
            continue;
        };
        let after = without_remark(before, after);
        let diff = TextDiff::from_lines(before.as_str(), after.as_str());
        let unified = diff
            .unified_diff()
            .context_radius(CONTEXT_LINES)
            .header(
                &format!("{}/{}", base.name, file.path),
                &format!("{}/{}", animal.name, file.path),
            )
            .to_string();
        text.push_str(&unified);
    }
    text
}

/// The text without the comment that says that it is broken: it is no part of the flaw.
fn without_remark(before: &str, after: &str) -> String {
    let is_remark =
        |line: &&str| line.starts_with(zoo::REMARK) && !before.lines().any(|other| other == *line);
    let lines = after.split_inclusive('\n');
    lines
        .filter(|line| !is_remark(&line.trim_end_matches('\n')))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flaw_is_shown_without_the_remark_on_it() {
        let animal = zoo::by_name("infrastructure-failure-as-build-failure").expect("it is there");
        let shown = diff(animal);
        let changes: Vec<&str> = shown
            .lines()
            .skip(2)
            .filter(|line| line.starts_with(['+', '-']))
            .collect();
        assert_eq!(changes.len(), 2, "{shown}");
        assert!(changes[0].contains("die_system"), "{shown}");
        assert!(changes[1].contains("die_build 1"), "{shown}");
    }

    #[test]
    fn every_flaw_shows_and_a_good_animal_has_none() {
        for animal in zoo::all() {
            assert_eq!(diff(animal).is_empty(), animal.is_good(), "{}", animal.name);
        }
    }
}
