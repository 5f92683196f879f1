//! What the runner's log entries say about a job (contract L).

use std::sync::Arc;

use super::super::build::Build;
use super::super::go_url::GoUrl;
use super::super::stage::Stage;

const HOSTNAME_FIELD: &str = "name";

impl Build {
    /// Fields of every entry about the job.
    pub(super) fn log_fields(&self) -> Arc<[(String, String)]> {
        let kept = &self.derivations().log_fields;
        kept.get(self.state(), || compose_log_fields(self).into())
    }

    /// Fields of the entries that go to both logs: what writes them was made before the driver could name a host.
    pub(super) fn logger_fields(&self) -> Arc<[(String, String)]> {
        let fields = self.log_fields();
        if self.hostname().is_empty() {
            return fields;
        }
        let others = fields.iter().filter(|(key, _)| key != HOSTNAME_FIELD);
        others.cloned().collect()
    }
}

fn compose_log_fields(build: &Build) -> Vec<(String, String)> {
    let info = &build.payload().job_info;
    let mut fields = vec![
        field("job", &build.payload().id),
        field("pipeline_id", &info.pipeline_id),
        field("project", &info.project_id),
        field("project_full_path", &info.project_full_path),
        field("namespace_id", &info.namespace_id),
        field("root_namespace_id", &info.root_namespace_id),
        field("organization_id", &info.organization_id),
        field("gitlab_user_id", &info.user_id),
        field("runner", &build.short_token()),
    ];
    if !build.runner().name.is_empty() {
        fields.push(field("runner_name", &build.runner().name));
    }
    if let Some(user) = info.scoped_user_id {
        fields.push(field("gitlab_scoped_user_id", &user));
    }
    if !build.hostname().is_empty() {
        fields.push(field(HOSTNAME_FIELD, build.hostname()));
    }
    fields
}

fn field(key: &str, value: &(impl ToString + ?Sized)) -> (String, String) {
    (key.to_owned(), value.to_string())
}

/// Fields of the entries that say when a job is taken and dropped.
pub(super) fn processing_fields(build: &Build) -> Vec<(String, String)> {
    let info = &build.payload().job_info;
    let mut fields = compose_log_fields(build);
    fields.retain(|(key, _)| key != HOSTNAME_FIELD);
    if build.runner().name.is_empty() {
        fields.push(field("runner_name", ""));
    }
    fields.extend([
        field("runner_uuid", &build.payload().runner_info.uuid),
        field("repo_url", &clean_repository_url(build)),
        field("time_in_queue_seconds", &info.time_in_queue_seconds),
        field("queue_size", &info.queue_size),
        field("queue_depth", &info.queue_depth),
    ]);
    fields
}

/// URL of the repository without credentials, query and fragment; empty if it is none.
pub(super) fn clean_repository_url(build: &Build) -> String {
    GoUrl::parse(&build.payload().git_info.repo_url)
        .map(|url| url.cleaned().to_string())
        .unwrap_or_default()
}

/// The lines above the first section of a job log.
pub(super) fn header_lines(build: &Build) -> Vec<String> {
    let facts = build.facts();
    let mut lines = vec![format!(
        "Running with gitlab-runner {} ({})",
        facts.version, facts.revision
    )];
    let token = build.short_token();
    if !token.is_empty() {
        lines.push(format!(
            "  on {} {token}, system ID: {}",
            build.runner().name,
            facts.system_id
        ));
    }
    let flags = build.changed_feature_flags();
    if !flags.is_empty() {
        lines.push(format!("  feature flags: {flags}"));
    }
    lines
}

/// What a job of a security policy says before its scripts.
pub(super) fn policy_notices(build: &Build) -> Vec<String> {
    let policy = &build.payload().policy_options;
    if !policy.execution_policy_job {
        return Vec::new();
    }
    let mut notices = vec![format!(
        "Job triggered by policy \"{}\".",
        policy.policy_name
    )];
    let Some(allowed) = policy.policy_variables_override_allowed else {
        notices.push(
            "Variables defined in the policy take precedence over matching user-defined CI/CD \
             variables for this job."
                .into(),
        );
        return notices;
    };
    let word = if allowed { "allowed" } else { "ignored" };
    let names = &policy.policy_variables_override_exceptions;
    let exceptions = if names.is_omitted() {
        String::new()
    } else {
        format!(" (except for {})", names.join(", "))
    };
    notices.push(format!(
        "User-defined CI/CD variables are {word} in this job{exceptions} according to the policy."
    ));
    notices
}

/// The user's steps as stages, in payload order; `after_script` is none of them (E1).
pub(super) fn user_stages(build: &Build) -> Vec<Stage> {
    let steps = build.payload().steps.iter();
    steps
        .filter(|step| step.name != "after_script")
        .map(|step| Stage::of_step(&step.name))
        .collect()
}

const SUSPENDABLE: &str = "FF_SUSPENDABLE_ENVIRONMENTS";

/// Whether the job asks for its environment to be kept, after a success or a failure (E22).
pub(super) fn suspend_requested(build: &Build, succeeded: bool) -> bool {
    let options = &build.payload().suspend_options;
    let asked = if succeeded {
        options.suspend_on_success
    } else {
        options.suspend_on_failure
    };
    build.feature(SUSPENDABLE) && asked
}

/// Whether the job goes on in an environment that was kept, so its sources are there already (E1).
pub(super) fn resumes_environment(build: &Build) -> bool {
    build.feature(SUSPENDABLE)
        && !build
            .payload()
            .suspend_options
            .runtime_environment_key
            .is_empty()
}
