//! What lies on a host that all jobs of a case share: which of it stands for itself.
//!
//! A directory of a job stands for all that is in it. A directory that names no job serves all of them, as a store or a cache:
//! what is in it and names no job either is its own affair.

use std::collections::HashMap;
use std::path::Path;

use driver_conformance_mock_backend::{HOST_DIRECTORY, HOST_FILE, HOST_PROCESS, Object};

use crate::leaks::evidence::CaseMarks;

/// Whether an object is something on such a host.
pub(super) fn is_there(object: &Object) -> bool {
    is_path(object) || object.kind == HOST_PROCESS
}

fn is_path(object: &Object) -> bool {
    [HOST_DIRECTORY, HOST_FILE].contains(&object.kind.as_str())
}

/// The objects without those that another one stands for.
pub(super) fn of_their_own<'a>(objects: Vec<&'a Object>, marks: &CaseMarks) -> Vec<&'a Object> {
    let directories = objects
        .iter()
        .filter(|object| object.kind == HOST_DIRECTORY);
    let directories: HashMap<&Path, Option<usize>> = directories
        .map(|object| (Path::new(&object.name), marks.job_in(&object.name)))
        .collect();
    let stands_for_itself = |object: &&Object| {
        if !is_path(object) {
            return true;
        }
        let above = Path::new(&object.name).ancestors().skip(1);
        let mut above = above.filter_map(|path| directories.get(path));
        match marks.job_in(&object.name) {
            Some(job) => !above.any(|other| *other == Some(job)),
            None => above.next().is_none(),
        }
    };
    objects.into_iter().filter(stands_for_itself).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use driver_conformance_mock_backend::State;

    use super::*;

    fn object(kind: &str, name: &str) -> Object {
        Object {
            id: name.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            state: State::Present,
            attributes: BTreeMap::new(),
            references: Vec::new(),
            made_by: 1,
            made_at_ms: 0,
        }
    }

    #[test]
    fn a_directory_of_a_job_stands_for_what_is_in_it_and_so_does_one_for_all_jobs() {
        let all = [
            object("box", "vm"),
            object(HOST_DIRECTORY, "/srv/ci"),
            object(HOST_DIRECTORY, "/srv/ci/cache"),
            object(HOST_FILE, "/srv/ci/cache/x.zip"),
            object(HOST_DIRECTORY, "/srv/ci/job-45600712"),
            object(HOST_FILE, "/srv/ci/job-45600712/notes"),
            object(HOST_FILE, "/srv/ci/job-45600712/of-456007123"),
            object(HOST_FILE, "/srv/ci/cache/lock-45600712"),
            object(HOST_FILE, "/tmp/tmp.Xy"),
            object(HOST_PROCESS, "`sleep 9` in /srv/ci/job-45600712"),
        ];
        let marks = CaseMarks::new(Path::new("/case"), [45_600_712, 456_007_123]);
        let left = of_their_own(all.iter().collect(), &marks);
        let names: Vec<&str> = left.iter().map(|object| object.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "vm",
                "/srv/ci",
                "/srv/ci/job-45600712",
                "/srv/ci/cache/lock-45600712",
                "/tmp/tmp.Xy",
                "`sleep 9` in /srv/ci/job-45600712",
            ]
        );
    }
}
