//! A self-test as people and programs read it. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use driver_conformance_scenarios::zoo::{Animal, bug_classes};
use serde_json::{Value, json};

use super::{Result, SelfTest, Visit, compare};

/// The form of the JSON: fields are only ever added.
const SCHEMA: &str = "driver-conformance/self-test/v1";
/// Columns for the names of animals; few are longer.
const NAME_COLUMNS: usize = 40;

/// One row of the matrix: the animal, the checks that must find something, and how what was found differs.
pub fn row(result: &Result) -> String {
    let animal = result.animal;
    let expected = match (animal.survives(), expected_checks(animal)) {
        (Some(_), _) => "nothing: survives".to_owned(),
        (None, checks) if checks.is_empty() => "nothing".to_owned(),
        (None, checks) => checks.join(", "),
    };
    let word = match (&result.visit, result.differences.is_empty()) {
        (Visit::LeftOut { .. }, _) => "skip",
        (_, true) => "ok",
        (_, false) => "FAIL",
    };
    let mut text = format!("{word:<5}{:<NAME_COLUMNS$} {expected}\n", animal.name);
    if let Visit::LeftOut { reason } = &result.visit {
        let _ = writeln!(text, "     left out: {reason}");
    }
    for difference in &result.differences {
        let _ = writeln!(text, "     {difference}");
    }
    text
}

/// What stands below the rows: the score, the survivors, what the zoo lacks.
pub fn summary(examined: &SelfTest) -> String {
    let mut text = String::new();
    let of = |good: bool| {
        let results = examined.results.iter();
        results.filter(move |result| result.animal.is_good() == good)
    };
    let clean = of(true).filter(|result| is_examined(result) && result.differences.is_empty());
    let score = examined.score();
    let _ = writeln!(
        text,
        "good      {} of {} clean",
        clean.count(),
        of(true).filter(|result| is_examined(result)).count()
    );
    let _ = writeln!(
        text,
        "broken    {} of {} caught by just the expected checks (mutation score {}%)",
        score.caught,
        score.broken,
        percent(score.caught, score.broken)
    );
    let left_out = examined
        .results
        .iter()
        .filter(|result| !is_examined(result));
    let left_out: Vec<&str> = left_out.map(|result| result.animal.name.as_str()).collect();
    if !left_out.is_empty() {
        let _ = writeln!(text, "left out  {}", left_out.join(", "));
    }
    for result in of(false) {
        if let Some(reason) = result.animal.survives() {
            let _ = writeln!(text, "survives  {}: {reason}", result.animal.name);
        }
    }
    for result in of(false) {
        let Visit::Seen { report, .. } = &result.visit else {
            continue;
        };
        for follows in compare::unseen_consequences(result.animal, report) {
            let (name, check) = (&result.animal.name, &follows.check);
            let _ = writeln!(
                text,
                "unseen    {name}: {check} ({}) did not follow; it should when {}",
                follows.call, follows.when
            );
        }
    }
    for sentence in &examined.upkeep {
        let _ = writeln!(text, "lacks     {sentence}");
    }
    let verdict = if examined.passed() { "PASS" } else { "FAIL" };
    let _ = writeln!(text, "verdict   {verdict}");
    text
}

/// The kinds of bugs for which no animal stands, by name.
pub fn classes_without_animal(animals: &[Animal]) -> Vec<&'static str> {
    let stands_for = |name: &str| {
        let flaws = animals.iter().filter_map(|animal| animal.flaw.as_ref());
        flaws
            .flat_map(|flaw| &flaw.classes)
            .any(|class| class == name)
    };
    let classes = bug_classes().iter().map(|class| class.name.as_str());
    classes.filter(|name| !stands_for(name)).collect()
}

/// The self-test as JSON.
pub fn json(examined: &SelfTest) -> String {
    let score = examined.score();
    let mut checks: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for result in &examined.results {
        for check in expected_checks(result.animal) {
            checks.entry(check).or_default().push(&result.animal.name);
        }
    }
    let document = json!({
        "schema": SCHEMA,
        "passed": examined.passed(),
        "score": { "caught": score.caught, "broken": score.broken },
        "animals": examined.results.iter().map(animal_json).collect::<Vec<_>>(),
        "checks": checks,
        "lacks": examined.upkeep,
    });
    format!("{document:#}\n")
}

fn animal_json(result: &Result) -> Value {
    let animal = result.animal;
    let mut value = json!({
        "name": animal.name,
        "about": animal.about,
        "base": animal.flaw.as_ref().map(|flaw| &flaw.base),
        "classes": animal.flaw.as_ref().map(|flaw| &flaw.classes),
        "expected": expected_checks(animal),
        "survives": animal.survives(),
        "differences": result.differences.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    match &result.visit {
        Visit::Seen { report, duration } => {
            value["found"] = json!(compare::found_checks(report));
            value["cases"] = json!(report.summary.cases);
            value["calls"] = json!(report.summary.calls);
            value["duration_ms"] = json!(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
        }
        Visit::LeftOut { reason } => value["left_out"] = json!(reason),
        Visit::Failed { .. } => {}
    }
    value
}

fn is_examined(result: &Result) -> bool {
    !matches!(result.visit, Visit::LeftOut { .. })
}

fn expected_checks(animal: &Animal) -> Vec<&str> {
    let mut checks: Vec<&str> = animal
        .findings()
        .iter()
        .map(|finding| finding.check.as_str())
        .collect();
    checks.sort_unstable();
    checks.dedup();
    checks
}

/// Whole percents, 100 only if it is all.
fn percent(part: usize, whole: usize) -> usize {
    (part * 100).checked_div(whole).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use driver_conformance_scenarios::zoo;

    use super::super::Difference;
    use super::*;

    fn result(name: &str, visit: Visit) -> Result {
        Result::of(zoo::by_name(name).expect("it is there"), visit)
    }

    fn left_out() -> Visit {
        Visit::LeftOut {
            reason: "no python".to_owned(),
        }
    }

    fn failed() -> Visit {
        Visit::Failed {
            reason: "no report".to_owned(),
        }
    }

    #[test]
    fn a_row_shows_what_differs() {
        let shown = row(&result("literal-exit-codes", failed()));
        assert_eq!(
            shown,
            format!(
                "FAIL {:<NAME_COLUMNS$} exit-code/literal-exit-codes\n     not examined: no report\n",
                "literal-exit-codes"
            )
        );
        assert!(row(&result("good-bash", left_out())).starts_with("skip good-bash"));
    }

    #[test]
    fn what_was_left_out_is_neither_caught_nor_counted() {
        let mut caught = result("literal-exit-codes", failed());
        caught.differences.clear();
        let examined = SelfTest {
            results: vec![
                caught,
                result("stderr-lost", left_out()),
                result("good-bash", left_out()),
            ],
            upkeep: Vec::new(),
        };
        assert!(examined.passed());
        let text = summary(&examined);
        assert!(text.contains("broken    1 of 1 caught"), "{text}");
        assert!(text.contains("good      0 of 0 clean"), "{text}");
        assert!(text.contains("left out  stderr-lost, good-bash"), "{text}");
        assert!(text.ends_with("verdict   PASS\n"), "{text}");
    }

    #[test]
    fn a_difference_or_a_shortcoming_fails() {
        let mut examined = SelfTest {
            results: vec![result("stderr-lost", failed())],
            upkeep: Vec::new(),
        };
        assert!(!examined.passed());
        assert!(matches!(
            examined.results[0].differences[..],
            [Difference::NotExamined { .. }]
        ));
        examined.results.clear();
        examined.upkeep.push("no animal shows something".to_owned());
        let text = summary(&examined);
        assert!(
            text.contains("lacks     no animal shows something"),
            "{text}"
        );
        assert!(text.ends_with("verdict   FAIL\n"), "{text}");
    }

    #[test]
    fn the_json_names_the_animals_of_each_check() {
        let examined = SelfTest {
            results: vec![result("stderr-lost", left_out())],
            upkeep: Vec::new(),
        };
        let document: Value = serde_json::from_str(&json(&examined)).expect("it is JSON");
        assert_eq!(document["schema"], SCHEMA);
        assert_eq!(
            document["checks"]["output/complete"],
            json!(["stderr-lost"])
        );
        assert_eq!(document["animals"][0]["base"], "good-bash");
        assert_eq!(document["animals"][0]["left_out"], "no python");
    }
}
