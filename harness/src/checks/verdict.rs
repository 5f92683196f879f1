//! From deviations in cases to the verdict of a run.
