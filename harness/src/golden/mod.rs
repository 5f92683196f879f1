//! Golden traces: what a real runner did, read, replayed and compared.
