//! What stands in front of every line of a copied log and is not part of it: marks of a quotation, the name of a container,
//! the time, the numbers of lines.

use std::sync::LazyLock;

use regex::Regex;

use crate::text::pattern;

/// Fewest lines that can tell a prefix from the beginning of a text.
const LINES_MIN: usize = 3;

/// `> > `, as mail programs and Markdown quote.
static QUOTATION: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\s*(?:> ?)+"));
/// `gitlab-runner-1  | `, `[pod/gitlab-runner-0/runner] `: who wrote the line, where a tool shows several logs at once.
static WRITER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:\x1b\[[0-9;]*m)*(?:[\w./-]+\s*\||\[(?:pod|container)/[\w./-]+\])(?:\x1b\[[0-9;]*m)*(?: |$)",
    )
});
/// `[2026-11-24T00:20:58.1Z] `, `00:20:58 `: when a tool received the line. A moment without brackets is left to those who read
/// it: the runner writes it itself.
static RECEIVED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\s*(?:\[[0-9TZ:.,+ -]{8,40}\]|\d\d:\d\d:\d\d(?:[.,]\d+)?)(?: |$)"));
/// `  17 `, `17: `, `17|`: the page of a job, editors and `grep -n`.
static NUMBER: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\s*(\d{1,7})(?:[:|]\s?|\s+|$)"));

/// `[2](https://gitlab.example.org/g/p/-/jobs/9#L2)`: some editors make links of the numbers that a page of a job has, also in the
/// middle of a line.
static LINKED_NUMBER: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\[(\d{1,6})\]\(https?://[^\s()]*#L\d{1,6}\)"));
/// How long a section took: the page of a job shows it on a line of its own, without a number.
static DURATION: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\s*(?:\d\d:)?\d\d:\d\d\s*$"));

/// Takes from all lines what all of them begin with; what only some begin with belongs to the text.
pub(crate) fn strip(mut lines: Vec<(usize, String)>) -> Vec<(usize, String)> {
    for (_, line) in &mut lines {
        if line.contains("](http") {
            *line = LINKED_NUMBER.replace_all(line, "$1").into_owned();
        }
    }
    // A quotation may hold a log whose lines have numbers; no text has more than a few layers.
    for cut in [
        quotation,
        writer,
        received,
        lone_numbers,
        numbers,
        glued_numbers,
    ] {
        if lines.iter().filter(|(_, line)| !line.is_empty()).count() < LINES_MIN {
            break;
        }
        if let Some(ends) = cut(&lines) {
            for ((_, line), end) in lines.iter_mut().zip(ends) {
                line.drain(..end);
            }
        }
    }
    lines
}

/// Where the prefix of each line ends, if every line has it; lines without text may lack it.
fn everywhere(
    lines: &[(usize, String)],
    prefix: impl Fn(&str) -> Option<usize>,
) -> Option<Vec<usize>> {
    let ends = lines.iter().map(|(_, line)| match prefix(line) {
        None if line.trim().is_empty() || DURATION.is_match(line) => Some(0),
        found => found,
    });
    ends.collect()
}

fn quotation(lines: &[(usize, String)]) -> Option<Vec<usize>> {
    everywhere(lines, |line| QUOTATION.find(line).map(|found| found.end()))
}

fn writer(lines: &[(usize, String)]) -> Option<Vec<usize>> {
    everywhere(lines, |line| WRITER.find(line).map(|found| found.end()))
}

fn received(lines: &[(usize, String)]) -> Option<Vec<usize>> {
    everywhere(lines, |line| RECEIVED.find(line).map(|found| found.end()))
}

/// Numbers count lines only if each is more than the one before; the page of a job hides the lines of sections that are folded.
fn numbers(lines: &[(usize, String)]) -> Option<Vec<usize>> {
    let number = |line: &str| {
        let found = NUMBER.captures(line)?;
        let value: u64 = found[1].parse().ok()?;
        Some((value, found[0].len()))
    };
    let all: Vec<(u64, usize)> = lines
        .iter()
        .filter(|(_, line)| !line.trim().is_empty() && !DURATION.is_match(line))
        .map(|(_, line)| number(line))
        .collect::<Option<_>>()?;
    let counts = all.windows(2).all(|pair| pair[1].0 > pair[0].0);
    counts.then(|| {
        lines
            .iter()
            .map(|(_, line)| number(line).map_or(0, |(_, end)| end))
            .collect()
    })
}

/// The number that a line has for itself, above the line that it counts.
fn lone_numbers(lines: &[(usize, String)]) -> Option<Vec<usize>> {
    let (mut before, mut found) = (0, 0);
    let mut ends = Vec::with_capacity(lines.len());
    for (index, (_, line)) in lines.iter().enumerate() {
        let number = line.trim().parse::<usize>().ok();
        // The page hides the lines of sections that are folded, so that some numbers may be missing.
        let counts = number.is_some_and(|number| number > before);
        if counts {
            before = number.unwrap_or_default();
            found += 1;
        } else if index == 0 {
            return None;
        }
        ends.push(if counts { line.len() } else { 0 });
    }
    let with_text = lines.iter().filter(|(_, line)| !line.trim().is_empty());
    (found >= LINES_MIN && found * 5 >= with_text.count() * 2).then_some(ends)
}

/// Numbers that stand right before the text: each line must begin with the next one.
fn glued_numbers(lines: &[(usize, String)]) -> Option<Vec<usize>> {
    let mut next: Option<usize> = None;
    let mut ends = Vec::with_capacity(lines.len());
    for (_, line) in lines {
        if line.trim().is_empty() || DURATION.is_match(line) {
            ends.push(0);
            continue;
        }
        let expected = match next {
            Some(next) => next.to_string(),
            None => line.chars().take_while(char::is_ascii_digit).collect(),
        };
        if expected.is_empty() || !line.starts_with(&expected) {
            return None;
        }
        ends.push(expected.len());
        next = Some(expected.parse::<usize>().ok()? + 1);
    }
    Some(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(lines: &[&str]) -> Vec<String> {
        let numbered = lines.iter().enumerate();
        let numbered = numbered.map(|(index, line)| (index + 1, (*line).to_owned()));
        let lines = strip(numbered.collect());
        lines.into_iter().map(|(_, line)| line).collect()
    }

    #[test]
    fn what_every_line_begins_with_is_no_part_of_the_log() {
        for lines in [
            ["> one", "> two", ">", "> three"],
            ["> > one", "> > two", "> >", "> > three"],
            [
                "runner-1  | one",
                "runner-1  | two",
                "runner-1  |",
                "runner-1  | three",
            ],
            [
                "[pod/ci/runner] one",
                "[pod/ci/runner] two",
                "[pod/ci/runner] ",
                "[pod/ci/runner] three",
            ],
            [
                "[2026-11-24T00:20:58Z] one",
                "[2026-11-24T00:20:58Z] two",
                "",
                "[2026-11-24T00:20:59Z] three",
            ],
            [
                "00:20:58 one",
                "00:20:58 two",
                "00:20:58 ",
                "00:20:59.5 three",
            ],
            ["   9 one", "  10 two", "  11", "  12 three"],
            ["1:one", "2:two", "3:", "4:three"],
            ["> 1 one", "> 2 two", "> 3", "> 4 three"],
            ["9one", "10two", "11", "12three"],
        ] {
            assert_eq!(stripped(&lines), ["one", "two", "", "three"], "{lines:?}");
        }
    }

    #[test]
    fn numbers_may_have_lines_of_their_own() {
        let lines = ["1", "one", "2", "two", "5", "three", "6"];
        assert_eq!(
            stripped(&lines),
            ["", "one", "", "two", "", "three", ""],
            "{lines:?}"
        );
        let linked = ["exit status [2](https://gitlab.com/a/b/-/jobs/7#L2)", "b"];
        assert_eq!(stripped(&linked), ["exit status 2", "b"]);
    }

    #[test]
    fn what_only_some_lines_begin_with_stays() {
        for lines in [
            ["> one", "two", "> three"],
            ["1 one", "2 two", "2 three"],
            ["[pod/a/b] one", "two", "[pod/a/b] three"],
        ] {
            assert_eq!(stripped(&lines), lines);
        }
        assert_eq!(stripped(&["> one", "> two"]), ["> one", "> two"]);
    }
}
