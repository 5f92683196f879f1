//! A personality as it is written: a TOML file that says which programs there are, which words they understand, what
//! these do, and what is printed.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Its name: `podman`.
    pub(super) name: String,
    /// What it stands for, in a sentence.
    pub(super) about: String,
    /// A personality that this one is like; what is written here wins.
    pub(super) like: Option<String>,
    /// The programs that are put on PATH.
    pub(super) programs: Vec<String>,
    /// What the tool prints and returns when it has trouble of its own. `{program}` and `{message}` are known.
    pub(super) failure: Option<Said>,
    /// The same for a single program among several.
    #[serde(default)]
    pub(super) failures: BTreeMap<String, Said>,
    /// Options that may stand before the verb.
    #[serde(default)]
    pub(super) options: Options,
    /// How often a box must be asked for before it is ready, after its start.
    pub(super) ready_after_polls: Option<u32>,
    /// With what arguments the real tool ends a box without asking it first; `{name}` is known.
    pub(super) end_box: Option<Vec<String>>,
    /// The tool's own words for states (`created`, `starting`, `running`, `exited`, and `exited CODE` for a certain code).
    #[serde(default)]
    pub(super) states: BTreeMap<String, String>,
    /// What is said when something is refused: by `kind.reason`, or by `reason` for all kinds.
    #[serde(default)]
    pub(super) refusals: BTreeMap<String, Said>,
    /// What is shown of an object: a JSON document in whose strings fields are put.
    #[serde(default)]
    pub(super) documents: BTreeMap<String, toml::Value>,
    /// The environment of a program in a box, before what the driver adds.
    #[serde(default)]
    pub(super) environment: BTreeMap<String, String>,
    /// Programs that are found in boxes before those of the machine, which cannot do there what they are for: shell scripts
    /// without their first line.
    #[serde(default)]
    pub(super) guest: BTreeMap<String, String>,
    /// The verbs.
    #[serde(default)]
    pub(super) verb: Vec<Verb>,
    /// The host that is there from the beginning, if there is one.
    pub(super) host: Option<Host>,
    /// How drivers learn where the HTTP API is, if there is one.
    pub(super) http: Option<Http>,
    /// What the HTTP API answers.
    #[serde(default)]
    pub(super) route: Vec<Route>,
}

/// A host that no driver makes and all jobs share.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Host {
    /// By which it is reached.
    pub(crate) name: String,
    /// The variable of the runner's environment in which a driver finds this name.
    pub(crate) variable: String,
}

/// The variables of the runner's environment in which a driver finds the HTTP API.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Http {
    /// Its URL.
    pub(crate) url_variable: String,
    /// The token that must be in `Authorization: Bearer …`.
    pub(crate) token_variable: String,
}

/// A route of the HTTP API.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Route {
    /// GET, POST, PUT, DELETE …
    pub(crate) method: String,
    /// The path below the API's URL; `{name}` is a part that sets a parameter.
    pub(crate) path: String,
    /// The status of the answer when it was done.
    pub(crate) status: u16,
    /// What it does: the name of an operation.
    pub(crate) operation: String,
    /// To which kind of object.
    #[serde(default)]
    pub(crate) kind: String,
    /// Keys of the body, and the parameters that they set.
    #[serde(default)]
    pub(crate) body: BTreeMap<String, String>,
    /// Parameters that are always set.
    #[serde(default)]
    pub(crate) with: BTreeMap<String, String>,
    /// What the answer shows.
    #[serde(default)]
    pub(crate) shows: Shows,
}

/// What the answer of a route shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Shows {
    /// Nothing.
    #[default]
    Nothing,
    /// The document of the object that it was done to.
    Object,
    /// A page of the documents of all objects.
    List,
}

/// What is printed, and the exit code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Said {
    /// The exit code.
    pub(crate) code: i32,
    /// On standard error.
    #[serde(default)]
    pub(crate) text: String,
    /// On standard output.
    #[serde(default)]
    pub(crate) output: String,
}

/// Options and what they mean.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// Options without a value: all spellings, and the name of the parameter that they set, or `name=value`; none: they
    /// change nothing here.
    #[serde(default)]
    pub(crate) flags: BTreeMap<String, String>,
    /// Options with a value.
    #[serde(default)]
    pub(crate) values: BTreeMap<String, String>,
}

/// A verb of a program.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verb {
    /// Of which program; none: of all of them.
    pub(crate) program: Option<String>,
    /// Its spellings, each one or more words; an empty one for a program without verbs.
    pub(crate) words: Vec<String>,
    /// What it does: the name of an operation.
    pub(crate) operation: String,
    /// To which kind of object, where the operation is for all kinds.
    #[serde(default)]
    pub(crate) kind: String,
    /// Its options.
    #[serde(default)]
    pub(crate) flags: BTreeMap<String, String>,
    /// Its options with a value.
    #[serde(default)]
    pub(crate) values: BTreeMap<String, String>,
    /// Its arguments: `name`, `name?` (may be missing), `name+` (one or more), `name...` (any number).
    #[serde(default)]
    pub(crate) arguments: Vec<String>,
    /// What follows the first argument is no option.
    #[serde(default)]
    pub(crate) options_first: bool,
    /// With that, so many arguments more may stand before or between options: 1 for `ssh HOST -v COMMAND`.
    #[serde(default)]
    pub(crate) options_after: usize,
    /// Parameters that are set, unless the caller says otherwise.
    #[serde(default)]
    pub(crate) with: BTreeMap<String, String>,
    /// What is printed on standard output for each object that it was done to. With `quiet`, only that.
    #[serde(default)]
    pub(crate) output: String,
    /// What is printed for each object if the parameter `quiet` is set.
    pub(crate) quiet: Option<String>,
    /// The columns of a table that the caller can ask for: their names (single letters, or words with commas between), and
    /// what is in them.
    #[serde(default)]
    pub(crate) columns: BTreeMap<String, String>,
    /// What is printed before the first object, unless quiet or in a format of the caller.
    #[serde(default)]
    pub(crate) heading: String,
    /// What is printed on standard error when it succeeds.
    #[serde(default)]
    pub(crate) error_output: String,
    /// Which document it shows; otherwise that of the kind.
    pub(crate) document: Option<String>,
    /// What it says when it refuses, where it differs.
    #[serde(default)]
    pub(crate) refusals: BTreeMap<String, Said>,
}
