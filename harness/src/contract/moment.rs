//! Time inside an emulated job.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment of one emulation: nanoseconds since its job was handed out. Never a wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// The moment the job was handed out.
    pub const START: Self = Self(0);

    /// The moment `elapsed` after the start; saturates after 584 years.
    pub fn after_start(elapsed: Duration) -> Self {
        Self(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Time since the start.
    pub fn since_start(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// Whole microseconds since the start of the case, as records tell it.
    pub fn microseconds(self) -> u64 {
        u64::try_from(self.since_start().as_micros()).unwrap_or(u64::MAX)
    }

    /// Time since `earlier`; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self::after_start(self.since_start().saturating_add(duration))
    }
}

impl Sub for Moment {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:.3} s", self.since_start().as_secs_f64())
    }
}
