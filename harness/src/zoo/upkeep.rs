//! What the zoo as a whole lacks: checks that no animal shows, clauses that no check stands on. Pure.

use std::collections::BTreeSet;

use driver_conformance_scenarios::contract::{Clause, Level};
use driver_conformance_scenarios::zoo::Animal;

use crate::checks::{self, Check};
use crate::plan::select::{Globs, select};

use super::visit::CASES_ALWAYS;

/// Checks that need no animal, with the reason.
const WITHOUT_ANIMAL: &[(&str, &str)] = &[(
    "environment/programs-start",
    "a driver whose programs cannot be started is refused before it is examined",
)];

/// Every shortcoming, a sentence each.
pub fn shortcomings(
    animals: &[Animal],
    checks: &[&Check],
    clauses: &[Clause],
    cases: &[String],
) -> Vec<String> {
    let mut sentences = unknown_checks(animals, checks);
    sentences.extend(checks_without_animal(animals, checks));
    sentences.extend(clauses_without_check(clauses));
    sentences.extend(useless_globs(animals, cases));
    sentences
}

fn shown_checks(animals: &[Animal]) -> BTreeSet<&str> {
    let findings = animals.iter().flat_map(Animal::findings);
    findings.map(|finding| finding.check.as_str()).collect()
}

fn unknown_checks(animals: &[Animal], checks: &[&Check]) -> Vec<String> {
    let known = |id: &str| checks.iter().any(|check| check.id == id);
    let unknown = |animal: &Animal| {
        let findings = animal.findings().iter().map(|finding| &finding.check);
        let consequences = animal.consequences().iter().map(|follows| &follows.check);
        findings
            .chain(consequences)
            .filter(|check| !known(check))
            .map(|check| {
                format!(
                    "{} expects {check}, and there is no such check",
                    animal.name
                )
            })
            .collect::<Vec<_>>()
    };
    animals.iter().flat_map(unknown).collect()
}

fn checks_without_animal(animals: &[Animal], checks: &[&Check]) -> Vec<String> {
    let shown = shown_checks(animals);
    let mut sentences = Vec::new();
    for check in checks {
        let excepted = WITHOUT_ANIMAL.iter().find(|(id, _)| *id == check.id);
        match (excepted, shown.contains(check.id)) {
            (None, false) => {
                sentences.push(format!("no animal shows that {} finds anything", check.id));
            }
            (Some((id, reason)), true) => sentences.push(format!(
                "{id} needs no animal ({reason}), and yet there is one: take it off that list"
            )),
            _ => {}
        }
    }
    sentences
}

fn clauses_without_check(clauses: &[Clause]) -> Vec<String> {
    let open = clauses.iter().filter(|clause| {
        clause.level == Level::Must
            && clause.unchecked.is_none()
            && checks::of_clause(clause.id).next().is_none()
    });
    open.map(|clause| {
        format!(
            "clause {} is a must, and neither has a check nor says why it has none",
            clause.id
        )
    })
    .collect()
}

/// Globs of quick visits must choose cases: one that matches nothing makes a visit a usage error.
fn useless_globs(animals: &[Animal], cases: &[String]) -> Vec<String> {
    let useless = |of: &str, glob: &str| {
        let globs = Globs {
            only: vec![glob.to_owned()],
            skip: Vec::new(),
        };
        let error = select(&globs, cases, &[]).err()?;
        Some(format!("cases of {of}: {error}"))
    };
    // The points of a sweep are those of the driver.
    let of_suite = animals.iter().filter(|animal| !animal.faults);
    let own = of_suite.flat_map(|animal| {
        let globs = animal.cases.iter();
        globs.filter_map(|glob| useless(&animal.name, glob))
    });
    let always = CASES_ALWAYS.iter();
    own.chain(always.filter_map(|glob| useless("every quick visit", glob)))
        .collect()
}

#[cfg(test)]
mod tests {
    use driver_conformance_scenarios::{contract, zoo};

    use super::*;
    use crate::suite::{self, Suite as _};

    #[test]
    fn a_check_that_no_animal_shows_is_told() {
        let sentences = checks_without_animal(&[], checks::all());
        assert_eq!(sentences.len(), checks::all().len() - WITHOUT_ANIMAL.len());
        assert_eq!(
            checks_without_animal(zoo::all(), checks::all()),
            Vec::<String>::new()
        );
    }

    #[test]
    fn an_animal_that_expects_what_there_is_not_is_told() {
        let sentences = unknown_checks(zoo::all(), &[]);
        assert!(sentences.contains(
            &"literal-exit-codes expects exit-code/literal-exit-codes, and there is no such check".to_owned()
        ));
        assert_eq!(
            unknown_checks(zoo::all(), checks::all()),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_clause_that_binds_without_check_and_reason_is_told() {
        let mut clauses = contract::all().to_vec();
        assert_eq!(clauses_without_check(&clauses), Vec::<String>::new());
        let open = clauses
            .iter_mut()
            .find(|clause| clause.level == Level::Must && clause.unchecked.is_some());
        open.expect("there are some").unchecked = None;
        assert_eq!(clauses_without_check(&clauses).len(), 1);
    }

    #[test]
    fn globs_that_choose_no_case_are_told() {
        let cases = suite::builtin().cases().expect("the scenarios are valid");
        let cases: Vec<String> = cases.into_iter().map(|case| case.name).collect();
        let mut animal = zoo::all()[0].clone();
        for (glob, complaints) in [("signal/build-script", 0), ("signal/bild-script", 1)] {
            animal.cases = vec![glob.to_owned()];
            let sentences = useless_globs(&[animal.clone()], &cases);
            assert_eq!(sentences.len(), complaints, "{sentences:?}");
        }
    }
}
