use super::*;

/// A configuration in which nothing is to be found.
const GOOD: &str = r#"concurrent = 4
shutdown_timeout = 200

[[runners]]
  name = "good"
  url = "https://gitlab.example.com"
  token = "glrt-x"
  executor = "custom"
  shell = "bash"
  builds_dir = "/builds"
  cache_dir = "/cache"
  [runners.custom]
    config_exec = "/opt/driver/config"
    prepare_exec = "/opt/driver/prepare"
    prepare_exec_timeout = 600
    run_exec = "/opt/driver/run"
    run_args = ["--fast"]
    cleanup_exec = "/opt/driver/cleanup"
    cleanup_exec_timeout = 120
    graceful_kill_timeout = 60
    force_kill_timeout = 10
"#;

fn state(path: &str) -> PathState {
    match path {
        "/opt/driver/absent" | "absent-driver" => PathState::Missing,
        "/opt/driver/text" => PathState::NotExecutable,
        _ if path.contains(' ') => PathState::Missing,
        _ => PathState::Program,
    }
}

fn with_surroundings<T>(isolation_fails: bool, ask: impl Fn(&Surroundings<'_>) -> T) -> T {
    ask(&Surroundings {
        path_state: &|path| Some(state(path)),
        times: Times::RUNNER,
        isolation_fails,
    })
}

fn look(text: &str, isolation_fails: bool) -> Vec<LintProblem> {
    with_surroundings(isolation_fails, |around| lint_config(text, around))
}

fn shown(text: &str, problems: &[LintProblem]) -> String {
    let rendered: Vec<String> = problems
        .iter()
        .map(|problem| render("config.toml", text, problem, false))
        .collect();
    rendered.join("\n\n")
}

/// For each rule: what is changed in the good configuration, and whether the report shows jobs that disturb each other.
const BAD: [(&str, &str, &str, bool); 41] = [
    ("syntax", "shell = \"bash\"", "shell = bash", false),
    (
        "wrong-type",
        "prepare_exec_timeout = 600",
        "prepare_exec_timeout = \"600\"",
        false,
    ),
    (
        "missing-run-exec",
        "    run_exec = \"/opt/driver/run\"\n",
        "",
        false,
    ),
    ("unknown-key", "run_args = [", "run_exec_args = [", false),
    (
        "unknown-key",
        "prepare_exec_timeout",
        "prepare_exec_timeoutt",
        false,
    ),
    (
        "unknown-key",
        "graceful_kill_timeout = 60",
        "graceful_kill_timeout = 60\n    run_exec_timeout = 5",
        false,
    ),
    (
        "timeout-not-positive",
        "force_kill_timeout = 10",
        "force_kill_timeout = 0",
        false,
    ),
    ("relative-program", "/opt/driver/run", "driver/run", false),
    (
        "program-not-executable",
        "/opt/driver/run",
        "/opt/driver/text",
        false,
    ),
    (
        "program-not-executable",
        "/opt/driver/cleanup",
        "/opt/driver/absent",
        false,
    ),
    ("unknown-shell", "\"bash\"", "\"/bin/bash\"", false),
    (
        "cleanup-beside-run",
        "graceful_kill_timeout = 60",
        "graceful_kill_timeout = 600",
        false,
    ),
    (
        "shutdown-too-short",
        "shutdown_timeout = 200",
        "shutdown_timeout = 30",
        false,
    ),
    (
        "force-kill-long",
        "force_kill_timeout = 10",
        "force_kill_timeout = 600",
        false,
    ),
    (
        "concurrent-without-isolation",
        "concurrent = 4",
        "concurrent = 4",
        true,
    ),
    (
        "timeout-overflows",
        "prepare_exec_timeout = 600",
        "prepare_exec_timeout = 10000000000",
        false,
    ),
    (
        "wrong-type",
        "prepare_exec_timeout = 600",
        "prepare_exec_timeout = 99999999999999999999",
        false,
    ),
    ("wrong-type", "[[runners]]", "[runners]", false),
    (
        "environment-entry-dropped",
        "shell = \"bash\"",
        "environment = [\"A=1\", \"HTTP_PROXY\"]",
        false,
    ),
    ("relative-directory", "\"/cache\"", "\"cache\"", false),
    // With a config_exec, which may print it, this is only worth a look.
    (
        "missing-directories",
        "  builds_dir = \"/builds\"\n",
        "",
        false,
    ),
    // What is mended here must not meet what is there already, or take its neighbours away.
    (
        "unknown-key",
        "run_args = [\"--fast\"]",
        "run_args = [\"--fast\"]\n    run_exec_args = [\"--slow\"]",
        false,
    ),
    (
        "timeout-not-positive",
        "force_kill_timeout = 10\n",
        "force_kill_timeout = 10\n[[runners]]\n  executor = \"custom\"\n  builds_dir = \"/b\"\n  cache_dir = \"/c\"\n  custom = { run_exec = \"/opt/driver/run\", config_exec_timeout = 0, run_exec_timeout = 5, graceful_kill_timeout = 60 }\n",
        false,
    ),
    (
        "wrong-type",
        "prepare_exec_timeout = 600",
        "prepare_exec_timeout = \"-5\"",
        false,
    ),
    (
        "unknown-key",
        "prepare_exec_timeout = 600",
        "prepare_timeout = 600",
        false,
    ),
    (
        "unknown-key",
        "prepare_exec_timeout = 600",
        "exec_timeout = 600",
        false,
    ),
    (
        "wrong-type",
        "prepare_exec_timeout = 600",
        "prepare_exec_timeout = \"10m\"",
        false,
    ),
    (
        "wrong-type",
        "prepare_exec_timeout = 600",
        "prepare_exec_timeout = 600.0",
        false,
    ),
    (
        "wrong-type",
        "run_args = [\"--fast\"]",
        "run_args = \"--fast\"",
        false,
    ),
    (
        "wrong-type",
        "run_exec = \"/opt/driver/run\"",
        "run_exec = [\"/opt/driver/run\", \"--slow\"]",
        false,
    ),
    (
        "wrong-type",
        "  shell = \"bash\"\n",
        "  shell = \"bash\"\n  environment = { A = \"1\", B = \"two\" }\n",
        false,
    ),
    (
        "arguments-in-program",
        "\"/opt/driver/run\"",
        "\"/opt/driver/run --verbose build\"",
        false,
    ),
    ("executor-misspelt", "\"custom\"", "\"Custom\"", false),
    (
        "misplaced-key",
        "    force_kill_timeout = 10\n",
        "    force_kill_timeout = 10\n    builds_dir = \"/builds\"\n    shutdown_timeout = 5\n",
        false,
    ),
    (
        "misplaced-key",
        "  shell = \"bash\"\n",
        "  shell = \"bash\"\n  graceful_kill_timeout = 60\n",
        false,
    ),
    (
        "program-not-in-path",
        "/opt/driver/cleanup",
        "absent-driver",
        false,
    ),
    ("table-misspelt", "[[runners]]", "[[runner]]", false),
    (
        "table-misspelt",
        "[runners.custom]",
        "[runners.custm]",
        false,
    ),
    ("unknown-key", "builds_dir", "build_dir", false),
    ("relative-program", "/opt/driver/run", "$HOME/run", false),
    (
        "shutdown-too-short",
        "shutdown_timeout = 200",
        "shutdown_timeout = 60",
        false,
    ),
];

#[test]
fn a_good_configuration_is_silent() {
    assert_eq!(shown(GOOD, &look(GOOD, false)), "");
}

#[test]
fn each_rule_finds_its_problem() {
    let mut seen = Vec::new();
    for (index, (rule, from, to, isolation)) in BAD.iter().enumerate() {
        assert!(GOOD.contains(from), "{from}");
        let text = GOOD.replace(from, to);
        let problems = look(&text, *isolation);
        let rules: Vec<&str> = problems.iter().map(|problem| problem.rule).collect();
        assert!(rules.contains(rule), "{rule}: {rules:?}");
        insta::assert_snapshot!(format!("lint-{index:02}-{rule}"), shown(&text, &problems));
        seen.push(*rule);
    }
    for (rule, text) in [
        (
            "missing-directories",
            GOOD.replace("    config_exec = \"/opt/driver/config\"\n", "")
                .replace("  cache_dir = \"/cache\"\n", ""),
        ),
        (
            "prepare-outlasts-job",
            GOOD.replace("prepare_exec_timeout = 600", "prepare_exec_timeout = 3000"),
        ),
        (
            "output-limit-small",
            GOOD.replace("shell = \"bash\"", "output_limit = 64"),
        ),
    ] {
        let problems = look(&text, false);
        assert!(
            problems.iter().any(|problem| problem.rule == rule),
            "{rule}"
        );
        insta::assert_snapshot!(format!("lint-{rule}"), shown(&text, &problems));
        seen.push(rule);
    }
    for (rule, _) in rules::ALL {
        assert!(seen.contains(rule), "no fixture for {rule}");
    }
}

#[test]
fn what_can_be_mended_is_gone_afterwards() {
    for (rule, from, to, isolation) in BAD {
        let text = GOOD.replace(from, to);
        let problems = look(&text, isolation);
        if problems.iter().all(|problem| problem.edit.is_none()) {
            continue;
        }
        for text in [
            text.clone(),
            text.replace('\n', "\r\n"),
            format!("\u{feff}{text}"),
        ] {
            let (mended, count) = with_surroundings(isolation, |around| fixed(&text, around));
            assert!(count > 0, "{rule}");
            let left = look(&mended, isolation);
            assert!(
                left.iter()
                    .all(|problem| problem.edit.is_none() && problem.rule != "syntax"),
                "{rule}: {mended}"
            );
            let again = with_surroundings(isolation, |around| fixed(&mended, around));
            assert_eq!(again, (mended, 0), "{rule}");
        }
    }
}

#[test]
fn what_would_break_a_file_is_left_alone() {
    let edit = |span, text: &str| LintProblem {
        edit: Some(Edit {
            span,
            text: text.to_owned(),
        }),
        ..look("[[runners]]\nexecutor = \"custom\"\n", false)[0].clone()
    };
    let text = "a = 1\nb = 2\n";
    let problems = [edit(0..1, "b"), edit(10..11, "3"), edit(10..11, "4")];
    assert_eq!(step(text, &problems), ("a = 1\nb = 3\n".to_owned(), 1));
}

#[test]
fn keys_in_other_letters_are_the_same_keys() {
    let text = GOOD.replace("run_exec =", "Run_Exec =");
    assert_eq!(shown(&text, &look(&text, false)), "");
}

#[test]
fn other_ways_to_write_the_same_are_silent() {
    for text in [
        GOOD.replace('\n', "\r\n"),
        format!("\u{feff}{GOOD}"),
        GOOD.replace("    ", "\t\t"),
        GOOD.replace("\"good\"", "\"käse ✓\" # Läufer"),
        GOOD.replace("= 600", "= 0x258").replace("= 120", "= 1_20"),
        GOOD.replace("run_exec =", "\"run_exec\" =")
            .replace("\"/opt/driver/run\"", "'/opt/driver/run'"),
        GOOD.replace("[\"--fast\"]", "[ # how\n  \"--fast\", # soon\n]"),
        GOOD.replace("\"custom\"", "\"docker\""),
        String::new(),
    ] {
        assert_eq!(shown(&text, &look(&text, false)), "", "{text}");
    }
}

/// For each hint: the name of a script, and a line that shows it.
const HINTS: [(&str, &str, &str); 6] = [
    ("literal-exit-code", "prepare.sh", "box create || exit 1"),
    (
        "status-passed-on",
        "run.sh",
        "ssh box bash <\"$1\"; exit $?",
    ),
    ("failure-hidden", "run.sh", "bash \"$1\" || true"),
    ("errexit-in-cleanup", "cleanup.sh", "set -euo pipefail"),
    (
        "unprefixed-variable",
        "prepare.sh",
        "box create \"job-$CI_JOB_ID\"",
    ),
    (
        "secret-in-arguments",
        "prepare.sh",
        "podman login --password \"$CUSTOM_ENV_CI_REGISTRY_PASSWORD\" registry",
    ),
];

#[test]
fn each_hint_finds_its_line() {
    for (hint, name, line) in HINTS {
        let text = format!("#!/bin/bash\n# exit 1, exit $? and $CI_JOB_ID in a comment\n{line}\n");
        let problems = lint_script(name, &text);
        let rules: Vec<&str> = problems.iter().map(|problem| problem.rule).collect();
        assert_eq!(rules, [hint], "{line}");
        assert!(
            problems
                .iter()
                .all(|problem| problem.severity == Severity::Hint)
        );
        insta::assert_snapshot!(format!("hint-{hint}"), shown(&text, &problems));
    }
    let tested: Vec<&str> = HINTS.iter().map(|(hint, _, _)| *hint).collect();
    assert!(hints::IDS.iter().all(|id| tested.contains(id)));
}

#[test]
fn good_drivers_give_no_hints() {
    for animal in driver_conformance_scenarios::zoo::all()
        .iter()
        .filter(|animal| animal.is_good())
    {
        for file in &animal.files {
            if let driver_conformance_scenarios::zoo::Content::Text { text, .. } = &file.content {
                let is_shell = text
                    .lines()
                    .next()
                    .is_some_and(|line| line.starts_with("#!") && line.ends_with("sh"));
                let problems = if is_shell {
                    lint_script(&file.path, text)
                } else {
                    Vec::new()
                };
                assert_eq!(shown(text, &problems), "", "{} {}", animal.name, file.path);
            }
        }
    }
}

#[test]
fn text_for_others_is_no_script() {
    let text = "cat <<'END'\nexit 1\nEND\nexit 0\n";
    assert!(lint_script("run.sh", text).is_empty());
}

#[test]
fn hints_know_commands_from_texts() {
    for (name, line, expected) in [
        ("run.sh", "echo 'usage: exit 1 if it fails'", None),
        ("prepare.sh", "cat <<END\nexit 1\nEND", None),
        (
            "prepare.sh",
            "cat <<END\ncd $CI_PROJECT_DIR\nEND",
            Some("unprefixed-variable"),
        ),
        (
            "prepare.sh",
            "trap 'exit 1' TERM",
            Some("literal-exit-code"),
        ),
        (
            "prepare.sh",
            "trap 'box_remove; exit 1' TERM",
            Some("literal-exit-code"),
        ),
        (
            "prepare.sh",
            "if ! boot; then exit 1; fi",
            Some("literal-exit-code"),
        ),
        ("prepare.sh", "boot || exit 1\r", Some("literal-exit-code")),
        (
            "run.sh",
            "bash \"$1\" | tee log; exit ${PIPESTATUS[0]}",
            Some("status-passed-on"),
        ),
        (
            "prepare.sh",
            "curl -H \"PRIVATE-TOKEN: $CUSTOM_ENV_TOKEN\" \"$url\"",
            Some("secret-in-arguments"),
        ),
        (
            "prepare.sh",
            "box exec \"$id\" -- bash -c \"apt-get install -y git || exit 1\"",
            None,
        ),
        (
            "prepare.sh",
            "ssh \"$vm\" '\n  mount /data || exit 1\n'",
            None,
        ),
        (
            "prepare.sh",
            "echo \"it isn't there\"; exit 1",
            Some("literal-exit-code"),
        ),
        (
            "prepare.sh",
            "bash <<<\"$text\"; exit 1",
            Some("literal-exit-code"),
        ),
    ] {
        let problems = lint_script(name, &format!("#!/bin/bash\n{line}\n"));
        let found: Vec<&str> = problems.iter().map(|problem| problem.rule).collect();
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{line}");
    }
    let problems = lint_script("cleanup.sh", "#!/bin/bash -e\nbox delete\n");
    assert_eq!(problems[0].rule, "errexit-in-cleanup");
}

#[test]
fn problems_become_a_report() {
    let text = GOOD.replace("/opt/driver/run", "driver/run");
    let problems = look(&text, false);
    let report = report(
        "0",
        "2026-11-25T00:00:00Z",
        &[("config.toml", &text, &problems)],
    );
    assert_eq!(report.exit_code, 1);
    assert_eq!(report.findings[0].check, "lint/relative-program");
}
