//! The payload of a job of the suite: what a GitLab instance would send for it.

use serde_json::{Value, json};

use crate::contract::payload::FAILURE_REASONS;
use crate::plan::case::{CaseJob, JobShape, Sequence};
use crate::plan::project_number;

/// Id of the first project; the others follow.
const PROJECT_ID: u32 = 42;
/// What is written behind the id of a case's project to make that of a project which belongs to one of its jobs alone. With
/// job ids that end alike, both ids written without anything between them are then the same for two jobs: project 42, job 912
/// and project 429, job 12.
const OWN_PROJECT_DIGIT: u32 = 9;
/// The group of all projects.
const GROUP: &str = "driver-conformance";
/// The GitLab instance of the emulated runner.
pub(super) const SERVER: &str = "https://gitlab.example.com";
const COMMIT: &str = "1ecfd275763eff1d6b4844ea3168962458c9f27a";

/// The token of a job: unlike any other text, so that it can be looked for.
pub(super) fn job_token(job_id: u64) -> String {
    format!("glcbt-64_conformance{job_id}")
}

/// The project of a job; each case has its own.
struct Project {
    id: u32,
    name: String,
    path: String,
}

impl Project {
    fn of(job: &CaseJob) -> Self {
        let number = project_number(job);
        let (id, name) = if job.own_project {
            let id = (PROJECT_ID + number) * 10 + OWN_PROJECT_DIGIT;
            (id, format!("meadow-{id}"))
        } else {
            (PROJECT_ID + number, format!("orchard-{number}"))
        };
        Self {
            id,
            path: format!("{GROUP}/{name}"),
            name,
        }
    }
}

/// The payload of one job of a case.
pub(super) fn payload(job: &CaseJob) -> Value {
    let shape = match &job.sequence {
        Sequence::Job(shape) => shape.clone(),
        Sequence::Calls(_) => every_stage(),
    };
    let token = job_token(job.job_id);
    let project = Project::of(job);
    let path = &project.path;
    let repository = format!("https://gitlab-ci-token:{token}@gitlab.example.com/{path}.git");
    let services: Vec<Value> = job
        .services
        .iter()
        .map(|name| json!({ "name": name }))
        .collect();
    json!({
        "id": job.job_id,
        "token": token,
        "allow_git_fetch": true,
        "job_info": {
            "id": job.job_id, "name": "conformance", "stage": "test",
            "project_id": project.id, "project_name": project.name, "project_full_path": path,
            "pipeline_id": 77,
        },
        "git_info": {
            "repo_url": repository, "ref": "main", "sha": COMMIT,
            "before_sha": "0000000000000000000000000000000000000000", "ref_type": "branch",
            "refspecs": [format!("+{COMMIT}:refs/pipelines/77")], "depth": 20,
            "repo_object_format": "sha1",
        },
        "runner_info": { "timeout": job.job_timeout.as_secs() },
        "variables": variables(job, &shape, &project, &repository),
        "steps": steps(&shape),
        "image": job.image.as_ref().map(|name| json!({ "name": name })),
        "services": services,
        "artifacts": if shape.artifacts {
            json!([{ "paths": ["out"], "when": "always", "artifact_type": "archive", "artifact_format": "zip" }])
        } else {
            json!([])
        },
        "cache": if shape.cache {
            json!([{ "key": "orchard", "policy": "pull-push", "paths": ["vendor"], "when": "always" }])
        } else {
            json!([])
        },
        "dependencies": if shape.dependencies {
            json!([{ "id": 9, "name": "earlier", "token": token,
                     "artifacts_file": { "filename": "artifacts.zip", "size": 120 } }])
        } else {
            json!([])
        },
        "credentials": [],
        "features": { "trace_sections": true, "failure_reasons": FAILURE_REASONS },
    })
}

/// A raw sequence may call any stage, so its job has all of them.
fn every_stage() -> JobShape {
    JobShape {
        steps: vec!["script".into(), "release".into()],
        after_script: true,
        cache: true,
        dependencies: true,
        artifacts: true,
        stage_attempts: None,
    }
}

fn steps(shape: &JobShape) -> Vec<Value> {
    let step = |name: &str, when: &str| json!({ "name": name, "script": [":"], "timeout": 3600, "when": when, "allow_failure": false });
    let mut steps: Vec<Value> = shape
        .steps
        .iter()
        .map(|name| step(name, "on_success"))
        .collect();
    if shape.after_script {
        steps.push(step("after_script", "always"));
    }
    steps
}

fn variables(job: &CaseJob, shape: &JobShape, project: &Project, repository: &str) -> Vec<Value> {
    let id = job.job_id.to_string();
    let project_id = project.id.to_string();
    let token = job_token(job.job_id);
    let project_url = format!("{SERVER}/{}", project.path);
    let job_url = format!("{project_url}/-/jobs/{id}");
    let pipeline_url = format!("{project_url}/-/pipelines/77");
    let path_slug = project.path.replace('/', "-");
    let usual: [(&str, &str); 30] = [
        ("CI_PIPELINE_ID", "77"),
        ("CI_PIPELINE_URL", &pipeline_url),
        ("CI_JOB_ID", &id),
        ("CI_JOB_URL", &job_url),
        ("CI_JOB_TOKEN", &token),
        ("CI_JOB_NAME", "conformance"),
        ("CI_JOB_STAGE", "test"),
        ("CI", "true"),
        ("GITLAB_CI", "true"),
        ("GITLAB_USER_LOGIN", "orchardist"),
        ("GITLAB_USER_ID", "5"),
        ("CI_SERVER_URL", SERVER),
        ("CI_SERVER_HOST", "gitlab.example.com"),
        ("CI_PROJECT_ID", &project_id),
        ("CI_PROJECT_NAME", &project.name),
        ("CI_PROJECT_TITLE", &project.name),
        ("CI_PROJECT_PATH", &project.path),
        ("CI_PROJECT_PATH_SLUG", &path_slug),
        ("CI_PROJECT_NAMESPACE", GROUP),
        ("CI_PROJECT_URL", &project_url),
        ("CI_COMMIT_SHA", COMMIT),
        ("CI_COMMIT_SHORT_SHA", "1ecfd275"),
        ("CI_COMMIT_REF_NAME", "main"),
        ("CI_COMMIT_REF_SLUG", "main"),
        ("CI_COMMIT_BRANCH", "main"),
        ("CI_RUNNER_ID", "1"),
        ("CI_RUNNER_DESCRIPTION", "driver-conformance"),
        ("CI_RUNNER_TAGS", "[]"),
        ("CI_REPOSITORY_URL", repository),
        ("GIT_STRATEGY", "none"),
    ];
    let secret = ["CI_JOB_TOKEN", "CI_REPOSITORY_URL"];
    let attempts = shape.stage_attempts.map(|attempts| attempts.to_string());
    let attempt_names = [
        "GET_SOURCES_ATTEMPTS",
        "RESTORE_CACHE_ATTEMPTS",
        "ARTIFACT_DOWNLOAD_ATTEMPTS",
    ];
    let attempts = attempts.iter().flat_map(|value| {
        attempt_names
            .iter()
            .map(move |name| (*name, value.as_str()))
    });
    let overridden = |name: &str| job.variables.iter().any(|(other, _)| other == name);
    usual
        .into_iter()
        .chain(attempts)
        .filter(|(name, _)| !overridden(name))
        .chain(
            job.variables
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        )
        .map(|(name, value)| {
            json!({
                "key": name, "value": value, "public": !secret.contains(&name),
                "masked": name == "CI_JOB_TOKEN", "file": false, "raw": true,
            })
        })
        .collect()
}
