//! `faults`: hits a driver at every point at which it can be hit.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::plan::select::Globs;
use crate::suite::FaultSweep;

use super::run::{self, SharedArguments};
use super::{ExpectedError, Output};

/// Arguments of `faults`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The driver: a directory, an executable, or a runner's config.toml
    path: PathBuf,

    /// Only the points whose names match this glob, for example 'faults/prepare'; may be repeated
    #[arg(long, value_name = "GLOB", help_heading = "Selection")]
    only: Vec<String>,

    /// Leave out the points that match this glob; may be repeated
    #[arg(long, value_name = "GLOB", help_heading = "Selection")]
    skip: Vec<String>,

    /// Try points for this long at most (90s, 5m, 1h), some of each kind first, drawn by the seed
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Running")]
    budget: Option<Duration>,

    #[command(flatten)]
    shared: SharedArguments,
}

/// Sweeps, and shows and writes the report.
pub(super) fn execute(arguments: &Arguments, output: &mut Output) -> Result<u8, ExpectedError> {
    let (arguments, sweep) = arguments.parts();
    run::execute(&arguments, &sweep, output)
}

impl Arguments {
    /// What a run is told, and the suite that it runs.
    pub(super) fn parts(&self) -> (run::Arguments, FaultSweep) {
        let sweep = FaultSweep {
            globs: Globs {
                only: self.only.clone(),
                skip: self.skip.clone(),
            },
            budget: self.budget,
        };
        (
            run::Arguments::of("faults", &self.path, &self.shared),
            sweep,
        )
    }
}

/// Reads a time like `90s`, `5m`, `1h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write a whole number with a unit, for example 90s, 5m or 1h".to_owned();
    let units = [("s", 1), ("m", 60), ("h", 60 * 60)];
    let (number, seconds) = units
        .iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)))
        .ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let whole = number.checked_mul(seconds).filter(|whole| *whole > 0);
    whole.map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("5m"), Ok(Duration::from_mins(5)));
        assert_eq!(duration("1h"), Ok(Duration::from_hours(1)));
        for wrong in ["", "m", "5", "5 m", "-5m", "0s", "5d", "5\u{fc}"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
