//! Waivers: named exceptions in `driver-conformance.toml`, each with a reason and an end.
//!
//! A waived finding is still looked for and still reported, but fails nothing. So that exceptions do not pile up, one that
//! has expired, or that nothing matches any more, fails the run itself.

use toml::value::Date;

use super::PlanError;
use super::select::{Pattern, near_names};

/// One waiver as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// Glob over ids of checks.
    pub check: String,
    /// Glob over names of cases; all of them if absent.
    pub case: Option<String>,
    /// Text that the message of a finding must contain, numbers aside; any message if absent.
    pub message: Option<String>,
    /// Why the exception is made.
    pub reason: String,
    /// Where more is said about it.
    pub link: Option<String>,
    /// Whom to ask.
    pub owner: Option<String>,
    /// The last day it holds.
    pub expires: Date,
    /// File and line.
    pub place: String,
}

impl Waiver {
    /// Why, who and how long, in one line.
    pub fn summary(&self) -> String {
        let mut text = self.reason.clone();
        if let Some(owner) = &self.owner {
            text = format!("{text}; owner {owner}");
        }
        if let Some(link) = &self.link {
            text = format!("{text}; {link}");
        }
        format!("{text}; until {}", self.expires)
    }
}

/// A glob of a waiver that is none, or that matches nothing there is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the waiver in {place}: {error}")]
pub struct WaiverError {
    /// File and line.
    pub place: String,
    /// What is wrong.
    pub error: PlanError,
}

/// Names of cases or checks: all there are, and those that are run.
#[derive(Debug, Clone, Copy)]
pub struct Names<'names> {
    /// Every name of the catalogue.
    pub all: &'names [String],
    /// Those that were selected.
    pub selected: &'names [String],
}

impl Names<'_> {
    /// Whether the selection leaves out nothing that the pattern is for.
    fn are_complete(&self, pattern: Option<&Pattern>) -> bool {
        let mut covered = self.all.iter().filter(|name| is_covered(pattern, name));
        covered.all(|name| self.selected.contains(name))
    }
}

/// The waivers of a run, ready to be asked.
#[derive(Debug, Clone, Default)]
pub struct Waivers {
    prepared: Vec<Prepared>,
}

#[derive(Debug, Clone)]
struct Prepared {
    waiver: Waiver,
    check: Pattern,
    case: Option<Pattern>,
    message: Option<String>,
    expired: bool,
    /// How many cases of the catalogue it is for.
    cases_total: usize,
}

/// What a waiver is for, among cases.
#[derive(Debug)]
pub struct Scope<'waivers> {
    case: Option<&'waivers Pattern>,
    /// How many cases of the catalogue it is for; 0 if only a part of its checks is applied.
    pub cases_total: usize,
    /// Its last day is over.
    pub expired: bool,
}

impl Scope<'_> {
    /// Whether it is for this case.
    pub fn covers(&self, case: &str) -> bool {
        is_covered(self.case, case)
    }
}

impl Waivers {
    /// Makes waivers ready for a run.
    pub fn prepare(
        waivers: &[Waiver],
        checks: Names<'_>,
        cases: Names<'_>,
        today: Date,
    ) -> Result<Self, WaiverError> {
        let prepared = waivers.iter().map(|waiver| {
            let glob = |error| WaiverError {
                place: waiver.place.clone(),
                error,
            };
            let check = pattern(&waiver.check, checks.all).map_err(glob)?;
            let case = waiver.case.as_ref();
            let case = case.map(|text| pattern(text, cases.all)).transpose();
            let case = case.map_err(glob)?;
            Ok(Prepared {
                cases_total: if checks.are_complete(Some(&check)) {
                    let cases = cases.all.iter();
                    cases.filter(|name| is_covered(case.as_ref(), name)).count()
                } else {
                    0
                },
                expired: waiver.expires < today,
                message: waiver.message.as_deref().map(message_class),
                waiver: waiver.clone(),
                check,
                case,
            })
        });
        let prepared = prepared.collect::<Result<_, _>>()?;
        Ok(Self { prepared })
    }

    /// The same waivers, none of which must match something.
    #[must_use]
    pub fn expected_nowhere(&self) -> Self {
        let mut waivers = self.clone();
        for prepared in &mut waivers.prepared {
            prepared.cases_total = 0;
        }
        waivers
    }

    /// A waiver by its number.
    pub fn get(&self, index: usize) -> Option<&Waiver> {
        self.prepared.get(index).map(|prepared| &prepared.waiver)
    }

    /// Every waiver, with the cases it is for.
    pub fn all(&self) -> impl Iterator<Item = (&Waiver, Scope<'_>)> {
        self.prepared.iter().map(|prepared| {
            let scope = Scope {
                case: prepared.case.as_ref(),
                cases_total: prepared.cases_total,
                expired: prepared.expired,
            };
            (&prepared.waiver, scope)
        })
    }

    /// Numbers of the waivers that are for a finding. One that has expired is for none.
    pub fn matching<'a>(
        &'a self,
        check: &'a str,
        case: &'a str,
        message: &str,
    ) -> impl Iterator<Item = usize> + 'a {
        let class = message_class(message);
        let numbered = self.prepared.iter().enumerate();
        numbered
            .filter(move |(_, prepared)| {
                !prepared.expired
                    && prepared.check.matches(check)
                    && is_covered(prepared.case.as_ref(), case)
                    && prepared
                        .message
                        .as_ref()
                        .is_none_or(|part| class.contains(part))
            })
            .map(|(index, _)| index)
    }
}

/// Whether a glob of a waiver is for this name.
pub fn covers(glob: &str, name: &str) -> bool {
    Pattern::new(glob).is_ok_and(|pattern| pattern.matches(name))
}

/// Without a pattern, everything is covered.
fn is_covered(pattern: Option<&Pattern>, name: &str) -> bool {
    pattern.is_none_or(|pattern| pattern.matches(name))
}

/// A glob that must match something.
fn pattern(text: &str, names: &[String]) -> Result<Pattern, PlanError> {
    let pattern = Pattern::new(text)?;
    if names.iter().any(|name| pattern.matches(name)) {
        return Ok(pattern);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Err(PlanError::NoMatch {
        pattern: text.to_owned(),
        near: near_names(&names, text),
    })
}

/// A message without the numbers in it, which differ from run to run.
pub fn message_class(message: &str) -> String {
    let mut class = String::new();
    for letter in message.chars() {
        if !letter.is_ascii_digit() {
            class.push(letter);
        } else if !class.ends_with('#') {
            class.push('#');
        }
    }
    class
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: Date = Date {
        year: 2026,
        month: 3,
        day: 1,
    };

    fn waiver(check: &str) -> Waiver {
        Waiver {
            check: check.to_owned(),
            case: None,
            message: None,
            reason: "The old pool does it".to_owned(),
            link: None,
            owner: None,
            expires: TODAY,
            place: "driver-conformance.toml:3".to_owned(),
        }
    }

    fn owned(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    /// With checks a/one and a/two, cases x/1 and y/2, of which these are selected.
    fn prepared(waiver: Waiver, selected: &[&str]) -> Result<Waivers, WaiverError> {
        let checks = owned(&["a/one", "a/two"]);
        let cases = owned(&["x/1", "y/2"]);
        let selected = owned(selected);
        let names = |all, selected| Names { all, selected };
        Waivers::prepare(
            &[waiver],
            names(&checks, &checks),
            names(&cases, &selected),
            TODAY,
        )
    }

    fn waives(waiver: Waiver, check: &str, case: &str, message: &str) -> bool {
        let waivers = prepared(waiver, &["x/1", "y/2"]).expect("its globs match");
        waivers.matching(check, case, message).next().is_some()
    }

    #[test]
    fn check_case_and_message_must_all_match() {
        let mut narrow = waiver("a/*");
        narrow.case = Some("x".to_owned());
        narrow.message = Some("after 3 s".to_owned());
        assert!(waives(
            narrow.clone(),
            "a/two",
            "x/1",
            "It ended after 12 s."
        ));
        assert!(!waives(
            narrow.clone(),
            "b/two",
            "x/1",
            "It ended after 12 s."
        ));
        assert!(!waives(
            narrow.clone(),
            "a/two",
            "y/2",
            "It ended after 12 s."
        ));
        assert!(!waives(narrow, "a/two", "x/1", "It never ended."));
        assert!(waives(waiver("a/one"), "a/one", "y/2", "Anything."));
    }

    #[test]
    fn the_day_it_expires_is_its_last() {
        assert!(waives(waiver("a/one"), "a/one", "x/1", ""));
        let mut late = waiver("a/one");
        late.expires.day = 28;
        late.expires.month = 2;
        assert!(!waives(late.clone(), "a/one", "x/1", ""));
        let waivers = prepared(late, &["x/1"]).expect("its globs match");
        assert!(waivers.all().all(|(_, scope)| scope.expired));
    }

    #[test]
    fn the_scope_counts_the_cases_of_the_catalogue() {
        let mut narrow = waiver("a/one");
        narrow.case = Some("x".to_owned());
        for (waiver, expected) in [(narrow, 1), (waiver("a/one"), 2)] {
            let waivers = prepared(waiver, &["x/1"]).expect("its globs match");
            let (_, scope) = waivers.all().next().expect("there is one");
            assert_eq!(scope.cases_total, expected);
            assert!(scope.covers("x/1"));
        }
    }

    #[test]
    fn a_glob_for_nothing_there_is_names_its_place() {
        let error = prepared(waiver("a/oen"), &["x/1"]).expect_err("it is misspelt");
        let shown = error.to_string();
        assert!(
            shown.starts_with("the waiver in driver-conformance.toml:3: "),
            "{shown}"
        );
        assert!(prepared(waiver("a/{"), &["x/1"]).is_err());
    }

    #[test]
    fn the_summary_says_why_who_and_how_long() {
        let mut full = waiver("a/one");
        full.owner = Some("fleet team".to_owned());
        full.link = Some("https://example.com/7".to_owned());
        assert_eq!(
            full.summary(),
            "The old pool does it; owner fleet team; https://example.com/7; until 2026-03-01"
        );
    }
}
