//! Drivers of every kind, found and replaced.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;

fn home() -> TempDir {
    tempfile::tempdir().expect("a temporary directory can be made")
}

fn program(path: &Path) {
    fs::create_dir_all(path.parent().expect("it is in a directory")).expect("our own directory");
    fs::write(path, "#!/bin/sh\n").expect("our own directory");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("our own file");
}

fn found(path: &Path) -> Driver {
    found_with(path, &Overrides::default())
}

fn found_with(path: &Path, flags: &Overrides) -> Driver {
    discover(path, None, flags).unwrap_or_else(|problem| panic!("{problem}"))
}

fn file_name(driver: &Driver, which: Program) -> Option<String> {
    let executable = driver.program(which)?.executable;
    Some(executable.rsplit('/').next().unwrap_or_default().to_owned())
}

#[test]
fn a_directory_has_its_programs_with_any_extension() {
    let home = home();
    program(&home.path().join("run.py"));
    program(&home.path().join("prepare"));
    fs::write(home.path().join("config.toml"), "").expect("our own directory");
    fs::create_dir(home.path().join("cleanup")).expect("our own directory");
    let driver = found(home.path());
    assert_eq!(driver.kind, DriverKind::Directory);
    assert_eq!(file_name(&driver, Program::Run).as_deref(), Some("run.py"));
    assert_eq!(
        file_name(&driver, Program::Prepare).as_deref(),
        Some("prepare")
    );
    assert_eq!(
        driver.program(Program::Config),
        None,
        "config.toml is no program"
    );
    assert_eq!(
        driver.program(Program::Cleanup),
        None,
        "a directory is no program"
    );
    assert!(driver.provide_directories);
}

#[test]
fn an_executable_is_called_with_subcommands() {
    let home = home();
    let path = home.path().join("driver");
    program(&path);
    let driver = found(&path);
    for which in Program::ALL {
        let invocation = driver.program(which).expect("all four are there");
        assert_eq!(invocation.args, [which.name()]);
        assert!(invocation.executable.starts_with('/'));
    }
}

#[test]
fn a_config_toml_is_taken_as_written() {
    let home = home();
    let run = home.path().join("bin/run");
    program(&run);
    let text = format!(
        "concurrent = 3\nshutdown_timeout = 5\n[[runners]]\nname = \"r\"\nexecutor = \"custom\"\nshell = \"sh\"\n\
         builds_dir = \"/b\"\nenvironment = [\"A=1\", \"B\"]\n[runners.feature_flags]\nFF_X = true\n\
         [runners.custom]\nrun_exec = {:?}\nrun_args = [\"-x\"]\nprepare_exec = \"./prepare\"\n\
         config_exec_timeout = 7\n",
        run.display().to_string()
    );
    let path = home.path().join("config.toml");
    fs::write(&path, text).expect("our own directory");
    let driver = found(&path);
    assert_eq!(driver.global.shutdown_timeout, 5);
    assert_eq!(driver.config.shell, "sh");
    assert_eq!(driver.config.builds_dir, "/b");
    assert_eq!(driver.config.cache_dir, "", "what is absent stays absent");
    assert_eq!(driver.config.environment, ["A=1", "B"]);
    assert_eq!(driver.config.feature_flags.get("FF_X"), Some(&true));
    let custom = driver
        .config
        .custom
        .as_ref()
        .expect("a driver always has it");
    assert_eq!(custom.config_exec_timeout, Some(7));
    let prepare = driver.program(Program::Prepare).expect("it is named");
    assert_eq!(prepare.executable, "./prepare", "relative stays relative");
    assert_eq!(
        driver.program(Program::Run).expect("it is named").args,
        ["-x"]
    );
    assert!(!driver.provide_directories);
    assert_eq!(driver.notes.len(), 1, "the relative program is noted");
}

#[test]
fn settings_replace_what_was_found_and_flags_replace_settings() {
    let home = home();
    program(&home.path().join("run"));
    program(&home.path().join("prepare"));
    program(&home.path().join("tools/start"));
    let text = "[custom]\nprepare_exec = \"tools/start\"\nprepare_args = [\"a\"]\ngraceful_kill_timeout = 3\n\
                [runner]\nshell = \"sh\"\nbuilds_dir = \"/settings\"\n\
                [job]\nimage = \"one\"\nservices = [\"db\"]\nvariables = { B = \"1\", A = \"2\" }\n\
                [selection]\nskip = [\"slow\"]\nstrict = true\njobs = 1\n";
    fs::write(home.path().join(SETTINGS_FILE), text).expect("our own directory");
    let driver = found(home.path());
    assert_eq!(
        file_name(&driver, Program::Prepare).as_deref(),
        Some("start")
    );
    assert_eq!(driver.job.image.as_deref(), Some("one"));
    assert_eq!(driver.job.variables[0].0, "B", "in the order of the file");
    assert!(driver.selection.strict);

    let flags = Overrides {
        builds_dir: Some("/flag".into()),
        image: Some("two".into()),
        variables: vec![("B".into(), "9".into())],
        programs: [(
            Program::Prepare,
            ProgramOverride {
                executable: Some(String::new()),
                args: None,
            },
        )]
        .into(),
        ..Overrides::default()
    };
    let driver = found_with(home.path(), &flags);
    assert_eq!(
        driver.program(Program::Prepare),
        None,
        "an empty program is none"
    );
    assert_eq!(driver.config.builds_dir, "/flag");
    assert_eq!(driver.config.shell, "sh");
    assert_eq!(driver.job.image.as_deref(), Some("two"));
    assert_eq!(driver.job.services, ["db"]);
    let variables = [
        ("A".to_owned(), "2".to_owned()),
        ("B".to_owned(), "9".to_owned()),
    ];
    assert_eq!(driver.job.variables, variables);
}

#[test]
fn run_may_come_from_settings() {
    let home = home();
    program(&home.path().join("other"));
    let settings = home.path().join(SETTINGS_FILE);
    fs::write(&settings, "[custom]\nrun_exec = \"./other\"\n").expect("our own directory");
    assert_eq!(
        file_name(&found(home.path()), Program::Run).as_deref(),
        Some("other")
    );
}

#[test]
fn the_digest_changes_with_the_files_and_only_with_them() {
    let home = home();
    program(&home.path().join("run"));
    fs::create_dir(home.path().join(".git")).expect("our own directory");
    let before = found(home.path()).digest;
    fs::write(home.path().join(".git/index"), "x").expect("our own directory");
    assert_eq!(found(home.path()).digest, before);
    fs::write(home.path().join("helper.sh"), "x").expect("our own directory");
    assert_ne!(found(home.path()).digest, before);
    assert_eq!(before.len(), "sha256:".len() + 64);
}

#[test]
fn the_example_in_the_documentation_is_valid() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
    let page = fs::read_to_string(page).expect("the page is part of the repository");
    let (_, rest) = page
        .split_once("```toml\n")
        .expect("the page has an example");
    let (example, _) = rest.split_once("```").expect("the example has an end");
    let home = home();
    program(&home.path().join("run"));
    program(&home.path().join("bin/prepare"));
    fs::write(home.path().join(SETTINGS_FILE), example).expect("our own directory");
    let driver = found(home.path());
    assert_eq!(driver.config.shell, "sh");
    assert_eq!(driver.selection.jobs, Some(2));
    assert_eq!(driver.job.variables.len(), 1);
}
