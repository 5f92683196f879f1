//! Network namespaces that stay without a process: bind mounts of nsfs, as `ip netns add` makes them in `/run/netns`.

use std::collections::BTreeMap;
use std::io;

use crate::leaks::mount_table::{Mount, WatchedTable};
use crate::leaks::{Detector, Object, Watcher};
use crate::trace::LeakCategory;

pub(super) static DETECTOR: Detector = Detector {
    name: "network-namespaces",
    category: LeakCategory::Network,
    unseen_without_privileges: "",
    watcher: |_| Box::<NetworkNamespaces>::default(),
};

#[derive(Default)]
struct NetworkNamespaces {
    table: WatchedTable,
}

impl Watcher for NetworkNamespaces {
    fn may_have_changed(&mut self) -> bool {
        self.table.may_have_changed()
    }

    fn look(&mut self) -> io::Result<Vec<Object>> {
        Ok(objects(self.table.read()?))
    }
}

/// One object for each place, since a directory that shares its mounts lists each of them twice.
fn objects(mounts: Vec<Mount>) -> Vec<Object> {
    let held = mounts.into_iter().filter(Mount::is_network_namespace);
    let by_place: BTreeMap<String, String> = held
        .map(|mount| (mount.point.to_string_lossy().into_owned(), mount.root))
        .collect();
    by_place
        .into_iter()
        .map(|(place, namespace)| {
            let identity = format!("{namespace} {place}");
            let what = format!("network namespace held by {place}");
            Object::named(identity, "network namespace", what, place)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaks::mount_table::parse;

    #[test]
    fn only_network_namespaces_count_and_each_once() {
        let table = "\
40 27 0:4 net:[4026532288] /run/netns/vm1 rw shared:1 - nsfs nsfs rw
41 40 0:4 net:[4026532288] /run/netns/vm1 rw shared:1 - nsfs nsfs rw
42 27 0:4 mnt:[4026532290] /run/x rw - nsfs nsfs rw
43 27 0:9 / /mnt rw - tmpfs none rw
";
        let shown: Vec<_> = objects(parse(table)).into_iter().map(|o| o.what).collect();
        assert_eq!(shown, ["network namespace held by /run/netns/vm1"]);
    }
}
