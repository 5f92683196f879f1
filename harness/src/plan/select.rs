//! `--only` and `--skip`: globs over the names of cases and the ids of checks.
//!
//! A glob that matches neither is an error, since a typing error must not turn into a green run.

use globset::{GlobBuilder, GlobMatcher};

use super::PlanError;

/// What likenesses of names are parts of.
const LIKENESS_UNIT: usize = 10_000;
/// How many near names an error lists.
const NEAR_NAMES_MAX: usize = 5;

/// What was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Globs {
    /// Only these; empty: all.
    pub only: Vec<String>,
    /// But not these.
    pub skip: Vec<String>,
}

/// What is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// Names of cases, in their own order.
    pub cases: Vec<String>,
    /// Ids of checks, in their own order.
    pub checks: Vec<String>,
}

/// Applies the globs. A glob is matched against the whole name, `*` does not cross `/`; one that matches a folder of names
/// (`exit-code`, `signal/*`) selects all below it. The globs of `only` that match cases choose cases, those that match
/// checks choose checks; a glob may do both. Where none of them matches a kind, all of that kind stay.
pub fn select(globs: &Globs, cases: &[String], checks: &[String]) -> Result<Selected, PlanError> {
    let names: Vec<&str> = cases.iter().chain(checks).map(String::as_str).collect();
    let only = patterns(&globs.only, &names)?;
    let skip = patterns(&globs.skip, &names)?;
    Ok(Selected {
        cases: kept(cases, &only, &skip),
        checks: kept(checks, &only, &skip),
    })
}

/// A name as a glob that matches only it.
pub fn escaped(name: &str) -> String {
    globset::escape(name)
}

/// A compiled glob.
#[derive(Debug, Clone)]
pub(super) struct Pattern(GlobMatcher);

impl Pattern {
    pub(super) fn new(text: &str) -> Result<Self, PlanError> {
        let glob = GlobBuilder::new(text.trim_end_matches('/'))
            .literal_separator(true)
            .build()
            .map_err(|error| PlanError::BadPattern {
                pattern: text.to_owned(),
                problem: error.kind().to_string(),
            })?;
        Ok(Self(glob.compile_matcher()))
    }

    /// Whether the glob names this, or a folder above it.
    pub(super) fn matches(&self, name: &str) -> bool {
        let mut folders = name.match_indices('/').map(|(slash, _)| &name[..slash]);
        self.0.is_match(name) || folders.any(|folder| self.0.is_match(folder))
    }
}

/// Compiles globs, each of which must match a name.
fn patterns(texts: &[String], names: &[&str]) -> Result<Vec<Pattern>, PlanError> {
    let compiled = |text: &String| {
        let pattern = Pattern::new(text)?;
        if names.iter().any(|name| pattern.matches(name)) {
            Ok(pattern)
        } else {
            Err(PlanError::NoMatch {
                pattern: text.clone(),
                near: near_names(names, text),
            })
        }
    };
    texts.iter().map(compiled).collect()
}

fn kept(names: &[String], only: &[Pattern], skip: &[Pattern]) -> Vec<String> {
    let any = |patterns: &[Pattern], name: &str| {
        let mut patterns = patterns.iter();
        patterns.any(|pattern| pattern.matches(name))
    };
    let restricted = names.iter().any(|name| any(only, name));
    names
        .iter()
        .filter(|name| (!restricted || any(only, name)) && !any(skip, name))
        .cloned()
        .collect()
}

/// The names that are most like a text, by the three-letter pieces that both have: good with typos and with swapped parts alike.
pub fn near_names(names: &[&str], text: &str) -> Vec<String> {
    let wanted = pieces(text);
    let mut scored: Vec<(usize, &str)> = names
        .iter()
        .map(|name| {
            let found = pieces(name);
            let shared = wanted.iter().filter(|piece| found.contains(piece)).count();
            (shared, found.len(), *name)
        })
        .filter(|(shared, _, _)| *shared * 3 >= wanted.len() && *shared > 0)
        // A long name has more pieces that may happen to fit.
        .map(|(shared, all, name)| (shared * LIKENESS_UNIT / (wanted.len() + all), name))
        .collect();
    scored.sort_by(|a, b| {
        b.0.cmp(&a.0)
            .then_with(|| a.1.len().cmp(&b.1.len()))
            .then_with(|| a.1.cmp(b.1))
    });
    // A case and a check may have the same name.
    scored.dedup_by_key(|(_, name)| *name);
    scored
        .into_iter()
        .take(NEAR_NAMES_MAX)
        .map(|(_, name)| name.to_owned())
        .collect()
}

fn pieces(text: &str) -> Vec<[char; 3]> {
    let letters: Vec<char> = text
        .chars()
        .filter(|letter| !"*?[]{}".contains(*letter))
        .collect();
    letters
        .windows(3)
        .map(|window| [window[0], window[1], window[2]])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    fn selected(only: &[&str], skip: &[&str]) -> Result<Selected, PlanError> {
        let cases = owned(&[
            "job/every-stage",
            "signal/cancel/stage:get_sources",
            "signal/cancel/stage:build_script",
            "exit-code/build-script/code:3",
        ]);
        let checks = owned(&["exit-code/literal-exit-codes", "output/complete"]);
        let globs = Globs {
            only: owned(only),
            skip: owned(skip),
        };
        select(&globs, &cases, &checks)
    }

    #[test]
    fn without_globs_everything_stays() {
        let all = selected(&[], &[]).expect("no glob can be wrong");
        assert_eq!((all.cases.len(), all.checks.len()), (4, 2));
    }

    #[test]
    fn a_folder_means_all_below_it() {
        let only = selected(&["signal/cancel"], &["**/stage:get_sources"]).expect("both match");
        assert_eq!(only.cases, ["signal/cancel/stage:build_script"]);
        assert_eq!(only.checks.len(), 2);
    }

    #[test]
    fn a_theme_chooses_cases_and_checks() {
        let only = selected(&["exit-code"], &[]).expect("it matches both");
        assert_eq!(only.cases, ["exit-code/build-script/code:3"]);
        assert_eq!(only.checks, ["exit-code/literal-exit-codes"]);
    }

    #[test]
    fn a_star_stays_within_one_part() {
        let only = selected(&["*/*/code:3"], &[]).expect("it matches");
        assert_eq!(only.cases, ["exit-code/build-script/code:3"]);
        assert!(selected(&["*:3"], &[]).is_err());
    }

    #[test]
    fn a_check_alone_leaves_all_cases() {
        let only = selected(&["output/*"], &[]).expect("it matches");
        assert_eq!((only.cases.len(), only.checks.len()), (4, 1));
    }

    #[test]
    fn a_glob_that_matches_nothing_is_an_error_with_near_names() {
        let error = selected(&["output/compelte"], &[]).expect_err("it is misspelt");
        let PlanError::NoMatch { pattern, near } = error else {
            panic!("{error}")
        };
        assert_eq!(
            (pattern.as_str(), near),
            ("output/compelte", owned(&["output/complete"]))
        );
        assert!(selected(&[], &["run/{"]).is_err());
    }

    #[test]
    fn an_escaped_name_matches_only_itself() {
        let cases = owned(&["run/[x]", "run/x"]);
        let globs = Globs {
            only: vec![escaped("run/[x]")],
            skip: Vec::new(),
        };
        let selected = select(&globs, &cases, &[]).expect("it matches");
        assert_eq!(selected.cases, ["run/[x]"]);
    }
}
