//! The zoo: the suite must find in every driver of `scenarios/zoo/` exactly what the driver's file says, and in a good one
//! nothing. `cargo test --test zoo good_` runs a part of it; `driver-conformance self-test` does the same without cargo.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, PoisonError};

use driver_conformance::checks;
use driver_conformance::suite::{self, Interruption, Suite as _};
use driver_conformance::zoo::{ANIMALS_AT_ONCE, Keeper, Result, Visit, matrix, upkeep};
use driver_conformance_scenarios::{contract, zoo};

/// One more than `self-test` visits at once: half of the time they are waited for, and a test run is to be short.
const AT_ONCE: usize = ANIMALS_AT_ONCE + 1;

/// How many more animals may be visited now, and who waits for it.
static TURNS: (Mutex<usize>, Condvar) = (Mutex::new(AT_ONCE), Condvar::new());

/// The right to visit an animal, given back when dropped, also by a test that fails.
struct Turn;

impl Turn {
    fn wait() -> Self {
        let (free, changed) = &TURNS;
        let guard = free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut guard = changed
            .wait_while(guard, |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *guard -= 1;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let (free, changed) = &TURNS;
        *free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        changed.notify_one();
    }
}

/// Runs the suite on an animal and compares what it found.
fn visit(name: &str) {
    let animal = zoo::by_name(name).expect("`build.rs` lists the same files");
    let keeper = Keeper {
        program: PathBuf::from(env!("CARGO_BIN_EXE_driver-conformance")),
        quick: true,
        interruption: Interruption::default(),
    };
    let turn = Turn::wait();
    let mut result = Result::of(animal, keeper.visit(animal));
    // Some flaws show only when two jobs happen to meet. A good driver gets no second chance: it must always be clean.
    if !animal.is_good() && !result.differences.is_empty() {
        let row = matrix::row(&result);
        let _ = writeln!(
            std::io::stderr(),
            "note: {name} is visited once more:\n{row}"
        );
        result = Result::of(animal, keeper.visit(animal));
    }
    drop(turn);
    if let Visit::LeftOut { reason } = &result.visit {
        // Not by a macro: the test runner would keep it to itself, and a driver must not be left out silently.
        let _ = writeln!(std::io::stderr(), "note: {name} is left out: {reason}");
    }
    assert!(
        result.differences.is_empty(),
        "{}\n{}",
        animal.about,
        matrix::row(&result)
    );
}

#[test]
fn the_zoo_lacks_nothing() {
    let cases = suite::builtin().cases().expect("the scenarios are valid");
    let cases: Vec<String> = cases.into_iter().map(|case| case.name).collect();
    let lacks = upkeep::shortcomings(zoo::all(), checks::all(), contract::all(), &cases);
    assert_eq!(lacks, Vec::<String>::new());
}

// One test for each animal: `build.rs` lists the files.
include!(concat!(env!("OUT_DIR"), "/zoo.rs"));
