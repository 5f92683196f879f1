//! What shim, backend and box say to each other.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A shim was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShimCall {
    /// The directory of the shim, by which its case is known.
    pub(crate) directory: PathBuf,
    /// Under which name it was started.
    pub(crate) program: String,
    /// Its arguments, without the program's name.
    pub(crate) arguments: Vec<String>,
    /// Where.
    pub(crate) working_directory: PathBuf,
    /// Its environment.
    pub(crate) environment: Vec<(String, String)>,
}

/// What a shim has to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// Print the payload on standard output, or on standard error.
    Print {
        /// On standard error.
        error: bool,
    },
    /// Copy between the own standard streams and the pipes that come with this: output, error output and, if `stdin`,
    /// input. More replies follow.
    Proxy {
        /// There is a pipe for the input.
        stdin: bool,
    },
    /// Run another program with the own standard streams and arguments, and answer with [`Ran`]: pass-through.
    Run {
        /// Its path.
        path: PathBuf,
        /// What it prints on standard output is not printed, but is the payload of the answer.
        kept_back: bool,
    },
    /// End with this code.
    Exit {
        /// The code.
        code: i32,
    },
    /// End by SIGKILL.
    Die,
}

/// The program of a [`Reply::Run`] has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ran {
    /// With this code, as a shell has it; or it could not be started, for this reason.
    pub(crate) code: Result<i32, String>,
}

/// How the processes of a box are kept from the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// Namespaces of mounts, processes, names and networks.
    Namespaces,
    /// The same, made by an unprivileged user within a namespace of users.
    UserNamespaces,
    /// None: plain processes of this machine.
    Plain,
}

impl std::fmt::Display for Isolation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Namespaces => "namespaces of mounts, processes, names and networks",
            Self::UserNamespaces => "namespaces of users, mounts, processes, names and networks",
            Self::Plain => "plain processes, since this machine allows no namespaces",
        })
    }
}

/// What the first process of a box must know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BoxPlan {
    /// The box's root directory.
    pub(crate) root: PathBuf,
    /// Its host name.
    pub(crate) hostname: String,
    /// How it is kept from the machine.
    pub(crate) isolation: Isolation,
    /// Directories and files of the machine that are seen in it.
    pub(crate) binds: Vec<Bind>,
}

/// A directory or file of the machine that is seen in a box.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bind {
    /// On the machine.
    pub(crate) source: PathBuf,
    /// In the box, absolute.
    pub(crate) target: PathBuf,
    /// It cannot be changed in the box.
    pub(crate) read_only: bool,
}

/// From the backend to the first process of a box.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Start a program; input, output, error output and the pipe for [`Status`] lines come with this.
    Execute {
        /// Its name toward this process.
        number: u64,
        /// Program and arguments.
        argv: Vec<String>,
        /// Its whole environment.
        environment: Vec<(String, String)>,
        /// Its working directory, in the box.
        directory: PathBuf,
    },
    /// Send a signal to the process group of a program.
    Signal {
        /// The program.
        number: u64,
        /// The signal.
        signal: i32,
    },
    /// Let no more be written into the box.
    FillDisk,
}

/// The first process of a box can serve, or says why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum BoxMessage {
    /// It serves.
    Ready,
    /// It does not.
    Failed(String),
}

/// How a program in a box fared: a line on its status pipe. End of file without one: the box is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// It could not be started, for this reason.
    NotStarted(i32),
    /// It runs.
    Started,
    /// It ended with this code.
    Exited(i32),
    /// A signal ended it.
    Signalled(i32),
}

impl Status {
    /// As a line without its end.
    pub(crate) fn line(self) -> String {
        match self {
            Self::NotStarted(errno) => format!("failed {errno}"),
            Self::Started => "started 0".to_owned(),
            Self::Exited(code) => format!("exited {code}"),
            Self::Signalled(signal) => format!("signalled {signal}"),
        }
    }

    /// Reads a line.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (word, number) = line.trim().split_once(' ')?;
        let number = number.parse().ok()?;
        match word {
            "failed" => Some(Self::NotStarted(number)),
            "started" => Some(Self::Started),
            "exited" => Some(Self::Exited(number)),
            "signalled" => Some(Self::Signalled(number)),
            _ => None,
        }
    }

    /// The exit code as a shell has it, if the program has ended.
    pub(crate) fn code(self) -> Option<i32> {
        match self {
            Self::NotStarted(_) | Self::Started => None,
            Self::Exited(code) => Some(code),
            Self::Signalled(signal) => Some(128 + signal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Status;

    #[test]
    fn a_status_survives_its_pipe() {
        let all = [
            Status::NotStarted(2),
            Status::Started,
            Status::Exited(3),
            Status::Signalled(9),
        ];
        for status in all {
            assert_eq!(Status::parse(&status.line()), Some(status));
        }
        assert_eq!(Status::parse("exited"), None);
    }
}
