//! Axes → cases, selection.

pub mod case;
