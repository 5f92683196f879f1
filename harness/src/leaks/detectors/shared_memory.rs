//! Shared memory, semaphores and message queues of System V. (Those of POSIX are files.)

use std::fs;
use std::io;

use crate::leaks::{Detector, Object, Watcher};
use crate::trace::LeakCategory;

pub(super) static DETECTOR: Detector = Detector {
    name: "shared-memory",
    category: LeakCategory::Process,
    unseen_without_privileges: "",
    watcher: |_| Box::new(SharedMemory),
};

/// Where the kernel lists them, with the place of the maker's process among the columns.
const TABLES: [(&str, &str, Option<usize>); 3] = [
    ("/proc/sysvipc/shm", "shared memory segment", Some(4)),
    ("/proc/sysvipc/sem", "set of semaphores", None),
    ("/proc/sysvipc/msg", "message queue", None),
];

struct SharedMemory;

impl Watcher for SharedMemory {
    fn look(&mut self) -> io::Result<Vec<Object>> {
        let mut found = Vec::new();
        for (table, kind, creator) in TABLES {
            match fs::read_to_string(table) {
                Ok(text) => found.extend(objects(&text, kind, creator)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }
}

/// `key id permissions size …` below a line of titles.
fn objects(table: &str, kind: &'static str, creator: Option<usize>) -> Vec<Object> {
    let rows = table.lines().skip(1).filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (key, id) = (*columns.first()?, *columns.get(1)?);
        let key = match key.parse::<i32>() {
            Ok(0) | Err(_) => "private".to_owned(),
            Ok(key) => format!("key {key:#x}"),
        };
        Some(Object {
            identity: format!("{kind} {id}"),
            kind,
            what: format!("{kind} {id} ({key})"),
            names: Vec::new(),
            creator: creator
                .and_then(|column| columns.get(column))
                .and_then(|pid| pid.parse().ok())
                .filter(|pid| *pid != 0),
            born: None,
        })
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_id_key_and_maker() {
        let table = "       key      shmid perms                  size  cpid  lpid nattch\n\
                     \u{20}        0          7   600                  4096 30839     0      0\n\
                     \u{20}       66          8   600                  4096     0     0      0\n";
        let found = objects(table, "shared memory segment", Some(4));
        let shown: Vec<_> = found
            .iter()
            .map(|object| (&*object.what, object.creator))
            .collect();
        assert_eq!(
            shown,
            [
                ("shared memory segment 7 (private)", Some(30839)),
                ("shared memory segment 8 (key 0x42)", None)
            ]
        );
    }
}
