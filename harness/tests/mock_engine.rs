//! The mock engine with real driver processes.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use driver_conformance::contract::exit::{ExitStatus, StartFailure};
use driver_conformance::contract::outcome::Outcome;
use driver_conformance::contract::protocol::{KillSignal, SignalResult, Stream};
use driver_conformance::contract::stage::{Program, Stage};
use driver_conformance::engine::mock::run_case;
use driver_conformance::plan::case::{JobOrder, StimulusAction};
use driver_conformance::plan::hang::{CallLimit, Ending, Watch};
use driver_conformance::process::interrupt::Interrupt;
use driver_conformance::trace::{Abortion, CallIndex, TraceEventKind};

use support::*;

/// A driver that runs every script and does nothing else.
const PLAIN: &str = r#"[ "$1" != run ] || exec bash "$2""#;

#[test]
fn a_small_job_is_recorded_in_full() {
    let environment = environment();
    let trace = run_small_job(&environment, PLAIN, Vec::new());
    assert_eq!(trace.jobs[0].outcome, Some(Outcome::Success));
    assert_eq!(trace.calls.len(), 5);
    assert_eq!(trace.aborted, None);
    for call in &trace.calls {
        assert_eq!(call.leader_exit.expect("exited").1, ExitStatus::Code(0));
        let ended = call.ended.expect("ended");
        assert!(ended >= call.leader_exit.expect("exited").0);
        assert!(ended >= call.stdout_closed.expect("closed"));
        assert!(ended >= call.stderr_closed.expect("closed"));
    }
    let build = build_script(&trace);
    assert_eq!(build.argv[1], "run");
    assert_eq!(build.argv[3], "build_script");
    let words: Vec<_> = build
        .markers
        .iter()
        .map(|(_, marker)| marker.word.as_str())
        .collect();
    assert_eq!(words, ["start", "end"]);
    assert!(stdout(build).contains("stage build_script\n"));
    assert!(String::from_utf8_lossy(&trace.jobs[0].job_log).contains("stage get_sources"));
    assert!(trace.events.is_sorted_by_key(|event| event.at));
    assert!(trace.surviving_processes.is_empty());
    assert!(!build.temp_dir.exists());
}

#[test]
fn a_call_has_the_surroundings_that_a_runner_gives_it() {
    let environment = environment();
    let text = r#"[ "$1" = prepare ] || exit 0
        echo "cwd $(readlink /proc/$$/cwd)"
        echo "stdin $(readlink /proc/$$/fd/0)"
        echo descriptors
        ls /proc/self/fd
        set -- $(sed 's/.*) //' /proc/$$/stat)
        echo "group is own: $([ "$3" = $$ ] && echo yes)"
        echo "terminal $5"
        grep -E 'SigBlk|SigIgn' /proc/self/status
        stat -c '%a' . response.json
        tr '\0' '\n' < /proc/$$/environ | sort"#;
    let trace = run_small_job(&environment, text, Vec::new());
    let prepare = call(&trace, Program::Prepare, None);
    let printed = stdout(prepare);
    let temp_dir = prepare.temp_dir.display();
    for line in [
        format!("cwd {temp_dir}"),
        "stdin /dev/null".into(),
        "group is own: yes".into(),
        "terminal 0".into(),
        "SigBlk:\t0000000000000000".into(),
        "SigIgn:\t0000000000000000".into(),
        // 3 is the directory that is being listed.
        "descriptors\n0\n1\n2\n3\ngroup".into(),
        "700\n600".into(),
    ] {
        assert!(printed.contains(&line), "{line} is missing in:\n{printed}");
    }
    let mut expected: Vec<String> = prepare
        .environment
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    expected.sort();
    assert!(
        printed.ends_with(&format!("600\n{}\n", expected.join("\n"))),
        "{printed}"
    );
}

#[test]
fn a_call_ends_only_when_the_last_holder_closes_its_pipes() {
    let environment = environment();
    let text = r#"[ "$3" = build_script ] || exit 0
        ( while kill -0 $$ 2>/dev/null; do sleep 0.01; done; sleep 0.3; echo late ) 2>/dev/null &"#;
    let trace = run_small_job(&environment, text, Vec::new());
    let build = build_script(&trace);
    assert_eq!(stdout(build), "late\n");
    let exited = build.leader_exit.expect("exited").0;
    assert!(build.stdout_closed.expect("closed") > exited);
    assert_eq!(
        build.ended.expect("ended"),
        build.ended.max(build.stdout_closed).expect("ended")
    );
    assert!(build.signals.is_empty());
}

#[test]
fn a_child_in_its_own_session_that_keeps_the_pipe_is_signalled_in_vain() {
    let environment = environment();
    let text = r#"[ "$3" = build_script ] || exit 0
        leader=$$ setsid bash -c 'while kill -0 $leader 2>/dev/null; do sleep 0.01; done
            echo driver-conformance:0123456789abcdef:alone; exec sleep 1000' &"#;
    let stimuli = vec![on_marker("alone", StimulusAction::Cancel)];
    let trace = run_small_job(&environment, text, stimuli);
    let build = build_script(&trace);
    let signals: Vec<_> = build
        .signals
        .iter()
        .map(|(_, signal, result)| (*signal, *result))
        .collect();
    assert_eq!(
        signals,
        [
            (KillSignal::Term, SignalResult::NoSuchProcess),
            (KillSignal::Kill, SignalResult::NoSuchProcess)
        ]
    );
    assert!(build.leader_exit.is_some());
    assert!(build.abandoned.is_some());
    assert_eq!(build.ended, None);
    let [survivor] = trace.surviving_processes.as_slice() else {
        panic!("one survivor expected: {:?}", trace.surviving_processes)
    };
    assert_eq!(survivor.command, "sleep 1000");
    assert_eq!(survivor.made_by, Some(CallIndex(3)));
    assert!(survivor.own_group);
    assert!(!is_alive(survivor.pid));
    assert!(
        trace.calls.last().expect("cleanup").ended.is_some(),
        "cleanup follows"
    );
}

#[test]
fn a_daemon_that_hides_is_found_attributed_and_killed() {
    let environment = environment();
    let text = r#"[ "$1" = prepare ] || exit 0
        ( setsid bash -c 'cd /; trap "" TERM HUP; env -i /bin/sleep 1001 </dev/null >/dev/null 2>&1 & exit' & )"#;
    let trace = run_small_job(&environment, text, Vec::new());
    let [survivor] = trace.surviving_processes.as_slice() else {
        panic!("one survivor expected: {:?}", trace.surviving_processes)
    };
    assert_eq!(survivor.command, "/bin/sleep 1001");
    assert_eq!(trace.calls[1].program, Program::Prepare);
    assert_eq!(survivor.made_by, Some(CallIndex(1)));
    assert!(!is_alive(survivor.pid));
}

#[test]
fn a_fork_hopper_is_reported_and_ended() {
    let environment = environment();
    let hopper = environment.directories.root().join("hopper");
    write_program(
        &hopper,
        "#!/bin/bash\nexec </dev/null >/dev/null 2>&1\nsetsid \"$0\" &\nexit\n",
    );
    let text = format!("[ \"$1\" != prepare ] || {}", hopper.display());
    let trace = run_small_job(&environment, &text, Vec::new());
    assert!(!trace.surviving_processes.is_empty());
    assert!(trace.surviving_processes[0].made_by.is_some());
    assert!(trace.unkillable_processes.is_empty());
    let name = hopper.to_str().expect("UTF-8").as_bytes().to_vec();
    let alive = fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .filter(|command| command.windows(name.len()).any(|part| part == name))
        .count();
    assert_eq!(alive, 0);
}

#[test]
fn start_failures_keep_their_class() {
    let environment = environment();
    let root = environment.directories.root().to_path_buf();
    let file = |name: &str, text: &str| {
        write_program(&root.join(name), text);
        root.join(name).to_str().expect("UTF-8").to_owned()
    };
    let text_file = file("text-file", "exit 0\n");
    let no_interpreter = file("no-interpreter", "#!/nowhere/interpreter\n");
    let not_executable = file("not-executable", "#!/bin/sh\n");
    fs::set_permissions(&not_executable, fs::Permissions::from_mode(0o644)).expect("changed");
    let busy = file("busy", "#!/bin/sh\n");
    let still_writing = fs::OpenOptions::new()
        .append(true)
        .open(&busy)
        .expect("opened");
    let much: Vec<_> = (0..40)
        .map(|number| (format!("MUCH_{number}"), "x".repeat(100_000)))
        .collect();
    let large = [("LARGE".to_owned(), "x".repeat(131_072))];
    let nul = [("NUL".to_owned(), "a\0b".to_owned())];
    let directory = root.to_str().expect("UTF-8").to_owned();
    for (executable, extra, expected) in [
        ("/nowhere/driver", &[][..], StartFailure::NotFound),
        (no_interpreter.as_str(), &[][..], StartFailure::NotFound),
        ("no-such-driver-anywhere", &[][..], StartFailure::NotInPath),
        // Exists relative to the harness's directory, but not in TMPDIR.
        ("src/lib.rs", &[][..], StartFailure::NotFound),
        ("./response.json", &[][..], StartFailure::PermissionDenied),
        (
            not_executable.as_str(),
            &[][..],
            StartFailure::PermissionDenied,
        ),
        (directory.as_str(), &[][..], StartFailure::PermissionDenied),
        (text_file.as_str(), &[][..], StartFailure::ExecFormat),
        (busy.as_str(), &[][..], StartFailure::TextFileBusy),
        (
            "/bin/true",
            large.as_slice(),
            StartFailure::ArgumentListTooLong,
        ),
        (
            "/bin/true",
            much.as_slice(),
            StartFailure::ArgumentListTooLong,
        ),
        ("/bin/true", nul.as_slice(), StartFailure::NulInEnvironment),
    ] {
        let mut runner =
            TinyRunner::with_calls(&environment, executable, 1, vec![(Program::Cleanup, None)]);
        runner.environment.extend_from_slice(extra);
        let trace = run(
            &environment,
            vec![job(runner, Vec::new())],
            JobOrder::Sequential,
        );
        assert_eq!(trace.calls[0].start_failure, Some(expected), "{executable}");
        assert_eq!(trace.calls[0].pid, None);
    }
    drop(still_writing);
}

#[test]
fn a_name_without_slash_is_found_in_the_path_of_the_runner_not_of_the_driver() {
    let mut environment = environment();
    let home = environment.directories.home();
    write_program(&home.join("only-here"), "#!/bin/sh\necho found\n");
    environment.runner_path = home.to_str().expect("UTF-8").to_owned();
    let mut runner =
        TinyRunner::with_calls(&environment, "only-here", 1, vec![(Program::Prepare, None)]);
    runner.environment[0].1 = "/bin".into();
    let trace = run(
        &environment,
        vec![job(runner, Vec::new())],
        JobOrder::Sequential,
    );
    assert_eq!(stdout(&trace.calls[0]), "found\n");
}

#[test]
fn a_script_that_cannot_be_written_is_a_start_failure() {
    let environment = environment();
    let text = r#"[ "$1" != prepare ] || rm -rf "$TMPDIR""#;
    let trace = run_small_job(&environment, text, Vec::new());
    let failure = build_script(&trace).start_failure.clone();
    assert!(
        matches!(&failure, Some(StartFailure::Files(text)) if text.ends_with("no such file or directory")),
        "{failure:?}"
    );
}

#[test]
fn the_exit_code_file_is_read_at_the_end_and_seen_before_the_next_call() {
    let environment = environment();
    let text = r#"case "$1-$3" in
        run-get_sources) echo 42 > "$BUILD_EXIT_CODE_FILE"; exit 1;;
        run-build_script) rm "$BUILD_EXIT_CODE_FILE"; exit 1;;
        esac"#;
    let trace = run_small_job(&environment, text, Vec::new());
    let first = call(&trace, Program::Run, Some(&Stage::GetSources));
    assert_eq!(first.exit_code_file_before, None);
    assert_eq!(
        first.exit_code_file_after.as_deref(),
        Some(b"42\n".as_slice())
    );
    let second = build_script(&trace);
    assert_eq!(
        second.exit_code_file_before.as_deref(),
        Some(b"42\n".as_slice())
    );
    assert_eq!(second.exit_code_file_after, None);
    assert_eq!(second.leader_exit.expect("exited").1, ExitStatus::Code(1));
}

#[test]
fn term_ends_a_call_and_kill_ends_a_deaf_one() {
    for (trap, signals, status) in [
        ("", vec![KillSignal::Term], ExitStatus::Signal(15)),
        (
            "trap '' TERM;",
            vec![KillSignal::Term, KillSignal::Kill],
            ExitStatus::Signal(9),
        ),
    ] {
        let environment = environment();
        let text = format!(
            "[ \"$3\" = build_script ] || exit 0; {trap} marker start; while true; do sleep 0.05; done"
        );
        let stimuli = vec![on_marker("start", StimulusAction::Cancel)];
        let trace = run_small_job(&environment, &text, stimuli);
        let build = build_script(&trace);
        let sent: Vec<_> = build.signals.iter().map(|(_, signal, _)| *signal).collect();
        assert_eq!(sent, signals);
        assert!(
            build
                .signals
                .iter()
                .all(|(_, _, result)| *result == SignalResult::Delivered)
        );
        assert_eq!(build.leader_exit.expect("exited").1, status);
        assert!(build.ended.is_some());
        assert!(trace.surviving_processes.is_empty());
    }
}

#[test]
fn a_killed_driver_is_a_call_that_died_by_itself_for_the_runner() {
    let environment = environment();
    let text = "[ \"$3\" = build_script ] || exit 0; marker start; sleep 1002";
    let stimuli = vec![on_marker("start", StimulusAction::DriverKill)];
    let trace = run_small_job(&environment, text, stimuli);
    let build = build_script(&trace);
    assert_eq!(build.leader_exit.expect("exited").1, ExitStatus::Signal(9));
    assert_eq!(build.signals.len(), 1);
    assert_eq!(trace.jobs[0].outcome, Some(Outcome::Success));
}

#[test]
fn when_the_runner_is_killed_pipes_break_and_the_next_job_begins() {
    let environment = environment();
    let text = r#"[ "$3" = build_script ] || exit 0
        trap 'echo broken > "$HOME/seen"' PIPE
        marker start
        while [ ! -e "$HOME/seen" ]; do echo more; sleep 0.01; done 2>/dev/null"#;
    let executable = driver(&environment, text);
    let first = TinyRunner::small_job(&environment, &executable, 1);
    let second =
        TinyRunner::with_calls(&environment, &executable, 2, vec![(Program::Cleanup, None)]);
    let jobs = vec![
        job(first, vec![on_marker("start", StimulusAction::RunnerKill)]),
        job(second, Vec::new()),
    ];
    let trace = run(&environment, jobs, JobOrder::Sequential);
    assert_eq!(trace.jobs[0].outcome, None);
    assert_eq!(trace.jobs[1].outcome, Some(Outcome::Success));
    let build = build_script(&trace);
    assert_eq!((build.ended, build.signals.len()), (None, 0));
    assert!(build.temp_dir.exists(), "a killed runner removes nothing");
    assert_eq!(trace.calls.last().expect("a call").job, 1);
    assert!(environment.directories.home().join("seen").exists());
    assert!(
        trace
            .left_files
            .iter()
            .any(|file| file.path.ends_with("home/seen"))
    );
}

#[test]
fn left_files_name_the_call_that_made_them() {
    let environment = environment();
    let text = r#"[ "$1" != prepare ] || echo x > "$HOME/state"; echo y > "$TMPDIR/private""#;
    let trace = run_small_job(&environment, text, Vec::new());
    let [left] = trace.left_files.as_slice() else {
        panic!("{:?}", trace.left_files)
    };
    assert_eq!(left.path, environment.directories.home().join("state"));
    assert_eq!(left.made_by, Some(CallIndex(1)));
    assert_eq!(left.mode & 0o170_000, 0o100_000);
}

#[test]
fn a_case_that_outlasts_its_budget_is_ended_and_says_so() {
    let mut environment = environment();
    environment.budget = Duration::from_millis(300);
    let trace = run_small_job(&environment, "trap '' TERM; sleep 1003", Vec::new());
    assert_eq!(
        trace.aborted,
        Some(Abortion::CaseBudget(Duration::from_millis(300)))
    );
    assert_eq!(trace.calls.len(), 1);
    assert!(!trace.surviving_processes.is_empty());
    for survivor in &trace.surviving_processes {
        assert!(!is_alive(survivor.pid));
    }
    assert_eq!(trace.jobs[0].outcome, None);
}

#[test]
fn a_driver_that_kills_its_parent_ends_the_case_and_says_so() {
    let environment = environment();
    let text = r#"[ "$3" = build_script ] || exit 0
        trap 'kill -9 $PPID' TERM; marker start; while true; do sleep 0.05; done"#;
    let stimuli = vec![on_marker("start", StimulusAction::DriverTerm)];
    let trace = run_small_job(&environment, text, stimuli);
    assert_eq!(trace.aborted, Some(Abortion::SupervisorDied { job: 0 }));
    let leader = build_script(&trace).pid.expect("started");
    wait_until("the driver has died", Duration::from_mins(1), || {
        !is_alive(leader)
    });
}

/// Runs a job of a driver that may take half a second for prepare, run and cleanup, and exits leave the pipes open as long.
fn watched(text: &str, ending: Ending) -> driver_conformance::trace::Trace {
    let mut environment = environment();
    let limit = CallLimit {
        whole: Duration::from_millis(500),
        held: Duration::from_millis(500),
    };
    let programs = [Program::Prepare, Program::Run, Program::Cleanup];
    environment.watch = Some(Watch {
        limits: programs.map(|program| (program, limit)).into(),
        ending,
        kill_after: Duration::from_millis(300),
        close_after: Duration::from_millis(300),
    });
    run_small_job(&environment, text, Vec::new())
}

#[test]
fn a_call_that_hangs_ends_the_case_but_not_without_a_cleanup() {
    for (ending, trap) in [
        (Ending::ByRunner, ""),
        (Ending::AtOnce, ""),
        (Ending::AtOnce, "trap '' TERM;"),
    ] {
        let hanging =
            format!(r#"[ "$1" != prepare ] || {{ {trap} while true; do sleep 0.05; done; }}"#);
        let trace = watched(&hanging, ending);
        let prepare = CallIndex(1);
        assert_eq!(trace.aborted, Some(Abortion::Hang { call: prepare }));
        assert!(trace.calls[1].ended.is_some());
        let programs: Vec<_> = trace.calls.iter().map(|call| call.program).collect();
        assert_eq!(
            programs,
            [Program::Config, Program::Prepare, Program::Cleanup]
        );
        assert!(trace.calls[2].ended.is_some());
    }
}

#[test]
fn a_cleanup_that_hangs_is_ended_by_the_harness() {
    let trace = watched(
        r#"[ "$1" != cleanup ] || { trap '' TERM; while true; do sleep 0.05; done; }"#,
        Ending::ByRunner,
    );
    let cleanup = call(&trace, Program::Cleanup, None);
    let sent: Vec<KillSignal> = cleanup.signals.iter().map(|(_, sent, _)| *sent).collect();
    assert_eq!(sent.first(), Some(&KillSignal::Term));
    assert_eq!(sent.last(), Some(&KillSignal::Kill));
    assert!(cleanup.ended.is_some());
}

#[test]
fn output_that_another_session_keeps_open_is_given_up() {
    let trace = watched(
        r#"[ "$1" != prepare ] || { setsid sleep 1003 & }"#,
        Ending::AtOnce,
    );
    assert_eq!(trace.aborted, Some(Abortion::Hang { call: CallIndex(1) }));
    let held = &trace.calls[1];
    assert!(held.ended.or(held.abandoned).is_some());
    assert_eq!(trace.surviving_processes.len(), 1);
    assert!(!is_alive(trace.surviving_processes[0].pid));
}

#[test]
fn a_call_that_a_stimulus_has_met_is_not_watched() {
    let mut environment = environment();
    let limit = CallLimit {
        whole: Duration::from_millis(500),
        held: Duration::from_millis(500),
    };
    environment.watch = Some(Watch {
        limits: [(Program::Run, limit)].into(),
        ending: Ending::AtOnce,
        kill_after: Duration::ZERO,
        close_after: Duration::ZERO,
    });
    let text = r#"[ "$3" = build_script ] || exit 0
        trap 'sleep 1; exit 3' TERM; marker start; while true; do sleep 0.05; done"#;
    let stimuli = vec![on_marker("start", StimulusAction::DriverTerm)];
    let trace = run_small_job(&environment, text, stimuli);
    assert_eq!(trace.aborted, None);
    let [stimulus] = trace.stimuli.as_slice() else {
        panic!("{:?}", trace.stimuli)
    };
    let hit = stimulus.hit.expect("the script was running");
    assert_eq!(trace.calls[hit.0].stage, Some(Stage::build_script()));
}

/// Runs a job whose build script hangs, and asks it to stop `times` times once it hangs.
fn interrupted(times: u32, trap: &str) -> driver_conformance::trace::Trace {
    let mut environment = environment();
    environment.interrupt_patience = Duration::from_secs(2);
    let text = format!(
        r#"[ "$1" != cleanup ] || {{ echo cleaned; exit 0; }}
        [ "$3" = build_script ] || exit 0
        {trap} echo > "$HOME/hanging"; while true; do sleep 0.05; done"#
    );
    let executable = driver(&environment, &text);
    let mut runner = TinyRunner::small_job(&environment, &executable, 1);
    runner.graceful = Duration::from_secs(1000);
    let sign = environment.directories.home().join("hanging");
    let interrupt = Interrupt::new().expect("pipes can be made");
    std::thread::scope(|scope| {
        let later = interrupt.clone();
        scope.spawn(move || {
            wait_until("the build script hangs", Duration::from_secs(30), || {
                sign.exists()
            });
            (0..times).for_each(|_| later.ask());
        });
        let jobs = vec![job(runner, Vec::new())];
        run_case(&environment, jobs, JobOrder::Sequential, &interrupt).expect("the engine works")
    })
}

#[test]
fn an_interrupt_lets_the_driver_clean_up() {
    for trap in ["", "trap '' TERM;"] {
        let trace = interrupted(1, trap);
        assert_eq!(trace.aborted, Some(Abortion::Interrupted));
        let cleanup = call(&trace, Program::Cleanup, None);
        assert_eq!(stdout(cleanup), "cleaned\n");
        assert!(cleanup.ended.is_some());
        assert!(trace.surviving_processes.is_empty());
    }
}

#[test]
fn a_second_interrupt_kills_at_once() {
    let trace = interrupted(2, "trap '' TERM;");
    assert_eq!(trace.aborted, Some(Abortion::Interrupted));
    assert!(
        trace
            .calls
            .iter()
            .all(|call| call.program != Program::Cleanup)
    );
    assert!(
        trace
            .surviving_processes
            .iter()
            .all(|survivor| !is_alive(survivor.pid))
    );
}

#[test]
fn concurrent_jobs_overlap_and_their_daemons_are_told_apart() {
    let environment = environment();
    let text = r#"[ "$1" = prepare ] || exit 0
        echo > "$HOME/$(basename "$TMPDIR")"
        while [ "$(ls "$HOME" | wc -l)" -lt 2 ]; do sleep 0.01; done
        ( setsid sleep 200"${TMPDIR: -1}" </dev/null >/dev/null 2>&1 & )"#;
    let executable = driver(&environment, text);
    let jobs = (1..=2)
        .map(|name| {
            job(
                TinyRunner::small_job(&environment, &executable, name),
                Vec::new(),
            )
        })
        .collect();
    let trace = run(&environment, jobs, JobOrder::Concurrent);
    let mut found: Vec<(usize, Program, String)> = trace
        .surviving_processes
        .iter()
        .map(|survivor| {
            let maker = &trace.calls[survivor.made_by.expect("attributed").0];
            (maker.job, maker.program, survivor.command.clone())
        })
        .collect();
    found.sort();
    assert_eq!(
        found,
        [
            (0, Program::Prepare, "sleep 2001".to_owned()),
            (1, Program::Prepare, "sleep 2002".to_owned())
        ]
    );
}

#[test]
fn many_cases_at_once_never_mix_their_processes() {
    const CASES: usize = 40;
    const THREADS: usize = 8;
    let text = r#"[ "$1" = prepare ] || exit 0
        ( setsid env -i sleep 3"$(cat "$HOME/number")" </dev/null >/dev/null 2>&1 & )"#;
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = || {
        loop {
            let number = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            if number >= CASES {
                return;
            }
            let environment = environment();
            let own = format!("{number:03}");
            fs::write(environment.directories.home().join("number"), &own).expect("written");
            let trace = run_small_job(&environment, text, Vec::new());
            let found: Vec<_> = trace
                .surviving_processes
                .iter()
                .map(|survivor| (survivor.command.clone(), survivor.made_by))
                .collect();
            assert_eq!(found, [(format!("sleep 3{own}"), Some(CallIndex(1)))]);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(work);
        }
    });
}

#[test]
fn jobs_that_take_turns_never_have_two_calls_alive() {
    let environment = environment();
    let executable = driver(&environment, PLAIN);
    let short = vec![(Program::Prepare, None), (Program::Cleanup, None)];
    let jobs = vec![
        job(
            TinyRunner::small_job(&environment, &executable, 1),
            Vec::new(),
        ),
        job(
            TinyRunner::with_calls(&environment, &executable, 2, short),
            Vec::new(),
        ),
    ];
    let trace = run(&environment, jobs, JobOrder::Turns);
    let order: Vec<usize> = trace.calls.iter().map(|call| call.job).collect();
    assert_eq!(order, [0, 1, 0, 1, 0, 0, 0]);
    let mut alive = 0;
    for event in &trace.events {
        match event.kind {
            TraceEventKind::CallStarted(_) => alive += 1,
            TraceEventKind::CallEnded(_) => alive -= 1,
            _ => {}
        }
        assert!(alive <= 1);
    }
}

#[test]
fn output_without_newline_and_not_utf_8_arrives_as_it_was() {
    let environment = environment();
    let text = format!(
        "[ \"$3\" = build_script ] || exit 0; printf '\\xff\\x00'; printf driver-conformance:{NONCE}:unterminated"
    );
    let trace = run_small_job(&environment, &text, Vec::new());
    let build = build_script(&trace);
    assert!(
        build
            .stdout
            .bytes
            .starts_with(b"\xff\x00driver-conformance")
    );
    assert_eq!(build.markers[0].1.word, "unterminated");
    let first = trace.events.iter().filter(|event| {
        matches!(
            event.kind,
            TraceEventKind::FirstOutput(CallIndex(3), Stream::Stdout)
        )
    });
    assert_eq!(first.count(), 1);
}
