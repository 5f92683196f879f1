//! Skeletons: the drivers that `init` writes.
//!
//! Below `skeletons/<language>/` is what is the same for all backends, the part of a driver that the runner sees, and in
//! `backend/` one file for each backend, of which a skeleton has one. Whether a driver in a language for a backend is offered is
//! therefore not written down: there is a file for the two, or there is none. A test of the harness runs the suite on each of
//! [`all`], so that nothing is offered that does not pass.

use std::path::Path;

use crate::driver_file::{DriverFile, EmbeddedContent, EmbeddedFile};

/// The files of all skeletons, sorted by language and path.
static FILES: &[EmbeddedFile] = include!(concat!(env!("OUT_DIR"), "/skeleton_files.rs"));

/// The directory of a language with a file for each backend.
const BACKENDS: &str = "backend";

/// What a driver can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// bash
    Bash,
    /// Python 3, its standard library alone
    Python,
    /// Rust, its standard library alone
    Rust,
    /// Go, its standard library alone
    Go,
}

impl Language {
    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// All of them.
    pub const ALL: [Self; 4] = [Self::Bash, Self::Python, Self::Rust, Self::Go];

    /// Its name, also that of its directory.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Python => "python",
            Self::Rust => "rust",
            Self::Go => "go",
        }
    }

    /// Where the driver's backend is, in the directory of the driver.
    fn backend_path(self) -> &'static str {
        match self {
            Self::Bash => "backend.sh",
            Self::Python => "backend.py",
            Self::Rust => "src/backend.rs",
            Self::Go => "backend.go",
        }
    }

    /// The program that the runner calls, in the directory of the driver.
    pub fn program(self) -> &'static str {
        match self {
            Self::Bash => "driver.sh",
            Self::Python => "driver.py",
            Self::Rust => "target/release/driver",
            Self::Go => "driver",
        }
    }

    /// The shell command that makes the program, if it has to be made.
    pub fn build(self) -> Option<&'static str> {
        match self {
            Self::Bash | Self::Python => None,
            Self::Rust => Some("cargo build --release --offline"),
            // Without the stamp of the repository, which git refuses to tell in a pipeline whose checkout another user owns.
            Self::Go => Some("go build -buildvcs=false -o driver ."),
        }
    }

    /// What is to be installed on the machine of the runner.
    pub fn installed(self) -> &'static [&'static str] {
        match self {
            Self::Bash => &["driver.sh", "backend.sh"],
            Self::Python => &["driver.py", "backend.py"],
            Self::Rust => &["target/release/driver"],
            Self::Go => &["driver"],
        }
    }

    /// The tool without which the driver can be neither made nor run.
    pub fn tool(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Python => "python3",
            Self::Rust => "cargo",
            Self::Go => "go",
        }
    }
}

/// What jobs can run in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Backend {
    /// Containers of Podman
    Podman,
    /// Containers of Docker
    Docker,
    /// Instances of LXD
    Lxc,
    /// Virtual machines of libvirt, reached by ssh
    Virsh,
    /// Virtual machines of a cloud with an HTTP API, reached by ssh
    HttpVm,
    /// Directories of a fixed host, reached by ssh
    Ssh,
    /// Directories on the machine of the runner
    None,
}

impl Backend {
    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Podman,
        Self::Docker,
        Self::Lxc,
        Self::Virsh,
        Self::HttpVm,
        Self::Ssh,
        Self::None,
    ];

    /// Its name, also that of its files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Docker => "docker",
            Self::Lxc => "lxc",
            Self::Virsh => "virsh",
            Self::HttpVm => "http-vm",
            Self::Ssh => "ssh",
            Self::None => "none",
        }
    }

    /// What takes its place in tests, as `--backend` names it.
    pub fn mock(self) -> Option<&'static str> {
        match self {
            Self::Podman => Some("mock:podman"),
            Self::Docker => Some("mock:docker"),
            Self::Lxc => Some("mock:lxc"),
            Self::Virsh => Some("mock:libvirt"),
            Self::HttpVm => Some("mock:http-vm"),
            Self::Ssh => Some("mock:ssh"),
            Self::None => None,
        }
    }

    /// What a box of a job is.
    pub fn about(self) -> &'static str {
        match self {
            Self::Podman => "each job gets a container of Podman",
            Self::Docker => "each job gets a container of Docker",
            Self::Lxc => "each job gets an instance of LXD",
            Self::Virsh => "each job gets a virtual machine of libvirt, reached by ssh",
            Self::HttpVm => {
                "each job gets a virtual machine of a cloud with an HTTP API, reached by ssh"
            }
            Self::Ssh => "each job gets a directory of a fixed host, reached by ssh",
            Self::None => "each job gets a directory on the machine of the runner",
        }
    }
}

/// A driver to begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skeleton {
    /// What it is written in.
    pub language: Language,
    /// What its jobs run in.
    pub backend: Backend,
    /// Its files.
    pub files: Vec<DriverFile>,
}

/// Every skeleton there is.
pub fn all() -> Vec<Skeleton> {
    let pairs = Language::ALL
        .into_iter()
        .flat_map(|language| Backend::ALL.map(|backend| (language, backend)));
    pairs
        .filter_map(|(language, backend)| of(language, backend))
        .collect()
}

/// The skeleton of a driver in this language for this backend, if there is one.
pub fn of(language: Language, backend: Backend) -> Option<Skeleton> {
    let own = FILES.iter().filter(|file| file.driver == language.name());
    let mut chosen = None;
    let mut files = Vec::new();
    for file in own {
        // A link to one of the backends, for tools that follow the modules of a program.
        if file.path == language.backend_path() {
            continue;
        }
        match file.path.strip_prefix(BACKENDS) {
            Some(name) if is_of(name, backend) => {
                let mut file = file.driver_file();
                language.backend_path().clone_into(&mut file.path);
                chosen = Some(file);
            }
            Some(_) => {}
            None => files.push(common(file)),
        }
    }
    files.push(chosen?);
    Some(Skeleton {
        language,
        backend,
        files,
    })
}

/// Whether the rest of a path below `backend` is the file of this backend.
fn is_of(rest: &str, backend: Backend) -> bool {
    let name = rest.trim_start_matches('/');
    Path::new(name).file_stem().and_then(|stem| stem.to_str()) == Some(backend.name())
}

/// A file that all drivers of a language have. Cargo takes a directory with a `Cargo.toml` for a package of its own, which the
/// package of the skeletons would not contain: the manifest has another name there.
fn common(file: &EmbeddedFile) -> DriverFile {
    let mut file = file.driver_file();
    if file.path == "manifest.toml" {
        "Cargo.toml".clone_into(&mut file.path);
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver_file::Content;

    #[test]
    fn every_file_belongs_to_a_skeleton() {
        for file in FILES {
            let language = Language::ALL
                .into_iter()
                .find(|language| language.name() == file.driver);
            assert!(language.is_some(), "no language {}", file.driver);
            if let Some(name) = file.path.strip_prefix(BACKENDS) {
                let known = Backend::ALL.iter().any(|backend| is_of(name, *backend));
                assert!(known, "no backend for {}/{}", file.driver, file.path);
            }
        }
    }

    #[test]
    fn a_skeleton_has_the_program_or_what_it_is_made_from_and_one_backend() {
        for skeleton in all() {
            let has = |path: &str| skeleton.files.iter().any(|file| file.path == path);
            assert!(has(skeleton.language.backend_path()));
            assert!(has(skeleton.language.program()) || skeleton.language.build().is_some());
            let left = |file: &DriverFile| file.path.starts_with("backend/");
            assert!(!skeleton.files.iter().any(left));
            // Not every archive keeps links.
            let text = |file: &DriverFile| matches!(file.content, Content::Text { .. });
            assert!(skeleton.files.iter().all(text));
        }
    }
}
