//! The sections of a job log, from markers where there are some, else from headings.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use crate::line::{Line, Marker};

static EXECUTOR: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"^Preparing the "([^"]+)" executor$"#).expect("a constant pattern")
});
static STEP: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"^Executing "([a-z0-9_ .-]+)" stage of the job script$"#)
        .expect("a constant pattern")
});
/// How long a section took, as the page of a job shows it behind or below a heading.
static DURATION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\s*(?:\d\d:)?\d\d:\d\d$").expect("a constant pattern"));
/// The number of a line, as copied from the page of a job.
static LINE_NUMBER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s*\d{1,6}\s+").expect("a constant pattern"));

/// Headings of sections, in the words of the runner now and earlier.
const HEADINGS: [(&str, &str); 14] = [
    ("Preparing environment", "prepare_script"),
    ("Getting source from Git repository", "get_sources"),
    (
        "Deleting all tracked and untracked files due to source fetch failure",
        "clear_worktree",
    ),
    ("Restoring cache", "restore_cache"),
    ("Downloading artifacts", "download_artifacts"),
    ("Running after_script", "after_script"),
    ("Running after script", "after_script"),
    ("Saving cache", "archive_cache"),
    ("Saving cache for successful job", "archive_cache"),
    ("Saving cache for failed job", "archive_cache_on_failure"),
    (
        "Uploading artifacts for successful job",
        "upload_artifacts_on_success",
    ),
    (
        "Uploading artifacts for failed job",
        "upload_artifacts_on_failure",
    ),
    (
        "Cleaning up project directory and file based variables",
        "cleanup_file_variables",
    ),
    ("Cleaning up file based variables", "cleanup_file_variables"),
];

/// One section.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Section {
    /// The runner's name for it.
    pub(super) name: String,
    /// Index of its first line.
    pub(super) first: usize,
    /// Index of the line behind its last one.
    pub(super) end: usize,
    /// Seconds since 1970.
    pub(super) started: Option<f64>,
    /// Seconds since 1970.
    pub(super) ended: Option<f64>,
    /// Whether the runner closed it.
    pub(super) closed: bool,
}

/// All sections, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sections {
    /// In order.
    pub(super) all: Vec<Section>,
    /// Whether they are marked, or only known by their headings.
    pub(super) marked: bool,
    /// Whether the log says that it is one of the Custom executor.
    pub(super) named_custom: bool,
    /// Another executor that it is of.
    pub(super) other_executor: Option<String>,
    headings: Vec<usize>,
}

impl Sections {
    /// Finds them.
    pub(super) fn find(lines: &[Line]) -> Self {
        let mut sections = Self {
            marked: lines.iter().any(|line| !line.markers.is_empty()),
            ..Self::default()
        };
        let by_name = markers_by_name(lines);
        let mut nested_until = 0;
        for (index, line) in lines.iter().enumerate() {
            for marker in &line.markers {
                if index < nested_until {
                    continue;
                }
                if let Some(end) = sections.end_around(marker, index, &by_name) {
                    nested_until = end;
                    continue;
                }
                let at = line.at.or_else(|| seconds(marker.at));
                if marker.starts {
                    sections.open(&marker.name, index, at);
                } else {
                    sections.close(&marker.name, index, line, at);
                }
            }
            if line.may_be_runner() {
                sections.heading(index, line);
            }
        }
        if let Some(last) = sections.all.last_mut()
            && !last.closed
        {
            last.end = lines.len();
        }
        sections
    }

    /// The runner closes each section before it opens the next. One that begins within another, which is closed after it, is
    /// a script's own: the index of the line where the other one ends.
    fn end_around(&self, marker: &Marker, index: usize, by_name: &ByName<'_>) -> Option<usize> {
        let open = self.all.last().filter(|last| !last.closed)?;
        if !marker.starts || marker.name == open.name {
            return None;
        }
        let own = by_name.get(open.name.as_str())?;
        let next = own.partition_point(|(at, _)| *at <= index);
        let (end, starts) = own.get(next)?;
        (!starts).then_some(*end)
    }

    fn open(&mut self, name: &str, index: usize, at: Option<f64>) {
        if let Some(last) = self.all.last_mut()
            && !last.closed
        {
            last.end = index;
            last.ended = last.ended.or(at);
            last.closed = true;
        }
        self.all.push(Section {
            name: name.to_owned(),
            first: index,
            end: index + 1,
            started: at,
            ended: None,
            closed: false,
        });
    }

    fn close(&mut self, name: &str, index: usize, line: &Line, at: Option<f64>) {
        let behind = if line.marker_first { index } else { index + 1 };
        let open = self
            .all
            .last_mut()
            .filter(|last| last.name == name && !last.closed);
        if let Some(last) = open {
            last.end = behind.max(last.first);
            last.ended = at;
            last.closed = true;
        } else if self.all.is_empty() {
            // The beginning of the log is missing.
            self.all.push(Section {
                name: name.to_owned(),
                first: 0,
                end: behind,
                started: None,
                ended: at,
                closed: true,
            });
        }
    }

    fn heading(&mut self, index: usize, line: &Line) {
        let text = DURATION.replace(line.text.trim(), "");
        let text = LINE_NUMBER.replace(&text, "");
        if let Some(executor) = EXECUTOR.captures(&text) {
            // Another log may be quoted in this one.
            if !self.named_custom && self.other_executor.is_none() {
                if &executor[1] == "custom" {
                    self.named_custom = true;
                } else {
                    self.other_executor = Some(executor[1].to_owned());
                }
            }
            self.note_heading("prepare_executor", index, line);
            return;
        }
        if let Some(step) = STEP.captures(&text) {
            let name = step[1].to_owned();
            self.note_heading(&name, index, line);
            return;
        }
        let known = HEADINGS.iter().find(|(heading, _)| *heading == text);
        if let Some((_, name)) = known {
            self.note_heading(name, index, line);
        }
    }

    fn note_heading(&mut self, name: &str, index: usize, line: &Line) {
        if self.marked {
            let current = self.all.last().filter(|last| !last.closed);
            // `Saving cache` was once the heading of both stages.
            if current.is_some_and(|current| current.name.starts_with(name)) {
                self.headings.push(index);
            }
            return;
        }
        self.headings.push(index);
        self.open(name, index, line.at);
    }

    /// Whether this line is a heading.
    pub(super) fn is_heading(&self, index: usize) -> bool {
        self.headings.binary_search(&index).is_ok()
    }

    /// The section that a line stands in.
    pub(super) fn of_line(&self, index: usize) -> Option<usize> {
        let next = self.all.partition_point(|section| section.first <= index);
        let at = next.checked_sub(1)?;
        (index < self.all[at].end).then_some(at)
    }
}

/// The lines with markers of each section, and whether it begins there.
type ByName<'lines> = BTreeMap<&'lines str, Vec<(usize, bool)>>;

fn markers_by_name(lines: &[Line]) -> ByName<'_> {
    let mut by_name = ByName::new();
    for (index, line) in lines.iter().enumerate() {
        for marker in &line.markers {
            let own = by_name.entry(marker.name.as_str()).or_default();
            own.push((index, marker.starts));
        }
    }
    by_name
}

#[expect(
    clippy::cast_precision_loss,
    reason = "seconds since 1970 fit into the 52 bits"
)]
fn seconds(at: Option<i64>) -> Option<f64> {
    at.map(|seconds| seconds as f64)
}
