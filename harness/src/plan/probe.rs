//! The text of probe scripts: POSIX shell that shows from inside what a driver does with a script.
//!
//! The text is put into the runner's own frame (E17): run under errexit by `eval` in a subshell with stdin from
//! /dev/null. So it reads nothing, does not look at `$0`, and every command that may fail is tested.

use std::fmt::Write as _;

use crate::contract::stage::Stage;

use super::case::{Probe, ProbeEnding, ProbeOutput};

/// What [`ProbeOutput::Binary`] prints between its two markers: bytes that begin or end no UTF-8 letter, a NUL, a lone
/// CR, and an overlong form. No newline is among them.
pub const BINARY_BYTES: &[u8] = &[
    0xff, 0xfe, 0x00, 0x80, b'a', 0xc0, 0xaf, 0xe2, 0x82, b'\r', b'b', 0xed, 0xa0, 0x80,
];

/// What [`ProbeOutput::Lines`] prints first, on both streams, whatever becomes of the script: only the exit code says that.
const ALARM: &str = "ERROR: Job failed: FATAL error, exit status 1";

/// Tools that the scripts of real jobs need in the environment, besides their shell (E20).
pub const TOOLS: [&str; 3] = ["git", "git-lfs", "gitlab-runner"];

/// What [`ProbeOutput::Letters`] prints between its two markers: letters of two, three and four bytes, in lines of such
/// lengths that the borders of a buffer, whatever its size, fall into letters again and again; and last [`ODD_LINES`].
pub fn letters() -> String {
    let line = |number: usize| {
        let indent = "-".repeat(number % 7);
        format!("{number:03} {indent}{}\n", "ü☃🍎".repeat(LETTERS_IN_LINE))
    };
    let odd = ODD_LINES.iter().map(|line| format!("{line}\n"));
    (0..LETTER_LINES).map(line).chain(odd).collect()
}

/// Lines that a driver changes which reads lines with a shell's `read`, and prints them with `echo` or as a format.
pub const ODD_LINES: [&str; 4] = [
    "  two blanks  before and between",
    r"a backslash: C:\new\table \\ \",
    "100%s of %d, $HOME, `date`, * and ~",
    "\ta tab before\tand between",
];

/// Lines of [`letters`]; all together are more than the usual buffers of readers.
const LETTER_LINES: usize = 200;
/// How often a line repeats its letters.
const LETTERS_IN_LINE: usize = 20;

/// The text of a marker without its newline: `driver-conformance:<nonce>:<word>`.
pub fn marker(nonce: &str, word: &str) -> String {
    format!("driver-conformance:{nonce}:{word}")
}

/// The script text for one call. `project_dir` is where `remember` and `recall` keep their file: the project directory
/// as the driver's environment knows it, which persists between the stages of a job (E19).
pub fn body(probe: &Probe, nonce: &str, stage: &Stage, project_dir: &str) -> String {
    let mut text = format!("# Probe of stage {stage}\n");
    if probe.ending == ProbeEnding::HangIgnoringTerm {
        // Before the first marker, since the harness may send SIGTERM as soon as it has seen it.
        text.push_str("trap '' TERM\n");
    }
    print_marker(&mut text, nonce, "start");
    if let Some(value) = &probe.holds {
        let _ = writeln!(text, "export HELD_VALUE={}", quoted(value));
    }
    for tool in &probe.look_for {
        let _ = writeln!(text, "command -v {} >/dev/null 2>&1 ||", quoted(tool));
        print_marker(&mut text, nonce, &format!("lacks-{tool}"));
    }
    memory(&mut text, probe, nonce, project_dir);
    if probe.listen {
        listen(&mut text, nonce, project_dir);
    }
    output(&mut text, probe.output, nonce);
    if matches!(
        probe.ending,
        ProbeEnding::Hang | ProbeEnding::HangIgnoringTerm
    ) {
        hang(&mut text, nonce, project_dir);
    }
    pad(&mut text, probe.script_bytes);
    print_marker(&mut text, nonce, "end");
    if probe.output == ProbeOutput::Unterminated {
        let _ = writeln!(text, "printf '%s' '{}'", marker(nonce, "unterminated"));
    }
    match probe.ending {
        ProbeEnding::Code(code) => {
            let _ = writeln!(text, "exit {code}");
        }
        // `$$` is the outermost shell of the frame, not the subshell: the process whose end the driver sees. The subshell
        // ends at once as well, since it holds the pipes.
        ProbeEnding::Signal(signal) => {
            let _ = writeln!(text, "kill -{signal} $$\nexit 1");
        }
        ProbeEnding::Success | ProbeEnding::Hang | ProbeEnding::HangIgnoringTerm => {}
    }
    text
}

fn print_marker(text: &mut String, nonce: &str, word: &str) {
    let _ = writeln!(text, "printf '%s\\n' '{}'", marker(nonce, word));
}

/// A word as one argument of a shell command.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

fn memory(text: &mut String, probe: &Probe, nonce: &str, project_dir: &str) {
    if let Some((file, word)) = &probe.recall {
        let path = quoted(&format!("{project_dir}/{file}"));
        let _ = writeln!(
            text,
            "if [ \"$(cat {path} 2>/dev/null || :)\" = {} ]; then",
            quoted(word)
        );
        print_marker(text, nonce, "recalled");
        text.push_str("else\n");
        print_marker(text, nonce, "forgotten");
        text.push_str("fi\n");
    }
    if let Some((file, word)) = &probe.remember {
        let path = quoted(&format!("{project_dir}/{file}"));
        let _ = writeln!(
            text,
            "if mkdir -p {} && printf '%s\\n' {} >{path}; then",
            quoted(project_dir),
            quoted(word)
        );
        print_marker(text, nonce, "remembered");
        // A directory that cannot be written is shown by the missing marker, not by the script's failure.
        text.push_str("fi\n");
    }
}

fn output(text: &mut String, output: ProbeOutput, nonce: &str) {
    match output {
        ProbeOutput::None | ProbeOutput::Unterminated => {}
        ProbeOutput::Lines(count) => {
            let _ = writeln!(text, "echo '{ALARM}'; echo '{ALARM}' >&2");
            let _ = writeln!(
                text,
                "number=1\nwhile [ \"$number\" -le {count} ]; do\n\
                 printf '%s:%s\\n' '{}' \"$number\"\n\
                 printf '%s:%s\\n' '{}' \"$number\" >&2\n\
                 number=$((number + 1))\ndone",
                marker(nonce, "line"),
                marker(nonce, "error-line"),
            );
        }
        ProbeOutput::Binary => {
            print_marker(text, nonce, "binary-start");
            // Octal escapes: the script itself stays plain text, so that only the output is put to the test.
            text.push_str("printf '");
            for byte in BINARY_BYTES {
                let _ = write!(text, "\\{byte:03o}");
            }
            text.push_str("\\n'\n");
            print_marker(text, nonce, "binary-end");
        }
        ProbeOutput::Letters => {
            print_marker(text, nonce, "letters-start");
            let _ = writeln!(text, "printf '%s' {}", quoted(&letters()));
            print_marker(text, nonce, "letters-end");
        }
        ProbeOutput::Paced => {
            print_marker(text, nonce, "line:1");
            text.push_str("sleep 1\n");
            print_marker(text, nonce, "line:2");
        }
    }
}

/// Where a script that hangs writes its beat for later stages, in the project directory.
const BEAT_FILE: &str = "driver-conformance-beat";

/// Beats until ended from outside, on its output and in a file that later stages of the environment can see. The fraction
/// is no POSIX, so a sleep that does not know it must not make the loop spin; a sleep that is killed must not end a script
/// that is deaf to SIGTERM. A beat that cannot be written is ignored: work that a driver forgot about goes on when nobody
/// reads its output.
fn hang(text: &mut String, nonce: &str, project_dir: &str) {
    let _ = writeln!(
        text,
        "trap '' PIPE\nbeat=1\nwhile :; do\n\
         printf '%s:%s\\n' '{}' \"$beat\" 2>/dev/null || :\n\
         {{ printf '%s\\n' \"$beat\" >{}; }} 2>/dev/null || :\n\
         beat=$((beat + 1))\n\
         sleep 0.1 2>/dev/null || sleep 1 || :\ndone",
        marker(nonce, "beat"),
        quoted(&format!("{project_dir}/{BEAT_FILE}")),
    );
}

/// Tells whether a script that was ended before beats on. A last beat may come late, from a script that is about to end:
/// only one that is heard in both of two spans of time goes on. A script that is not heard costs the first span.
fn listen(text: &mut String, nonce: &str, project_dir: &str) {
    let _ = writeln!(
        text,
        "heard() {{ cat {} 2>/dev/null || :; }}\n\
         pause() {{ sleep 0.4 2>/dev/null || sleep 1 || :; }}\n\
         first=$(heard)\npause\nsecond=$(heard)\n\
         if [ \"$first\" != \"$second\" ]; then\npause\nif [ \"$second\" != \"$(heard)\" ]; then",
        quoted(&format!("{project_dir}/{BEAT_FILE}")),
    );
    print_marker(text, nonce, "beat-goes-on");
    text.push_str("fi\nfi\n");
}

/// Comment lines up to about `bytes` of text: a large script that costs nothing to run.
fn pad(text: &mut String, bytes: usize) {
    const LINE: &str =
        "# This line makes the script longer than one argument of a program may be.\n";
    while text.len() + LINE.len() <= bytes {
        text.push_str(LINE);
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// Runs a body in a frame like the runner's and returns code, stdout, stderr.
    fn run(probe: &Probe) -> (Option<i32>, Vec<u8>, Vec<u8>) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let body = body(
            probe,
            "abc",
            &Stage::build_script(),
            &directory.path().display().to_string(),
        );
        let frame = format!(
            "trap exit\\ 1 TERM\nset -o errexit\n: | (eval {})\nexit 0\n",
            quoted(&body)
        );
        let path = directory.path().join("script");
        std::fs::write(&path, frame).expect("written");
        let output = Command::new("sh")
            .arg(&path)
            .stdin(Stdio::null())
            .output()
            .expect("sh is there");
        (output.status.code(), output.stdout, output.stderr)
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    #[test]
    fn a_plain_probe_prints_start_and_end_and_succeeds() {
        let (code, stdout, stderr) = run(&Probe::default());
        assert_eq!(code, Some(0));
        assert_eq!(
            text(&stdout),
            "driver-conformance:abc:start\ndriver-conformance:abc:end\n"
        );
        assert!(stderr.is_empty(), "{}", text(&stderr));
    }

    #[test]
    fn a_code_becomes_the_code_of_the_frame() {
        let (code, stdout, _) = run(&Probe {
            ending: ProbeEnding::Code(42),
            ..Probe::default()
        });
        assert_eq!(code, Some(42));
        assert!(text(&stdout).ends_with(":end\n"));
    }

    #[test]
    fn a_signal_kills_the_outermost_shell() {
        let (code, ..) = run(&Probe {
            ending: ProbeEnding::Signal(9),
            ..Probe::default()
        });
        assert_eq!(code, None);
    }

    #[test]
    fn lines_are_numbered_on_both_streams() {
        let (_, stdout, stderr) = run(&Probe {
            output: ProbeOutput::Lines(3),
            ..Probe::default()
        });
        assert!(text(&stdout).contains("driver-conformance:abc:line:3\n"));
        assert!(text(&stdout).contains(ALARM));
        assert!(text(&stderr).ends_with("driver-conformance:abc:error-line:3\n"));
        assert_eq!(text(&stderr).lines().count(), 1 + 3);
    }

    #[test]
    fn binary_output_is_what_the_constant_says() {
        let (_, stdout, _) = run(&Probe {
            output: ProbeOutput::Binary,
            ..Probe::default()
        });
        assert!(
            stdout
                .windows(BINARY_BYTES.len())
                .any(|window| window == BINARY_BYTES)
        );
    }

    #[test]
    fn an_unterminated_line_is_the_last_thing_printed() {
        let (_, stdout, _) = run(&Probe {
            output: ProbeOutput::Unterminated,
            ..Probe::default()
        });
        assert!(text(&stdout).ends_with(":end\ndriver-conformance:abc:unterminated"));
    }

    #[test]
    fn a_word_that_nobody_left_is_forgotten_and_one_that_was_is_recalled() {
        let word = Some(("memory".to_owned(), "it's".to_owned()));
        let (code, stdout, _) = run(&Probe {
            recall: word.clone(),
            ..Probe::default()
        });
        assert_eq!(code, Some(0));
        assert!(text(&stdout).contains(":forgotten\n"));

        let directory = tempfile::tempdir().expect("a temporary directory");
        let project = directory.path().join("a b").display().to_string();
        let mut all = body(
            &Probe {
                remember: word.clone(),
                ..Probe::default()
            },
            "one",
            &Stage::GetSources,
            &project,
        );
        all.push_str(&body(
            &Probe {
                recall: word,
                ..Probe::default()
            },
            "two",
            &Stage::AfterScript,
            &project,
        ));
        let output = Command::new("sh")
            .arg("-ec")
            .arg(all)
            .output()
            .expect("sh is there");
        let shown = text(&output.stdout);
        assert!(
            shown.contains("one:remembered\n") && shown.contains("two:recalled\n"),
            "{shown}"
        );
    }

    #[test]
    fn letters_come_between_their_markers() {
        let (code, stdout, _) = run(&Probe {
            output: ProbeOutput::Letters,
            ..Probe::default()
        });
        assert_eq!(code, Some(0));
        let shown = text(&stdout);
        assert!(shown.contains(&format!(":letters-start\n{}driver", letters())));
        let lengths: std::collections::BTreeSet<usize> =
            letters().lines().map(|line| line.len() % 9).collect();
        assert!(lengths.len() > 6, "borders must fall anywhere: {lengths:?}");
    }

    #[test]
    fn missing_tools_are_told_and_held_values_do_nothing() {
        let (code, stdout, stderr) = run(&Probe {
            look_for: vec!["sh".into(), "no-such-tool".into()],
            holds: Some("it's $(exit 3) held".into()),
            ..Probe::default()
        });
        assert_eq!(code, Some(0));
        let shown = text(&stdout);
        assert!(shown.contains(":lacks-no-such-tool\n"), "{shown}");
        assert!(!shown.contains(":lacks-sh\n"), "{shown}");
        assert!(stderr.is_empty());
    }

    #[test]
    fn padding_reaches_the_size_and_changes_nothing_else() {
        let probe = Probe {
            script_bytes: 200_000,
            ..Probe::default()
        };
        let text = body(&probe, "abc", &Stage::build_script(), "/builds");
        assert!((199_000..201_000).contains(&text.len()), "{}", text.len());
        assert!(text.ends_with(":end'\n"));
    }

    #[test]
    fn a_script_that_goes_on_is_heard_and_one_that_ended_is_not() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let text_of = |probe: &Probe| {
            let place = directory.path().display().to_string();
            body(probe, "abc", &Stage::build_script(), &place)
        };
        let hanging = text_of(&Probe {
            ending: ProbeEnding::Hang,
            ..Probe::default()
        });
        let listening = text_of(&Probe {
            listen: true,
            ..Probe::default()
        });
        let script = format!(
            "({hanging}) >/dev/null & echo before\n\
             until [ -s {}/{BEAT_FILE} ]; do sleep 0.01; done\n\
             {listening}\nkill -9 $!; wait || :\necho after\n{listening}",
            directory.path().display()
        );
        let output = Command::new("sh").arg("-ec").arg(script).output();
        let shown = text(&output.expect("sh is there").stdout);
        let (alive, ended) = shown.split_once("after\n").expect("both");
        assert!(alive.contains(":beat-goes-on\n"), "{shown}");
        assert!(
            !ended.contains(":beat-goes-on\n") && ended.contains(":end\n"),
            "{shown}"
        );
    }

    #[test]
    fn a_hanging_probe_beats_until_it_is_killed() {
        let body = body(
            &Probe {
                ending: ProbeEnding::Hang,
                ..Probe::default()
            },
            "abc",
            &Stage::build_script(),
            "/builds",
        );
        let child = Command::new("sh")
            .arg("-ec")
            .arg(format!("({body}) & sleep 0.5; kill -9 $!; wait || :"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh is there");
        let shown = text(&child.wait_with_output().expect("it ends").stdout);
        assert!(shown.contains(":beat:2\n"), "{shown}");
        assert!(!shown.contains(":end"), "{shown}");
    }
}
