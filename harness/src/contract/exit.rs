//! How a call of a driver ended, before the runner gives it a meaning (contract G1, B2).

use std::fmt;

/// The wait status of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExitStatus {
    /// It exited with this code.
    Code(i32),
    /// It died of this signal (number).
    Signal(i32),
}

impl ExitStatus {
    /// Exit code 0.
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl fmt::Display for ExitStatus {
    /// As the runner writes it: `exit status 3`, `signal: killed`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(formatter, "exit status {code}"),
            Self::Signal(signal) => write!(formatter, "signal: {}", signal_description(*signal)),
        }
    }
}

/// The runner's word for a signal, as in `signal: killed`.
fn signal_description(signal: i32) -> String {
    match signal {
        1 => "hangup".into(),
        2 => "interrupt".into(),
        3 => "quit".into(),
        4 => "illegal instruction".into(),
        5 => "trace/breakpoint trap".into(),
        6 => "aborted".into(),
        7 => "bus error".into(),
        8 => "floating point exception".into(),
        9 => "killed".into(),
        10 => "user defined signal 1".into(),
        11 => "segmentation fault".into(),
        12 => "user defined signal 2".into(),
        13 => "broken pipe".into(),
        14 => "alarm clock".into(),
        15 => "terminated".into(),
        other => format!("signal {other}"),
    }
}

/// The values of `BUILD_FAILURE_EXIT_CODE` and `SYSTEM_FAILURE_EXIT_CODE`. The real runner has 1 and 2; strict cases use
/// others, so that a driver with literals is found out (G8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExitCodes {
    /// The user's job failed.
    pub build_failure: u8,
    /// The driver's infrastructure failed.
    pub system_failure: u8,
}

impl ExitCodes {
    /// What GitLab Runner sets.
    pub const RUNNER: Self = Self { build_failure: 1, system_failure: 2 };
    /// What strict cases set.
    pub const STRICT: Self = Self { build_failure: 73, system_failure: 74 };
}

/// Most bytes of the exit-code file's first line that count; a longer line is a parse failure (G3).
pub const EXIT_CODE_FILE_LINE_BYTES_MAX: usize = 64 * 1024;

/// What was in `BUILD_EXIT_CODE_FILE` when a call had exited with the build-failure code (G3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ExitCodeFile {
    /// It could not be opened: absent, or not permitted.
    #[default]
    Absent,
    /// It could be opened but not read (a directory).
    Unreadable,
    /// Its first bytes, at most [`EXIT_CODE_FILE_LINE_BYTES_MAX`] + 1 of them.
    Content(Vec<u8>),
}

/// Why a call could not be started. Keeps the errno class, since the runner's message and a driver author's fix depend
/// on it (B2, B9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartFailure {
    /// ENOENT: no such program, or its interpreter, or its working directory.
    NotFound,
    /// A name without slash that is not in the runner's PATH.
    NotInPath,
    /// EACCES: no permission to execute, a directory.
    PermissionDenied,
    /// ENOEXEC: no `#!` line, wrong architecture.
    ExecFormat,
    /// E2BIG: one environment value over 128 KiB, or too much in all.
    ArgumentListTooLong,
    /// ETXTBSY: the program is open for writing.
    TextFileBusy,
    /// A NUL byte in an environment value.
    NulInEnvironment,
    /// The script could not be written: the temporary directory is gone. The text is the runner's error.
    Files(String),
    /// Any other error, in the system's words.
    Other(String),
}

impl StartFailure {
    /// The error as the runner words it, for `executable` as configured.
    pub fn message(&self, executable: &str) -> String {
        let reason = match self {
            Self::NotInPath => {
                return format!(
                    "failed to start command: exec: \"{executable}\": executable file not found in $PATH"
                );
            }
            Self::NulInEnvironment => {
                return "failed to start command: exec: environment variable contains NUL".into();
            }
            Self::Files(text) => return text.clone(),
            Self::NotFound => "no such file or directory",
            Self::PermissionDenied => "permission denied",
            Self::ExecFormat => "exec format error",
            Self::ArgumentListTooLong => "argument list too long",
            Self::TextFileBusy => "text file busy",
            Self::Other(text) => text,
        };
        format!("failed to start command: fork/exec {executable}: {reason}")
    }
}
