//! What is made of a job's facts: settings, variables, environment, scripts. Copies of a [`Build`](super::Build) share it,
//! so a walk through a thousand courses of the same job makes each script once.

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::environment::EnvironmentSources;
use super::super::script::ScriptError;
use super::super::settings::Settings;
use super::super::shell::Shell;
use super::super::stage::Stage;
use super::super::variables::Variables;

/// Most values of one kind that are kept. A job has a handful; only a walk that changes what config prints has more.
const KEPT_MAX: usize = 64;

/// What of a build changes while its job runs. All else that is derived follows from the build's facts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(in crate::contract) struct State {
    pub(super) root_dir: String,
    pub(super) cache_dir: String,
    pub(super) build_dir: String,
    pub(super) hostname: String,
    pub(super) trusts_project_dir: bool,
    pub(super) shell: Shell,
    /// The variables by which image and services were expanded, once they were.
    pub(super) expanded_with: Option<Same<Variables>>,
}

/// A shared value that is equal only to itself: comparing its content would cost as much as making it.
#[derive(Debug)]
pub(in crate::contract) struct Same<T: ?Sized>(pub(in crate::contract) Arc<T>);

impl<T: ?Sized> Clone for Same<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: ?Sized> PartialEq for Same<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T: ?Sized> Eq for Same<T> {}

impl<T: ?Sized> Hash for Same<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).cast::<()>().hash(state);
    }
}

/// All that scripts and environments are made from. Settings and variables are named besides the state, because the
/// runner keeps old ones for a while after the state has changed (B11).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::contract) struct Sources {
    pub(super) state: Arc<State>,
    pub(super) settings: Same<Settings>,
    pub(super) variables: Same<Variables>,
}

/// The script of a stage; `None`: the stage is skipped. The error is the runner's.
pub(in crate::contract) type Script = Result<Option<Arc<str>>, ScriptError>;

/// Names and values.
type Entries = Arc<[(String, String)]>;
/// All that the environment of a call is made from: the second is what comes from the job's variables.
type CallSources = (EnvironmentSources, Same<[(String, String)]>);

/// Values by what they were made from.
#[derive(Default)]
pub(in crate::contract) struct Derivations {
    pub(super) settings: Kept<Arc<State>, Same<Settings>>,
    pub(super) variables: Kept<(Arc<State>, Same<Settings>), Same<Variables>>,
    pub(super) with_status: Kept<(Same<Variables>, String), Same<Variables>>,
    pub(in crate::contract) custom_environment: Kept<Sources, Entries>,
    /// See [`Build::call_environment`](super::Build::call_environment).
    pub(in crate::contract) call_environments: Kept<CallSources, Entries>,
    /// Lines of a script that export the variables, and write the file variables.
    pub(in crate::contract) exports: Kept<Sources, Arc<str>>,
    /// See [`Build::log_fields`](super::Build::log_fields).
    pub(in crate::contract) log_fields: Kept<Arc<State>, Entries>,
    pub(in crate::contract) scripts: Kept<(Stage, Sources), Script>,
}

impl fmt::Debug for Derivations {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Derivations")
            .finish_non_exhaustive()
    }
}

/// A bounded store of what follows from a key.
pub(in crate::contract) struct Kept<K, V>(Mutex<HashMap<K, V>>);

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Kept<K, V> {
    /// The value for a key, made if it is not there. Made outside the lock, since making one asks for others.
    pub(in crate::contract) fn get(&self, key: K, make: impl FnOnce() -> V) -> V {
        if let Some(known) = self.lock().get(&key) {
            return known.clone();
        }
        let new = make();
        let mut kept = self.lock();
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        // Another thread may have been quicker: all must hold the same one.
        kept.entry(key).or_insert(new).clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_made_once_for_each_key() {
        let kept = Kept::default();
        assert_eq!(kept.get(1, || "one"), "one");
        assert_eq!(kept.get(1, || "another"), "one");
        assert_eq!(kept.get(2, || "two"), "two");
    }

    #[test]
    fn the_store_does_not_grow_without_end() {
        let kept = Kept::default();
        for key in 0..10 * KEPT_MAX {
            kept.get(key, || key);
        }
        assert!(kept.lock().len() <= KEPT_MAX);
    }

    #[test]
    fn equal_content_is_not_the_same() {
        let one = Same(Arc::new(1));
        assert_eq!(one, one.clone());
        assert_ne!(one, Same(Arc::new(1)));
    }
}
