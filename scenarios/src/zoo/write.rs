//! Puts an animal into a directory.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::{Animal, Content, DriverFile};

const MODE_PROGRAM: u32 = 0o755;
const MODE_TEXT: u32 = 0o644;

impl Animal {
    /// Writes its files into `directory`, which is made if it is not there, and returns the path of the driver.
    ///
    /// # Errors
    ///
    /// Whatever the file system says; also if a file of this name is there already.
    pub fn write(&self, directory: &Path) -> io::Result<PathBuf> {
        fs::create_dir_all(directory)?;
        for file in &self.files {
            write(file, &directory.join(&file.path))?;
        }
        Ok(match &self.program {
            Some(program) => directory.join(program),
            None => directory.to_owned(),
        })
    }
}

fn write(file: &DriverFile, path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match &file.content {
        Content::Link { target } => symlink(target, path),
        Content::Text { text, executable } => {
            fs::File::create_new(path)
                .and_then(|mut new| io::Write::write_all(&mut new, text.as_bytes()))?;
            let mode = if *executable { MODE_PROGRAM } else { MODE_TEXT };
            fs::set_permissions(path, fs::Permissions::from_mode(mode))
        }
    }
}
