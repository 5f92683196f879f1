//! The gate as a new user tries it: a repository with a broken driver, the printed template, its commands one after the
//! other. Red with the right finding; with the driver mended, green.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use driver_conformance_scenarios::zoo;
use tempfile::TempDir;
use yaml_rust2::{Yaml, YamlLoader};

/// The check that the broken driver trips.
const CHECK: &str = "exit-code/literal-exit-codes";

/// A repository with a driver in it.
struct Repository(TempDir);

impl Repository {
    fn with(animal: &str) -> Self {
        let repository = Self(tempfile::tempdir().expect("a temporary directory can be made"));
        repository.put(animal);
        repository
    }

    /// Puts a driver of the zoo where the driver of the repository is.
    fn put(&self, animal: &str) {
        let driver = self.path("driver");
        if driver.exists() {
            fs::remove_dir_all(&driver).expect("our own directory");
        }
        let animal = zoo::by_name(animal).expect("it is there");
        animal.write(&driver).expect("written");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Prints a template for the driver.
    fn template(&self, name: &str) -> String {
        let output = self.shell(
            &format!("driver-conformance ci {name} ./driver --quick"),
            &[],
        );
        assert!(output.status.success(), "{}", stderr(&output));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Runs a command as a job of a pipeline does.
    fn shell(&self, command: &str, variables: &[(&str, &str)]) -> Output {
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_driver-conformance"));
        let mut directories = vec![
            binary
                .parent()
                .expect("a file is in a directory")
                .to_owned(),
        ];
        directories.extend(std::env::split_paths(
            &std::env::var_os("PATH").unwrap_or_default(),
        ));
        Command::new("sh")
            .args(["-ec", command])
            .current_dir(self.0.path())
            .env(
                "PATH",
                std::env::join_paths(directories).expect("directories without colons"),
            )
            .env("NO_COLOR", "1")
            .env("CI", "true")
            .env_remove("CI_NODE_INDEX")
            .env_remove("CI_NODE_TOTAL")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output()
            .expect("every system has sh")
    }

    /// Runs commands in order, up to the first that fails; returns its exit code.
    fn job(&self, commands: &[String], variables: &[(&str, &str)]) -> (i32, String) {
        let mut log = String::new();
        for command in commands {
            let output = self.shell(command, variables);
            log.push_str(&String::from_utf8_lossy(&output.stdout));
            log.push_str(&stderr(&output));
            if !output.status.success() {
                return (output.status.code().unwrap_or(-1), log);
            }
        }
        (0, log)
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn parsed(text: &str) -> Vec<Yaml> {
    YamlLoader::load_from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn strings(list: &Yaml) -> Vec<String> {
    let list = list.as_vec().expect("a list").iter();
    list.map(|item| item.as_str().expect("a string").to_owned())
        .collect()
}

/// Every file that a job promises is there.
fn expect_artifacts(repository: &Repository, job: &Yaml) {
    for path in strings(&job["artifacts"]["paths"]) {
        assert!(
            repository.path(path.trim_end_matches('/')).exists(),
            "there is no {path}"
        );
    }
    for report in ["junit", "codequality"] {
        let path = job["artifacts"]["reports"][report]
            .as_str()
            .expect("a file");
        assert!(repository.path(path).exists(), "there is no {path}");
    }
}

#[test]
fn gitlab_is_red_with_the_finding_and_green_without() {
    let repository = Repository::with("literal-exit-codes");
    let pipeline = parsed(&repository.template("gitlab"));
    let job = &pipeline[0]["driver-conformance"];
    let script = strings(&job["script"]);
    let (code, log) = repository.job(&script, &[("GITLAB_CI", "true")]);
    assert_eq!(code, 1, "{log}");
    assert!(log.contains(&format!("FAIL {CHECK}")), "{log}");
    assert!(
        log.contains("section_start:") && log.contains("section_end:"),
        "the log folds"
    );
    expect_artifacts(&repository, job);
    assert!(
        repository
            .text("conformance-junit.xml")
            .contains("<failure ")
    );
    let issues: serde_json::Value =
        serde_json::from_str(&repository.text("conformance-codequality.json")).expect("JSON");
    let issue = issues
        .as_array()
        .expect("a list")
        .iter()
        .find(|issue| issue["check_name"] == CHECK);
    assert_eq!(
        issue.expect("it is there")["location"]["path"],
        "driver/box"
    );
    let (code, log) = repository.job(&strings(&job["after_script"]), &[]);
    assert_eq!(code, 0, "{log}");

    repository.put("good-bash");
    let (code, log) = repository.job(&script, &[]);
    assert_eq!(code, 0, "{log}");
    assert!(
        !repository
            .text("conformance-junit.xml")
            .contains("<failure ")
    );
    assert_eq!(repository.text("conformance-codequality.json"), "[]\n");
    let (_, log) = repository.job(&strings(&job["after_script"]), &[]);
    assert!(
        log.contains(&format!("better {CHECK}")),
        "what the run before had found: {log}"
    );
}

#[test]
fn the_component_spreads_the_cases_and_joins_what_they_show() {
    let repository = Repository::with("literal-exit-codes");
    let text = repository.template("gitlab-component");
    let inputs = parsed(&text)[0]["spec"]["inputs"].clone();
    // As GitLab does it, with everything at its default but the number of jobs.
    let mut filled = text
        .split_once("\n---\n")
        .expect("two documents")
        .1
        .to_owned();
    for (name, input) in inputs.as_hash().expect("a map") {
        let name = name.as_str().expect("a name");
        let value = match (name, &input["default"]) {
            ("shards", _) => "2".to_owned(),
            (_, Yaml::String(text)) => text.clone(),
            (_, other) => panic!("{name}: {other:?}"),
        };
        filled = filled.replace(&format!("$[[ inputs.{name} ]]"), &value);
    }
    assert!(!filled.contains("$[["), "every input is declared: {filled}");
    let pipeline = parsed(&filled);
    let cases = &pipeline[0]["driver-conformance-cases"];
    assert_eq!(cases["parallel"].as_i64(), Some(2));
    for index in ["1", "2"] {
        let variables = [("CI_NODE_INDEX", index), ("CI_NODE_TOTAL", "2")];
        let (code, log) = repository.job(&strings(&cases["script"]), &variables);
        let allowed = cases["allow_failure"]["exit_codes"]
            .as_vec()
            .expect("a list");
        let allowed = allowed
            .iter()
            .any(|allowed| allowed.as_i64() == Some(i64::from(code)));
        assert!(code == 0 || allowed, "{code}: {log}");
    }
    let gate = &pipeline[0]["driver-conformance"];
    let (code, log) = repository.job(&strings(&gate["script"]), &[]);
    assert_eq!(code, 1, "{log}");
    assert!(log.contains(&format!("FAIL {CHECK}")), "{log}");
    expect_artifacts(&repository, gate);
}

#[test]
fn github_is_red_with_the_finding() {
    let repository = Repository::with("literal-exit-codes");
    let workflow = parsed(&repository.template("github"));
    let steps = workflow[0]["jobs"]["driver-conformance"]["steps"]
        .as_vec()
        .expect("a list");
    let commands: Vec<String> = steps
        .iter()
        .filter_map(|step| step["run"].as_str().map(str::to_owned))
        .collect();
    let (code, log) = repository.job(&commands[..1], &[]);
    assert_eq!(code, 1, "{log}");
    assert!(log.contains(&format!("FAIL {CHECK}")), "{log}");
    let summary = repository.path("summary.md");
    let variables = [("GITHUB_STEP_SUMMARY", summary.to_str().expect("UTF-8"))];
    let (code, log) = repository.job(&commands[1..], &variables);
    assert_eq!(code, 0, "{log}");
    assert!(repository.text("summary.md").contains(CHECK));
    let upload = steps
        .iter()
        .find(|step| step["with"]["sarif_file"].as_str().is_some());
    let file = upload.expect("it is uploaded")["with"]["sarif_file"]
        .as_str()
        .expect("a file");
    assert!(repository.text(file).contains("2.1.0"));
}

#[test]
fn the_hook_stops_a_push_and_the_image_names_what_the_driver_needs() {
    let repository = Repository::with("literal-exit-codes");
    let hooks = parsed(&repository.template("pre-commit"));
    let hook = &hooks[0]["repos"][0]["hooks"][0];
    let entry = hook["entry"].as_str().expect("a command").to_owned();
    let (code, log) = repository.job(&[entry], &[]);
    assert_eq!(code, 1, "{log}");
    assert!(log.contains(CHECK), "{log}");
    let image = repository.template("containerfile");
    assert!(
        image.contains("FROM scratch AS binary") && image.contains(" bash "),
        "{image}"
    );
}

#[test]
fn a_path_that_no_pipeline_knows_is_refused() {
    let repository = Repository::with("literal-exit-codes");
    let elsewhere = Repository::with("literal-exit-codes");
    let path = elsewhere.path("driver");
    let output = repository.shell(
        &format!("driver-conformance ci gitlab {}", path.display()),
        &[],
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("a pipeline knows only what is in the repository"));
}
