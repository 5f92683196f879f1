//! Output of cleanup: one runner-log entry per line (contract F3).

use super::super::protocol::{RunnerLogLevel, Stream};
use super::Job;

/// Longest line that is kept together, bytes.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Cuts output into lines.
#[derive(Debug, Clone, Default)]
pub(super) struct LineBuffer {
    held: Vec<u8>,
}

impl LineBuffer {
    /// The lines that `data` completes.
    pub(super) fn take_lines(&mut self, data: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            self.held.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.held.len() >= LINE_BYTES_MAX {
                lines.extend(self.take_rest());
            }
        }
        lines
    }

    /// What is left without a newline.
    pub(super) fn take_rest(&mut self) -> Vec<String> {
        if self.held.is_empty() {
            return Vec::new();
        }
        let held = std::mem::take(&mut self.held);
        let line = held.strip_suffix(b"\n").unwrap_or(&held);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        vec![String::from_utf8_lossy(line).into_owned()]
    }
}

impl Job {
    pub(super) fn log_cleanup_lines(&mut self, stream: Stream, lines: Vec<String>) {
        let (level, name) = match stream {
            Stream::Stdout => (RunnerLogLevel::Debug, "out"),
            Stream::Stderr => (RunnerLogLevel::Warning, "err"),
        };
        for line in lines {
            self.logger_entry(level, &line, &[("cleanup_std", name.to_owned())]);
        }
    }
}
