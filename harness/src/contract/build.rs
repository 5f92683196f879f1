//! A job on a runner: the payload, the runner's settings, and what the runner knows of the job's environment (A5 to A8,
//! B6, B11, E13).

pub(super) mod derivations;

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use derivations::{Derivations, Same, Sources, State};

use super::config::RunnerConfig;
use super::feature_flags;
use super::go_duration::GoDuration;
use super::go_path;
use super::go_url::GoUrl;
use super::payload::JobPayload;
use super::settings::{GitStrategy, Settings, SettingsContext};
use super::shell::Shell;
use super::token;
use super::variables::{TEMP_PROJECT_DIR, Variable, Variables};

/// Job timeout if the payload has none (K).
pub const JOB_TIMEOUT_DEFAULT_SECONDS: i64 = 7200;
/// Time for `after_script` if the job does not set it (E11).
const AFTER_SCRIPT_TIMEOUT_DEFAULT: Duration = Duration::from_mins(5);

/// Facts about the emulated runner itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerFacts {
    /// Version, for example `19.4.0`.
    pub version: String,
    /// Revision, for example `HEAD`.
    pub revision: String,
    /// Operating system in Go's words.
    pub os: String,
    /// Architecture in Go's words.
    pub architecture: String,
    /// System id, `s_…` or `r_…`.
    pub system_id: String,
    /// Correlation id of the request that brought the job; appears in `get_sources` (E18).
    pub correlation_id: String,
    /// RFC 3339 moment that stands for start and end of the job in artifact metadata.
    pub started_at: String,
}

impl Default for RunnerFacts {
    fn default() -> Self {
        Self {
            version: "19.4.0".into(),
            revision: "HEAD".into(),
            os: "linux".into(),
            architecture: "amd64".into(),
            system_id: "s_0123456789ab".into(),
            correlation_id: "01234567890123456789012345678901".into(),
            started_at: "2000-01-01T00:00:00Z".into(),
        }
    }
}

/// A mistake in the runner's configuration: the job fails with `runner_configuration_error`, without retry (A5, A6).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigurationError(pub String);

/// A timeout as the runner resolved it, with what it writes to its own log about a bad value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedTimeout<T = Duration> {
    /// How long.
    pub duration: T,
    /// Warning, if the value set was not taken.
    pub warning: Option<String>,
}

/// A job on a runner. Pure data: it changes only by the methods that take `&mut self`. A copy costs little and shares what
/// was derived so far.
#[derive(Debug, Clone)]
pub struct Build {
    payload: Arc<JobPayload>,
    runner: Arc<RunnerConfig>,
    facts: Arc<RunnerFacts>,
    concurrent_id: u32,
    concurrent_project_id: u32,
    request_error: Option<String>,
    state: Arc<State>,
    settings: OnceCell<Same<Settings>>,
    variables: OnceCell<Same<Variables>>,
    derivations: Arc<Derivations>,
}

impl Build {
    /// A job as it was handed out. `run:` jobs are rewritten here (A10); see [`request_error`](Self::request_error).
    pub fn new(
        mut payload: JobPayload,
        runner: RunnerConfig,
        facts: RunnerFacts,
        concurrent_id: u32,
        concurrent_project_id: u32,
    ) -> Self {
        let request_error = payload.prepare_request().err();
        Self {
            payload: Arc::new(payload),
            runner: Arc::new(runner),
            facts: Arc::new(facts),
            concurrent_id,
            concurrent_project_id,
            request_error,
            state: Arc::default(),
            settings: OnceCell::new(),
            variables: OnceCell::new(),
            derivations: Arc::default(),
        }
    }

    pub(super) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state)
    }

    fn state_mut(&mut self) -> &mut State {
        Arc::make_mut(&mut self.state)
    }

    /// Why the runner refuses the job before any driver program runs (A9); `None`: it does not.
    pub fn request_error(&self) -> Option<&str> {
        self.request_error.as_deref()
    }

    /// Takes the job whatever it asks for, as a runner does that was started for a single job.
    pub fn accept_request(&mut self) {
        self.request_error = None;
    }

    /// The job as it stands.
    pub fn payload(&self) -> &JobPayload {
        &self.payload
    }

    /// The runner's settings; overrides from `config_exec` are not in them.
    pub fn runner(&self) -> &RunnerConfig {
        &self.runner
    }

    /// Facts about the runner.
    pub fn facts(&self) -> &RunnerFacts {
        &self.facts
    }

    /// `CI_BUILDS_DIR`; empty before the first [`start_build`](Self::start_build).
    pub fn root_dir(&self) -> &str {
        &self.state.root_dir
    }

    /// The cache directory of this project; empty before the first [`start_build`](Self::start_build).
    pub fn cache_dir(&self) -> &str {
        &self.state.cache_dir
    }

    /// The project directory as computed, before backslashes become slashes.
    pub fn build_dir(&self) -> &str {
        &self.state.build_dir
    }

    /// The project directory that scripts change into (A7).
    pub fn project_dir(&self) -> String {
        go_path::to_slash(&self.state.build_dir)
    }

    /// The temporary project directory: project directory + `.tmp` (A7).
    pub fn temporary_dir(&self) -> String {
        self.project_dir() + ".tmp"
    }

    /// The host name given by `config_exec`; empty: none (C8).
    pub fn hostname(&self) -> &str {
        &self.state.hostname
    }

    /// Sets the host name; it stays for later attempts (C8).
    pub fn set_hostname(&mut self, hostname: impl Into<String>) {
        self.state_mut().hostname = hostname.into();
    }

    /// The shell scripts are made for.
    pub fn shell(&self) -> Shell {
        self.state.shell
    }

    /// Chooses the shell by its configured name, empty for the platform's default. The error is the runner's (C7).
    pub fn set_shell(&mut self, name: &str) -> Result<(), String> {
        self.state_mut().shell =
            Shell::from_name(name).ok_or_else(|| format!("shell {name} not found"))?;
        Ok(())
    }

    /// Extension of script files without the dot; empty for bash and sh (B4).
    pub fn script_extension(&self) -> &'static str {
        self.state.shell.extension()
    }

    /// Whether variables call the environment shared: always, once the executor is known. The runner asks the executor
    /// late; until then variables say `CI_DISPOSABLE_ENVIRONMENT`.
    pub(super) fn is_shared(&self) -> bool {
        self.state.expanded_with.is_some()
    }

    /// Whether git is told to trust the project directory whoever owns it.
    pub(super) fn trusts_project_dir(&self) -> bool {
        self.state.trusts_project_dir
    }

    /// The short form of the runner's token (A7).
    pub fn short_token(&self) -> String {
        token::shorten(&self.runner.token)
    }

    /// The resolved settings; cached until the variables are refreshed.
    pub fn settings(&self) -> &Settings {
        &self.shared_settings().0
    }

    fn shared_settings(&self) -> &Same<Settings> {
        self.settings.get_or_init(|| {
            let resolve = || Same(Arc::new(self.resolve_settings()));
            self.derivations.settings.get(self.state(), resolve)
        })
    }

    fn resolve_settings(&self) -> Settings {
        let context = SettingsContext {
            allow_git_fetch: self.payload.allow_git_fetch,
            depth: self.payload.git_info.depth,
            debug_trace_disabled: self.runner.debug_trace_disabled,
            runner_flags: &self.runner.feature_flags,
        };
        Settings::resolve(&self.variables_for_settings(), context)
    }

    /// What the runner complains about in the job's settings. The job log has them as one warning, one per line.
    pub fn settings_errors(&self) -> Vec<String> {
        self.settings().errors.clone()
    }

    /// Whether a feature flag is on.
    pub fn feature(&self, name: &str) -> bool {
        self.settings().feature_flags.is_on(name)
    }

    /// The text after `feature flags:` in the head of the job log; empty if there is no such line.
    pub fn changed_feature_flags(&self) -> String {
        self.settings().feature_flags.changed()
    }

    /// Forgets computed variables and settings. The runner does it before `config_exec` is started (if there is one),
    /// and when directories are set (B11).
    pub fn refresh_variables(&mut self) {
        self.settings.take();
        self.variables.take();
    }

    pub(super) fn derivations(&self) -> &Derivations {
        &self.derivations
    }

    /// What scripts and environments are made from as things are now.
    pub(super) fn sources(&self) -> Sources {
        Sources {
            state: self.state(),
            settings: self.shared_settings().clone(),
            variables: self.shared_variables().clone(),
        }
    }

    /// All variables of the job, expanded, in the runner's order (B6, B8); cached until they are refreshed.
    pub fn all_variables(&self) -> &Variables {
        &self.shared_variables().0
    }

    fn shared_variables(&self) -> &Same<Variables> {
        self.variables.get_or_init(|| {
            let key = (self.state(), self.shared_settings().clone());
            let compose = || Same(Arc::new(self.compose_variables()));
            self.derivations.variables.get(key, compose)
        })
    }

    fn compose_variables(&self) -> Variables {
        let flags = self.settings().feature_flags.iter();
        let mut all: Variables = flags
            .map(|(flag, value)| Variable::internal(flag.name, value.to_string()))
            .collect();
        all.extend(self.variables_before_job());
        all.extend(
            self.payload
                .variables
                .iter()
                .filter(|variable| !feature_flags::is_known(&variable.key))
                .cloned(),
        );
        all.extend(self.variables_after_job(self.feature("FF_NETWORK_PER_BUILD")));
        all.into_expanded()
    }

    fn variables_for_settings(&self) -> Variables {
        let mut all: Variables = feature_flags::ALL
            .iter()
            .map(|flag| Variable::internal(flag.name, flag.default.to_string()))
            .collect();
        all.extend(self.variables_before_job());
        all.extend(self.payload.variables.iter().cloned());
        all.extend(self.variables_after_job(false));
        all.into_expanded()
    }

    fn variables_before_job(&self) -> Vec<Variable> {
        let mut variables = Vec::with_capacity(16);
        if !self.payload.image.name.is_empty() {
            variables.push(Variable::internal("CI_JOB_IMAGE", &self.payload.image.name));
        }
        variables.push(Variable::internal(
            "CI_RUNNER_SHORT_TOKEN",
            self.short_token(),
        ));
        for item in &self.runner.environment {
            if let Some((key, value)) = item.split_once('=') {
                variables.push(Variable {
                    internal: true,
                    ..Variable::new(key, value)
                });
            }
        }
        variables.extend([
            Variable::internal("CI_BUILDS_DIR", &self.state.root_dir),
            Variable::internal("CI_PROJECT_DIR", self.project_dir()),
            Variable::internal("CI_CONCURRENT_ID", self.concurrent_id.to_string()),
            Variable::internal(
                "CI_CONCURRENT_PROJECT_ID",
                self.concurrent_project_id.to_string(),
            ),
            Variable::internal("CI_SERVER", "yes"),
            Variable::internal("CI_JOB_STATUS", "running"),
            Variable::internal("CI_JOB_TIMEOUT", self.job_timeout().as_secs().to_string()),
        ]);
        variables.extend(self.tls_variables());
        variables
    }

    /// The certificate variables (B6).
    pub(super) fn tls_variables(&self) -> Vec<Variable> {
        let tls = &self.payload.tls;
        let file = |key: &str, value: &str| Variable {
            file: true,
            ..Variable::internal(key, value)
        };
        let mut variables = Vec::new();
        if !tls.ca_chain.is_empty() {
            variables.push(file("CI_SERVER_TLS_CA_FILE", &tls.ca_chain));
        }
        if !tls.certificate.is_empty() && !tls.key.is_empty() {
            variables.push(file("CI_SERVER_TLS_CERT_FILE", &tls.certificate));
            variables.push(Variable {
                public: false,
                ..file("CI_SERVER_TLS_KEY_FILE", &tls.key)
            });
        }
        variables
    }

    fn variables_after_job(&self, network_per_build: bool) -> Vec<Variable> {
        let sharing = if self.is_shared() {
            "CI_SHARED_ENVIRONMENT"
        } else {
            "CI_DISPOSABLE_ENVIRONMENT"
        };
        let mut variables = vec![
            Variable::internal(sharing, "true"),
            Variable::internal("CI_RUNNER_VERSION", &self.facts.version),
            Variable::internal("CI_RUNNER_REVISION", &self.facts.revision),
            Variable::internal(
                "CI_RUNNER_EXECUTABLE_ARCH",
                format!("{}/{}", self.facts.os, self.facts.architecture),
            ),
            Variable::internal(TEMP_PROJECT_DIR, self.temporary_dir()),
        ];
        if network_per_build {
            variables.push(Variable::internal(
                "CI_BUILD_NETWORK_NAME",
                self.network_name(),
            ));
        }
        variables
    }

    /// A name for the job that is valid in DNS.
    fn network_name(&self) -> String {
        let name = format!(
            "runner-{}-{}-{}-{}",
            self.short_token(),
            self.payload.job_info.project_id,
            self.concurrent_project_id,
            self.payload.id
        );
        let allowed: String = name
            .to_lowercase()
            .chars()
            .filter(|character| matches!(character, 'a'..='z' | '0'..='9' | '-'))
            .collect();
        allowed.trim_start_matches('-').chars().take(63).collect()
    }

    /// Sets what later calls and scripts see as `CI_JOB_STATUS`. A variable of that name in the job still hides it, and
    /// a refresh of the variables undoes it (E13).
    pub fn set_job_status(&mut self, status: &str) {
        let before = self.shared_variables().clone();
        let overwrite = || {
            let mut variables = Variables::clone(&before.0);
            variables.overwrite_key("CI_JOB_STATUS", Variable::new("CI_JOB_STATUS", status));
            Same(Arc::new(variables))
        };
        let key = (before.clone(), status.to_owned());
        let with_status = self.derivations.with_status.get(key, overwrite);
        self.variables = OnceCell::from(with_status);
    }

    /// Expands variables in the names and aliases of image and services. The runner does it once, before the first
    /// attempt, and only after that learns what its executor is.
    pub fn expand_image_and_services(&mut self) {
        let variables = self.shared_variables().clone();
        let payload = Arc::make_mut(&mut self.payload);
        let image_and_services =
            std::iter::once(&mut payload.image).chain(payload.services.iter_mut());
        for image in image_and_services {
            image.name = variables.0.expand_value(&image.name);
            image.alias = variables.0.expand_value(&image.alias);
        }
        self.state_mut().expanded_with = Some(variables);
    }

    /// Sets the directories of an attempt, from `[[runners]]` or `config_exec` (A5, A6, A7).
    pub fn start_build(
        &mut self,
        builds_dir: &str,
        cache_dir: &str,
        shared: bool,
    ) -> Result<(), ConfigurationError> {
        if builds_dir.is_empty() {
            return Err(ConfigurationError(
                "the builds_dir is not configured".into(),
            ));
        }
        if cache_dir.is_empty() {
            return Err(ConfigurationError("the cache_dir is not configured".into()));
        }
        let trusts_project_dir = self.runner.safe_directory_checkout.unwrap_or(false);
        let state = self.state_mut();
        state.trusts_project_dir = trusts_project_dir;
        builds_dir.clone_into(&mut state.root_dir);
        let cache_dir = go_path::join(&[cache_dir, &self.project_unique_dir(false)]);
        self.state_mut().cache_dir = cache_dir;
        self.refresh_variables();
        match self.chosen_build_dir(shared) {
            Ok(dir) => self.state_mut().build_dir = dir,
            Err(error) => {
                // The runner assigns the empty result before it looks at the error.
                self.state_mut().build_dir.clear();
                return Err(error);
            }
        }
        self.refresh_variables();
        Ok(())
    }

    fn chosen_build_dir(&self, shared: bool) -> Result<String, ConfigurationError> {
        let wanted = &self.settings().git.clone_path;
        if wanted.is_empty() {
            return Ok(go_path::join(&[
                &self.state.root_dir,
                &self.project_unique_dir(shared),
            ]));
        }
        if !self.runner.custom_build_dir.enabled {
            return Err(ConfigurationError(
                "setting GIT_CLONE_PATH is not allowed, enable `custom_build_dir` feature".into(),
            ));
        }
        let relative = go_path::relative(
            &go_path::to_slash(&self.state.root_dir),
            &go_path::to_slash(wanted),
        )
        .map_err(ConfigurationError)?;
        if relative.starts_with("..") {
            return Err(ConfigurationError(format!(
                "the GIT_CLONE_PATH={} has to be within {}",
                super::go_text::quote(wanted),
                super::go_text::quote(&self.state.root_dir)
            )));
        }
        Ok(go_path::clean(wanted))
    }

    /// The project's directory below the builds directory (A7).
    fn project_unique_dir(&self, shared: bool) -> String {
        let mut dir = self
            .project_slug()
            .unwrap_or_else(|| format!("project-{}", self.payload.job_info.project_id));
        if shared {
            dir = go_path::join(&[
                &self.short_token(),
                &self.concurrent_project_id.to_string(),
                &dir,
            ]);
        }
        if self.settings().git.strategy == GitStrategy::Empty {
            dir.push_str("-empty");
        }
        dir
    }

    fn project_slug(&self) -> Option<String> {
        let url = GoUrl::parse(&self.payload.git_info.repo_url).ok()?;
        if url.host.is_empty() {
            return None;
        }
        let path = url.decoded_path();
        let slug = go_path::clean(path.strip_suffix(".git").unwrap_or(&path));
        (slug != "." && !slug.contains("..")).then_some(slug)
    }

    /// Values the job log must not show.
    pub fn masked_phrases(&self) -> Vec<String> {
        self.all_variables().masked()
    }

    /// Prefixes of tokens the job log must not show, as GitLab sent them.
    pub fn token_mask_prefixes(&self) -> Vec<String> {
        self.payload.features.token_mask_prefixes.to_vec()
    }

    /// How long the job may take from after its preparation began.
    pub fn job_timeout(&self) -> Duration {
        let seconds = self.payload.runner_info.timeout;
        let seconds = if seconds <= 0 {
            JOB_TIMEOUT_DEFAULT_SECONDS
        } else {
            seconds
        };
        Duration::from_secs(seconds.unsigned_abs())
    }

    /// `prepare_timeout` (D7).
    pub fn prepare_timeout(&self) -> ResolvedTimeout {
        self.phase_timeout("prepare_timeout", self.runner.prepare_timeout.as_deref())
    }

    /// `get_sources_timeout` (E9).
    pub fn get_sources_timeout(&self) -> ResolvedTimeout {
        self.phase_timeout(
            "get_sources_timeout",
            self.runner.get_sources_timeout.as_deref(),
        )
    }

    fn phase_timeout(&self, key: &str, configured: Option<&str>) -> ResolvedTimeout {
        let job = self.job_timeout();
        let job_text = GoDuration::from(job);
        let fallback = |warning| ResolvedTimeout {
            duration: job,
            warning,
        };
        let wanted = match configured.map(GoDuration::parse) {
            None => return fallback(None),
            // The real runner does not even load such a configuration.
            Some(Err(error)) => return fallback(Some(error)),
            Some(Ok(wanted)) => wanted,
        };
        match wanted.to_duration() {
            Some(duration) if duration > job => fallback(Some(format!(
                "{key} ({wanted}) exceeds job timeout ({job_text}); using job timeout"
            ))),
            Some(duration) if !duration.is_zero() => ResolvedTimeout {
                duration,
                warning: None,
            },
            _ => fallback(Some(format!(
                "{key} ({wanted}) must be greater than 0; using job timeout ({job_text})"
            ))),
        }
    }

    /// `RUNNER_SCRIPT_TIMEOUT` with `remaining` job time left; `None`: no limit of its own (E10). The warning goes to
    /// the job log.
    pub fn script_timeout(&self, remaining: Duration) -> ResolvedTimeout<Option<Duration>> {
        self.stage_timeout("RUNNER_SCRIPT_TIMEOUT", None, remaining)
    }

    /// `RUNNER_AFTER_SCRIPT_TIMEOUT` with `remaining` job time left (E11). The warning goes to the job log.
    pub fn after_script_timeout(&self, remaining: Duration) -> ResolvedTimeout<Option<Duration>> {
        self.stage_timeout(
            "RUNNER_AFTER_SCRIPT_TIMEOUT",
            Some(AFTER_SCRIPT_TIMEOUT_DEFAULT),
            remaining,
        )
    }

    fn stage_timeout(
        &self,
        name: &str,
        default: Option<Duration>,
        remaining: Duration,
    ) -> ResolvedTimeout<Option<Duration>> {
        let text = self.all_variables().value(name);
        let keep = |warning| ResolvedTimeout {
            duration: default,
            warning,
        };
        if text.trim().is_empty() {
            return keep(None);
        }
        let Ok(wanted) = GoDuration::parse(text) else {
            return keep(Some(format!("Ignoring malformed {name} timeout: {text}")));
        };
        match wanted.to_duration() {
            None => keep(Some(format!("Ignoring relative {name} timeout: {text}"))),
            Some(duration) if duration > remaining => keep(Some(format!(
                "{name} timeout: {text} is longer than job timeout. Setting to job timeout"
            ))),
            Some(duration) if duration.is_zero() => keep(None),
            Some(duration) => ResolvedTimeout {
                duration: Some(duration),
                warning: None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(payload: &str) -> Build {
        let runner = RunnerConfig {
            token: "glrt-t1_abcdefghijkl".into(),
            ..RunnerConfig::default()
        };
        Build::new(
            JobPayload::parse(payload).unwrap(),
            runner,
            RunnerFacts::default(),
            3,
            1,
        )
    }

    const PROJECT: &str = r#"{"id":12,"git_info":{"repo_url":"http://u:p@h/group/proj.git"}}"#;

    #[test]
    fn directories_follow_the_project() {
        let mut job = build(PROJECT);
        job.start_build("/b", "/c", false).unwrap();
        assert_eq!(job.project_dir(), "/b/group/proj");
        assert_eq!(job.cache_dir(), "/c/group/proj");
        job.start_build("/b", "/c", true).unwrap();
        assert_eq!(job.project_dir(), "/b/abcdefghi/1/group/proj");
        assert_eq!(job.cache_dir(), "/c/group/proj");
        assert_eq!(
            job.all_variables().value("RUNNER_TEMP_PROJECT_DIR"),
            "/b/abcdefghi/1/group/proj.tmp"
        );
    }

    #[test]
    fn a_project_without_url_has_a_directory_by_id() {
        let mut job =
            build(r#"{"job_info":{"project_id":42},"git_info":{"repo_url":"git@h:a/b.git"}}"#);
        job.start_build("/b", "/c", false).unwrap();
        assert_eq!(job.project_dir(), "/b/project-42");
    }

    #[test]
    fn missing_directories_are_configuration_errors() {
        let mut job = build(PROJECT);
        assert_eq!(
            job.start_build("", "/c", false).unwrap_err().0,
            "the builds_dir is not configured"
        );
        assert_eq!(
            job.start_build("/b", "", false).unwrap_err().0,
            "the cache_dir is not configured"
        );
    }

    #[test]
    fn a_clone_path_needs_permission_and_a_place_within() {
        let payload = r#"{"variables":[{"key":"GIT_CLONE_PATH","value":"$CI_BUILDS_DIR/../x"}]}"#;
        let mut job = build(payload);
        assert!(
            job.start_build("/b", "/c", false)
                .unwrap_err()
                .0
                .starts_with("setting GIT_CLONE_PATH is not allowed")
        );
        Arc::make_mut(&mut job.runner).custom_build_dir.enabled = true;
        assert_eq!(
            job.start_build("/b", "/c", false).unwrap_err().0,
            "the GIT_CLONE_PATH=\"/b/../x\" has to be within \"/b\""
        );
    }

    #[test]
    fn the_first_variables_know_no_directories() {
        let mut job = build(PROJECT);
        job.expand_image_and_services();
        assert_eq!(
            job.all_variables().value("CI_DISPOSABLE_ENVIRONMENT"),
            "true"
        );
        job.refresh_variables();
        assert_eq!(job.all_variables().value("CI_SHARED_ENVIRONMENT"), "true");
        assert_eq!(job.all_variables().value("RUNNER_TEMP_PROJECT_DIR"), ".tmp");
        job.set_job_status("failed");
        assert_eq!(job.all_variables().value("CI_JOB_STATUS"), "failed");
    }

    #[test]
    fn timeouts_have_their_words() {
        let mut job = build(
            r#"{"runner_info":{"timeout":60},"variables":[{"key":"RUNNER_SCRIPT_TIMEOUT","value":"2m"}]}"#,
        );
        Arc::make_mut(&mut job.runner).prepare_timeout = Some("2m".into());
        Arc::make_mut(&mut job.runner).get_sources_timeout = Some("0".into());
        assert_eq!(
            job.prepare_timeout().warning.unwrap(),
            "prepare_timeout (2m0s) exceeds job timeout (1m0s); using job timeout"
        );
        assert_eq!(
            job.get_sources_timeout().warning.unwrap(),
            "get_sources_timeout (0s) must be greater than 0; using job timeout (1m0s)"
        );
        let script = job.script_timeout(Duration::from_mins(1));
        assert_eq!(script.duration, None);
        assert_eq!(
            script.warning.unwrap(),
            "RUNNER_SCRIPT_TIMEOUT timeout: 2m is longer than job timeout. Setting to job timeout"
        );
    }
}
