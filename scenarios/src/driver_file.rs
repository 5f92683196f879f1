//! The files of a driver, as they are embedded in the binary and as they are written.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

const MODE_PROGRAM: u32 = 0o755;
const MODE_TEXT: u32 = 0o644;

/// A file of a driver as `build.rs` lists it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EmbeddedFile {
    /// Name of the driver's directory.
    pub(crate) driver: &'static str,
    /// Path below that directory.
    pub(crate) path: &'static str,
    pub(crate) content: EmbeddedContent,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum EmbeddedContent {
    Text {
        text: &'static str,
        executable: bool,
    },
    Link {
        target: &'static str,
    },
}

impl EmbeddedFile {
    /// The file as it is written.
    pub(crate) fn driver_file(&self) -> DriverFile {
        let content = match self.content {
            EmbeddedContent::Text { text, executable } => Content::Text {
                text: text.to_owned(),
                executable,
            },
            EmbeddedContent::Link { target } => Content::Link {
                target: target.to_owned(),
            },
        };
        DriverFile {
            path: self.path.to_owned(),
            content,
        }
    }
}

/// A file of a driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverFile {
    /// Path below the driver's directory.
    pub path: String,
    /// What it is.
    pub content: Content,
}

/// What a file of a driver is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A regular file.
    Text {
        /// Its text.
        text: String,
        /// Whether it can be started.
        executable: bool,
    },
    /// A symbolic link.
    Link {
        /// Where it leads, below the driver's directory.
        target: String,
    },
}

impl DriverFile {
    /// Writes it below `directory`, with the directories above it.
    ///
    /// # Errors
    ///
    /// Whatever the file system says; also if a file of this name is there already.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        let path = directory.join(&self.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        match &self.content {
            Content::Link { target } => symlink(target, path),
            Content::Text { text, executable } => {
                fs::File::create_new(&path)?.write_all(text.as_bytes())?;
                let mode = if *executable { MODE_PROGRAM } else { MODE_TEXT };
                fs::set_permissions(path, fs::Permissions::from_mode(mode))
            }
        }
    }
}
