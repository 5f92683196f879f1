//! What users do wrong: each has its exit code and a text that says what to do.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use tempfile::TempDir;

/// The command as a user without colours runs it, in a directory of its own.
fn command(directory: &Path) -> Command {
    Command::from_std(support::harness(directory))
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory can be made")
}

fn write(path: &Path, text: &str, mode: u32) {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).expect("a directory can be made in a temporary directory");
    }
    fs::write(path, text).expect("a file can be written in a temporary directory");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own file");
}

/// A driver that does nothing, which is all that bad input needs.
fn driver(directory: &Path) -> PathBuf {
    let driver = directory.join("driver");
    write(&driver.join("run.sh"), "#!/bin/sh\nexec \"$1\"\n", 0o755);
    driver
}

/// A `config.toml` with these lines in `[runners.custom]`, from its sixth line on.
fn config(directory: &Path, lines: &str) -> PathBuf {
    let run = driver(directory).join("run.sh");
    let path = directory.join("config.toml");
    let text = format!(
        "[[runners]]\nname = \"one\"\nexecutor = \"custom\"\n[runners.custom]\nrun_exec = {:?}\n{lines}\n",
        run.display().to_string()
    );
    write(&path, &text, 0o644);
    path
}

/// Runs it and expects wrong usage, with each of these texts on standard error.
fn refused(directory: &Path, arguments: &[&str], texts: &[&str]) {
    let mut assertion = command(directory).args(arguments).assert().code(2);
    for text in texts {
        assertion = assertion.stderr(contains(*text));
    }
    // The first word of every paragraph; a Rust panic or a bare debug form would not have it.
    let paragraph = contains("error: ").and(contains("panicked").not());
    assertion.stderr(paragraph).stdout("");
}

#[test]
fn no_path_at_all() {
    let home = directory();
    refused(
        home.path(),
        &[],
        &["no driver is given", "driver-conformance PATH"],
    );
}

#[test]
fn path_that_does_not_exist() {
    let home = directory();
    let texts = [
        "there is no ./nowhere",
        "point at a directory with the program `run`",
    ];
    refused(home.path(), &["./nowhere"], &texts);
}

#[test]
fn misspelt_subcommand() {
    let home = directory();
    let texts = [
        "neither a driver nor a subcommand `lst`",
        "list, show, emulate, job",
    ];
    refused(home.path(), &["lst"], &texts);
}

#[test]
fn run_options_before_a_subcommand() {
    let home = directory();
    let texts = ["--seed belongs to a run of the suite"];
    refused(home.path(), &["--seed", "3", "list"], &texts);
}

#[test]
fn directory_without_run() {
    let home = directory();
    write(&home.path().join("driver/prepare.sh"), "#!/bin/sh\n", 0o755);
    let texts = [
        "driver is a directory without a program named `run`",
        "add an executable file `run`",
    ];
    refused(home.path(), &["driver"], &texts);
    write(&home.path().join("driver/config.toml"), "", 0o644);
    let texts = ["it holds a runner configuration: point at driver/config.toml"];
    refused(home.path(), &["driver"], &texts);
}

#[test]
fn directory_with_two_programs_of_one_name() {
    let home = directory();
    let driver = driver(home.path());
    write(&driver.join("run.py"), "#!/bin/sh\n", 0o755);
    let texts = [
        "several programs for `run`: `run.py`, `run.sh`",
        "--run-exec",
    ];
    refused(home.path(), &["driver"], &texts);
}

#[test]
fn program_without_exec_bit() {
    let home = directory();
    let driver = driver(home.path());
    write(&driver.join("prepare.sh"), "#!/bin/sh\n", 0o644);
    let texts = [
        "prepare.sh, the program of prepare, is not executable",
        "chmod +x ",
    ];
    refused(home.path(), &["driver"], &texts);
}

#[test]
fn executable_without_exec_bit() {
    let home = directory();
    write(&home.path().join("my driver"), "#!/bin/sh\n", 0o644);
    let texts = ["is not executable", "chmod +x '", "my driver'"];
    refused(home.path(), &["my driver"], &texts);
}

#[test]
fn program_with_a_missing_interpreter() {
    let home = directory();
    let prepare = driver(home.path()).join("prepare");
    write(&prepare, "#!/usr/bin/env no-such-language\n", 0o755);
    let texts = ["is run by `no-such-language`, which is not on this machine"];
    refused(home.path(), &["driver"], &texts);
    write(&prepare, "#!/bin/sh\r\necho\r\n", 0o755);
    refused(home.path(), &["driver"], &["Windows line ends", "sed -i"]);
}

#[test]
fn neither_file_nor_directory() {
    let home = directory();
    let texts = ["/dev/null is neither a file nor a directory"];
    refused(home.path(), &["/dev/null"], &texts);
}

#[test]
fn config_toml_that_is_no_toml() {
    let home = directory();
    let text = "concurrent = 1\n[[runners]\nname = \"a\"\n";
    write(&home.path().join("config.toml"), text, 0o644);
    let texts = [
        "config.toml is not valid TOML",
        "--> config.toml:2:",
        "2 | [[runners]",
        "help: ",
    ];
    refused(home.path(), &["config.toml"], &texts);
}

#[test]
fn config_toml_that_is_not_utf8() {
    let home = directory();
    fs::write(home.path().join("config.toml"), b"name = \"caf\xe9\"").expect("our own directory");
    let texts = [
        "is not UTF-8 text (byte 11)",
        "save the file in this encoding",
    ];
    refused(home.path(), &["config.toml"], &texts);
}

#[test]
fn config_toml_with_a_wrong_type() {
    let home = directory();
    config(home.path(), "prepare_exec_timeout = \"an hour\"");
    let texts = [
        "`prepare_exec_timeout` in [runners.custom] must be an integer, but is a string",
        "--> config.toml:6:24",
        "expected an integer, found a string",
        "write it like this: `prepare_exec_timeout = 60`",
    ];
    refused(home.path(), &["config.toml"], &texts);
    config(home.path(), "run_args = [\"a\", 1]");
    let texts = ["must be an array of strings", "--> config.toml:6:18"];
    refused(home.path(), &["config.toml"], &texts);
}

#[test]
fn config_toml_with_keys_the_runner_ignores() {
    let home = directory();
    let lines = "prepare_exec_args = [\"x\"]\nrun_exec_timeout = 5\ngraceful_kill_timeout = -1\n\
                 cleanup_exec = \"./cleanup\"";
    config(home.path(), lines);
    let texts = [
        "warning: `prepare_exec_args` is not a key of [runners.custom]",
        "did you mean `prepare_args`?",
        "there is no timeout for run_exec",
        "`graceful_kill_timeout = -1` does not switch the timeout off",
        "`cleanup_exec` is the relative path `./cleanup`",
    ];
    // Warnings end nothing; the glob that matches nothing does.
    refused(
        home.path(),
        &["config.toml", "--only", "no/such/case"],
        &texts,
    );
}

#[test]
fn config_toml_with_several_runners() {
    let home = directory();
    let path = config(home.path(), "");
    let one = fs::read_to_string(&path).expect("just written");
    let two = one.replace("\"one\"", "\"two\"");
    fs::write(&path, format!("{one}\n{two}")).expect("our own file");
    let texts = [
        "several runners with the Custom executor: `one`, `two`",
        "--runner NAME",
    ];
    refused(home.path(), &["config.toml"], &texts);
    let texts = ["has no runner `three`", "`one`, `two`"];
    refused(home.path(), &["config.toml", "--runner", "three"], &texts);
    let texts = ["--runner chooses a runner of a config.toml"];
    refused(home.path(), &["driver", "--runner", "one"], &texts);
}

#[test]
fn config_toml_without_a_custom_runner() {
    let home = directory();
    let path = home.path().join("config.toml");
    write(
        &path,
        "[[runners]]\nname = \"a\"\nexecutor = \"docker\"\n",
        0o644,
    );
    let texts = ["has no [[runners]] with executor = \"custom\""];
    refused(home.path(), &["config.toml"], &texts);
    write(
        &path,
        "[[runners]]\nname = \"a\"\nexecutor = \"custom\"\n",
        0o644,
    );
    let texts = ["no [runners.custom]", "--> config.toml:1:1"];
    refused(home.path(), &["config.toml"], &texts);
    let empty =
        "[[runners]]\nname = \"a\"\nexecutor = \"custom\"\n[runners.custom]\nrun_exec = \"\"\n";
    write(&path, empty, 0o644);
    let texts = [
        "of the runner `a` in config.toml has no `run_exec`",
        "--run-exec",
    ];
    refused(home.path(), &["config.toml"], &texts);
}

#[test]
fn config_toml_with_a_program_that_is_not_there() {
    let home = directory();
    config(home.path(), "prepare_exec = \"/no/such/prepare\"");
    let texts = [
        "/no/such/prepare, the program of prepare, cannot be used",
        "--> config.toml:6:16",
        "--prepare-exec",
    ];
    refused(home.path(), &["config.toml"], &texts);
    config(home.path(), "prepare_exec = \"no-such-program\"");
    let texts = ["`no-such-program`, the program of prepare, is not in PATH"];
    refused(home.path(), &["config.toml"], &texts);
}

#[test]
fn settings_with_an_unknown_key() {
    let home = directory();
    let settings = driver(home.path()).join("driver-conformance.toml");
    write(&settings, "[job]\nimages = \"alpine\"\n", 0o644);
    let texts = [
        "`images` is not a key of [job]",
        "driver-conformance.toml:2:1",
        "did you mean `image`?",
    ];
    refused(home.path(), &["driver"], &texts);
    let texts = ["holds settings for a driver, but is none"];
    refused(home.path(), &["driver/driver-conformance.toml"], &texts);
}

#[test]
fn unknown_glob() {
    let home = directory();
    driver(home.path());
    for flag in ["--only", "--skip"] {
        let texts = [
            "`no/such/**` matches no case and no check",
            "driver-conformance list",
        ];
        refused(home.path(), &["driver", flag, "no/such/**"], &texts);
        refused(home.path(), &["list", flag, "no/such/**"], &texts);
    }
    refused(
        home.path(),
        &["driver", "--only", "a{"],
        &["`a{` is not a glob"],
    );
}

#[test]
fn unknown_name_in_show() {
    let home = directory();
    let texts = [
        "there is no case, no check and no clause `no/such/name`",
        "driver-conformance list",
    ];
    refused(home.path(), &["show", "no/such/name"], &texts);
}

#[test]
fn unknown_report_format() {
    let home = directory();
    driver(home.path());
    let texts = ["there is no format `yaml`; formats: json, jsonl, junit"];
    refused(
        home.path(),
        &["driver", "--report", "yaml=report.yaml"],
        &texts,
    );
    refused(
        home.path(),
        &["driver", "--report", "report.json"],
        &["write FORMAT=FILE"],
    );
}

#[test]
fn report_that_cannot_be_written() {
    let home = directory();
    driver(home.path());
    for (file, reason) in [
        ("no/such/directory/report.json", "No such file or directory"),
        ("driver", "Is a directory"),
        ("driver/run.sh/report.json", "Not a directory"),
    ] {
        command(home.path())
            .args(["driver", "--report", &format!("json={file}")])
            .assert()
            .code(3)
            .stderr(contains(format!(
                "the report {file} cannot be written: {reason}"
            )))
            .stderr(contains("name a file in a directory that exists"));
    }
    let left = fs::read_dir(home.path())
        .expect("our own directory")
        .count();
    assert_eq!(left, 1, "an early look leaves nothing behind");
}

#[test]
fn flags_with_bad_values() {
    let home = directory();
    driver(home.path());
    refused(
        home.path(),
        &["driver", "--var", "novalue"],
        &["write NAME=VALUE"],
    );
    refused(
        home.path(),
        &["driver", "--jobs", "0"],
        &["write a whole number from 1"],
    );
    refused(home.path(), &["driver", "--seed", "x"], &["--seed"]);
    let texts = ["gone, the program of run, cannot be used"];
    refused(home.path(), &["driver", "--run-exec", "./gone"], &texts);
}

#[test]
fn job_payload_that_is_none() {
    let home = directory();
    driver(home.path());
    let job = |file| ["job", file, "--driver", "driver"];
    refused(
        home.path(),
        &job("gone.json"),
        &["gone.json cannot be used", "No such file"],
    );
    write(&home.path().join("job.json"), "[1,", 0o644);
    refused(
        home.path(),
        &job("job.json"),
        &["job.json cannot be used", "EOF"],
    );
}

#[test]
fn help_names_every_exit_code() {
    let home = directory();
    let mut assertion = command(home.path()).arg("--help").assert().success();
    for code in ["0 ", "1 ", "2 ", "3 ", "4 ", "5 ", "130 ", "143 "] {
        assertion = assertion.stdout(contains(format!("\n  {code}")));
    }
}
