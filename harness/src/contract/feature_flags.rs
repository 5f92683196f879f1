//! The feature flags of the runner, in the runner's order, with their defaults (B6).

/// One feature flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeatureFlag {
    /// `FF_…`
    pub name: &'static str,
    /// Its value if nobody sets it.
    pub default: bool,
}

const fn flag(name: &'static str, default: bool) -> FeatureFlag {
    FeatureFlag { name, default }
}

/// All of them, in the order in which the runner exports them.
pub const ALL: [FeatureFlag; 52] = [
    flag("FF_TEST_FEATURE", false),
    flag("FF_NETWORK_PER_BUILD", false),
    flag("FF_USE_LEGACY_KUBERNETES_EXECUTION_STRATEGY", false),
    flag("FF_USE_DIRECT_DOWNLOAD", true),
    flag("FF_USE_FASTZIP", true),
    flag("FF_DISABLE_UMASK_FOR_DOCKER_EXECUTOR", false),
    flag("FF_ENABLE_BASH_EXIT_CODE_CHECK", false),
    flag("FF_USE_WINDOWS_LEGACY_PROCESS_STRATEGY", false),
    flag("FF_USE_LEGACY_BASH_EVAL", false),
    flag("FF_USE_POWERSHELL_PATH_RESOLVER", false),
    flag("FF_USE_DYNAMIC_TRACE_FORCE_SEND_INTERVAL", false),
    flag("FF_SCRIPT_SECTIONS", false),
    flag("FF_ENABLE_JOB_CLEANUP", false),
    flag("FF_KUBERNETES_HONOR_ENTRYPOINT", false),
    flag("FF_POSIXLY_CORRECT_ESCAPES", false),
    flag("FF_RESOLVE_FULL_TLS_CHAIN", false),
    flag("FF_DISABLE_POWERSHELL_STDIN", false),
    flag("FF_USE_POD_ACTIVE_DEADLINE_SECONDS", true),
    flag("FF_USE_ADVANCED_POD_SPEC_CONFIGURATION", false),
    flag("FF_SECRET_RESOLVING_FAILS_IF_MISSING", true),
    flag("FF_PRINT_POD_EVENTS", false),
    flag("FF_USE_GIT_BUNDLE_URIS", true),
    flag("FF_USE_GIT_NATIVE_CLONE", false),
    flag("FF_USE_DUMB_INIT_WITH_KUBERNETES_EXECUTOR", false),
    flag("FF_USE_INIT_WITH_DOCKER_EXECUTOR", false),
    flag("FF_LOG_IMAGES_CONFIGURED_FOR_JOB", false),
    flag("FF_USE_DOCKER_AUTOSCALER_DIAL_STDIO", true),
    flag("FF_CLEAN_UP_FAILED_CACHE_EXTRACT", false),
    flag("FF_USE_WINDOWS_JOB_OBJECT", false),
    flag("FF_TIMESTAMPS", true),
    flag("FF_DISABLE_AUTOMATIC_TOKEN_ROTATION", false),
    flag("FF_USE_LEGACY_GCS_CACHE_ADAPTER", false),
    flag("FF_DISABLE_UMASK_FOR_KUBERNETES_EXECUTOR", false),
    flag("FF_USE_LEGACY_S3_CACHE_ADAPTER", false),
    flag("FF_GIT_URLS_WITHOUT_TOKENS", false),
    flag("FF_WAIT_FOR_POD_TO_BE_REACHABLE", false),
    flag("FF_MASK_ALL_DEFAULT_TOKENS", true),
    flag("FF_EXPORT_HIGH_CARDINALITY_METRICS", false),
    flag("FF_USE_FLEETING_ACQUIRE_HEARTBEATS", false),
    flag("FF_USE_EXPONENTIAL_BACKOFF_STAGE_RETRY", true),
    flag("FF_USE_ADAPTIVE_REQUEST_CONCURRENCY", true),
    flag("FF_USE_GITALY_CORRELATION_ID", true),
    flag("FF_USE_GIT_PROACTIVE_AUTH", false),
    flag("FF_HASH_CACHE_KEYS", false),
    flag("FF_ENABLE_JOB_INPUTS_INTERPOLATION", true),
    flag("FF_USE_JOB_ROUTER", false),
    flag("FF_SCRIPT_TO_STEP_MIGRATION", false),
    flag("FF_USE_PARALLEL_CACHE_TRANSFER", false),
    flag("FF_USE_PARALLEL_ARTIFACT_TRANSFER", false),
    flag("FF_CONCRETE", false),
    flag("FF_SUSPENDABLE_ENVIRONMENTS", false),
    flag("FF_USE_NATIVE_CONTAINER_STOP", false),
];

/// Whether this is the name of a feature flag of this runner version.
pub fn is_known(name: &str) -> bool {
    name.starts_with("FF_") && ALL.iter().any(|flag| flag.name == name)
}

/// The resolved value of every flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureFlags([bool; ALL.len()]);

impl Default for FeatureFlags {
    fn default() -> Self {
        Self(ALL.map(|flag| flag.default))
    }
}

impl FeatureFlags {
    /// Whether the flag is on; an unknown one is off.
    pub fn is_on(&self, name: &str) -> bool {
        ALL.iter()
            .position(|flag| flag.name == name)
            .is_some_and(|index| self.0[index])
    }

    /// Sets a flag; an unknown one is ignored.
    pub fn set(&mut self, name: &str, value: bool) {
        if let Some(index) = ALL.iter().position(|flag| flag.name == name) {
            self.0[index] = value;
        }
    }

    /// Every flag with its value, in the runner's order.
    pub fn iter(&self) -> impl Iterator<Item = (FeatureFlag, bool)> {
        ALL.into_iter().zip(self.0)
    }

    /// Flags that differ from their defaults, as in the line `feature flags:` of the job log: `FF_X:true, FF_Y:false`.
    pub fn changed(&self) -> String {
        let changed: Vec<String> = self
            .iter()
            .filter(|(flag, value)| flag.default != *value)
            .map(|(flag, value)| format!("{}:{value}", flag.name))
            .collect();
        changed.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<&str> = ALL.iter().map(|flag| flag.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(is_known("FF_TIMESTAMPS"));
        assert!(!is_known("FF_CMD_DISABLE_DELAYED_ERROR_LEVEL_EXPANSION"));
    }
}
