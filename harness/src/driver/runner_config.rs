//! A driver that is configured in a runner's `config.toml`. Its values are taken exactly as written: a relative program
//! stays relative, since the runner resolves it in a temporary directory (contract B2) and the harness must show that.

use std::ops::Range;
use std::path::Path;

use crate::contract::config::{
    ArtifactConfig, CustomBuildDir, CustomConfig, GlobalConfig, RunnerConfig,
};
use crate::contract::stage::Program;

use super::problem::{Problem, SourceFile};
use super::section::{Document, Section, UnknownKey, similar_name};

/// What was read.
pub(super) struct RunnerFile {
    /// The file, for problems found later.
    pub(super) file: SourceFile,
    /// The top level.
    pub(super) global: GlobalConfig,
    /// The chosen runner.
    pub(super) runner: RunnerConfig,
    /// Where each program is named.
    pub(super) spans: Vec<(Program, Range<usize>)>,
    /// What the runner would silently ignore or change.
    pub(super) notes: Vec<Problem>,
}

/// Reads `config.toml` and chooses the runner with this name, or the only one with the Custom executor.
pub(super) fn read(path: &Path, name: Option<&str>) -> Result<RunnerFile, Problem> {
    let file = SourceFile::read(path)?;
    let document = Document::parse(&file)?;
    let mut root = document.root();
    let global = global(&mut root)?;
    let mut candidates = Vec::new();
    for mut section in root.sections("runners")? {
        let name = section.string("name")?.unwrap_or_default();
        let executor = section.string("executor")?.unwrap_or_default();
        let custom = section.section("custom")?;
        if executor == "custom" || (executor.is_empty() && custom.is_some()) {
            candidates.push((name, section, custom));
        }
    }
    let (_, mut section, custom) = choose(&file, candidates, name)?;
    let mut notes = Vec::new();
    let Some(mut custom) = custom else {
        let message = "this runner has the Custom executor, but no [runners.custom]";
        let remedy =
            "add [runners.custom] with at least `run_exec`; without it the runner fails every job";
        let span = header_span(&file, section.span());
        return Err(Problem::new(message, remedy).at(&file, span, "the runner"));
    };
    let spans = Program::ALL
        .map(|program| (program, custom.span_of(program.config_key())))
        .to_vec();
    let custom_config = custom_section(&mut custom, &mut notes)?;
    let mut runner = runner_section(&mut section)?;
    runner.custom = Some(custom_config);
    Ok(RunnerFile {
        global,
        runner,
        spans,
        notes,
        file: file.clone(),
    })
}

type Candidate<'document> = (String, Section<'document>, Option<Section<'document>>);

fn choose<'document>(
    file: &SourceFile,
    mut candidates: Vec<Candidate<'document>>,
    name: Option<&str>,
) -> Result<Candidate<'document>, Problem> {
    let path = file.path.display();
    let names: Vec<String> = candidates
        .iter()
        .map(|(name, ..)| format!("`{name}`"))
        .collect();
    let names = names.join(", ");
    if candidates.is_empty() {
        return Err(Problem::new(
            format!("{path} has no [[runners]] with executor = \"custom\""),
            "point at the config.toml of a runner with the Custom executor",
        ));
    }
    if let Some(name) = name {
        let asked = candidates.iter().position(|(known, ..)| known == name);
        let Some(index) = asked else {
            let known: Vec<&str> = candidates
                .iter()
                .map(|(known, ..)| known.as_str())
                .collect();
            let remedy = match similar_name(name, &known) {
                Some(similar) => format!("did you mean --runner {similar:?}?"),
                None => format!("the runners with the Custom executor are: {names}"),
            };
            return Err(Problem::new(
                format!("{path} has no runner `{name}` with the Custom executor"),
                remedy,
            ));
        };
        return Ok(candidates.swap_remove(index));
    }
    if candidates.len() > 1 {
        return Err(Problem::new(
            format!("{path} has several runners with the Custom executor: {names}"),
            "choose one with --runner NAME",
        ));
    }
    Ok(candidates.swap_remove(0))
}

/// The first line of a section, since a whole runner is too much to point at.
fn header_span(file: &SourceFile, span: Range<usize>) -> Range<usize> {
    let text = &file.text[span.clone()];
    span.start..span.start + text.find('\n').unwrap_or(text.len())
}

fn global(root: &mut Section<'_>) -> Result<GlobalConfig, Problem> {
    let default = GlobalConfig::default();
    let positive = |value: Option<i64>, default: u32| {
        value
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or(default)
    };
    Ok(GlobalConfig {
        concurrent: positive(root.integer("concurrent")?, default.concurrent),
        check_interval: positive(root.integer("check_interval")?, default.check_interval),
        shutdown_timeout: root.integer("shutdown_timeout")?.unwrap_or_default(),
        log_level: root.string("log_level")?.unwrap_or(default.log_level),
    })
}

fn runner_section(section: &mut Section<'_>) -> Result<RunnerConfig, Problem> {
    let custom_build_dir = match section.section("custom_build_dir")? {
        Some(mut build_dir) => CustomBuildDir {
            enabled: build_dir.boolean("enabled")?.unwrap_or_default(),
        },
        None => CustomBuildDir::default(),
    };
    let artifact = match section.section("artifact")? {
        Some(mut artifact) => ArtifactConfig {
            upload_timeout: artifact.string("upload_timeout")?,
            response_header_timeout: artifact.string("response_header_timeout")?,
        },
        None => ArtifactConfig::default(),
    };
    Ok(RunnerConfig {
        name: section.string("name")?.unwrap_or_default(),
        id: section.integer("id")?.unwrap_or_default(),
        url: section.string("url")?.unwrap_or_default(),
        token: section.string("token")?.unwrap_or_default(),
        executor: "custom".to_owned(),
        shell: section.string("shell")?.unwrap_or_default(),
        builds_dir: section.string("builds_dir")?.unwrap_or_default(),
        cache_dir: section.string("cache_dir")?.unwrap_or_default(),
        environment: section.strings("environment")?.unwrap_or_default(),
        feature_flags: section
            .boolean_entries("feature_flags")?
            .into_iter()
            .collect(),
        pre_get_sources_script: section
            .string("pre_get_sources_script")?
            .unwrap_or_default(),
        post_get_sources_script: section
            .string("post_get_sources_script")?
            .unwrap_or_default(),
        pre_build_script: section.string("pre_build_script")?.unwrap_or_default(),
        post_build_script: section.string("post_build_script")?.unwrap_or_default(),
        clone_url: section.string("clone_url")?.unwrap_or_default(),
        clean_git_config: section.boolean("clean_git_config")?,
        safe_directory_checkout: section.boolean("safe_directory_checkout")?,
        artifact,
        custom_build_dir,
        prepare_timeout: section.string("prepare_timeout")?,
        get_sources_timeout: section.string("get_sources_timeout")?,
        output_limit: section.integer("output_limit")?.unwrap_or_default(),
        debug_trace_disabled: section.boolean("debug_trace_disabled")?.unwrap_or_default(),
        limit: section.integer("limit")?.unwrap_or_default(),
        job_status_final_update_retry_limit: section
            .integer("job_status_final_update_retry_limit")?
            .unwrap_or_default(),
        custom: None,
    })
}

/// Keys of `[runners.custom]` that are integers of seconds.
const TIMEOUT_KEYS: [&str; 5] = [
    "config_exec_timeout",
    "prepare_exec_timeout",
    "cleanup_exec_timeout",
    "graceful_kill_timeout",
    "force_kill_timeout",
];

fn custom_section(
    section: &mut Section<'_>,
    notes: &mut Vec<Problem>,
) -> Result<CustomConfig, Problem> {
    let custom = read_custom_keys(section)?;
    for unknown in section.unknown_keys() {
        notes.push(unknown_key(section, &unknown));
    }
    for key in TIMEOUT_KEYS {
        let value = section.integer(key)?;
        if let Some(seconds) = value.filter(|seconds| *seconds <= 0) {
            let message = format!("`{key} = {seconds}` does not switch the timeout off");
            let remedy = "the runner takes its default for 0 and negative values; write the seconds you mean";
            let label = "the default is used";
            notes.push(Problem::new(message, remedy).at(
                section.file(),
                section.span_of(key),
                label,
            ));
        }
    }
    for program in Program::ALL {
        let key = program.config_key();
        if let Some(relative) = section.string(key)?.filter(|name| is_relative_path(name)) {
            let message = format!("`{key}` is the relative path `{relative}`");
            let remedy = "the runner looks for it in the temporary directory of the job, where it is not; \
                          write an absolute path";
            let label = "relative to a directory that is new in every job";
            notes.push(Problem::new(message, remedy).at(
                section.file(),
                section.span_of(key),
                label,
            ));
        }
    }
    Ok(custom)
}

/// The keys of `[runners.custom]`, which `driver-conformance.toml` shares.
pub(super) fn read_custom_keys(section: &mut Section<'_>) -> Result<CustomConfig, Problem> {
    Ok(CustomConfig {
        config_exec: section.string("config_exec")?.unwrap_or_default(),
        config_args: section.strings("config_args")?.unwrap_or_default(),
        config_exec_timeout: section.integer("config_exec_timeout")?,
        prepare_exec: section.string("prepare_exec")?.unwrap_or_default(),
        prepare_args: section.strings("prepare_args")?.unwrap_or_default(),
        prepare_exec_timeout: section.integer("prepare_exec_timeout")?,
        run_exec: section.string("run_exec")?.unwrap_or_default(),
        run_args: section.strings("run_args")?.unwrap_or_default(),
        cleanup_exec: section.string("cleanup_exec")?.unwrap_or_default(),
        cleanup_args: section.strings("cleanup_args")?.unwrap_or_default(),
        cleanup_exec_timeout: section.integer("cleanup_exec_timeout")?,
        graceful_kill_timeout: section.integer("graceful_kill_timeout")?,
        force_kill_timeout: section.integer("force_kill_timeout")?,
    })
}

fn is_relative_path(executable: &str) -> bool {
    executable.contains('/') && !executable.starts_with('/')
}

fn unknown_key(section: &Section<'_>, unknown: &UnknownKey) -> Problem {
    let key = &unknown.key;
    let remedy = if key == "run_exec_timeout" {
        "there is no timeout for run_exec; the timeout of the job ends it".to_owned()
    } else if let Some(program) = key.strip_suffix("_exec_args") {
        format!("did you mean `{program}_args`?")
    } else if let Some(suggestion) = unknown.suggestion {
        format!("did you mean `{suggestion}`?")
    } else {
        "remove it".to_owned()
    };
    let message = format!("`{key}` is not a key of [runners.custom]; the runner ignores it");
    Problem::new(message, remedy).at(section.file(), unknown.span.clone(), "ignored")
}
