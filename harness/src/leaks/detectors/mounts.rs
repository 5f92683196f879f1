//! Mounts, except for those that keep a network namespace alive.

use std::io;

use crate::leaks::mount_table::{Mount, WatchedTable};
use crate::leaks::{Detector, Object, Watcher};
use crate::trace::LeakCategory;

pub(super) static DETECTOR: Detector = Detector {
    name: "mounts",
    category: LeakCategory::Mount,
    unseen_without_privileges: "",
    watcher: |_| Box::<Mounts>::default(),
};

#[derive(Default)]
struct Mounts {
    table: WatchedTable,
}

impl Watcher for Mounts {
    fn may_have_changed(&mut self) -> bool {
        self.table.may_have_changed()
    }

    fn look(&mut self) -> io::Result<Vec<Object>> {
        let mounts = self.table.read()?.into_iter();
        let others = mounts.filter(|mount| !mount.is_network_namespace());
        Ok(others.map(object).collect())
    }
}

fn object(mount: Mount) -> Object {
    let point = mount.point.to_string_lossy().into_owned();
    Object {
        identity: format!("{} {point}", mount.id),
        kind: "mount",
        what: format!("{} mounted on {point}", described(&mount)),
        names: vec![point, mount.source, mount.root, mount.options],
        creator: None,
        born: None,
    }
}

/// `tmpfs`, `/dev/loop0 (ext4)`.
fn described(mount: &Mount) -> String {
    if mount.source.starts_with('/') {
        format!("{} ({})", mount.source, mount.kind)
    } else {
        mount.kind.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_says_what_and_where() {
        let table = "40 27 7:0 / /mnt/box rw - ext4 /dev/loop0 rw\n\
                     41 27 0:9 / /mnt/box/run rw - tmpfs none rw\n";
        let shown: Vec<_> = crate::leaks::mount_table::parse(table)
            .into_iter()
            .map(|mount| object(mount).what)
            .collect();
        assert_eq!(
            shown,
            [
                "/dev/loop0 (ext4) mounted on /mnt/box",
                "tmpfs mounted on /mnt/box/run"
            ]
        );
    }
}
