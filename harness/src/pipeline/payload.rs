//! The payload that GitLab would make of a job, as far as a runner and a driver can tell.

use jiff::{Span, SpanRelativeTo, Unit};
use serde_json::{Map, Value, json};

use crate::contract::payload::FAILURE_REASONS;
use crate::driver::Problem;

use super::Sources;
use super::document::{Kind, Node};
use super::resolution::{ResolvedJob, items};

/// Timeout of a job that has none (GitLab's default), s.
const TIMEOUT_DEFAULT_S: i64 = 3600;
/// Timeout that GitLab gives to `after_script`, s; a runner ignores it.
const AFTER_SCRIPT_TIMEOUT_S: i64 = 300;
/// Id of the job, which no GitLab has given.
const JOB_ID: i64 = 1001;
/// Token of the job, which no GitLab would take.
const TOKEN: &str = "glcbt-64_made_up_for_a_local_run";
/// Reports that are uploaded packed; the others go as they are.
const PACKED_REPORTS: [&str; 7] = [
    "annotations",
    "cluster_applications",
    "cobertura",
    "cyclonedx",
    "dotenv",
    "junit",
    "metrics",
];

/// The payload of a job. `sources` say where they are fetched from; without, they are not fetched.
pub(super) fn payload(job: &ResolvedJob, sources: Option<&Sources>) -> Result<Value, Problem> {
    let keys = &job.keys;
    refuse_what_no_runner_runs(job)?;
    let timeout = timeout(keys)?;
    let mut variables = predefined(job, sources);
    variables.extend(written(&job.variables)?);
    if sources.is_none() {
        variables.push(variable("GIT_STRATEGY", "none"));
    }
    let none = Sources::default();
    let from = sources.unwrap_or(&none);
    Ok(json!({
        "id": JOB_ID,
        "token": TOKEN,
        "allow_git_fetch": true,
        "job_info": {
            "id": JOB_ID, "name": job.name, "stage": stage(keys), "project_id": 1, "project_name": "local",
            "project_full_path": "example/local", "pipeline_id": 1,
        },
        "git_info": {
            "repo_url": from.url, "ref": from.branch, "sha": from.commit, "ref_type": "branch", "depth": 20,
            "refspecs": [format!("+refs/heads/{0}:refs/remotes/origin/{0}", from.branch)],
        },
        "runner_info": { "timeout": timeout },
        "variables": variables,
        "steps": steps(keys, timeout)?,
        "image": keys.get("image").map(image).transpose()?,
        "services": each(keys.get("services"), image)?,
        "artifacts": artifacts(keys)?,
        "cache": each(keys.get("cache"), cache)?,
        "hooks": hooks(keys)?,
        "credentials": [],
        "dependencies": [],
        "features": { "trace_sections": true, "failure_reasons": FAILURE_REASONS },
    }))
}

fn refuse_what_no_runner_runs(job: &ResolvedJob) -> Result<(), Problem> {
    let place = &job.keys.place;
    for (key, instead) in [
        (
            "trigger",
            "it starts another pipeline, which is GitLab's work; name a job with a `script`",
        ),
        (
            "run",
            "steps are not emulated from a pipeline; name a job with a `script`",
        ),
    ] {
        if let Some(node) = job.keys.get(key) {
            let message = format!("the job `{}` has `{key}`", job.name);
            return Err(node.place.problem(message, instead));
        }
    }
    if job.keys.get("script").is_none() {
        let message = format!("the job `{}` has no `script`", job.name);
        return Err(place.problem(message, "write `script:` with the commands of the job; if an include that is not read has it, copy it"));
    }
    Ok(())
}

fn stage(keys: &Node) -> &str {
    keys.get("stage").and_then(Node::text).unwrap_or("test")
}

fn steps(keys: &Node, timeout: i64) -> Result<Value, Problem> {
    let mut lines = lines(keys.get("before_script"))?;
    lines.extend(self::lines(keys.get("script"))?);
    let mut steps = vec![json!({
        "name": "script", "script": lines, "timeout": timeout, "when": "on_success", "allow_failure": false,
    })];
    let after = self::lines(keys.get("after_script"))?;
    if !after.is_empty() {
        steps.push(json!({
            "name": "after_script", "script": after, "timeout": AFTER_SCRIPT_TIMEOUT_S, "when": "always", "allow_failure": true,
        }));
    }
    Ok(steps.into())
}

/// Commands; lists inside of lists are spread.
fn lines(node: Option<&Node>) -> Result<Vec<String>, Problem> {
    let Some(node) = node else {
        return Ok(Vec::new());
    };
    match &node.kind {
        Kind::Null => Ok(Vec::new()),
        Kind::Scalar { text, .. } => Ok(vec![text.clone()]),
        Kind::Sequence(items) => {
            let lines: Result<Vec<_>, _> = items.iter().map(|item| lines(Some(item))).collect();
            Ok(lines?.concat())
        }
        Kind::Mapping(_) | Kind::Reference(_) => {
            let remedy = "put quotes around a command with `: ` in it";
            Err(node.place.problem("this is no command but a table", remedy))
        }
    }
}

fn text(node: &Node) -> Result<&str, Problem> {
    node.text().ok_or_else(|| {
        node.place
            .problem("text is expected here", "write one word or a quoted text")
    })
}

fn texts(node: Option<&Node>) -> Result<Vec<&str>, Problem> {
    match node {
        None => Ok(Vec::new()),
        Some(node) => items(node).iter().map(text).collect(),
    }
}

fn each(
    node: Option<&Node>,
    one: fn(&Node) -> Result<Value, Problem>,
) -> Result<Vec<Value>, Problem> {
    let entries = node.map(items).unwrap_or_default().iter();
    entries
        .filter(|entry| !matches!(entry.kind, Kind::Null))
        .map(one)
        .collect()
}

/// An image or a service: its name, or a table.
fn image(node: &Node) -> Result<Value, Problem> {
    if let Some(name) = node.text() {
        return Ok(json!({ "name": name }));
    }
    let Some(name) = node.get("name") else {
        return Err(node
            .place
            .problem("this image has no name", "write `name:` with the image"));
    };
    let alias = node.get("alias").map(text).transpose()?;
    let variables = node.get("variables").map(Node::entries).unwrap_or_default();
    let mut options = Map::new();
    for executor in ["docker", "kubernetes"] {
        if let Some(of_executor) = node.get(executor) {
            options.insert(executor.to_owned(), of_executor.to_json());
        }
    }
    Ok(json!({
        "name": text(name)?,
        "alias": alias.unwrap_or_default(),
        "entrypoint": texts(node.get("entrypoint"))?,
        "command": texts(node.get("command"))?,
        "pull_policy": texts(node.get("pull_policy"))?,
        "variables": written(variables)?,
        "executor_opts": options,
    }))
}

/// A text, or a table: GitLab makes it of the commits that changed these files, which are not looked up here.
fn cache_key(key: &Node) -> Result<String, Problem> {
    if let Some(text) = key.text() {
        return Ok(text.to_owned());
    }
    let prefix = key.get("prefix").map(text).transpose()?;
    let files = texts(key.get("files"))?;
    let parts: Vec<&str> = prefix.into_iter().chain(files).collect();
    Ok(parts.join("-").replace('/', "-"))
}

fn cache(node: &Node) -> Result<Value, Problem> {
    let key = match node.get("key") {
        None => "default".to_owned(),
        Some(key) => cache_key(key)?,
    };
    // Branches that are not protected have caches of their own.
    let unprotected = |key: &str| format!("{key}-non_protected");
    let fallback = texts(node.get("fallback_keys"))?;
    Ok(json!({
        "key": unprotected(&key),
        "untracked": is_true(node.get("untracked")),
        "policy": word(node, "policy", "pull-push")?,
        "when": word(node, "when", "on_success")?,
        "paths": texts(node.get("paths"))?,
        "fallback_keys": fallback.into_iter().map(unprotected).collect::<Vec<_>>(),
    }))
}

fn artifacts(keys: &Node) -> Result<Vec<Value>, Problem> {
    let Some(node) = keys.get("artifacts") else {
        return Ok(Vec::new());
    };
    let expire_in = word(node, "expire_in", "")?;
    let mut artifacts = Vec::new();
    if node.get("paths").is_some() || is_true(node.get("untracked")) {
        artifacts.push(json!({
            "name": word(node, "name", "")?,
            "untracked": is_true(node.get("untracked")),
            "paths": texts(node.get("paths"))?,
            "exclude": texts(node.get("exclude"))?,
            "when": word(node, "when", "on_success")?,
            "expire_in": expire_in,
            "artifact_type": "archive",
            "artifact_format": "zip",
        }));
    }
    let reports = node.get("reports").map(Node::entries).unwrap_or_default();
    for (kind, paths) in reports {
        // A table names its format and one path.
        let (kind, paths) = match (paths.get("coverage_format"), paths.get("path")) {
            (Some(format), Some(path)) => (text(format)?, path),
            _ => (kind.as_str(), paths),
        };
        let packed = PACKED_REPORTS.contains(&kind);
        artifacts.push(json!({
            "name": "",
            "paths": texts(Some(paths))?,
            "when": "always",
            "expire_in": expire_in,
            "artifact_type": kind,
            "artifact_format": if packed { "gzip" } else { "raw" },
        }));
    }
    Ok(artifacts)
}

fn hooks(keys: &Node) -> Result<Vec<Value>, Problem> {
    let hooks = keys.get("hooks").map(Node::entries).unwrap_or_default();
    let hook = |(name, script): &(String, Node)| {
        Ok(json!({ "name": name, "script": lines(Some(script))? }))
    };
    hooks.iter().map(hook).collect()
}

fn word(node: &Node, key: &str, default: &str) -> Result<String, Problem> {
    match node.get(key) {
        Some(value) => text(value).map(str::to_owned),
        None => Ok(default.to_owned()),
    }
}

fn is_true(node: Option<&Node>) -> bool {
    node.and_then(Node::text) == Some("true")
}

/// `1h 30m`, `90 minutes`, or seconds.
fn timeout(keys: &Node) -> Result<i64, Problem> {
    let Some(node) = keys.get("timeout") else {
        return Ok(TIMEOUT_DEFAULT_S);
    };
    let written = text(node)?;
    if let Ok(seconds) = written.parse() {
        return Ok(seconds);
    }
    let friendly = written.replace(" and ", " ");
    let seconds = friendly
        .parse::<Span>()
        .and_then(|span| span.total((Unit::Second, SpanRelativeTo::days_are_24_hours())));
    match seconds {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a job that lasts longer than the universe may be cut short"
        )]
        Ok(seconds) if seconds >= 1.0 => Ok(seconds as i64),
        _ => {
            let message = format!("`{written}` is no time");
            Err(node
                .place
                .problem(message, "write it as `1h 30m` or `90 minutes`"))
        }
    }
}

fn variable(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": value, "public": true, "masked": false, "raw": false })
}

/// Variables as they are written: a value, or a table with `value` and `expand`.
fn written(variables: &[(String, Node)]) -> Result<Vec<Value>, Problem> {
    let mut all = Vec::new();
    for (key, node) in variables {
        let value = if node.is_mapping() {
            node.get("value")
        } else {
            Some(node)
        };
        let value = match value.map(|value| &value.kind) {
            None | Some(Kind::Null) => "",
            Some(_) => text(value.unwrap_or(node))?,
        };
        let raw = node.get("expand").and_then(Node::text) == Some("false");
        all.push(
            json!({ "key": key, "value": value, "public": true, "masked": false, "raw": raw }),
        );
    }
    Ok(all)
}

/// What GitLab tells each job about itself.
fn predefined(job: &ResolvedJob, sources: Option<&Sources>) -> Vec<Value> {
    let none = Sources::default();
    let from = sources.unwrap_or(&none);
    let id = JOB_ID.to_string();
    let image = job
        .keys
        .get("image")
        .and_then(|image| image.text().or_else(|| image.get("name")?.text()));
    let short = from.commit.get(..8).unwrap_or_default();
    let mut variables = vec![
        variable("CI", "true"),
        variable("GITLAB_CI", "true"),
        variable("CI_PIPELINE_ID", "1"),
        variable("CI_PIPELINE_IID", "1"),
        variable("CI_PIPELINE_SOURCE", "push"),
        variable("CI_JOB_ID", &id),
        variable("CI_JOB_NAME", &job.name),
        variable("CI_JOB_STAGE", stage(&job.keys)),
        variable("CI_NODE_TOTAL", "1"),
        variable("CI_PROJECT_ID", "1"),
        variable("CI_PROJECT_NAME", "local"),
        variable("CI_PROJECT_NAMESPACE", "example"),
        variable("CI_PROJECT_PATH", "example/local"),
        variable("CI_PROJECT_PATH_SLUG", "example-local"),
        variable("CI_PROJECT_URL", "https://gitlab.example.com/example/local"),
        variable("CI_SERVER", "yes"),
        variable("CI_SERVER_HOST", "gitlab.example.com"),
        variable("CI_SERVER_URL", "https://gitlab.example.com"),
        variable("CI_DEFAULT_BRANCH", "main"),
        variable("CI_COMMIT_SHA", &from.commit),
        variable("CI_COMMIT_SHORT_SHA", short),
        variable("CI_COMMIT_BRANCH", &from.branch),
        variable("CI_COMMIT_REF_NAME", &from.branch),
        variable("CI_COMMIT_REF_PROTECTED", "false"),
        variable("CI_RUNNER_ID", "1"),
        variable("GITLAB_USER_LOGIN", "you"),
        json!({ "key": "CI_JOB_TOKEN", "value": TOKEN, "public": false, "masked": true }),
    ];
    if let Some(image) = image {
        variables.push(variable("CI_JOB_IMAGE", image));
    }
    variables
}
