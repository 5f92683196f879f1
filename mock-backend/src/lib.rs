//! A backend that lives on the test machine, keeps a ledger, and can be broken at every call.
//!
//! Not built yet. Planned modules, in the order they will come:
//! `runtime` (boxes: processes with a private directory), `ledger` (write-ahead list of every request and its effect),
//! `faults` (one file per fault kind), `http` (HTTP VM API), `command_line` (podman, lxc, virsh … as data files behind
//! one multi-call shim), `coordinator` (a stub GitLab for the real-runner engine).
