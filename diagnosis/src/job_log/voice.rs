//! Whose voice the last word of a stage is in. Everything that is printed while a job is prepared is the driver's, and many a driver
//! puts its name in front of its lines: where such a line ends a step, the driver has given up, and not the script.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use crate::story::{Evidence, Remark, is_echo};
use crate::text::pattern;

/// `[vm-driver] …`, `vm-driver: …`, `vm-driver[17]: …`, also behind a moment.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^\s*(?:[\d:./TZ+-]{8,32}\s+)*(?:\[([A-Za-z][\w.-]{1,39})\]|([A-Za-z][\w.-]{1,39})(?:\[\d+\])?:)\s+\S",
    )
});
/// What stands at the beginning of lines of many programs, and is the name of none of them; and programs that scripts call, too.
const NO_NAMES: [&str; 34] = [
    "alert", "bash", "cat", "cp", "critical", "curl", "debug", "docker", "err", "error", "failed",
    "fatal", "git", "hint", "info", "install", "ls", "mkdir", "mv", "note", "notice", "ok",
    "podman", "remote", "rm", "rsync", "scp", "ssh", "status", "sudo", "tar", "warn", "warning",
    "wget",
];
/// Words of a program that gives up.
static COMPLAINT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(error|fatal|fail(ed|ure)?|denied|refused|cannot|can't|could not|unable|timed? ?out|lost|gone|dead|died|closed|unreachable|unexpected|reset|broken|disconnected|interrupted|aborted|not (found|responding|running)|no (such|answer|response|reply)|gave up|giving up|aborting)\b",
    )
});
/// Words by which a driver tells how the script of the user ended, as it should.
static REPORT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\bexit(s|ed|ing)?\b|\bexit[ _-]?(code|status)|\b(script|job|build|step|stage|command|task|user)\b.{0,40}\b(fail|return|end|finish|done|status|result|error)",
    )
});

/// The last line of a stage, if it is a complaint in a voice that prepared the job and no script has spoken in.
pub(super) fn last_complaint(printed: &[&Remark], all: &[Vec<Remark>]) -> Option<Evidence> {
    let last = printed.last()?;
    let is_complaint = COMPLAINT.is_match(&last.text) && !REPORT.is_match(&last.text);
    let name = name(&last.text).filter(|_| is_complaint)?;
    let command = printed.iter().rfind(|remark| is_echo(&remark.text));
    let prepared = all.iter().flatten();
    let own: BTreeSet<String> = prepared
        .filter(|remark| remark.place.is("prepare") || remark.place.is("config"))
        .filter_map(|remark| self::name(&remark.text))
        .collect();
    let is_called = command.is_some_and(|command| command.text.to_lowercase().contains(&name));
    (own.contains(&name) && !is_called).then(|| last.evidence.clone())
}

/// Who a line says that it is from.
fn name(text: &str) -> Option<String> {
    let found = NAMED.captures(text)?;
    let name = found.get(1).or(found.get(2))?.as_str().to_lowercase();
    (!NO_NAMES.contains(&name.as_str())).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::Place;
    use driver_conformance_scenarios::symptom::Subject;

    fn remarks(place: &Place, lines: &[&str]) -> Vec<Remark> {
        let remarks = lines.iter().enumerate().map(|(index, text)| Remark {
            text: (*text).to_owned(),
            place: place.clone(),
            evidence: Evidence {
                input: 0,
                line: index + 1,
                text: (*text).to_owned(),
            },
        });
        remarks.collect()
    }

    fn is_of_driver(prepare: &str, step: &[&str]) -> bool {
        let prepared = remarks(&Place::of(Subject::Prepare), &[prepare]);
        let step = remarks(&Place::run("build_script"), step);
        let printed: Vec<&Remark> = step.iter().collect();
        last_complaint(&printed, &[prepared]).is_some()
    }

    #[test]
    fn a_driver_is_known_by_its_name() {
        assert!(is_of_driver(
            "[vm-driver] cloning",
            &["$ make", "[vm-driver] guest agent is not responding"]
        ));
        assert!(is_of_driver(
            "2026-11-24 10:00:01 box: starting",
            &["$ make", "2026-11-24 10:01:09 box: lost the session"]
        ));
        for (prepare, step) in [
            (
                "[vm-driver] cloning",
                &["$ make", "[vm-driver] script failed with 3"][..],
            ),
            (
                "[vm-driver] cloning",
                &["$ make", "make: *** [all] Error 1"],
            ),
            ("error: retrying", &["$ make", "error: test failed"]),
            ("tool: starting", &["$ tool --all", "tool: cannot go on"]),
            ("[vm-driver] cloning", &["$ make", "[other] cannot go on"]),
        ] {
            assert!(!is_of_driver(prepare, step), "{prepare} {step:?}");
        }
    }
}
