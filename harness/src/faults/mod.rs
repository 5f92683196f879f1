//! What to break and where: the points at which a driver can be hit, and the cases that hit it there. Pure.
//!
//! A point is a moment in the life of one of the programs that a call starts, and a signal that is sent to the driver
//! then; or, in front of a mock backend, one of the requests of a call or all of them, and what goes wrong. Its case leads the
//! driver there once, and then lets it clean up, and clean up again, with nothing in its way.

mod backend_point;
mod point;
mod sample;

use crate::plan::case::BackendFault;

pub use backend_point::{
    BackendPoint, backend_points, ends_driver, fault_kind, meets_script, out_of_reach,
};
pub use point::{
    FaultPoint, NOMINAL, NOMINAL_NAME, PointSignal, hung_scenario, nominal_scenario, points,
};
pub use sample::spread;

/// A point of either sort.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// At a program that a call starts.
    Child(FaultPoint),
    /// At a request to the backend.
    Backend(BackendPoint),
}

impl Point {
    /// Name of its case.
    pub fn name(&self) -> String {
        match self {
            Self::Child(point) => point.name(),
            Self::Backend(point) => point.name(),
        }
    }

    /// What points have in common of which some are as good as all, at first.
    pub fn stratum(&self) -> String {
        match self {
            Self::Child(point) => point.stratum(),
            Self::Backend(point) => point.stratum(),
        }
    }

    /// The scenario of its case.
    pub fn scenario(&self, with_bystander: bool) -> String {
        match self {
            Self::Child(point) => point.scenario(with_bystander),
            Self::Backend(point) => point.scenario(with_bystander),
        }
    }

    /// A call of its case does not end before it is told to.
    pub fn hangs(&self) -> bool {
        match self {
            Self::Child(_) => false,
            Self::Backend(point) => point.hangs(),
        }
    }

    /// How the backend fails in its case.
    pub fn fault(&self) -> Option<BackendFault> {
        match self {
            Self::Child(_) => None,
            Self::Backend(point) => Some(point.fault()),
        }
    }
}
