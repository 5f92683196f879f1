//! The job that a user names: a payload, or a job of a `.gitlab-ci.yml`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::driver::{JobSettings, Problem, SourceFile};
use crate::pipeline::{self, PipelineJob, Sources};

/// A file, and the job in it if it is a pipeline.
struct JobPlace {
    file: PathBuf,
    name: Option<String>,
}

impl JobPlace {
    /// Reads `FILE` or `FILE:JOB`. Names of jobs may hold colons; so may names of files, which win if they are there.
    fn parse(written: &str) -> Self {
        let whole = |file: &str| Self {
            file: file.into(),
            name: None,
        };
        if Path::new(written).exists() {
            return whole(written);
        }
        let mut colons = written.match_indices(':').map(|(at, _)| at);
        match colons.find(|at| Path::new(&written[..*at]).is_file()) {
            Some(at) => Self {
                file: written[..at].into(),
                name: Some(written[at + 1..].to_owned()),
            },
            None => whole(written),
        }
    }

    fn is_pipeline(&self) -> bool {
        let extension = self
            .file
            .extension()
            .and_then(|extension| extension.to_str());
        matches!(extension, Some("yml" | "yaml"))
    }
}

/// Reads what is named by `FILE` or `FILE:JOB`. The sources of a pipeline's job are fetched from `repository`, if there is one.
pub(super) fn read(written: &str, repository: Option<&str>) -> Result<PipelineJob, Problem> {
    let place = JobPlace::parse(written);
    if place.is_pipeline() {
        return of_pipeline(&place, repository);
    }
    if let Some(name) = &place.name {
        return Err(unusable(
            &place.file,
            &format!("it is no pipeline, so it has no job `{name}`"),
        ));
    }
    if repository.is_some() {
        return Err(Problem::new(
            "a payload says itself where its sources are",
            "leave --repository out, or name a job of a .gitlab-ci.yml",
        ));
    }
    let payload = of_payload(&place.file)?;
    let notes = Vec::new();
    Ok(PipelineJob { payload, notes })
}

fn of_pipeline(place: &JobPlace, repository: Option<&str>) -> Result<PipelineJob, Problem> {
    let file = SourceFile::read(&place.file)?;
    let directory = match place.file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let sources = repository.map(|url| sources(url, directory)).transpose()?;
    let read_local = |path: &str| SourceFile::read(&directory.join(path));
    pipeline::job(file, place.name.as_deref(), sources.as_ref(), &read_local)
}

/// The commit and branch that the pipeline's directory is at.
fn sources(url: &str, directory: &Path) -> Result<Sources, Problem> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(directory)
            .args(arguments)
            .output();
        let failed = |reason: String| {
            Problem::new(
                format!(
                    "--repository needs the commit of {}, and git does not tell it: {reason}",
                    directory.display()
                ),
                "give a pipeline inside of a git work tree that is on a branch with a commit",
            )
        };
        let output = output.map_err(|error| failed(error.to_string()))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(failed(text(&output.stderr)))
        }
    };
    Ok(Sources {
        url: url.to_owned(),
        branch: git(&["symbolic-ref", "--short", "HEAD"])?,
        commit: git(&["rev-parse", "HEAD"])?,
    })
}

/// The job with what the user says about jobs: a flag wins over what the job says itself, the driver's own settings (which hold
/// the flags, too) are for what it does not say.
pub(super) fn with_settings(
    mut payload: Value,
    settings: &JobSettings,
    flags: &JobSettings,
) -> Value {
    let variable = |(key, value): &(String, String)| json!({ "key": key, "value": value });
    let image = |name: &String| json!({ "name": name });
    let is_unsaid = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    let own = payload["variables"].as_array().cloned().unwrap_or_default();
    let first = settings.variables.iter().map(variable);
    let last = flags.variables.iter().map(variable);
    payload["variables"] = first.chain(own).chain(last).collect();
    if flags.image.is_some() || is_unsaid(&payload["image"]) {
        payload["image"] = settings.image.as_ref().map(image).into();
    }
    if !flags.services.is_empty() || is_unsaid(&payload["services"]) {
        payload["services"] = settings.services.iter().map(image).collect();
    }
    payload
}

/// A job that cannot be run.
pub(super) fn unusable(file: &Path, reason: &str) -> Problem {
    Problem::new(
        format!("the job {} cannot be used: {reason}", file.display()),
        "give the JSON object that GitLab answers to a runner's request for a job, as in scenarios/jobs/, or a job of a \
         pipeline as .gitlab-ci.yml:NAME",
    )
}

/// The payload, which must be a JSON object.
fn of_payload(file: &Path) -> Result<Value, Problem> {
    let bytes = std::fs::read(file).map_err(|error| unusable(file, &error.to_string()))?;
    let payload: Value =
        serde_json::from_slice(&bytes).map_err(|error| unusable(file, &error.to_string()))?;
    if !payload.is_object() {
        return Err(unusable(file, "it is not a JSON object"));
    }
    // GitLab never sends a job without these two; a runner would make something of it that nobody meant.
    for member in ["id", "steps"] {
        if payload.get(member).is_none_or(Value::is_null) {
            return Err(unusable(
                file,
                &format!("it has no `{member}`, so it is no job"),
            ));
        }
    }
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_divides_file_and_job_where_there_is_such_a_file() {
        let home = tempfile::tempdir().expect("a directory");
        let pipeline = home.path().join(".gitlab-ci.yml");
        std::fs::write(&pipeline, "").expect("written");
        let place = JobPlace::parse(&format!("{}:build:linux", pipeline.display()));
        assert_eq!(place.file, pipeline);
        assert_eq!(place.name.as_deref(), Some("build:linux"));
        let other = home.path().join("a:b.json");
        std::fs::write(&other, "").expect("written");
        let place = JobPlace::parse(&other.display().to_string());
        assert_eq!((place.file, place.name), (other, None));
        assert_eq!(JobPlace::parse("absent.yml:build").name, None);
    }

    #[test]
    fn flags_win_over_the_job_which_wins_over_the_drivers_settings() {
        let pairs = |pairs: &[(&str, &str)]| {
            let pairs = pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            pairs.collect::<Vec<_>>()
        };
        let settings = JobSettings {
            image: Some("of-settings".to_owned()),
            services: Vec::new(),
            variables: pairs(&[("A", "settings")]),
        };
        let flags = JobSettings {
            variables: pairs(&[("A", "flag")]),
            ..JobSettings::default()
        };
        let job =
            json!({ "image": { "name": "own" }, "variables": [{ "key": "A", "value": "own" }] });
        let given = with_settings(job, &settings, &flags);
        assert_eq!(given["image"]["name"], "own");
        let values: Vec<&Value> = given["variables"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|variable| &variable["value"])
            .collect();
        assert_eq!(values, ["settings", "own", "flag"]);
        let without = with_settings(json!({ "image": null }), &settings, &flags);
        assert_eq!(without["image"]["name"], "of-settings");
        let flags = JobSettings {
            image: Some("of-settings".to_owned()),
            ..flags
        };
        let forced = with_settings(json!({ "image": { "name": "own" } }), &settings, &flags);
        assert_eq!(forced["image"]["name"], "of-settings");
    }
}
