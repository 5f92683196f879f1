//! Listening Unix sockets, also those without a file, that a process outside the case holds for a job.
//!
//! What a process of the case itself holds goes with it, and is told beside it.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use crate::leaks::{Detector, Object, Watcher};
use crate::trace::LeakCategory;

pub(super) static DETECTOR: Detector = Detector {
    name: "unix-sockets",
    category: LeakCategory::Network,
    unseen_without_privileges: "",
    watcher: |_| Box::new(UnixSockets),
};

/// Where the kernel lists them.
const TABLE: &str = "/proc/self/net/unix";
/// The flag of a socket that accepts connections.
const ACCEPTS: u32 = 1 << 16;
/// Column of the path, which may hold blanks.
const COLUMNS_BEFORE_PATH: usize = 7;

struct UnixSockets;

impl Watcher for UnixSockets {
    fn may_have_changed(&mut self) -> bool {
        // The table is long, and seldom is anything of a job in it: the last look has to do.
        false
    }

    fn look(&mut self) -> io::Result<Vec<Object>> {
        match fs::read(TABLE) {
            Ok(table) => Ok(objects(&String::from_utf8_lossy(&table))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// `number: references protocol flags type state inode path`
fn objects(table: &str) -> Vec<Object> {
    let listening = table.lines().skip(1).filter_map(|line| {
        let mut rest = line;
        let mut columns = Vec::with_capacity(COLUMNS_BEFORE_PATH);
        for _ in 0..COLUMNS_BEFORE_PATH {
            let (column, after) = rest.trim_start().split_once(' ')?;
            columns.push(column);
            rest = after;
        }
        let flags = u32::from_str_radix(columns[3], 16).ok()?;
        let path = rest.trim_start();
        (flags & ACCEPTS != 0 && !path.is_empty()).then(|| (path.to_owned(), columns[6].to_owned()))
    });
    let by_path: BTreeMap<String, String> = listening.collect();
    by_path
        .into_iter()
        .map(|(path, inode)| {
            let identity = format!("{inode} {path}");
            let what = format!("listening unix socket {path}");
            Object::named(identity, "unix socket", what, path)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_listeners_count() {
        let table = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            000000001: 00000003 00000000 00000000 0001 03 10989723\n\
            000000002: 00000002 00000000 00010000 0001 01 11067360 /run/a b.sock\n\
            000000003: 00000002 00000000 00010000 0001 01 11067361 @abstract\n\
            000000004: 00000002 00000000 00000000 0002 01 11067362 /run/log\n";
        let shown: Vec<_> = objects(table).into_iter().map(|o| o.what).collect();
        assert_eq!(
            shown,
            [
                "listening unix socket /run/a b.sock",
                "listening unix socket @abstract"
            ]
        );
    }
}
