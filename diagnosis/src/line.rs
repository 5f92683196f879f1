//! One line of a job log: its time stamp, its stream, the markers of sections in it, and what is left as text.

use std::sync::LazyLock;

use jiff::Timestamp;
use regex::Regex;

use crate::text::pattern;

/// `2026-11-24T00:20:58.889090Z 00O `, or only the moment.
static STAMP: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^\s*(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d))(?: ([0-9a-f]{2})([OE])([ +]|$))?",
    )
});
/// Escape sequences, also those whose escape character was lost or written out when the log was copied.
static ESCAPES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?x)
        (?: \x1b | \\u001[bB] | \\x1[bB] | \\0?33 | \^\[ | \u{241b} ) \[ [0-9;?]* [A-Za-z]
        | \x1b [()] [0-9A-B]
        | \[ 0K | \[ 0; m | \[ (?: 0; )? 3[0-7] (?: ;1 )? m",
    )
});
/// The names that a runner gives to sections; a script may open sections with names of its own.
const SECTION_NAMES: &str = "prepare_executor|prepare_script|get_sources|clear_worktree|restore_cache|download_artifacts\
    |build_script|after_script|archive_cache_on_failure|archive_cache|upload_artifacts_on_success\
    |upload_artifacts_on_failure|upload_referees|cleanup_file_variables|step_[a-z0-9_]+";
/// `section_start:1795478458:get_sources`, with the carriage return that a terminal hides it by.
static MARKER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r"section_(start|end):(\d+):({SECTION_NAMES})(?:\[[^\]]*\])?(?:\r|\^M)?"
    ))
});

/// Who wrote a line, where the log says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// The runner, `config_exec` or `prepare_exec`.
    Runner,
    /// `run_exec`.
    Run,
}

/// A marker of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// Whether the section begins.
    pub starts: bool,
    /// Seconds since 1970.
    pub at: Option<i64>,
    /// Its name.
    pub name: String,
}

/// A line of a job log, taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its number in the file, from 1.
    pub number: usize,
    /// Seconds since 1970, where the log has time stamps.
    pub at: Option<f64>,
    /// Who wrote it.
    pub stream: Option<Stream>,
    /// Markers of sections, in order.
    pub markers: Vec<Marker>,
    /// Whether the line begins with a marker, so that its text stands behind them.
    pub marker_first: bool,
    /// What is left: no escape sequences, no blanks at its end.
    pub text: String,
}

impl Line {
    /// Takes a line apart.
    pub fn parse(number: usize, raw: &str) -> Self {
        let mut rest = raw;
        let mut at = None;
        let mut stream = None;
        if let Some(found) = STAMP.captures(raw) {
            at = found[1].parse::<Timestamp>().ok().map(seconds);
            stream = found.get(2).map(|id| match id.as_str() {
                "00" => Stream::Runner,
                _ => Stream::Run,
            });
            rest =
                raw[found[0].len()..].trim_start_matches(if stream.is_some() { '\0' } else { ' ' });
        }
        let plain = ESCAPES.replace_all(rest, "");
        let mut markers = Vec::new();
        let marker_first = plain.trim_start().starts_with("section_");
        // What a script prints may look like a marker; the runner's own come on its own stream.
        let text = if stream == Some(Stream::Run) || !plain.contains("section_") {
            plain
        } else {
            markers.extend(MARKER.captures_iter(&plain).map(|found| Marker {
                starts: &found[1] == "start",
                at: found[2].parse().ok(),
                name: found[3].to_owned(),
            }));
            MARKER.replace_all(&plain, "").into_owned().into()
        };
        Self {
            number,
            at,
            stream,
            marker_first: marker_first && !markers.is_empty(),
            markers,
            text: last_overwrite(&text).trim_end().to_owned(),
        }
    }

    /// Whether `run_exec` may have written it.
    pub fn may_be_output(&self) -> bool {
        self.stream != Some(Stream::Runner)
    }

    /// Whether the runner may have written it.
    pub fn may_be_runner(&self) -> bool {
        self.stream != Some(Stream::Run)
    }
}

/// Where all lines are of one stream, it tells nothing of who wrote them: the log did not come from the runner as it is.
pub fn forget_single_stream(lines: &mut [Line]) {
    if lines.iter().any(|line| line.stream == Some(Stream::Run)) {
        return;
    }
    for line in lines {
        line.stream = None;
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds since 1970 fit into the 52 bits"
)]
fn seconds(moment: Timestamp) -> f64 {
    moment.as_millisecond() as f64 / 1000.0
}

/// What a terminal would show of a line that a progress bar wrote over: the last that is not empty.
fn last_overwrite(text: &str) -> &str {
    let mut pieces = text.rsplit('\r');
    pieces.find(|piece| !piece.trim().is_empty()).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_line_is_taken_apart() {
        let line = Line::parse(
            7,
            "2026-11-24T00:20:58.500000Z 00O+section_start:1795478458:get_sources\r\u{1b}[0K",
        );
        assert_eq!(line.stream, Some(Stream::Runner));
        assert_eq!(line.at.map(f64::fract), Some(0.5));
        assert_eq!(line.markers.len(), 1);
        assert!(line.markers[0].starts);
        assert_eq!(line.markers[0].name, "get_sources");
        assert_eq!(line.text, "");
        let line = Line::parse(8, "2026-11-24T00:20:58.889090Z 01E make: *** [all] Error 2");
        assert_eq!(
            (line.stream, line.text.as_str()),
            (Some(Stream::Run), "make: *** [all] Error 2")
        );
    }

    #[test]
    fn a_marker_and_a_heading_may_share_a_line() {
        for raw in [
            "section_end:1795478457:prepare_script\r\u{1b}[0Ksection_start:1795478458:get_sources\r\u{1b}[0K\u{1b}[0K\u{1b}[36;1mGetting source from Git repository\u{1b}[0;m\u{1b}[0;m",
            "section_end:1795478457:prepare_scriptsection_start:1795478458:get_sourcesGetting source from Git repository",
            "section_end:1795478457:prepare_script[0Ksection_start:1795478458:get_sources[0K[0K[36;1mGetting source from Git repository[0;m[0;m",
        ] {
            let line = Line::parse(1, raw);
            assert_eq!(line.markers.len(), 2, "{raw}");
            assert_eq!(line.text, "Getting source from Git repository");
        }
    }

    #[test]
    fn what_a_script_prints_is_no_marker() {
        let line = Line::parse(
            1,
            "2026-11-24T00:20:58.500000Z 01O section_start:1:get_sources\r",
        );
        assert!(line.markers.is_empty());
        assert!(
            Line::parse(1, "section_start:1:my_tests\r")
                .markers
                .is_empty()
        );
    }

    #[test]
    fn a_progress_bar_shows_its_last_state() {
        assert_eq!(Line::parse(1, "10 %\r50 %\r100 %\r").text, "100 %");
    }

    #[test]
    fn a_stamp_without_stream_is_a_stamp() {
        let line = Line::parse(1, "2026-11-24T00:20:58Z Job succeeded");
        assert_eq!((line.stream, line.text.as_str()), (None, "Job succeeded"));
    }
}
