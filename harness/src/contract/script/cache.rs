//! `restore_cache` and `archive_cache*` with the local cache (E1, E18). Remote caches are not emulated.

use sha2::{Digest, Sha256};

use super::bash::BashWriter;
use super::commands::{RUNNER_COMMAND, change_owner, enter_project, guarded};
use crate::contract::build::Build;
use crate::contract::go_json;
use crate::contract::go_path;
use crate::contract::go_text::quote;
use crate::contract::payload::{Cache, is_for_failure, is_for_success};
use crate::hexadecimal::hexadecimal;

const METADATA_FILE: &str = "gitlab_runner_cache_env";

fn has_content(cache: &Cache) -> bool {
    cache.untracked || !cache.paths.is_empty()
}

/// Caches that `restore_cache` deals with.
pub(super) fn restored(build: &Build) -> Vec<&Cache> {
    build
        .payload()
        .cache
        .iter()
        .filter(|cache| has_content(cache))
        .collect()
}

/// Caches that `archive_cache` (success) or `archive_cache_on_failure` deals with.
pub(super) fn archived(build: &Build, success: bool) -> Vec<&Cache> {
    let fits = |when: &str| {
        if success {
            is_for_success(when)
        } else {
            is_for_failure(when)
        }
    };
    build
        .payload()
        .cache
        .iter()
        .filter(|cache| fits(&cache.when) && has_content(cache))
        .collect()
}

/// Where a cache lies.
struct CachePlace {
    human_key: String,
    archive: String,
    alternate_archive: String,
}

/// A cache's place, and what the runner says about its key.
struct Located {
    warning: Option<String>,
    /// `None`: refused by the check.
    place: Result<Option<CachePlace>, String>,
}

fn locate(build: &Build, key: &str, check: impl FnOnce(&str) -> bool) -> Located {
    let error = |warning, error: &str| Located {
        warning,
        place: Err(error.to_owned()),
    };
    if build.cache_dir().is_empty() {
        return error(None, "unset cache directory");
    }
    let raw_key = if key.is_empty() {
        let payload = build.payload();
        go_path::join(&["/", &payload.job_info.name, &payload.git_info.reference])[1..].to_owned()
    } else {
        build.all_variables().expand_value(key)
    };
    let hashes = build.feature("FF_HASH_CACHE_KEYS");
    let sanitized = if hashes {
        Ok(raw_key.clone())
    } else {
        sanitize(&raw_key)
    };
    let (human_key, warning) = match sanitized {
        Err(error) => (String::new(), Some(error)),
        Ok(key) if key != raw_key => {
            let warning = format!("cache key {} sanitized to {}", quote(&raw_key), quote(&key));
            (key, Some(warning))
        }
        Ok(key) => (key, None),
    };
    if !check(&human_key) {
        return Located {
            warning,
            place: Ok(None),
        };
    }
    if human_key.is_empty() {
        return error(warning, "empty cache key");
    }
    let hash = hexadecimal(&Sha256::digest(human_key.as_bytes()));
    let (key, alternate_key) = if hashes {
        (&hash, &human_key)
    } else {
        (&human_key, &hash)
    };
    let place = archive_path(build, key).and_then(|archive| {
        let alternate_archive = archive_path(build, alternate_key)?;
        Ok(Some(CachePlace {
            archive,
            alternate_archive,
            human_key: human_key.clone(),
        }))
    });
    Located { warning, place }
}

fn archive_path(build: &Build, key: &str) -> Result<String, String> {
    let file = go_path::join(&[build.cache_dir(), key, "cache.zip"]);
    if build.feature("FF_USE_POWERSHELL_PATH_RESOLVER") {
        return Ok(file);
    }
    go_path::relative(build.build_dir(), &file).map_err(|_| {
        "inability to make the cache file path relative to the build directory (is the build directory absolute?)"
            .to_owned()
    })
}

/// Makes a key safe as a path: no way up, no trailing blanks.
fn sanitize(key: &str) -> Result<String, String> {
    if key.is_empty() {
        return Ok(String::new());
    }
    let decoded = key
        .replace("%2f", "/")
        .replace("%2F", "/")
        .replace("%2e", ".")
        .replace("%2E", ".")
        .replace('\\', "/");
    let cleaned = go_path::clean(&format!("/{decoded}"));
    let mut parts: Vec<&str> = cleaned[1..].split('/').collect();
    while let Some(last) = parts.pop() {
        let trimmed = last.trim_end();
        if !trimmed.is_empty() {
            parts.push(trimmed);
            break;
        }
    }
    let sanitized = parts.join("/");
    if sanitized.is_empty() {
        return Err(format!("cache key {} could not be sanitized", quote(key)));
    }
    Ok(sanitized)
}

/// Whether the policy includes `wanted`; the error is the runner's.
fn policy_allows(
    build: &Build,
    cache: &Cache,
    wanted: &str,
    human_key: &str,
) -> Result<bool, String> {
    let policy = build.all_variables().expand_value(&cache.policy);
    match policy.as_str() {
        "" | "pull-push" => Ok(true),
        "pull" | "push" => Ok(policy == wanted),
        other => Err(format!("unknown cache policy {other} for {human_key}")),
    }
}

/// Finds the place of a cache for use; says in the script why it is left out.
fn usable_place(
    writer: &mut BashWriter,
    build: &Build,
    cache: &Cache,
    use_: CacheUse,
) -> Result<Option<CachePlace>, String> {
    let located = locate(build, &cache.key, |_| true);
    if let Some(warning) = located.warning {
        writer.warning(&warning);
    }
    let place = match located.place {
        Ok(Some(place)) => place,
        Ok(None) => return Ok(None),
        Err(error) => {
            writer.notice(&format!("Skipping cache {} due to {error}", use_.action()));
            return Ok(None);
        }
    };
    if policy_allows(build, cache, use_.policy(), &place.human_key)? {
        return Ok(Some(place));
    }
    writer.notice(&format!(
        "Not {} cache {} due to policy",
        use_.transfer(),
        place.human_key
    ));
    Ok(None)
}

#[derive(Clone, Copy)]
enum CacheUse {
    Restore,
    Archive,
}

impl CacheUse {
    fn action(self) -> &'static str {
        match self {
            Self::Restore => "extraction",
            Self::Archive => "archiving",
        }
    }

    fn policy(self) -> &'static str {
        match self {
            Self::Restore => "pull",
            Self::Archive => "push",
        }
    }

    fn transfer(self) -> &'static str {
        match self {
            Self::Restore => "downloading",
            Self::Archive => "uploading",
        }
    }
}

/// `restore_cache`
pub(super) fn write_restore(
    writer: &mut BashWriter,
    build: &Build,
    caches: &[&Cache],
) -> Result<(), String> {
    enter_project(writer, build);
    for cache in caches {
        let Some(place) = usable_place(writer, build, cache, CacheUse::Restore)? else {
            continue;
        };
        let mut places = vec![place];
        places.extend(fallback_places(writer, build, cache));
        guarded(writer, "Extracting cache", |writer| {
            write_extraction(writer, build, &places, cache);
        });
    }
    change_owner(writer, build, &[build.cache_dir(), build.root_dir()]);
    Ok(())
}

fn fallback_places(writer: &mut BashWriter, build: &Build, cache: &Cache) -> Vec<CachePlace> {
    let variables = build.all_variables();
    let mut places = Vec::new();
    for key in &cache.fallback_keys {
        let key = variables.expand_value(key);
        places.extend(fallback_place(writer, build, &key, |_, _| true));
    }
    let last_resort = variables.value("CACHE_FALLBACK_KEY");
    places.extend(fallback_place(
        writer,
        build,
        last_resort,
        |key, refusal| {
            let allowed = !key.trim_end_matches(['.', ' ']).ends_with("-protected");
            if !allowed {
                *refusal = Some(format!(
                    "CACHE_FALLBACK_KEY {} not allowed to end in \"-protected\"",
                    quote(key)
                ));
            }
            allowed
        },
    ));
    places
}

fn fallback_place(
    writer: &mut BashWriter,
    build: &Build,
    key: &str,
    check: impl FnOnce(&str, &mut Option<String>) -> bool,
) -> Option<CachePlace> {
    if key.is_empty() {
        return None;
    }
    let mut refusal = None;
    let located = locate(build, key, |key| check(key, &mut refusal));
    for warning in refusal.into_iter().chain(located.warning) {
        writer.warning(&warning);
    }
    located.place.unwrap_or_else(|error| {
        writer.notice(&format!("Skipping cache extraction due to {error}"));
        None
    })
}

fn write_extraction(writer: &mut BashWriter, build: &Build, places: &[CachePlace], cache: &Cache) {
    let Some((place, others)) = places.split_first() else {
        return;
    };
    writer.notice(&format!("Checking cache for {}...", place.human_key));
    let timeout = build.settings().cache_request_timeout.to_string();
    writer.if_command_with_output(
        RUNNER_COMMAND,
        &[
            "cache-extractor",
            "--file",
            &place.archive,
            "--timeout",
            &timeout,
        ],
    );
    writer.notice("Successfully extracted cache");
    writer.otherwise();
    writer.warning("Failed to extract cache");
    if build.feature("FF_CLEAN_UP_FAILED_CACHE_EXTRACT") {
        for path in &cache.paths {
            writer.plain(&format!("Removing {path}"));
            writer.remove_dir(path);
        }
    }
    write_extraction(writer, build, others, cache);
    writer.end_if();
}

/// `archive_cache` and `archive_cache_on_failure`
pub(super) fn write_archive(
    writer: &mut BashWriter,
    build: &Build,
    caches: &[&Cache],
) -> Result<(), String> {
    enter_project(writer, build);
    for cache in caches {
        if let Some(place) = usable_place(writer, build, cache, CacheUse::Archive)? {
            guarded(writer, "Creating cache", |writer| {
                write_creation(writer, build, &place, cache);
            });
        }
    }
    Ok(())
}

fn write_creation(writer: &mut BashWriter, build: &Build, place: &CachePlace, cache: &Cache) {
    writer.notice(&format!("Creating cache {}...", place.human_key));
    let metadata = go_json::encode(&serde_json::json!({ "cachekey": place.human_key }));
    let metadata_file = writer.dotenv_file(METADATA_FILE, &[("CACHE_METADATA", &metadata)]);
    let timeout = build.settings().cache_request_timeout.to_string();
    let mut arguments = vec![
        "cache-archiver",
        "--file",
        &place.archive,
        "--alternate-file",
        &place.alternate_archive,
        "--timeout",
        &timeout,
    ];
    arguments.extend(
        cache
            .paths
            .iter()
            .flat_map(|path| ["--path", path.as_str()]),
    );
    if cache.untracked {
        arguments.push("--untracked");
    }
    arguments.extend(["--env-file", metadata_file.as_str()]);
    writer.if_command_with_output(RUNNER_COMMAND, &arguments);
    writer.notice("Created cache");
    writer.otherwise();
    writer.warning("Failed to create cache");
    writer.end_if();
    writer.remove_file(&metadata_file);
}

#[cfg(test)]
mod tests {
    use super::sanitize;

    #[test]
    fn keys_cannot_climb() {
        assert_eq!(sanitize("../a\\b/%2e%2e/c /"), Ok("a/c".into()));
        assert_eq!(
            sanitize("fallback_key/ / \\  \\"),
            Ok("fallback_key".into())
        );
        assert!(
            sanitize("%2E%2E")
                .unwrap_err()
                .contains("could not be sanitized")
        );
    }
}
