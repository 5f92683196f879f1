//! `download_artifacts` and `upload_artifacts_*` (E1, E18).

use super::bash::BashWriter;
use super::commands::{RUNNER_COMMAND, change_owner, enter_project, guarded};
use crate::contract::build::Build;
use crate::contract::go_duration::GoDuration;
use crate::contract::go_url::GoUrl;
use crate::contract::payload::{Artifact, Dependency, is_for_failure, is_for_success};
use crate::contract::variables::Variables;

const UPLOAD_TIMEOUT_DEFAULT: GoDuration = GoDuration(3_600_000_000_000);
const RESPONSE_HEADER_TIMEOUT_DEFAULT: GoDuration = GoDuration(600_000_000_000);

/// Dependencies that have an archive.
pub(super) fn dependencies(build: &Build) -> Vec<&Dependency> {
    build
        .payload()
        .dependencies
        .iter()
        .filter(|job| !job.artifacts_file.filename.is_empty())
        .collect()
}

/// Artifacts that are uploaded in this outcome; none if the runner has no URL.
pub(super) fn uploads(build: &Build, success: bool) -> Vec<&Artifact> {
    if build.runner().url.is_empty() {
        return Vec::new();
    }
    let fits = |when: &str| {
        if success {
            is_for_success(when)
        } else {
            is_for_failure(when)
        }
    };
    let has_content = |artifact: &Artifact| {
        artifact.untracked || !artifact.paths.is_empty() || !artifact.exclude.is_empty()
    };
    build
        .payload()
        .artifacts
        .iter()
        .filter(|artifact| fits(&artifact.when) && has_content(artifact))
        .collect()
}

/// `download_artifacts`
pub(super) fn write_downloads(
    writer: &mut BashWriter,
    build: &Build,
    dependencies: &[&Dependency],
) {
    enter_project(writer, build);
    guarded(writer, "Artifacts downloading", |writer| {
        for job in dependencies {
            let id = job.id.to_string();
            writer.notice(&format!("Downloading artifacts for {} ({id})...", job.name));
            let arguments = [
                "artifacts-downloader",
                "--url",
                &build.runner().url,
                "--token",
                &job.token,
                "--id",
                &id,
            ];
            writer.command(RUNNER_COMMAND, &arguments);
        }
    });
    change_owner(writer, build, &[build.cache_dir(), build.root_dir()]);
}

/// `upload_artifacts_on_success` and `upload_artifacts_on_failure`
pub(super) fn write_uploads(writer: &mut BashWriter, build: &Build, artifacts: &[&Artifact]) {
    enter_project(writer, build);
    for artifact in artifacts {
        let arguments = upload_arguments(build, artifact);
        guarded(writer, "Uploading artifacts", |writer| {
            writer.notice("Uploading artifacts...");
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            writer.command(RUNNER_COMMAND, &arguments);
        });
    }
}

fn upload_arguments(build: &Build, artifact: &Artifact) -> Vec<String> {
    let runner = build.runner();
    let timeout = |configured: &Option<String>, default: GoDuration| {
        configured
            .as_deref()
            .and_then(|text| GoDuration::parse(text).ok())
            .unwrap_or(default)
            .to_string()
    };
    let mut arguments = vec!["artifacts-uploader".to_owned()];
    let mut option =
        |name: &str, value: &str| arguments.extend([name.to_owned(), value.to_owned()]);
    option("--url", &runner.url);
    option("--token", &build.payload().token);
    option("--id", &build.payload().id.to_string());
    option(
        "--timeout",
        &timeout(&runner.artifact.upload_timeout, UPLOAD_TIMEOUT_DEFAULT),
    );
    let header_timeout = timeout(
        &runner.artifact.response_header_timeout,
        RESPONSE_HEADER_TIMEOUT_DEFAULT,
    );
    option("--response-header-timeout", &header_timeout);
    if artifact.artifact_format == "zip" {
        arguments.extend(metadata_arguments(build));
    }
    let mut option =
        |name: &str, value: &str| arguments.extend([name.to_owned(), value.to_owned()]);
    artifact
        .paths
        .iter()
        .for_each(|path| option("--path", path));
    artifact
        .exclude
        .iter()
        .for_each(|path| option("--exclude", path));
    if artifact.untracked {
        arguments.push("--untracked".into());
    }
    let optional = [
        ("--name", &artifact.name),
        ("--expire-in", &artifact.expire_in),
        ("--artifact-format", &artifact.artifact_format),
        ("--artifact-type", &artifact.artifact_type),
    ];
    for (name, value) in optional {
        if !value.is_empty() {
            arguments.extend([name.to_owned(), value.clone()]);
        }
    }
    arguments
}

/// Provenance metadata; the runner reads the variables for it as GitLab sent them.
fn metadata_arguments(build: &Build) -> Vec<String> {
    let payload = build.payload();
    let variables: Variables = payload.variables.iter().cloned().collect();
    if !variables.bool("RUNNER_GENERATE_ARTIFACTS_METADATA") {
        return Vec::new();
    }
    let schema_version = match variables.get("SLSA_PROVENANCE_SCHEMA_VERSION") {
        empty if empty.is_empty() => "unknown".to_owned(),
        version => version,
    };
    let repo_url = GoUrl::parse(&payload.git_info.repo_url)
        .map(|url| url.cleaned().to_string())
        .unwrap_or_default();
    let moment = &build.facts().started_at;
    let options = [
        ("--runner-id", variables.value("CI_RUNNER_ID")),
        (
            "--repo-url",
            repo_url.strip_suffix(".git").unwrap_or(&repo_url),
        ),
        ("--repo-digest", &payload.git_info.sha),
        ("--job-name", &payload.job_info.name),
        ("--executor-name", &build.runner().executor),
        ("--runner-name", &build.runner().name),
        ("--started-at", moment),
        ("--ended-at", moment),
        ("--schema-version", &schema_version),
    ];
    let mut arguments = vec!["--generate-artifacts-metadata".to_owned()];
    arguments.extend(
        options
            .into_iter()
            .flat_map(|(name, value)| [name.to_owned(), value.to_owned()]),
    );
    for variable in &payload.variables {
        arguments.extend(["--metadata-parameter".to_owned(), variable.key.clone()]);
    }
    arguments
}
