//! Network links of this network namespace: bridges, taps, ends of virtual cables.

use std::fs;
use std::io;

use crate::leaks::{Detector, Object, Watcher};
use crate::trace::LeakCategory;

pub(super) static DETECTOR: Detector = Detector {
    name: "network-links",
    category: LeakCategory::Network,
    unseen_without_privileges: "",
    watcher: |_| Box::new(NetworkLinks),
};

/// Where the kernel lists the links of the reader's network namespace; `/sys/class/net` shows those of whoever mounted it.
const LINKS: &str = "/proc/self/net/dev";

struct NetworkLinks;

impl Watcher for NetworkLinks {
    fn look(&mut self) -> io::Result<Vec<Object>> {
        match fs::read_to_string(LINKS) {
            Ok(table) => Ok(objects(&table)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// `name: counters …` below two lines of titles.
fn objects(table: &str) -> Vec<Object> {
    let names = table.lines().skip(2);
    let names = names.filter_map(|line| Some(line.rsplit_once(':')?.0.trim().to_owned()));
    names
        .map(|name| {
            let what = format!("network link {name}");
            Object::named(name.clone(), "network link", what, name)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_below_the_titles_is_a_link() {
        let table = "Inter-|   Receive                            |  Transmit\n \
            face |bytes    packets errs\n    lo: 1 2 3\nvm45600712: 0 0 0\n";
        let shown: Vec<_> = objects(table).into_iter().map(|o| o.identity).collect();
        assert_eq!(shown, ["lo", "vm45600712"]);
    }
}
