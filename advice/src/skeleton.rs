//! What stands beside the driver that `init` writes: how to test it, install it and keep it sound.

use std::fmt::Write as _;

use driver_conformance_scenarios::skeleton::{Backend, Language, Skeleton};
use driver_conformance_scenarios::zoo::{Content, DriverFile};

use crate::config_block::{Basis, Measured, ProgramLine, config_block};
use crate::lint::Times;

const README: &str = include_str!("../skeleton/README.md");
const GATE: &str = include_str!("../skeleton/gitlab-ci.yml");
const TEST: &str = include_str!("../skeleton/test");

/// The calls of a driver, which are its subcommands.
const CALLS: [&str; 4] = ["config", "prepare", "run", "cleanup"];

/// Everything in the directory of a new driver of this name.
pub fn files(skeleton: &Skeleton, name: &str, times: Times) -> Vec<DriverFile> {
    let language = skeleton.language;
    let mut files = skeleton.files.clone();
    let mut add = |path: &str, text: String, executable: bool| {
        files.push(DriverFile {
            path: path.to_owned(),
            content: Content::Text { text, executable },
        });
    };
    add("test", test(language), true);
    add("README.md", readme(skeleton, name), false);
    add(
        ".gitlab-ci.yml",
        GATE.replace("@TOOL@", language.tool()),
        false,
    );
    add("config.toml", block(language, name, times), false);
    add("driver-conformance.toml", settings(skeleton), false);
    add(".gitignore", ignored(language), false);
    files
}

fn test(language: Language) -> String {
    let build = language.build().map(|command| format!("{command}\n"));
    TEST.replace("@BUILD@", &build.unwrap_or_default())
}

fn block(language: Language, name: &str, times: Times) -> String {
    let program = language.program();
    let program = program.rsplit('/').next().unwrap_or(program);
    let programs = CALLS.map(|call| ProgramLine {
        name: call,
        executable: format!("/opt/{name}/{program}"),
        args: vec![call.to_owned()],
    });
    config_block(&Basis {
        programs: &programs,
        measured: Measured::default(),
        times,
    })
}

fn settings(skeleton: &Skeleton) -> String {
    let mut text = String::from(
        "# What the suite must know about this driver; docs/configuration.md of driver-conformance lists every key.\n",
    );
    if let Some(mock) = skeleton.backend.mock() {
        let _ = write!(
            text,
            "\n# A mock takes the place of the real backend, so that the suite needs none, and can let it fail.\n\
             # Without this line the driver is tested with the real one.\n\
             backend = \"{mock}\"\n"
        );
    }
    text.push_str(
        "\n# As in config.toml, but where it is made: relative to this file.\n[custom]\n",
    );
    for call in CALLS {
        let _ = write!(
            text,
            "{call}_exec = \"./{}\"\n{call}_args = [\"{call}\"]\n",
            skeleton.language.program()
        );
    }
    if skeleton.backend == Backend::Virsh {
        text.push_str(
            "\n# The mock looks only whether there is a base image. Where the real backend is used, name yours.\n\
             [host.environment]\nBASE_IMAGE = \"/dev/null\"\n",
        );
    }
    text
}

fn ignored(language: Language) -> String {
    let made = match language {
        Language::Bash => "",
        Language::Python => "__pycache__/\n",
        Language::Rust => "/target\n",
        Language::Go => "/driver\n",
    };
    format!("{made}/conformance.*\n/driver-conformance-evidence/\n")
}

fn readme(skeleton: &Skeleton, name: &str) -> String {
    let Skeleton {
        language, backend, ..
    } = skeleton;
    let faults = if backend.mock().is_some() {
        "every request to the backend, and trouble of the backend"
    } else {
        "every program that the driver starts"
    };
    README
        .replace("@NAME@", name)
        .replace("@LANGUAGE@", spoken(*language))
        .replace("@ABOUT@", backend.about())
        .replace("@FILES@", parts(*language))
        .replace("@TEST_NEEDS@", &test_needs(skeleton))
        .replace("@FAULTS@", faults)
        .replace("@NEEDS@", needs(*backend))
        .replace("@INSTALLED@", &language.installed().join(" "))
}

fn spoken(language: Language) -> &'static str {
    match language {
        Language::Bash => "bash",
        Language::Python => "Python",
        Language::Rust => "Rust",
        Language::Go => "Go",
    }
}

fn parts(language: Language) -> &'static str {
    match language {
        Language::Bash => {
            "- `driver.sh` is what the runner sees: calls, exit codes, signals; there is seldom a reason to change it\n\
             - `backend.sh` is what jobs run in, and the part to make your own"
        }
        Language::Python => {
            "- `driver.py` is what the runner sees: calls, exit codes, signals; there is seldom a reason to change it\n\
             - `backend.py` is what jobs run in, and the part to make your own"
        }
        Language::Rust => {
            "- `src/main.rs` is what the runner sees: calls, exit codes; `src/client.rs` starts programs and handles signals;\n  \
             there is seldom a reason to change either\n\
             - `src/backend.rs` is what jobs run in, and the part to make your own"
        }
        Language::Go => {
            "- `main.go` is what the runner sees: calls, exit codes, signals; there is seldom a reason to change it\n\
             - `backend.go` is what jobs run in, and the part to make your own"
        }
    }
}

fn test_needs(skeleton: &Skeleton) -> String {
    let tool = match skeleton.language {
        Language::Bash => "bash",
        Language::Python => "Python 3",
        Language::Rust => "a Rust toolchain",
        Language::Go => "Go",
    };
    let backend = match skeleton.backend.mock() {
        Some(_) => " The backend is not needed: a mock takes its place.",
        None => "",
    };
    format!("It takes `driver-conformance` in PATH and {tool}.{backend}")
}

/// What has to be there before a runner can use the driver.
fn needs(backend: Backend) -> &'static str {
    match backend {
        Backend::Podman => {
            "The user of the runner has to be able to run containers (`podman run --rm docker.io/library/debian:stable true`), and the\n\
             images of jobs to have bash, git and setsid."
        }
        Backend::Docker => {
            "The user of the runner has to be able to run containers (`docker run --rm debian:stable true`), and the images of jobs to\n\
             have bash, git and setsid."
        }
        Backend::Lxc => {
            "The user of the runner has to be able to make instances (`lxc launch ubuntu:24.04 probe && lxc delete --force probe`), and the\n\
             images of jobs to have bash, git and setsid."
        }
        Backend::Virsh => {
            "The user of the runner has to be able to make virtual machines of libvirt, and to log in to them: the image `BASE_IMAGE` in the\n\
             environment of the runner must have bash, git and setsid, an ssh server, and the user's key in root's `authorized_keys`."
        }
        Backend::HttpVm => {
            "The API is a model: change paths and fields in the backend to those of your cloud. Its address and a token come from the\n\
             environment of the runner, `VM_API_URL` and `VM_API_TOKEN`. Images must have bash, git and setsid, an ssh server, and the key of the\n\
             runner's user in root's `authorized_keys`."
        }
        Backend::Ssh => {
            "Jobs run as the user that logs in to the host, who can read and change what other jobs leave: for projects that trust each other.\n\
             `SSH_HOST` in the environment of the runner names the host, as in its user's `~/.ssh/config`; that user has to be able to log in\n\
             without being asked (`ssh -o BatchMode=yes -o StrictHostKeyChecking=yes HOST true`). The host has to be a Linux with bash, git, setsid\n\
             and GNU's grep and find, and a directory `/var/lib/my-driver` that is the user's own."
        }
        Backend::None => {
            "Jobs run as the user of the runner, who can read and change what other jobs leave: for projects that trust each other. The\n\
             machine has to have bash, git and setsid."
        }
    }
}

#[cfg(test)]
mod tests {
    use driver_conformance_scenarios::skeleton;

    use super::*;

    fn text_of(files: &[DriverFile], path: &str) -> String {
        let file = files.iter().find(|file| file.path == path);
        match file.map(|file| &file.content) {
            Some(Content::Text { text, .. }) => text.clone(),
            _ => panic!("there is no {path}"),
        }
    }

    #[test]
    fn nothing_is_left_to_fill_in_and_no_file_is_there_twice() {
        for skeleton in skeleton::all() {
            let files = files(&skeleton, "my-driver", Times::RUNNER);
            for name in [
                "test",
                "README.md",
                ".gitlab-ci.yml",
                "driver-conformance.toml",
            ] {
                let text = text_of(&files, name);
                // What stands between two such signs is a word to be filled in; a shell has `"$@"`.
                let words = text.split('@').skip(1).filter(|word| {
                    !word.is_empty()
                        && word
                            .bytes()
                            .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
                });
                assert_eq!(words.collect::<Vec<_>>(), Vec::<&str>::new(), "{name}");
            }
            let mut paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
            paths.sort_unstable();
            paths.dedup();
            assert_eq!(paths.len(), files.len());
        }
    }

    #[test]
    fn what_is_installed_is_there_or_made() {
        for skeleton in skeleton::all() {
            for installed in skeleton.language.installed() {
                let made = *installed == skeleton.language.program()
                    && skeleton.language.build().is_some();
                let there = skeleton.files.iter().any(|file| file.path == *installed);
                assert!(made || there, "{installed}");
            }
        }
    }
}
