//! What to break and where: the points at which a driver can be hit, and the cases that hit it there. Pure.
//!
//! A point is a moment in the life of one of the programs that a call starts, and a signal that is sent to the driver
//! then. Its case leads the driver there once, and then lets it clean up, and clean up again, with nothing in its way.

mod point;
mod sample;

pub use point::{
    FaultPoint, NOMINAL, NOMINAL_NAME, PointSignal, hung_scenario, nominal_scenario, points,
};
pub use sample::spread;
