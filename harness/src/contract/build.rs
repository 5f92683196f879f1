use super::config::*;
use super::exit::ExitCodes;
use super::payload::JobPayload;
use super::stage::Stage;
use super::variables::Variables;
use std::path::Path;
use std::time::Duration;
pub struct ConfigurationError(pub String);
#[derive(Default)]
pub struct RunnerFacts {
    pub system_id: String,
}
pub struct Settings {
    pub get_sources_attempts: i64,
    pub restore_cache_attempts: i64,
    pub artifact_download_attempts: i64,
    pub after_script_ignore_errors: bool,
}
pub struct Build {
    p: JobPayload,
    r: RunnerConfig,
    c: CustomConfig,
    s: Settings,
}
impl Build {
    pub fn new(p: JobPayload, r: RunnerConfig, _f: RunnerFacts, _a: u32, _b: u32) -> Self {
        Self {
            p,
            c: r.custom.clone().unwrap_or_default(),
            r,
            s: Settings {
                get_sources_attempts: 1,
                restore_cache_attempts: 1,
                artifact_download_attempts: 1,
                after_script_ignore_errors: true,
            },
        }
    }
    pub fn payload(&self) -> &JobPayload {
        &self.p
    }
    pub fn runner_config(&self) -> &RunnerConfig {
        &self.r
    }
    pub fn custom_config(&self) -> &CustomConfig {
        &self.c
    }
    pub fn settings(&self) -> &Settings {
        &self.s
    }
    pub fn settings_errors(&self) -> Vec<String> {
        vec![]
    }
    pub fn feature(&self, _: &str) -> bool {
        true
    }
    pub fn token_mask_prefixes(&self) -> Vec<String> {
        vec![]
    }
    pub fn masked_phrases(&self) -> Vec<String> {
        vec![]
    }
    pub fn log_fields(&self) -> Vec<(String, String)> {
        vec![]
    }
    pub fn header_lines(&self) -> Vec<String> {
        vec![]
    }
    pub fn expand_image_and_services(&mut self) {}
    pub fn job_timeout(&self) -> Duration {
        Duration::from_secs(60)
    }
    pub fn prepare_timeout(&self) -> (Duration, Option<String>) {
        (Duration::from_secs(60), None)
    }
    pub fn get_sources_timeout(&self) -> (Duration, Option<String>) {
        (Duration::from_secs(60), None)
    }
    pub fn reset_attempt(&mut self) {}
    pub fn apply_config(&mut self, _: &super::json_config::ConfigOutput) {}
    pub fn startup_line(&self) -> String {
        String::new()
    }
    pub fn start_build(&mut self) -> Result<(), ConfigurationError> {
        Ok(())
    }
    pub fn check_shell(&self) -> Result<(), String> {
        Ok(())
    }
    pub fn refresh_variables(&mut self) {}
    pub fn suspend_requested(&self, _: bool) -> bool {
        false
    }
    pub fn resumes_environment(&self) -> bool {
        false
    }
    pub fn policy_notices(&self) -> Vec<String> {
        vec![]
    }
    pub fn user_stages(&self) -> &[Stage] {
        &[]
    }
    pub fn response_json(&self) -> String {
        String::new()
    }
    pub fn script_extension(&self) -> &str {
        ""
    }
    pub fn frame(&self, b: &str) -> String {
        b.to_owned()
    }
    pub fn custom_environment(&self) -> Vec<(String, String)> {
        vec![]
    }
    pub fn script(&self, _: &Stage) -> Result<Option<String>, String> {
        Ok(None)
    }
    pub fn set_job_status(&mut self, _: &str) {}
    pub fn all_variables(&self) -> Variables {
        Variables
    }
}
pub fn compose_environment(
    _h: &[(String, String)],
    _t: &Path,
    _e: ExitCodes,
    _f: &Path,
    _r: &Path,
    _j: &[(String, String)],
    _c: &[(String, String)],
) -> Vec<(String, String)> {
    vec![]
}
impl Build {
    pub fn short_token(&self) -> String {
        String::new()
    }
    pub fn clean_repo_url(&self) -> String {
        String::new()
    }
    pub fn processing_fields(&self) -> Vec<(String, String)> {
        vec![]
    }
}
impl Build { pub fn project_dir(&self)->String{String::new()} }
