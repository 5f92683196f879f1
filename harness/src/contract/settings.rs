//! What a job's variables make the runner do: git, attempts, debugging, feature flags, each with the runner's words for
//! a value it does not understand (E6, E12, E18).

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::feature_flags::FeatureFlags;
use super::go_text::{parse_bool, parse_int, quote};
use super::variables::{Variable, Variables};

/// `GIT_STRATEGY`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GitStrategy {
    /// Remove the project directory, then fetch.
    Clone,
    /// Fetch into what is there.
    Fetch,
    /// Leave the project directory as it is.
    None,
    /// Start with an empty project directory.
    Empty,
}

impl GitStrategy {
    /// The word in `GIT_STRATEGY`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clone => "clone",
            Self::Fetch => "fetch",
            Self::None => "none",
            Self::Empty => "empty",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Clone, Self::Fetch, Self::None, Self::Empty]
            .into_iter()
            .find(|strategy| strategy.name() == name)
    }

    /// Whether sources are fetched at all.
    pub fn fetches(self) -> bool {
        matches!(self, Self::Clone | Self::Fetch)
    }
}

/// `GIT_SUBMODULE_STRATEGY`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubmoduleStrategy {
    /// A word the runner does not know; `get_sources` cannot be made.
    Invalid,
    /// No submodules.
    None,
    /// Top level only.
    Normal,
    /// All levels.
    Recursive,
}

impl SubmoduleStrategy {
    /// Whether submodules are checked out.
    pub fn is_on(self) -> bool {
        matches!(self, Self::Normal | Self::Recursive)
    }
}

/// How the sources are fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitSettings {
    /// `GIT_CLONE_PATH` (A6)
    pub clone_path: String,
    /// `GIT_STRATEGY`
    pub strategy: GitStrategy,
    /// `GIT_CHECKOUT`; see also [`Settings::checks_out`]
    pub checkout: bool,
    /// `GIT_SUBMODULE_STRATEGY`; see also [`Settings::submodules`]
    pub submodule_strategy: SubmoduleStrategy,
    /// `GIT_SUBMODULE_PATHS`
    pub submodule_paths: Vec<String>,
    /// `GIT_SUBMODULE_DEPTH`
    pub submodule_depth: i64,
    /// `GIT_CLEAN_FLAGS`
    pub clean_flags: Vec<String>,
    /// `GIT_CLONE_EXTRA_FLAGS`
    pub clone_extra_flags: Vec<String>,
    /// `GIT_FETCH_EXTRA_FLAGS`
    pub fetch_extra_flags: Vec<String>,
    /// `GIT_SUBMODULE_UPDATE_FLAGS`
    pub submodule_update_flags: Vec<String>,
    /// `GIT_LFS_SKIP_SMUDGE`
    pub lfs_skip_smudge: bool,
    /// `GIT_SUBMODULE_FORCE_HTTPS`
    pub submodule_force_https: bool,
}

/// How often a stage is tried, each 1 to 10 (E6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempts {
    /// `GET_SOURCES_ATTEMPTS`
    pub get_sources: u32,
    /// `ARTIFACT_DOWNLOAD_ATTEMPTS`
    pub artifact_download: u32,
    /// `RESTORE_CACHE_ATTEMPTS`
    pub restore_cache: u32,
    /// `EXECUTOR_JOB_SECTION_ATTEMPTS`; the custom executor does not use it
    pub executor_job_section: u32,
    /// `SECRETS_RETRIEVAL_ATTEMPTS`
    pub secrets_retrieval: u32,
}

/// The settings of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `CI_DEBUG_SERVICES`
    pub debug_services: bool,
    /// `CI_DEBUG_TRACE`
    pub debug_trace: bool,
    /// How the sources are fetched.
    pub git: GitSettings,
    /// How often stages are tried (E6).
    pub attempts: Attempts,
    /// `AFTER_SCRIPT_IGNORE_ERRORS` (E12)
    pub after_script_ignore_errors: bool,
    /// `CACHE_REQUEST_TIMEOUT`, minutes
    pub cache_request_timeout: i64,
    /// Resolved feature flags (B6)
    pub feature_flags: FeatureFlags,
    /// What the runner says about values it does not accept, in its order. The job log gets them as one warning.
    pub errors: Vec<String>,
}

/// What besides variables decides about settings.
#[derive(Debug, Clone, Copy)]
pub struct SettingsContext<'a> {
    /// `allow_git_fetch` of the payload.
    pub allow_git_fetch: bool,
    /// `git_info.depth` of the payload.
    pub depth: i64,
    /// `debug_trace_disabled` of the runner.
    pub debug_trace_disabled: bool,
    /// `feature_flags` of the runner.
    pub runner_flags: &'a BTreeMap<String, bool>,
}

impl Settings {
    /// Reads the settings. `variables` are expanded and begin with the feature flags at their defaults.
    pub fn resolve(variables: &Variables, context: SettingsContext<'_>) -> Self {
        let mut reader = Reader::new(variables);
        let mut debug_services = reader.boolean("CI_DEBUG_SERVICES", false);
        let mut debug_trace = reader.boolean("CI_DEBUG_TRACE", false);
        let git = reader.git(context);
        let wanted_attempts = ATTEMPT_VARIABLES.map(|name| reader.integer(name, 1));
        let after_script_ignore_errors = reader.boolean("AFTER_SCRIPT_IGNORE_ERRORS", true);
        let cache_request_timeout = reader.integer("CACHE_REQUEST_TIMEOUT", 10);
        if context.debug_trace_disabled {
            reader.refuse(&mut debug_trace, "CI_DEBUG_TRACE");
            reader.refuse(&mut debug_services, "CI_DEBUG_SERVICES");
        }
        let attempts = reader.clamp(wanted_attempts);
        // The runner resolves the flags twice, so it complains about each bad one twice.
        reader.flags(context.runner_flags);
        let feature_flags = reader.flags(context.runner_flags);
        Self {
            debug_services,
            debug_trace,
            git,
            attempts,
            after_script_ignore_errors,
            cache_request_timeout,
            feature_flags,
            errors: reader.errors,
        }
    }

    /// Whether the commit is checked out.
    pub fn checks_out(&self) -> bool {
        self.git.strategy.fetches() && self.git.checkout
    }

    /// What is done about submodules.
    pub fn submodules(&self) -> SubmoduleStrategy {
        if self.git.strategy.fetches() {
            self.git.submodule_strategy
        } else {
            SubmoduleStrategy::None
        }
    }
}

/// In the order in which the runner reads them.
const ATTEMPT_VARIABLES: [&str; 5] = [
    "GET_SOURCES_ATTEMPTS",
    "ARTIFACT_DOWNLOAD_ATTEMPTS",
    "RESTORE_CACHE_ATTEMPTS",
    "EXECUTOR_JOB_SECTION_ATTEMPTS",
    "SECRETS_RETRIEVAL_ATTEMPTS",
];

/// In the order in which the runner complains about them.
const CLAMP_ORDER: [usize; 5] = [3, 0, 1, 2, 4];

/// Most attempts at a stage that a job may ask for (E6).
pub const ATTEMPTS_MAX: u32 = 10;

/// Reads variables and collects what is wrong with them.
struct Reader<'a> {
    variables: &'a Variables,
    // About eighty names are looked up among as many variables: too many for a search each.
    last_by_name: HashMap<&'a str, &'a Variable>,
    errors: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(variables: &'a Variables) -> Self {
        let last_by_name = variables
            .iter()
            .map(|variable| (variable.key.as_str(), variable))
            .collect();
        Self {
            variables,
            last_by_name,
            errors: Vec::new(),
        }
    }

    /// The value of a variable, for a file variable its content.
    fn value(&self, name: &str) -> &'a str {
        self.last_by_name
            .get(name)
            .map_or("", |variable| &variable.value)
    }

    fn git(&mut self, context: SettingsContext<'_>) -> GitSettings {
        let default_strategy = if context.allow_git_fetch {
            GitStrategy::Fetch
        } else {
            GitStrategy::Clone
        };
        GitSettings {
            clone_path: self.value("GIT_CLONE_PATH").to_owned(),
            strategy: self.strategy(default_strategy),
            checkout: self.boolean("GIT_CHECKOUT", true),
            submodule_strategy: self.submodule_strategy(),
            submodule_paths: words(self.value("GIT_SUBMODULE_PATHS")),
            submodule_depth: self.integer("GIT_SUBMODULE_DEPTH", context.depth),
            clean_flags: self.flag_words("GIT_CLEAN_FLAGS", &["-ffdx"]),
            clone_extra_flags: self.flag_words("GIT_CLONE_EXTRA_FLAGS", &[]),
            fetch_extra_flags: self.flag_words("GIT_FETCH_EXTRA_FLAGS", &["--prune", "--quiet"]),
            submodule_update_flags: self.flag_words("GIT_SUBMODULE_UPDATE_FLAGS", &[]),
            lfs_skip_smudge: self.boolean("GIT_LFS_SKIP_SMUDGE", false),
            submodule_force_https: self.boolean("GIT_SUBMODULE_FORCE_HTTPS", false),
        }
    }

    fn strategy(&mut self, default: GitStrategy) -> GitStrategy {
        let word = self.value("GIT_STRATEGY");
        if word.is_empty() {
            return default;
        }
        GitStrategy::from_name(word).unwrap_or_else(|| {
            self.errors.push(format!(
                "GIT_STRATEGY: expected either 'clone', 'fetch', 'none' or 'empty' got {}, using default value '{}'",
                quote(word),
                default.name()
            ));
            default
        })
    }

    fn submodule_strategy(&mut self) -> SubmoduleStrategy {
        match self.value("GIT_SUBMODULE_STRATEGY") {
            "" | "none" => SubmoduleStrategy::None,
            "normal" => SubmoduleStrategy::Normal,
            "recursive" => SubmoduleStrategy::Recursive,
            other => {
                self.errors.push(format!(
                    "GIT_SUBMODULE_STRATEGY: expected either 'normal', 'recursive' or 'none' got {}",
                    quote(other)
                ));
                SubmoduleStrategy::Invalid
            }
        }
    }

    fn boolean(&mut self, name: &str, default: bool) -> bool {
        let text = self.value(name);
        if text.is_empty() {
            return default;
        }
        parse_bool(text).unwrap_or_else(|| {
            self.errors.push(format!(
                "{name}: expected bool got {}, using default value: {default}",
                quote(text)
            ));
            default
        })
    }

    fn integer(&mut self, name: &str, default: i64) -> i64 {
        let text = self.value(name);
        if text.is_empty() {
            return default;
        }
        parse_int(text).unwrap_or_else(|| {
            self.errors.push(format!(
                "{name}: expected int got {}, using default value: {default}",
                quote(text)
            ));
            default
        })
    }

    fn flag_words(&self, name: &str, default: &[&str]) -> Vec<String> {
        match self.value(name) {
            "" => default.iter().map(|&word| word.to_owned()).collect(),
            "none" => Vec::new(),
            text => words(text),
        }
    }

    fn refuse(&mut self, setting: &mut bool, name: &str) {
        if *setting {
            self.errors
                .push(format!("{name}: usage is disabled on this Runner"));
        }
        *setting = false;
    }

    fn clamp(&mut self, wanted: [i64; 5]) -> Attempts {
        let clamped = wanted.map(|value| {
            u32::try_from(value).map_or(if value < 1 { 1 } else { ATTEMPTS_MAX }, |value| {
                value.clamp(1, ATTEMPTS_MAX)
            })
        });
        for index in CLAMP_ORDER {
            if wanted[index] != i64::from(clamped[index]) {
                self.errors.push(format!(
                    "{}: number of attempts out of the range [1, {ATTEMPTS_MAX}], clamping to: {}",
                    ATTEMPT_VARIABLES[index], clamped[index]
                ));
            }
        }
        let [
            get_sources,
            artifact_download,
            restore_cache,
            executor_job_section,
            secrets_retrieval,
        ] = clamped;
        Attempts {
            get_sources,
            artifact_download,
            restore_cache,
            executor_job_section,
            secrets_retrieval,
        }
    }

    /// The runner's configuration wins over the job; a job value that is no boolean leaves the default.
    fn flags(&mut self, runner_flags: &BTreeMap<String, bool>) -> FeatureFlags {
        let mut flags = FeatureFlags::default();
        for name in super::feature_flags::ALL.iter().map(|flag| flag.name) {
            if let Some(value) = runner_flags.get(name) {
                flags.set(name, *value);
                continue;
            }
            let text = match self.last_by_name.get(name) {
                Some(variable) if variable.file => Cow::Owned(self.variables.get(name)),
                Some(variable) => Cow::Borrowed(variable.value.as_str()),
                None => Cow::Borrowed(""),
            };
            match parse_bool(&text) {
                Some(value) => flags.set(name, value),
                None => self.errors.push(format!(
                    "{name}: could not parse feature flag, expected bool, got {text}"
                )),
            }
        }
        flags
    }
}

/// `strings.Fields`
fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::feature_flags;
    use crate::contract::variables::Variable;

    fn resolve(pairs: &[(&str, &str)], runner_flags: &[(&str, bool)]) -> Settings {
        let defaults = feature_flags::ALL
            .iter()
            .map(|flag| Variable::new(flag.name, flag.default.to_string()));
        let variables = defaults
            .chain(pairs.iter().map(|(key, value)| Variable::new(*key, *value)))
            .collect();
        let runner_flags = runner_flags
            .iter()
            .map(|(name, value)| ((*name).to_owned(), *value))
            .collect();
        let context = SettingsContext {
            allow_git_fetch: true,
            depth: 20,
            debug_trace_disabled: false,
            runner_flags: &runner_flags,
        };
        Settings::resolve(&variables, context)
    }

    #[test]
    fn defaults_are_quiet() {
        let settings = resolve(&[], &[]);
        assert_eq!(settings.errors, Vec::<String>::new());
        assert_eq!(settings.git.strategy, GitStrategy::Fetch);
        assert_eq!(settings.attempts.get_sources, 1);
        assert!(settings.feature_flags.is_on("FF_TIMESTAMPS"));
    }

    #[test]
    fn attempts_are_clamped_with_a_word() {
        let settings = resolve(
            &[
                ("GET_SOURCES_ATTEMPTS", "50"),
                ("RESTORE_CACHE_ATTEMPTS", "abc"),
            ],
            &[],
        );
        assert_eq!(settings.attempts.get_sources, 10);
        assert_eq!(settings.attempts.restore_cache, 1);
        assert_eq!(
            settings.errors,
            [
                "RESTORE_CACHE_ATTEMPTS: expected int got \"abc\", using default value: 1",
                "GET_SOURCES_ATTEMPTS: number of attempts out of the range [1, 10], clamping to: 10",
            ]
        );
    }

    #[test]
    fn a_bad_flag_is_reported_twice_unless_the_runner_sets_it() {
        let bad = [("FF_TIMESTAMPS", "maybe")];
        assert_eq!(resolve(&bad, &[]).errors.len(), 2);
        let settings = resolve(&bad, &[("FF_TIMESTAMPS", false)]);
        assert!(settings.errors.is_empty());
        assert!(!settings.feature_flags.is_on("FF_TIMESTAMPS"));
    }

    #[test]
    fn an_unknown_strategy_falls_back() {
        let settings = resolve(&[("GIT_STRATEGY", "bogus")], &[]);
        assert_eq!(
            settings.errors,
            [
                "GIT_STRATEGY: expected either 'clone', 'fetch', 'none' or 'empty' got \"bogus\", using default value 'fetch'"
            ]
        );
    }
}
