//! Random walks through what a runner can lead a driver into: legal sequences of events, their scenarios, and the file in
//! which those that failed are kept. Pure, but for reading and writing that file.

mod plan;
mod regressions;
mod scenario;

pub use plan::{Habits, Plan};
pub use regressions::{REGRESSIONS_FILE, Regression, Regressions};
pub use scenario::{events, scenario};
