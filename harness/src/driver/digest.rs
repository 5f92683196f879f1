//! A digest over the files of a driver, so that a report says exactly what was tested.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::hexadecimal::hexadecimal;

/// Most files whose content is read; a driver beside a large tree must not delay the run.
const FILES_MAX: usize = 2_000;
/// Most bytes that are read in all.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Directories that are not part of a driver, beside all hidden ones.
const DIRECTORIES_SKIPPED: [&str; 4] = ["node_modules", "target", "venv", "__pycache__"];

/// `sha256:` and the digest over the files below these paths: their paths, sizes and contents. Files past the limits
/// count with path and size only.
pub(super) fn of(paths: &[PathBuf]) -> String {
    let mut files: Vec<(PathBuf, PathBuf)> = Vec::new();
    for path in paths {
        let base = if path.is_dir() {
            path
        } else {
            path.parent().unwrap_or(path)
        };
        collect(base, path, &mut files);
    }
    files.sort();
    files.dedup();
    let mut hasher = Sha256::new();
    let mut bytes_left = BYTES_MAX;
    for (index, (relative, path)) in files.iter().enumerate() {
        let size = path.metadata().map_or(0, |metadata| metadata.len());
        hasher.update(relative.as_os_str().as_encoded_bytes());
        hasher.update([0]);
        hasher.update(size.to_le_bytes());
        if index < FILES_MAX && size <= bytes_left {
            bytes_left -= size;
            // A file that cannot be read is not run either; its path and size are in the digest.
            let _ = hash_content(path, &mut hasher);
        }
    }
    format!("sha256:{}", hexadecimal(&hasher.finalize()))
}

fn collect(base: &Path, path: &Path, files: &mut Vec<(PathBuf, PathBuf)>) {
    if !path.is_dir() {
        let relative = path.strip_prefix(base).unwrap_or(path).to_owned();
        files.push((relative, path.to_owned()));
        return;
    }
    let Ok(entries) = path.read_dir() else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let skipped = name.starts_with('.') || DIRECTORIES_SKIPPED.contains(&name.as_ref());
        // Links to directories are not followed: they may lead out of the driver or in circles.
        let descends = is_directory && !skipped;
        if descends || (!is_directory && entry.path().is_file()) {
            collect(base, &entry.path(), files);
        }
    }
}

fn hash_content(path: &Path, hasher: &mut Sha256) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        hasher.update(&buffer[..count]);
    }
}
