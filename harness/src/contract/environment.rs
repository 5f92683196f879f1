//! The environment of a driver's programs (B5, B6, I1).

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde::Serialize;

use super::build::Build;
use super::build::derivations::Same;
use super::exit::ExitCodes;
use super::go_json;
use super::list::List;
use super::payload::Image;
use super::variables::Variables;

/// What the runner puts before the name of each CI variable.
pub const CUSTOM_ENV_PREFIX: &str = "CUSTOM_ENV_";

/// One service in `CI_JOB_SERVICES`; field order is the runner's.
#[derive(Serialize)]
struct JobService<'a> {
    name: &'a str,
    alias: &'a str,
    entrypoint: &'a List<String>,
    command: &'a List<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    variables: BTreeMap<&'a str, String>,
}

impl Build {
    /// The `CUSTOM_ENV_…` entries in the runner's order, `CUSTOM_ENV_CI_JOB_SERVICES` last (B6, I1). A name may occur
    /// more than once. Every call gets the same ones while the variables stay as they are.
    pub fn custom_environment(&self) -> Arc<[(String, String)]> {
        self.derivations()
            .custom_environment
            .get(self.sources(), || self.compose_custom_environment().into())
    }

    fn compose_custom_environment(&self) -> Vec<(String, String)> {
        let variables = self.all_variables();
        let mut entries = Vec::with_capacity(variables.len() + 1);
        for variable in variables {
            entries.push((
                format!("{CUSTOM_ENV_PREFIX}{}", variable.key),
                variable.value.clone(),
            ));
        }
        entries.push((
            format!("{CUSTOM_ENV_PREFIX}CI_JOB_SERVICES"),
            self.job_services(),
        ));
        entries
    }

    /// The value of `CI_JOB_SERVICES`: JSON, or nothing if there are no services (I1).
    fn job_services(&self) -> String {
        let services: Vec<JobService<'_>> = self
            .payload()
            .services
            .iter()
            .map(|service| self.job_service(service))
            .collect();
        if services.is_empty() {
            String::new()
        } else {
            go_json::encode(&services)
        }
    }

    fn job_service<'a>(&self, service: &'a Image) -> JobService<'a> {
        let own: Variables = service.variables.iter().cloned().collect();
        let mut source = Variables::default();
        if !own.is_empty() {
            source.extend(self.all_variables().iter().cloned());
            source.extend(own.iter().cloned());
        }
        let expanded = own.expand_with(&source);
        let variables = service
            .variables
            .iter()
            .map(|variable| (&*variable.key, expanded.value(&variable.key).to_owned()));
        JobService {
            name: &service.name,
            alias: service.aliases().next().unwrap_or(""),
            entrypoint: &service.entrypoint,
            command: &service.command,
            variables: variables.collect(),
        }
    }
}

/// What the environment of a call is made from besides the job's variables (B5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EnvironmentSources {
    /// Environment of the runner process.
    pub host: Arc<[(String, String)]>,
    /// `TMPDIR`.
    pub temp_dir: String,
    /// Values of the two exit-code variables.
    pub exit_codes: ExitCodes,
    /// `BUILD_EXIT_CODE_FILE`.
    pub exit_code_file: String,
    /// `JOB_RESPONSE_FILE`.
    pub response_file: String,
    /// `job_env` of what config printed.
    pub job_env: Vec<(String, String)>,
}

impl Build {
    /// The complete environment of a call, without duplicates: later sources win, in the order host, runner, `job_env`,
    /// `CUSTOM_ENV_…` (B5).
    pub fn call_environment(&self, sources: &EnvironmentSources) -> Arc<[(String, String)]> {
        let custom = self.custom_environment();
        let key = (sources.clone(), Same(Arc::clone(&custom)));
        let kept = &self.derivations().call_environments;
        kept.get(key, || compose_environment(sources, &custom).into())
    }
}

fn compose_environment(
    sources: &EnvironmentSources,
    custom: &[(String, String)],
) -> Vec<(String, String)> {
    let codes = sources.exit_codes;
    let own = [
        ("TMPDIR".to_owned(), sources.temp_dir.clone()),
        (
            "BUILD_FAILURE_EXIT_CODE".to_owned(),
            codes.build_failure.to_string(),
        ),
        (
            "SYSTEM_FAILURE_EXIT_CODE".to_owned(),
            codes.system_failure.to_string(),
        ),
        (
            "BUILD_EXIT_CODE_FILE".to_owned(),
            sources.exit_code_file.clone(),
        ),
        (
            "JOB_RESPONSE_FILE".to_owned(),
            sources.response_file.clone(),
        ),
    ];
    let sources: [&[_]; 4] = [&sources.host, &own, &sources.job_env, custom];
    let mut seen = HashSet::new();
    let mut entries: Vec<(String, String)> =
        Vec::with_capacity(sources.iter().map(|source| source.len()).sum());
    for (key, value) in sources
        .into_iter()
        .rev()
        .flat_map(|source| source.iter().rev())
    {
        // An equals sign in a name moves the border between name and value.
        let (name, value) = match key.split_once('=') {
            Some((name, rest)) => (name, format!("{rest}={value}")),
            None => (key.as_str(), value.clone()),
        };
        if seen.insert(name) {
            entries.push((name.to_owned(), value));
        }
    }
    entries.reverse();
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::build::RunnerFacts;
    use crate::contract::config::RunnerConfig;
    use crate::contract::payload::JobPayload;

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn later_sources_win() {
        let sources = EnvironmentSources {
            host: [pair("PATH", "/bin"), pair("TMPDIR", "/tmp")].into(),
            temp_dir: "/t".into(),
            exit_codes: ExitCodes::RUNNER,
            exit_code_file: "/t/build_exit_code".into(),
            response_file: "/t/response.json".into(),
            job_env: vec![
                pair("PATH", "/mine"),
                pair("CUSTOM_ENV_A", "job_env"),
                pair("CUSTOM_ENV_B", "job_env"),
            ],
        };
        let custom = [pair("CUSTOM_ENV_A", "first"), pair("CUSTOM_ENV_A", "last")];
        let environment = compose_environment(&sources, &custom);
        let value = |name: &str| {
            environment
                .iter()
                .filter(|(key, _)| key == name)
                .map(|(_, value)| value.as_str())
                .collect::<Vec<_>>()
        };
        assert_eq!(value("PATH"), ["/mine"]);
        assert_eq!(value("TMPDIR"), ["/t"]);
        assert_eq!(value("CUSTOM_ENV_A"), ["last"]);
        assert_eq!(value("CUSTOM_ENV_B"), ["job_env"]);
        assert_eq!(value("SYSTEM_FAILURE_EXIT_CODE"), ["2"]);
    }

    #[test]
    fn services_are_listed_as_json() {
        let payload = r#"{"variables":[{"key":"V","value":"1"}],"services":[
            {"name":"a:$V","alias":"x, y","command":[],"variables":[{"key":"Z","value":"$V-$W"},{"key":"W","value":"<w>"}]},
            {"name":"b"}]}"#;
        let payload = JobPayload::parse(payload).unwrap();
        let mut job = Build::new(
            payload,
            RunnerConfig::default(),
            RunnerFacts::default(),
            0,
            0,
        );
        job.expand_image_and_services();
        let environment = job.custom_environment();
        let (name, value) = environment.last().unwrap();
        assert_eq!(name, "CUSTOM_ENV_CI_JOB_SERVICES");
        assert_eq!(
            value,
            concat!(
                r#"[{"name":"a:1","alias":"x","entrypoint":null,"command":[],"variables":{"W":"\u003cw\u003e","Z":"1-\u003cw\u003e"}},"#,
                r#"{"name":"b","alias":"","entrypoint":null,"command":null}]"#
            )
        );
    }
}
