//! The job as the coordinator sends it, and as the runner writes it to `JOB_RESPONSE_FILE` (I2).
//!
//! The order of fields in every type here is the order in that file: do not sort them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::go_json;
use super::list::List;
use super::variables::{Variable, Variables};

/// Failure reasons that the emulated instance knows: those of a current GitLab.
pub const FAILURE_REASONS: [&str; 7] = [
    "unknown_failure",
    "script_failure",
    "runner_system_failure",
    "job_execution_timeout",
    "job_canceled",
    "runner_interrupted",
    "runner_configuration_error",
];

/// A job (`POST /api/v4/jobs/request`).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct JobPayload {
    /// Job id.
    pub id: i64,
    /// Job token.
    pub token: String,
    /// Whether `fetch` is the default of `GIT_STRATEGY`.
    pub allow_git_fetch: bool,
    /// Names and ids around the job.
    pub job_info: JobInfo,
    /// What to check out.
    pub git_info: GitInfo,
    /// Timeout.
    pub runner_info: RunnerInfo,
    /// Job inputs: understood by the runner, written back as an empty object.
    #[serde(serialize_with = "empty_object")]
    pub inputs: Value,
    /// CI variables, unexpanded.
    pub variables: List<Variable>,
    /// User steps, usually `script` and `after_script`.
    pub steps: List<Step>,
    /// Image of the job.
    pub image: Image,
    /// Services of the job.
    pub services: List<Image>,
    /// Artifacts to upload.
    pub artifacts: List<Artifact>,
    /// Caches to restore and archive.
    pub cache: List<Cache>,
    /// Registry logins.
    pub credentials: List<Credentials>,
    /// Jobs whose artifacts are downloaded.
    pub dependencies: List<Dependency>,
    /// What this GitLab instance can do.
    pub features: GitlabFeatures,
    /// Secrets to resolve; kept as they came.
    #[serde(skip_serializing_if = "is_empty_value")]
    pub secrets: Value,
    /// Hook scripts around `get_sources`.
    #[serde(skip_serializing_if = "List::is_omitted")]
    pub hooks: List<Hook>,
    /// Steps of the `run:` keyword (A10): a JSON text when it comes, a list when it is written.
    #[serde(
        skip_serializing_if = "List::is_omitted",
        deserialize_with = "run_text"
    )]
    pub run: List<Value>,
    /// Security policy that made the job.
    pub policy_options: PolicyOptions,
    /// Suspend and resume of environments.
    pub suspend_options: SuspendOptions,
    /// Certificates of the GitLab instance; they never come with the payload.
    #[serde(skip)]
    pub tls: TlsData,
}

/// `job_info`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    missing_docs,
    reason = "the names are those of the API, and only the marked ones have a meaning here"
)]
pub struct JobInfo {
    pub name: String,
    pub stage: String,
    pub pipeline_id: i64,
    pub project_id: i64,
    pub project_name: String,
    pub project_full_path: String,
    pub namespace_id: i64,
    pub root_namespace_id: i64,
    pub organization_id: i64,
    pub instance_id: String,
    pub instance_uuid: String,
    pub user_id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scoped_user_id: Option<i64>,
    #[serde(serialize_with = "go_float")]
    pub time_in_queue_seconds: f64,
    pub project_jobs_running_on_instance_runners_count: String,
    pub queue_size: i64,
    pub queue_depth: i64,
}

/// `git_info`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GitInfo {
    /// URL with credentials.
    pub repo_url: String,
    /// `sha1` (also if empty) or `sha256`.
    pub repo_object_format: String,
    /// Branch or tag.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Commit.
    pub sha: String,
    /// Commit before the push.
    pub before_sha: String,
    /// `branch` or `tag`.
    pub ref_type: String,
    /// Refspecs to fetch.
    pub refspecs: List<String>,
    /// Depth of the fetch; 0: complete.
    pub depth: i64,
    /// Whether the ref is protected.
    pub protected: Option<bool>,
}

/// `runner_info`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunnerInfo {
    /// Unused.
    pub uuid: String,
    /// Job timeout in seconds; 0 or less means 7200 (K).
    pub timeout: i64,
}

/// One entry of `steps`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Step {
    /// `script`, `after_script`, `release`, …
    pub name: String,
    /// Script lines.
    pub script: List<String>,
    /// Ignored by the runner.
    pub timeout: i64,
    /// Ignored by the runner.
    pub when: String,
    /// Ignored by the runner.
    pub allow_failure: bool,
}

/// The name of the step that becomes the stage `after_script`.
pub const STEP_AFTER_SCRIPT: &str = "after_script";

/// An image or a service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Image {
    /// Image name.
    pub name: String,
    /// Aliases, separated by commas or blanks.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub alias: String,
    /// Command.
    #[serde(skip_serializing_if = "List::is_omitted")]
    pub command: List<String>,
    /// Entry point.
    #[serde(skip_serializing_if = "List::is_omitted")]
    pub entrypoint: List<String>,
    /// Ports.
    #[serde(skip_serializing_if = "List::is_omitted")]
    pub ports: List<Port>,
    /// Variables of a service.
    #[serde(skip_serializing_if = "List::is_omitted")]
    pub variables: List<Variable>,
    /// Pull policies.
    #[serde(rename = "pull_policy", skip_serializing_if = "List::is_omitted")]
    pub pull_policies: List<String>,
    /// Options for other executors.
    #[serde(rename = "executor_opts")]
    pub executor_options: ExecutorOptions,
}

impl ExecutorOptions {
    /// Why the runner refuses these options; empty if it does not.
    fn refusals(&self) -> Vec<String> {
        let levels = [
            (&self.unknown, "executor_opts", "docker kubernetes"),
            (&self.docker.unknown, "docker executor", "platform user"),
            (&self.kubernetes.unknown, "kubernetes executor", "user"),
        ];
        let refused = levels
            .into_iter()
            .filter(|(unknown, ..)| !unknown.is_empty());
        refused
            .map(|(unknown, executor, supported)| {
                let names: Vec<&str> = unknown.keys().map(String::as_str).collect();
                format!(
                    "Unsupported \"image\" options [{}] for \"{executor}\"; supported options are [{supported}]",
                    names.join(" ")
                )
            })
            .collect()
    }
}

impl Image {
    /// The aliases one by one.
    pub fn aliases(&self) -> impl Iterator<Item = &str> {
        self.alias
            .split(|character: char| character == ',' || character.is_whitespace())
            .filter(|alias| !alias.is_empty())
    }
}

/// One port of a service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Port {
    /// Number.
    #[serde(skip_serializing_if = "is_zero")]
    pub number: i64,
    /// Protocol.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub protocol: String,
    /// Name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// `executor_opts` of an image.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecutorOptions {
    /// For the docker executor.
    pub docker: DockerOptions,
    /// For the kubernetes executor.
    pub kubernetes: KubernetesOptions,
    /// Options this runner does not know; they make it refuse the job (A9).
    #[serde(flatten, skip_serializing)]
    pub unknown: Map<String, Value>,
}

/// `executor_opts.docker`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DockerOptions {
    /// Platform.
    pub platform: String,
    /// User.
    #[serde(deserialize_with = "text_or_number")]
    pub user: String,
    /// Options this runner does not know; they make it refuse the job (A9).
    #[serde(flatten, skip_serializing)]
    pub unknown: Map<String, Value>,
}

/// `executor_opts.kubernetes`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KubernetesOptions {
    /// User.
    #[serde(deserialize_with = "text_or_number")]
    pub user: String,
    /// Options this runner does not know; they make it refuse the job (A9).
    #[serde(flatten, skip_serializing)]
    pub unknown: Map<String, Value>,
}

/// One entry of `artifacts`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Artifact {
    /// Archive name.
    pub name: String,
    /// Add untracked files.
    pub untracked: bool,
    /// Paths to add.
    pub paths: List<String>,
    /// Paths to leave out.
    pub exclude: List<String>,
    /// `on_success` (also if empty), `on_failure`, `always`.
    pub when: String,
    /// `archive`, `junit`, …
    pub artifact_type: String,
    /// `zip`, `gzip`, `raw`, …
    pub artifact_format: String,
    /// How long GitLab keeps it.
    pub expire_in: String,
}

/// One entry of `cache`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Cache {
    /// Key; empty: job name and ref.
    pub key: String,
    /// Add untracked files.
    pub untracked: bool,
    /// `pull-push` (also if empty), `pull`, `push`.
    pub policy: String,
    /// Paths to cache.
    pub paths: List<String>,
    /// `on_success` (also if empty), `on_failure`, `always`.
    pub when: String,
    /// Keys to try if there is no cache under `key`.
    pub fallback_keys: List<String>,
}

/// Whether something with this `when` belongs to a job that went well (E1).
pub fn is_for_success(when: &str) -> bool {
    matches!(when, "" | "on_success" | "always")
}

/// Whether something with this `when` belongs to a job that failed (E1).
pub fn is_for_failure(when: &str) -> bool {
    matches!(when, "on_failure" | "always")
}

/// A login.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the names are those of the API and say it all")]
pub struct Credentials {
    #[serde(rename = "type")]
    pub kind: String,
    pub url: String,
    pub username: String,
    pub password: String,
}

/// A job whose artifacts are downloaded.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Dependency {
    /// Its id.
    pub id: i64,
    /// Token for its artifacts.
    pub token: String,
    /// Its name.
    pub name: String,
    /// Its archive.
    pub artifacts_file: ArtifactsFile,
}

/// The archive of a dependency.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ArtifactsFile {
    /// File name; empty: nothing to download.
    pub filename: String,
    /// Size in bytes.
    pub size: i64,
}

/// `features`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GitlabFeatures {
    /// Sections in the job log.
    pub trace_sections: bool,
    /// Prefixes of tokens to mask.
    pub token_mask_prefixes: List<String>,
    /// Reasons this instance understands (G6).
    pub failure_reasons: List<String>,
    /// Distributed tracing; kept as it came.
    pub tracing: Option<Value>,
}

/// A hook script.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Hook {
    /// `pre_get_sources_script` or `post_get_sources_script`.
    pub name: String,
    /// Script lines.
    pub script: List<String>,
}

/// `policy_options`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PolicyOptions {
    /// Made by a policy.
    pub execution_policy_job: bool,
    /// Name of the policy.
    pub policy_name: String,
    /// Whether the user's variables count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_variables_override_allowed: Option<bool>,
    /// Exceptions from that.
    #[serde(skip_serializing_if = "List::is_omitted")]
    pub policy_variables_override_exceptions: List<String>,
}

/// `suspend_options`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SuspendOptions {
    /// Suspend the environment of a good job.
    #[serde(skip_serializing_if = "is_false")]
    pub suspend_on_success: bool,
    /// Suspend the environment of a failed job.
    #[serde(skip_serializing_if = "is_false")]
    pub suspend_on_failure: bool,
    /// Environment to resume.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub runtime_environment_key: String,
}

/// Certificates toward GitLab as PEM text; become `CI_SERVER_TLS_*_FILE` (B6).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsData {
    /// Certificate chain of the authority.
    pub ca_chain: String,
    /// Client certificate.
    pub certificate: String,
    /// Key of the client certificate.
    pub key: String,
}

impl JobPayload {
    /// Reads a job from JSON text. Unknown fields are ignored, `null` is like an absent field.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        Self::from_value(value)
    }

    /// Reads a job from a JSON value.
    pub fn from_value(mut value: Value) -> Result<Self, String> {
        remove_null_members(&mut value);
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    /// The content of the job response file: the job as it stands, in one line with a newline (I2). Image and service
    /// names are expanded if [`Build::expand_image_and_services`](super::build::Build::expand_image_and_services) was
    /// called before, as the runner does.
    pub fn response_json(&self) -> String {
        let mut json = go_json::encode(self);
        json.push('\n');
        json
    }

    /// Why the runner refuses the job before any call, one reason per line: options of images it does not know, a bad
    /// mixture of `run:` and `script:` (A9). `run:` jobs are rewritten by this (A10).
    pub fn prepare_request(&mut self) -> Result<(), String> {
        let images = std::iter::once(&self.image).chain(self.services.iter());
        let mut reasons: Vec<String> = images
            .flat_map(|image| image.executor_options.refusals())
            .collect();
        reasons.extend(self.apply_run_keyword().err());
        if reasons.is_empty() {
            Ok(())
        } else {
            Err(reasons.join("\n"))
        }
    }

    /// Turns a job with the `run:` keyword into a script step (A10). The error is the runner's; such a job is never
    /// started (A9).
    fn apply_run_keyword(&mut self) -> Result<(), String> {
        if self.run.is_empty() {
            return Ok(());
        }
        if self.steps.iter().any(|step| !step.script.is_empty()) {
            return Err("the `run` and `script` keywords cannot be used together".into());
        }
        let variables: Variables = self.variables.iter().cloned().collect();
        if !variables.get("STEPS").is_empty() {
            return Err(
                "the `run` keyword requires the exclusive use of the variable STEPS".into(),
            );
        }
        self.variables.push(Variable {
            raw: true,
            ..Variable::new("STEPS", go_json::encode(&self.run))
        });
        self.steps = List::from(vec![Step {
            name: "script".into(),
            script: List::from(vec!["step-runner ci".to_owned()]),
            timeout: 3600,
            when: "on_success".into(),
            allow_failure: false,
        }]);
        Ok(())
    }

    /// The hook script of that name; empty if there is none.
    pub fn hook(&self, name: &str) -> &[String] {
        self.hooks
            .iter()
            .find(|hook| hook.name == name)
            .map_or(&[], |hook| &hook.script)
    }
}

/// `null` leaves a field of a Go struct as it is, that is at its zero value.
fn remove_null_members(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(remove_null_members);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_null_members),
        _ => {}
    }
}

fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(text),
        Value::Number(number) if number.is_i64() => Ok(number.to_string()),
        _ => Err(serde::de::Error::custom(
            "StringOrInt: input not string or integer",
        )),
    }
}

fn run_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<List<Value>, D::Error> {
    let text = String::deserialize(deserializer)?;
    serde_json::from_str(&text).map_err(serde::de::Error::custom)
}

fn empty_object<S: Serializer>(_: &Value, serializer: S) -> Result<S::Ok, S::Error> {
    Map::new().serialize(serializer)
}

/// Go writes a whole number without a decimal point.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is serde's"
)]
#[expect(clippy::cast_possible_truncation, reason = "guarded by the range")]
fn go_float<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        serializer.serialize_i64(*value as i64)
    } else {
        serializer.serialize_f64(*value)
    }
}

fn is_empty_value(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is serde's"
)]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is serde's"
)]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_job_is_written_with_all_its_zero_values() {
        let text =
            JobPayload::parse(r#"{"id":1,"image":null,"services":[],"unknown":1,"steps":null}"#)
                .unwrap()
                .response_json();
        let expected = concat!(
            r#"{"id":1,"token":"","allow_git_fetch":false,"job_info":{"name":"","stage":"","pipeline_id":0,"project_id":0,"#,
            r#""project_name":"","project_full_path":"","namespace_id":0,"root_namespace_id":0,"organization_id":0,"#,
            r#""instance_id":"","instance_uuid":"","user_id":0,"time_in_queue_seconds":0,"#,
            r#""project_jobs_running_on_instance_runners_count":"","queue_size":0,"queue_depth":0},"#,
            r#""git_info":{"repo_url":"","repo_object_format":"","ref":"","sha":"","before_sha":"","ref_type":"","#,
            r#""refspecs":null,"depth":0,"protected":null},"runner_info":{"uuid":"","timeout":0},"inputs":{},"variables":null,"#,
            r#""steps":null,"image":{"name":"","executor_opts":{"docker":{"platform":"","user":""},"kubernetes":{"user":""}}},"#,
            r#""services":[],"artifacts":null,"cache":null,"credentials":null,"dependencies":null,"#,
            r#""features":{"trace_sections":false,"token_mask_prefixes":null,"failure_reasons":null,"tracing":null},"#,
            r#""policy_options":{"execution_policy_job":false,"policy_name":""},"suspend_options":{}}"#,
            "\n"
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn a_run_job_becomes_a_script_step() {
        let mut job = JobPayload::parse(r#"{"run":"[{\"name\":\"a<b\"}]"}"#).unwrap();
        job.apply_run_keyword().unwrap();
        assert_eq!(&*job.steps[0].script, ["step-runner ci"]);
        assert_eq!(job.variables[0].value, r#"[{"name":"a\u003cb"}]"#);
    }

    #[test]
    fn unknown_image_options_are_refused() {
        let mut job = JobPayload::parse(
            r#"{"image":{"executor_opts":{"docker":{"user":1,"foo":2},"vm":{}}}}"#,
        )
        .unwrap();
        assert_eq!(
            job.prepare_request().unwrap_err(),
            "Unsupported \"image\" options [vm] for \"executor_opts\"; supported options are [docker kubernetes]\n\
             Unsupported \"image\" options [foo] for \"docker executor\"; supported options are [platform user]"
        );
        assert!(!job.response_json().contains("foo"));
    }

    #[test]
    fn run_and_script_exclude_each_other() {
        let mut job = JobPayload::parse(r#"{"run":"[{}]","steps":[{"script":["x"]}]}"#).unwrap();
        assert!(
            job.apply_run_keyword()
                .unwrap_err()
                .contains("cannot be used together")
        );
    }
}
