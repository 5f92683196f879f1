//! Which animals show a check, and the one that shows it best. Pure.

use std::collections::BTreeSet;

use driver_conformance_scenarios::zoo::{self, Animal};

use super::flaw;

/// The animals in which a check must find something, sorted by name.
pub fn animals_of(check: &str) -> impl Iterator<Item = &'static Animal> {
    zoo::all().iter().filter(move |animal| {
        let mut findings = animal.findings().iter();
        findings.any(|finding| finding.check == check)
    })
}

/// The animal with the smallest flaw that this check shows, if there is one that it alone shows, and that flaw as a
/// difference: what has a minus is how it is done right.
pub fn of_check(check: &str) -> Option<(&'static Animal, String)> {
    let examples = animals_of(check).map(|animal| (animal, flaw::diff(animal)));
    examples.min_by_key(|(animal, diff)| {
        let checks: BTreeSet<&str> = animal
            .findings()
            .iter()
            .map(|finding| finding.check.as_str())
            .collect();
        (checks.len(), diff.lines().count())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_example_has_no_other_flaw() {
        let (animal, diff) = of_check("exit-code/literal-exit-codes").expect("there are some");
        assert!(diff.contains("\n-"), "{diff}");
        assert!(
            animal
                .findings()
                .iter()
                .all(|finding| finding.check == "exit-code/literal-exit-codes")
        );
        assert!(of_check("environment/programs-start").is_none());
    }
}
