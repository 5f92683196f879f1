//! The scenarios of the suite as data, and their loader.
