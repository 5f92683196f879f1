//! `--only` and `--skip`: globs over the names of cases and the ids of checks.
//!
//! A glob that matches neither is an error, since a typing error must not turn into a green run.

use globset::{GlobBuilder, GlobMatcher};

use crate::driver::{Problem, similar_name};

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

/// One glob that can be asked.
struct Pattern {
    text: String,
    matcher: GlobMatcher,
}

impl Pattern {
    fn new(text: &str) -> Result<Self, Problem> {
        let glob = GlobBuilder::new(text.trim_end_matches('/'))
            .literal_separator(true)
            .build()
            .map_err(|error| {
                Problem::new(
                    format!("`{text}` is not a glob: {}", error.kind()),
                    "use `*` for a part of a name and `**` for any number of parts, for example 'run/**'",
                )
            })?;
        Ok(Self {
            text: text.to_owned(),
            matcher: glob.compile_matcher(),
        })
    }

    /// Whether the glob names this, or a folder above it.
    fn matches(&self, name: &str) -> bool {
        let folders = name.match_indices('/').map(|(slash, _)| &name[..slash]);
        self.matcher.is_match(name)
            || folders
                .into_iter()
                .any(|folder| self.matcher.is_match(folder))
    }
}

/// Applies the globs. Those of `--only` that match cases choose cases, those that match checks choose checks; a glob may
/// do both. Where none of them matches a kind, all of that kind stay.
pub fn select(globs: &Globs, cases: &[String], checks: &[String]) -> Result<Selected, Problem> {
    let only = patterns(&globs.only)?;
    let skip = patterns(&globs.skip)?;
    for (flag, patterns) in [("--only", &only), ("--skip", &skip)] {
        for pattern in patterns {
            let mut names = cases.iter().chain(checks);
            if !names.any(|name| pattern.matches(name)) {
                return Err(unmatched(flag, &pattern.text, cases, checks));
            }
        }
    }
    Ok(Selected {
        cases: kept(cases, &only, &skip),
        checks: kept(checks, &only, &skip),
    })
}

fn patterns(texts: &[String]) -> Result<Vec<Pattern>, Problem> {
    texts.iter().map(|text| Pattern::new(text)).collect()
}

fn kept(names: &[String], only: &[Pattern], skip: &[Pattern]) -> Vec<String> {
    let any =
        |patterns: &[Pattern], name: &str| patterns.iter().any(|pattern| pattern.matches(name));
    let restricted = names.iter().any(|name| any(only, name));
    names
        .iter()
        .filter(|name| (!restricted || any(only, name)) && !any(skip, name))
        .cloned()
        .collect()
}

fn unmatched(flag: &str, text: &str, cases: &[String], checks: &[String]) -> Problem {
    let names: Vec<&str> = cases.iter().chain(checks).map(String::as_str).collect();
    let remedy = match similar_name(text, &names) {
        Some(name) => format!("did you mean `{name}`? `driver-conformance list` shows every name"),
        None => "`driver-conformance list` shows every name; `*` matches within one part, `**` across parts".to_owned(),
    };
    Problem::new(
        format!("`{flag} {text}` matches no case and no check"),
        remedy,
    )
}

/// A name as a glob that matches only it.
pub fn escaped(name: &str) -> String {
    globset::escape(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    fn selected(only: &[&str], skip: &[&str]) -> Result<Selected, Problem> {
        let cases = names(&[
            "nominal/all",
            "run/cancel/stage:get_sources",
            "run/cancel/stage:build_script",
            "run/code:3",
        ]);
        let checks = names(&["exit-code/build-failure", "output/complete"]);
        let globs = Globs {
            only: names(only),
            skip: names(skip),
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
        let only = selected(&["run/cancel"], &["**/stage:get_sources"]).expect("both match");
        assert_eq!(only.cases, ["run/cancel/stage:build_script"]);
        assert_eq!(only.checks.len(), 2);
    }

    #[test]
    fn a_star_stays_within_one_part() {
        assert_eq!(
            selected(&["run/*:3"], &[]).expect("matches").cases,
            ["run/code:3"]
        );
        assert!(selected(&["*:3"], &[]).is_err());
    }

    #[test]
    fn a_check_restricts_checks_only() {
        let only = selected(&["exit-code/*"], &[]).expect("matches");
        assert_eq!(
            (only.cases.len(), only.checks),
            (4, names(&["exit-code/build-failure"]))
        );
    }

    #[test]
    fn a_glob_that_matches_nothing_is_an_error_with_what_was_meant() {
        let problem = selected(&["output/compelte"], &[])
            .expect_err("it is misspelt")
            .to_string();
        assert!(problem.contains("--only output/compelte"), "{problem}");
        assert!(
            problem.contains("did you mean `output/complete`"),
            "{problem}"
        );
        assert!(selected(&[], &["run/{"]).is_err());
    }

    #[test]
    fn an_escaped_name_matches_only_itself() {
        let cases = names(&["run/[x]", "run/x"]);
        let globs = Globs {
            only: vec![escaped("run/[x]")],
            skip: Vec::new(),
        };
        assert_eq!(
            select(&globs, &cases, &[]).expect("matches").cases,
            ["run/[x]"]
        );
    }
}
