//! Whose trace it is that a stage ends with: a driver that crashes in the middle of a step looks like a script that failed, but
//! the files that its trace leads through are not those of the job.

use std::sync::LazyLock;

use regex::Regex;

use crate::story::{Evidence, Remark, is_echo};
use crate::text::pattern;

/// Lines at the end of a stage in which a trace is looked for.
const TRACE_LINES_MAX: usize = 40;
/// A trace that ends the stage has its last place within so many lines of the end.
const BEHIND_TRACE_MAX: usize = 8;

/// A file with the number of a line, as shells and traces of most languages name a place.
static LOCATION: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?:^|[\s("'@])(/[\w.@+-]+(?:/[\w.@+-]+)+)(?:"?, line \d|\[\d+\]: |: (?:\w+ )?\d+: |:\d+\b| line \d)"#,
    )
});
/// Parts of a path by which drivers are installed: whole words, since `webdriver` is a tool of tests.
static OWN_NAME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)/(?:[\w.@+-]*gitlab[_-]?runner[\w.@+-]*|(?:[\w.@+-]*[-_.])?(?:driver|executor)s?)(?:[/.]|$)",
    )
});
/// Names of a driver's programs. Jobs have such, too, so that they only tell where no command of the job has begun.
static PROGRAM: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)/(?:config|prepare|run|cleanup|base)(?:[_-]exec)?(?:\.\w+)?$"));
/// Where users and the package managers of languages put things: what has a telling name there may be anybody's.
static ELSEWHERE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^/home/|/\.|/(?:site-packages|dist-packages|node_modules|gems|vendor)/")
});
/// Where the project lies inside of the environment, in the words of git.
static PROJECT: LazyLock<Regex> = LazyLock::new(|| pattern(r"(/\S+)/\.git/"));

/// Whose files a trace leads through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// Those of a driver, and none of the job.
    Driver,
    /// Some of the job.
    Job,
}

/// Whose trace a stage ends with, and its last place; nothing where that is not to be told.
pub(super) fn trace(printed: &[&Remark], all: &[Vec<Remark>]) -> Option<(Owner, Evidence)> {
    let begun = printed.iter().rposition(|remark| is_echo(&remark.text));
    let since = begun.map_or(0, |at| at + 1);
    let from = since.max(printed.len().saturating_sub(TRACE_LINES_MAX));
    let end = &printed[from..];
    let is_place = |remark: &&Remark| LOCATION.is_match(&remark.text);
    let last = end.iter().rposition(is_place)?;
    if end.len() - last > BEHIND_TRACE_MAX {
        return None;
    }
    let projects = projects(all);
    let command = begun.map(|at| printed[at].text.as_str());
    let mut own = false;
    for file in end.iter().flat_map(|remark| files(remark)) {
        let of_job = projects.iter().any(|project| file.starts_with(project));
        let called = command.is_some_and(|command| command.contains(file_name(&file)));
        if of_job || called || file.contains("/builds/") {
            return Some((Owner::Job, end[last].evidence.clone()));
        }
        let named = OWN_NAME.is_match(&file) && !ELSEWHERE.is_match(&file);
        let is_program = command.is_none() && PROGRAM.is_match(&file);
        own |= named || is_program;
    }
    own.then(|| (Owner::Driver, end[last].evidence.clone()))
}

fn files(remark: &Remark) -> Vec<String> {
    let found = LOCATION.captures_iter(&remark.text);
    found.map(|found| found[1].to_owned()).collect()
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Directories of the job's sources.
fn projects(all: &[Vec<Remark>]) -> Vec<String> {
    let sources = all.iter().flatten();
    let sources = sources.filter(|remark| remark.place.is("get_sources"));
    sources
        .filter_map(|remark| PROJECT.captures(&remark.text))
        .map(|found| found[1].to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::Place;

    fn remarks(stage: &str, lines: &[&str]) -> Vec<Remark> {
        let remarks = lines.iter().enumerate().map(|(index, text)| Remark {
            text: (*text).to_owned(),
            place: Place::run(stage),
            evidence: Evidence {
                input: 0,
                line: index + 1,
                text: (*text).to_owned(),
            },
        });
        remarks.collect()
    }

    fn is_of_driver(lines: &[&str]) -> bool {
        let sources = remarks(
            "get_sources",
            &["Initialized empty Git repository in /home/gitlab-runner/work/a/b/.git/"],
        );
        let step = remarks("build_script", lines);
        let printed: Vec<&Remark> = step.iter().collect();
        matches!(trace(&printed, &[sources]), Some((Owner::Driver, _)))
    }

    #[test]
    fn files_tell_whose_trace_it_is() {
        for lines in [
            &[
                "$ make",
                "Traceback (most recent call last):",
                "  File \"/opt/vm-driver/run.py\", line 9, in <module>",
                "    main()",
                "KeyError: 'ip'",
            ][..],
            &[
                "$ make",
                "/usr/local/lib/lxd-executor/run.sh: line 40: host: unbound variable",
            ],
            &["/opt/vm/run.sh: line 40: host: unbound variable"],
            &[
                "$ make",
                "panic: nil map",
                "main.run(...)",
                "\t/src/gitlab-runner-x/main.go:12 +0x1d",
            ],
        ] {
            assert!(is_of_driver(lines), "{lines:?}");
        }
        for lines in [
            &[
                "$ pytest",
                "  File \"/home/gitlab-runner/work/a/b/driver.py\", line 9, in f",
                "KeyError: 'ip'",
            ][..],
            &[
                "$ tool",
                "  File \"/usr/lib/python3/dist-packages/tool/main.py\", line 9, in f",
                "KeyError: 'ip'",
            ],
            &["$ make", "make: *** [all] Error 1"],
            &[
                "$ /opt/e2e-driver/all.sh",
                "/opt/e2e-driver/all.sh: line 3: x: not found",
            ],
            &["$ make", "/opt/app/run.sh: line 3: x: not found"],
            &[
                "$ pytest",
                "/usr/lib/python3/dist-packages/selenium/webdriver/remote.py:12: TimeoutException",
            ],
            &[
                "$ cargo test",
                "panicked at /home/gitlab-runner/.cargo/registry/src/x/lib.rs:10:5:",
            ],
        ] {
            assert!(!is_of_driver(lines), "{lines:?}");
        }
    }
}
