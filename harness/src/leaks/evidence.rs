//! What ties a thing on the machine to a case.
//!
//! Cases run side by side, on machines that others use as well. So a thing that appeared meanwhile is nobody's until it
//! carries a mark of the case: the id of one of its jobs, which no other case and no other run has, or one of its private
//! directories; or until the kernel names a process of the case as its maker.

use std::path::Path;

use crate::process::supervisor::is_private_directory;
use crate::trace::{CallIndex, Evidence};

use super::Object;

/// Fewest digits of a job id that make it a mark wherever it stands. A short one is a number like any other.
const ID_DIGITS_MIN: usize = 6;

/// The marks of a case.
#[derive(Debug, Clone)]
pub(crate) struct CaseMarks {
    /// The name of the private directories; it is drawn at random.
    root: String,
    ids: Vec<String>,
}

impl CaseMarks {
    /// Those of a case with these private directories and jobs.
    pub(crate) fn new(root: &Path, job_ids: impl IntoIterator<Item = u64>) -> Self {
        let name = root.file_name().unwrap_or_default().to_string_lossy();
        let root = if is_private_directory(&name) {
            // What is mounted elsewhere is listed by its path within its file system.
            name.into_owned()
        } else {
            root.to_string_lossy().into_owned()
        };
        Self {
            root,
            ids: job_ids.into_iter().map(|id| id.to_string()).collect(),
        }
    }

    /// How many jobs the case has.
    pub(crate) fn jobs(&self) -> usize {
        self.ids.len()
    }

    /// The job whose id is in a text.
    pub(crate) fn job_in(&self, text: &str) -> Option<usize> {
        let inside = self.is_inside(text);
        self.ids.iter().position(|id| {
            let is_mark = id.len() >= ID_DIGITS_MIN;
            (is_mark && holds_number(text, id)) || (inside && holds_word(text, id))
        })
    }

    /// Why an object belongs to the case, if it does. `makers` are processes of the case with the calls they come from.
    pub(crate) fn evidence(
        &self,
        object: &Object,
        makers: &[(u32, CallIndex)],
    ) -> Option<Evidence> {
        let job = object.names.iter().find_map(|name| self.job_in(name));
        let by_name = job.map(Evidence::NamesJob);
        by_name
            .or_else(|| {
                let maker = object.creator?;
                let (_, call) = makers.iter().find(|(pid, _)| *pid == maker)?;
                Some(Evidence::Maker(*call))
            })
            .or_else(|| {
                let inside = object.names.iter().any(|name| self.is_inside(name));
                inside.then_some(Evidence::InsideCase)
            })
    }

    /// A private directory of the case is in a text: as a path, or among the options of a file system.
    fn is_inside(&self, text: &str) -> bool {
        holds(text, &self.root, |neighbour| {
            neighbour.is_ascii_alphanumeric()
        })
    }
}

/// The number is in the text with no digit beside it.
fn holds_number(text: &str, number: &str) -> bool {
    holds(text, number, |neighbour| neighbour.is_ascii_digit())
}

/// The number is in the text as a word of its own.
fn holds_word(text: &str, number: &str) -> bool {
    holds(text, number, |neighbour| neighbour.is_ascii_alphanumeric())
}

fn holds(text: &str, mark: &str, joins: impl Fn(char) -> bool) -> bool {
    text.match_indices(mark).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + mark.len()..].chars().next();
        !before.is_some_and(&joins) && !after.is_some_and(&joins)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks() -> CaseMarks {
        CaseMarks::new(Path::new("/dev/shm/case-x1"), [45_600_712, 456_007_123])
    }

    fn object(names: &[&str], creator: Option<u32>) -> Object {
        Object {
            identity: "1".into(),
            kind: "mount",
            what: "a mount".into(),
            names: names.iter().map(|&name| name.to_owned()).collect(),
            creator,
            born: None,
        }
    }

    fn evidence(names: &[&str]) -> Option<Evidence> {
        marks().evidence(&object(names, None), &[])
    }

    #[test]
    fn an_id_is_a_mark_beside_letters_but_not_beside_digits() {
        assert_eq!(evidence(&["vm45600712"]), Some(Evidence::NamesJob(0)));
        assert_eq!(evidence(&["veth456007123"]), Some(Evidence::NamesJob(1)));
        assert_eq!(evidence(&["vm456007120"]), None);
        assert_eq!(evidence(&["vm145600712"]), None);
    }

    #[test]
    fn a_private_directory_is_a_mark_as_a_whole() {
        let overlay = "rw,upperdir=/dev/shm/case-x1/home/u,workdir=/w";
        assert_eq!(evidence(&["/mnt", overlay]), Some(Evidence::InsideCase));
        assert_eq!(evidence(&["/dev/shm/case-x1"]), Some(Evidence::InsideCase));
        assert_eq!(evidence(&["/dev/shm/case-x12/home"]), None);
    }

    #[test]
    fn a_process_of_the_case_is_a_maker_and_a_stranger_is_not() {
        let makers = [(77, CallIndex(2))];
        let found = |creator| marks().evidence(&object(&[], Some(creator)), &makers);
        assert_eq!(found(77), Some(Evidence::Maker(CallIndex(2))));
        assert_eq!(found(78), None);
    }

    #[test]
    fn a_short_id_counts_inside_the_case_only() {
        let marks = CaseMarks::new(Path::new("/case"), [12, 123]);
        assert_eq!(marks.job_in("/tmp/box-12"), None);
        assert_eq!(marks.job_in("/case/box-123"), Some(1));
        assert_eq!(marks.job_in("/case/a12b"), None);
    }
}
