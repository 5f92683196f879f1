//! Selection of cases by name: `--only` and `--skip`.

use globset::{GlobBuilder, GlobMatcher};

use super::PlanError;
use super::case::Case;

/// How many near names an error lists.
const NEAR_NAMES_MAX: usize = 5;

/// The cases that match one of `only` (all, if empty) and none of `skip`, in their order. A pattern is a glob on the whole
/// name in which `*` does not cross `/`, or a name's beginning up to a `/`: `exit-code` selects all cases of the theme.
/// A pattern that matches no case at all is an error, since it is most likely a typo.
pub fn select(cases: Vec<Case>, only: &[String], skip: &[String]) -> Result<Vec<Case>, PlanError> {
    let only = matchers(&cases, only)?;
    let skip = matchers(&cases, skip)?;
    Ok(cases
        .into_iter()
        .filter(|case| only.is_empty() || only.iter().any(|pattern| pattern.matches(&case.name)))
        .filter(|case| !skip.iter().any(|pattern| pattern.matches(&case.name)))
        .collect())
}

/// A compiled pattern.
struct Pattern {
    text: String,
    glob: GlobMatcher,
}

impl Pattern {
    fn new(text: &str) -> Result<Self, PlanError> {
        let glob = GlobBuilder::new(text)
            .literal_separator(true)
            .build()
            .map_err(|error| PlanError::BadPattern {
                pattern: text.to_owned(),
                problem: error.kind().to_string(),
            })?;
        Ok(Self {
            text: text.trim_end_matches('/').to_owned(),
            glob: glob.compile_matcher(),
        })
    }

    fn matches(&self, name: &str) -> bool {
        let below = name
            .strip_prefix(&self.text)
            .is_some_and(|rest| rest.starts_with('/'));
        below || self.glob.is_match(name)
    }
}

fn matchers(cases: &[Case], patterns: &[String]) -> Result<Vec<Pattern>, PlanError> {
    patterns
        .iter()
        .map(|text| {
            let pattern = Pattern::new(text)?;
            if cases.iter().any(|case| pattern.matches(&case.name)) {
                Ok(pattern)
            } else {
                Err(PlanError::NoMatch {
                    pattern: text.clone(),
                    near: near_names(cases, text),
                })
            }
        })
        .collect()
}

/// The names that share the most three-letter pieces with the pattern: good with typos and with swapped parts alike.
fn near_names(cases: &[Case], pattern: &str) -> Vec<String> {
    let wanted = pieces(pattern);
    let mut scored: Vec<(usize, &str)> = cases
        .iter()
        .map(|case| {
            let found = pieces(&case.name);
            (
                wanted.iter().filter(|piece| found.contains(piece)).count(),
                case.name.as_str(),
            )
        })
        .filter(|(score, _)| *score * 3 >= wanted.len() && *score > 0)
        .collect();
    scored.sort_by(|a, b| {
        b.0.cmp(&a.0)
            .then_with(|| a.1.len().cmp(&b.1.len()))
            .then_with(|| a.1.cmp(b.1))
    });
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
    use crate::plan::load_cases;
    use crate::plan::tests::defaults;

    fn names(only: &[&str], skip: &[&str]) -> Result<Vec<String>, PlanError> {
        let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let cases = load_cases(&defaults()).expect("embedded scenarios are valid");
        let selected = select(cases, &owned(only), &owned(skip))?;
        Ok(selected.into_iter().map(|case| case.name).collect())
    }

    #[test]
    fn a_theme_selects_what_is_below_it() {
        let selected = names(&["cleanup"], &[]).expect("a theme");
        assert!(selected.len() >= 5);
        assert!(selected.iter().all(|name| name.starts_with("cleanup/")));
    }

    #[test]
    fn a_star_stays_within_one_part() {
        let selected = names(&["exit-code/build-script/code:4*"], &[]).expect("a glob");
        assert_eq!(selected, ["exit-code/build-script/code:42"]);
        assert!(names(&["exit-code*"], &[]).is_err());
    }

    #[test]
    fn skip_wins_over_only() {
        let selected = names(&["cleanup/**"], &["cleanup/twice"]).expect("globs");
        assert!(!selected.contains(&"cleanup/twice".to_owned()));
        assert!(!selected.is_empty());
    }

    #[test]
    fn a_pattern_without_match_names_near_ones() {
        let error = names(&["cleanup/twise"], &[]).expect_err("a typo");
        assert!(error.to_string().contains("cleanup/twice"), "{error}");
        assert!(names(&["cleanup/["], &[]).is_err());
    }
}
