//! `get_sources` and `clear_worktree` (E16, E18).

use super::ScriptError;
use super::bash::BashWriter;
use super::commands::{
    EXTERNAL_GIT_CONFIG, FileVariables, GLOBAL_GIT_CONFIG, change_owner, exports, user_commands,
};
use super::remote;
use super::submodules;
use crate::contract::build::Build;
use crate::contract::go_text::quote_pattern;
use crate::contract::settings::GitStrategy;

const TEMPLATE_DIR: &str = "git-template";
const EXTERNAL_CONFIG_VARIABLE: &str = "GLR_EXT_GIT_CONFIG_PATH";
const NATIVE_CLONE_GIT_VERSION: &str = "2.49";
const SHORT_SHA_BYTES: usize = 8;

/// `$GLR_EXT_GIT_CONFIG_PATH`: where later git commands find the credentials.
pub(super) const EXTERNAL_CONFIG_REFERENCE: &str = "$GLR_EXT_GIT_CONFIG_PATH";

/// `clear_worktree`
pub(super) fn write_clear_worktree(writer: &mut BashWriter, build: &Build) {
    let project_dir = build.project_dir();
    writer.notice("Deleting tracked and untracked files...");
    writer.if_directory(&project_dir);
    writer.change_dir(&project_dir);
    writer.command("git", &["rm", "-rf", "--ignore-unmatch", "--quiet", "."]);
    writer.command("git", &["clean", "-ffdx", "-q"]);
    writer.end_if();
}

/// `get_sources`. The error is the runner's.
pub(super) fn write_get_sources(writer: &mut BashWriter, build: &Build) -> Result<(), ScriptError> {
    exports(writer, build, FileVariables::Write);
    writer.export("GIT_TERMINAL_PROMPT", "0");
    writer.export("GCM_INTERACTIVE", "Never");
    write_tokenless_config(writer, build)?;
    if !build.is_shared() {
        write_tls_config(writer, build, &["--global"]);
    }
    let runner = build.runner();
    let own_hook = |text: &str| {
        if text.is_empty() {
            None
        } else {
            Some(text.to_owned())
        }
    };
    let payload = build.payload();
    let mut before: Vec<String> = own_hook(&runner.pre_get_sources_script)
        .into_iter()
        .collect();
    before.extend_from_slice(payload.hook("pre_get_sources_script"));
    write_hooks(writer, build, "pre_clone_script", &before);
    write_fetch_and_checkout(writer, build)?;
    submodules::write_submodules(writer, build)?;
    let mut after = payload.hook("post_get_sources_script").to_vec();
    after.extend(own_hook(&runner.post_get_sources_script));
    write_hooks(writer, build, "post_clone_script", &after);
    change_owner(writer, build, &[build.root_dir()]);
    write_reject_credentials(writer, build);
    Ok(())
}

fn write_hooks(writer: &mut BashWriter, build: &Build, prefix: &str, commands: &[String]) {
    if build.settings().git.strategy.fetches() {
        user_commands(writer, build, prefix, commands.iter().map(String::as_str));
    }
}

/// With `FF_GIT_URLS_WITHOUT_TOKENS`: a global git configuration that leads to the credential helper.
fn write_tokenless_config(writer: &mut BashWriter, build: &Build) -> Result<(), String> {
    if !build.feature("FF_GIT_URLS_WITHOUT_TOKENS") {
        return Ok(());
    }
    let external = writer.temporary_file(EXTERNAL_GIT_CONFIG);
    let global = writer.temporary_file(GLOBAL_GIT_CONFIG);
    writer.remove_file(&global);
    for user_config in ["$HOME/.gitconfig", "$HOME/.config/git/config"] {
        writer.if_readable(user_config);
        writer.command_expanding(
            "git",
            &[
                "config",
                "--file",
                &global,
                "--add",
                "include.path",
                user_config,
            ],
        );
        writer.end_if();
    }
    writer.command_expanding(
        "git",
        &[
            "config",
            "--file",
            &global,
            "--add",
            "include.path",
            &external,
        ],
    );
    if !build.settings().git.strategy.fetches() {
        writer.remove_file(&external);
        write_credential_helper(writer, build, &external)?;
    }
    Ok(())
}

fn write_credential_helper(
    writer: &mut BashWriter,
    build: &Build,
    file: &str,
) -> Result<(), String> {
    let host = remote::remote_host(build)?;
    writer.credential_helper(file, &format!("credential.{host}"), "gitlab-ci-token");
    Ok(())
}

fn write_tls_config(writer: &mut BashWriter, build: &Build, place: &[&str]) {
    let host = match remote::remote_host(build) {
        Ok(host) => host,
        Err(error) => {
            writer.warning(&format!(
                "git SSL config: Can't get repository host. {error}"
            ));
            return;
        }
    };
    let variables = build.tls_variables();
    // The real runner's order is random.
    let keys = [
        ("CI_SERVER_TLS_CA_FILE", "sslCAInfo"),
        ("CI_SERVER_TLS_CERT_FILE", "sslCert"),
        ("CI_SERVER_TLS_KEY_FILE", "sslKey"),
    ];
    for (variable, key) in keys {
        if variables.iter().any(|present| present.key == variable) {
            let key = format!("http.{host}.{key}");
            let value = format!("${variable}");
            let arguments: Vec<&str> =
                [&["config"], place, &[key.as_str(), value.as_str()]].concat();
            writer.command_expanding("git", &arguments);
        }
    }
}

fn write_fetch_and_checkout(writer: &mut BashWriter, build: &Build) -> Result<(), ScriptError> {
    let settings = build.settings();
    if !settings.git.lfs_skip_smudge {
        writer.export("GIT_LFS_SKIP_SMUDGE", "1");
    }
    write_strategy(writer, build)?;
    if !settings.checks_out() {
        writer.notice("Skipping Git checkout");
        return Ok(());
    }
    write_checkout(writer, build)?;
    if !settings.git.lfs_skip_smudge {
        writer.if_command("git", &["lfs", "version"]);
        writer.command("git", &["lfs", "pull"]);
        writer.empty_line();
        writer.end_if();
    }
    Ok(())
}

fn write_strategy(writer: &mut BashWriter, build: &Build) -> Result<(), String> {
    let project_dir = build.project_dir();
    match build.settings().git.strategy {
        strategy @ (GitStrategy::Fetch | GitStrategy::Clone) => {
            write_git_cleanup(writer, build);
            let repository = write_template(writer, build)?;
            if strategy == GitStrategy::Clone {
                write_clone(writer, build, &repository);
            } else {
                write_fetch(writer, build, &repository);
            }
        }
        GitStrategy::None => {
            writer.notice("Skipping Git repository setup");
            writer.make_dir(&project_dir);
        }
        GitStrategy::Empty => {
            writer.notice("Skipping Git repository setup and creating an empty build directory");
            writer.remove_dir(&project_dir);
            writer.make_dir(&project_dir);
        }
    }
    Ok(())
}

/// What a fetch needs to know.
struct Repository {
    template_dir: String,
    url: String,
}

fn write_template(writer: &mut BashWriter, build: &Build) -> Result<Repository, String> {
    let template_dir = writer.make_temporary_subdir(TEMPLATE_DIR);
    let template = format!("{template_dir}/config");
    let external = writer.temporary_file(EXTERNAL_GIT_CONFIG);
    if build.trusts_project_dir() {
        writer.command(
            "git",
            &[
                "config",
                "--global",
                "--add",
                "safe.directory",
                &build.project_dir(),
            ],
        );
    }
    let defaults = [
        ("init.defaultBranch", "none"),
        ("fetch.recurseSubmodules", "false"),
        ("credential.interactive", "never"),
        ("gc.autoDetach", "false"),
    ];
    for (key, value) in defaults {
        writer.command("git", &["config", "-f", &template, key, value]);
    }
    let url = write_external_config(writer, build, &external)
        .map_err(|error| format!("setting up external git config: {error}"))?;
    write_include(writer, &template, &external);
    writer.export_expanding(EXTERNAL_CONFIG_VARIABLE, &external);
    Ok(Repository { template_dir, url })
}

/// Makes one git configuration include the external one, once.
fn write_include(writer: &mut BashWriter, target: &str, external: &str) {
    let pattern = format!("{}$", quote_pattern(EXTERNAL_GIT_CONFIG));
    writer.command_expanding(
        "git",
        &[
            "config",
            "--file",
            target,
            "--replace-all",
            "include.path",
            external,
            &pattern,
        ],
    );
}

/// Writes the external configuration and gives the URL without credentials.
fn write_external_config(
    writer: &mut BashWriter,
    build: &Build,
    file: &str,
) -> Result<String, String> {
    writer.remove_file(file);
    if build.feature("FF_USE_GITALY_CORRELATION_ID") {
        let id = &build.facts().correlation_id;
        let header = format!("X-Gitaly-Correlation-ID: {id}");
        writer.command_expanding("git", &["config", "-f", file, "http.extraHeader", &header]);
        writer.notice(&format!("Gitaly correlation ID: {id}"));
    }
    if build.feature("FF_USE_GIT_BUNDLE_URIS") {
        writer.command_expanding("git", &["config", "-f", file, "transfer.bundleURI", "true"]);
    }
    if build.is_shared() {
        write_tls_config(writer, build, &["-f", file]);
    }
    let mut url = remote::remote_url(build)?;
    for replacement in remote::instead_ofs(build)? {
        let key = format!("url.{}.insteadOf", replacement.authorised);
        let pattern = format!("^{}$", quote_pattern(&replacement.plain));
        writer.command_expanding(
            "git",
            &[
                "config",
                "--file",
                file,
                "--replace-all",
                &key,
                &replacement.plain,
                &pattern,
            ],
        );
    }
    if build.feature("FF_GIT_URLS_WITHOUT_TOKENS") {
        write_credential_helper(writer, build, file)?;
    }
    url.user = None;
    Ok(url.to_string())
}

/// `-c http.userAgent=…` and, if wanted, proactive authentication.
fn client_arguments(writer: &mut BashWriter, build: &Build) -> Vec<String> {
    let facts = build.facts();
    let agent = format!(
        "http.userAgent=gitlab-runner {} {}/{}",
        facts.version, facts.os, facts.architecture
    );
    let mut arguments = vec!["-c".to_owned(), agent];
    arguments.extend(proactive_authentication(writer, build));
    arguments
}

fn proactive_authentication(writer: &mut BashWriter, build: &Build) -> Vec<String> {
    if !build.feature("FF_USE_GIT_PROACTIVE_AUTH") {
        return Vec::new();
    }
    let setting = match remote::remote_host(build) {
        Ok(host) if host.is_empty() => {
            writer.warning("proactive auth: repository host is empty, using unscoped config");
            "http.proactiveAuth=basic".to_owned()
        }
        Ok(host) => format!("http.{host}.proactiveAuth=basic"),
        Err(error) => {
            writer.warning(&format!(
                "proactive auth: can't get repository host, using unscoped config. {error}"
            ));
            "http.proactiveAuth=basic".to_owned()
        }
    };
    vec!["-c".into(), setting]
}

fn git(writer: &mut BashWriter, arguments: &[String]) {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    writer.command("git", &arguments);
}

fn write_fetch(writer: &mut BashWriter, build: &Build, repository: &Repository) {
    let project_dir = build.project_dir();
    let info = &build.payload().git_info;
    let message = if info.depth > 0 {
        format!("Fetching changes with git depth set to {}...", info.depth)
    } else {
        "Fetching changes...".to_owned()
    };
    writer.notice(&message);
    let mut init = vec![
        "init",
        project_dir.as_str(),
        "--template",
        repository.template_dir.as_str(),
    ];
    if !matches!(info.repo_object_format.as_str(), "" | "sha1") {
        init.extend(["--object-format", info.repo_object_format.as_str()]);
    }
    writer.command("git", &init);
    writer.change_dir(&project_dir);
    writer.if_command("git", &["remote", "add", "origin", &repository.url]);
    writer.notice("Created fresh repository.");
    writer.otherwise();
    writer.command("git", &["remote", "set-url", "origin", &repository.url]);
    write_include(writer, ".git/config", EXTERNAL_CONFIG_REFERENCE);
    writer.end_if();
    let mut fetch = client_arguments(writer, build);
    fetch.extend(["fetch", "origin", "--no-recurse-submodules"].map(str::to_owned));
    fetch.extend(info.refspecs.iter().cloned());
    if info.depth > 0 {
        fetch.extend(["--depth".to_owned(), info.depth.to_string()]);
    }
    fetch.extend(build.settings().git.fetch_extra_flags.iter().cloned());
    if info.depth > 0 {
        git(writer, &fetch);
        return;
    }
    writer.if_file(".git/shallow");
    git(
        writer,
        &[fetch.as_slice(), &["--unshallow".to_owned()]].concat(),
    );
    writer.otherwise();
    git(writer, &fetch);
    writer.end_if();
}

fn write_clone(writer: &mut BashWriter, build: &Build, repository: &Repository) {
    writer.remove_dir(&build.project_dir());
    if !build.feature("FF_USE_GIT_NATIVE_CLONE") {
        write_fetch(writer, build, repository);
        return;
    }
    writer.if_git_at_least(NATIVE_CLONE_GIT_VERSION);
    write_native_clone(writer, build, repository);
    writer.otherwise();
    write_fetch(writer, build, repository);
    writer.end_if();
}

fn write_native_clone(writer: &mut BashWriter, build: &Build, repository: &Repository) {
    let project_dir = build.project_dir();
    let info = &build.payload().git_info;
    let message = match (info.depth, info.reference.as_str()) {
        (1.., reference) => format!(
            "Cloning repository for {reference} with git depth set to {}...",
            info.depth
        ),
        (_, "") => "Cloning repository...".to_owned(),
        (_, reference) => format!("Cloning repository for {reference}..."),
    };
    writer.notice(&message);
    let mut clone = client_arguments(writer, build);
    clone.extend(
        [
            "clone",
            "--no-checkout",
            &repository.url,
            &project_dir,
            "--template",
            &repository.template_dir,
        ]
        .map(str::to_owned),
    );
    if info.depth > 0 {
        clone.extend(["--depth".to_owned(), info.depth.to_string()]);
    }
    if info.reference.starts_with("refs/") {
        clone.extend(["--revision".to_owned(), info.reference.clone()]);
    } else if !info.reference.is_empty() {
        clone.extend(["--branch".to_owned(), info.reference.clone()]);
    }
    clone.extend(build.settings().git.clone_extra_flags.iter().cloned());
    git(writer, &clone);
    writer.change_dir(&project_dir);
}

fn write_checkout(writer: &mut BashWriter, build: &Build) -> Result<(), ScriptError> {
    let info = &build.payload().git_info;
    let short_sha = info.sha.get(..SHORT_SHA_BYTES).ok_or_else(|| {
        ScriptError::Panicked(format!(
            "runtime error: slice bounds out of range [:{SHORT_SHA_BYTES}] with length {}",
            info.sha.len()
        ))
    })?;
    writer.notice(&format!(
        "Checking out {short_sha} as detached HEAD (ref is {})...",
        info.reference
    ));
    let mut checkout = vec!["-c".to_owned(), "submodule.recurse=false".to_owned()];
    checkout.extend(proactive_authentication(writer, build));
    checkout.extend(["checkout", "-f", "-q", &info.sha].map(str::to_owned));
    git(writer, &checkout);
    let flags = &build.settings().git.clean_flags;
    if !flags.is_empty() {
        git(writer, &[&["clean".to_owned()], flags.as_slice()].concat());
    }
    Ok(())
}

/// Makes a credential helper of the user forget the job token; may fail.
pub(super) fn write_reject_credentials(writer: &mut BashWriter, build: &Build) {
    let Ok(url) = remote::remote_url(build) else {
        return;
    };
    let remote = url.scheme_and_host();
    if remote.host.is_empty() || !matches!(remote.scheme.as_str(), "http" | "https" | "ssh") {
        return;
    }
    writer.command_with_input(
        &format!("url={remote}\nusername=gitlab-ci-token"),
        "git",
        &["credential", "reject"],
    );
}

/// Removes locks that an ended git left behind, and configuration that could run code.
pub(super) fn write_git_cleanup(writer: &mut BashWriter, build: &Build) {
    let git_dir = format!(
        "{}/.git",
        crate::contract::go_path::clean(&build.project_dir())
    );
    let git_dir = if build.project_dir().is_empty() {
        ".git".to_owned()
    } else {
        git_dir
    };
    let modules = format!("{git_dir}/modules");
    let with_submodules = build.settings().submodules().is_on();
    for file in [
        "index.lock",
        "shallow.lock",
        "HEAD.lock",
        "hooks/post-checkout",
        "config.lock",
    ] {
        writer.remove_file(&format!("{git_dir}/{file}"));
        if with_submodules {
            writer.remove_files_below(&modules, file.rsplit('/').next().unwrap_or(file));
        }
    }
    writer.remove_files_below(&format!("{git_dir}/refs"), "*.lock");
    let is_wanted = build
        .runner()
        .clean_git_config
        .unwrap_or(build.settings().git.strategy != GitStrategy::None);
    if !is_wanted || will_suspend(build) {
        return;
    }
    for dir in [writer.temporary_file(TEMPLATE_DIR), git_dir] {
        writer.remove_file(&format!("{dir}/config"));
        writer.remove_dir(&format!("{dir}/hooks"));
    }
    if with_submodules {
        writer.remove_files_below(&modules, "config");
        writer.remove_dirs_below(&modules, "hooks");
    }
}

fn will_suspend(build: &Build) -> bool {
    let options = &build.payload().suspend_options;
    build.feature("FF_SUSPENDABLE_ENVIRONMENTS")
        && (options.suspend_on_success || options.suspend_on_failure)
}
