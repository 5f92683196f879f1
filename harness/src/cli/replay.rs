//! `replay`: runs again what failed, and says whether it still does.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Parser};
use driver_conformance_reports::model::{ExitCode, Finding, Report, Status, Verdict};

use crate::driver::Problem;
use crate::driver::tools::{shell_quoted, shell_words};
use crate::fuzz::Regressions;
use crate::plan::select::escaped;
use crate::suite::{self, StandAlone};

use super::fuzz::regressions_beside;
use super::{Command, CommandLine, DriverArguments, ExpectedError, Output, run};

/// The folder of the points of a sweep.
const FAULTS: &str = "faults/";
/// The folder of sequences that the fuzzer found.
const FUZZ: &str = "fuzz/";

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The name of a case, a JSON report, or a file with regressions
    what: String,

    /// The driver; not needed for a file that says which driver it is about
    #[arg(long = "driver", value_name = "PATH")]
    path: Option<PathBuf>,

    /// Where the sequences of the fuzzer are kept, if not beside the driver
    #[arg(long, value_name = "FILE")]
    regressions: Option<PathBuf>,

    /// Also write the case as a bash script that makes the same calls without the harness (- is standard output)
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,

    #[command(flatten)]
    driver: DriverArguments,
}

/// What is run again, with one command.
struct Group {
    /// The words of the command, without a selection.
    command: Vec<String>,
    /// The cases.
    cases: Vec<String>,
    /// What was found in them; none if only the cases are named.
    findings: Vec<Finding>,
}

/// What became of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Fixed,
    Failed,
    Error,
}

impl Fate {
    fn word(self) -> &'static str {
        match self {
            Self::Fixed => "FIXED",
            Self::Failed => "FAILED",
            Self::Error => "ERROR",
        }
    }
}

/// Runs again, and tells what became of each.
pub(super) fn execute(arguments: &Arguments, output: &mut Output) -> Result<u8, ExpectedError> {
    let file = Path::new(&arguments.what);
    let groups = if file.is_file() && file.extension().is_some_and(|kind| kind == "toml") {
        vec![of_regressions(file, arguments)?]
    } else if file.is_file() {
        of_report(file, arguments)?
    } else {
        vec![of_case(arguments)?]
    };
    let script = match &arguments.script {
        Some(path) => Some((path, script_of(&groups)?)),
        None => None,
    };
    let mut worst = ExitCode::CONFORMS;
    for group in groups {
        let stand_alone = script.as_ref().map(|(_, stand_alone)| stand_alone);
        let report = run_again(&group, arguments, stand_alone, output)?;
        for (fate, line) in fates(&group, &report) {
            output.text(&format!("{:<6} {line}\n", fate.word()));
            worst = worse(worst, fate, report.verdict);
        }
    }
    if let Some((path, stand_alone)) = script {
        write_script(path, &stand_alone, output)?;
    }
    Ok(worst)
}

/// What takes the script of the only case out of its run.
fn script_of(groups: &[Group]) -> Result<Arc<StandAlone>, ExpectedError> {
    let cases: Vec<&String> = groups.iter().flat_map(|group| &group.cases).collect();
    let ([case], [group]) = (cases.as_slice(), groups) else {
        let names: Vec<&str> = cases.iter().map(|case| case.as_str()).collect();
        return Err(Problem::new(
            format!(
                "a script holds one case, and these are several: {}",
                names.join(", ")
            ),
            "name one of them: `driver-conformance replay CASE --driver PATH --script FILE`",
        )
        .into());
    };
    if case.starts_with(FAULTS) {
        return Err(Problem::new(
            format!(
                "{case} is a moment inside of a call, which no script can meet without the harness"
            ),
            "leave --script out: `replay` shows the case again",
        )
        .into());
    }
    let driver = Path::new(group.command.get(1).map_or("", String::as_str));
    let driver = std::path::absolute(driver).unwrap_or_else(|_| driver.to_path_buf());
    let path = std::env::var("PATH").unwrap_or_default();
    Ok(Arc::new(StandAlone::new(case, &driver, &path)))
}

/// Writes the script, for its owner alone: what the user gave to the driver as secrets is in it.
fn write_script(
    path: &Path,
    stand_alone: &StandAlone,
    output: &mut Output,
) -> Result<(), ExpectedError> {
    let failed = |reason: String| {
        ExpectedError::NotWritten(Problem::new(
            format!("the script {} cannot be written: {reason}", path.display()),
            "give --script a file in a directory that you may write to",
        ))
    };
    let Some(text) = stand_alone.text() else {
        return Err(failed("the case was not run".to_owned()));
    };
    if path == Path::new("-") {
        output.text(&text);
        return Ok(());
    }
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o700)
        .open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error: io::Error| failed(error.to_string()))?;
    output.text(&format!("script {}\n", path.display()));
    Ok(())
}

/// A failure outweighs an error, which outweighs doubt.
fn worse(known: u8, fate: Fate, verdict: Verdict) -> u8 {
    match (fate, known) {
        (Fate::Failed, _) | (_, ExitCode::NONCONFORMING) => {
            if fate == Fate::Failed {
                ExitCode::NONCONFORMING
            } else {
                known
            }
        }
        (Fate::Error, _) if verdict == Verdict::Inconclusive => known.max(ExitCode::INCONCLUSIVE),
        (Fate::Error, _) => ExitCode::HARNESS_ERROR,
        (Fate::Fixed, _) => known,
    }
}

fn of_case(arguments: &Arguments) -> Result<Group, ExpectedError> {
    let case = &arguments.what;
    let Some(driver) = &arguments.path else {
        return Err(Problem::new(
            format!("there is no file {case}, and a case needs a driver"),
            "write `driver-conformance replay CASE --driver PATH`, or name a JSON report",
        )
        .into());
    };
    let subcommand = if case.starts_with(FAULTS) {
        "faults "
    } else {
        ""
    };
    let command = format!(
        "driver-conformance {subcommand}{}{}",
        shell_quoted(&driver.to_string_lossy()),
        arguments.driver.typed()
    );
    Ok(Group {
        command: shell_words(&command),
        cases: vec![case.clone()],
        findings: Vec::new(),
    })
}

fn of_regressions(file: &Path, arguments: &Arguments) -> Result<Group, ExpectedError> {
    let known = Regressions::read(file)?.known;
    let beside = file.parent().filter(|parent| *parent != Path::new(""));
    let beside = beside.unwrap_or(Path::new("."));
    let driver = arguments.path.as_deref().unwrap_or(beside);
    let command = format!(
        "driver-conformance {}{}",
        shell_quoted(&driver.to_string_lossy()),
        arguments.driver.typed()
    );
    Ok(Group {
        command: shell_words(&command),
        cases: known.into_iter().map(|known| known.name).collect(),
        findings: Vec::new(),
    })
}

/// The failed findings of a report, by the command that runs them.
fn of_report(file: &Path, arguments: &Arguments) -> Result<Vec<Group>, ExpectedError> {
    let unusable = |reason: String| {
        Problem::new(
            format!("{} cannot be used: {reason}", file.display()),
            "give a report that was written with --report json=FILE",
        )
    };
    let text = std::fs::read_to_string(file).map_err(|error| unusable(error.to_string()))?;
    let report: Report =
        serde_json::from_str(&text).map_err(|error| unusable(error.to_string()))?;
    let mut groups: Vec<Group> = Vec::new();
    let failed = report.findings.into_iter();
    for finding in failed.filter(|finding| finding.status == Status::Fail) {
        let command = command_of(&finding, arguments);
        let known = groups.iter().position(|group| group.command == command);
        let place = known.unwrap_or(groups.len());
        if known.is_none() {
            groups.push(Group {
                command,
                cases: Vec::new(),
                findings: Vec::new(),
            });
        }
        let group = &mut groups[place];
        if !group.cases.contains(&finding.case) {
            group.cases.push(finding.case.clone());
        }
        group.findings.push(finding);
    }
    if groups.is_empty() {
        return Err(unusable("nothing in it failed".to_owned()).into());
    }
    Ok(groups)
}

/// The command that shows a finding, without its selection, and for the driver that is named.
fn command_of(finding: &Finding, arguments: &Arguments) -> Vec<String> {
    let mut words = shell_words(&finding.reproduce);
    if let Some(only) = words.iter().rposition(|word| word == "--only") {
        words.truncate(only);
    }
    if words.get(1).is_some_and(|word| word == "replay") {
        // `replay NAME --driver PATH FLAGS` → `PATH FLAGS`
        words.drain(1..4.min(words.len()));
    }
    if let Some(path) = &arguments.path {
        let at = if words.get(1).is_some_and(|word| word == "faults") {
            2
        } else {
            1
        };
        if let Some(driver) = words.get_mut(at) {
            *driver = path.to_string_lossy().into_owned();
        }
    }
    words
}

fn run_again(
    group: &Group,
    arguments: &Arguments,
    stand_alone: Option<&Arc<StandAlone>>,
    output: &mut Output,
) -> Result<Report, ExpectedError> {
    let is_fuzz = group
        .cases
        .first()
        .is_some_and(|case| case.starts_with(FUZZ));
    let mut words = group.command.clone();
    if !is_fuzz {
        for case in &group.cases {
            words.extend(["--only".to_owned(), escaped(case)]);
        }
    }
    if is_fuzz {
        let driver = words.get(1).cloned().unwrap_or_default();
        let beside = || regressions_beside(Path::new(&driver));
        let file = Path::new(&arguments.what);
        let named = file.is_file() && file.extension().is_some_and(|kind| kind == "toml");
        let path = match (&arguments.regressions, named) {
            (Some(path), _) => path.clone(),
            (None, true) => PathBuf::from(&arguments.what),
            (None, false) => beside(),
        };
        let fuzzer = suite::Fuzzer::of_known(Regressions::read(&path)?, &group.cases);
        let mut line = parsed(&words)?;
        line.run.stand_alone = stand_alone.cloned();
        return run::report(&line.run, &fuzzer, output);
    }
    let mut line = parsed(&words)?;
    line.run.stand_alone = stand_alone.cloned();
    match &line.command {
        Some(Command::Faults(faults)) => {
            let (arguments, sweep) = faults.parts();
            run::report(&arguments, &sweep, output)
        }
        _ => run::report(&line.run, &suite::builtin(), output),
    }
}

fn parsed(words: &[String]) -> Result<CommandLine, ExpectedError> {
    CommandLine::try_parse_from(words).map_err(|_| {
        let problem = Problem::new(
            format!("this version does not understand `{}`", words.join(" ")),
            "write the command that shows the finding anew",
        );
        problem.into()
    })
}

/// What became of each finding, or of each case where only cases are named.
fn fates(group: &Group, report: &Report) -> Vec<(Fate, String)> {
    if group.findings.is_empty() {
        return group
            .cases
            .iter()
            .map(|case| (fate_of_case(case, report), case.clone()))
            .collect();
    }
    let same = |old: &Finding, new: &&Finding| {
        new.check == old.check && new.call == old.call && new.stage == old.stage
    };
    let fate = |old: &Finding| {
        let now = report.findings.iter().find(|new| same(old, new));
        let fate = match now.map(|now| now.status) {
            Some(Status::Fail) => Fate::Failed,
            Some(Status::Inconclusive) => Fate::Error,
            _ => match fate_of_case(&old.case, report) {
                Fate::Error => Fate::Error,
                _ => Fate::Fixed,
            },
        };
        let stage = old
            .stage
            .as_deref()
            .map_or(String::new(), |stage| format!(" {stage}"));
        (
            fate,
            format!("{} {}{stage} in {}", old.check, old.call, old.case),
        )
    };
    group.findings.iter().map(fate).collect()
}

fn fate_of_case(case: &str, report: &Report) -> Fate {
    let shows = |finding: &&Finding| finding.cases.iter().any(|name| name == case);
    let statuses: Vec<Status> = report
        .findings
        .iter()
        .filter(shows)
        .map(|finding| finding.status)
        .collect();
    let result = report.cases.iter().find(|result| result.name == case);
    match result.map(|result| result.status) {
        _ if statuses.contains(&Status::Fail) => Fate::Failed,
        Some(Status::Pass | Status::Waived) => Fate::Fixed,
        _ => Fate::Error,
    }
}
