//! URLs of the project's repository with and without credentials (E18).

use crate::contract::build::Build;
use crate::contract::go_path;
use crate::contract::go_url::GoUrl;

const TOKEN_USER: &str = "gitlab-ci-token";

/// A replacement git is told to make: in URLs, `plain` becomes `authorised`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InsteadOf {
    pub(super) authorised: String,
    pub(super) plain: String,
}

/// Whether credentials are put into URLs.
fn embeds_credentials(build: &Build) -> bool {
    !build.feature("FF_GIT_URLS_WITHOUT_TOKENS")
}

/// The URL the sources are fetched from.
pub(super) fn remote_url(build: &Build) -> Result<GoUrl, String> {
    if let Some(mut url) = clone_url(build) {
        let project = format!("{}.git", build.all_variables().value("CI_PROJECT_PATH"));
        url.path = go_path::join(&[&url.path, &project]);
        return Ok(with_credentials(build, &url));
    }
    let url = GoUrl::parse(&build.payload().git_info.repo_url)?;
    // With credentials the URL is taken as it comes: it has them already.
    Ok(if embeds_credentials(build) {
        url
    } else {
        with_credentials(build, &url)
    })
}

fn clone_url(build: &Build) -> Option<GoUrl> {
    GoUrl::parse(&build.runner().clone_url)
        .ok()
        .filter(|url| !url.scheme.is_empty())
}

/// Scheme and host of the remote.
pub(super) fn remote_host(build: &Build) -> Result<String, String> {
    match remote_url(build) {
        Ok(url) => Ok(url.scheme_and_host().to_string()),
        Err(error) => Err(format!("getting remote URL: {error}")),
    }
}

fn with_credentials(build: &Build, url: &GoUrl) -> GoUrl {
    let mut url = url.clone();
    if url.scheme == "ssh" {
        url.user.get_or_insert_with(|| "git".into());
    } else if embeds_credentials(build) {
        url.set_password(TOKEN_USER, &build.payload().token);
    } else {
        url.user = None;
    }
    url
}

/// All replacements for the job, in the runner's order.
pub(super) fn instead_ofs(build: &Build) -> Result<Vec<InsteadOf>, String> {
    let remote = remote_url(build)?;
    let plain = GoUrl {
        user: None,
        ..remote.clone()
    };
    let mut replacements = Vec::new();
    if plain != remote {
        replacements.push(InsteadOf {
            authorised: remote.to_string(),
            plain: plain.to_string(),
        });
    }
    for replacement in host_instead_ofs(build)? {
        if !replacements.contains(&replacement) {
            replacements.push(replacement);
        }
    }
    Ok(replacements)
}

fn host_instead_ofs(build: &Build) -> Result<Vec<InsteadOf>, String> {
    let base = match clone_url(build) {
        Some(url) => url,
        None => GoUrl::parse(&build.runner().url).map_err(|_| "invalid URL".to_owned())?,
    };
    if !base.is_http() {
        return Ok(Vec::new());
    }
    if !embeds_credentials(build) {
        return Ok(ssh_instead_ofs(build, &trimmed(&base)));
    }
    let authorised = trimmed(&with_credentials(build, &base));
    let mut replacements = vec![InsteadOf {
        authorised: authorised.clone(),
        plain: trimmed(&base),
    }];
    replacements.extend(ssh_instead_ofs(build, &authorised));
    let mut repository = GoUrl::parse(&build.payload().git_info.repo_url)?;
    if repository.is_http() {
        repository.path.clear();
        let authorised = trimmed(&with_credentials(build, &repository));
        repository.user = None;
        replacements.push(InsteadOf {
            authorised,
            plain: trimmed(&repository),
        });
    }
    Ok(replacements)
}

fn ssh_instead_ofs(build: &Build, authorised: &str) -> Vec<InsteadOf> {
    if !build.settings().git.submodule_force_https {
        return Vec::new();
    }
    let variables = build.all_variables();
    let host = match variables.value("CI_SERVER_SHELL_SSH_HOST") {
        "" => variables.value("CI_SERVER_HOST"),
        host => host,
    };
    match variables.value("CI_SERVER_SHELL_SSH_PORT") {
        "" | "22" => vec![
            InsteadOf {
                authorised: format!("{authorised}/"),
                plain: format!("git@{host}:"),
            },
            InsteadOf {
                authorised: authorised.to_owned(),
                plain: format!("ssh://git@{host}"),
            },
        ],
        port => vec![InsteadOf {
            authorised: authorised.to_owned(),
            plain: format!("ssh://git@{host}:{port}"),
        }],
    }
}

fn trimmed(url: &GoUrl) -> String {
    url.to_string().trim_end_matches('/').to_owned()
}
