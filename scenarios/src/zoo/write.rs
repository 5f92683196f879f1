//! Puts an animal into a directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Animal;

impl Animal {
    /// Writes its files into `directory`, which is made if it is not there, and returns the path of the driver.
    ///
    /// # Errors
    ///
    /// Whatever the file system says; also if a file of this name is there already.
    pub fn write(&self, directory: &Path) -> io::Result<PathBuf> {
        fs::create_dir_all(directory)?;
        for file in &self.files {
            file.write(directory)?;
        }
        Ok(match &self.program {
            Some(program) => directory.join(program),
            None => directory.to_owned(),
        })
    }
}
