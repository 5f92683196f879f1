//! Loop devices with a file behind them.

use std::fs;
use std::io;
use std::path::Path;

use crate::leaks::{Detector, Object, Watcher};
use crate::trace::LeakCategory;

pub(super) static DETECTOR: Detector = Detector {
    name: "loop-devices",
    category: LeakCategory::Mount,
    unseen_without_privileges: "",
    watcher: |_| Box::new(LoopDevices),
};

/// Where the kernel lists block devices.
const DEVICES: &str = "/sys/block";

struct LoopDevices;

impl Watcher for LoopDevices {
    fn look(&mut self) -> io::Result<Vec<Object>> {
        let entries = match fs::read_dir(DEVICES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        Ok(entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                name.starts_with("loop").then_some(())?;
                let device = Path::new(DEVICES).join(&name);
                let file = fs::read_to_string(device.join("loop/backing_file")).ok()?;
                Some(object(&name, file.trim_end_matches('\n')))
            })
            .collect())
    }
}

/// The kernel says of a file that was removed meanwhile that it is deleted; it is still the same.
fn object(name: &str, file: &str) -> Object {
    let file = file.strip_suffix(" (deleted)").unwrap_or(file);
    let identity = format!("{name} {file}");
    let what = format!("/dev/{name} of the file {file}");
    Object::named(identity, "loop device", what, file.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_stays_the_same_when_its_file_is_removed() {
        let (before, after) = (
            object("loop0", "/d/a.img"),
            object("loop0", "/d/a.img (deleted)"),
        );
        assert_eq!(before, after);
        assert_ne!(before, object("loop0", "/d/b.img"));
    }
}
