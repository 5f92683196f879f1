//! `explain`: pages about calls, stages, exit codes, signals, variables; checks, cases, clauses, categories.

use std::path::Path;

use clap::{Args, ValueEnum};
use driver_conformance_advice::document::{Block, Document};
use driver_conformance_advice::explain;
use driver_conformance_reports::model::Category;
use driver_conformance_scenarios::{page, symptom};

use crate::advice;
use crate::driver::Problem;
use crate::pipeline::PipelineJob;
use crate::suite::Suite;

use super::{ExpectedError, Output, job_file, show};

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A topic, a program, a run stage, a category, a cause that diagnose names, a check, a case or a clause; without, the list of
    /// them
    name: Option<String>,

    /// List everything that can be explained
    #[arg(long, conflicts_with = "name")]
    list: bool,

    /// List the exact calls that this job causes: `.gitlab-ci.yml:NAME`, or a file with the payload that GitLab sends
    #[arg(long, value_name = "JOB", conflicts_with_all = ["name", "list"])]
    sequence: Option<String>,

    /// With --sequence: let this program or run stage fail; may be repeated
    #[arg(long = "fails", value_name = "CALL", requires = "sequence")]
    failing: Vec<String>,

    /// Form of the page
    #[arg(long, value_enum, default_value_t = PageFormat::Text, value_name = "FORMAT")]
    format: PageFormat,
}

/// Form of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum PageFormat {
    /// For the terminal
    Text,
    /// Markdown
    Md,
    /// HTML
    Html,
    /// JSON
    Json,
}

/// Prints a document in one of its forms.
pub(super) fn print(document: &Document, format: PageFormat, output: &mut Output) {
    output.text(&match format {
        PageFormat::Text => document.text(),
        PageFormat::Md => document.markdown(),
        PageFormat::Html => document.html(),
        PageFormat::Json => document.json(),
    });
}

/// Prints the page.
pub(super) fn execute(
    arguments: &Arguments,
    suite: &dyn Suite,
    output: &mut Output,
) -> Result<u8, ExpectedError> {
    let document = if let Some(job) = &arguments.sequence {
        sequence(job, &arguments.failing, output)?
    } else {
        match &arguments.name {
            Some(name) => named(name, suite)?,
            None => explain::list(),
        }
    };
    print(&document, arguments.format, output);
    Ok(0)
}

fn named(name: &str, suite: &dyn Suite) -> Result<Document, ExpectedError> {
    let checks = advice::check_facts();
    let category = Category::from_name(name).map(|category| explain::category(category, &checks));
    if let Some(page) = page::named(name) {
        let mut document = explain::page(page, &advice::numbers(), &checks);
        // Some names are those of a page and of a category: both are told.
        if let Some(category) = category {
            document.blocks.push(Block::Heading {
                text: category.title,
            });
            document.blocks.extend(category.blocks);
        }
        return Ok(document);
    }
    if let Some(category) = category {
        return Ok(category);
    }
    if let Some(symptom) = symptom::of_cause(name) {
        return Ok(explain::cause(symptom, &checks));
    }
    if let Some(text) = show::page(name, suite)? {
        return Ok(Document {
            schema: "driver-conformance/page/v1",
            name: name.to_owned(),
            title: name.to_owned(),
            blocks: vec![Block::Drawing { text }],
        });
    }
    let pages: Vec<&str> = page::all()
        .iter()
        .map(|page| page.name)
        .chain(symptom::all().iter().map(|symptom| symptom.cause))
        .collect();
    Err(show::nothing_named(name, suite, &pages)?)
}

fn sequence(job: &str, failing: &[String], output: &mut Output) -> Result<Document, ExpectedError> {
    let refused = |error: String| job_file::unusable(Path::new(job), &error);
    let PipelineJob { payload, notes } = job_file::read(job, None)?;
    for note in &notes {
        output.warning(note);
    }
    let known = advice::fallible(&payload).map_err(refused)?;
    let is_known = |name: &String| known.contains(name) || advice::is_stage_of_failure(name);
    if let Some(unknown) = failing.iter().find(|name| !is_known(name)) {
        return Err(ExpectedError::Usage(Problem::new(
            format!("the job of {job} has no stage `{unknown}` that could fail"),
            format!("name one of {}", known.join(", ")),
        )));
    }
    let lines = advice::sequence(&payload, failing).map_err(refused)?;
    Ok(Document {
        schema: "driver-conformance/sequence/v1",
        name: "sequence".to_owned(),
        title: format!("Calls for the job of {job}"),
        blocks: vec![Block::Drawing {
            text: lines.join("\n"),
        }],
    })
}
