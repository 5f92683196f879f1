//! What a call of a shim costs beside one of `/bin/true`: at most 3 ms more.

use std::path::Path;
use std::process::{Command, Stdio};

use criterion::{Criterion, criterion_group, criterion_main};
use driver_conformance_mock_backend::client::{BackendProcess, Wanted};

fn run(program: &Path, arguments: &[&str]) {
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status();
    assert!(status.is_ok());
}

fn shim(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let wanted = Wanted {
        personality: "podman".to_owned(),
        real: None,
    };
    let executable = Path::new(env!("CARGO_BIN_EXE_mock-backend"));
    let root = directory.path().join("backend");
    let backend = BackendProcess::start(executable, &root, &wanted).expect("it starts");
    let shims = backend
        .control()
        .and_then(|mut control| control.open_case("bench"));
    let podman = shims.expect("a case").join("podman");
    let mut group = criterion.benchmark_group("call");
    group.bench_function("true", |bencher| {
        bencher.iter(|| run(Path::new("/bin/true"), &[]));
    });
    group.bench_function("shim", |bencher| {
        bencher.iter(|| run(&podman, &["container", "exists", "none"]));
    });
    group.finish();
}

criterion_group!(benches, shim);
criterion_main!(benches);
