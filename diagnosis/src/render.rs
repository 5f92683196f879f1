//! A diagnosis as text for people, as Markdown and as JSON.

use std::fmt::Write as _;

use driver_conformance_reports::text::wrap;

use crate::model::{Diagnosis, EvidenceLine, Problem};

/// Width of the texts beside their labels.
const WIDTH: usize = 88;

/// As a reader meets them in the files; programs get the most telling first.
fn in_order(problem: &Problem) -> Vec<&EvidenceLine> {
    let mut lines: Vec<&EvidenceLine> = problem.evidence.iter().collect();
    lines.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    lines
}

/// Schema `driver-conformance/diagnosis/v1`.
pub fn json(diagnosis: &Diagnosis) -> String {
    let text = serde_json::to_string_pretty(diagnosis);
    text.unwrap_or_else(|error| unreachable!("the model is plain data: {error}")) + "\n"
}

fn place(problem: &Problem) -> String {
    let call = match problem.call.as_str() {
        "none" => "not a driver problem",
        "gitlab" => "GitLab",
        other => other,
    };
    match &problem.stage {
        Some(stage) => format!("{call}, {stage}"),
        None => call.to_owned(),
    }
}

fn weight(problem: &Problem) -> &'static str {
    match problem.confidence {
        sure if sure >= 0.85 => "sure",
        likely if likely >= 0.6 => "likely",
        _ => "possible",
    }
}

/// What there is to say where no problem was found.
fn nothing_found(diagnosis: &Diagnosis) -> &'static str {
    if diagnosis.understood == 0 {
        "not enough to tell: needed is the log of a job with the Custom executor, that of the runner, or a report of the suite"
    } else {
        "nothing is wrong with a driver here, as far as these logs tell"
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// For the terminal.
pub fn text(diagnosis: &Diagnosis) -> String {
    let mut text = String::new();
    for (index, problem) in diagnosis.problems.iter().enumerate() {
        let _ = writeln!(
            text,
            "{}. {} ({}; {})",
            index + 1,
            problem.title,
            place(problem),
            weight(problem)
        );
        for line in in_order(problem) {
            let file = line.file.as_ref().map(|file| format!("{file}:"));
            let at = format!("{}{}", file.unwrap_or_default(), line.line);
            let _ = writeln!(text, "   {at:>8} | {}", line.text);
        }
        field(&mut text, "look", &problem.observe);
        field(&mut text, "fix", &problem.fix);
        if !problem.checks.is_empty() {
            let only: Vec<String> = problem
                .checks
                .iter()
                .map(|check| format!("--only {check}"))
                .collect();
            field(
                &mut text,
                "prove it",
                &format!("driver-conformance PATH {}", only.join(" ")),
            );
        }
        if !problem.jobs.is_empty() {
            field(&mut text, "jobs", &problem.jobs.join(", "));
        }
        field(&mut text, "cause", &problem.cause);
        text.push('\n');
    }
    if diagnosis.problems.is_empty() {
        text.push_str(nothing_found(diagnosis));
        text.push('\n');
    }
    for note in &diagnosis.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text
}

fn field(text: &mut String, name: &str, content: &str) {
    if content.is_empty() {
        return;
    }
    for (index, line) in wrap(content, WIDTH).iter().enumerate() {
        let label = if index == 0 { name } else { "" };
        let _ = writeln!(text, "   {label:<8} {line}");
    }
}

/// For a wiki or an issue.
pub fn markdown(diagnosis: &Diagnosis) -> String {
    let mut text = "# Diagnosis\n".to_owned();
    for (index, problem) in diagnosis.problems.iter().enumerate() {
        let _ = write!(
            text,
            "\n## {}. {}\n\n- where: {}\n- cause: `{}` ({}, {:.0} %)\n",
            index + 1,
            problem.title,
            place(problem),
            problem.cause,
            weight(problem),
            problem.confidence * 100.0
        );
        if !problem.jobs.is_empty() {
            let _ = writeln!(text, "- jobs: {}", problem.jobs.join(", "));
        }
        if !problem.checks.is_empty() {
            let checks: Vec<String> = problem
                .checks
                .iter()
                .map(|check| format!("`{check}`"))
                .collect();
            let _ = writeln!(text, "- checks: {}", checks.join(", "));
        }
        if !problem.evidence.is_empty() {
            text.push_str("\n```text\n");
            for line in in_order(problem) {
                let file = line.file.as_ref().map(|file| format!("{file}:"));
                // A fence inside would end the block.
                let shown = line.text.replace("```", "'''");
                let _ = writeln!(text, "{}{}: {shown}", file.unwrap_or_default(), line.line);
            }
            text.push_str("```\n");
        }
        if !problem.observe.is_empty() {
            let _ = write!(text, "\n**Look at.** {}\n", problem.observe);
        }
        let _ = write!(text, "\n**Fix.** {}\n", problem.fix);
    }
    if diagnosis.problems.is_empty() {
        let _ = writeln!(text, "\n{}.", sentence(nothing_found(diagnosis)));
    }
    for note in &diagnosis.notes {
        let _ = write!(text, "\nNote: {note}\n");
    }
    text
}
