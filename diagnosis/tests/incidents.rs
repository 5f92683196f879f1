//! Incidents as they come in: logs with the words of tools around the structure of the runner, and logs that are none of ours.

use std::fmt::Write as _;

use driver_conformance_diagnosis::model::Problem;
use driver_conformance_diagnosis::text::Input;
use driver_conformance_diagnosis::{diagnose, render};

/// A job log without time stamps: sections with what was printed in them, and a verdict.
fn job(sections: &[(&str, &str)], verdict: &str) -> String {
    let mut log =
        "Running with gitlab-runner 19.4.0 (abc)\n  on box1 t1_abc, system ID: s_1\n".to_owned();
    for (index, (name, text)) in sections.iter().enumerate() {
        let heading = match *name {
            "prepare_executor" => "Preparing the \"custom\" executor",
            "prepare_script" => "Preparing environment",
            "get_sources" => "Getting source from Git repository",
            "step_script" => "Executing \"step_script\" stage of the job script",
            "after_script" => "Running after_script",
            "restore_cache" => "Restoring cache",
            "archive_cache" => "Saving cache for successful job",
            "download_artifacts" => "Downloading artifacts",
            "upload_artifacts_on_success" => "Uploading artifacts for successful job",
            "cleanup_file_variables" => "Cleaning up project directory and file based variables",
            other => panic!("no heading for {other}"),
        };
        let at = 1_795_478_400 + index;
        write!(log, "section_start:{at}:{name}\r\u{1b}[0K\u{1b}[0K\u{1b}[36;1m{heading}\u{1b}[0;m\u{1b}[0;m\n{text}").expect("writing to a string");
        write!(log, "section_end:{at}:{name}\r\u{1b}[0K").expect("writing to a string");
    }
    writeln!(log, "\u{1b}[31;1m{verdict}\u{1b}[0;m").expect("writing to a string");
    log
}

const READY: &str = "Using Custom executor...\n";
const RAN: &str = "Running on vm-17 via box1...\n";
const FETCHED: &str = "Fetching changes with git depth set to 20...\nChecking out 1ecfd275 as detached HEAD (ref is main)...\n";

fn in_prepare(text: &str, verdict: &str) -> String {
    job(&[("prepare_executor", &format!("{READY}{text}"))], verdict)
}

fn in_step(text: &str, verdict: &str) -> String {
    job(
        &[
            ("prepare_executor", READY),
            ("prepare_script", RAN),
            ("get_sources", FETCHED),
            ("step_script", text),
            ("cleanup_file_variables", ""),
        ],
        verdict,
    )
}

fn in_sources(text: &str, verdict: &str) -> String {
    job(
        &[
            ("prepare_executor", READY),
            ("prepare_script", RAN),
            ("get_sources", text),
            ("cleanup_file_variables", ""),
        ],
        verdict,
    )
}

fn first_script(text: &str, verdict: &str) -> String {
    job(
        &[("prepare_executor", READY), ("prepare_script", text)],
        verdict,
    )
}

fn found(log: &str) -> Vec<String> {
    let diagnosis = diagnose(&[Input::whole("log", log)]);
    diagnosis.problems.iter().map(Problem::summary).collect()
}

const SYSTEM_2: &str = "ERROR: Job failed (system failure): exit status 2";
const SCRIPT_1: &str = "ERROR: Job failed: exit status 1";
const RAW_255: &str = "ERROR: Job failed (system failure): unknown Custom executor executable exit code 255; executable execution terminated with: exit status 255";

/// What comes first must be this.
fn expect(name: &str, log: &str, wanted: &str) {
    let found = found(log);
    assert_eq!(
        found.first().map(String::as_str),
        Some(wanted),
        "{name}: {found:?}"
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table of incidents")]
fn words_of_a_tool_count_at_the_call_that_failed() {
    let environment = |error: &str| {
        format!(
            "ERROR: Job failed (system failure): prepare environment: {error}. Check https://docs.gitlab.com/runner/shells/#shell-profile-loading for more information"
        )
    };
    for (name, log, wanted) in [
        (
            "name",
            in_prepare(
                "Error: creating container storage: the container name \"job-5\" is already in use by 4f\nERROR: Preparation failed: exit status 2\nWill be retried in 3s ...\n",
                SYSTEM_2,
            ),
            "prepare - name-already-taken",
        ),
        (
            "daemon",
            in_prepare(
                "error: failed to connect to the hypervisor\nERROR: Preparation failed: exit status 2\nWill be retried in 3s ...\n",
                SYSTEM_2,
            ),
            "prepare - backend-not-reachable",
        ),
        (
            "quota",
            in_prepare(
                "openstack: Quota exceeded for instances\nERROR: Preparation failed: exit status 2\nWill be retried in 3s ...\n",
                SYSTEM_2,
            ),
            "prepare - out-of-capacity",
        ),
        (
            "host key",
            first_script(
                "Host key verification failed.\r\n",
                &environment(
                    "unknown Custom executor executable exit code 255; executable execution terminated with: exit status 255",
                ),
            ),
            "run prepare_script ssh-refused",
        ),
        (
            "copied path",
            first_script(
                "bash: /tmp/custom-executor123/script45/script: No such file or directory\n",
                &environment(
                    "unknown Custom executor executable exit code 127; executable execution terminated with: exit status 127",
                ),
            ),
            "run prepare_script script-not-in-environment",
        ),
        (
            "base image",
            in_prepare(
                "qemu-img: /srv/base.qcow2: Could not open backing file: No such file or directory\nERROR: Preparation failed: exit status 2\nWill be retried in 3s ...\n",
                SYSTEM_2,
            ),
            "prepare - base-image-missing",
        ),
        (
            "another shell",
            first_script(
                "sh: /tmp/script: line 3: syntax error: unexpected redirection\n",
                &environment("exit status 2"),
            ),
            "run prepare_script wrong-shell",
        ),
        (
            "a mistake of the user",
            in_step(
                "$ ./build.sh\n./build.sh: line 4: syntax error near unexpected token `)'\n",
                "ERROR: Job failed: exit status 2",
            ),
            "none build_script script-failed",
        ),
        (
            "no shell",
            first_script(
                "exec: \"bash\": executable file not found in $PATH\n",
                &environment("exit status 2"),
            ),
            "run prepare_script shell-missing-in-environment",
        ),
        (
            "lost",
            in_step(
                "$ make all\ncc -c a.c\nclient_loop: send disconnect: Broken pipe\r\n",
                RAW_255,
            ),
            "run build_script connection-lost",
        ),
        (
            "lost as script",
            in_step(
                "$ make all\nConnection to 10.0.0.7 closed by remote host.\r\n",
                SCRIPT_1,
            ),
            "run build_script connection-lost",
        ),
        (
            "gone",
            in_step(
                "$ make all\nError: no container with name or ID \"job-5\" found: no such container\n",
                SYSTEM_2,
            ),
            "run build_script environment-gone",
        ),
        (
            "make",
            in_step(
                "$ make all\nmake: *** [Makefile:2: all] Error 1\n",
                SYSTEM_2,
            ),
            "run build_script user-failure-as-system-failure",
        ),
        (
            "raw",
            in_step(
                "$ ./test.sh\n3 tests failed\n",
                "ERROR: Job failed (system failure): unknown Custom executor executable exit code 3; executable execution terminated with: exit status 3",
            ),
            "run build_script raw-exit-code",
        ),
        (
            "code file",
            in_step(
                "$ ./test.sh\n",
                "ERROR: Job failed (system failure): unknown Custom executor executable exit code 2; executable execution terminated with: exit status 1",
            ),
            "run build_script exit-code-file-unreadable",
        ),
        (
            "script",
            in_step(
                "$ cargo test\ntest result: FAILED. 1 passed; 1 failed\n",
                SCRIPT_1,
            ),
            "none build_script script-failed",
        ),
        (
            "stage",
            in_step("run: unknown stage build_script\n", SYSTEM_2),
            "run build_script stage-name-not-known",
        ),
        (
            "fresh environment",
            in_step(
                "/bin/bash: line 12: cd: /builds/group/proj: No such file or directory\n",
                SCRIPT_1,
            ),
            "run build_script environment-not-kept",
        ),
        (
            "builds dir",
            in_sources(
                "mkdir: cannot create directory '/private': Permission denied\n",
                SCRIPT_1,
            ),
            "run get_sources builds-dir-not-writable",
        ),
        (
            "git",
            in_sources("bash: line 30: git: command not found\n", SCRIPT_1),
            "run get_sources tool-missing-in-environment",
        ),
        (
            "dns",
            in_sources(
                "fatal: unable to access 'https://gitlab.example.com/a/b.git/': Could not resolve host: gitlab.example.com\n",
                SCRIPT_1,
            ),
            "run get_sources network-missing-in-environment",
        ),
        (
            "access",
            in_sources(
                "remote: HTTP Basic: Access denied\nfatal: Authentication failed for 'https://gitlab.example.com/a/b.git/'\n",
                SCRIPT_1,
            ),
            "gitlab get_sources git-server-refused",
        ),
        (
            "submodule",
            in_sources(
                "remote: The project you were looking for could not be found or you don't have permission to view it.\nfatal: repository 'https://gitlab.example.com/a/c.git/' not found\n",
                SCRIPT_1,
            ),
            "gitlab get_sources git-server-refused",
        ),
        (
            "owner",
            in_sources(
                "fatal: detected dubious ownership in repository at '/builds/a/b'\n",
                SCRIPT_1,
            ),
            "run get_sources dubious-ownership",
        ),
        (
            "full while preparing",
            in_prepare(
                "Error: writing blob: no space left on device\nERROR: Preparation failed: exit status 2\nWill be retried in 3s ...\n",
                SYSTEM_2,
            ),
            "prepare - disk-full",
        ),
        (
            "full",
            in_step("$ make\nwrite error: No space left on device\n", SCRIPT_1),
            "run build_script disk-full",
        ),
    ] {
        expect(name, &log, wanted);
    }
}

#[test]
fn a_green_job_may_have_problems_too() {
    let sections = [
        ("prepare_executor", READY),
        ("prepare_script", RAN),
        ("get_sources", FETCHED),
        ("step_script", "$ make\nok\n"),
        (
            "archive_cache",
            "Missing gitlab-runner. Creating cache is disabled.\n",
        ),
        ("cleanup_file_variables", ""),
    ];
    let log = job(&sections, "Job succeeded");
    expect(
        "cache",
        &log,
        "run archive_cache gitlab-runner-missing-in-environment",
    );
    let log = in_step(
        "$ make\nok\n",
        "WARNING: Cleanup script failed: exit status 2\u{1b}[0;m\nJob succeeded",
    );
    expect("cleanup", &log, "cleanup - cleanup-failed");
    let log = in_step("", "Job succeeded");
    expect("nothing ran", &log, "run build_script step-did-nothing");
    let notice = "WARNING: Starting with version 17.0 the 'build_script' stage will be replaced with 'step_script': https://gitlab.com/groups/gitlab-org/-/epics/6112\n";
    let log = in_step(notice, "Job succeeded");
    expect("a notice", &log, "run build_script step-did-nothing");
}

#[test]
fn a_log_that_ends_early_says_where() {
    let cut =
        |log: String, at: &str| log[..log.find(at).expect("it is there") + at.len()].to_owned();
    let log = cut(
        first_script("", SYSTEM_2),
        "Preparing environment\u{1b}[0;m\u{1b}[0;m\n",
    );
    expect(
        "first script",
        &log,
        "run prepare_script hang-in-first-script",
    );
    let log = cut(in_step("$ make\n", SCRIPT_1), "$ make\n");
    expect("step", &log, "run build_script hang-in-stage");
    let log = cut(
        in_step("$ make\n", SCRIPT_1),
        "cleanup_file_variables\r\u{1b}[0K\u{1b}[0K\u{1b}[36;1mCleaning up project directory and file based variables\u{1b}[0;m\u{1b}[0;m\n",
    );
    assert!(!found(&log).is_empty());
}

#[test]
fn healthy_and_unrelated_logs_are_silent() {
    let ok = |text: &str| in_step(text, "Job succeeded");
    let logs = [
        ok("$ make\nok\n"),
        // Words that mean something elsewhere, in a job that went well.
        ok("$ ./retry.sh\nssh: connect to host test port 22: Connection refused\nretrying\nok\n"),
        ok("$ podman rm -f x\nError: no container with name or ID \"x\" found: no such container\n"),
        ok("$ echo 'ERROR: Job failed: exit status 1'\nERROR: Job failed: exit status 1\n"),
        ok("$ grep -r Killed .\nKilled\n"),
        ok("$ ./test\npanic: recovered\nok\n"),
        ok("$ cat log\nMissing gitlab-runner. Extracting cache is disabled.\n"),
        "panic: runtime error: index out of range\n\ngoroutine 1 [running]:\nmain.main()\n".to_owned(),
        ok("$ cat log\nlevel=error msg=\"failed\" job=5 runner=abc\n"),
        ok("$ df\nNo space left on device is what we test\n"),
        "Nov 24 00:20:58 host kernel: Out of memory: Killed process 5 (java)\n".repeat(50),
        "127.0.0.1 - - [24/Nov/2026] \"GET / HTTP/1.1\" 500 12\n".repeat(50),
        "error[E0308]: mismatched types\n --> src/main.rs:1:1\nerror: could not compile `x`\n".to_owned(),
        "{\"level\":\"error\",\"message\":5}\n{\"a\":1}\n".to_owned(),
        "Running with gitlab-runner 19.4.0 (abc)\nPreparing the \"docker\" executor\nUsing Docker executor with image alpine ...\nPreparing environment\nRunning on runner-1 via box...\nGetting source from Git repository\nExecuting \"step_script\" stage of the job script\n$ false\nCleaning up project directory and file based variables\nERROR: Job failed: exit code 1\n".to_owned(),
        "Restoring cache\n".to_owned(),
        "time=\"2026-11-24T08:13:02Z\" level=error msg=\"Handler for POST /containers/create returned error: No such image\"\n".to_owned(),
        String::new(),
        "\u{0}\u{1}\u{2}PNG\n\u{0}\u{ff}".repeat(1000),
        "Checking for jobs... received                       job=5 repo_url=https://x/y.git runner=abc\nJob succeeded                                       duration_s=12 job=5 project=3 runner=abc\n".to_owned(),
    ];
    for log in logs {
        assert_eq!(found(&log), Vec::<String>::new(), "{log}");
    }
}

/// A log as mail programs, chats and tools for containers show it.
fn with_prefix(log: &str, prefix: impl Fn(usize) -> String) -> String {
    let lines = log.lines().enumerate();
    let mut text = String::new();
    for (index, line) in lines {
        writeln!(text, "{}{line}", prefix(index)).expect("writing to a string");
    }
    text
}

const FIRST_SCRIPT_255: &str = "ERROR: Job failed (system failure): prepare environment: unknown Custom executor executable exit code 255; executable execution terminated with: exit status 255. Check https://docs.gitlab.com/runner/shells/#shell-profile-loading for more information";

/// What stands in front of the line with this index.
type Prefix = fn(usize) -> String;

#[test]
fn what_stands_in_front_of_every_line_does_not_matter() {
    let job_log = first_script("Host key verification failed.\n", FIRST_SCRIPT_255);
    let runner_log = format!(
        "Checking for jobs... received                       job=5 runner=abc\n{FIRST_SCRIPT_255}  duration_s=3 job=5 runner=abc\nFailed to process runner                            builds=0 error=x executor=custom\n"
    );
    let prefixes: [(&str, Prefix); 6] = [
        ("mail", |_| "> ".to_owned()),
        ("compose", |_| "gitlab-runner-1  | ".to_owned()),
        ("kubectl", |_| "[pod/ci-7c9/gitlab-runner] ".to_owned()),
        ("numbers", |index| format!("{:5} ", index + 1)),
        ("indented", |_| "    ".to_owned()),
        ("times", |index| {
            format!("[2026-11-24T00:20:{:02}Z] ", index % 60)
        }),
    ];
    for (name, prefix) in prefixes {
        let log = with_prefix(&job_log, prefix);
        expect(name, &log, "run prepare_script ssh-refused");
        let log = with_prefix(&runner_log, prefix);
        expect(name, &log, "run prepare_script environment-not-usable");
    }
}

#[test]
fn what_git_and_shells_say_is_known_in_any_language() {
    for (text, wanted) in [
        (
            "/bin/bash: 行 93: git: コマンドが見つかりません\n",
            "run get_sources tool-missing-in-environment",
        ),
        (
            "bash: línea 87: git: orden no encontrada\n",
            "run get_sources tool-missing-in-environment",
        ),
        (
            "fatal: Konnte Remote-Referenz refs/heads/login nicht finden.\n",
            "gitlab get_sources git-server-refused",
        ),
        (
            "fatal: Remote branch release/9 not found in upstream origin\n",
            "gitlab get_sources git-server-refused",
        ),
        (
            "git@gitlab.example.org: Permission denied (publickey).\nfatal: Could not read from remote repository.\n",
            "gitlab get_sources git-server-refused",
        ),
        (
            "fatal: Unable to create '/builds/a/b/.git/index.lock': File exists.\n",
            "run get_sources repository-in-use",
        ),
    ] {
        expect(text, &in_sources(text, SCRIPT_1), wanted);
    }
}

#[test]
fn a_mistake_of_the_driver_is_told_from_one_of_the_script() {
    let twice = |text: &str, error: &str| {
        in_prepare(
            &format!("{text}\nERROR: Preparation failed: {error}\nWill be retried in 3s ...\n"),
            SYSTEM_2,
        )
    };
    let line = "/opt/d/prepare.sh: line 12: CI_JOB_ID: unbound variable";
    expect(
        "unbound",
        &twice(line, "exit status 2"),
        "prepare - driver-script-broken",
    );
    let line = "/opt/d/prepare.sh: Zeile 12: podmann: Kommando nicht gefunden.";
    expect(
        "German",
        &twice(line, "exit status 2"),
        "prepare - driver-script-broken",
    );
    let line = "permission denied while trying to connect to the Docker daemon socket";
    expect(
        "rights",
        &twice(line, "exit status 2"),
        "prepare - backend-refuses",
    );
    for (line, wanted) in [
        (
            "error: quota \"cores\" exceeded in region eu-west",
            "out-of-capacity",
        ),
        (
            "(InsufficientInstanceCapacity) when calling RunInstances",
            "out-of-capacity",
        ),
        (
            "(ExpiredToken) when calling RunInstances",
            "backend-refuses",
        ),
        (
            "curl: (22) The requested URL returned error: 503",
            "backend-in-trouble",
        ),
        (
            "curl: (7) Failed to connect to api.cloud.local port 443",
            "backend-not-reachable",
        ),
    ] {
        expect(
            line,
            &twice(line, "exit status 2"),
            &format!("prepare - {wanted}"),
        );
    }
    let lost = "$ make test\nparamiko.ssh_exception.SSHException: Channel closed.\n";
    expect(
        "library",
        &in_step(lost, SCRIPT_1),
        "run build_script connection-lost",
    );
    // The end of a log, without the sections before.
    let end = format!("client_loop: send disconnect: Broken pipe\n{RAW_255}\n");
    expect("end", &end, "run - connection-lost");
}

/// A text as a string of JSON.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is a string")
}

#[test]
fn a_log_inside_of_json_tells_the_same() {
    let log = first_script("Host key verification failed.\n", FIRST_SCRIPT_255);
    let answer = format!(
        "{{\"id\": 5, \"status\": \"failed\", \"log\": {}}}",
        quoted(&log)
    );
    let rows = |row: &dyn Fn(&str) -> String, between: &str| -> String {
        let rows: Vec<String> = log.lines().map(row).collect();
        rows.join(between)
    };
    let wrapped = [
        ("an answer", answer.clone()),
        (
            "an answer in an answer",
            format!("{{\"body\": {}}}", quoted(&answer)),
        ),
        (
            "indented",
            format!("[\n  {{\n    \"trace\": {}\n  }}\n]\n", quoted(&log)),
        ),
        ("cut off", answer.trim_end_matches('}').to_owned()),
        (
            "with a head",
            format!("HTTP/2 200\ncontent-type: application/json\n\n{answer}\n"),
        ),
        (
            "an object a line",
            rows(
                &|line| {
                    format!(
                        "{{\"stream\": \"stdout\", \"log\": {}}}",
                        quoted(&format!("{line}\r\n"))
                    )
                },
                "\n",
            ),
        ),
        (
            "pairs",
            format!(
                "{{\"values\": [{}]}}",
                rows(&|line| format!("[\"1795478400\", {}]", quoted(line)), ", ")
            ),
        ),
        (
            "pieces of lines",
            format!(
                "{{\"lines\": [{}]}}",
                rows(
                    &|line| format!("{{\"content\": [{{\"text\": {}}}]}}", quoted(line)),
                    ", "
                )
            ),
        ),
    ];
    for (name, text) in wrapped {
        expect(name, &text, "run prepare_script ssh-refused");
    }
    // What a script prints is no log, and a job that went well stays one.
    let shown = in_step(&format!("$ curl api\n{answer}\n"), "Job succeeded");
    assert_eq!(found(&shown), Vec::<String>::new());
    let fine = format!(
        "{{\"log\": {}}}",
        quoted(&in_step("$ make\n", "Job succeeded"))
    );
    assert_eq!(found(&fine), Vec::<String>::new());
}

#[test]
fn a_fragment_tells_what_its_words_tell() {
    expect(
        "one line",
        &format!("{FIRST_SCRIPT_255}\n"),
        "run prepare_script environment-not-usable",
    );
    expect(
        "place unknown",
        &format!("{RAW_255}\n"),
        "run - raw-exit-code",
    );
    let attempt = "ERROR: Preparation failed: unknown Custom executor executable exit code 125; executable execution terminated with: exit status 125\nWill be retried in 3s ...\n";
    expect("an attempt", attempt, "prepare - raw-exit-code");
    // Stages that follow a failure do not say which one it was.
    let tail = format!(
        "Saving cache for failed job\nCleaning up project directory and file based variables\n{RAW_255}\n"
    );
    expect("the end", &tail, "run - raw-exit-code");
    let diagnosis = diagnose(&[Input::whole("log", format!("{SYSTEM_2}\n"))]);
    assert!(diagnosis.problems.is_empty());
    assert!(
        diagnosis.notes[0].contains("not enough to tell"),
        "{:?}",
        diagnosis.notes
    );
}

#[test]
fn what_a_script_complains_of_is_its_own_affair() {
    for (name, text, verdict) in [
        (
            "its own ssh",
            "$ ssh deploy@prod ./restart\nssh: connect to host prod port 22: Connection refused\n",
            "ERROR: Job failed: exit status 255",
        ),
        (
            "its own container",
            "$ docker rm app\nError response from daemon: No such container: app\n",
            SCRIPT_1,
        ),
        (
            "a test that went on",
            "$ pytest -q\nConnectionResetError: Connection reset by peer\n= short test summary info =\nFAILED a\nFAILED b\n2 failed\n",
            SCRIPT_1,
        ),
        (
            "its own client",
            "$ ./all.sh\nTraceback (most recent call last):\n  File \"/builds/a/b/t.py\", line 3, in <module>\nparamiko.ssh_exception.SSHException: Channel closed.\n",
            SCRIPT_1,
        ),
        (
            "its own cloud",
            "$ make integration\ndocker.errors.APIError: 500 Server Error\n",
            SCRIPT_1,
        ),
        (
            "a quoted verdict",
            "$ ./check-logs.sh\nERROR: Job failed (system failure): exit status 2\nPreparing the \"docker\" executor\n2 lines differ\n",
            SCRIPT_1,
        ),
        (
            "sections of its own",
            "$ ./all.sh\nsection_start:1795478400:prepare_executor\r\u{1b}[0KPrepare\nfine\nsection_end:1795478401:prepare_executor\r\u{1b}[0K\nbad\n",
            SCRIPT_1,
        ),
    ] {
        expect(
            name,
            &in_step(text, verdict),
            "none build_script script-failed",
        );
    }
}

#[test]
fn a_script_that_was_still_at_work_needs_more_time() {
    let log = |moments: &[u32]| {
        let mut log = String::new();
        let line = |log: &mut String, minute: u32, stream: &str, text: &str| {
            writeln!(log, "2026-11-24T00:{minute:02}:00.000000Z {stream}O {text}")
                .expect("writing to a string");
        };
        line(&mut log, 0, "00", "Preparing the \"custom\" executor");
        for (minute, name) in [(0, "prepare_executor"), (0, "get_sources")] {
            line(&mut log, minute, "00", &format!("section_start:1:{name}\r"));
            line(&mut log, minute, "00", &format!("section_end:1:{name}\r"));
        }
        line(&mut log, 1, "00", "section_start:1:step_script\r");
        line(&mut log, 1, "01", "$ make check");
        for minute in moments {
            line(&mut log, *minute, "01", "test 7 of 90");
        }
        line(
            &mut log,
            59,
            "00",
            "WARNING: step_script could not run to completion because the timeout was exceeded. For more control",
        );
        line(&mut log, 59, "00", "section_end:1:step_script\r");
        line(
            &mut log,
            59,
            "00",
            "ERROR: Job failed: execution took longer than 1h0m0s seconds",
        );
        log
    };
    expect(
        "at work",
        &log(&[58, 59]),
        "none build_script job-needs-more-time",
    );
    expect("silent", &log(&[2, 3]), "run build_script job-timeout");
    let polls = log(&[56, 57, 58, 59]);
    expect("polls", &polls, "run build_script job-timeout");
}

#[test]
fn artifacts_that_gitlab_refuses_are_no_driver_problem() {
    let sections = [
        ("prepare_executor", READY),
        ("prepare_script", RAN),
        ("get_sources", FETCHED),
        (
            "download_artifacts",
            "Downloading artifacts for build (990)...\nERROR: Downloading artifacts from coordinator... not found  id=990 responseStatus=404 Not Found\nFATAL: file does not exist\n",
        ),
        ("cleanup_file_variables", ""),
    ];
    expect(
        "gone",
        &job(&sections, SCRIPT_1),
        "gitlab download_artifacts artifacts-refused",
    );
}

/// A job that stores a cache and uploads artifacts after its step.
fn with_uploads(cache: &str, artifacts: &str) -> String {
    let sections = [
        ("prepare_executor", READY),
        ("prepare_script", RAN),
        ("get_sources", FETCHED),
        ("step_script", "$ make\n"),
        ("archive_cache", cache),
        ("upload_artifacts_on_success", artifacts),
        ("cleanup_file_variables", ""),
    ];
    job(&sections, "Job succeeded")
}

#[test]
fn a_green_job_whose_uploads_were_refused_says_so() {
    let stored = "Creating cache default...\nvendor/: found 2 matching artifact files and directories\nCreated cache\n";
    let uploaded = "Uploading artifacts as \"archive\" to coordinator... 201 Created  id=7 responseStatus=201 Created\n";
    let refused = "Creating cache default...\nWARNING: received: 403 Forbidden. Request failed with code: ExpiredToken\nFATAL: received: 403 Forbidden\nFailed to create cache\n";
    expect(
        "cache",
        &with_uploads(refused, uploaded),
        "runner archive_cache cache-store-refused",
    );
    let refused = "Uploading artifacts as \"archive\" to coordinator... 403 Forbidden  id=7 responseStatus=403 Forbidden\nFATAL: permission denied\n";
    let found = found(&with_uploads(stored, refused));
    assert_eq!(
        found,
        [
            "run upload_artifacts_on_success failure-hidden",
            "gitlab upload_artifacts_on_success artifacts-refused",
        ]
    );
    let again = format!(
        "ERROR: Uploading artifacts as \"archive\" to coordinator... 502 Bad Gateway  id=7\nWARNING: Retrying...   context=artifacts-uploader error=invalid argument\n{uploaded}"
    );
    for (name, log) in [
        ("stored", with_uploads(stored, uploaded)),
        ("the second time", with_uploads(stored, &again)),
        (
            "nothing there yet",
            with_uploads(
                "WARNING: file does not exist\nFailed to extract cache\n",
                uploaded,
            ),
        ),
    ] {
        assert_eq!(self::found(&log), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn sources_that_were_not_fetched_are_a_hidden_failure() {
    let sections = [
        ("prepare_executor", READY),
        ("prepare_script", RAN),
        (
            "get_sources",
            "Fetching changes with git depth set to 20...\nfatal: unable to write new index file\n",
        ),
        ("step_script", "$ true\n"),
        ("cleanup_file_variables", ""),
    ];
    expect(
        "green",
        &job(&sections, "Job succeeded"),
        "run get_sources failure-hidden",
    );
}

#[test]
fn a_driver_that_crashes_in_a_step_is_told_from_a_script_that_failed() {
    let trace = "Traceback (most recent call last):\n  File \"/opt/vm-driver/run.py\", line 61, in <module>\n    main(sys.argv)\nIndexError: list index out of range\n";
    for (name, text, wanted) in [
        (
            "a trace through its files",
            format!("$ make\n{trace}"),
            "run build_script driver-script-broken",
        ),
        (
            "before the script",
            "vm 17 has no address\n".to_owned(),
            "run build_script driver-failed-before-script",
        ),
        (
            "a trace through files of the job",
            format!("$ make\n{}", trace.replace("/opt/vm-driver", "/builds/a/b")),
            "none build_script script-failed",
        ),
    ] {
        expect(name, &in_step(&text, SCRIPT_1), wanted);
    }
}

/// A step and an `after_script` that both fail with 1.
fn with_after_script(step: &str, after: &str) -> String {
    let after = format!(
        "{after}WARNING: after_script failed, but job will continue unaffected: exit status 1\n"
    );
    let sections = [
        ("prepare_executor", READY),
        ("prepare_script", RAN),
        ("get_sources", FETCHED),
        ("step_script", step),
        ("after_script", after.as_str()),
        ("cleanup_file_variables", ""),
    ];
    job(&sections, SCRIPT_1)
}

#[test]
fn an_environment_that_is_gone_is_told_by_the_stage_that_comes_next() {
    let gone = "run build_script environment-gone";
    for (name, step, after, wanted) in [
        (
            "no echo",
            "$ ctest\nTest #1\n",
            "vm 77 is not known\n",
            gone,
        ),
        (
            "the same words",
            "$ ctest\nno reply from 10.0.3.7:22 (pid 811)\n",
            "no reply from 10.0.3.7:22 (pid 903)\n",
            gone,
        ),
        (
            "an after_script that ran",
            "$ ctest\n1 test failed\n",
            "$ rm -r out\nrm: out: No such file or directory\n",
            "none build_script script-failed",
        ),
    ] {
        expect(name, &with_after_script(step, after), wanted);
    }
}

#[test]
fn a_driver_that_crashes_in_a_stage_without_code_of_the_user_is_known_by_its_files() {
    let trace = "goroutine 1 [running]:\nmain.main()\n\t/go/src/vm-driver/run.go:88 +0x2b1\nexit status 2\n";
    expect(
        "Go",
        &in_sources(trace, SCRIPT_1),
        "run get_sources driver-script-broken",
    );
    let wanted = "run prepare_script image-of-another-architecture";
    let log = first_script(
        "exec /bin/bash: exec format error\n",
        "ERROR: Job failed (system failure): prepare environment: exit status 2. Check https://docs.gitlab.com/runner/shells/",
    );
    expect("architecture", &log, wanted);
}

#[test]
fn what_the_runner_says_elsewhere_is_quoted_in_a_step() {
    let quoted = "$ cat incident.log\nUsing Custom executor...\nERROR: Preparation failed: exit status 2\nWARNING: Cleanup script failed: exit status 2\nERROR: Job failed (system failure): exit status 2\n";
    assert_eq!(
        found(&in_step(quoted, "Job succeeded")),
        Vec::<String>::new()
    );
    let expected = "$ ./negative.sh\nclient_loop: send disconnect: Broken pipe\nas expected\nok\n";
    assert_eq!(
        found(&in_step(expected, "Job succeeded")),
        Vec::<String>::new()
    );
}

#[test]
fn preparing_that_takes_the_time_of_the_job_is_the_driver_s_affair() {
    let log = in_prepare(
        "waiting for ssh on 10.0.0.7\n",
        "ERROR: Job failed: execution took longer than 1h0m0s seconds",
    );
    expect("waits", &log, "prepare - prepare-outlasts-job");
}

#[test]
fn a_cancelled_job_that_does_not_end_is_the_driver_s_affair() {
    let log = "WARNING: script canceled externally (UI, API)         job=5 runner=abc\nWARNING: Appending trace to coordinator... job failed  code=202 job=5 job-status=canceled runner=abc\nWARNING: Timed out waiting for the build to finish   job=5 runner=abc\nWARNING: Job failed: canceled                        exit_code=0 failure_reason=job_canceled job=5 runner=abc\n";
    expect("runner log", log, "run - termination-ignored");
}

#[test]
fn a_driver_that_gives_up_in_a_step_without_a_trace_is_known_by_what_is_around_it() {
    let step = |prepare: &str, step: &str, last: &str| {
        let prepare = format!("{READY}{prepare}");
        let sections = [
            ("prepare_executor", prepare.as_str()),
            ("prepare_script", RAN),
            ("get_sources", FETCHED),
            ("step_script", step),
            ("cleanup_file_variables", last),
        ];
        job(&sections, SCRIPT_1)
    };
    let log = step(
        "[vm-driver] cloning the base image\n",
        "$ make\ncc a.c\n[vm-driver] the guest agent is not responding\n",
        "",
    );
    expect("voice", &log, "run build_script driver-failed-in-step");
    let log = step(
        "[vm-driver] cloning the base image\n",
        "$ make\ncc a.c\n[vm-driver] script exited with 1\n",
        "",
    );
    expect("report", &log, "none build_script script-failed");
    let log = step(
        "",
        "$ make\ncc a.c\n",
        "ssh: connect to host 10.0.0.7 port 22: Connection refused\n",
    );
    expect("next stage", &log, "run build_script environment-gone");
    let log = "WARNING: Error while executing file based variables removal script  error=exit status 1 job=5 runner=abc\nWARNING: Job failed: exit status 1                     exit_code=1 failure_reason=script_failure job=5 runner=abc\n";
    let of_job = in_step("$ make\ncc a.c\n", SCRIPT_1);
    let inputs = [Input::whole("job", of_job), Input::whole("runner", log)];
    let problems = diagnose(&inputs).problems;
    let found: Vec<String> = problems.iter().map(Problem::summary).collect();
    assert_eq!(found, ["run build_script driver-failed-in-step"]);
    assert_eq!(problems[0].jobs, ["5"]);
}

#[test]
fn what_every_stage_ends_with_is_no_complaint() {
    let closed = "Connection to 10.0.0.5 closed.\n";
    let stage = |text: &str| format!("{text}{closed}");
    let (ran, fetched, step) = (stage(RAN), stage(FETCHED), stage("$ make\n1 failed\n"));
    let sections = [
        ("prepare_executor", READY),
        ("prepare_script", ran.as_str()),
        ("get_sources", fetched.as_str()),
        ("step_script", step.as_str()),
        ("cleanup_file_variables", closed),
    ];
    expect(
        "ssh -t",
        &job(&sections, SCRIPT_1),
        "none build_script script-failed",
    );
}

#[test]
fn a_code_that_the_driver_has_read_is_that_of_a_script_that_ended() {
    let reset = "$ ./fetch.sh\ncurl: (56) Recv failure: Connection reset by peer\n";
    let log = in_step(reset, "ERROR: Job failed: exit status 56");
    expect("code", &log, "none build_script script-failed");
    let log = in_step(reset, SCRIPT_1);
    expect(
        "words of a script's program",
        &log,
        "none build_script script-failed",
    );
}

#[test]
fn what_a_script_says_of_its_own_stages_and_keys_is_its_affair() {
    let log = in_step("$ ./ci.sh\nSkipping stage lint\ndone\n", "Job succeeded");
    assert_eq!(found(&log), Vec::<String>::new());
    let log = in_step(
        "$ ./deploy.sh\ndeploy@prod: Permission denied (publickey).\n",
        SCRIPT_1,
    );
    expect("keys", &log, "none build_script script-failed");
    let log = in_step(
        "run: ci@10.0.0.7: Permission denied (publickey).\n",
        SYSTEM_2,
    );
    expect("of the driver", &log, "run build_script ssh-refused");
}

#[test]
fn a_runner_without_its_configuration_says_so() {
    let log = "ERROR: Failed to load config toml: line 12 (last key \"runners.custom.run_exec\"): incompatible types  builds=0 max_builds=0\n";
    expect("load", log, "runner - configuration-not-loaded");
}

#[test]
fn what_ended_the_first_attempt_explains_the_others() {
    let log = in_prepare(
        "WARNING: Failed to terminate process: no such process\nERROR: Preparation failed: failed to kill process PID=41, likely process is dormant\nWill be retried in 3s ...\nUsing Custom executor...\nport 2222: Address already in use\nERROR: Preparation failed: exit status 2\nWill be retried in 3s ...\n",
        SYSTEM_2,
    );
    expect("port", &log, "prepare - background-process-holds-output");
}

#[test]
fn each_cache_of_a_job_is_a_matter_of_its_own() {
    let caches = |first: &str, second: &str| {
        let caches = format!(
            "Checking cache for a-protected...\n{first}Checking cache for b-protected...\n{second}"
        );
        let sections = [
            ("prepare_executor", READY),
            ("prepare_script", RAN),
            ("restore_cache", caches.as_str()),
            ("step_script", "$ make\n"),
            ("cleanup_file_variables", ""),
        ];
        job(&sections, "Job succeeded")
    };
    let refused = "FATAL: received: 403 Forbidden\nFailed to extract cache\n";
    let worked = "Downloading cache from https://s3.example.com/b\nSuccessfully extracted cache\n";
    let wanted = "runner restore_cache cache-store-refused";
    expect("first", &caches(refused, worked), wanted);
    expect("second", &caches(worked, refused), wanted);
    let tried = format!("WARNING: received: 403 Forbidden\n{worked}");
    assert_eq!(found(&caches(&tried, worked)), Vec::<String>::new());
}

#[test]
fn a_cleanup_that_finds_nothing_is_told_from_one_that_leaves_something() {
    let log = "WARNING: Error: No such container: job-5          cleanup_std=err job=5 runner=abc\nWARNING: Cleanup script failed: exit status 1         job=5 runner=abc\nJob succeeded                                        duration_s=1 job=5 runner=abc\n";
    expect("runner log", log, "cleanup - cleanup-finds-nothing");
}

#[test]
fn the_journal_of_the_service_tells_of_a_runner_that_was_killed() {
    let log = "Nov 24 00:00:01 h gitlab-runner[3]: Checking for jobs... received                     job=9 repo_url=https://x/y.git runner=abc\nNov 24 00:03:04 h systemd[1]: gitlab-runner.service: Main process exited, code=killed, status=9/KILL\n";
    expect("killed", log, "runner - runner-killed");
    let log = "Nov 24 00:00:01 h gitlab-runner[3]: Job succeeded                     duration_s=2 job=9 runner=abc\nNov 24 00:03:04 h systemd[1]: gitlab-runner.service: Deactivated successfully.\nNov 24 00:03:04 h systemd[1]: nginx.service: Main process exited, code=killed, status=9/KILL\n";
    assert_eq!(found(log), Vec::<String>::new());
}

#[test]
fn what_a_crash_says_of_itself_tells_it_from_a_kill() {
    let ended = |signal: &str| {
        format!(
            "ERROR: Job failed (system failure): unknown Custom executor executable exit code -1; executable execution terminated with: signal: {signal}"
        )
    };
    for (signal, wanted) in [
        ("killed", "run build_script killed-from-outside"),
        (
            "segmentation fault (core dumped)",
            "run build_script driver-script-broken",
        ),
    ] {
        expect(signal, &in_step("$ make\ncc a.c\n", &ended(signal)), wanted);
    }
    let log = in_prepare(
        "panic: runtime error: index out of range\n\ngoroutine 1 [running]:\nmain.boot(0x0)\n\t/src/main.go:8\nmain.main()\n\t/src/main.go:4\nERROR: Preparation failed: exit status 2\nWill be retried in 3s ...\n",
        SYSTEM_2,
    );
    expect("panic", &log, "prepare - driver-script-broken");
}

#[test]
fn a_killed_program_is_known_by_its_last_words() {
    let killed = "ERROR: Job failed: exit status 137";
    let log = in_step("$ make\n/scripts: line 4:   311 Killed      make\n", killed);
    expect("shell", &log, "run build_script out-of-memory");
    let mutants = "$ mutants\nKilled 33 of 40 mutants\nscore 82\nbelow 90\nfailed\n";
    let log = in_step(mutants, SCRIPT_1);
    expect("a word", &log, "none build_script script-failed");
    let slurm = "$ mpirun ./sim\nslurmstepd: error: *** JOB 44 ON node7 CANCELLED AT 2026-11-24T10:00:00 DUE TO TIME LIMIT ***\n";
    let raw = "ERROR: Job failed (system failure): unknown Custom executor executable exit code 143; executable execution terminated with: exit status 143";
    let log = in_step(slurm, raw);
    expect("time limit", &log, "run build_script environment-gone");
}

#[test]
fn a_log_of_another_daemon_is_not_called_healthy() {
    let log =
        "time=\"2026-11-24T08:13:02Z\" level=info msg=\"ignoring event\" module=libcontainerd\n";
    assert_eq!(diagnose(&[Input::whole("log", log)]).understood, 0);
}

#[test]
fn what_cleanup_said_stands_beside_its_failure() {
    let log = "WARNING: clean.sh: line 4: VM_ID: unbound variable   cleanup_std=err job=5 runner=abc\nWARNING: Cleanup script failed: exit status 1         job=5 runner=abc\nJob succeeded                                        duration_s=1 job=5 runner=abc\n";
    let diagnosis = diagnose(&[Input::whole("log", log)]);
    let problem = &diagnosis.problems[0];
    assert_eq!(problem.summary(), "cleanup - cleanup-exit-1");
    let lines: Vec<usize> = problem.evidence.iter().map(|line| line.line).collect();
    assert_eq!(lines, [2, 1], "{problem:?}");
}

#[test]
fn jobs_of_other_executors_are_left_out() {
    let log = "ERROR: Job failed (system failure): no such image   job=5 runner=abc\nWARNING: Failed to process runner                   builds=0 error=x executor=docker runner=abc\nWARNING: Job failed: exit code 1                     exit_code=1 failure_reason=script_failure job=6 runner=xyz\n";
    let diagnosis = diagnose(&[Input::whole("log", log)]);
    assert_eq!(diagnosis.problems, []);
    assert!(
        diagnosis.notes[0].contains("another executor"),
        "{diagnosis:?}"
    );
}

#[test]
fn a_report_is_read_as_far_as_a_diagnosis_needs_it() {
    let report = |findings: &str| {
        format!("{{\"schema\": \"driver-conformance/report/v1\", \"findings\": {findings}}}")
    };
    let finding = "[{\"check\": \"cleanup/twice\", \"call\": \"cleanup\", \"status\": \"fail\"}]";
    expect("cut down", &report(finding), "cleanup - cleanup-twice");
    let diagnosis = diagnose(&[Input::whole("log", report("7"))]);
    assert!(
        diagnosis.notes[0].contains("cannot be read"),
        "{diagnosis:?}"
    );
}

#[test]
fn what_is_no_log_is_not_called_healthy() {
    let diagnosis = diagnose(&[Input::whole("x", "npm ERR! code ELIFECYCLE\n")]);
    assert_eq!(diagnosis.understood, 0);
    let texts = [render::text(&diagnosis), render::markdown(&diagnosis)];
    for text in texts {
        let told = text.to_lowercase();
        assert!(told.contains("not enough to tell"), "{text}");
    }
}

#[test]
fn the_forms_of_a_diagnosis() {
    let log = in_prepare(
        "podman: cannot start\nERROR: Preparation failed: exit status 2\nWill be retried in 3s ...\nWARNING: Cleanup script failed: exit status 2\n",
        SYSTEM_2,
    );
    let diagnosis = diagnose(&[Input::whole("job.log", log)]);
    insta::assert_snapshot!("diagnosis-text", render::text(&diagnosis));
    insta::assert_snapshot!("diagnosis-markdown", render::markdown(&diagnosis));
    insta::assert_snapshot!("diagnosis-json", render::json(&diagnosis));
}
