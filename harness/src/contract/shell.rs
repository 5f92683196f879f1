//! The shells a runner makes scripts for (B4, C7).

/// A shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Shell {
    /// `bash`, the default on Unix.
    #[default]
    Bash,
    /// `sh`
    Sh,
    /// PowerShell Core.
    Pwsh,
    /// Windows PowerShell.
    PowerShell,
}

impl Shell {
    /// The shell of that configured name; empty means the platform's default. `None`: the runner does not know it.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "" | "bash" => Some(Self::Bash),
            "sh" => Some(Self::Sh),
            "pwsh" => Some(Self::Pwsh),
            "powershell" => Some(Self::PowerShell),
            _ => None,
        }
    }

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Sh => "sh",
            Self::Pwsh => "pwsh",
            Self::PowerShell => "powershell",
        }
    }

    /// Extension of its script files, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Bash | Self::Sh => "",
            Self::Pwsh | Self::PowerShell => "ps1",
        }
    }

    /// Whether its scripts are written in the language of POSIX shells.
    pub fn is_posix(self) -> bool {
        matches!(self, Self::Bash | Self::Sh)
    }
}
