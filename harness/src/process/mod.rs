//! Processes: the only place with `unsafe` and raw system calls.
